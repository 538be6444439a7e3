/* A fork, and an exec, in the middle of everything: the child is told, can go on
   with objects of its own and end; the parent notices nothing. */
#include "fault.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace
{
bool in_child;
}

/* A child drops what is its parent's, and leaves the rest of it alone: that is no
   leak. */
extern "C" int __lsan_is_turned_off()
{
  return in_child;
}

namespace
{

using fault::Held;

const int kLong = 20000;

const char *const kEcho = "return require 'bridge'.serve {"
                          " echo = function(...) return ... end }";

/* ---- A busy parent ---- */

void make_worker(bridge_worker **out, const char *source, bridge_drive drive)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.drive = drive;
  EXPECT_STATUS(bridge_worker_create(out, &options, nullptr, nullptr),
                BRIDGE_OK);
}

void start_timer(bridge_timer **out, bridge_channel *channel, int64_t first_ns)
{
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  options.channel = channel;
  options.first_ns = first_ns;
  bridge_message *m = message("tick");
  EXPECT_STATUS(bridge_timer_create(out, &options, &m), BRIDGE_OK);
  bridge_message_release(m);
}

bridge_status ask(bridge_worker *worker)
{
  bridge_message *request = message("echo", 1);
  bridge_message *answer = nullptr;
  bridge_status status =
      bridge_worker_call(worker, &request, kLong, &answer, nullptr);
  bridge_message_release(request);
  bridge_message_release(answer);
  return status;
}

/* One of each, at rest: the allocators of sanitizers do not survive a fork while
   another thread is in them. */
struct World {
  World()
  {
    EXPECT_STATUS(bridge_waker_create(waker.out(), BRIDGE_WAKER_EVENTFD),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_waker_create(pipe.out(), BRIDGE_WAKER_PIPE),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_waker_create(udp.out(), BRIDGE_WAKER_UDP), BRIDGE_OK);
    EXPECT_STATUS(bridge_waker_create(sleep.out(), BRIDGE_WAKER_CONDITION),
                  BRIDGE_OK);
    bridge_queue_options options;
    bridge_queue_options_init(&options);
    options.items = 4;
    options.waker_kind = BRIDGE_WAKER_EVENTFD;
    EXPECT_STATUS(bridge_queue_create(queue.out(), &options), BRIDGE_OK);
    EXPECT_STATUS(bridge_channel_create(channel.out(), nullptr), BRIDGE_OK);
    EXPECT_STATUS(bridge_counter_create(counter.out(), 7), BRIDGE_OK);
    EXPECT_STATUS(bridge_flag_create(flag.out(), false), BRIDGE_OK);
    EXPECT_STATUS(bridge_mutex_create(mutex.out()), BRIDGE_OK);
    EXPECT_STATUS(bridge_mutex_lock(mutex, -1, nullptr), BRIDGE_OK);
    start_timer(timer.out(), channel, INT64_MAX);
    make_worker(worker.out(), kEcho, BRIDGE_DRIVE_THREAD);
    make_worker(hosted.out(), kEcho, BRIDGE_DRIVE_HOST);
    EXPECT_STATUS(bridge_state_create(state.out(), nullptr, nullptr),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_thread_create(thread.out(), wait, this, nullptr),
                  BRIDGE_OK);
    EXPECT_STATUS(ask(worker), BRIDGE_OK);
    EXPECT_TRUE(fault::soon([this] { return waiting.load(); }));
  }

  ~World()
  {
    EXPECT_STATUS(bridge_waker_raise(sleep), BRIDGE_OK);
    EXPECT_STATUS(bridge_thread_join(thread, kLong), BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_close(worker, kLong), BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_close(hosted, kLong), BRIDGE_OK);
    EXPECT_STATUS(bridge_timer_cancel(timer), BRIDGE_OK);
    EXPECT_STATUS(bridge_mutex_unlock(mutex), BRIDGE_OK);
  }

  static void wait(void *user)
  {
    auto *world = static_cast<World *>(user);
    world->waiting = true;
    bridge_waker_wait(world->sleep, -1);
  }

  std::atomic<bool> waiting{false};

  Held<bridge_waker> waker;
  Held<bridge_waker> pipe;
  Held<bridge_waker> udp;
  Held<bridge_waker> sleep;
  Held<bridge_queue> queue;
  Held<bridge_channel> channel;
  Held<bridge_counter> counter;
  Held<bridge_flag> flag;
  Held<bridge_mutex> mutex;
  Held<bridge_timer> timer;
  Held<bridge_worker> worker;
  Held<bridge_worker> hosted;
  Held<bridge_state> state;
  Held<bridge_thread> thread;
};

