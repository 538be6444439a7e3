/* Calls that block the thread, in scripts whose time ends, or that are stopped. */
#include "../support.h"

extern "C" {
#include <lua.h>
}

#include <string>
#include <thread>
#include <vector>

namespace
{

const int kShort = 30;   /* the limits here */
const int kLong = 60000; /* longer than any machine needs */

struct Wait {
  const char *name;
  const char *script; /* where `b` is the module, and `other` a worker */
};

/* Each of them blocks for ever. */
const std::vector<Wait> waits = {
    {"pop", "return b.queue():pop()"},
    {"pop with a deadline", "return b.queue():pop(1000)"},
    {"pop a batch", "return b.queue():pop_batch(3)"},
    {"pop by a pipe", "return b.queue{waker = 'pipe'}:pop()"},
    {"push", "local q = b.queue{items = 1} q:push(1) q:push(2)"},
    {"sleep", "coroutine.wrap(b.sleep)(1000)"},
    {"receive", "return b.channel():receive()"},
    {"receive with a deadline", "return b.channel():receive(1000)"},
    {"send", "local c = b.channel{items = 1} c:send(1) c:send(2)"},
    {"select", "return b.select{b.queue(), b.channel()}"},
    {"flag", "return b.flag():wait()"},
    {"counter", "return b.counter(0):wait('>=', 1)"},
    {"mutex", "local m = coroutine.wrap(function()"
              "  return other:call('mutex') end)() return m:lock()"},
    {"waker", "return b.waker():wait()"},
    {"condition", "return b.waker('condition'):wait()"},
    {"join", "return other:join()"},
    {"call", "return coroutine.wrap(function()"
             "  return other:call('never') end)()"},
    {"in a coroutine", "local co = coroutine.create(function()"
                       "  return b.queue():pop() end)"
                       " return coroutine.resume(co)"},
    {"again and again", "while true do pcall(function()"
                        "  b.queue():pop() end) end"},
    {"in a close", "local x <close> = setmetatable({}, {__close = function()"
                   "  b.queue():pop() end})"
                   " return 1"},
};

const char server[] = "local b = require 'bridge'\n"
                      "local m = b.mutex() m:lock()\n"
                      "b.serve{mutex = function() return m end,\n"
                      "  never = function() b.sleep(1000) end}";

Owned<bridge_worker> start(const std::string &source,
                           bridge_worker *other,
                           bridge_limits life = {0, 0},
                           bridge_limits request = {0, 0},
                           bridge_stop_level level = BRIDGE_STOP_PROMPT)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.stop = level;
  options.state = &state;
  options.source = source.c_str();
  options.life = life;
  options.request = request;
  bridge_message *arguments = other == nullptr ? nullptr : message(other);
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, &arguments, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_message_release(arguments);
  bridge_error_release(error);
  return Owned<bridge_worker>(worker);
}

std::string chunk(const Wait &wait)
{
  return "local b = require 'bridge' local other = ... " +
         std::string(wait.script);
}

std::string service(const Wait &wait)
{
  return "local b = require 'bridge' local other = ... b.serve{"
         " wait = function() " +
         std::string(wait.script) +
         " end, fine = function() return 'fine' end}";
}

/* What became of a call: its status and text, or its values. */
std::string ask(bridge_worker *worker,
                const char *name,
                bridge_status wanted,
                int ms)
{
  bridge_message *request = message(name);
  bridge_message *answer = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_call(worker, &request, ms, &answer, &error),
                wanted);
  std::string text =
      answer == nullptr ? bridge_error_text(error, nullptr) : show(answer);
  bridge_message_release(request);
  bridge_message_release(answer);
  bridge_error_release(error);
  return text;
}

class WaitLimit : public testing::Test
{
protected:
  void SetUp() override
  {
    other = start(server, nullptr);
  }
  void TearDown() override
  {
    end(other.get());
  }

  static void end(bridge_worker *worker)
  {
    EXPECT_STATUS(bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_worker_join(worker, kLong, nullptr, &error),
                  BRIDGE_ECANCELLED);
    bridge_error_release(error);
  }

