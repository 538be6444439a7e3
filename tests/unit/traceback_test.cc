/* Tracebacks: the same text as Lua's own, found in fewer steps. */
#include "core_support.h"

#include <lua.hpp>

#include <regex>
#include <string>

extern "C" {
char *bridge__traceback(lua_State *main, lua_State *L, const char *owner);
void bridge__free(void *block);
}

namespace
{

class Tracebacks : public testing::Test
{
protected:
  void SetUp() override
  {
    main = luaL_newstate();
    ASSERT_NE(main, nullptr);
    luaL_openlibs(main);
  }
  void TearDown() override
  {
    lua_close(main);
  }

  /* Run until it fails or yields, and compare what the two say of it. */
  std::string compare(const char *source)
  {
    lua_State *L = lua_newthread(main);
    EXPECT_EQ(luaL_loadstring(L, source), LUA_OK) << lua_tostring(L, -1);
    int count = 0;
    EXPECT_NE(lua_resume(L, nullptr, 0, &count), LUA_OK);
    const int top = lua_gettop(main);
    const int depth = lua_gettop(L);
    char *ours = bridge__traceback(main, L, nullptr);
    EXPECT_EQ(lua_gettop(main), top);
    EXPECT_EQ(lua_gettop(L), depth);
    luaL_traceback(main, L, nullptr, 0);
    const std::string theirs = lua_tostring(main, -1);
    EXPECT_NE(ours, nullptr);
    const std::string text = ours == nullptr ? "" : ours;
    bridge__free(ours);
    /* Lua's own leaves out one more than it says. */
    static const std::regex number("skipping [0-9]+");
    EXPECT_EQ(std::regex_replace(text, number, "skipping"),
              std::regex_replace(theirs, number, "skipping"));
    lua_settop(main, top - 1);
    return text;
  }

  lua_State *main = nullptr;
};

} // namespace

TEST_F(Tracebacks, NameFunctionsAsLuaDoes)
{
  EXPECT_NE(compare("error('no')").find("function 'error'"), std::string::npos);
  compare(
      "local function f(n) if n > 0 then return f(n - 1) + 1 end error {} end "
      "f(3)");
  compare("function globally() error('no') end globally()");
  compare("local t = {} function t.field() error('no') end t.field()");
  compare("local t = {} function t:method() error('no') end t:method()");
  compare(
      "local t = setmetatable({}, { __index = function() error('no') end }) "
      "return t.x");
  compare("return (function() error('no') end)()");
  compare("local function f() return error('no') end return f()");
  compare("table.sort({ 3, 2, 1 }, function() error('no') end)");
  compare("string.gsub('x', 'x', function() error('no') end)");
  compare("pcall(coroutine.yield)");
  compare("for _ in function() error('no') end do end");
  compare("package.loaded.mine = { f = function() error('no') end } "
          "package.loaded.mine.f()");
  compare("package.loaded.itself = function() error('no') end "
          "package.loaded.itself()");
  compare("package.loaded[1] = { f = function() error('no') end } "
          "package.loaded[1].f()");
}

TEST_F(Tracebacks, SkipLevelsInTheMiddle)
{
  for (int depth : {18, 19, 20, 21, 22, 23, 40, 199000}) {
    const std::string source =
        "local function f(n) if n > 0 then f(n - 1) return end error('no') end "
        "f(" +
        std::to_string(depth) + ")";
    const std::string text = compare(source.c_str());
    /* `error`, f so many times and once more, the chunk; 21 are shown. */
    const int left = depth + 3 - 21;
    const std::string skipped = "skipping " + std::to_string(left) + " levels";
    EXPECT_EQ(text.find(skipped) != std::string::npos, left > 1) << depth;
  }
}

TEST_F(Tracebacks, AreLongerThanTheRoomForMost)
{
  compare("local name = ('n'):rep(200) "
          "local source = 'local ' .. name .. ' = ... ' .. name .. '()' "
          "local f = function() error('no') end "
          "for i = 1, 15 do local inner = f "
          "  f = function() load(source)(inner) end end "
          "f()");
}

TEST_F(Tracebacks, ShowTheBeginningOfLongNames)
{
  lua_State *L = lua_newthread(main);
  ASSERT_EQ(luaL_loadstring(
                L, "local name = ('n'):rep(1000000) "
                   "load('function ' .. name .. '(k) if k > 0 then local r = ' "
                   "  .. name .. '(k - 1) return r end error(1) end')() "
                   "package.loaded[name] = { [name] = _G[name] } "
                   "local f = _G[name] f(5)"),
            LUA_OK);
  int count = 0;
  ASSERT_EQ(lua_resume(L, nullptr, 0, &count), LUA_ERRRUN);
  char *text = bridge__traceback(main, L, nullptr);
  ASSERT_NE(text, nullptr);
  const std::string shown = text;
  bridge__free(text);
  EXPECT_LT(shown.size(), 10000U);
  EXPECT_NE(shown.find(std::string(200, 'n') + "..."), std::string::npos);
  EXPECT_EQ(shown.find(std::string(201, 'n')), std::string::npos);
}

TEST_F(Tracebacks, OfNothingAreEmpty)
{
  lua_State *L = lua_newthread(main);
  char *text = bridge__traceback(main, L, "worker");
  EXPECT_STREQ(text, "in worker:\nstack traceback:");
  bridge__free(text);
  lua_pushnil(main);
  lua_setfield(main, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  text = bridge__traceback(main, L, nullptr);
  EXPECT_STREQ(text, "stack traceback:");
  bridge__free(text);
}
