/* Scripts that are stopped, interrupted, held, looked at, preempted. */
#include "../support.h"
#include "stop_support.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace
{

/* ---- Scripts that say that they have begun ---- */

class Gate
{
public:
  void open()
  {
    std::lock_guard<std::mutex> lock(mutex_);
    count_++;
    changed_.notify_all();
  }
  /* False if nobody came for a minute. */
  bool wait(int count = 1)
  {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1),
                             [&] { return count_ >= count; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

/* ThreadSanitizer hands signals out where the C library is called, unless Lua was
   built for it (cmake/BridgeLua.cmake): there a loop has to allocate. */
std::string audible(std::string source)
{
#if defined(__SANITIZE_THREAD__)
  const std::string silent = "while true do end";
  const std::string loud = "while true do local t = {} end";
  for (size_t at = source.find(silent); at != std::string::npos;
       at = source.find(silent, at + loud.size())) {
    source.replace(at, silent.size(), loud);
  }
  const std::string wait = "while not over do end";
  size_t at = source.find(wait);
  if (at != std::string::npos) {
    source.replace(at, wait.size(), "while not over do local t = {} end");
  }
#endif
  return source;
}

/* A C library's own resume, which tells nobody. */
int foreign_resume(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  int results = 0;
  int code = lua_resume(co, L, 0, &results);
  if (code > LUA_YIELD) {
    lua_xmove(co, L, 1);
    return lua_error(L);
  }
  lua_pop(co, results);
  lua_pushinteger(L, code);
  return 1;
}

int open_gate(lua_State *L)
{
  static_cast<Gate *>(lua_touserdata(L, lua_upvalueindex(1)))->open();
  return 0;
}

/* A reader for load, without an instruction of Lua: the global `deep`, once. */
int read_deep(lua_State *L)
{
  lua_getglobal(L, "deep");
  lua_pushnil(L);
  lua_setglobal(L, "deep");
  return open_gate(L) + 1;
}

class Stop : public ::testing::Test
{
protected:
  void SetUp() override
  {
    make(BRIDGE_STOP_PROMPT);
  }

  void make(bridge_stop_level level, bridge_limits run = {0, 0})
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.name = "victim";
    options.stop = level;
    options.run = run;
    bridge_state *state = nullptr;
    ASSERT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
    state_.reset(state);
    lua_State *L = nullptr;
    ASSERT_STATUS(bridge_state_enter(state, -1, &L), BRIDGE_OK);
    lua_pushlightuserdata(L, &gate_);
    lua_pushcclosure(L, open_gate, 1);
    lua_setglobal(L, "ready");
    lua_pushlightuserdata(L, &gate_);
    lua_pushcclosure(L, read_deep, 1);
    lua_setglobal(L, "read_deep");
    lua_pushcfunction(L, foreign_resume);
    lua_setglobal(L, "foreign_resume");
    ASSERT_STATUS(bridge_state_leave(state), BRIDGE_OK);
  }

  bridge_status run(std::string source)
  {
    source = audible(source);
    bridge_error *error = nullptr;
    bridge_message *results = nullptr;
    bridge_status status =
        bridge_state_run(state_.get(), source.data(), source.size(), "=script",
                         nullptr, &results, &error);
    error_.reset(error);
    results_.reset(results);
    return status;
  }

  std::string text() const
  {
    return bridge_error_text(error_.get(), nullptr);
  }

  std::string returns(const std::string &source)
  {
    bridge_status status =
        run("return tostring((function() " + source + " end)())");
    if (status != BRIDGE_OK) {
      return bridge_status_name(status);
    }
    return show(results_.get());
  }

  /* Run it on a thread of its own, and do something once it is ready. */
  bridge_status stopped(const std::string &source,
                        const std::function<void()> &act)
  {
    bridge_status status = BRIDGE_OK;
    std::thread thread([&] { status = run(source); });
    EXPECT_TRUE(gate_.wait(++begun_));
    act();
    thread.join();
    return status;
  }

  bridge_status cancelled(const std::string &source, int grace_ms = 0)
  {
    return stopped(source, [&] {
      EXPECT_STATUS(
          bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, grace_ms),
          BRIDGE_OK);
    });
  }

  Gate gate_;
  int begun_ = 0;
  Owned<bridge_state> state_;
  Owned<bridge_error> error_;
  Owned<bridge_message> results_;
};

const char loop[] = "ready() while true do end";

TEST_F(Stop, EndsALoop)
{
  EXPECT_STATUS(cancelled(loop), BRIDGE_ECANCELLED);
  EXPECT_EQ(text(), "cancelled");
  EXPECT_EQ(bridge_error_status(error_.get()), BRIDGE_ECANCELLED);
}

TEST_F(Stop, TellsWhereItWas)
{
  EXPECT_STATUS(cancelled("local function deep()\n"
                          "  ready()\n"
                          "  while true do end\n"
                          "end\n"
                          "deep()"),
                BRIDGE_ECANCELLED);
  const std::string traceback = bridge_error_traceback(error_.get());
  EXPECT_NE(traceback.find("in victim:"), std::string::npos) << traceback;
  EXPECT_NE(traceback.find("script:"), std::string::npos) << traceback;
  ASSERT_GE(bridge_error_frame_count(error_.get()), 2u);
  bridge_frame frame;
  ASSERT_STATUS(bridge_error_frame(error_.get(), 1, &frame), BRIDGE_OK);
  EXPECT_EQ(frame.line, 5);
}

TEST_F(Stop, LeavesTheStateUsable)
{
  EXPECT_STATUS(cancelled("kept = 7 co = coroutine.create(function()"
                          "  local x <close> = setmetatable({},"
                          "    { __close = function() closed = true end })"
                          "  ready() while true do end end)"
                          "coroutine.resume(co)"),
                BRIDGE_ECANCELLED);
  EXPECT_EQ(returns("return kept"), "'7'");
  EXPECT_EQ(returns("return coroutine.status(co)"), "'dead'");
  EXPECT_EQ(returns("return coroutine.close(co)"), "'false'");
  EXPECT_EQ(returns("return closed"), "'nil'");
  EXPECT_EQ(returns("return (coroutine.resume(co))"), "'false'");
  EXPECT_EQ(returns("local s = 0 for i = 1, 100 do s = s + i end return s"),
            "'5050'");
}

TEST_F(Stop, IsNotSwallowed)
{
  const char *const scripts[] = {
      "ready() while true do pcall(function() while true do end end) end",
      "local function f() pcall(f) pcall(f) end ready() while true do f() end",
      "local function deeper() pcall(deeper) deeper() end"
      "  ready() while true do pcall(deeper) end",
      "ready() xpcall(function() while true do end end,"
      "  function() while true do end end) while true do end",
      "ready() local co = coroutine.wrap(function() while true do end end) "
      "co()",
      "local function deep(n) if n == 0 then ready() while true do end end"
      "  pcall(coroutine.wrap(deep), n - 1) while true do end end deep(30)",
      "local t = {} for i = 1, 50 do t[i] = i end ready()"
      "  while true do pcall(table.sort, t, function(a, b)"
      "    for i = 1, 1000 do end return a < b end) end",
      "ready() while true do ('x'):gsub('.', function() while true do end end)"
      "  end",
      "local t = setmetatable({}, { __index = function() while true do end end"
      "  }) ready() return t.x",
      "do local x <close> = setmetatable({}, { __close = function()"
      "  ready() while true do end end }) end",
      "ready() for _ in coroutine.wrap(function() while true do end end) do "
      "end",
      "ready() while true do string.rep('x', 1 << 20) end",
      "debug.sethook(function() end, 'l') ready() while true do local x = 1 "
      "end",
      "ready() while true do debug.sethook() end",
      "ready() return pcall(function() while true do end end)",
      "ready() while true do local t = {} for i = 1, 100 do t[i] = {} end end",
  };
  for (const char *script : scripts) {
    EXPECT_STATUS(cancelled(script), BRIDGE_ECANCELLED) << script;
    EXPECT_EQ(returns("return 1"), "'1'") << script;
  }
}

TEST_F(Stop, HasNothingToStopWhereNothingRuns)
{
  EXPECT_STATUS(bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_EEMPTY);
  EXPECT_EQ(returns("return 1"), "'1'");
  EXPECT_STATUS(bridge_state_cancel(nullptr, BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_EINVAL);
  EXPECT_STATUS(
      bridge_state_cancel(state_.get(), static_cast<bridge_stop_level>(4), 0),
      BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, -1),
                BRIDGE_EINVAL);
}

TEST_F(Stop, ComesFromManyThreadsAtOnce)
{
  for (int round = 0; round < 20; round++) {
    EXPECT_STATUS(stopped(loop,
                          [&] {
                            std::vector<std::thread> threads;
                            for (int i = 0; i < 10; i++) {
                              threads.emplace_back([&] {
                                bridge_state_cancel(state_.get(),
                                                    BRIDGE_STOP_DEFAULT, 0);
                              });
                            }
                            for (std::thread &each : threads) {
                              each.join();
                            }
                          }),
                  BRIDGE_ECANCELLED);
    EXPECT_EQ(returns("return 1"), "'1'");
  }
}

/* Whenever it comes, the run ends by itself or is stopped, and the next one is not
   hit. */
TEST_F(Stop, HitsNoLaterRun)
{
  std::atomic<bool> over{false};
  std::thread canceller([&] {
    while (!over) {
      bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0);
      std::this_thread::yield();
    }
  });
  int ended = 0;
  for (int i = 0; i < 2000; i++) {
    bridge_status status = run("local t = {} for i = 1, 200 do t[i] = i end");
    EXPECT_TRUE(status == BRIDGE_OK || status == BRIDGE_ECANCELLED);
    ended += status == BRIDGE_OK;
  }
  over = true;
  canceller.join();
  for (int i = 0; i < 100; i++) {
    EXPECT_STATUS(run("local t = {} for i = 1, 200 do t[i] = i end"),
                  BRIDGE_OK);
  }
  EXPECT_GE(ended, 0);
}

