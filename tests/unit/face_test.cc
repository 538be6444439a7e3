/* The Lua face seen from C: what scripts alone cannot make. */
#include "../support.h"

#include <cstring>
#include <string>
#include <utility>

namespace
{
struct Outcome {
  bridge_status status;
  std::string text;
  Owned<bridge_message> results;
};

Owned<bridge_state> make_state(size_t memory_limit = 0,
                               const char *libraries = nullptr)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.memory_limit = memory_limit;
  options.libraries = libraries;
  bridge_state *state = nullptr;
  EXPECT_EQ(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
  return Owned<bridge_state>(state);
}

Outcome run(bridge_state *state,
            const std::string &source,
            bridge_message *arguments = nullptr)
{
  bridge_message *results = nullptr;
  bridge_error *error = nullptr;
  bridge_status status =
      bridge_state_run(state, source.data(), source.size(), "=script",
                       &arguments, &results, &error);
  bridge_message_release(arguments);
  Outcome outcome{status, bridge_error_text(error, nullptr),
                  Owned<bridge_message>(results)};
  bridge_error_release(error);
  return outcome;
}

Owned<bridge_queue> make_queue()
{
  bridge_queue *queue = nullptr;
  EXPECT_EQ(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
  return Owned<bridge_queue>(queue);
}

bridge_message *with_handle(bridge_handle_kind kind, void *handle)
{
  bridge_message *message = nullptr;
  EXPECT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_message_write_handle(message, kind, handle), BRIDGE_OK);
  return message;
}

/* A message that no Lua state can read: 2^64 - 1, or a foreign extension. */
void push_unreadable(bridge_queue *queue, const std::string &bytes)
{
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_message_from_bytes(&message, bytes.data(), bytes.size()),
            BRIDGE_OK);
  ASSERT_EQ(bridge_queue_push(queue, &message), BRIDGE_OK);
}

void push_number(bridge_queue *queue, int64_t number)
{
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  ASSERT_EQ(bridge_message_write_integer(message, number), BRIDGE_OK);
  ASSERT_EQ(bridge_queue_push(queue, &message), BRIDGE_OK);
}

const std::string kHuge = "\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
const std::string kForeign = std::string("\xd4\x20\x01", 3);
} // namespace

TEST(LuaFace, LeavesAMessageThatItCannotRead)
{
  Owned<bridge_state> state = make_state();
  const std::pair<std::string, std::string> cases[] = {{kHuge, "EOVERFLOW"},
                                                       {kForeign, "ETYPE"}};
  for (const auto &[bytes, code] : cases) {
    Owned<bridge_queue> queue = make_queue();
    push_unreadable(queue.get(), bytes);
    push_number(queue.get(), 2);
    Outcome outcome =
        run(state.get(),
            "local q = ...\n"
            "local expected = '" +
                code +
                "'\n"
                "for _, pop in ipairs { 'pop', 'pop_packed' } do\n"
                "  local v, text, code = q[pop](q, 0)\n"
                "  assert(v == nil and #text > 0 and\n"
                "         code == expected, code)\n"
                "end\n"
                "assert(select(3, q:pop_batch(8, 0)) == expected)\n"
                "assert(not pcall(function()\n"
                "  for _ in q:values() do end\n"
                "end))\n"
                "assert(#q == 2)\n",
            with_handle(BRIDGE_HANDLE_QUEUE, queue.get()));
    EXPECT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
    ASSERT_EQ(bridge_queue_count(queue.get()), 2U);
    bridge_message *message = nullptr;
    ASSERT_EQ(bridge_queue_pop(queue.get(), &message, 0), BRIDGE_OK);
    EXPECT_EQ(bridge_message_size(message), bytes.size());
    bridge_message_release(message);
  }
}

