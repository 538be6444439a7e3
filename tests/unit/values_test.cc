/* Lua values across states: what arrives, and what is said about values that
   cannot cross. */
#include <bridge/bridge.h>
#include <gtest/gtest.h>

extern "C" {
#include "lua/values.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

namespace
{

struct Failure {
  bridge_status status;
  std::string text;
};

/* Two states: values are made in one and looked at in the other. */
class Values : public ::testing::Test
{
protected:
  void SetUp() override
  {
    ASSERT_EQ(BRIDGE_OK, bridge_state_create(&from_, nullptr, nullptr));
    ASSERT_EQ(BRIDGE_OK, bridge_state_create(&to_, nullptr, nullptr));
  }

  void TearDown() override
  {
    bridge_state_release(from_);
    bridge_state_release(to_);
  }

  static Failure Run(bridge_state *state,
                     const std::string &source,
                     bridge_message **arguments,
                     bridge_message **results)
  {
    bridge_error *error = nullptr;
    bridge_status status =
        bridge_state_run(state, source.data(), source.size(), "=test",
                         arguments, results, &error);
    Failure failure = {status, bridge_error_text(error, nullptr)};
    bridge_error_release(error);
    return failure;
  }

  /* What is said when the results of `make` cannot leave. */
  Failure Pack(const std::string &make)
  {
    bridge_message *message = nullptr;
    Failure failure = Run(from_, make, nullptr, &message);
    EXPECT_EQ(nullptr, message);
    bridge_message_release(message);
    return failure;
  }

  bridge_message *Make(const std::string &make)
  {
    bridge_message *message = nullptr;
    Failure failure = Run(from_, make, nullptr, &message);
    EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
    return message;
  }

  /* `check` is handed what `make` returned, and asserts; `prepare` runs where it
     arrives, before. */
  void Cross(const std::string &make,
             const std::string &check,
             const std::string &prepare = "")
  {
    bridge_message *message = Make(make);
    ASSERT_NE(nullptr, message);
    ASSERT_EQ(BRIDGE_OK, Run(to_, prepare, nullptr, nullptr).status);
    Failure failure = Run(to_, check, &message, nullptr);
    EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
    EXPECT_EQ(nullptr, message);
    bridge_message_release(message);
  }

  /* What is said when bytes from outside cannot be read. */
  Failure Unpack(const std::string &bytes)
  {
    bridge_message *message = nullptr;
    EXPECT_EQ(BRIDGE_OK,
              bridge_message_from_bytes(&message, bytes.data(), bytes.size()));
    Failure failure = Run(to_, "return ...", &message, nullptr);
    if (failure.status != BRIDGE_OK) {
      EXPECT_NE(nullptr, message) << "a failing unpack leaves the message";
    }
    bridge_message_release(message);
    return failure;
  }

  bridge_state *from_ = nullptr;
  bridge_state *to_ = nullptr;
};

/* ---- Scalars ---- */

TEST_F(Values, KeepNilsAtTheEndAndInTheMiddle)
{
  Cross("return nil, 1, nil, nil",
        "assert(select('#', ...) == 4)"
        "local a, b, c, d = ...;"
        "assert(a == nil and b == 1 and c == nil and d == nil)");
  Cross("return", "assert(select('#', ...) == 0)");
}

TEST_F(Values, KeepBooleans)
{
  Cross("return true, false", "local a, b = ...;"
                              "assert(a == true and b == false)");
}

TEST_F(Values, KeepIntegersAndFloatsApart)
{
  Cross("return 3, 3.0, math.maxinteger, math.mininteger, -1, 255, 65536",
        "local a, b, c, d, e, f, g = ...;"
        "assert(math.type(a) == 'integer' and a == 3)"
        "assert(math.type(b) == 'float' and b == 3.0)"
        "assert(c == math.maxinteger and math.type(c) == 'integer')"
        "assert(d == math.mininteger and math.type(d) == 'integer')"
        "assert(e == -1 and f == 255 and g == 65536)");
}

TEST_F(Values, KeepEveryFloat)
{
  Cross("return 0/0, 1/0, -1/0, -0.0, 2^53, 5e-324, 0.1",
        "local n, i, m, z, p, s, t = ...;"
        "assert(n ~= n and i == 1/0 and m == -1/0 and 1/z == -1/0)"
        "assert(p == 2^53 and math.type(p) == 'float' and s == 5e-324"
        " and t == 0.1)");
}

TEST_F(Values, KeepStringsWithAnyBytes)
{
  Cross("return '', 'a\\0b\\0', '\\255\\254', ('x'):rep(70000)",
        "local e, z, b, l = ...;"
        "assert(e == '' and z == 'a\\0b\\0' and #z == 4)"
        "assert(b == '\\255\\254' and l == ('x'):rep(70000))");
}

/* ---- Tables ---- */

TEST_F(Values, KeepNestedTables)
{
  Cross("return { 1, { 'two', { three = { 3.0 } } }, {}, n = { {} } }",
        "local t = ...;"
        "assert(t[1] == 1 and t[2][1] == 'two' and t[2][2].three[1] == 3.0)"
        "assert(next(t[3]) == nil and #t == 3 and next(t.n[1]) == nil)");
}

TEST_F(Values, KeepEveryKindOfKey)
{
  Cross("local k = {'key'}"
        "return { [1] = 'a', [3] = 'c', [-1] = 'm', [2.5] = 'f', x = 's',"
        "         [true] = 't', [false] = 'n', [k] = k, [print] = 'p' }, k",
        "local t, k = ...;"
        "assert(t[1] == 'a' and t[2] == nil and t[3] == 'c' and t[-1] == 'm')"
        "assert(t[2.5] == 'f' and t.x == 's' and t[true] == 't')"
        "assert(t[false] == 'n' and t[k] == k and k[1] == 'key')"
        "assert(t[print] == 'p')"
        "local n = 0; for _ in pairs(t) do n = n + 1 end; assert(n == 9)");
}

TEST_F(Values, WriteSequencesAsArraysAndTheRestAsMaps)
{
  bridge_message *message =
      Make("local hole = {1, 2, 3}; hole[2] = nil;"
           "local sparse = {}; sparse[2^40 | 0] = 1;"
           "return {1, 2}, {}, hole, {a = 1}, sparse, {1, 2, x = 3}");
  ASSERT_NE(nullptr, message);
  bridge_reader reader;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, message));
  const bridge_type types[] = {BRIDGE_TYPE_ARRAY, BRIDGE_TYPE_ARRAY,
                               BRIDGE_TYPE_MAP,   BRIDGE_TYPE_MAP,
                               BRIDGE_TYPE_MAP,   BRIDGE_TYPE_MAP};
  const size_t counts[] = {2, 0, 2, 1, 1, 3};
  for (int i = 0; i < 6; i++) {
    bridge_reader peek = reader;
    bridge_value value;
    ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&peek, &value));
    EXPECT_EQ(types[i], value.type) << i;
    EXPECT_EQ(counts[i], value.as.count) << i;
    ASSERT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  }
  bridge_message_release(message);
}

/* As many keys as its length says, but one of them elsewhere: what looks like an
   array at first is none. */
TEST_F(Values, KeepTablesThatOnlyLookLikeArrays)
{
  const std::string gap = "local gap = { 1, 2, nil, 4, x = 5 };"
                          "assert(#gap == 4 or #gap == 2);";
  const std::string same = "local function same(t)"
                           "  assert(t[1] == 1 and t[2] == 2 and t[3] == nil)"
                           "  assert(t[4] == 4 and t.x == 5)"
                           "  local n = 0; for _ in pairs(t) do n = n + 1 end"
                           "  assert(n == 4) "
                           "end;";
  Cross(gap + "return gap", same + "same(...)");
  /* Whatever was written before and around it comes out right, too. */
  Cross(
      gap +
          "local shared = { 'shared' };"
          "return 'first', shared, { deep = { 1, gap, shared } }, gap, shared",
      same + "local first, shared, outer, gap, again, more = ...;"
             "assert(first == 'first' and shared[1] == 'shared')"
             "same(gap); assert(outer.deep[2] == gap and more == nil)"
             "assert(outer.deep[1] == 1 and outer.deep[3] == shared)"
             "assert(again == shared)");
  Cross("local t = {}; for i = 20, 1, -1 do t[i] = i end; return t",
        "local t = ...; assert(#t == 20)"
        "for i = 1, 20 do assert(t[i] == i) end");
  Cross("return { n = 3, 1, 2, 3 }",
        "local t = ...; assert(t.n == 3 and #t == 3 and t[3] == 3)");
}

TEST_F(Values, SayWhereAGapWasFoundBeforeWhatCannotCross)
{
  EXPECT_NE(
      std::string::npos,
      Pack("return 1, { 1, 2, nil, 4, x = { print, coroutine.create(print) } }")
          .text.find("result 2.x[2]: a coroutine cannot cross"));
}

/* More levels, and more in a level, than are dealt with at once. */
TEST_F(Values, KeepWhatIsDeepAndWide)
{
  Cross(
      "local function tree(depth)"
      "  if depth == 0 then return 'leaf' end"
      "  return { depth, tree(depth - 1), key = { [depth] = tree(depth - 1) } }"
      "end; return tree(11)",
      "local function check(t, depth)"
      "  if depth == 0 then assert(t == 'leaf'); return end"
      "  assert(t[1] == depth and #t == 2)"
      "  check(t[2], depth - 1); check(t.key[depth], depth - 1)"
      "end; check((...), 11)");
  Cross(
      "local t = {}; for i = 1, 100 do"
      "  t[i] = i % 3 == 0 and { i, { i } } or i % 3 == 1 and i or tostring(i) "
      "end; return t, t",
      "local t, again = ...; assert(t == again and #t == 100)"
      "for i = 1, 100 do"
      "  if i % 3 == 0 then assert(t[i][1] == i and t[i][2][1] == i)"
      "  else assert(t[i] == (i % 3 == 1 and i or tostring(i))) end "
      "end");
}

