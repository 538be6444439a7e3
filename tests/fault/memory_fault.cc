/* Out of memory at every allocation of every call: a table of scenes that make
   each public function do its work (tests/fault/complete.py checks that none is
   missing), played once for each allocation, which fails alone, or with all that
   come after it.  A scene that failed must have lost nothing, and must succeed
   when it is played again with the same objects. */
#include "memory.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

namespace
{

using fault::Held;

const bridge_status metered = fault::install_memory();

const int kLong = 20000; /* ms: longer than anything takes */

class Scene
{
public:
  virtual ~Scene() = default;
  virtual bridge_status play() = 0;

  std::string said; /* by the latest error that was judged */

protected:
  /* What a script, or one who answers, says about memory is no status of its
     own; and where even that could not be said, there is no error. */
  bridge_status judge(bridge_status status, const bridge_error *error)
  {
    const std::string text = bridge_error_text(error, nullptr);
    said = std::string(bridge_status_name(status)) + " " + text;
    bool worded = error == nullptr || text.find("memory") != std::string::npos;
    bool told = status == BRIDGE_ESCRIPT || status == BRIDGE_EDEAD ||
                status == BRIDGE_ETYPE;
    if (told && !worded) {
      ADD_FAILURE() << bridge_status_name(status) << ": " << text;
    }
    return told && worded ? BRIDGE_ENOMEM : status;
  }
};

/* ---- Messages and buffers ---- */

int twice(lua_State *L)
{
  lua_pushinteger(L, 2 * luaL_checkinteger(L, 1));
  return 1;
}

bridge_status write_containers(bridge_message *m)
{
  for (int i = 0; i < 40; i++) {
    TRY(bridge_message_begin_array(m, BRIDGE_COUNT_UNKNOWN));
  }
  TRY(bridge_message_begin_map(m, 2));
  TRY(bridge_message_write_string(m, "key", 3));
  TRY(bridge_message_write_nil(m));
  TRY(bridge_message_write_integer(m, 7));
  TRY(bridge_message_write_reference(m, 0));
  for (int i = 0; i < 41; i++) {
    TRY(bridge_message_end(m));
  }
  return BRIDGE_OK;
}

bridge_status write_plain(bridge_message *m)
{
  const std::string text(300, 'x');
  TRY(bridge_message_write_nil(m));
  TRY(bridge_message_write_boolean(m, true));
  TRY(bridge_message_write_integer(m, INT64_MIN));
  TRY(bridge_message_write_float(m, 0.1));
  TRY(bridge_message_write_string(m, text.data(), text.size()));
  TRY(bridge_message_write_binary(m, text.data(), text.size()));
  return write_containers(m);
}

bridge_status write_function(bridge_message *m)
{
  TRY(bridge_message_begin_function(m, 2));
  TRY(bridge_message_write_binary(m, "dump", 4));
  TRY(bridge_message_write_integer(m, 1));
  TRY(bridge_message_write_upvalue(m, 0));
  return bridge_message_end(m);
}

bridge_status write_object(bridge_message *m)
{
  TRY(bridge_message_set_limit(m, 1 << 20));
  TRY(bridge_message_begin_object(m, BRIDGE_TYPE_OBJECT, 1));
  TRY(bridge_message_write_string(m, "class", 5));
  TRY(bridge_message_write_nil(m));
  TRY(bridge_message_write_null(m));
  return bridge_message_end(m);
}

bridge_status write_slots(bridge_message *m, bridge_buffer *buffer)
{
  for (int i = 0; i < 20; i++) {
    TRY(bridge_message_write_buffer(m, buffer));
    TRY(bridge_message_write_light(m, m));
    TRY(bridge_message_write_cfunction(
        m, reinterpret_cast<bridge_function *>(twice)));
  }
  return bridge_message_write_handle(m, BRIDGE_HANDLE_BUFFER, buffer);
}

class Messages : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_message> m;
    Held<bridge_message> copy;
    Held<bridge_message> foreign;
    Held<bridge_buffer> buffer;
    TRY(bridge_buffer_create(buffer.out(), 100));
    TRY(bridge_message_create(m.out(), 1000));
    TRY(write_plain(m));
    TRY(bridge_message_from_bytes(foreign.out(), bridge_message_data(m),
                                  bridge_message_size(m)));
    EXPECT_EQ(bridge_message_count(foreign), bridge_message_count(m));
    TRY(bridge_message_write_extension(m, 16, "extension", 9));
    TRY(bridge_message_write_globals(m));
    TRY(write_function(m));
    TRY(write_object(m));
    size_t place = bridge_message_size(m);
    TRY(write_slots(m, buffer));
    TRY(bridge_message_clone(copy.out(), m));
    EXPECT_EQ(bridge_message_slot_count(copy), 61u);
    bridge_handle_release(
        bridge_handle_retain(static_cast<bridge_buffer *>(buffer)));
    return bridge_message_truncate(m, place);
  }
};

class Readers : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_message> m;
    Held<bridge_buffer> buffer;
    TRY(bridge_buffer_copy(buffer.out(), "bytes", 5));
    TRY(bridge_message_create(m.out(), 0));
    TRY(bridge_message_write_boolean(m, true));
    TRY(bridge_message_write_integer(m, 1));
    TRY(bridge_message_write_float(m, 0.5));
    TRY(bridge_message_write_string(m, "text", 4));
    TRY(bridge_message_write_buffer(m, buffer));
    TRY(write_containers(m));
    TRY(bridge_message_write_nil(m));
    return read(m);
  }

private:
  static bridge_status read(const bridge_message *m)
  {
    bridge_reader reader;
    bridge_value value;
    bool truth = false;
    int64_t whole = 0;
    double number = 0;
    const char *text = nullptr;
    size_t size = 0;
    void *handle = nullptr;
    TRY(bridge_reader_init(&reader, m));
    TRY(bridge_reader_boolean(&reader, &truth));
    TRY(bridge_reader_integer(&reader, &whole));
    TRY(bridge_reader_float(&reader, &number));
    TRY(bridge_reader_string(&reader, &text, &size));
    TRY(bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &handle));
    EXPECT_EQ(
        std::memcmp(bridge_buffer_data(static_cast<bridge_buffer *>(handle)),
                    "bytes", 5),
        0);
    TRY(bridge_reader_skip(&reader));
    return bridge_reader_next(&reader, &value);
  }
};

int freed;

void free_bytes(void *, void *, size_t)
{
  freed++;
}

class Buffers : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_buffer> made;
    Held<bridge_buffer> copied;
    TRY(bridge_buffer_create(made.out(), 10000));
    TRY(bridge_buffer_copy(copied.out(), "bytes", 5));
    TRY(wrap());
    void *data = nullptr;
    TRY(bridge_buffer_begin_write(made, &data));
    std::memset(data, 1, bridge_buffer_size(made));
    TRY(bridge_buffer_end_write(made));
    TRY(bridge_buffer_freeze(made));
    EXPECT_TRUE(bridge_buffer_frozen(made));
    bridge_buffer_release(bridge_buffer_retain(made));
    return BRIDGE_OK;
  }

private:
  /* The bytes are the caller's until the call succeeds. */
  static bridge_status wrap()
  {
    static char bytes[8];
    freed = 0;
    bridge_buffer *wrapped = nullptr;
    bridge_status status =
        bridge_buffer_wrap(&wrapped, bytes, sizeof bytes, free_bytes, nullptr);
    bridge_buffer_release(wrapped);
    EXPECT_EQ(freed, status == BRIDGE_OK ? 1 : 0);
    return status;
  }
};

/* ---- Wakers, queues, threads ---- */