/* ---- Grace ---- */

TEST_F(Stop, WithAGraceIsAnErrorFirst)
{
  EXPECT_STATUS(cancelled("local ok, why = pcall(function()"
                          "  ready() while true do end end)"
                          "caught = why return 1",
                          60000),
                BRIDGE_OK);
  EXPECT_NE(returns("return caught").find("cancelled"), std::string::npos);
}

TEST_F(Stop, WithAGraceIsAnErrorForWaits)
{
  EXPECT_STATUS(cancelled("local bridge = require 'bridge'"
                          " local q = bridge.queue()"
                          " local _, why = pcall(function() ready() q:pop()"
                          "   while true do end end)"
                          " return why",
                          60000),
                BRIDGE_OK);
  EXPECT_NE(show(results_.get()).find("cancelled"), std::string::npos);
}

TEST_F(Stop, WithAGraceIsHardInTheEnd)
{
  EXPECT_STATUS(cancelled("ready() while true do pcall(function()"
                          "  while true do end end) end",
                          20),
                BRIDGE_ECANCELLED);
  EXPECT_STATUS(cancelled("xpcall(function() ready() while true do end end,"
                          "  function() while true do end end)",
                          20),
                BRIDGE_ECANCELLED);
}

TEST_F(Stop, CooperativelyBreaksWaitsOnly)
{
  make(BRIDGE_STOP_COOPERATIVE);
  EXPECT_STATUS(cancelled("local bridge = require 'bridge'"
                          " local q = bridge.queue() ready()"
                          " local _, _, code = q:pop() return code"),
                BRIDGE_OK);
  EXPECT_EQ(show(results_.get()), "'ECANCELLED'");
  EXPECT_STATUS(cancelled("local bridge = require 'bridge' ready()"
                          " repeat until bridge.cancelled()"
                          " for i = 1, 1e6 do end return 1"),
                BRIDGE_OK);
}