/* Named again at the very end, when all before was read without need. */
TEST_F(Values, KeepWhatIsSharedOnlyAtTheEnd)
{
  Cross("local t = { { 1 }, { 2 }, 'x' }; return t, 7, function() return t "
        "end, t[2]",
        "local t, seven, f, second, more = ...;"
        "assert(seven == 7 and f() == t and second == t[2] and more == nil)"
        "assert(t[1][1] == 1 and t[2][1] == 2 and t[3] == 'x' and #t == 3)");
}

TEST_F(Values, KeepKeysThatLookLikeIndexes)
{
  Cross("local t = { 1, 2, 3, ['2'] = 'x' }; t[2] = nil; return t",
        "local t = ...;"
        "assert(t[1] == 1 and t[2] == nil and t[3] == 3 and t['2'] == 'x')");
  Cross("local t = { 1, 2, 3, [2.5] = 'x' }; t[2] = nil; return t",
        "local t = ...; assert(t[2] == nil and t[3] == 3 and t[2.5] == 'x')");
  Cross("local t = { 1, 2, 3, [0] = 'x' }; t[2] = nil; return t",
        "local t = ...; assert(t[2] == nil and t[3] == 3 and t[0] == 'x')");
}

TEST_F(Values, KeepSharedTablesShared)
{
  Cross("local s = {}; return { s, s, k = s }, s, { [s] = s }",
        "local t, s, m = ...;"
        "assert(t[1] == s and t[2] == s and t.k == s and m[s] == s)");
}

TEST_F(Values, KeepCycles)
{
  Cross("local t = { x = {} }; t.self = t; t.x.up = t; t[t] = t; return t",
        "local t = ...; assert(t.self == t and t.x.up == t and t[t] == t)");
}

TEST_F(Values, KeepManySharedTablesShared)
{
  Cross("local all = {}; for i = 1, 5000 do all[i] = { i } end;"
        "local again = {}; for i = 1, 5000 do again[i] = all[5001 - i] end;"
        "return all, again",
        "local all, again = ...;"
        "for i = 1, 5000 do"
        "  assert(all[i][1] == i and again[i] == all[5001 - i])"
        "end");
}

TEST_F(Values, LeaveMetatablesBehindAndCallNone)
{
  Cross("local function no() error('called') end;"
        "return setmetatable({1, x = 2}, { __index = no, __len = no,"
        "  __pairs = no, __eq = no, __name = 'N', __gc = nil })",
        "local t = ...;"
        "assert(getmetatable(t) == nil and t[1] == 1 and t.x == 2)");
}

TEST_F(Values, CrossAThousandLevelsDeep)
{
  Cross("local t = 'end'; for i = 1, 1000 do t = { t } end; return t",
        "local t = ...; for i = 1, 1000 do t = t[1] end; assert(t == 'end')");
  Cross("local t = 'end'; for i = 1, 1000 do t = { k = t } end; return t",
        "local t = ...; for i = 1, 1000 do t = t.k end; assert(t == 'end')");
  Cross("local t = true; for i = 1, 1000 do t = { [t] = 1 } end; return t",
        "local t = ...; for i = 1, 1000 do t = next(t) end; assert(t == true)");
}

TEST_F(Values, RefuseToNestDeeper)
{
  Failure failure = Pack("local t = {}; for i = 1, 1000 do t = { t } end;"
                         "return 1, t");
  EXPECT_EQ(BRIDGE_ELIMIT, failure.status);
  EXPECT_NE(std::string::npos, failure.text.find("result 2[1][1]"))
      << failure.text;
  EXPECT_NE(std::string::npos, failure.text.find("nested deeper than 1000"))
      << failure.text;
  failure = Pack("local t = {}; for i = 1, 100000 do t = { n = t } end;"
                 "return t");
  EXPECT_EQ(BRIDGE_ELIMIT, failure.status);
  EXPECT_NE(std::string::npos, failure.text.find("nested deeper than 1000"));
  failure = Pack("local f = print; for i = 1, 1001 do"
                 "  local g = f; f = function() return g end end;"
                 "return f");
  EXPECT_EQ(BRIDGE_ELIMIT, failure.status);
}

TEST_F(Values, CrossManyArguments)
{
  Cross("local t = {}; for i = 1, 200000 do t[i] = i end;"
        "return table.unpack(t)",
        "assert(select('#', ...) == 200000 and select(200000, ...) == 200000)");
}

/* ---- Functions ---- */

TEST_F(Values, CallFunctionsThatCrossed)
{
  Cross("local n, t = 20, { 2 };"
        "return function(x) return x + n + t[1] end, function() return 7 end",
        "local f, g = ...; assert(f(20) == 42 and g() == 7)");
}

TEST_F(Values, BindGlobalsToTheStateThatReads)
{
  Cross("where = 'there'; return function() return where, _G end, _G",
        "where = 'here'; local f, g = ...;"
        "local a, b = f(); assert(a == 'here' and b == _G and g == _G)");
}

TEST_F(Values, KeepRecursiveFunctions)
{
  Cross("local function f(n) return n == 0 and 'done' or f(n - 1) end;"
        "return f",
        "local f = ...; assert(f(10) == 'done')");
}

TEST_F(Values, ShareUpvaluesBetweenFunctions)
{
  Cross("local n = 1;"
        "return function() n = n + 1; return n end, function() return n end,"
        "       { function(v) n = v end }",
        "local up, get, t = ...;"
        "assert(up() == 2 and get() == 2); t[1](9); assert(get() == 9)");
}

TEST_F(Values, KeepMutuallyRecursiveFunctions)
{
  Cross("local even, odd;"
        "function even(n) if n == 0 then return true end return odd(n-1) end;"
        "function odd(n) if n == 0 then return false end return even(n-1) end;"
        "local function swap() even, odd = odd, even end;"
        "return even, odd, swap",
        "local even, odd, swap = ...;"
        "assert(even(10) and odd(7) and not even(3));"
        "swap(); local a, b = even(4), odd(4); assert(a ~= nil and b ~= nil)");
}

TEST_F(Values, ShareAnUpvalueThatHoldsTheFunctionItself)
{
  Cross("local t = {}; t.get = function() return t end;"
        "t.set = function(v) t = v end;"
        "return function() return t end",
        "local f = ...; local t = f();"
        "assert(t.get() == t); t.set(5); assert(f() == 5 and t.get() == 5)");
}

TEST_F(Values, KeepDebugInformationOfFunctions)
{
  Cross("return function()\n\n  error('oops') end",
        "local f = ...; local ok, e = pcall(f);"
        "assert(not ok and e == 'test:3: oops', e)");
}

TEST_F(Values, KeepVariadicFunctionsAndThoseWithoutEnvironment)
{
  Cross("return function(...) return select('#', ...) end,"
        "       load('local a <const> = 1; return ..., a')",
        "local f, g = ...; assert(f(1, nil, nil) == 3);"
        "local a, b = g(5); assert(a == 5 and b == 1)");
}

TEST_F(Values, CrossCFunctions)
{
  Cross("return print, { string.rep }",
        "local p, t = ...; assert(p == print and t[1]('ab', 2) == 'abab')");
}

TEST_F(Values, ReadFunctionsAlsoWhereScriptsMayNot)
{
  /* Both states take text only; what crosses was compiled in this process. */
  Cross("return function() return string.dump(function() end) end",
        "local f = ...; assert(load(f()) == nil)");
}

/* ---- Pointers ---- */

TEST_F(Values, CrossLightUserdata)
{
  int there = 0;
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(message, &there));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_light(message, nullptr));
  bridge_message *results = nullptr;
  Failure failure = Run(to_, "assert(type(...) == 'userdata'); return ...",
                        &message, &results);
  ASSERT_EQ(BRIDGE_OK, failure.status) << failure.text;
  bridge_reader reader;
  bridge_value value;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, results));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(BRIDGE_TYPE_POINTER, value.type);
  EXPECT_EQ(&there, value.as.pointer);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(nullptr, value.as.pointer);
  bridge_message_release(results);
}

/* ---- Null, arrays, maps ---- */

bridge_type TypeAt(const bridge_message *message, size_t place, size_t *count)
{
  bridge_reader reader;
  bridge_value value = {};
  EXPECT_EQ(BRIDGE_OK, bridge_reader_init(&reader, message));
  for (size_t i = 0; i < place; i++) {
    EXPECT_EQ(BRIDGE_OK, bridge_reader_skip(&reader));
  }
  EXPECT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  *count = value.as.count;
  return value.type;
}

TEST_F(Values, KeepNullWhereverItStands)
{
  Cross("local null = require 'bridge'.null; local up = null;"
        "return null, { 1, null, 3 }, { a = null }, { [null] = 'key' },"
        "       function() return up end, nil",
        "local null = require 'bridge'.null;"
        "local top, list, map, keyed, f, none = ...;"
        "assert(top == null and null ~= nil and type(null) == 'userdata')"
        "assert(list[2] == null and #list == 3 and map.a == null)"
        "assert(keyed[null] == 'key' and f() == null and none == nil)"
        "assert(select('#', ...) == 6)");
}

TEST_F(Values, WriteNullAsNilWithinTablesOnly)
{
  bridge_message *message =
      Make("local null = require 'bridge'.null; return null, { null }");
  ASSERT_NE(nullptr, message);
  EXPECT_EQ(0u, bridge_message_slot_count(message));
  const char bytes[] = "\xc7\x00\x06\x91\xc0";
  ASSERT_EQ(sizeof bytes - 1, bridge_message_size(message));
  EXPECT_EQ(0, memcmp(bytes, bridge_message_data(message), sizeof bytes - 1));
  bridge_message *outside = nullptr;
  EXPECT_EQ(BRIDGE_OK,
            bridge_message_from_bytes(&outside, bytes, sizeof bytes - 1));
  bridge_message_release(outside);
  bridge_message_release(message);
}