  void make(bridge_limits run, bridge_stop_level level = BRIDGE_STOP_PROMPT)
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.run = run;
    options.stop = level;
    bridge_state *made = nullptr;
    ASSERT_STATUS(bridge_state_create(&made, &options, nullptr), BRIDGE_OK);
    state.reset(made);
  }

  bridge_status run(const std::string &source)
  {
    bridge_message *arguments = message(other.get());
    bridge_error *raised = nullptr;
    bridge_status status =
        bridge_state_run(state.get(), source.data(), source.size(), "=script",
                         &arguments, nullptr, &raised);
    bridge_message_release(arguments);
    error.reset(raised);
    return status;
  }

  std::string text() const
  {
    return bridge_error_text(error.get(), nullptr);
  }

  /* Cancel what another thread runs, once it runs. */
  void cancel(int grace_ms)
  {
    bridge_status status = BRIDGE_EEMPTY;
    while (status == BRIDGE_EEMPTY) {
      std::this_thread::yield();
      status = bridge_state_cancel(state.get(), BRIDGE_STOP_DEFAULT, grace_ms);
    }
    EXPECT_STATUS(status, BRIDGE_OK);
  }

  Owned<bridge_worker> other;
  Owned<bridge_state> state;
  Owned<bridge_error> error;
};

TEST_F(WaitLimit, EndsRunsOfStates)
{
  make({kShort, 0});
  for (const Wait &wait : waits) {
    SCOPED_TRACE(wait.name);
    EXPECT_STATUS(run(chunk(wait)), BRIDGE_ETIMEDOUT);
    EXPECT_EQ(text(), "the script ran for more than 30 ms");
  }
  EXPECT_STATUS(run("return 1"), BRIDGE_OK);
}

/* Where nobody stops the script: the wait ends as by its own time. */
std::string asked(const Wait &wait)
{
  return "local b = require 'bridge' local other = ...\n"
         "local ok, value, text, code = pcall(function() " +
         std::string(wait.script) +
         " end)\n"
         "return ok, value, text, code";
}

TEST_F(WaitLimit, EndsWaitsOfRunsThatAreOnlyAsked)
{
  make({kShort, 0}, BRIDGE_STOP_COOPERATIVE);
  for (const Wait &wait : waits) {
    if (wait.name == std::string("again and again")) {
      continue; /* that is its own matter */
    }
    SCOPED_TRACE(wait.name);
    EXPECT_STATUS(run(asked(wait)), BRIDGE_OK);
  }
  EXPECT_STATUS(run("local b = require 'bridge'\n"
                    "local _, _, code = b.channel():receive()\n"
                    "assert(code == 'ETIMEDOUT', code)\n"
                    "assert(select(3, b.queue():pop(1000)) == 'ETIMEDOUT')\n"
                    "assert(not b.sleep(1000))\n"
                    "assert(b.cancelled())\n"
                    "local q = b.queue() q:push(1)\n"
                    "assert(q:pop() == 1)\n"),
                BRIDGE_OK)
      << text();
}

TEST_F(WaitLimit, IsWhyRunsThatAreOnlyAskedFail)
{
  make({kShort, 0}, BRIDGE_STOP_COOPERATIVE);
  EXPECT_STATUS(run("error(select(2, require 'bridge'.flag():wait()))"),
                BRIDGE_ETIMEDOUT);
  make({60000, 0}, BRIDGE_STOP_COOPERATIVE);
  EXPECT_STATUS(run("error 'before'"), BRIDGE_ESCRIPT);
}