/* ---- Limits ---- */

TEST_F(Stop, ComesWhenTheTimeIsOver)
{
  make(BRIDGE_STOP_PROMPT, {30, 0});
  EXPECT_STATUS(run("while true do end"), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(text(), "the script ran for more than 30 ms");
  EXPECT_EQ(returns("return 1"), "'1'");
  EXPECT_STATUS(
      run("while true do pcall(function() while true do end end) end"),
      BRIDGE_ETIMEDOUT);
}

TEST_F(Stop, ComesWhenTheCpuTimeIsOver)
{
  make(BRIDGE_STOP_PROMPT, {0, 30});
  EXPECT_STATUS(run("while true do end"), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(text(), "the script ran for more than 30 ms of CPU time");
}

TEST_F(Stop, DoesNotCountSleepAsCpuTime)
{
  make(BRIDGE_STOP_PROMPT, {0, 250}); /* sanitizers take some for the module */
  EXPECT_STATUS(run("local bridge = require 'bridge' bridge.sleep(0.5)"),
                BRIDGE_OK);
}

TEST_F(Stop, LimitsCanBeChangedByTheHolder)
{
  lua_State *L = nullptr;
  const bridge_limits short_limits = {20, 0};
  const bridge_limits negative = {-1, 0};
  EXPECT_STATUS(bridge_state_set_limits(state_.get(), &short_limits),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_set_limits(nullptr, &short_limits), BRIDGE_EINVAL);
  ASSERT_STATUS(bridge_state_enter(state_.get(), -1, &L), BRIDGE_OK);
  EXPECT_STATUS(bridge_state_set_limits(state_.get(), &negative),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_set_limits(state_.get(), &short_limits),
                BRIDGE_OK);
  ASSERT_STATUS(bridge_state_leave(state_.get()), BRIDGE_OK);
  EXPECT_STATUS(run("while true do end"), BRIDGE_ETIMEDOUT);
  ASSERT_STATUS(bridge_state_enter(state_.get(), -1, &L), BRIDGE_OK);
  EXPECT_STATUS(bridge_state_set_limits(state_.get(), nullptr), BRIDGE_OK);
  ASSERT_STATUS(bridge_state_leave(state_.get()), BRIDGE_OK);
  EXPECT_STATUS(run("local bridge = require 'bridge' bridge.sleep(0.06)"),
                BRIDGE_OK);
}

TEST_F(Stop, NegativeLimitsAreRefused)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  bridge_state *state = nullptr;
  options.run.timeout_ms = -1;
  EXPECT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_EINVAL);
  options.run = {0, -1};
  EXPECT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_EINVAL);
  options.run = {0, 0};
  options.stop = static_cast<bridge_stop_level>(9);
  EXPECT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_EINVAL);
}