TEST_F(Values, KeepTheLengthOfListsWithNothingInThem)
{
  const char bytes[] = "\x93\x01\xc0\xc0\x81\xa1k\xc0";
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK,
            bridge_message_from_bytes(&message, bytes, sizeof bytes - 1));
  bridge_message *back = nullptr;
  Failure failure = Run(to_,
                        "local null = require 'bridge'.null;"
                        "local list, map = ...; assert(#list == 3)"
                        "assert(list[2] == null and map.k == null) return ...",
                        &message, &back);
  ASSERT_EQ(BRIDGE_OK, failure.status) << failure.text;
  ASSERT_EQ(sizeof bytes - 1, bridge_message_size(back));
  EXPECT_EQ(0, memcmp(bytes, bridge_message_data(back), sizeof bytes - 1));
  bridge_message_release(back);
}

TEST_F(Values, WriteMarkedTablesAsTheyAreMarked)
{
  bridge_message *message = Make(
      "local bridge = require 'bridge';"
      "local holes = bridge.array { 1, nil, 3 };"
      "return bridge.array {}, bridge.map {}, holes, bridge.map { 1, 2 },"
      "       bridge.array { n = 4, 'a' }, bridge.array(table.pack(nil, nil)),"
      "       bridge.map { a = 1, 7 }");
  ASSERT_NE(nullptr, message);
  const bridge_type types[] = {
      BRIDGE_TYPE_ARRAY, BRIDGE_TYPE_MAP,   BRIDGE_TYPE_ARRAY, BRIDGE_TYPE_MAP,
      BRIDGE_TYPE_ARRAY, BRIDGE_TYPE_ARRAY, BRIDGE_TYPE_MAP};
  const size_t counts[] = {0, 0, 3, 2, 4, 2, 2};
  for (size_t i = 0; i < 7; i++) {
    size_t count = 99;
    EXPECT_EQ(types[i], TypeAt(message, i, &count)) << i;
    EXPECT_EQ(counts[i], count) << i;
  }
  bridge_message_release(message);
}

/* What came as a map goes on as one. */
TEST_F(Values, KeepMapsThatLookLikeArrays)
{
  const char bytes[] = "\x80\x82\x01\xa1x\x02\xa1y\x90\x81\x05\x06";
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK,
            bridge_message_from_bytes(&message, bytes, sizeof bytes - 1));
  bridge_message *back = nullptr;
  Failure failure =
      Run(to_, "local e, m, a = ...; assert(m[1] == 'x') return ...", &message,
          &back);
  ASSERT_EQ(BRIDGE_OK, failure.status) << failure.text;
  ASSERT_EQ(sizeof bytes - 1, bridge_message_size(back));
  EXPECT_EQ(0, memcmp(bytes, bridge_message_data(back), sizeof bytes - 1));
  bridge_message_release(back);
  /* A table of Lua gets no metatable by crossing. */
  Cross("return {}, { 1, 2 }, { 1, nil, nil, 4 }, { a = 1 }",
        "for i = 1, 4 do assert(getmetatable((select(i, ...))) == nil) end");
}

TEST_F(Values, RefuseArraysThatAreNone)
{
  const std::string array = "local array = require 'bridge'.array; return ";
  EXPECT_EQ("result 1.list: a table that is marked as an array has other keys",
            Pack(array + "{ list = array { 1, x = 2 } }").text);
  EXPECT_EQ("result 1: a table that is marked as an array has other keys",
            Pack(array + "array { [0] = 1 }").text);
  EXPECT_EQ("result 1: a table that is marked as an array has other keys",
            Pack(array + "array { n = -1 }").text);
  EXPECT_EQ("result 1: a table that is marked as an array is nearly empty",
            Pack(array + "array { [1 << 40] = 1 }").text);
  EXPECT_EQ("result 1: a table that is marked as an array is nearly empty",
            Pack(array + "array { n = math.maxinteger }").text);
}

/* ---- Classes ---- */

/* Both states know it; an object holds a resource that is no table. */
const char point[] =
    "local bridge = require 'bridge';"
    "Point = { __bridge_name = 'test.point', __index = { kind = 'point' } };"
    "Point.__bridge_pack = function(p) calls = (calls or 0) + 1;"
    "  return p.x, nil, p.y end;"
    "Point.__bridge_unpack = function(x, gap, y) made = (made or 0) + 1;"
    "  assert(gap == nil);"
    "  return setmetatable({ x = x, y = y, new = true }, Point) end;"
    "bridge.register('test.point', Point);"
    "local function new(x, y) return setmetatable({ x = x, y = y }, Point) end;"
    "Box = { __index = { kind = 'box' } };"
    "bridge.register('test.box', Box);"
    "local function box(t) return setmetatable(t, Box) end;";

TEST_F(Values, MakeObjectsAgainOfWhatTheyGave)
{
  Cross(std::string(point) +
            "local p = new(1, { 2 }); local r = table.pack(p, { p, k = p },"
            "  new('s', function() return p end));"
            "assert(calls == nil); return table.unpack(r)",
        "local p, t, q = ...;"
        "assert(getmetatable(p) == Point and p.x == 1 and p.y[1] == 2)"
        "assert(p.new and p.kind == 'point' and made == 2)"
        "assert(t[1] == p and t.k == p and q.x == 's' and q.y() == p)",
        point);
  /* Each was asked once. */
  Cross("return calls", "assert(... == 2)");
}

TEST_F(Values, GiveTablesTheirMetatableAgain)
{
  Cross(std::string(point) +
            "local b = box { 1, 2, list = box {} }; b.self = b;"
            "return b, box { b, new(3, b) }, box {}",
        "local b, c, e = ...;"
        "assert(getmetatable(b) == Box and #b == 2 and b.self == b)"
        "assert(getmetatable(b.list) == Box and next(b.list) == nil)"
        "assert(getmetatable(c) == Box and c[1] == b and c.kind == 'box')"
        "assert(getmetatable(c[2]) == Point and c[2].y == b)"
        "assert(getmetatable(e) == Box and next(e) == nil)",
        point);
}

TEST_F(Values, MakeObjectsWithinObjects)
{
  Cross(std::string(point) +
            "local p = new(0, 0); for i = 1, 300 do p = new(i, p) end;"
            "return p, { [new(5, 6)] = new(7, box { new(8, 9) }) }",
        "local p, t = ...; for i = 300, 1, -1 do"
        "  assert(getmetatable(p) == Point and p.x == i) p = p.y end;"
        "local k, v = next(t); assert(k.x == 5 and v.x == 7)"
        "assert(v.y.kind == 'box' and v.y[1].y == 9)",
        point);
}

TEST_F(Values, CrossUserdataOfAClass)
{
  const std::string file =
      "local bridge = require 'bridge'; local class = getmetatable(io.stdout);"
      "class.__bridge_pack = function(f) return io.type(f) end;"
      "class.__bridge_unpack = function(kind) return io.tmpfile(), kind end;"
      "bridge.register('test.file', class);";
  Cross(file + "return { io.stdout, io.stdout, io.stderr }",
        "local t = ...; assert(io.type(t[1]) == 'file')"
        "assert(t[1] == t[2] and t[1] ~= t[3])",
        file);
}

TEST_F(Values, RequireTheModuleOfAClass)
{
  const std::string module =
      "package.preload['geometry.point'] = function()"
      "  loads = (loads or 0) + 1; local P = { __name = 'point' };"
      "  P.__bridge_module = 'geometry.point';"
      "  P.__bridge_pack = function(p) return p[1] end;"
      "  P.__bridge_unpack = function(x) return setmetatable({ x }, P) end;"
      "  return P "
      "end;";
  Cross(module + "local P = require 'geometry.point'"
                 "return setmetatable({ 5 }, P), setmetatable({ 6 }, P)",
        "local p, q = ...;"
        "assert(p[1] == 5 and q[1] == 6 and loads == 1)"
        "assert(getmetatable(p) == require 'geometry.point')",
        module);
}

TEST_F(Values, SayWhatIsWrongWithObjects)
{
  const std::string begin =
      "local bridge = require 'bridge';"
      "local function of(class) return setmetatable({ 1 }, class) end;";
  struct {
    const char *make;
    const char *text;
  } const cases[] = {
      {"return { a = { of { __name = 'C', __bridge_pack = function()"
       " error('no', 0) end } } }",
       "result 1.a[1]: __bridge_pack failed: no"},
      {"return of { __name = 'C', __bridge_pack = function()"
       " error({}) end }",
       "result 1: __bridge_pack failed with a table"},
      {"return of { __bridge_pack = function() end }",
       "result 1: its class has __bridge_pack and no name: __bridge_name is "
       "missing"},
      {"return 1, of { __name = 'C', __bridge_pack = function(o)"
       " return 'x', { o } end }",
       "result 2 (packed 2)[1]: an object is among the values that its own "
       "__bridge_pack gave"},
      {"return of { __name = 'C', __bridge_pack = function(o)"
       " return 1, coroutine.running() end }",
       "result 1 (packed 2): a coroutine cannot cross"},
      {"return of { __name = 'C', __bridge_pack = coroutine.yield }",
       "result 1: __bridge_pack failed: attempt to yield across a "
       "C-call boundary"},
      {"return of { __name = 'C', __bridge_pack = 5 }",
       "result 1: __bridge_pack failed: attempt to call a number value"},
      {"return { of { __bridge_name = 'C', __gc = rawlen } }",
       "result 1[1]: the class of this table has __gc: only by __bridge_pack "
       "can it cross"},
      {"local c = { __bridge_name = 'C' }; return { k = setmetatable({"
       " io.stdout }, c) }",
       "result 1.k[1]: a userdata cannot cross"},
  };
  for (const auto &each : cases) {
    Failure failure = Pack(begin + each.make);
    EXPECT_EQ(BRIDGE_ETYPE, failure.status) << each.make;
    EXPECT_EQ(each.text, failure.text) << each.make;
  }
}