TEST_F(WaitLimit, EndsWaitsWithinRunsThatAreOnlyAsked)
{
  make({kShort, 0}, BRIDGE_STOP_COOPERATIVE);
  bridge_state *made = nullptr;
  ASSERT_STATUS(bridge_state_create(&made, nullptr, nullptr), BRIDGE_OK);
  Owned<bridge_state> inner(made);
  struct Nested {
    bridge_state *inner;
    bridge_status status;
  } nested = {inner.get(), BRIDGE_OK};
  lua_State *lua = nullptr;
  ASSERT_STATUS(bridge_state_enter(state.get(), -1, &lua), BRIDGE_OK);
  lua_State *thread = lua_newthread(lua);
  lua_pushlightuserdata(thread, &nested);
  lua_pushcclosure(
      thread,
      [](lua_State *L) -> int {
        auto *job =
            static_cast<Nested *>(lua_touserdata(L, lua_upvalueindex(1)));
        const char source[] =
            "local b = require 'bridge'\n"
            "assert(select(3, b.flag():wait()) == 'ETIMEDOUT')";
        job->status = bridge_state_run(job->inner, source, sizeof source - 1,
                                       "=inner", nullptr, nullptr, nullptr);
        return 0;
      },
      1);
  EXPECT_STATUS(bridge_state_resume(state.get(), thread, 0, nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_STATUS(nested.status, BRIDGE_OK);
  lua_pop(lua, 1);
  EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
}

TEST_F(WaitLimit, TellsWhereItWaited)
{
  make({TESTS_SANITIZED ? 2000 : kShort, 0}); /* it has to get there first */
  EXPECT_STATUS(run("local b = require 'bridge'\n\nb.queue():pop()"),
                BRIDGE_ETIMEDOUT);
  const std::string where = bridge_error_traceback(error.get());
  EXPECT_NE(where.find("script:3:"), std::string::npos) << where;
}

TEST_F(WaitLimit, EndsLivesOfWorkers)
{
  for (const Wait &wait : waits) {
    SCOPED_TRACE(wait.name);
    Owned<bridge_worker> worker = start(chunk(wait), other.get(), {kShort, 0});
    bridge_error *why = nullptr;
    EXPECT_STATUS(bridge_worker_join(worker.get(), kLong, nullptr, &why),
                  BRIDGE_ETIMEDOUT);
    EXPECT_STREQ(bridge_error_text(why, nullptr),
                 "the script ran for more than 30 ms");
    bridge_error_release(why);
  }
}

TEST_F(WaitLimit, EndsRequestsAlone)
{
  for (const Wait &wait : waits) {
    SCOPED_TRACE(wait.name);
    Owned<bridge_worker> worker =
        start(service(wait), other.get(), {0, 0}, {kShort, 0});
    EXPECT_EQ(ask(worker.get(), "wait", BRIDGE_ETIMEDOUT, kLong),
              "the script ran for more than 30 ms");
    EXPECT_EQ(ask(worker.get(), "fine", BRIDGE_OK, kLong), "'fine'");
    EXPECT_EQ(ask(worker.get(), "wait", BRIDGE_ETIMEDOUT, kLong),
              "the script ran for more than 30 ms");
    end(worker.get());
  }
}

TEST_F(WaitLimit, EndsWhatTheCallerWaitsForNoMore)
{
  for (const Wait &wait : waits) {
    SCOPED_TRACE(wait.name);
    Owned<bridge_worker> worker = start(service(wait), other.get());
    ask(worker.get(), "wait", BRIDGE_ETIMEDOUT, kShort);
    EXPECT_EQ(ask(worker.get(), "fine", BRIDGE_OK, kLong), "'fine'");
    end(worker.get());
  }
}

TEST_F(WaitLimit, EndsWaitsOfWorkersThatAreOnlyAsked)
{
  for (const Wait &wait : waits) {
    if (wait.name == std::string("again and again")) {
      continue;
    }
    SCOPED_TRACE(wait.name);
    Owned<bridge_worker> worker = start(asked(wait), other.get(), {kShort, 0},
                                        {0, 0}, BRIDGE_STOP_COOPERATIVE);
    EXPECT_STATUS(bridge_worker_join(worker.get(), kLong, nullptr, nullptr),
                  BRIDGE_OK);
  }
}

TEST_F(WaitLimit, EndsRequestsThatAreOnlyAsked)
{
  for (const Wait &wait : waits) {
    if (wait.name == std::string("again and again")) {
      continue;
    }
    SCOPED_TRACE(wait.name);
    Owned<bridge_worker> worker = start(service(wait), other.get(), {0, 0},
                                        {kShort, 0}, BRIDGE_STOP_COOPERATIVE);
    bridge_message *request = message("wait");
    bridge_message *answer = nullptr;
    bridge_error *why = nullptr;
    bridge_status status =
        bridge_worker_call(worker.get(), &request, kLong, &answer, &why);
    if (status != BRIDGE_OK) { /* it has raised that its wait ended */
      EXPECT_STATUS(status, BRIDGE_ETIMEDOUT);
      const std::string said = bridge_error_text(why, nullptr);
      EXPECT_NE(said.find("the script ran for more than 30 ms"),
                std::string::npos)
          << said;
    }
    bridge_error_release(why);
    bridge_message_release(request);
    bridge_message_release(answer);
    EXPECT_EQ(ask(worker.get(), "fine", BRIDGE_OK, kLong), "'fine'");
    end(worker.get());
  }
}

TEST_F(WaitLimit, EndsRequestsThatAreOnlyAskedAndWithdrawn)
{
  for (const Wait &wait : waits) {
    if (wait.name == std::string("again and again")) {
      continue;
    }
    SCOPED_TRACE(wait.name);
    Owned<bridge_worker> worker = start(service(wait), other.get(), {0, 0},
                                        {0, 0}, BRIDGE_STOP_COOPERATIVE);
    bridge_queue *made = nullptr;
    ASSERT_STATUS(bridge_queue_create(&made, nullptr), BRIDGE_OK);
    Owned<bridge_queue> answers(made);
    bridge_message *request = message("wait");
    ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, made, 7),
                  BRIDGE_OK);
    bridge_worker_info info;
    do { /* it has begun, or waits already */
      bridge_worker_info_init(&info);
      ASSERT_STATUS(bridge_worker_look(worker.get(), &info), BRIDGE_OK);
    } while (info.messages == 0);
    EXPECT_STATUS(bridge_worker_withdraw(worker.get(), made, 7), BRIDGE_OK);
    bridge_message *answer = nullptr;
    EXPECT_STATUS(bridge_queue_pop(made, &answer, kLong), BRIDGE_OK);
    bridge_message_release(answer);
    EXPECT_EQ(ask(worker.get(), "fine", BRIDGE_OK, kLong), "'fine'");
    end(worker.get());
  }
}