/* ---- Interrupts ---- */

TEST_F(Stop, InterruptIsAnErrorOnce)
{
  EXPECT_STATUS(stopped("local ok, why = pcall(function()"
                        "  ready() while true do end end)"
                        "for i = 1, 1000 do end return why",
                        [&] {
                          EXPECT_STATUS(stop_interrupt(state_.get(),
                                                       "enough of it", false,
                                                       false),
                                        BRIDGE_OK);
                        }),
                BRIDGE_OK);
  EXPECT_NE(show(results_.get()).find("script:1: enough of it"),
            std::string::npos);
}

TEST_F(Stop, InterruptStaysUntilItIsCleared)
{
  EXPECT_STATUS(
      stopped("ready() while true do pcall(function()"
              "  while true do end end) end",
              [&] { stop_interrupt(state_.get(), "sticky", true, false); }),
      BRIDGE_ESCRIPT);
  EXPECT_NE(text().find("sticky"), std::string::npos);
  EXPECT_STATUS(run("return 1"), BRIDGE_ESCRIPT);
  stop_clear_interrupt(state_.get());
  EXPECT_EQ(returns("return 1"), "'1'");
}

TEST_F(Stop, InterruptBeforeTheStartComesAtTheStart)
{
  EXPECT_STATUS(stop_interrupt(state_.get(), "early", false, false), BRIDGE_OK);
  EXPECT_STATUS(run("local a = 1 return a"), BRIDGE_ESCRIPT);
  EXPECT_EQ(returns("return 1"), "'1'");
}

/* ---- Looking, and holding ---- */

struct Look {
  int levels = 0;
  bool ran = false;
};

void look_at(void *user, lua_State *L)
{
  Look *look = static_cast<Look *>(user);
  lua_Debug ar;
  while (lua_getstack(L, look->levels, &ar) != 0) {
    look->levels++;
  }
  look->ran = true;
}