class Wakers : public Scene
{
public:
  bridge_status play() override
  {
    const bridge_waker_kind kinds[] = {
        BRIDGE_WAKER_DEFAULT, BRIDGE_WAKER_EVENTFD, BRIDGE_WAKER_PIPE,
        BRIDGE_WAKER_UDP, BRIDGE_WAKER_CONDITION};
    for (bridge_waker_kind kind : kinds) {
      Held<bridge_waker> waker;
      TRY(bridge_waker_create(waker.out(), kind));
      EXPECT_NE(bridge_waker_kind_of(waker), BRIDGE_WAKER_DEFAULT);
      int file = -1;
      bridge_status status = bridge_waker_fileno(waker, &file);
      EXPECT_EQ(status == BRIDGE_OK, kind != BRIDGE_WAKER_CONDITION);
      TRY(bridge_waker_raise(waker));
      TRY(bridge_waker_wait(waker, kLong));
      TRY(bridge_waker_clear(waker));
      TRY(bridge_waker_close(waker));
      bridge_waker_release(bridge_waker_retain(waker));
    }
    return callback();
  }

private:
  static void count(void *user)
  {
    ++*static_cast<int *>(user);
  }

  static bridge_status callback()
  {
    int calls = 0;
    Held<bridge_waker> waker;
    bridge_status status =
        bridge_waker_create_callback(waker.out(), count, &calls, count);
    if (status == BRIDGE_OK) {
      status = bridge_waker_raise(waker);
    }
    waker.drop();
    EXPECT_EQ(calls, status == BRIDGE_OK ? 2 : 0);
    return status;
  }
};

class Lists : public Scene
{
public:
  bridge_status play() override
  {
    bridge_mpsc *list = nullptr;
    TRY(bridge_mpsc_create(&list));
    bridge_node node;
    bridge_node *first = nullptr;
    bool armed = false;
    EXPECT_STATUS(bridge_mpsc_arm(list), BRIDGE_OK);
    EXPECT_STATUS(bridge_mpsc_push(list, &node, &armed), BRIDGE_OK);
    EXPECT_STATUS(bridge_mpsc_take(list, &first), BRIDGE_OK);
    EXPECT_EQ(first, &node);
    bridge_mpsc_destroy(list);
    return BRIDGE_OK;
  }
};

bridge_status number(bridge_message **out, int64_t value)
{
  Held<bridge_message> m;
  TRY(bridge_message_create(m.out(), 0));
  TRY(bridge_message_write_integer(m, value));
  *out = m;
  *m.out() = nullptr;
  return BRIDGE_OK;
}

class Queues : public Scene
{
public:
  bridge_status play() override
  {
    bridge_queue_options options;
    bridge_queue_options_init(&options);
    options.policy = BRIDGE_QUEUE_DROP_OLDEST;
    for (int kind = BRIDGE_WAKER_DEFAULT; kind < BRIDGE_WAKER_CALLBACK;
         kind++) {
      Held<bridge_queue> queue;
      options.waker_kind = static_cast<bridge_waker_kind>(kind);
      TRY(bridge_queue_create(queue.out(), &options));
      TRY(use(queue));
    }
    return BRIDGE_OK;
  }

private:
  static bridge_status use(bridge_queue *queue)
  {
    Held<bridge_message> three[3];
    bridge_message *batch[3] = {nullptr, nullptr, nullptr};
    for (int i = 0; i < 3; i++) {
      TRY(number(three[i].out(), i));
    }
    TRY(bridge_queue_push(queue, three[0].out()));
    TRY(bridge_queue_push_timeout(queue, three[1].out(), kLong));
    batch[0] = three[2];
    *three[2].out() = nullptr;
    size_t count = 0;
    TRY(bridge_queue_push_batch(queue, batch, 1, &count));
    EXPECT_EQ(bridge_queue_count(queue), 3u);
    EXPECT_GT(bridge_queue_bytes(queue), 0u);
    EXPECT_EQ(bridge_queue_dropped(queue), 0u);
    Held<bridge_message> copy;
    TRY(bridge_queue_peek(queue, copy.out()));
    TRY(bridge_queue_pop(queue, three[0].out(), kLong));
    TRY(bridge_queue_unpop(queue, three[0].out()));
    TRY(bridge_queue_pop_batch(queue, batch, 3, &count, kLong));
    for (size_t i = 0; i < count; i++) {
      bridge_message_release(batch[i]);
    }
    int timeout = 0;
    EXPECT_EQ(bridge_queue_policy_of(queue, &timeout),
              BRIDGE_QUEUE_DROP_OLDEST);
    bridge_queue_release(bridge_queue_retain(queue));
    EXPECT_NE(bridge_queue_waker(queue), nullptr);
    TRY(bridge_queue_close(queue));
    EXPECT_TRUE(bridge_queue_closed(queue));
    return BRIDGE_OK;
  }
};

bridge_status numbers(bridge_channel *channel, int count)
{
  for (int i = 0; i < count; i++) {
    Held<bridge_message> one;
    TRY(number(one.out(), i));
    TRY(i % 2 == 0 ? bridge_channel_send(channel, one.out())
                   : bridge_channel_send_timeout(channel, one.out(), kLong));
  }
  return BRIDGE_OK;
}

class Channels : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_waker> waker;
    Held<bridge_channel> channel;
    bridge_channel_options options;
    bridge_channel_options_init(&options);
    TRY(bridge_waker_create(waker.out(), BRIDGE_WAKER_DEFAULT));
    options.waker = waker;
    TRY(bridge_channel_create(channel.out(), &options));
    TRY(numbers(channel, 4));
    TRY(take(channel));
    EXPECT_STATUS(wait(channel), BRIDGE_ETIMEDOUT);
    return ask(channel);
  }

private:
  static bridge_status take(bridge_channel *channel)
  {
    Held<bridge_message> copy;
    Held<bridge_message> one;
    bridge_message *batch[4] = {};
    size_t count = 0;
    TRY(bridge_channel_peek(channel, copy.out()));
    TRY(bridge_channel_receive(channel, one.out(), kLong));
    TRY(bridge_channel_unreceive(channel, one.out()));
    TRY(bridge_channel_receive_batch(channel, batch, 3, &count, kLong));
    EXPECT_EQ(count, 3u);
    for (bridge_message *each : batch) {
      bridge_message_release(each);
    }
    TRY(bridge_channel_clear(channel, &count));
    EXPECT_EQ(count, 1u);
    return BRIDGE_OK;
  }
  static bridge_status wait(bridge_channel *channel)
  {
    bridge_message *none = nullptr;
    return bridge_channel_receive(channel, &none, 1);
  }
  static bridge_status ask(bridge_channel *channel)
  {
    size_t items = 0;
    TRY(bridge_channel_set_limit(channel, 7, 0));
    TRY(bridge_channel_limit(channel, &items, nullptr));
    EXPECT_EQ(items, 7u);
    Held<bridge_queue> told;
    TRY(bridge_queue_create(told.out(), nullptr));
    TRY(bridge_channel_notify(channel, BRIDGE_CHANNEL_RECEIVING, told, 1));
    TRY(bridge_channel_notify(channel, BRIDGE_CHANNEL_SENDING, told, 2));
    TRY(bridge_channel_withdraw(channel, told, 2));
    TRY(bridge_channel_wake(channel));
    EXPECT_EQ(bridge_queue_count(told), 1u);
    EXPECT_EQ(bridge_channel_wakes(channel), 1u);
    EXPECT_EQ(bridge_channel_count(channel), 0u);
    EXPECT_EQ(bridge_channel_bytes(channel), 0u);
    EXPECT_EQ(bridge_channel_dropped(channel), 0u);
    EXPECT_EQ(bridge_channel_policy_of(channel, nullptr), BRIDGE_QUEUE_BLOCK);
    EXPECT_NE(bridge_channel_waker(channel), nullptr);
    bridge_channel_release(bridge_channel_retain(channel));
    TRY(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING));
    EXPECT_TRUE(bridge_channel_closed(channel, BRIDGE_CHANNEL_SENDING));
    return BRIDGE_OK;
  }
};

