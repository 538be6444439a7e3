/* The strict level: string and table functions that are Lua's own to the byte, and
   no finalizers. */
#include "box.h"

#include <cstdlib>

namespace
{

/* ---- The same as Lua's ---- */

void set_library(lua_State *L, const char *name, lua_CFunction open)
{
  lua_pushcfunction(L, open);
  lua_call(L, 0, 1);
  lua_setfield(L, -2, name);
}

/* Tables of Lua's own libraries, and of those of the state. */
void push_both(lua_State *L)
{
  lua_newtable(L);
  lua_getglobal(L, "string");
  lua_setfield(L, -2, "string");
  lua_getglobal(L, "table");
  lua_setfield(L, -2, "table");
  lua_newtable(L);
  set_library(L, "string", luaopen_string);
  set_library(L, "table", luaopen_table);
  set_library(L, "math", luaopen_math);
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "base");
  lua_insert(L, -2);
}

class Differ : public testing::TestWithParam<int>
{
};

TEST_P(Differ, FindsNoDifference)
{
  const char *more = getenv("BRIDGE_CASES"); /* ./dev soak has time */
  const int cases = more != nullptr   ? atoi(more)
                    : TESTS_SANITIZED ? 5000
                                      : 25000;
  Box box(BRIDGE_STOP_STRICT);
  box.enter([&](lua_State *L) {
    ASSERT_EQ(luaL_loadfile(L, SANDBOX_FOLDER "/differ.lua"), LUA_OK)
        << lua_tostring(L, -1);
    push_both(L);
    lua_pushinteger(L, cases);
    lua_pushinteger(L, GetParam());
    ASSERT_EQ(lua_pcall(L, 4, 3, 0), LUA_OK) << lua_tostring(L, -1);
    EXPECT_STREQ(lua_tostring(L, -1), "");
    EXPECT_GE(lua_tointeger(L, -3), cases);
    /* Some of each kind: a generator that makes only mistakes tests little. */
    EXPECT_GT(lua_tointeger(L, -2), cases / 20);
    EXPECT_LT(lua_tointeger(L, -2), cases / 2);
  });
}

INSTANTIATE_TEST_SUITE_P(Seeds, Differ, testing::Range(1, 9));

/* Scripts whose result has to be that of a state with Lua's own libraries, names of
   functions in errors included. */
const char *const kSame[] = {
    "return string.find()",
    "return ('x'):find()",
    "return select(2, pcall(string.find))",
    "return select(2, pcall(string.rep, 'x', {}))",
    "return select(2, pcall(string.gsub, 'x', 'x'))",
    "return select(2, pcall(string.gsub, 'x', 'x', true))",
    "return ('x'):gsub('x', 'x', 'x')",
    "return select(2, pcall(string.match, nil, 'x'))",
    "return select(2, pcall(string.format, '%d', 'x'))",
    "return ('x'):rep(1e10)",
    "return ('x'):rep(1, 2, 3)",
    "return string.rep('ab', 3, ',')",
    "return select(2, pcall(string.rep, ('x'):rep(100), 1 << 40))",
    "return table.concat()",
    "return select(2, pcall(table.concat, {{}}))",
    "return select(2, pcall(table.concat, {1, 2}, {}))",
    "return table.concat({1, 2, 3}, ', ', 2)",
    "return table.concat({}, 'x')",
    "return table.concat({'a'}, 'x', math.maxinteger, math.maxinteger - 1)",
    "return select(2, pcall(table.insert, {}, 1, 2, 3))",
    "return select(2, pcall(table.insert, {}))",
    "return select(2, pcall(table.insert, {}, 5, 2))",
    "return select(2, pcall(table.insert, 1, 2))",
    "return select(2, pcall(table.remove, {}, 7))",
    "return select(2, pcall(table.move, {}, 1, math.maxinteger, 2))",
    "return select(2, pcall(table.move, {}, -1, math.maxinteger, 2))",
    "return select(2, pcall(table.unpack, {}, 1, 1e8))",
    "return table.unpack({1, nil, 3}, 1, 3)",
    "return select(2, pcall(table.sort, {1, 'x', 3}))",
    "return select(2, pcall(table.sort, {1, 2}, 3))",
    "return select(2, pcall(table.sort, setmetatable({}, "
    "  {__len = function() return math.maxinteger end})))",
    "return select(2, pcall(table.sort, {1, 2, 3, 4, 5}, "
    "  function(a, b) assert(a and b) return true end))",
    "return select(2, pcall(table.sort, {3, 1, 2}, function() error('e', 0) "
    "end))",
    "return select(2, pcall(setmetatable, 1, {}))",
    "return select(2, pcall(setmetatable, {}, 1))",
    "return select(2, pcall(setmetatable, {}))",
    "return select(2, pcall(setmetatable, setmetatable({}, {__metatable = 1}), "
    "{}))",
    "return getmetatable(setmetatable({}, {__metatable = 'mine'}))",
    "return select(2, pcall(getmetatable))",
    "return select(2, pcall(pairs))",
    "return select(2, pcall(next, {}, 1))",
    "return select(2, pcall(tostring))",
    "return tonumber('0x10'), tonumber('z', 36), tonumber('8', 8)",
    "return pairs(setmetatable({}, {__pairs = function() return 1, 2, 3, 4 "
    "end}))",
    "local t = {} for k, v in pairs({a = 1}) do t[1], t[2] = k, v end "
    "return t[1], t[2]",
    "return utf8.len('äö'), utf8.char(228), utf8.codepoint('ä')",
    "return select(2, pcall(utf8.codepoint, '\\xff'))",
    "return string.pack('<i4', 7), string.unpack('<i4', '\\7\\0\\0\\0')",
    "return ('10' + 5) .. ('3' * '4')",
    "return select(2, pcall(function() return 'x' + 1 end))",
    "return load('return 1 +')",
    "return select(2, load(function() return {} end))",
    "return ('ab12'):gsub('%d', {['1'] = 'one'})",
    "return ('hello world'):gsub('o', '0', 1)",
    "return ('x y'):gsub('()', '%1')",
    "return ('abc'):gsub('', '-')",
    "return ('%d'):gsub('%%d', '%%')",
    "return ('\\0a\\0'):find('\\0', 2, true)",
    "return ('THE (quick) fox'):find('%((%a+)%)')",
    "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do "
    "  t[#t + 1] = k .. v end return table.concat(t, ';')",
};