TEST_F(Values, LeaveMessagesOfUnknownClasses)
{
  struct {
    const char *prepare;
    const char *text;
  } const cases[] = {
      {"", "argument 2[1]: no class is registered as 'test.point' in this "
           "state"},
      {"require 'bridge'.register('test.point', {})",
       "argument 2[1]: its class has no __bridge_unpack"},
      {"require 'bridge'.register('test.point', { __bridge_unpack ="
       " function() error('cannot', 0) end })",
       "argument 2[1]: cannot"},
      {"require 'bridge'.register('test.point', { __bridge_unpack ="
       " function() end })",
       "argument 2[1]: __bridge_unpack gave no object"},
      {"require 'bridge'.register('test.point', { __bridge_unpack ="
       " function() error({}) end })",
       "argument 2[1]: __bridge_unpack failed"},
      {"require 'bridge'.register('test.point')",
       "argument 2[1]: no class is registered as 'test.point' in this state"},
  };
  bridge_message *message =
      Make(std::string(point) + "return 1, { new(1, 2) }");
  ASSERT_NE(nullptr, message);
  for (const auto &each : cases) {
    ASSERT_EQ(BRIDGE_OK, Run(to_, each.prepare, nullptr, nullptr).status);
    Failure failure = Run(to_, "return ...", &message, nullptr);
    EXPECT_EQ(BRIDGE_ETYPE, failure.status) << each.prepare;
    EXPECT_EQ(each.text, failure.text);
    ASSERT_NE(nullptr, message);
  }
  Failure failure =
      Run(to_, std::string(point) + "assert((...) == 1)", &message, nullptr);
  EXPECT_EQ(BRIDGE_ETYPE, failure.status) << "unpacked before it runs";
  ASSERT_EQ(BRIDGE_OK, Run(to_, point, nullptr, nullptr).status);
  failure = Run(to_, "assert(select(2, ...)[1].x == 1)", &message, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  bridge_message_release(message);
}

/* A function of a class that never returns is stopped as any script. */
TEST_F(Values, StopObjectsThatLoop)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.run.timeout_ms = 50;
  bridge_state *timed = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_state_create(&timed, &options, nullptr));
  const std::string loop =
      "C = { __bridge_name = 'c' };"
      "C.__bridge_unpack = function() while true do pcall(error) end end;"
      "C.__bridge_pack = function() if loop then C.__bridge_unpack() end end;"
      "require 'bridge'.register('c', C);";
  ASSERT_EQ(BRIDGE_OK, Run(timed, loop, nullptr, nullptr).status);
  bridge_message *message = Make(loop + "return setmetatable({}, C)");
  Failure failure = Run(timed, "", &message, nullptr);
  EXPECT_EQ(BRIDGE_ETIMEDOUT, failure.status) << failure.text;
  EXPECT_NE(nullptr, message) << "it was not taken";
  bridge_message_release(message);
  message = nullptr;
  failure =
      Run(timed, "loop = true return setmetatable({}, C)", nullptr, &message);
  EXPECT_EQ(BRIDGE_ETIMEDOUT, failure.status) << failure.text;
  EXPECT_EQ(nullptr, message);
  failure = Run(timed, "loop = false return 1", nullptr, &message);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  bridge_message_release(message);
  bridge_state_release(timed);
}