TEST(LuaFace, GivesABatchUpToTheMessageThatItCannotRead)
{
  Owned<bridge_state> state = make_state();
  Owned<bridge_queue> queue = make_queue();
  push_number(queue.get(), 1);
  push_number(queue.get(), 2);
  push_unreadable(queue.get(), kHuge);
  push_number(queue.get(), 4);
  Outcome outcome = run(state.get(),
                        "local q = ...\n"
                        "local batch = q:pop_batch(8, 0)\n"
                        "assert(#batch == 2 and batch[1][1] == 1 and\n"
                        "       batch[2][1] == 2 and #q == 2)\n"
                        "assert(select(3, q:pop_batch(8, 0)) == 'EOVERFLOW')\n",
                        with_handle(BRIDGE_HANDLE_QUEUE, queue.get()));
  EXPECT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue.get(), &message, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_message_size(message), kHuge.size());
  bridge_message_release(message);
  ASSERT_EQ(bridge_queue_pop(queue.get(), &message, 0), BRIDGE_OK);
  bridge_message_release(message);
  EXPECT_EQ(bridge_queue_count(queue.get()), 0U);
}

TEST(LuaFace, PassesOnHandlesThatItHasNoMethodsFor)
{
  Owned<bridge_state> state = make_state();
  bridge_thread *thread = nullptr;
  ASSERT_EQ(bridge_thread_create(
                &thread, [](void *) {}, nullptr, nullptr),
            BRIDGE_OK);
  Owned<bridge_thread> owner(thread);
  Outcome outcome = run(state.get(),
                        "local t = ...\n"
                        "assert(tostring(t):find('^bridge.Thread: '))\n"
                        "assert(t == t and not pcall(function()\n"
                        "  return #t\nend))\n"
                        "local closed <close> = t\n"
                        "local q = require 'bridge'.queue()\n"
                        "q:push(t)\nreturn q:pop(0)",
                        with_handle(BRIDGE_HANDLE_THREAD, thread));
  ASSERT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
  bridge_reader reader;
  void *found = nullptr;
  ASSERT_EQ(bridge_reader_init(&reader, outcome.results.get()), BRIDGE_OK);
  ASSERT_EQ(bridge_reader_handle(&reader, BRIDGE_HANDLE_THREAD, &found),
            BRIDGE_OK);
  EXPECT_EQ(found, thread);
  EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_OK);
}

TEST(LuaFace, WorksWithoutAnyLibrary)
{
  Owned<bridge_state> state = make_state(0, "");
  Owned<bridge_queue> queue = make_queue();
  push_number(queue.get(), 7);
  Outcome outcome = run(state.get(),
                        "local q = ...\n"
                        "local n = q:pop(0)\n"
                        "q:push(n + 1, { n })\n"
                        "for v, t in q.values(q) do\n"
                        "  q:close()\n"
                        "  n = v + t[1]\n"
                        "end\n"
                        "return n, print, require",
                        with_handle(BRIDGE_HANDLE_QUEUE, queue.get()));
  ASSERT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
  bridge_reader reader;
  int64_t number = 0;
  ASSERT_EQ(bridge_reader_init(&reader, outcome.results.get()), BRIDGE_OK);
  ASSERT_EQ(bridge_reader_integer(&reader, &number), BRIDGE_OK);
  EXPECT_EQ(number, 15);
}

TEST(LuaFace, OpensBesideGlobalsThatAreGuarded)
{
  Owned<bridge_state> state = make_state();
  Outcome outcome =
      run(state.get(), "swig_type = 'mine'\n"
                       "setmetatable(_G, {\n"
                       "  __newindex = function() error 'no globals' end,\n"
                       "  __index = function() error 'no such global' end })\n"
                       "local bridge = require 'bridge'\n"
                       "assert(swig_type == 'mine')\n"
                       "assert(rawget(_G, 'swig_equals') == nil)\n"
                       "assert(rawget(_G, 'bridge') == nil)\n"
                       "assert(bridge.queue():push(1))\n");
  EXPECT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
}