/* Of more than need no memory. */
class Selects : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_channel> channels[20];
    bridge_select_item items[20];
    for (int i = 0; i < 20; i++) {
      TRY(bridge_channel_create(channels[i].out(), nullptr));
      items[i] = {BRIDGE_HANDLE_CHANNEL, channels[i]};
    }
    Held<bridge_message> out;
    size_t index = 0;
    bridge_status status = bridge_select(items, 20, 1, &index, out.out());
    if (status != BRIDGE_ETIMEDOUT) {
      return status;
    }
    TRY(numbers(channels[13], 1));
    TRY(bridge_select(items, 20, kLong, &index, out.out()));
    EXPECT_EQ(index, 13u);
    return BRIDGE_OK;
  }
};

class Shared : public Scene
{
public:
  bridge_status play() override
  {
    TRY(count());
    Held<bridge_flag> flag;
    TRY(bridge_flag_create(flag.out(), false));
    TRY(bridge_flag_set(flag));
    TRY(bridge_flag_wait(flag, kLong));
    EXPECT_TRUE(bridge_flag_is_set(flag));
    TRY(bridge_flag_clear(flag));
    TRY(bridge_flag_close(flag));
    EXPECT_TRUE(bridge_flag_closed(flag));
    bridge_flag_release(bridge_flag_retain(flag));
    Held<bridge_mutex> mutex;
    TRY(bridge_mutex_create(mutex.out()));
    TRY(bridge_mutex_lock(mutex, kLong, nullptr));
    EXPECT_TRUE(bridge_mutex_locked(mutex));
    TRY(bridge_mutex_abandon(mutex));
    TRY(bridge_mutex_lock(mutex, kLong, nullptr));
    bridge_mutex_release(bridge_mutex_retain(mutex));
    TRY(bridge_mutex_close(mutex));
    EXPECT_TRUE(bridge_mutex_closed(mutex));
    return bridge_mutex_unlock(mutex);
  }

private:
  static bridge_status count()
  {
    Held<bridge_counter> counter;
    int64_t expected = 1;
    TRY(bridge_counter_create(counter.out(), 0));
    TRY(bridge_counter_add(counter, 1, nullptr));
    TRY(bridge_counter_exchange(counter, &expected, 2));
    TRY(bridge_counter_set(counter, 3, nullptr));
    TRY(bridge_counter_wait(counter, BRIDGE_EQUAL, 3, kLong, nullptr));
    EXPECT_EQ(bridge_counter_get(counter), 3);
    TRY(bridge_counter_close(counter));
    EXPECT_TRUE(bridge_counter_closed(counter));
    bridge_counter_release(bridge_counter_retain(counter));
    return BRIDGE_OK;
  }
};

/* Looking at them, finding and closing them. */
class Listed : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_queue> queue;
    Held<bridge_flag> flag;
    TRY(bridge_queue_create(queue.out(), nullptr));
    TRY(bridge_flag_create(flag.out(), false));
    TRY(bridge_object_set_name(flag, "a flag that has a name"));
    bridge_status status = bridge_object_set_name(flag, "another");
    bridge_object_info info;
    bridge_object_info_init(&info);
    EXPECT_STATUS(bridge_object_look(flag, &info), BRIDGE_OK);
    EXPECT_STREQ(info.name,
                 status == BRIDGE_OK ? "another" : "a flag that has a name");
    TRY(status);
    return find(flag, info.id);
  }

private:
  static bridge_status find(bridge_flag *flag, uint64_t id)
  {
    void *found[4];
    size_t count = 0;
    TRY(bridge_objects(found, 4, &count));
    EXPECT_GE(count, 2u);
    for (size_t i = 0; i < count && i < 4; i++) {
      bridge_handle_release(found[i]);
    }
    found[0] = bridge_object_find(BRIDGE_HANDLE_FLAG, "another");
    found[1] = bridge_object_find_id(id);
    EXPECT_EQ(found[0], flag);
    EXPECT_EQ(found[1], flag);
    bridge_handle_release(found[0]);
    bridge_handle_release(found[1]);
    TRY(bridge_object_hide(flag));
    return bridge_object_close(flag);
  }
};

/* None of them goes off, so that nothing is freed later, by their thread. */
class Timers : public Scene
{
public:
  bridge_status play() override
  {
    Held<bridge_channel> channel;
    TRY(bridge_channel_create(channel.out(), nullptr));
    bridge_timer_options options;
    bridge_timer_options_init(&options);
    options.channel = channel;
    options.first_ns = INT64_MAX;
    for (int i = 0; i < 3; i++) {
      TRY(start(options));
    }
    return BRIDGE_OK;
  }

private:
  static bridge_status start(const bridge_timer_options &options)
  {
    Held<bridge_timer> timer;
    Held<bridge_message> message;
    TRY(number(message.out(), 1));
    TRY(bridge_timer_create(timer.out(), &options, message.out()));
    EXPECT_TRUE(bridge_timer_active(timer));
    EXPECT_EQ(bridge_timer_posted(timer), 0u);
    EXPECT_EQ(bridge_timer_missed(timer), 0u);
    EXPECT_GT(bridge_timer_now(BRIDGE_TIMER_STEADY), 0);
    bridge_timer_release(bridge_timer_retain(timer));
    return bridge_timer_cancel(timer);
  }
};

class Threads : public Scene
{
public:
  bridge_status play() override
  {
    bridge_thread_options options;
    bridge_thread_options_init(&options);
    options.name = "a name that is longer than the system shows";
    ran = 0;
    Held<bridge_thread> joined;
    TRY(bridge_thread_create(joined.out(), body, this, &options));
    bridge_thread_release(bridge_thread_retain(joined));
    EXPECT_STREQ(bridge_thread_name(joined), options.name);
    EXPECT_NE(bridge_thread_id(joined), 0u);
    TRY(bridge_thread_join(joined, kLong));
    EXPECT_FALSE(bridge_thread_alive(joined));
    Held<bridge_thread> detached;
    TRY(bridge_thread_create(detached.out(), body, this, nullptr));
    TRY(bridge_thread_detach(detached));
    EXPECT_TRUE(fault::soon([this] { return ran == 2; }));
    return BRIDGE_OK;
  }

private:
  std::atomic<int> ran{0};

  static void body(void *user)
  {
    EXPECT_NE(bridge_thread_current(), nullptr);
    EXPECT_GT(bridge_thread_cores(), 0u);
    static_cast<Threads *>(user)->ran++;
  }
};

/* ---- States ---- */

int open_twice(lua_State *L)
{
  lua_pushcfunction(L, twice);
  return 1;
}

class StateOptions : public Scene
{
public:
  bridge_status play() override
  {
    const bridge_module modules[] = {{"twice", open_twice},
                                     {"again", open_twice}};
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.name = "short of memory";
    options.libraries = "base,package,coroutine,table,io,os,string,math,utf8,"
                        "debug";
    options.modules = modules;
    options.module_count = 2;
    options.path = "?.lua";
    options.cpath = "?.so";
    options.memory_limit = 1 << 20;
    options.binary_chunks = true;
    Held<bridge_state> state;
    Held<bridge_error> error;
    bridge_status status =
        bridge_state_create(state.out(), &options, error.out());
    EXPECT_EQ(status == BRIDGE_OK, state != nullptr);
    return status;
  }
};

class Bare : public Scene
{
public:
  bridge_status play() override
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.libraries = "";
    Held<bridge_state> state;
    Held<bridge_error> error;
    TRY(bridge_state_create(state.out(), &options, error.out()));
    lua_State *L = nullptr;
    TRY(bridge_state_enter(state, kLong, &L));
    EXPECT_EQ(lua_gettop(L), 0);
    TRY(bridge_state_leave(state));
    size_t used = 0;
    size_t peak = 0;
    size_t limit = 1;
    TRY(bridge_state_memory(state, &used, &peak, &limit));
    EXPECT_GT(used, 0u);
    return BRIDGE_OK;
  }
};