bridge_status open_module()
{
  const std::string source = "local q <close> = require 'bridge'.queue() "
                             "q:push { 1, 2 } assert(#q:pop(0) == 2)";
  Held<bridge_state> state;
  TRY(bridge_state_create(state.out(), nullptr, nullptr));
  return bridge_state_run(state, source.data(), source.size(), "=module",
                          nullptr, nullptr, nullptr);
}

/* Threads that never rest: a fork finds them in the middle of any call. */
class Bustle
{
public:
  explicit Bustle(World &world) : w(world)
  {
    add([this] { bridge_message_release(pop()); });
    add([this] {
      bridge_message *m = message(1, "two");
      bridge_queue_push_timeout(w.queue, &m, 1);
      bridge_message_release(m);
    });
    add([this] { EXPECT_STATUS(ask(w.worker), BRIDGE_OK); });
    add([this] {
      Held<bridge_message> out;
      Held<bridge_timer> timer;
      start_timer(timer.out(), w.channel, 1000);
      EXPECT_STATUS(bridge_channel_receive(w.channel, out.out(), kLong),
                    BRIDGE_OK);
    });
    add([] { EXPECT_STATUS(open_module(), BRIDGE_OK); });
    add([] {
      Held<bridge_worker> each;
      make_worker(each.out(), "return 1", BRIDGE_DRIVE_THREAD);
      EXPECT_STATUS(bridge_worker_join(each, kLong, nullptr, nullptr),
                    BRIDGE_OK);
      bridge_trim();
    });
  }
  ~Bustle()
  {
    stop = true;
    for (std::thread &thread : threads) {
      thread.join();
    }
  }

private:
  bridge_message *pop()
  {
    bridge_message *m = nullptr;
    bridge_queue_pop(w.queue, &m, 1);
    return m;
  }

  void add(const std::function<void()> &work)
  {
    threads.emplace_back([this, work] {
      while (!stop) {
        work();
      }
    });
  }

  World &w;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
};

/* ---- The child ---- */

/* The calls that belong to the parent; how many were not refused. */
int unrefused(World &w)
{
  bridge_message *m = message("echo");
  bridge_message *out = nullptr;
  lua_State *L = nullptr;
  size_t count = 0;
  int file = -1;
  const bridge_select_item item = {BRIDGE_HANDLE_CHANNEL, w.channel};
  const bridge_status got[] = {
      bridge_waker_raise(w.waker),
      bridge_waker_clear(w.pipe),
      bridge_waker_wait(w.udp, 0),
      bridge_waker_wait(w.sleep, -1),
      bridge_waker_fileno(w.udp, &file),
      bridge_queue_push(w.queue, &m),
      bridge_queue_push_timeout(w.queue, &m, -1),
      bridge_queue_push_batch(w.queue, &m, 1, &count),
      bridge_queue_pop(w.queue, &out, -1),
      bridge_queue_pop_batch(w.queue, &out, 1, &count, -1),
      bridge_queue_unpop(w.queue, &m),
      bridge_queue_close(w.queue),
      bridge_queue_peek(w.queue, &out),
      bridge_channel_send(w.channel, &m),
      bridge_channel_send_timeout(w.channel, &m, -1),
      bridge_channel_receive(w.channel, &out, -1),
      bridge_channel_receive_batch(w.channel, &out, 1, &count, -1),
      bridge_channel_unreceive(w.channel, &m),
      bridge_channel_peek(w.channel, &out),
      bridge_channel_clear(w.channel, &count),
      bridge_channel_set_limit(w.channel, 1, 1),
      bridge_channel_limit(w.channel, &count, nullptr),
      bridge_channel_wake(w.channel),
      bridge_channel_close(w.channel, BRIDGE_CHANNEL_SENDING),
      bridge_select(&item, 1, -1, &count, &out),
      bridge_counter_set(w.counter, 1, nullptr),
      bridge_counter_add(w.counter, 1, nullptr),
      bridge_counter_wait(w.counter, BRIDGE_EQUAL, 1, -1, nullptr),
      bridge_flag_set(w.flag),
      bridge_flag_clear(w.flag),
      bridge_flag_wait(w.flag, -1),
      bridge_mutex_lock(w.mutex, -1, nullptr),
      bridge_mutex_unlock(w.mutex),
      bridge_mutex_abandon(w.mutex),
      bridge_timer_cancel(w.timer),
      bridge_worker_call(w.worker, &m, -1, nullptr, nullptr),
      bridge_worker_send(w.worker, &m, -1),
      bridge_worker_request(w.worker, &m, -1, w.queue, 1),
      bridge_worker_join(w.worker, -1, nullptr, nullptr),
      bridge_worker_stop(w.worker),
      bridge_worker_cancel(w.worker, BRIDGE_STOP_DEFAULT, 0),
      bridge_worker_close(w.worker, -1),
      bridge_worker_step(w.hosted, 0),
      bridge_worker_close(w.hosted, -1),
      bridge_state_enter(w.state, -1, &L),
      bridge_state_run(w.state, "", 0, nullptr, nullptr, nullptr, nullptr),
      bridge_thread_join(w.thread, -1),
      bridge_thread_detach(w.thread),
  };
  int wrong = 0;
  for (bridge_status status : got) {
    if (status != BRIDGE_EFORKED) {
      fprintf(stderr, "call %d says %s\n", int(&status - got),
              bridge_status_name(status));
      wrong++;
    }
  }
  bridge_message_release(m);
  return wrong;
}