/* What a finalizer makes then would never be finalized. */
TEST(LuaFace, MakesNoObjectsWhileTheStateCloses)
{
  Owned<bridge_queue> queue = make_queue();
  bridge_buffer *bytes = nullptr;
  ASSERT_EQ(bridge_buffer_copy(&bytes, "x", 1), BRIDGE_OK);
  Owned<bridge_buffer> buffer(bytes);
  bridge_message *message = with_handle(BRIDGE_HANDLE_BUFFER, buffer.get());
  ASSERT_EQ(bridge_queue_push(queue.get(), &message), BRIDGE_OK);
  Owned<bridge_state> state = make_state();
  Outcome outcome =
      run(state.get(),
          "local q = ...\n"
          "local bridge = require 'bridge'\n"
          "local b, w = bridge.buffer 'x', bridge.waker 'condition'\n"
          "local function finalize(loud)\n"
          "  local made = {\n"
          "    pcall(bridge.queue), pcall(bridge.buffer, 8),\n"
          "    pcall(bridge.buffer, 'bytes'), pcall(bridge.waker),\n"
          "    pcall(bridge.worker, 'return 1'), pcall(q.waker, q) }\n"
          "  local _, text = pcall(bridge.queue)\n"
          "  local _, why = q:pop(0)\n"
          "  if loud then q:push(made, text, why) end\n"
          "end\n"
          "keep = setmetatable({}, { __gc = function() finalize(true) end })\n"
          "do\n"
          "  setmetatable({}, { __gc = function() bridge.queue() ran = true "
          "end })\n"
          "end\n"
          "collectgarbage() collectgarbage()\n"
          "assert(ran, 'objects are made by other finalizers')\n",
          with_handle(BRIDGE_HANDLE_QUEUE, queue.get()));
  ASSERT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
  state.reset();

  /* The message with the handle is still there, and the report behind it. */
  ASSERT_EQ(bridge_queue_count(queue.get()), 2U);
  ASSERT_EQ(bridge_queue_pop(queue.get(), &message, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_message_slot_count(message), 1U);
  bridge_message_release(message);
  state = make_state();
  outcome = run(state.get(),
                "local made, text, why = (...):pop(0)\n"
                "assert(#made == 6 or #made == 7, #made)\n"
                "for i = 1, 6 do assert(made[i] == false, i) end\n"
                "assert(text:find 'the state is closing', text)\n"
                "assert(why:find 'the state is closing', why)\n",
                with_handle(BRIDGE_HANDLE_QUEUE, queue.get()));
  EXPECT_EQ(outcome.status, BRIDGE_OK) << outcome.text;
}

/* From too little memory to enough, in small steps: each allocation fails once,
   none of them may lose a message or crash. */
TEST(LuaFace, SurvivesTheLackOfMemory)
{
  const std::string script = "local q = ...\n"
                             "local bridge = require 'bridge'\n"
                             "local b = bridge.buffer 'bytes'\n"
                             "local w = q:waker()\n"
                             "local v, text = q:pop(0)\n"
                             "if not v then error(text, 0) end\n"
                             "assert(q:push(v, b))\n"
                             "v = q:pop_packed(0)\n"
                             "if not v then error('packed', 0) end\n"
                             "assert(q:push(v[1]))\n"
                             "v = q:pop_batch(4, 0)\n"
                             "if not v then error('batch', 0) end\n"
                             "assert(q:push(v[1][1]))\n"
                             "v, text = q:push(q)\n"
                             "assert(v == nil)\n";
  int failed = 0;
  size_t limit = 256;
  for (bool done = false; !done; limit += 256) {
    Owned<bridge_state> state = make_state(limit);
    Owned<bridge_queue> queue = make_queue();
    push_number(queue.get(), 5);
    Outcome outcome =
        run(state.get(), script, with_handle(BRIDGE_HANDLE_QUEUE, queue.get()));
    done = outcome.status == BRIDGE_OK;
    failed += done ? 0 : 1;
    ASSERT_LT(limit, size_t{4} << 20) << outcome.text;
    if (done || outcome.status == BRIDGE_ENOMEM) {
      /* A script that is torn down between pop and push has it in its hands. */
      ASSERT_LE(bridge_queue_count(queue.get()), 1U);
    }
  }
  EXPECT_GT(failed, 20);
}