/* One that scripts run in; made in peace. */
class WithState : public Scene
{
protected:
  WithState()
  {
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_state_create(state.out(), nullptr, &error), BRIDGE_OK);
  }

  bridge_status run(const char *source,
                    bridge_message **arguments,
                    bridge_message **results,
                    bridge_error **error)
  {
    return bridge_state_run(state, source, std::strlen(source), nullptr,
                            arguments, results, error);
  }

  Held<bridge_state> state;
};

/* Every type there and back, and used. */
class Values : public WithState
{
public:
  bridge_status play() override
  {
    Held<bridge_message> arguments;
    Held<bridge_message> results;
    Held<bridge_error> error;
    TRY(bridge_message_create(arguments.out(), 0));
    TRY(write_plain(arguments));
    TRY(bridge_message_write_light(arguments, this));
    TRY(bridge_message_write_cfunction(
        arguments, reinterpret_cast<bridge_function *>(twice)));
    TRY(bridge_message_write_globals(arguments));
    TRY(judge(run(kMake, arguments.out(), results.out(), error.out()), error));
    EXPECT_EQ(arguments, nullptr);
    error.drop();
    return judge(run(kCheck, results.out(), nullptr, error.out()), error);
  }

private:
  static constexpr const char *kMake = R"lua(
    local none, yes, least, tenth, text, bytes, deep, light, twice, globals = ...
    assert(none == nil and yes == true and least == math.mininteger)
    assert(tenth == 0.1 and #text == 300 and bytes == text)
    assert(twice(21) == 42 and globals == _G)
    local shared, count = {}, 0
    local function up() count = count + 1 return count end
    local function down() count = count - 1 return up end
    local all = { shared, shared, [3.5] = up, [true] = down, list = {} }
    for i = 1, 100 do all.list[i] = { i, "text " .. i, [i * 1.5] = shared } end
    all.itself = all
    return all, up, down, ("long"):rep(20000), light, twice, globals, nil
  )lua";
  static constexpr const char *kCheck = R"lua(
    local all, up, down, long, light, twice, globals, none = ...
    assert(all.itself == all and all[1] == all[2] and all[3.5] == up)
    assert(all.list[100][2] == "text 100" and all.list[100][150.0] == all[1])
    assert(up() == 1 and up() == 2 and down() == up and up() == 2)
    assert(#long == 80000 and type(light) == "userdata" and twice(2) == 4)
    assert(globals == _G and none == nil)
  )lua";
};

/* What cannot cross, does not parse, or raises. */
class Failures : public WithState
{
public:
  bridge_status play() override
  {
    TRY(raises());
    TRY(fails("local x = = 1", BRIDGE_ESYNTAX));
    TRY(fails("local all = {} "
              "for i = 1, 9 do all[i] = coroutine.create(print) end "
              "return { a = { b = all } }",
              BRIDGE_ETYPE));
    return BRIDGE_OK;
  }

private:
  static constexpr const char *kRaise = R"lua(
    local function inner(...)
      error(setmetatable({ { "value" } },
            { __tostring = function() return "as text" end }))
    end
    local function outer() local good = inner() return good end
    return (outer())
  )lua";

  bridge_status fails(const char *source, bridge_status expected)
  {
    Held<bridge_error> error;
    Held<bridge_message> results;
    bridge_status status = run(source, nullptr, results.out(), error.out());
    if (status == expected) {
      EXPECT_EQ(bridge_error_status(error), error ? expected : BRIDGE_OK);
      return error == nullptr ? BRIDGE_ENOMEM : BRIDGE_OK;
    }
    return status == BRIDGE_OK ? BRIDGE_EINVAL : status;
  }

  /* The status is kept where parts of the error are lost. */
  bridge_status raises()
  {
    Held<bridge_error> error;
    bridge_status status = run(kRaise, nullptr, nullptr, error.out());
    if (status != BRIDGE_ESCRIPT) {
      return status == BRIDGE_OK ? BRIDGE_EINVAL : status;
    }
    size_t size = 0;
    bridge_frame frame;
    bridge_error_release(bridge_error_retain(error));
    bool whole = std::string(bridge_error_text(error, &size)) == "as text" &&
                 size == 7 && bridge_error_value(error) != nullptr &&
                 bridge_error_traceback(error)[0] != '\0' &&
                 bridge_error_frame_count(error) >= 3 &&
                 bridge_error_frame(error, 0, &frame) == BRIDGE_OK;
    return whole ? BRIDGE_OK : BRIDGE_ENOMEM;
  }
};

/* A sandbox is made, and a script looks around in it. */
class Sandboxed : public Scene
{
public:
  bridge_status play() override
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.sandbox = true;
    const bridge_module modules[] = {{"twice", open_twice}};
    options.modules = modules;
    options.module_count = 1;
    Held<bridge_state> state;
    Held<bridge_error> error;
    TRY(bridge_state_create(state.out(), &options, error.out()));
    return judge(bridge_state_run(state, kScript, std::strlen(kScript), "=box",
                                  nullptr, nullptr, error.out()),
                 error);
  }

private:
  static constexpr const char *kScript = R"lua(
    assert(require "twice" (21) == 42 and require "string" == string)
    assert(collectgarbage "count" > 0 and load "return 1" () == 1)
    local bridge = require "bridge"
    assert(bridge.worker == nil and #bridge.array { 1, 2 } == 2)
  )lua";
};

/* The functions of the strict level. */
class Strict : public Scene
{
public:
  Strict()
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.stop = BRIDGE_STOP_STRICT;
    EXPECT_STATUS(bridge_state_create(state.out(), &options, nullptr),
                  BRIDGE_OK);
  }

  bridge_status play() override
  {
    Held<bridge_error> error;
    return judge(bridge_state_run(state, kScript, std::strlen(kScript), "=box",
                                  nullptr, nullptr, error.out()),
                 error);
  }

private:
  Held<bridge_state> state;
  static constexpr const char *kScript = R"lua(
    local long = ("x"):rep(3000, "-")
    assert(#long == 5999 and long:gsub("x", "%0%0"):find("xx%-xx") == 1)
    assert(long:gsub("(x)%-", function(x) return x end) == ("x"):rep(3000))
    assert(("k=v"):gsub("%w", { k = "v" }) == "v=v")
    local words = {}
    for key, value in ("a=1, b=2"):gmatch "(%w+)=(%w+)" do
      words[#words + 1] = key .. value
    end
    assert(table.concat(words, long):match "^a1.*b2$")
    local list = {}
    for i = 1, 200 do table.insert(list, 1, (i * 7) % 200) end
    table.sort(list, function(a, b) return a > b end)
    assert(list[1] == 199 and table.remove(list, 1) == 199)
    assert(select("#", table.unpack(table.move(list, 1, 199, 2))) == 200)
    for key in pairs { one = 1 } do assert(tostring(key) == "one") end
    local good, text = pcall(setmetatable, {}, { __gc = print })
    assert(not good and (text:find "__gc" or text:find "memory"), text)
    local wrapped = coroutine.wrap(function(n)
      coroutine.yield(("%d"):format(n))
    end)
    assert(wrapped(7) == "7")
  )lua";
};