void release_all(World &w)
{
  w.waker.drop();
  w.pipe.drop();
  w.udp.drop();
  w.sleep.drop();
  w.queue.drop();
  w.channel.drop();
  w.counter.drop();
  w.flag.drop();
  w.mutex.drop();
  w.timer.drop();
  w.worker.drop();
  w.hosted.drop();
  w.state.drop();
  w.thread.drop();
}

/* ThreadSanitizer allows no threads in the child of a process that has some. */
#if defined(__SANITIZE_THREAD__)
const bridge_drive kDrive = BRIDGE_DRIVE_HOST;
#else
const bridge_drive kDrive = BRIDGE_DRIVE_THREAD;
#endif

/* A timer of the child's own, whose parent had some. */
bool ticks()
{
  Held<bridge_channel> own;
  Held<bridge_timer> timer;
  Held<bridge_message> tick;
  if (kDrive == BRIDGE_DRIVE_HOST) {
    return true;
  }
  return bridge_channel_create(own.out(), nullptr) == BRIDGE_OK &&
         (start_timer(timer.out(), own, 1000), true) &&
         bridge_channel_receive(own, tick.out(), kLong) == BRIDGE_OK;
}

bool works()
{
  Held<bridge_worker> own;
  make_worker(own.out(), "return require 'bridge'.cores()", kDrive);
  if (kDrive == BRIDGE_DRIVE_HOST &&
      bridge_worker_step(own, 0) != BRIDGE_ECLOSED) {
    return false;
  }
  bridge_status status = bridge_worker_join(own, kLong, nullptr, nullptr);
  return status == BRIDGE_OK && open_module() == BRIDGE_OK;
}

/* 0 for good. */
int live_on(World &w)
{
  in_child = true;
  alarm(30);
  if (unrefused(w) != 0) {
    return 2;
  }
  release_all(w);
  if (!works()) {
    return 3;
  }
  if (!ticks()) {
    return 4;
  }
  bridge_trim();
  return 0;
}

void expect_good(pid_t child)
{
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* By exit the child also runs what was registered for the end. */
void fork_one(World &w, bool by_exit)
{
  pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child != 0) {
    expect_good(child);
    return;
  }
  int code = live_on(w);
  if (by_exit) {
    std::exit(code);
  }
  _exit(code);
}

/* ---- Forks ---- */

class Fork : public fault::Bounded
{
};

TEST_F(Fork, OfAQuietProcessTellsTheChild)
{
  World world;
  for (bool by_exit : {false, true}) {
    fork_one(world, by_exit);
    EXPECT_STATUS(ask(world.worker), BRIDGE_OK);
    EXPECT_STATUS(bridge_waker_wait(world.waker, 0), BRIDGE_ETIMEDOUT)
        << "the child woke its parent";
  }
}

TEST_F(Fork, OfABusyProcessTellsTheChild)
{
  World world;
  if (TESTS_SANITIZED) {
    fork_one(world, false);
    return;
  }
  Bustle bustle(world);
  for (int i = 0; i < 60 && !HasFailure(); i++) {
    fork_one(world, i % 2 == 0);
  }
}