/* Strict states refuse finalizers: no way leads around it. */
TEST_F(Values, GiveNoFinalizerToWhatArrives)
{
  ASSERT_EQ(BRIDGE_OK,
            Run(to_,
                "local bridge = require 'bridge'; C = {};"
                "bridge.register('c', C);"
                "bridge.register('sly', { __bridge_unpack = function()"
                "  C.__gc = function() ran = true end; return 1 end });"
                "for _, t in ipairs { bridge.map {}, bridge.array {} } do"
                "  getmetatable(t).__gc = function() ran = true end "
                "end",
                nullptr, nullptr)
                .status);
  bridge_message *message =
      Make("local o = setmetatable({}, { __name = 'sly',"
           "  __bridge_pack = function() end });"
           "return setmetatable({ o }, { __bridge_name = 'c' })");
  Failure failure = Run(to_, "assert(getmetatable(...) == C); C.__gc = rawlen",
                        &message, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  message = Make("return setmetatable({}, { __bridge_name = 'c' })");
  failure = Run(to_, "", &message, nullptr);
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_EQ(
      "argument 1: its class has __gc: only by __bridge_pack can it cross",
      failure.text);
  bridge_message_release(message);
  message = Make("return require 'bridge'.map {}");
  failure = Run(to_,
                "assert(getmetatable(...).__name == 'bridge.map');"
                "require 'bridge'.array {}",
                &message, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  failure = Run(to_, "collectgarbage() assert(not ran)", nullptr, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
}

TEST_F(Values, LeaveMessagesOfUnknownModules)
{
  bridge_message *message =
      Make("local c = { __bridge_name = 'x', __bridge_module = 'not.there' };"
           "return setmetatable({}, c)");
  ASSERT_NE(nullptr, message);
  Failure failure = Run(to_, "", &message, nullptr);
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_EQ(0u, failure.text.find("argument 1: module 'not.there' not found"))
      << failure.text;
  ASSERT_EQ(BRIDGE_OK, Run(to_, "package.preload['not.there'] = function() end",
                           nullptr, nullptr)
                           .status);
  EXPECT_EQ("argument 1: the module 'not.there' did not register the class 'x'",
            Run(to_, "", &message, nullptr).text);
  ASSERT_EQ(BRIDGE_OK, Run(to_,
                           "package.loaded['not.there'] = nil;"
                           "package.preload['not.there'] = function() X = {};"
                           "  require 'bridge'.register('x', X) end",
                           nullptr, nullptr)
                           .status);
  failure = Run(to_, "assert(getmetatable(...) == X)", &message, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  bridge_message_release(message);
}

/* What changes tables meanwhile is not what is walked. */
TEST_F(Values, PackWhatObjectsChangedWhenTheyWereAsked)
{
  Cross(std::string(point) +
            "local t = {}; for i = 1, 100 do t['k' .. i] = i end;"
            "local c = { __bridge_name = 'test.changes' };"
            "c.__bridge_pack = function(o)"
            "  for k in next, t do"
            "    if k ~= 'object' and k ~= 'late' then t[k] = nil end end;"
            "  for i = 1, 300 do t['z' .. i] = i end; collectgarbage();"
            "  t.late = t.late or new(1, 2); return o[1] end;"
            "t.object = setmetatable({ 'o' }, c); return t",
        "local t = ...; assert(t.object[1] == 'o' and t.late.y == 2)"
        "local n = 0; for k, v in next, t do n = n + 1;"
        "  assert(k == 'object' or k == 'late' or k == 'z' .. v) end;"
        "assert(n == 301 or n == 302, n)",
        std::string(point) +
            "bridge.register('test.changes', { __bridge_unpack ="
            "  function(v) return { v } end })");
}

TEST_F(Values, GiveUpOnObjectsThatNeverCease)
{
  Failure failure =
      Pack(std::string(point) + "local t = {}; local c = { __name = 'c' };"
                                "c.__bridge_pack = function(o)"
                                "  t[#t + 1] = setmetatable({}, c) end;"
                                "t[1] = setmetatable({}, c); return { t }");
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_EQ("the values changed while they were packed", failure.text);
}

TEST_F(Values, NeverTakeObjectsFromOutside)
{
  for (const char *bytes : {"\xc7\x04\x07\x93\xa0\xc0\x90",
                            "\xc7\x04\x08\x93\xa0\xc0\x90", "\xd4\x07\x90"}) {
    bridge_message *message = nullptr;
    EXPECT_EQ(BRIDGE_ECORRUPT,
              bridge_message_from_bytes(&message, bytes, strlen(bytes)));
  }
}

/* ---- Classes that loop: at each place where they have a say ---- */

const char looping_pack[] =
    "Loop = { __bridge_name = 'loop' }\n"
    "Loop.__bridge_pack = function() while true do end end\n"
    "Loop.__bridge_unpack = function() while true do end end\n"
    "require 'bridge'.register('loop', Loop)\n"
    "loop = setmetatable({}, Loop)\n";

class Looping : public Values
{
protected:
  void SetUp() override
  {
    Values::SetUp();
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.run.timeout_ms = 200;
    ASSERT_EQ(BRIDGE_OK, bridge_state_create(&short_, &options, nullptr));
    ASSERT_EQ(BRIDGE_OK, Run(short_, looping_pack, nullptr, nullptr).status);
  }

  void TearDown() override
  {
    EXPECT_EQ(BRIDGE_OK, Run(short_, "return 1", nullptr, nullptr).status);
    bridge_state_release(short_);
    Values::TearDown();
  }

  /* One that is a loop only where it arrives. */
  bridge_message *Object(const std::string &fields = "")
  {
    return Make("return setmetatable({}, { __bridge_name = 'loop', " + fields +
                "__bridge_pack = function() return 1 end })");
  }

  bridge_state *short_ = nullptr;
};

TEST_F(Looping, ResultsArgumentsAndErrorsAreStopped)
{
  bridge_message *results = nullptr;
  EXPECT_EQ(BRIDGE_ETIMEDOUT,
            Run(short_, "return 1, loop", nullptr, &results).status);
  EXPECT_EQ(nullptr, results);
  EXPECT_EQ(BRIDGE_ETIMEDOUT,
            Run(short_, "error(loop)", nullptr, nullptr).status);
  bridge_message *arguments = Object();
  EXPECT_EQ(BRIDGE_ETIMEDOUT,
            Run(short_, "return", &arguments, nullptr).status);
  EXPECT_NE(nullptr, arguments);
  bridge_message_release(arguments);
}

TEST_F(Looping, WhatAHostPacksAndPushesIsStopped)
{
  lua_State *L = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_state_enter(short_, -1, &L));
  lua_getglobal(L, "loop");
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(message, 5));
  size_t size = bridge_message_size(message);
  bridge_error *error = nullptr;
  EXPECT_EQ(BRIDGE_ETIMEDOUT,
            bridge_state_pack(short_, L, 1, 1, message, &error));
  EXPECT_EQ(BRIDGE_ETIMEDOUT, bridge_error_status(error));
  EXPECT_EQ(size, bridge_message_size(message));
  EXPECT_EQ(1, lua_gettop(L));
  bridge_error_release(error);
  bridge_message_release(message);
  message = Object();
  int count = -1;
  EXPECT_EQ(BRIDGE_ETIMEDOUT,
            bridge_state_push(short_, L, message, &count, &error));
  EXPECT_EQ(0, count);
  EXPECT_EQ(1, lua_gettop(L));
  EXPECT_EQ(BRIDGE_ETIMEDOUT,
            bridge_state_push(short_, L, message, nullptr, nullptr));
  bridge_error_release(error);
  bridge_message_release(message);
  lua_settop(L, 0);
  bridge_state_leave(short_);
}

/* ---- Limits ---- */

/* A third state, which limits what its messages may have. */
class Limited : public Values
{
protected:
  void SetUp() override
  {
    Values::SetUp();
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.depth_limit = 4;
    options.value_limit = 20;
    options.message_limit = 300;
    ASSERT_EQ(BRIDGE_OK, bridge_state_create(&limited_, &options, nullptr));
  }

  void TearDown() override
  {
    bridge_state_release(limited_);
    Values::TearDown();
  }

  Failure Out(const std::string &make)
  {
    bridge_message *message = nullptr;
    Failure failure = Run(limited_, make, nullptr, &message);
    bridge_message_release(message);
    return failure;
  }

  Failure In(const std::string &make)
  {
    bridge_message *message = Make(make);
    Failure failure = Run(limited_, "return", &message, nullptr);
    EXPECT_EQ(failure.status == BRIDGE_OK, message == nullptr);
    bridge_message_release(message);
    return failure;
  }

  bridge_state *limited_ = nullptr;
};

const char four_deep[] = "return { { k = { { 1 } } } }";
const char five_deep[] = "return 1, { { k = { { {} } } } }";

TEST_F(Limited, DepthIsThatOfContainers)
{
  EXPECT_EQ(BRIDGE_OK, Out(four_deep).status);
  EXPECT_EQ(BRIDGE_OK, In(four_deep).status);
  Failure failure = Out(five_deep);
  EXPECT_EQ(BRIDGE_ELIMIT, failure.status);
  EXPECT_EQ("result 2[1].k[1][1]: nested deeper than 4 (depth_limit)",
            failure.text);
  failure = In(five_deep);
  EXPECT_EQ(BRIDGE_ELIMIT, failure.status);
  EXPECT_EQ("argument 2[1].k[1][1]: nested deeper than 4 (depth_limit)",
            failure.text);
}

TEST_F(Limited, ValuesAreCountedWithKeysAndUpvalues)
{
  const char *const fit[] = {
      "local t = {}; for i = 1, 19 do t[i] = i end; return t",
      "local t = {}; for i = 1, 9 do t['k' .. i] = i end; return t",
      "return 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,"
      " 19, 20",
      "local a, b = 1, {}; return { function() return a, b end }",
  };
  for (const char *make : fit) {
    EXPECT_EQ(BRIDGE_OK, Out(make).status) << make;
    EXPECT_EQ(BRIDGE_OK, In(make).status) << make;
  }
  const char *const exceed[] = {
      "local t = {}; for i = 1, 20 do t[i] = i end; return t",
      "local t = {}; for i = 1, 10 do t['k' .. i] = i end; return t",
      "return 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18,"
      " 19, 20, 21",
      "local t = {}; for i = 1, 17 do t[i] = i end;"
      "local a, b = 1, 2; t[18] = function() return a, b end; return t",
  };
  for (const char *make : exceed) {
    for (Failure failure : {Out(make), In(make)}) {
      EXPECT_EQ(BRIDGE_ELIMIT, failure.status) << make;
      EXPECT_NE(std::string::npos,
                failure.text.find("more than 20 values (value_limit)"))
          << failure.text;
    }
  }
}

TEST_F(Limited, BytesAreThoseOfTheMessage)
{
  for (const char *make :
       {"return ('x'):rep(297)", "return { ('x'):rep(296) }"}) {
    EXPECT_EQ(BRIDGE_OK, Out(make).status) << make;
    EXPECT_EQ(BRIDGE_OK, In(make).status) << make;
  }
  for (const char *make :
       {"return ('x'):rep(298)", "return { ('x'):rep(297) }",
        "return 'x', { k = { ('x'):rep(200), ('y'):rep(100) } }"}) {
    Failure failure = Out(make);
    EXPECT_EQ(BRIDGE_ELIMIT, failure.status) << make;
    EXPECT_NE(std::string::npos,
              failure.text.find(
                  "the message would have more than 300 bytes (message_limit)"))
        << failure.text;
    EXPECT_EQ(0u, failure.text.find("result ")) << failure.text;
    failure = In(make);
    EXPECT_EQ(BRIDGE_ELIMIT, failure.status) << make;
    EXPECT_NE(std::string::npos,
              failure.text.find("a message of more than 300 bytes "
                                "(message_limit)"))
        << failure.text;
  }
  EXPECT_EQ(BRIDGE_OK, Out("return 1").status) << "nothing is left behind";
}

TEST_F(Limited, CountsThatLieCostNothing)
{
  const std::string bytes("\xdd\x00\x00\x00\x64", 5);
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK,
            bridge_message_from_bytes(
                &message, (bytes + std::string(100, '\1')).data(), 105));
  Failure failure = Run(limited_, "", &message, nullptr);
  EXPECT_EQ("argument 1: more than 20 values (value_limit)", failure.text);
  bridge_message_release(message);
}

TEST_F(Limited, ScriptsOnlyLowerThem)
{
  Failure failure =
      Out("local bridge = require 'bridge'; local l = bridge.limits();"
          "assert(l.depth_limit == 4 and l.value_limit == 20)"
          "assert(l.message_limit == 300)"
          "l = bridge.limits { depth_limit = 900, value_limit = 17 };"
          "assert(l.depth_limit == 4 and l.value_limit == 17)"
          "assert(l.message_limit == 300) l = bridge.limits {};"
          "assert(l.depth_limit == 4 and l.value_limit == 20)"
          "for _, o in ipairs { { depth_limit = 1001 }, { value_limit = 1.5 },"
          "  { message_limit = -1 }, { depth_limit = -1 }, { x = 1 }, 5 } do"
          "  assert(not pcall(bridge.limits, o)) end");
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
}

TEST_F(Limited, TheLowestOnesHold)
{
  for (int i = 0; i < 3; i++) {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.depth_limit = i == 0 ? 1 : 0;
    options.value_limit = i == 1 ? 1 : 0;
    options.message_limit = i == 2 ? 1 : 0;
    bridge_state *state = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_state_create(&state, &options, nullptr));
    bridge_message *out = nullptr;
    EXPECT_EQ(BRIDGE_OK, Run(state, "return 1", nullptr, &out).status);
    EXPECT_EQ(BRIDGE_OK, Run(state, "", &out, nullptr).status);
    EXPECT_EQ(i == 0 ? BRIDGE_OK : BRIDGE_ELIMIT,
              Run(state, "return 300, 1", nullptr, &out).status);
    bridge_message_release(out);
    out = nullptr;
    EXPECT_EQ(BRIDGE_ELIMIT, Run(state, "return {{1}}", nullptr, &out).status);
    EXPECT_EQ(nullptr, out);
    bridge_state_release(state);
  }
}

TEST(Limits, AreCheckedWhenTheStateIsMade)
{
  for (int i = 0; i < 2; i++) {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.depth_limit = i == 0 ? BRIDGE_DEPTH_MAX + 1 : 0;
    options.message_limit = i == 1 ? BRIDGE_SIZE_MAX + 1 : 0;
    bridge_state *state = nullptr;
    bridge_error *error = nullptr;
    EXPECT_EQ(BRIDGE_EINVAL, bridge_state_create(&state, &options, &error));
    EXPECT_NE(nullptr,
              strstr(bridge_error_text(error, nullptr), "_limit is at"));
    bridge_error_release(error);
  }
}

/* ---- What cannot cross ---- */

TEST_F(Values, NameThePathToWhatCannotCross)
{
  struct {
    const char *make;
    const char *text;
  } const cases[] = {
      {"return coroutine.create(print)", "result 1: a coroutine cannot cross"},
      {"local co = coroutine.create(print);"
       "return 1, { items = { 1, 2, { callback = co } } }",
       "result 2.items[3].callback: a coroutine cannot cross"},
      {"return { ['a b'] = { [2.5] = io.stdout } }",
       "result 1[\"a b\"][2.5]: a userdata cannot cross"},
      {"return { [true] = { [{}] = io.stdout } }",
       "result 1[true][table]: a userdata cannot cross"},
      {"return { [{ { coroutine.running() } }] = 1 }",
       "result 1 (key)[1][1]: a coroutine cannot cross"},
      {"return { [coroutine.running()] = 1 }",
       "result 1 (key): a coroutine cannot cross"},
      {"local co = coroutine.running();"
       "return { f = function() return co end }",
       "result 1.f upvalue 'co': a coroutine cannot cross"},
      {"return { [('k'):rep(50)] = io.stdout }",
       "result 1[\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\"]: "
       "a userdata cannot cross"},
      {"return { ['\\0\\n\"\\\\'] = io.stdout }",
       "result 1[\"\\000\\010\\\"\\\\\"]: a userdata cannot cross"},
      {"return { [''] = io.stdout }",
       "result 1[\"\"]: a userdata cannot cross"},
      {"return { ['1x'] = io.stdout }",
       "result 1[\"1x\"]: a userdata cannot cross"},
      {"return { [-7] = io.stdout }", "result 1[-7]: a userdata cannot cross"},
      {"return { coroutine.wrap(print) }",
       "result 1[1]: a C function with upvalues cannot cross"},
      {"return ('x'):gmatch('x')",
       "result 1: a C function with upvalues cannot cross"},
  };
  for (const auto &each : cases) {
    Failure failure = Pack(each.make);
    EXPECT_EQ(BRIDGE_ETYPE, failure.status) << each.make;
    EXPECT_EQ(each.text, failure.text);
  }
}