TEST_F(Stop, VisitsSeeTheStack)
{
  Look look;
  EXPECT_STATUS(stop_visit(state_.get(), look_at, &look, 0), BRIDGE_EEMPTY);
  EXPECT_STATUS(
      stopped("over = false local function f() ready()"
              "  while not over do end end f() return 5",
              [&] {
                EXPECT_STATUS(stop_visit(state_.get(), look_at, &look, 60000),
                              BRIDGE_OK);
                EXPECT_STATUS(
                    bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0),
                    BRIDGE_OK);
              }),
      BRIDGE_ECANCELLED);
  EXPECT_TRUE(look.ran);
  EXPECT_EQ(look.levels, 2);
}

TEST_F(Stop, VisitsEndWithTheScript)
{
  std::atomic<bool> over{false};
  std::thread visitor([&] {
    while (!over) {
      Look look;
      bridge_status status = stop_visit(state_.get(), look_at, &look, 60000);
      EXPECT_TRUE(status == BRIDGE_OK || status == BRIDGE_EEMPTY);
      EXPECT_EQ(look.ran, status == BRIDGE_OK);
    }
  });
  for (int i = 0; i < 300; i++) {
    EXPECT_STATUS(run("local t = {} for i = 1, 2000 do t[i] = i end"),
                  BRIDGE_OK);
  }
  over = true;
  visitor.join();
}

TEST_F(Stop, PauseHoldsTheScript)
{
  EXPECT_STATUS(
      stopped("ready() while true do count = { (count or {})[2] } end",
              [&] {
                ASSERT_STATUS(stop_pause(state_.get()), BRIDGE_OK);
                /* Held it still lets others look, and tells when it is there. */
                Look look;
                EXPECT_STATUS(stop_visit(state_.get(), look_at, &look, 60000),
                              BRIDGE_OK);
                EXPECT_EQ(stop_turns(state_.get()) % 2, 1u);
                stop_unpause(state_.get());
                ASSERT_STATUS(stop_pause(state_.get()), BRIDGE_OK);
                EXPECT_STATUS(
                    bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0),
                    BRIDGE_OK);
              }),
      BRIDGE_ECANCELLED);
  stop_unpause(state_.get());
  EXPECT_EQ(returns("return 1"), "'1'");
}

/* ---- Coroutines that C functions of others resume ---- */

/* It loops in one of a hundred, half of which others have made. */
const char below[] = "over = false local others, co = {}, nil "
                     "local function f() ready() while not over do end end "
                     "for i = 1, 100 do others[i] = coroutine.create(f) end "
                     "co = others[50] ";

TEST_F(Stop, InterruptReachesWhatOthersResume)
{
  EXPECT_STATUS(
      stopped(std::string(below) + "local ok, why = pcall(foreign_resume, co)"
                                   "for i = 1, 1000 do end return why",
              [&] { stop_interrupt(state_.get(), "enough", false, false); }),
      BRIDGE_OK);
  EXPECT_NE(show(results_.get()).find("script:1: enough"), std::string::npos);
  /* The others have only a hook that goes away. */
  EXPECT_EQ(returns("local n = 0 for i = 1, 9 do"
                    "  n = n + coroutine.wrap(function() return i end)() end"
                    " return n, debug.gethook()"),
            "'45'");
}

TEST_F(Stop, LooksReachWhatOthersResume)
{
  Look look;
  EXPECT_STATUS(
      stopped(std::string(below) + "foreign_resume(co)",
              [&] {
                EXPECT_STATUS(stop_visit(state_.get(), look_at, &look, 60000),
                              BRIDGE_OK);
                ASSERT_STATUS(stop_pause(state_.get()), BRIDGE_OK);
                EXPECT_STATUS(stop_visit(state_.get(), look_at, &look, 60000),
                              BRIDGE_OK);
                stop_unpause(state_.get());
                EXPECT_STATUS(
                    bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0),
                    BRIDGE_OK);
              }),
      BRIDGE_ECANCELLED);
  EXPECT_TRUE(look.ran);
  EXPECT_EQ(look.levels, 1);
}