/* The child of one thread, while another one forks too. */
TEST_F(Fork, FromThreadsTellsTheirChildren)
{
  World world;
  const int rounds = TESTS_SANITIZED ? 1 : 15;
  std::vector<std::thread> forkers;
  for (int t = 0; t < (TESTS_SANITIZED ? 1 : 3); t++) {
    forkers.emplace_back([&world, rounds] {
      for (int i = 0; i < rounds && !HasFailure(); i++) {
        fork_one(world, false);
      }
    });
  }
  for (std::thread &each : forkers) {
    each.join();
  }
  EXPECT_STATUS(ask(world.worker), BRIDGE_OK);
}

/* A child in its turn is a parent. */
TEST_F(Fork, OfAChildIsRefusedLikewise)
{
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the child has a world of its own, with threads";
#endif
  World world;
  pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    alarm(60);
    if (unrefused(world) != 0 || !works()) {
      _exit(2);
    }
    World own;
    pid_t grandchild = fork();
    if (grandchild == 0) {
      alarm(30);
      _exit(unrefused(world) + live_on(own));
    }
    int status = 0;
    waitpid(grandchild, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 4);
  }
  expect_good(child);
}

/* ---- Forks from within ---- */

std::atomic<pid_t> forked{0};

int lua_fork(lua_State *L)
{
  forked = fork();
  if (forked == 0) {
    alarm(30); /* it does not inherit its parent's */
  }
  lua_pushinteger(L, forked);
  return 1;
}

int open_fork(lua_State *L)
{
  lua_pushcfunction(L, lua_fork);
  return 1;
}

const bridge_module kForkModule = {"fork", open_fork};

/* A script forks; the child comes back through the call of the parent's object
   that it is in, which must not wait for what is not there. */
template <typename Call> void fork_within(Call call)
{
  forked = 0;
  bool good = call();
  if (forked == 0) {
    _exit(good && works() ? 0 : 1);
  }
  EXPECT_TRUE(good);
  expect_good(forked);
}

TEST_F(Fork, InAScriptOfAStateEndsBothCalls)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.modules = &kForkModule;
  options.module_count = 1;
  Held<bridge_state> state;
  ASSERT_STATUS(bridge_state_create(state.out(), &options, nullptr), BRIDGE_OK);
  fork_within([&state] {
    const std::string source = "return require 'fork' ()";
    bridge_status status = bridge_state_run(state, source.data(), source.size(),
                                            "=fork", nullptr, nullptr, nullptr);
    return status == BRIDGE_OK;
  });
  EXPECT_STATUS(
      bridge_state_run(state, "", 0, nullptr, nullptr, nullptr, nullptr),
      BRIDGE_OK);
}

TEST_F(Fork, InAScriptOfAHostsWorkerEndsBothSteps)
{
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.modules = &kForkModule;
  state.module_count = 1;
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "require 'fork' () require 'bridge'.sleep(0)";
  options.drive = BRIDGE_DRIVE_HOST;
  options.state = &state;
  Held<bridge_worker> worker;
  ASSERT_STATUS(bridge_worker_create(worker.out(), &options, nullptr, nullptr),
                BRIDGE_OK);
  fork_within([&worker] {
    bridge_status status = bridge_worker_step(worker, 1);
    return status == BRIDGE_OK || status == BRIDGE_EEMPTY ||
           status == BRIDGE_ECLOSED || status == BRIDGE_EFORKED;
  });
  EXPECT_STATUS(bridge_worker_close(worker, kLong), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker, 0, nullptr, nullptr), BRIDGE_OK);
}

/* ---- exec ---- */

/* What a program that is started finds open. */
std::string inherited()
{
  FILE *list = popen("ls -m /proc/self/fd", "r");
  std::string text;
  char line[256];
  while (list != nullptr && fgets(line, sizeof line, list) != nullptr) {
    text += line;
  }
  EXPECT_EQ(pclose(list), 0);
  return text;
}

TEST_F(Fork, ThenExecLeavesNoDescriptor)
{
  std::string before = inherited();
  World world;
  EXPECT_EQ(inherited(), before);
  if (TESTS_SANITIZED) {
    return;
  }
  Bustle bustle(world);
  std::atomic<bool> stop{false};
  std::thread maker([&stop] {
    while (!stop) {
      World brief;
    }
  });
  for (int i = 0; i < 40; i++) {
    EXPECT_EQ(inherited(), before);
  }
  stop = true;
  maker.join();
}

} // namespace