TEST_F(Values, ShortenPathsThatAreVeryLong)
{
  Failure failure =
      Pack("local t = { io.stdout }; for i = 1, 900 do t = { long_name = t }"
           " end; return t");
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_LT(failure.text.size(), 600u);
  EXPECT_EQ(0u, failure.text.find("result 1.long_name.long_name"));
  EXPECT_NE(std::string::npos,
            failure.text.find("...: a userdata cannot cross"))
      << failure.text;
}

TEST_F(Values, LeaveTheStateUsableAfterAFailure)
{
  for (int i = 0; i < 100; i++) {
    EXPECT_EQ(BRIDGE_ETYPE, Pack("return { 1, { {}, io.stdout } }").status);
  }
  Cross("return 1", "assert(... == 1)");
}

/* ---- Bytes from outside ---- */

TEST_F(Values, RefuseIntegersThatAreTooLarge)
{
  Failure failure = Unpack("\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
  EXPECT_EQ(BRIDGE_EOVERFLOW, failure.status);
  EXPECT_EQ("argument 1: 18446744073709551615 does not fit Lua's integers",
            failure.text);
  failure = Unpack("\x01\x92\x02\xcf\x80" + std::string(7, '\0'));
  EXPECT_EQ(BRIDGE_EOVERFLOW, failure.status);
  EXPECT_EQ("argument 2[2]: 9223372036854775808 does not fit Lua's integers",
            failure.text);
}

TEST_F(Values, RefuseKeysThatLuaHasNot)
{
  Failure failure = Unpack("\x81\xa1k\x81\xc0\x01");
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_EQ("argument 1.k (key): nil is no key", failure.text);
  failure = Unpack(std::string("\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01", 11));
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_EQ("argument 1 (key): not-a-number is no key", failure.text);
}

TEST_F(Values, RefuseExtensionsOfOthers)
{
  Failure failure = Unpack(std::string("\x91\xd6\xff\0\0\0\0", 7));
  EXPECT_EQ(BRIDGE_ETYPE, failure.status);
  EXPECT_EQ("argument 1[1]: extension type -1 means nothing to Lua",
            failure.text);
}

TEST_F(Values, ReadBinaryAsStrings)
{
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_binary(message, "a\0b", 3));
  Failure failure = Run(to_, "assert(... == 'a\\0b')", &message, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  bridge_message_release(message);
}

TEST_F(Values, ReadReferencesFromOutside)
{
  /* [[], ref 0, ref 1] */
  const std::string bytes("\x93\x90\xd4\x01\x00\xd4\x01\x01", 8);
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK,
            bridge_message_from_bytes(&message, bytes.data(), bytes.size()));
  Failure failure =
      Run(to_, "local t = ...; assert(t[2] == t and t[3] == t[1] and #t == 3)",
          &message, nullptr);
  EXPECT_EQ(BRIDGE_OK, failure.status) << failure.text;
  bridge_message_release(message);
}

TEST_F(Values, RefuseMessagesThatAreNotFinished)
{
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(message, 1));
  EXPECT_EQ(BRIDGE_EINVAL, Run(to_, "", &message, nullptr).status);
  ASSERT_NE(nullptr, message);
  bridge_message_release(message);
}

TEST_F(Values, RefuseMoreArgumentsThanTheStackHolds)
{
  const std::string bytes(1100000, '\x01');
  Failure failure = Unpack(bytes);
  EXPECT_TRUE(failure.status == BRIDGE_ELIMIT ||
              failure.status == BRIDGE_ENOMEM)
      << failure.text;
  EXPECT_EQ(BRIDGE_OK, Unpack("\x01").status);
}

TEST_F(Values, ReadOrRefuseWhateverBytesMakeAMessage)
{
  /* Mostly beginnings of containers, references, and small values. */
  static const unsigned char likely[] = {
      0x90, 0x91, 0x92, 0x93, 0x80, 0x81, 0x82, 0xc0, 0xc2, 0xc3, 0x01,
      0x02, 0xd4, 0xd5, 0xa1, 0xc4, 0xcb, 0xcf, 0xdc, 0xde, 0x00, 0xff};
  uint64_t random = 42;
  int read = 0;
  int refused = 0;
  for (int i = 0; i < 30000; i++) {
    std::string bytes;
    for (int j = 0; j < 24; j++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      bytes += static_cast<char>(likely[(random >> 33) % sizeof likely]);
    }
    for (size_t size = bytes.size(); size > 0; size--) {
      bridge_message *message = nullptr;
      if (bridge_message_from_bytes(&message, bytes.data(), size) !=
          BRIDGE_OK) {
        continue;
      }
      Failure failure = Run(to_, "return ...", &message, nullptr);
      bool good = failure.status == BRIDGE_OK;
      EXPECT_TRUE(good || failure.status == BRIDGE_ETYPE ||
                  failure.status == BRIDGE_EOVERFLOW)
          << failure.text;
      EXPECT_EQ(good, message == nullptr);
      EXPECT_EQ(good, failure.text.empty());
      (good ? read : refused)++;
      bridge_message_release(message);
      break;
    }
  }
  EXPECT_GT(read, 1000);
  EXPECT_GT(refused, 1000);
}

TEST_F(Values, ComeBackAsTheyWere)
{
  /* Random graphs of tables and functions go to another state and back; then
     both are walked in step. */
  const std::string make = R"(
    seed = (seed or 0) + 1
    math.randomseed(seed)
    local pool = {}
    local function pick(depth)
      local r = math.random(14)
      if r == 1 then return math.random(1 << 40) - (1 << 39) end
      if r == 2 then return math.random() * 1e300 end
      if r == 3 then return ('s\0\xff'):rep(math.random(0, 60)) end
      if r == 4 then return math.random(2) == 1 end
      if r == 5 then return math.random(1000) + 0.0 end
      if r < 9 and #pool > 0 then return pool[math.random(#pool)] end
      if depth == 0 then return math.random(300) end
      local t = {}
      pool[#pool + 1] = t
      if r == 9 then
        local kept = t
        t.get = function() return kept end
        t.set = function(v) kept = v end
      end
      for i = 1, math.random(0, 6) do
        local k = i
        if r % 2 == 0 then k = pick(0) end
        if k == k then t[k] = pick(depth - 1) end
      end
      return t
    end
    kept = table.pack(pick(6), pick(6), nil, pick(6))
    return table.unpack(kept, 1, kept.n))";
  const std::string compare = R"(
    local came = table.pack(...)
    assert(came.n == kept.n)
    local there = {}
    local same
    local function functions(a, b)
      same(debug.getinfo(a, 'S').linedefined, debug.getinfo(b, 'S').linedefined)
      for i = 1, debug.getinfo(a, 'u').nups do
        local n, u = debug.getupvalue(a, i)
        local m, v = debug.getupvalue(b, i)
        assert(n == m)
        same(u, v)
        local known = there[debug.upvalueid(a, i)]
        assert(known == nil or known == debug.upvalueid(b, i))
        there[debug.upvalueid(a, i)] = debug.upvalueid(b, i)
      end
    end
    local function tables(a, b)
      local n = 0
      for k, v in next, a do
        n = n + 1
        if type(k) == 'table' then
          n = n + 1 -- found through the pair below
        else
          same(v, b[k])
        end
      end
      for k, v in next, b do
        n = n - (type(k) == 'table' and 2 or 1)
      end
      assert(n == 0)
      for k, v in next, a do
        if type(k) == 'table' and there[k] then same(v, b[there[k]]) end
      end
    end
    function same(a, b)
      assert(type(a) == type(b) and math.type(a) == math.type(b))
      if type(a) ~= 'table' and type(a) ~= 'function' then
        assert(a == b)
        return
      end
      if there[a] ~= nil then assert(there[a] == b) return end
      there[a] = b;
      (type(a) == 'table' and tables or functions)(a, b)
    end
    for i = 1, kept.n do same(kept[i], came[i]) end)";
  for (int i = 0; i < 300; i++) {
    bridge_message *there = Make(make);
    ASSERT_NE(nullptr, there);
    bridge_message *back = nullptr;
    Failure failure = Run(to_, "return ...", &there, &back);
    ASSERT_EQ(BRIDGE_OK, failure.status) << failure.text;
    failure = Run(from_, compare, &back, nullptr);
    ASSERT_EQ(BRIDGE_OK, failure.status) << i << ": " << failure.text;
    ASSERT_EQ(nullptr, back);
  }
}

/* ---- On states of others: what the Lua module does ---- */

class Host : public ::testing::Test
{
protected:
  void SetUp() override
  {
    L_ = luaL_newstate();
    luaL_openlibs(L_);
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message_, 0));
  }

  void TearDown() override
  {
    lua_close(L_);
    bridge_message_release(message_);
  }

  lua_State *L_ = nullptr;
  bridge_message *message_ = nullptr;
};

TEST_F(Host, PackGoesOnBehindWhatTheMessageHas)
{
  ASSERT_EQ(LUA_OK,
            luaL_dostring(L_, "local u = 0;"
                              "local function f() u = u + 1 end;"
                              "local function g() return u end;"
                              "local t = { f, {}, g }; t.t = t; return t, f"));
  ASSERT_EQ(BRIDGE_OK, bridge__pack(L_, 1, 2, message_));
  ASSERT_EQ(BRIDGE_OK, bridge__pack(L_, 1, 2, message_));
  lua_settop(L_, 0);
  int count = 0;
  ASSERT_EQ(BRIDGE_OK, bridge__unpack(L_, message_, &count));
  ASSERT_EQ(4, count);
  ASSERT_EQ(4, lua_gettop(L_));
  for (int first = 1; first <= 3; first += 2) {
    lua_getfield(L_, first, "t");
    EXPECT_TRUE(lua_rawequal(L_, first, -1)) << first;
    lua_rawgeti(L_, first, 1);
    EXPECT_TRUE(lua_rawequal(L_, first + 1, -1)) << first;
    lua_rawgeti(L_, first, 3);
    EXPECT_EQ(lua_upvalueid(L_, first + 1, 1), lua_upvalueid(L_, -1, 1));
    lua_settop(L_, 4);
  }
  EXPECT_FALSE(lua_rawequal(L_, 1, 3)) << "each row has its own";
  EXPECT_NE(lua_upvalueid(L_, 2, 1), lua_upvalueid(L_, 4, 1));
}