/* A script is stopped, by a limit of time, whatever there is no memory for. */
class Stopped : public Scene
{
public:
  Stopped()
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.stop = BRIDGE_STOP_STRICT;
    options.run.timeout_ms = TESTS_SANITIZED ? 30 : 3;
    EXPECT_STATUS(bridge_state_create(state.out(), &options, nullptr),
                  BRIDGE_OK);
    lua_State *main = nullptr;
    EXPECT_STATUS(bridge_state_enter(state, kLong, &main), BRIDGE_OK);
    routine = lua_newthread(main); /* stays on the stack */
    EXPECT_STATUS(bridge_state_leave(state), BRIDGE_OK);
  }

  bridge_status play() override
  {
    EXPECT_STATUS(bridge_state_cancel(state, BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_EEMPTY);
    EXPECT_STATUS(bridge_set_stop_signal(SIGURG), BRIDGE_EBUSY);
    TRY(resume());
    Held<bridge_error> error;
    bridge_status status =
        bridge_state_run(state, kScript, std::strlen(kScript), "=box", nullptr,
                         nullptr, error.out());
    if (status == BRIDGE_OK) {
      return BRIDGE_EINVAL; /* it cannot end by itself */
    }
    return status == BRIDGE_ETIMEDOUT ? BRIDGE_OK : judge(status, error);
  }

private:
  /* What ends in time is not stopped. */
  bridge_status resume()
  {
    Held<bridge_error> error;
    lua_State *main = nullptr;
    TRY(bridge_state_enter(state, kLong, &main));
    const bridge_limits none = {}; /* 3 ms may be over before it begins */
    EXPECT_STATUS(bridge_state_set_limits(state, &none), BRIDGE_OK);
    lua_resetthread(routine);
    lua_settop(routine, 0);            /* what it died of */
    lua_pushcfunction(routine, twice); /* takes no memory */
    lua_pushinteger(routine, 21);
    int results = 0;
    bridge_status status =
        bridge_state_resume(state, routine, 1, &results, error.out());
    if (status == BRIDGE_OK) {
      EXPECT_EQ(results, 1);
      EXPECT_EQ(lua_tointeger(routine, -1), 42);
    }
    EXPECT_STATUS(bridge_state_set_limits(state, nullptr), BRIDGE_OK);
    EXPECT_STATUS(bridge_state_leave(state), BRIDGE_OK);
    return judge(status, error);
  }

  Held<bridge_state> state;
  lua_State *routine = nullptr;
  static constexpr const char *kScript = R"lua(
    local routine = coroutine.wrap(function()
      local list <const> = { "a", {}, function() end }
      pcall(table.concat, list, ("x"):rep(2000))
      while true do end
    end)
    while true do pcall(routine) end
  )lua";
};

/* A host that holds the state, and uses it by Lua's own functions. */
class Within : public WithState
{
public:
  Within()
  {
    lua_State *main = nullptr;
    EXPECT_STATUS(bridge_state_enter(state, kLong, &main), BRIDGE_OK);
    routine = lua_newthread(main);
    EXPECT_STATUS(bridge_state_leave(state), BRIDGE_OK);
  }

  bridge_status play() override
  {
    lua_State *main = nullptr;
    TRY(bridge_state_enter(state, kLong, &main));
    bridge_status status = succeed();
    empty();
    if (status == BRIDGE_OK) {
      status = fail();
      empty();
    }
    EXPECT_STATUS(bridge_state_leave(state), BRIDGE_OK);
    return status;
  }

private:
  lua_State *routine = nullptr;

  void empty()
  {
    lua_resetthread(routine);
    lua_settop(routine, 0); /* of what it died of */
  }

  bridge_status load(const char *source)
  {
    Held<bridge_error> error;
    bridge_status status = bridge_state_load(
        state, routine, source, std::strlen(source), "=within", error.out());
    EXPECT_EQ(lua_gettop(routine), status == BRIDGE_OK ? 1 : 0);
    return judge(status, error);
  }

  bridge_status succeed()
  {
    TRY(load("local a, b = ... return b, { a, ('x'):rep(5000) }"));
    Held<bridge_message> m;
    Held<bridge_error> error;
    int count = 0;
    TRY(number(m.out(), 7));
    TRY(write_containers(m));
    TRY(judge(bridge_state_push(state, routine, m, &count, error.out()),
              error));
    EXPECT_EQ(lua_gettop(routine), 3);
    int code = lua_resume(routine, nullptr, count, &count);
    if (code != LUA_OK) {
      Held<bridge_error> cause;
      return judge(bridge_state_failure(state, routine, code, cause.out()),
                   cause);
    }
    EXPECT_EQ(count, 2);
    return judge(bridge_state_pack(state, routine, 1, 2, m, error.out()),
                 error);
  }

  /* It may be told in part, but is told. */
  bridge_status fail()
  {
    TRY(load("local function f() error { 'value' } end f()"));
    int count = 0;
    int code = lua_resume(routine, nullptr, 0, &count);
    Held<bridge_error> error;
    bridge_status status =
        bridge_state_failure(state, routine, code, error.out());
    bool whole = status == BRIDGE_ESCRIPT && error != nullptr &&
                 bridge_error_value(error) != nullptr &&
                 bridge_error_frame_count(error) >= 2 &&
                 bridge_error_traceback(error)[0] != '\0';
    if (status != BRIDGE_ESCRIPT) {
      EXPECT_STATUS(status, BRIDGE_ENOMEM);
    }
    return whole ? BRIDGE_OK : BRIDGE_ENOMEM;
  }
};

/* A main program on a coroutine, which an interrupt ends. */
class Called : public WithState
{
public:
  bridge_status play() override
  {
    lua_State *main = nullptr;
    TRY(bridge_state_enter(state, kLong, &main));
    lua_State *routine = thread(main);
    bridge_status status = routine == nullptr ? BRIDGE_ENOMEM : call(routine);
    EXPECT_STATUS(
        bridge_state_interrupt(state, BRIDGE_INTERRUPT_CLEAR, nullptr),
        BRIDGE_OK);
    if (routine != nullptr) {
      lua_resetthread(routine);
    }
    lua_settop(main, 0);
    EXPECT_STATUS(bridge_state_leave(state), BRIDGE_OK);
    return status;
  }

private:
  static int make(lua_State *L)
  {
    lua_newthread(L);
    return 1;
  }

  static lua_State *thread(lua_State *main)
  {
    lua_pushcfunction(main, make);
    return lua_pcall(main, 0, 1, 0) == LUA_OK ? lua_tothread(main, -1)
                                              : nullptr;
  }

  bridge_status load(lua_State *routine, const char *source)
  {
    Held<bridge_error> error;
    return judge(bridge_state_load(state, routine, source, std::strlen(source),
                                   "=called", error.out()),
                 error);
  }

  bridge_status call(lua_State *routine)
  {
    Held<bridge_error> error;
    int count = 0;
    TRY(load(routine, "local _, main = coroutine.running() return main"));
    TRY(judge(bridge_state_call(state, routine, 0, &count, error.out()),
              error));
    EXPECT_TRUE(count == 1 && lua_toboolean(routine, -1) != 0);
    lua_settop(routine, 0);
    TRY(load(routine, "while true do end"));
    TRY(bridge_state_interrupt(state, BRIDGE_INTERRUPT_ONCE, "interrupted"));
    bridge_status status =
        bridge_state_call(state, routine, 0, &count, error.out());
    bool whole = status == BRIDGE_ESCRIPT && error != nullptr &&
                 std::string(bridge_error_text(error, nullptr)) ==
                     "called:1: interrupted";
    return whole ? BRIDGE_OK : BRIDGE_ENOMEM;
  }
};

/* A state that lives as long as its chunk. */
class Chunk : public Scene
{
public:
  bridge_status play() override
  {
    bridge_chunk chunk;
    bridge_chunk_init(&chunk);
    chunk.source = "return ..., { ('x'):rep(5000) }";
    bridge_status status = number(&chunk.arguments, 7);
    if (status == BRIDGE_OK) {
      status = (bridge_status)(intptr_t)bridge_run_chunk(&chunk);
      EXPECT_EQ(chunk.arguments, nullptr);
      EXPECT_EQ(chunk.results != nullptr, status == BRIDGE_OK);
    }
    if (status == BRIDGE_ESCRIPT) { /* it raised "not enough memory" */
      status = BRIDGE_ENOMEM;
    }
    bridge_chunk_clear(&chunk);
    return status;
  }
};

/* The module is opened for them, and a script that never asked for it finds
   their methods complete, also when opening failed before. */