TEST(Strict, SaysWhatLuaSays)
{
  Box strict(BRIDGE_STOP_STRICT);
  Box stock(BRIDGE_STOP_COOPERATIVE);
  for (const char *script : kSame) {
    EXPECT_EQ(strict.run(script), stock.run(script)) << script;
    EXPECT_EQ(strict.status, stock.status) << script;
  }
}

TEST(Strict, SortsListsOfAllLengths)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run(R"lua(
    local seed = 7
    local function random(n)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % n + 1
    end
    local function check(n, most, by)
      local list, counts = {}, {}
      for i = 1, n do
        local v = random(most)
        list[i], counts[v] = v, (counts[v] or 0) + 1
      end
      table.sort(list, by)
      for i = 2, n do
        local wrong
        if by then wrong = by(list[i], list[i - 1])
        else wrong = list[i] < list[i - 1] end
        if wrong then error("not in order at " .. i .. " of " .. n) end
      end
      for i = 1, n do counts[list[i]] = counts[list[i]] - 1 end
      for v, c in pairs(counts) do
        if c ~= 0 then error("lost or doubled: " .. v) end
      end
    end
    local function down(a, b) return a > b end
    for n = 0, 70 do
      check(n, 5) check(n, 1000) check(n, 10, down)
    end
    check(100000, 1000000)          -- longer than a block
    check(70000, 1)                 -- all are equal
    check(70000, 3, down)           -- most are
    check(40000, 1000000, down)
    return "sorted"
  )lua"),
            "'sorted'");
}

TEST(Strict, SortsWithoutRoomOnTheStack)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run(R"lua(
    local list = {}
    for i = 1, 30000 do list[i] = (i * 7919) % 30011 end
    local function deep(n, ...) -- leaves less than a block needs
      if n > 0 then return deep(n - 1, ...) end
      return (function(...)
        table.sort(list)
        return select("#", ...)
      end)(...)
    end
    local many = {}
    local count = deep(0, table.unpack(many, 1, 480000))
    for i = 2, #list do
      if list[i] < list[i - 1] then return "not in order" end
    end
    return count
  )lua"),
            "480000");
}

TEST(Strict, AnErrorWhileSortingLosesNoElement)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run(R"lua(
    for _, n in ipairs { 5, 100, 40000 } do
      for stop = 1, n < 200 and 50 or 1 do
        local list, calls = {}, 0
        for i = 1, n do list[i] = (i * 7) % n end
        local limit = n < 200 and stop or 100000
        pcall(table.sort, list, function(a, b)
          calls = calls + 1
          if calls == limit then error "enough" end
          return a < b
        end)
        local seen = {}
        for i = 1, n do seen[list[i]] = true end
        for i = 1, n do
          if not seen[(i * 7) % n] then return "lost", n, stop end
        end
      end
    end
    return "whole"
  )lua"),
            "'whole'");
}