TEST_F(Host, PackLeavesTheMessageAsItWasWhenItFails)
{
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(message_, 5));
  lua_pushinteger(L_, 1);
  lua_newtable(L_);
  lua_newuserdatauv(L_, 1, 0);
  lua_rawseti(L_, 2, 1);
  EXPECT_EQ(BRIDGE_ETYPE, bridge__pack(L_, 1, 2, message_));
  EXPECT_STREQ("argument 2[1]: a userdata cannot cross", lua_tostring(L_, -1));
  EXPECT_EQ(3, lua_gettop(L_));
  EXPECT_EQ(1u, bridge_message_count(message_));
  EXPECT_EQ(1u, bridge_message_size(message_));
}

TEST_F(Host, PackWritesNothingInsideOfAContainer)
{
  ASSERT_EQ(BRIDGE_OK, bridge_message_begin_array(message_, 2));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(message_, 5));
  size_t size = bridge_message_size(message_);
  lua_pushinteger(L_, 1);
  EXPECT_EQ(BRIDGE_EINVAL, bridge__pack(L_, 1, 1, message_));
  lua_settop(L_, 0);
  lua_newtable(L_);
  EXPECT_EQ(BRIDGE_EINVAL, bridge__pack(L_, 1, 1, message_));
  EXPECT_EQ(size, bridge_message_size(message_));
  EXPECT_EQ(BRIDGE_OK, bridge_message_write_integer(message_, 6));
  EXPECT_EQ(BRIDGE_OK, bridge_message_end(message_));
  EXPECT_EQ(1u, bridge_message_count(message_));
}

/* Which values are the caller's does not matter, nor what stands above them. */
TEST_F(Host, PackStartsAgainAndLeavesTheStackAlone)
{
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(message_, 5));
  lua_pushliteral(L_, "below");
  ASSERT_EQ(LUA_OK, luaL_dostring(L_, "return { 1, 2, nil, 4, x = 5 }"));
  lua_pushliteral(L_, "above");
  ASSERT_EQ(BRIDGE_OK, bridge__pack(L_, -2, 1, message_));
  EXPECT_EQ(3, lua_gettop(L_));
  EXPECT_STREQ("above", lua_tostring(L_, 3));
  bridge_reader reader;
  bridge_value value;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, message_));
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(5, value.as.integer);
  ASSERT_EQ(BRIDGE_OK, bridge_reader_next(&reader, &value));
  EXPECT_EQ(BRIDGE_TYPE_MAP, value.type);
  EXPECT_EQ(4u, value.as.count);
  EXPECT_EQ(2u, bridge_message_count(message_));
}

TEST_F(Host, PackTakesNothingFromANullMessage)
{
  lua_pushinteger(L_, 1);
  EXPECT_EQ(BRIDGE_EINVAL, bridge__pack(L_, 1, 1, nullptr));
  EXPECT_EQ(2, lua_gettop(L_));
}

TEST_F(Host, UnpackPushesOneTextWhenItFails)
{
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(message_, 5));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_extension(message_, 99, "x", 1));
  int count = -1;
  lua_pushinteger(L_, 1);
  EXPECT_EQ(BRIDGE_ETYPE, bridge__unpack(L_, message_, &count));
  EXPECT_STREQ("argument 2: extension type 99 means nothing to Lua",
               lua_tostring(L_, -1));
  EXPECT_EQ(2, lua_gettop(L_));
}

TEST_F(Host, UnpackNeedsTheModuleForHandles)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_message_write_buffer(message_, buffer));
  bridge_buffer_release(buffer);
  int count = 0;
  EXPECT_EQ(BRIDGE_ETYPE, bridge__unpack(L_, message_, &count));
  EXPECT_STREQ("argument 1: a handle needs the module \"bridge\" in this state",
               lua_tostring(L_, -1));
}

/* A stand-in for the module: a userdata that holds a buffer. */
void push_box(lua_State *L, bridge_handle_kind kind, void *handle)
{
  ASSERT_EQ(BRIDGE_HANDLE_BUFFER, kind);
  void **box = static_cast<void **>(lua_newuserdatauv(L, sizeof *box, 0));
  *box = handle;
}

bridge_handle_kind get_box(lua_State *L, int index, void **handle)
{
  if (lua_rawlen(L, index) != sizeof(void *)) {
    return BRIDGE_HANDLE_NONE;
  }
  *handle = *static_cast<void **>(lua_touserdata(L, index));
  return BRIDGE_HANDLE_BUFFER;
}

const bridge__handles boxes = {push_box, get_box};

TEST_F(Host, HandlesCrossByTheModulesHooks)
{
  bridge__set_handles(L_, &boxes);
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  lua_newtable(L_);
  push_box(L_, BRIDGE_HANDLE_BUFFER, buffer);
  lua_setfield(L_, 1, "b");
  ASSERT_EQ(BRIDGE_OK, bridge__pack(L_, 1, 1, message_));
  EXPECT_EQ(1u, bridge_message_slot_count(message_));
  EXPECT_TRUE(bridge_buffer_frozen(buffer));
  int count = 0;
  ASSERT_EQ(BRIDGE_OK, bridge__unpack(L_, message_, &count));
  ASSERT_EQ(LUA_TUSERDATA, lua_getfield(L_, 2, "b"));
  EXPECT_EQ(buffer, *static_cast<void **>(lua_touserdata(L_, -1)));
  bridge_buffer_release(buffer);
}

TEST_F(Host, HandlesThatWereReleasedOrAreBusyCannotCross)
{
  bridge__set_handles(L_, &boxes);
  push_box(L_, BRIDGE_HANDLE_BUFFER, nullptr);
  EXPECT_EQ(BRIDGE_ETYPE, bridge__pack(L_, 1, 1, message_));
  EXPECT_STREQ("argument 1: a handle that was released cannot cross",
               lua_tostring(L_, -1));
  lua_settop(L_, 0);

  bridge_buffer *buffer = nullptr;
  void *data = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_begin_write(buffer, &data));
  push_box(L_, BRIDGE_HANDLE_BUFFER, buffer);
  EXPECT_EQ(BRIDGE_EBUSY, bridge__pack(L_, 1, 1, message_));
  EXPECT_STREQ("argument 1: a buffer that is being written cannot cross",
               lua_tostring(L_, -1));
  bridge_buffer_release(buffer);
}

/* ---- A script that interferes ---- */

/* Empties the global t and puts other keys there: who walks t then has lost its
   place. */
const char meddling[] = "function meddle() "
                        "  for k in next, t do t[k] = nil end "
                        "  for i = 1, 300 do t['z' .. i] = i end "
                        "end ";

/* A table with handles, on top of the stack and the global t. */
void MakeTableOfBoxes(lua_State *L, bridge_buffer *buffer)
{
  bridge__set_handles(L, &boxes);
  lua_newtable(L);
  for (int i = 0; i < 40; i++) {
    lua_pushfstring(L, "k%d", i);
    push_box(L, BRIDGE_HANDLE_BUFFER, buffer);
    lua_rawset(L, -3);
  }
  lua_pushvalue(L, -1);
  lua_setglobal(L, "t");
}

TEST_F(Host, NoHookRunsWhileATableIsPacked)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  ASSERT_EQ(LUA_OK, luaL_dostring(L_, meddling));
  ASSERT_EQ(LUA_OK, luaL_dostring(L_, "debug.sethook(function() "
                                      "  ran = true; meddle() "
                                      "end, 'l')"));
  lua_Hook hook = lua_gethook(L_);
  lua_sethook(L_, nullptr, 0, 0);
  MakeTableOfBoxes(L_, buffer);
  lua_sethook(L_, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 7);
  bridge_status status = bridge__pack(L_, 1, 1, message_);
  EXPECT_EQ(hook, lua_gethook(L_)) << "it is there again";
  EXPECT_EQ(LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, lua_gethookmask(L_));
  EXPECT_EQ(7, lua_gethookcount(L_));
  lua_sethook(L_, nullptr, 0, 0);
  ASSERT_EQ(BRIDGE_OK, status);
  EXPECT_EQ(40u, bridge_message_slot_count(message_));
  EXPECT_EQ(LUA_TNIL, lua_getglobal(L_, "ran"));
  bridge_buffer_release(buffer);
}

/* However much room the stack has: Lua may collect where it has to grow. */
TEST(Finalizer, NoneRunsWhileATableIsPacked)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1));
  int ran = 0;
  for (int plain = 0; plain < 60; plain++) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_gc(L, LUA_GCSTOP);
    MakeTableOfBoxes(L, buffer);
    ASSERT_EQ(LUA_OK, luaL_dostring(L, meddling));
    ASSERT_EQ(LUA_OK, luaL_dostring(L, "setmetatable({}, {__gc = function() "
                                       "  ran = true; meddle() "
                                       "end})"));
    for (int i = 0; i < plain; i++) {
      ASSERT_TRUE(lua_checkstack(L, 1));
      lua_pushinteger(L, i);
    }
    bridge_message *message = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
    lua_gc(L, LUA_GCINC, 0, 400, 30); /* all of a collection at once */
    lua_gc(L, LUA_GCRESTART);
    /* Makes a collection due, and does not begin it. */
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "a name that was not there");
    EXPECT_EQ(BRIDGE_OK, bridge__pack(L, 1, plain + 1, message)) << plain;
    EXPECT_EQ(1u + static_cast<size_t>(plain), bridge_message_count(message));
    lua_gc(L, LUA_GCSTOP);
    ran += lua_getglobal(L, "ran") == LUA_TBOOLEAN;
    bridge_message_release(message);
    lua_close(L);
  }
  EXPECT_GT(ran, 0);
  bridge_buffer_release(buffer);
}