class Handles : public WithState
{
public:
  bridge_status play() override
  {
    Held<bridge_message> arguments;
    Held<bridge_buffer> buffer;
    Held<bridge_queue> queue;
    Held<bridge_waker> waker;
    Held<bridge_error> error;
    TRY(bridge_buffer_create(buffer.out(), 8));
    TRY(bridge_queue_create(queue.out(), nullptr));
    TRY(bridge_waker_create(waker.out(), BRIDGE_WAKER_CONDITION));
    TRY(bridge_message_create(arguments.out(), 0));
    TRY(bridge_message_write_buffer(arguments, buffer));
    TRY(write(arguments, BRIDGE_HANDLE_QUEUE, queue));
    TRY(write(arguments, BRIDGE_HANDLE_WAKER, waker));
    return judge(run(kScript, arguments.out(), nullptr, error.out()), error);
  }

private:
  template <typename T>
  static bridge_status write(bridge_message *m,
                             bridge_handle_kind kind,
                             T &held)
  {
    return bridge_message_write_handle(m, kind, *held.out());
  }

  static constexpr const char *kScript = R"lua(
    local buffer, queue, waker = ...
    assert(#buffer == 8 and queue:push("in", buffer, waker))
    for word, again, same in queue:values() do
      assert(word == "in" and again == buffer and same == waker)
      queue:close()
    end
    assert(buffer:unpack "i4" == 0 and waker:kind() == "condition")
    assert(waker:raise() and waker:wait(20))
  )lua";
};

/* ---- Workers ---- */

const char *const kService = R"lua(
  local bridge = require "bridge"
  local first = ...
  return bridge.serve {
    first = function() return first end,
    echo = function(...) return ... end,
    fail = function(value) error { value } end,
    wait = function() assert(bridge.sleep(0.001)) return bridge.self() ~= nil end,
    ask = function(worker, ...) return worker:call("echo", ...) end,
  }
)lua";

bridge_status request(bridge_message **out, const char *name, int64_t value)
{
  Held<bridge_message> m;
  TRY(bridge_message_create(m.out(), 0));
  TRY(bridge_message_write_string(m, name, std::strlen(name)));
  TRY(bridge_message_write_integer(m, value));
  *out = m;
  *m.out() = nullptr;
  return BRIDGE_OK;
}

bridge_status start(bridge_worker **out,
                    const char *source,
                    bridge_drive drive,
                    bridge_error **error)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.drive = drive;
  Held<bridge_message> arguments;
  TRY(number(arguments.out(), 5));
  return bridge_worker_create(out, &options, arguments.out(), error);
}

/* Before that its chunk may fail for lack of memory. */
bool serves(const bridge_worker *worker)
{
  return fault::soon([worker] {
    return bridge_worker_phase_of(worker) == BRIDGE_WORKER_SERVING;
  });
}

/* Ends a worker also where nothing can be allocated. */
class Worker : public Held<bridge_worker>
{
public:
  ~Worker()
  {
    end();
  }
  void end()
  {
    if (*this != nullptr) {
      EXPECT_STATUS(bridge_worker_close(*this, kLong), BRIDGE_OK);
      drop();
    }
  }
};

/* From its creation to its results. */
class Life : public Scene
{
public:
  bridge_status play() override
  {
    Worker worker;
    Held<bridge_error> error;
    Held<bridge_message> results;
    TRY(start(worker.out(), "return ..., { 'results' }", BRIDGE_DRIVE_THREAD,
              error.out()));
    EXPECT_NE(bridge_worker_name(worker)[0], '\0');
    EXPECT_NE(bridge_worker_id(worker), 0u);
    bridge_worker_release(bridge_worker_retain(worker));
    error.drop();
    bridge_status status =
        bridge_worker_join(worker, kLong, results.out(), error.out());
    EXPECT_EQ(bridge_worker_phase_of(worker), BRIDGE_WORKER_ENDED);
    size_t used = 1;
    EXPECT_STATUS(bridge_worker_memory(worker, &used, nullptr, nullptr),
                  BRIDGE_OK);
    EXPECT_EQ(used, 0u);
    return judge(status, error);
  }
};

class Chunks : public Scene
{
public:
  Chunks()
      : name("chunk" + std::to_string(getpid())),
        path(testing::TempDir() + name), class_path(path + ".lua")
  {
    std::ofstream(path) << "#!shell\nlocal a = ...\nreturn a, 'file'\n";
    std::ofstream(class_path) << "return {__bridge_name = 'class',\n"
                                 "  __bridge_unpack = function() return {} "
                                 "end}\n";
  }
  ~Chunks() override
  {
    std::remove(path.c_str());
    std::remove(class_path.c_str());
  }

  bridge_status play() override
  {
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.drive = BRIDGE_DRIVE_HOST;
    options.file = path.c_str();
    Held<bridge_message> none;
    TRY(run(options, none.out()));
    options.file = nullptr;
    Held<bridge_message> function;
    TRY(make(function.out()));
    TRY(run(options, function.out()));
    return run_with_object(options);
  }

private:
  std::string name;
  std::string path;
  std::string class_path;

  /* Which the worker makes, with a class that it has to require. */
  bridge_status run_with_object(bridge_worker_options options)
  {
    const std::string templates = testing::TempDir() + "?.lua";
    bridge_state_options state;
    bridge_state_options_init(&state);
    state.path = templates.c_str();
    options.state = &state;
    options.source = "return ...";
    Held<bridge_message> object;
    TRY(bridge_message_create(object.out(), 0));
    TRY(bridge_message_begin_object(object, BRIDGE_TYPE_OBJECT, 0));
    TRY(bridge_message_write_string(object, "class", 5));
    TRY(bridge_message_write_string(object, name.data(), name.size()));
    TRY(bridge_message_end(object));
    return run(options, object.out());
  }

  bridge_status run(const bridge_worker_options &options,
                    bridge_message **arguments)
  {
    Held<bridge_worker> worker;
    Held<bridge_error> error;
    TRY(bridge_worker_create(worker.out(), &options, arguments, error.out()));
    EXPECT_STATUS(bridge_worker_step(worker, 0), BRIDGE_ECLOSED);
    error.drop();
    return judge(bridge_worker_join(worker, 0, nullptr, error.out()), error);
  }

  /* A function of Lua, which becomes the chunk. */
  bridge_status make(bridge_message **out)
  {
    const char source[] = "local up = 1 return function() return up end";
    Held<bridge_state> state;
    Held<bridge_error> error;
    TRY(bridge_state_create(state.out(), nullptr, error.out()));
    return judge(bridge_state_run(state, source, sizeof source - 1, "=make",
                                  nullptr, out, error.out()),
                 error);
  }
};

/* One that answers; made in peace, and never to be lost by lack of memory. */
class WithService : public Scene
{
protected:
  WithService()
  {
    bridge_error *error = nullptr;
    EXPECT_STATUS(start(worker.out(), kService, BRIDGE_DRIVE_THREAD, &error),
                  BRIDGE_OK);
    bridge_queue *queue = nullptr;
    EXPECT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
    *answers.out() = queue;
    EXPECT_TRUE(serves(worker));
  }

  bridge_status call(const char *name)
  {
    Held<bridge_message> asked;
    Held<bridge_message> answer;
    Held<bridge_error> error;
    TRY(request(asked.out(), name, 8));
    bridge_status status = bridge_worker_call(worker, asked.out(), kLong,
                                              answer.out(), error.out());
    EXPECT_NE(status, BRIDGE_ETIMEDOUT);
    EXPECT_NE(status, BRIDGE_EDEAD);
    bool failed = status == BRIDGE_ESCRIPT && std::string(name) == "fail";
    return failed ? BRIDGE_OK : judge(status, error);
  }

  Worker worker;
  Held<bridge_queue> answers;
};

class Calls : public WithService
{
public:
  bridge_status play() override
  {
    TRY(call("echo"));
    TRY(call("fail"));
    TRY(call("wait"));
    Held<bridge_message> sent;
    TRY(request(sent.out(), "echo", 1));
    return bridge_worker_send(worker, sent.out(), kLong);
  }
};