TEST_F(Stop, KicksLeaveCoroutinesThatComeAndGoAlone)
{
  std::atomic<bool> over{false};
  std::thread kicker([&] {
    while (!over) {
      Look look;
      stop_visit(state_.get(), look_at, &look, 1);
    }
  });
  const int rounds = TESTS_SANITIZED ? 1 : 20;
  for (int i = 0; i < rounds; i++) {
    EXPECT_EQ(returns("local sum, kept = 0, {} "
                      "for i = 1, 3000 do"
                      "  local co = coroutine.create(function() sum = sum + 1 "
                      "    coroutine.yield() sum = sum + 1 end)"
                      "  foreign_resume(co) kept[i % 50] = co"
                      "  if i % 2 == 0 then foreign_resume(co) end "
                      "end return sum"),
              "'4500'");
  }
  over = true;
  kicker.join();
}

TEST_F(Stop, ReachesTheCoroutinesOfCqueues)
{
  if (returns("return (pcall(require, 'cqueues'))") != "'true'") {
    GTEST_SKIP() << "cqueues is not installed";
  }
  EXPECT_STATUS(cancelled("local queue = require 'cqueues'.new() "
                          "queue:wrap(function() ready() while true do end end)"
                          "while true do queue:loop() end"),
                BRIDGE_ECANCELLED);
}

/* ---- Preemption ---- */

/* What it computes must not depend on when it was made to yield. */
const char work[] =
    "local function fib(n) if n < 2 then return n end"
    "  return fib(n - 1) + fib(n - 2) end "
    "local gen = coroutine.wrap(function()"
    "  for i = 1, 200 do coroutine.yield(i) end end) "
    "local sum = 0 for i = 1, 200 do sum = sum + gen() end "
    "local t = {} for i = 1, 2000 do t[i] = (i * 7919) % 2003 end "
    "table.sort(t, function(a, b) return a < b end) "
    "for i = 2, #t do assert(t[i - 1] <= t[i]) end "
    "local co = coroutine.create(function(a) local b = coroutine.yield(a + 1)"
    "  return a + b end) "
    "local _, x = coroutine.resume(co, 10) local _, y = coroutine.resume(co, "
    "5) "
    "assert(x == 11 and y == 15) "
    "local s = (('x'):rep(500)):gsub('x', function() return 'yz' end) "
    "return sum + fib(20) + #s";

TEST_F(Stop, PreemptionIsUnseen)
{
  lua_State *main = nullptr;
  ASSERT_STATUS(bridge_state_enter(state_.get(), -1, &main), BRIDGE_OK);
  std::atomic<bool> over{false};
  std::thread watcher([&] {
    while (!over) {
      stop_preempt(state_.get());
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  int preempted = 0;
  for (int i = 0; i < 2000 && preempted < 50; i++) {
    lua_State *L = lua_newthread(main);
    ASSERT_STATUS(bridge_state_load(state_.get(), L, work, sizeof work - 1,
                                    "=work", nullptr),
                  BRIDGE_OK);
    int code = LUA_OK;
    bridge_status status = BRIDGE_OK;
    int ended = 2;
    while (ended == 2) {
      ended = stop_drive(state_.get(), L, 0, &code, &status);
      preempted += ended == 2;
    }
    ASSERT_EQ(ended, 0);
    ASSERT_EQ(code, LUA_OK) << lua_tostring(L, -1);
    ASSERT_EQ(lua_tointeger(L, -1), 20100 + 6765 + 1000);
    lua_settop(main, 0);
  }
  over = true;
  watcher.join();
  EXPECT_GE(preempted, 50);
  ASSERT_STATUS(bridge_state_leave(state_.get()), BRIDGE_OK);
}

/* ---- Beside what the script and the host do ---- */

TEST_F(Stop, HooksOfTheScriptGoOn)
{
  EXPECT_STATUS(
      stopped("local lines = 0 local f = function() lines = lines + 1 end "
              "debug.sethook(f, 'l') ready() local n = 0\n"
              "for i = 1, 1e4 do\n n = n + 1\n end\n"
              "local g, mask = debug.gethook() debug.sethook()\n"
              "return g == f and mask == 'l' and lines >= 20000",
              [&] {
                Look look;
                stop_visit(state_.get(), look_at, &look, 60000);
              }),
      BRIDGE_OK);
  EXPECT_EQ(show(results_.get()), "true");
  EXPECT_EQ(returns("return debug.gethook()"), "'nil'");
}

TEST_F(Stop, ReachesNothingThatTheHostRunsByItself)
{
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state_.get(), -1, &L), BRIDGE_OK);
  std::atomic<bool> over{false};
  std::thread canceller([&] {
    while (!over) {
      EXPECT_STATUS(bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0),
                    BRIDGE_EEMPTY);
      Look look;
      EXPECT_STATUS(stop_visit(state_.get(), look_at, &look, 10),
                    BRIDGE_EEMPTY);
    }
  });
  for (int i = 0; i < 100; i++) {
    ASSERT_EQ(luaL_dostring(L, work), LUA_OK) << lua_tostring(L, -1);
    lua_settop(L, 0);
  }
  over = true;
  canceller.join();
  ASSERT_STATUS(bridge_state_leave(state_.get()), BRIDGE_OK);
}