/* ---- Without memory ---- */

struct Meter {
  size_t left; /* allocations that succeed; SIZE_MAX for all */
  bool once;   /* only one fails: Lua collects all garbage and goes on */
};

void *metered(void *user, void *block, size_t old, size_t size)
{
  Meter *meter = static_cast<Meter *>(user);
  if (size == 0) {
    free(block);
    return nullptr;
  }
  bool grows = block == nullptr || size > old;
  if (grows && meter->left != SIZE_MAX) {
    if (meter->left == 0) {
      meter->left = meter->once ? SIZE_MAX : 0;
      return nullptr;
    }
    meter->left--;
  }
  return realloc(block, size);
}

const char awkward[] =
    "local u = 0; local t = {}; for i = 1, 40 do t[i] = { i } end;"
    "t.f = function() u = u + 1; return t end; t.s = ('x'):rep(100);"
    "local d = {}; for i = 1, 30 do d = { d } end; t.d = d;"
    "return t, function() return u end";

TEST(Memory, PackNeverRaisesForLackOfIt)
{
  Meter meter = {SIZE_MAX, false};
  lua_State *L = lua_newstate(metered, &meter);
  luaL_openlibs(L);
  ASSERT_EQ(LUA_OK, luaL_dostring(L, awkward));
  int failures = 0;
  for (size_t allowed = 0;; allowed++) {
    bridge_message *message = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
    lua_gc(L, LUA_GCSTOP);
    meter.left = allowed;
    bridge_status status = bridge__pack(L, 1, 2, message);
    meter.left = SIZE_MAX;
    if (status == BRIDGE_OK) {
      EXPECT_EQ(2u, bridge_message_count(message));
      bridge_message_release(message);
      break;
    }
    failures++;
    EXPECT_EQ(BRIDGE_ENOMEM, status) << allowed;
    EXPECT_EQ(LUA_TSTRING, lua_type(L, -1));
    EXPECT_EQ(3, lua_gettop(L));
    EXPECT_EQ(0u, bridge_message_size(message));
    lua_settop(L, 2);
    bridge_message_release(message);
  }
  EXPECT_GT(failures, 0);
  lua_close(L);
}

/* The allocator of a state collects no garbage when it reaches its limit; Lua
   itself does, but is not asked for what packing remembers. */
TEST(Memory, PackRemembersOutsideOfTheState)
{
  Meter meter = {SIZE_MAX, false};
  lua_State *L = lua_newstate(metered, &meter);
  luaL_openlibs(L);
  ASSERT_EQ(LUA_OK, luaL_dostring(L, "local t = {} "
                                     "for i = 1, 8000 do "
                                     "  local u = 0 "
                                     "  t[i] = function() u = u + 1 end "
                                     "end return t"));
  ASSERT_TRUE(lua_checkstack(L, 100));
  lua_pushliteral(L, BRIDGE__HANDLES);
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  lua_gc(L, LUA_GCSTOP);
  meter.left = 0;
  bridge_status status = bridge__pack(L, 1, 1, message);
  meter.left = SIZE_MAX;
  EXPECT_EQ(BRIDGE_OK, status);
  bridge_message_release(message);
  lua_close(L);
}

struct Reading {
  const bridge_message *message;
  bridge_status status;
};

int read_protected(lua_State *L)
{
  Reading *reading = static_cast<Reading *>(lua_touserdata(L, 1));
  int count = 0;
  reading->status = bridge__unpack(L, reading->message, &count);
  return count;
}

TEST(Memory, UnpackLosesNothingForLackOfIt)
{
  Meter meter = {SIZE_MAX, false};
  lua_State *L = lua_newstate(metered, &meter);
  luaL_openlibs(L);
  ASSERT_EQ(LUA_OK, luaL_dostring(L, awkward));
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  ASSERT_EQ(BRIDGE_OK, bridge__pack(L, 1, 2, message));
  lua_settop(L, 0);
  int failures = 0;
  for (size_t allowed = 0;; allowed++) {
    Reading reading = {message, BRIDGE_OK};
    lua_pushcfunction(L, read_protected);
    lua_pushlightuserdata(L, &reading);
    meter.left = allowed;
    int code = lua_pcall(L, 1, LUA_MULTRET, 0);
    meter.left = SIZE_MAX;
    if (code == LUA_OK) {
      EXPECT_EQ(BRIDGE_OK, reading.status);
      EXPECT_EQ(2, lua_gettop(L));
      break;
    }
    failures++;
    EXPECT_EQ(LUA_ERRMEM, code) << allowed;
    lua_settop(L, 0);
  }
  EXPECT_GT(failures, 30);
  bridge_message_release(message);
  lua_close(L);
}

TEST(Memory, ACollectionMeanwhileTakesNothingInUse)
{
  static const char check[] =
      "local t, g = ... for i = 1, 40 do assert(t[i][1] == i) end "
      "local same, u = t.f(), g() assert(same == t and u == 1) "
      "t.f() assert(g() == 2 and t.s == ('x'):rep(100)) "
      "local d = t.d for i = 1, 30 do d = d[1] end assert(next(d) == nil)";
  Meter meter = {SIZE_MAX, true};
  lua_State *L = lua_newstate(metered, &meter);
  luaL_openlibs(L);
  int collections = 0;
  for (size_t allowed = 0; meter.left == SIZE_MAX; allowed++) {
    bridge_message *message = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
    ASSERT_EQ(LUA_OK, luaL_dostring(L, awkward));
    ASSERT_EQ(BRIDGE_OK, bridge__pack(L, 1, 2, message));
    lua_settop(L, 0);
    ASSERT_EQ(LUA_OK, luaL_loadstring(L, check));
    Reading reading = {message, BRIDGE_OK};
    lua_pushcfunction(L, read_protected);
    lua_pushlightuserdata(L, &reading);
    meter.left = allowed;
    ASSERT_EQ(LUA_OK, lua_pcall(L, 1, LUA_MULTRET, 0)) << allowed;
    bool finished = meter.left != SIZE_MAX;
    ASSERT_EQ(LUA_OK, lua_pcall(L, 2, 0, 0))
        << allowed << ": " << lua_tostring(L, -1);
    bridge_message_release(message);
    if (finished) {
      break;
    }
    collections++;
  }
  EXPECT_GT(collections, 30);
  meter.left = SIZE_MAX;
  lua_close(L);
}

/* Two objects within each other, one twice, and an instance. */
const char objects[] =
    "local c = { __name = 'c' };"
    "c.__bridge_pack = function(o) return o[1], { o[2] }, 'x' end;"
    "local i = { __bridge_name = 'i' };"
    "local a = setmetatable({ 1, 2 }, c);"
    "local b = setmetatable({ 'b', a }, c);"
    "return { a, b, setmetatable({ a }, i) }, function() return b end";

TEST(Memory, PackOfObjectsNeverRaisesForLackOfIt)
{
  Meter meter = {SIZE_MAX, false};
  lua_State *L = lua_newstate(metered, &meter);
  luaL_openlibs(L);
  ASSERT_EQ(LUA_OK, luaL_dostring(L, objects));
  int failures = 0;
  for (size_t allowed = 0;; allowed++) {
    bridge_message *message = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
    meter.left = allowed;
    bridge_status status = bridge__pack(L, 1, 2, message);
    meter.left = SIZE_MAX;
    EXPECT_EQ(1, lua_gc(L, LUA_GCISRUNNING)) << allowed;
    if (status == BRIDGE_OK) {
      EXPECT_EQ(2u, bridge_message_count(message));
      EXPECT_EQ(2, lua_gettop(L));
      bridge_message_release(message);
      break;
    }
    failures++;
    EXPECT_EQ(BRIDGE_ENOMEM, status) << allowed << lua_tostring(L, -1);
    EXPECT_EQ(LUA_TSTRING, lua_type(L, -1));
    EXPECT_EQ(3, lua_gettop(L));
    EXPECT_EQ(0u, bridge_message_size(message));
    lua_settop(L, 2);
    bridge_message_release(message);
  }
  EXPECT_GT(failures, 10);
  lua_close(L);
}

TEST(Memory, UnpackOfObjectsLosesNothingForLackOfIt)
{
  Meter meter = {SIZE_MAX, false};
  lua_State *L = lua_newstate(metered, &meter);
  luaL_openlibs(L);
  bridge_message *message = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&message, 0));
  ASSERT_EQ(LUA_OK, luaL_dostring(L, objects));
  ASSERT_EQ(BRIDGE_OK, bridge__pack(L, 1, 2, message));
  lua_settop(L, 0);
  lua_pushcfunction(L, bridge__register);
  lua_setglobal(L, "register");
  ASSERT_EQ(LUA_OK, luaL_dostring(L, "C = {}; register('i', {});"
                                     "function C.__bridge_unpack(a, t)"
                                     "  return { a, t[1], {} } end;"
                                     "register('c', C)"));
  int failures = 0;
  for (size_t allowed = 0;; allowed++) {
    Reading reading = {message, BRIDGE_OK};
    lua_pushcfunction(L, read_protected);
    lua_pushlightuserdata(L, &reading);
    meter.left = allowed;
    int code = lua_pcall(L, 1, LUA_MULTRET, 0);
    meter.left = SIZE_MAX;
    if (code == LUA_OK && reading.status == BRIDGE_OK) {
      EXPECT_EQ(2, lua_gettop(L));
      break;
    }
    failures++;
    EXPECT_EQ(LUA_ERRMEM, code) << allowed;
    lua_settop(L, 0);
  }
  EXPECT_GT(failures, 30);
  bridge_message_release(message);
  lua_close(L);
}

} // namespace