/* A request that was taken is answered, whatever there is no memory for. */
class Requests : public WithService
{
public:
  bridge_status play() override
  {
    Held<bridge_message> asked;
    TRY(request(asked.out(), "echo", 1));
    TRY(bridge_worker_request_within(worker, asked.out(), kLong, kLong, answers,
                                     77));
    Held<bridge_message> answer;
    bridge_status status = bridge_queue_pop(answers, answer.out(), kLong);
    EXPECT_STATUS(status, BRIDGE_OK);
    TRY(status);
    uint64_t session = 0;
    EXPECT_STATUS(bridge_answer_session(answer, &session), BRIDGE_OK);
    EXPECT_EQ(session, 77u);
    const bridge_error *error = nullptr;
    status = bridge_answer_error(answer, &error);
    TRY(judge(status, error));
    TRY(bridge_worker_notify(worker, answers, 78));
    TRY(bridge_worker_withdraw(worker, answers, 78));
    return bridge_worker_withdraw(worker, answers, 77);
  }
};

/* Asked by another worker, which waits for the answer in a coroutine. */
class Relays : public WithService
{
public:
  Relays()
  {
    EXPECT_STATUS(start(relay.out(), kService, BRIDGE_DRIVE_THREAD, nullptr),
                  BRIDGE_OK);
    EXPECT_TRUE(serves(relay));
  }

  bridge_status play() override
  {
    Held<bridge_message> asked;
    Held<bridge_message> answer;
    Held<bridge_error> error;
    TRY(bridge_message_create(asked.out(), 0));
    TRY(bridge_message_write_string(asked, "ask", 3));
    TRY(bridge_message_write_handle(asked, BRIDGE_HANDLE_WORKER,
                                    static_cast<bridge_worker *>(worker)));
    TRY(bridge_message_write_integer(asked, 9));
    TRY(judge(bridge_worker_call(relay, asked.out(), kLong, answer.out(),
                                 error.out()),
              error));
    /* What the other's failure was, as the script passes it on. */
    std::string text = show(answer);
    bool told = text.find("memory") != std::string::npos;
    if (text != "9" && !told) {
      ADD_FAILURE() << text;
    }
    return told ? BRIDGE_ENOMEM : BRIDGE_OK;
  }

private:
  Worker relay;
};

/* Driven by the host, and ended in the middle. */
class Stepped : public Scene
{
public:
  Stepped()
  {
    bridge_error *error = nullptr;
    EXPECT_STATUS(start(worker.out(), kService, BRIDGE_DRIVE_HOST, &error),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_step(worker, 0), BRIDGE_EEMPTY);
    EXPECT_STATUS(bridge_queue_create(answers.out(), nullptr), BRIDGE_OK);
  }

  bridge_status play() override
  {
    TRY(ask("first"));
    TRY(ask("echo"));
    EXPECT_EQ(bridge_worker_current(), nullptr);
    EXPECT_FALSE(bridge_worker_cancelled());
    return ask("wait");
  }

private:
  bridge_status ask(const char *name)
  {
    Held<bridge_message> asked;
    TRY(request(asked.out(), name, 1));
    TRY(bridge_worker_request(worker, asked.out(), 0, answers, 1));
    Held<bridge_message> answer;
    while (bridge_queue_pop(answers, answer.out(), 0) == BRIDGE_EEMPTY) {
      bridge_status status = bridge_worker_step(worker, 0);
      if (status == BRIDGE_EEMPTY) {
        int left = -1;
        EXPECT_STATUS(bridge_worker_timeout(worker, &left), BRIDGE_OK);
        if (left < 0 && bridge_queue_count(answers) == 0) {
          ADD_FAILURE() << name << " is not answered";
          return BRIDGE_ETIMEDOUT;
        }
        bridge_waker_wait(bridge_worker_waker(worker), left < 0 ? 0 : left);
      } else {
        EXPECT_STATUS(status, BRIDGE_OK);
        TRY(status);
      }
    }
    const bridge_error *error = nullptr;
    bridge_status status = bridge_answer_error(answer, &error);
    return judge(status, error);
  }

  /* It asked for itself, so that it has to be closed. */
  Worker worker;
  Held<bridge_queue> answers;
};

/* All that the module "bridge" has, used by a script. */
class Module : public WithState
{
public:
  Module()
  {
    EXPECT_STATUS(run("require 'bridge'", nullptr, nullptr, nullptr),
                  BRIDGE_OK);
    EXPECT_STATUS(start(service.out(), kService, BRIDGE_DRIVE_THREAD, nullptr),
                  BRIDGE_OK);
    EXPECT_TRUE(serves(service));
  }

  bridge_status play() override
  {
    Held<bridge_message> arguments;
    Held<bridge_error> error;
    TRY(bridge_message_create(arguments.out(), 0));
    TRY(bridge_message_write_handle(arguments, BRIDGE_HANDLE_WORKER,
                                    *service.out()));
    return judge(run(kScript, arguments.out(), nullptr, error.out()), error);
  }

private:
  Worker service;

  /* The workers that it makes end by themselves: one that is collected before
     it can be closed runs on. */
  static constexpr const char *kScript = R"lua(
    local service = ...
    local bridge = require "bridge"
    for _, kind in ipairs { "default", "eventfd", "pipe", "udp", "condition" } do
      local waker <close> = assert(bridge.waker(kind))
      assert(waker:raise()) assert(waker:wait(20)) assert(waker:clear())
    end
    local queue <close> = assert(bridge.queue { items = 8, waker = "pipe" })
    local other <close> = assert(bridge.queue())
    local buffer <close> = assert(bridge.buffer "bytes")
    assert(buffer:pack("i4", 1, 7) and buffer:unpack("i4") == 7)
    assert(queue:push(1, "two", { 3, buffer }, other, other:waker()))
    local one, two, three, four, five = queue:pop(0)
    if one == nil then error(two) end
    assert(one == 1 and two == "two" and three[2] == buffer and four == other)
    for i = 1, 5 do assert(other:push(i)) end
    local packed, text = other:pop_packed(0)
    if not packed then error(text) end
    local batch
    batch, text = other:pop_batch(2, 0)
    if not batch then error(text) end
    assert(#batch == 2)
    other:close()
    for _ in other:values() do end
    local good, wrong = pcall(bridge.queue, { items = 1 << 40 })
    assert(not good and (wrong:find "items" or wrong:find "memory"), wrong)
    local answer, why = service:call("echo", { 1, 2 }, queue)
    if answer == nil then error(why) end
    local failing <close>, trouble = bridge.worker "error { 'mine' }"
    if not failing then error(trouble) end
    local none, said, status, more = failing:join(20)
    assert(none == nil and (status == "ESCRIPT" or said:find "memory"), said)
  )lua";
};

/* Those who asked hear of it, whatever there is no memory for. */
class Ends : public Scene
{
public:
  bridge_status play() override
  {
    Worker worker;
    Held<bridge_queue> answers;
    Held<bridge_error> error;
    TRY(bridge_queue_create(answers.out(), nullptr));
    TRY(start(worker.out(), kDies, BRIDGE_DRIVE_THREAD, error.out()));
    int asked = 0;
    bridge_status status = BRIDGE_OK;
    for (int i = 0; i < 3 && status == BRIDGE_OK; i++) {
      Held<bridge_message> each;
      status = request(each.out(), "never", i);
      if (status == BRIDGE_OK) {
        status = bridge_worker_request(worker, each.out(), kLong, answers, 0);
        asked += status == BRIDGE_OK;
      }
    }
    EXPECT_STATUS(bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_stop(worker), BRIDGE_OK);
    for (int i = 0; i < asked; i++) {
      Held<bridge_message> answer;
      EXPECT_STATUS(bridge_queue_pop(answers, answer.out(), kLong), BRIDGE_OK);
      EXPECT_NE(bridge_answer_error(answer, nullptr), BRIDGE_OK);
    }
    /* It may have died for lack of memory before it was asked. */
    return status == BRIDGE_EDEAD ? BRIDGE_ENOMEM : status;
  }

private:
  static constexpr const char *kDies = R"lua(
    local bridge = require "bridge"
    bridge.serve { never = function() bridge.sleep(1e6) end }
  )lua";
};