std::atomic<int> foreign_signals{0};

TEST_F(Stop, OtherSignalsGoToTheHandlerThatWasThere)
{
  struct sigaction mine = {};
  struct sigaction before = {};
  mine.sa_handler = [](int) { foreign_signals++; };
  state_.reset(); /* the last one takes our handler away */
  ASSERT_EQ(sigaction(SIGURG, &mine, &before), 0);
  make(BRIDGE_STOP_PROMPT);
  EXPECT_STATUS(cancelled(loop), BRIDGE_ECANCELLED);
  const int ours = foreign_signals;
  raise(SIGURG);
  kill(getpid(), SIGURG);
  for (int i = 0; i < 60000 && foreign_signals < ours + 2; i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(foreign_signals, ours + 2);
  EXPECT_EQ(ours, 0);
  state_.reset();
  struct sigaction now = {};
  ASSERT_EQ(sigaction(SIGURG, &before, &now), 0);
  EXPECT_EQ(now.sa_handler, mine.sa_handler);
}

/* Each name is looked up among 35,000 variables: for minutes, where nobody looks. */
const char compile[] =
    "local names, all = {}, {} "
    "for i = 1, 190 do names[i] = 'l' .. i end "
    "local variables = 'local ' .. table.concat(names, ',') .. ' ' "
    "for i = 1, 185 do all[i] = 'function f() ' .. variables end "
    "deep = table.concat(all) .. ('x=y '):rep(2e6) .. ('end '):rep(185) "
    "return pcall(load, read_deep)";

TEST_F(Stop, ComesWhileLuaCompiles)
{
  EXPECT_STATUS(cancelled(compile), BRIDGE_ECANCELLED);
}

TEST_F(Stop, InterruptIsNoErrorOfATextThatIsCompiled)
{
  EXPECT_STATUS(stopped(compile,
                        [&] {
                          EXPECT_STATUS(
                              bridge_state_interrupt(
                                  state_.get(), BRIDGE_INTERRUPT_ONCE, "hey"),
                              BRIDGE_OK);
                        }),
                BRIDGE_OK);
  EXPECT_EQ(show(results_.get()), "false 'hey'");
}

/* Ends by itself, so that one that is not stopped fails, and hangs nothing.  It
   allocates for the sake of ThreadSanitizer: see audible(). */
const char long_loop[] = "local t = os.clock() "
                         "while os.clock() - t < 20 do local x = {} end "
                         "return 1";

TEST_F(Stop, ReachesThreadsThatBlockTheSignalLater)
{
  make(BRIDGE_STOP_PROMPT, {50, 0});
  std::thread([this] {
    EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
    sigset_t all;
    sigfillset(&all);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &all, nullptr), 0);
    EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
    make(BRIDGE_STOP_PROMPT, {50, 0});
    EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  }).join();
}

class ForeignHandler : public Stop
{
protected:
  void SetUp() override
  {
    ASSERT_EQ(sigaction(SIGURG, nullptr, &before_), 0);
    make(BRIDGE_STOP_PROMPT, {50, 0});
    foreign_signals = 0;
    EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  }

  void TearDown() override
  {
    state_.reset();
    sigaction(SIGURG, &before_, nullptr);
  }

  static void set(void (*handler)(int), int flags = 0)
  {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    ASSERT_EQ(sigaction(SIGURG, &action, nullptr), 0);
  }

  struct sigaction before_ = {};
};