/* What yields to the driver raises why. */
TEST_F(WaitLimit, TellsThoseThatAreOnlyAskedWhy)
{
  const char *const scripts[] = {"b.sleep(1000)", "b.serve{}", "b.yield()"};
  for (const char *script : scripts) {
    SCOPED_TRACE(script);
    Owned<bridge_worker> worker =
        start(std::string("local b = require 'bridge'\n") + script, nullptr,
              {kShort, 0}, {0, 0}, BRIDGE_STOP_COOPERATIVE);
    bridge_error *why = nullptr;
    EXPECT_STATUS(bridge_worker_join(worker.get(), kLong, nullptr, &why),
                  BRIDGE_ETIMEDOUT);
    const std::string said = bridge_error_text(why, nullptr);
    EXPECT_NE(said.find("the script ran for more than 30 ms"),
              std::string::npos)
        << said;
    bridge_error_release(why);
  }
}

TEST_F(WaitLimit, LeavesAloneWhatComputesAndIsOnlyAsked)
{
  Owned<bridge_worker> worker =
      start("local b = require 'bridge' local n = 0\n"
            "repeat n = n + 1 until b.cancelled()\n"
            "local q = b.queue() q:push('there')\n"
            "return q:pop(), select(3, q:pop())",
            nullptr, {0, kShort}, {0, 0}, BRIDGE_STOP_COOPERATIVE);
  bridge_message *results = nullptr;
  EXPECT_STATUS(bridge_worker_join(worker.get(), kLong, &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(show(results), "'there' 'ETIMEDOUT'");
  bridge_message_release(results);
}

TEST_F(WaitLimit, StopsRunsOfStates)
{
  make({0, 0});
  for (int grace_ms : {0, kLong}) {
    for (const Wait &wait : waits) {
      if (grace_ms > 0 && wait.name == std::string("again and again")) {
        continue; /* it takes its grace */
      }
      SCOPED_TRACE(wait.name);
      bridge_status status = BRIDGE_OK;
      std::thread thread([&] { status = run(chunk(wait)); });
      cancel(grace_ms);
      thread.join();
      if (grace_ms == 0) {
        EXPECT_STATUS(status, BRIDGE_ECANCELLED);
      }
    }
  }
}

TEST_F(WaitLimit, IsNoneForWhoIsLookedAt)
{
  Owned<bridge_worker> worker =
      start("local b = require 'bridge'\nlocal q = ...\nreturn b.queue():pop()",
            other.get());
  for (int i = 0; i < 3; i++) {
    bridge_error *where = nullptr;
    bool there = false;
    while (!there) {
      ASSERT_STATUS(bridge_worker_traceback(worker.get(), kLong, &where),
                    BRIDGE_OK);
      bridge_frame frame;
      there = bridge_error_frame_count(where) > 1 &&
              bridge_error_frame(where, 1, &frame) == BRIDGE_OK &&
              frame.line == 3;
      bridge_error_release(where);
    }
    EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                  BRIDGE_ETIMEDOUT);
  }
  end(worker.get());
}

} // namespace