/* What is told, and to whom. */
class Diary : public Scene
{
public:
  ~Diary() override
  {
    EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
    EXPECT_STATUS(bridge_set_log_level(BRIDGE_LOG_INFO), BRIDGE_OK);
  }

  bridge_status play() override
  {
    Held<bridge_queue> queue;
    TRY(bridge_queue_create(queue.out(), nullptr));
    TRY(bridge_set_logger(ignore, nullptr));
    EXPECT_STATUS(bridge_log(BRIDGE_LOG_ERROR, "heard", 5), BRIDGE_OK);
    TRY(bridge_set_log_queue(queue));
    EXPECT_STATUS(bridge_set_log_level(BRIDGE_LOG_DEBUG), BRIDGE_OK);
    EXPECT_STREQ(bridge_log_level_name(BRIDGE_LOG_DEBUG), "debug");
    EXPECT_STATUS(bridge_log(BRIDGE_LOG_DEBUG, "read", 4), BRIDGE_OK);
    Held<bridge_message> record;
    bridge_status status = bridge_queue_pop(queue, record.out(), 0);
    return status == BRIDGE_EEMPTY ? BRIDGE_ENOMEM : status;
  }

private:
  static void ignore(const bridge_log_record *record, void *)
  {
    EXPECT_EQ(bridge_error_cause(record->error), nullptr);
    EXPECT_STREQ(bridge_error_caller(record->error), "");
    EXPECT_STREQ(bridge_error_worker(record->error), "");
  }
};

/* Seen, held, and driven as a coroutine. */
class Watched : public WithService
{
public:
  ~Watched() override
  {
    EXPECT_STATUS(bridge_set_watchdog(0), BRIDGE_OK);
  }

  bridge_status play() override
  {
    look();
    Held<bridge_error> where;
    TRY(bridge_worker_traceback(worker, kLong, where.out()));
    EXPECT_STATUS(bridge_worker_pause(worker), BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_resume(worker), BRIDGE_OK);
    TRY(bridge_set_watchdog(1000000));
    return yield();
  }

private:
  void look()
  {
    size_t count = 0;
    bridge_worker *found[4];
    EXPECT_STATUS(bridge_workers(found, 4, &count), BRIDGE_OK);
    for (size_t i = 0; i < count && i < 4; i++) {
      bridge_worker_release(found[i]);
    }
    EXPECT_GE(count, 1u);
    bridge_worker *named = bridge_worker_find(bridge_worker_name(worker));
    bridge_worker *numbered = bridge_worker_find_id(bridge_worker_id(worker));
    EXPECT_EQ(named, numbered);
    bridge_worker_release(named);
    bridge_worker_release(numbered);
    bridge_worker_info info;
    bridge_worker_info_init(&info);
    EXPECT_STATUS(bridge_worker_look(worker, &info), BRIDGE_OK);
  }

  bridge_status yield()
  {
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.drive = BRIDGE_DRIVE_HOST;
    options.source = "require 'bridge'.yield(1, 2) "
                     "require 'bridge'.on_exit(function() end)";
    Held<bridge_worker> generator;
    Held<bridge_error> error;
    Held<bridge_message> values;
    TRY(bridge_worker_create(generator.out(), &options, nullptr, error.out()));
    bridge_status status = bridge_worker_next(generator, nullptr, kLong,
                                              values.out(), error.out());
    if (status != BRIDGE_ECLOSED) {
      return judge(status, error);
    }
    error.drop();
    return judge(bridge_worker_join(generator, 0, nullptr, error.out()), error);
  }
};

/* What has nothing to fail. */
class Rest : public Scene
{
public:
  bridge_status play() override
  {
    EXPECT_STREQ(bridge_version(), BRIDGE_VERSION);
    EXPECT_STREQ(bridge_status_name(BRIDGE_ENOMEM), "BRIDGE_ENOMEM");
    EXPECT_NE(bridge_status_text(BRIDGE_ENOMEM)[0], '\0');
    bridge_trim();
    bridge_allocator late = {1, fault::allocate, fault::resize, fault::release,
                             nullptr};
    EXPECT_STATUS(bridge_set_allocator(&late), BRIDGE_EALREADY);
    return BRIDGE_OK;
  }
};

/* ---- The play ---- */

struct Entry {
  const char *name;
  std::unique_ptr<Scene> (*make)();
  /* Only each so-many-th allocation fails where a sanitizer makes it slow. */
  int stride;
};

void PrintTo(const Entry &each, std::ostream *out)
{
  *out << each.name;
}

template <typename T> Entry entry(const char *name, int stride = 1)
{
  return {name, [] { return std::unique_ptr<Scene>(new T()); }, stride};
}

const Entry kEntries[] = {
    entry<Messages>("Messages"),
    entry<Readers>("Readers"),
    entry<Buffers>("Buffers"),
    entry<Wakers>("Wakers"),
    entry<Lists>("Lists"),
    entry<Queues>("Queues"),
    entry<Channels>("Channels"),
    entry<Selects>("Selects"),
    entry<Shared>("Shared"),
    entry<Listed>("Listed"),
    entry<Timers>("Timers"),
    entry<Threads>("Threads"),
    entry<StateOptions>("StateOptions", 7),
    entry<Bare>("Bare"),
    entry<Values>("Values", 7),
    entry<Within>("Within"),
    entry<Handles>("Handles", 7),
    entry<Called>("Called"),
    entry<Chunk>("Chunk"),
    entry<Failures>("Failures"),
    entry<Module>("Module", 23),
    entry<Life>("Life", 7),
    entry<Chunks>("Chunks", 23),
    entry<Calls>("Calls", 5),
    entry<Requests>("Requests"),
    entry<Relays>("Relays", 7),
    entry<Stepped>("Stepped", 5),
    entry<Ends>("Ends", 23),
    entry<Rest>("Rest"),
    entry<Sandboxed>("Sandboxed", 23),
    entry<Strict>("Strict", 7),
    entry<Stopped>("Stopped", 7),
    entry<Diary>("Diary"),
    entry<Watched>("Watched", 7),
};

class OutOfMemory : public testing::TestWithParam<Entry>
{
protected:
  void SetUp() override
  {
    ASSERT_STATUS(metered, BRIDGE_OK);
    alarm(110);
  }

  /* With the n-th allocation failing; whether there were so many. */
  bool play(long number, bool ever)
  {
    bridge_trim();
    long before = fault::live;
    std::unique_ptr<Scene> scene = GetParam().make();
    fault::memory.arm(number, ever);
    bridge_status status = scene->play();
    bool failed = fault::memory.disarm();
    if (status != BRIDGE_OK) {
      EXPECT_STATUS(status, BRIDGE_ENOMEM) << "allocation " << number;
      EXPECT_TRUE(failed) << "allocation " << number;
    }
    if (failed) {
      EXPECT_STATUS(scene->play(), BRIDGE_OK)
          << "after " << number << ": " << scene->said;
    }
    scene.reset();
    EXPECT_TRUE(fault::given_back(before)) << "allocation " << number;
    return failed;
  }

  long sweep(bool ever)
  {
    const long stride = TESTS_SANITIZED ? GetParam().stride : 1;
    long number = 1;
    while (play(number, ever) && !HasFailure()) {
      number += stride;
    }
    return number - 1;
  }
};

TEST_P(OutOfMemory, OnceLosesNothing)
{
  RecordProperty("allocations", int(sweep(false)));
}

TEST_P(OutOfMemory, ForEverLosesNothing)
{
  RecordProperty("allocations", int(sweep(true)));
}

INSTANTIATE_TEST_SUITE_P(Every,
                         OutOfMemory,
                         testing::ValuesIn(kEntries),
                         [](const auto &each) {
                           return std::string(each.param.name);
                         });

} // namespace
