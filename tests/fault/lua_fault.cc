/* A Lua host that runs out of memory: at each allocation of its own state, and at
   each one of the library, while a script opens the module and uses all of it.
   Nothing of the library is lost, and the same script then works in the same
   state. */
#include "memory.h"

#include <lua.hpp>

namespace
{

const bridge_status metered = fault::install_memory();

fault::Gate own; /* of the host's Lua */

void *allocate(void *, void *block, size_t old, size_t size)
{
  if (size == 0) {
    std::free(block);
    return nullptr;
  }
  bool grows = block == nullptr || size > old;
  return grows && own.refuses() ? nullptr : std::realloc(block, size);
}

/* Its workers end by themselves: one that is lost for lack of memory runs on, as
   any that is dropped. */
const char *const kScript = R"lua(
  local bridge = require "bridge"
  local queue <close> = assert(bridge.queue { items = 8, waker = "pipe" })
  local buffer <close> = assert(bridge.buffer "bytes")
  local waker <close> = assert(bridge.waker "eventfd")
  local count = 0
  local function up() count = count + 1 return count end
  local shared = {}
  local nested = { shared, shared, [2.5] = up, text = ("long"):rep(3000) }
  nested.itself = nested
  assert(queue:push(1, "two", nested, buffer, waker, print))
  assert(#queue == 1 and queue:bytes() > 12000)
  local one, two, three, four, five, six = queue:pop(0)
  if one == nil then error(two) end
  assert(one == 1 and two == "two" and three.itself == three)
  assert(three[1] == three[2] and three[2.5]() == 1 and #three.text == 12000)
  assert(four == buffer and five == waker and six == print)
  for i = 1, 3 do assert(queue:push(i, { i })) end
  local batch, why = queue:pop_batch(2, 0)
  if batch == nil then error(why) end
  assert(batch[1][1] == 1 and batch[#batch][2][1] == #batch)
  assert(queue:close())
  for value in queue:values() do assert(value <= 3) end
  local failing, text = bridge.worker("error { ... }", "mine")
  if failing == nil then error(text) end
  local none, said, code, more = failing:join(20)
  assert(none == nil and (code == "ESCRIPT" or said:find "memory"), said)
  if code == "ESCRIPT" then
    if not more or not more.value then error("no memory for details") end
    assert(more.value[1] == "mine")
  end
  local brief, reason = bridge.worker("return ..., { 'results' }", 5)
  if brief == nil then error(reason) end
  local five_again, results = brief:join(20)
  if five_again == nil then error(results) end
  assert(five_again == 5 and results[1] == "results")
)lua";

/* A program that was written for llthreads2; its threads are joined, so that all
   they had is given back. */
const char *const kThreads = R"lua(
  local llthreads2 = require "llthreads2"
  local function quiet() end
  llthreads2.set_logger(quiet)
  local shared = {}
  local nested = { shared, shared, [2.5] = print, text = ("long"):rep(3000) }
  nested.itself = nested
  local code = [[
    require "llthreads2".set_logger(function() end)
    local nested = ...
    assert(nested.itself == nested and nested[1] == nested[2])
    return ...
  ]]
  local function ends(thread, good, ...)
    if good == true then
      return ...
    end
    error((...), 0)
  end
  local thread = llthreads2.new(code, nested, 1, nil)
  assert(thread:start() == thread or error "no memory for a thread")
  local three, one = ends(thread, thread:join())
  assert(three.itself == three and three[1] == three[2] and one == 1)
  assert(three[2.5] == print and #three.text == 12000)
  assert(not thread:interrupt() and thread:alive() == nil)
  for _, row in ipairs { { false, false }, { true, true } } do
    local other = llthreads2.new(code, nested)
    if not other:start(row[1], row[2]) then error "no memory for a thread" end
    assert(other:join() == true)
  end
  local bad = llthreads2.new "require 'llthreads2'.set_logger(print) error 'x'"
  bad:interrupt()
  local never, why = pcall(llthreads2.new, "", { { function() end } })
  assert(not never and (why:find "un%-supported" or why:find "memory"), why)
  never, why = pcall(llthreads2.new, "x x")
  assert(not never and (why:find "syntax error" or why:find "memory"), why)
)lua";

const char *const kSetup = R"lua(
  package.path, package.cpath = PATH, CPATH
  assert(#("x"):rep(10000) == 10000) -- Lua's own buffers, complete
)lua";

struct Host {
  explicit Host(const char *script)
  {
    L = lua_newstate(allocate, nullptr);
    luaL_openlibs(L);
    lua_pushliteral(L, LUA_TREE "/?/init.lua");
    lua_setglobal(L, "PATH");
    lua_pushliteral(L, LUA_TREE "/?.so");
    lua_setglobal(L, "CPATH");
    EXPECT_EQ(luaL_dostring(L, kSetup), LUA_OK) << lua_tostring(L, -1);
    EXPECT_EQ(luaL_loadstring(L, script), LUA_OK) << lua_tostring(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "script");
  }
  ~Host()
  {
    lua_close(L);
  }

  /* "" or what it raised. */
  std::string run()
  {
    lua_getfield(L, LUA_REGISTRYINDEX, "script");
    std::string text;
    if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
      const char *raised = lua_tostring(L, -1);
      text = raised == nullptr ? "(no text)" : raised;
    }
    lua_settop(L, 0);
    return text;
  }

  lua_State *L;
};

class LuaHost : public testing::Test
{
protected:
  void SetUp() override
  {
    ASSERT_STATUS(metered, BRIDGE_OK);
    alarm(110);
  }

  const char *script = kScript;
  long least = 100; /* allocations that are refused at the last */

  bool play(fault::Gate &gate, long number, bool ever)
  {
    bridge_trim();
    long before = fault::live;
    bool failed = false;
    {
      Host host(script);
      gate.arm(number, ever);
      std::string text = host.run();
      failed = gate.disarm();
      EXPECT_TRUE(text.empty() || text.find("memory") != std::string::npos)
          << "allocation " << number << ": " << text;
      EXPECT_TRUE(text.empty() || failed) << text;
      EXPECT_EQ(failed ? host.run() : "", "") << "after " << number;
    }
    EXPECT_TRUE(fault::given_back(before)) << "allocation " << number;
    return failed;
  }

  void sweep(fault::Gate &gate, bool ever)
  {
    const long stride = TESTS_SANITIZED ? 29 : 3;
    /* The first ones matter most: then the module is opened. */
    long number = 1 + (ever ? 1 : 0);
    while (play(gate, number, ever) && !HasFailure()) {
      number += stride;
    }
    EXPECT_GT(number, least);
  }
};

TEST_F(LuaHost, SurvivesAStateThatHasNoMemoryOnce)
{
  sweep(own, false);
}

TEST_F(LuaHost, SurvivesAStateThatHasNoMemoryForEver)
{
  sweep(own, true);
}

TEST_F(LuaHost, SurvivesALibraryThatHasNoMemoryOnce)
{
  sweep(fault::memory, false);
}

TEST_F(LuaHost, SurvivesALibraryThatHasNoMemoryForEver)
{
  sweep(fault::memory, true);
}

class ThreadsHost : public LuaHost
{
protected:
  void SetUp() override
  {
    if (!WITH_LLTHREADS2) {
      GTEST_SKIP() << "llthreads2 is not built";
    }
    LuaHost::SetUp();
    script = kThreads;
    least = 50;
  }
};

TEST_F(ThreadsHost, SurvivesAStateThatHasNoMemoryOnce)
{
  sweep(own, false);
}

TEST_F(ThreadsHost, SurvivesAStateThatHasNoMemoryForEver)
{
  sweep(own, true);
}

TEST_F(ThreadsHost, SurvivesALibraryThatHasNoMemoryOnce)
{
  sweep(fault::memory, false);
}

TEST_F(ThreadsHost, SurvivesALibraryThatHasNoMemoryForEver)
{
  sweep(fault::memory, true);
}

} // namespace