TEST_F(ForeignHandler, SetLaterHearsOfWhatIsNotOurs)
{
  for (int i = 1; i <= 20; i++) {
    set([](int) { foreign_signals++; });
    EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
    raise(SIGURG);
    EXPECT_EQ(foreign_signals, i);
  }
}

TEST_F(ForeignHandler, SetLaterIsThereInTheEnd)
{
  set([](int) { foreign_signals++; });
  EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  state_.reset();
  raise(SIGURG);
  EXPECT_EQ(foreign_signals, 1);
}

TEST_F(ForeignHandler, IgnoringTheSignalLaterDoesNot)
{
  set(SIG_IGN);
  EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  state_.reset();
  struct sigaction now = {};
  ASSERT_EQ(sigaction(SIGURG, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
}

struct sigaction ours;

/* As hosts do that respect who was there before. */
TEST_F(ForeignHandler, MayCallOurs)
{
  state_.reset();
  set([](int) { foreign_signals++; });
  make(BRIDGE_STOP_PROMPT, {50, 0});
  EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  struct sigaction action = {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int signal, siginfo_t *info, void *context) {
    foreign_signals += 100;
    ours.sa_sigaction(signal, info, context);
  };
  ASSERT_EQ(sigaction(SIGURG, &action, &ours), 0);
  raise(SIGURG);
  EXPECT_EQ(foreign_signals, 101);
  EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  raise(SIGURG);
  EXPECT_EQ(foreign_signals, 202);
  state_.reset();
  raise(SIGURG);
  EXPECT_EQ(foreign_signals, 303);
}

TEST_F(ForeignHandler, OfOneShotIsCalledOnce)
{
  state_.reset();
  set([](int) { foreign_signals++; }, static_cast<int>(SA_RESETHAND));
  make(BRIDGE_STOP_PROMPT, {50, 0});
  EXPECT_STATUS(run(long_loop), BRIDGE_ETIMEDOUT);
  raise(SIGURG);
  raise(SIGURG);
  EXPECT_EQ(foreign_signals, 1);
  state_.reset();
  raise(SIGURG);
  EXPECT_EQ(foreign_signals, 1);
}

TEST_F(Stop, SignalIsChosenBeforeTheFirstState)
{
  EXPECT_STATUS(bridge_set_stop_signal(SIGUSR1), BRIDGE_EBUSY);
  state_.reset();
  EXPECT_STATUS(bridge_set_stop_signal(SIGKILL), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_set_stop_signal(0), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_set_stop_signal(SIGUSR1), BRIDGE_OK);
  make(BRIDGE_STOP_PROMPT);
  EXPECT_STATUS(cancelled(loop), BRIDGE_ECANCELLED);
  state_.reset();
  struct sigaction now = {};
  ASSERT_EQ(sigaction(SIGUSR1, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL);
  EXPECT_STATUS(bridge_set_stop_signal(SIGURG), BRIDGE_OK);
}

TEST_F(Stop, WorksInTheChildOfAFork)
{
  EXPECT_STATUS(cancelled(loop), BRIDGE_ECANCELLED);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::string endless = audible("while true do end");
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.run = {50, 0};
    bridge_state *state = nullptr;
    bool good = bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, 0) ==
                    BRIDGE_EFORKED &&
                bridge_state_create(&state, &options, nullptr) == BRIDGE_OK &&
                bridge_state_run(state, endless.data(), endless.size(), nullptr,
                                 nullptr, nullptr, nullptr) == BRIDGE_ETIMEDOUT;
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_STATUS(cancelled(loop), BRIDGE_ECANCELLED);
}

/* Threads that end as soon as their run was stopped, while others stop it again. */
TEST_F(Stop, RacesWithTheEndsOfThreads)
{
  for (int i = 0; i < 100; i++) {
    std::atomic<bool> over{false};
    std::thread canceller([&] {
      while (!over) {
        bridge_state_cancel(state_.get(), BRIDGE_STOP_DEFAULT, i % 3);
      }
    });
    bridge_status status = BRIDGE_OK;
    std::thread([&] { status = run("while true do local t = {} end"); }).join();
    EXPECT_STATUS(status, BRIDGE_ECANCELLED);
    over = true;
    canceller.join();
  }
  EXPECT_EQ(returns("return 1"), "'1'");
}

} // namespace