TEST(Strict, AComparatorThatContradictsItselfIsNoCrash)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run(R"lua(
    local functions = {
      function() return true end,
      function() return false end,
      function(a, b) return a <= b end,
      function(a, b) return a ~= b end,
      function(a, b) return (a * 7 + b * 13) % 3 == 0 end,
    }
    for _, by in ipairs(functions) do
      for _, n in ipairs { 2, 3, 4, 9, 100, 70000 } do
        local list = {}
        for i = 1, n do list[i] = (i * 31) % n end
        local good, text = pcall(table.sort, list, by)
        if not good and text ~= "invalid order function for sorting" then
          return text
        end
        if #list ~= n then return "another length" end
      end
    end
    return "fine"
  )lua"),
            "'fine'");
}

TEST(Strict, RefusesFinalizers)
{
  Box box(BRIDGE_STOP_STRICT);
  const char *const said = "error: script:1: __gc is not allowed in this state";
  EXPECT_EQ(box.run("setmetatable({}, {__gc = function() end})"), said);
  EXPECT_EQ(box.run("setmetatable({}, {__gc = true})"), said);
  EXPECT_EQ(box.run("setmetatable({}, {__gc = false})"), said);
  EXPECT_EQ(box.run("local mt = {__gc = print} setmetatable(_G, mt)"), said);
  EXPECT_EQ(box.run("return pcall(setmetatable, {}, "
                    "setmetatable({}, {__index = {__gc = 1}}))"),
            "true array 0"); /* what it inherits does not count */
}

TEST(Strict, AFinalizerThatComesLaterNeverRuns)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run(R"lua(
    ran = false
    local mt = {}
    local function drop()
      for i = 1, 100 do setmetatable({}, mt) end
    end
    local kept = setmetatable({}, mt)
    mt.__gc = function() ran = true end
    drop = nil
    kept = nil
    collectgarbage() collectgarbage()
    return ran
  )lua"),
            "false");
  EXPECT_EQ(box.run(R"lua(
    local mt = {}
    local object = setmetatable({}, mt)
    mt.__gc = function() ran = true end
    -- Once more, with the same metatable.
    local good, text = pcall(setmetatable, object, mt)
    object = nil
    collectgarbage() collectgarbage()
    return ran, good
  )lua"),
            "false false");
}

/* Objects that C finalizes: their metatables would be a way around. */
TEST(Strict, TheMetatablesOfObjectsWithFinalizersAreHidden)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run("return getmetatable(io.stdout)"), "false");
  EXPECT_EQ(box.run("return type(io.stdout), io.type(io.stdout)"),
            "'userdata' 'file'");
  EXPECT_EQ(box.run("return getmetatable(require 'bridge'.queue())"),
            "'bridge.Queue'"); /* a name, and nothing to write to */
  Box stock(BRIDGE_STOP_PROMPT);
  EXPECT_EQ(stock.run("return type(getmetatable(io.stdout))"), "'table'");
}

TEST(Strict, HasNoDebug)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run("return debug, package.loaded.debug, pcall(require, "
                    "'debug')")
                .substr(0, 14),
            "nil nil false ");
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.stop = BRIDGE_STOP_STRICT;
  options.libraries = "base,debug";
  bridge_state *state = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_create(&state, &options, &error), BRIDGE_EINVAL);
  EXPECT_STREQ(bridge_error_text(error, nullptr),
               "the library 'debug' is not allowed at the strict level");
  bridge_error_release(error);
}

TEST(Strict, OpensWithAnyLibraries)
{
  const char *const sets[] = {"",     "base",      "string",     "table",
                              "utf8", "base,math", "string,base"};
  for (const char *set : sets) {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.stop = BRIDGE_STOP_STRICT;
    options.libraries = set;
    bridge_state *state = nullptr;
    ASSERT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
    bridge_state_release(state);
  }
}

TEST(Strict, LongTextsAreWhole)
{
  Box box(BRIDGE_STOP_STRICT);
  EXPECT_EQ(box.run(R"lua(
    local unit = ("0123456789"):rep(100000) -- longer than a piece
    local twice = unit:rep(3, "--")
    if #twice ~= 3000004 or twice:sub(1000001, 1000003) ~= "--0" or
       twice:sub(-10) ~= "0123456789" then
      return "rep"
    end
    if table.concat({ unit, "x", unit }, unit) ~=
       unit .. unit .. "x" .. unit .. unit then
      return "concat"
    end
    if unit:gsub("9", "9") ~= unit or #unit:gsub("%d", "%0%0") ~= 2000000 then
      return "gsub"
    end
    if unit:find("90x") or unit:find("901", 1, true) ~= 10 or
       (unit .. "x"):find("9x") ~= 1000000 or unit:find("9$") ~= 1000000 then
      return "find"
    end
    if ("(" .. unit .. ")"):match "^%b()$" ~= "(" .. unit .. ")" then
      return "%b"
    end
    if (unit .. unit):match("^(" .. ("%d"):rep(10) .. ").*%1$") ~= "0123456789"
    then
      return "%1"
    end
    return "whole"
  )lua"),
            "'whole'");
}

} // namespace
