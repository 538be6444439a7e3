/* The memory limit of a state, reached at every possible place of many scripts: an
   ordinary error each time, and a state that works on and has lost nothing. */
#include "box.h"

#include <algorithm>

namespace
{

struct Case {
  const char *name;
  bridge_stop_level level;
  bool sandbox;
  const char *script;
};

void PrintTo(const Case &each, std::ostream *out)
{
  *out << each.name;
}

const Case kCases[] = {
    {"Tables", BRIDGE_STOP_PROMPT, false,
     "local t = {} for i = 1, 300 do t[i] = { i, n = 'k' .. i } end return #t"},
    {"Texts", BRIDGE_STOP_PROMPT, false,
     "local s = '' for i = 1, 60 do s = s .. ('x'):rep(i) end return #s"},
    {"Closures", BRIDGE_STOP_PROMPT, false,
     "local f for i = 1, 200 do local g = f f = function() return g, i end end "
     "return 1"},
    {"Coroutines", BRIDGE_STOP_PROMPT, false,
     "local all = {} for i = 1, 12 do all[i] = coroutine.wrap(function(a) "
     "while true do a = coroutine.yield({ a }) end end) all[i](i) end "
     "return #all"},
    {"Errors", BRIDGE_STOP_PROMPT, false,
     "local function deep(n) if n == 0 then error({ ('e'):rep(500) }) end "
     "return (deep(n - 1)) end "
     "local good, e = pcall(deep, 30) if type(e) == 'string' then error(e, 0) "
     "end return #e[1]"},
    {"Closing", BRIDGE_STOP_PROMPT, false,
     "local log = {} do local a <close> = setmetatable({}, { __close = "
     "function() log[#log + 1] = ('c'):rep(300) end }) log[1] = {} end "
     "return #log"},
    {"Results", BRIDGE_STOP_PROMPT, false,
     "local t = {} for i = 1, 100 do t[i] = 'result ' .. i end return t, t"},
    {"Compiling", BRIDGE_STOP_PROMPT, false,
     "local code = {} for i = 1, 60 do code[i] = 'local v' .. i .. ' = {' .. i "
     ".. '}' end return assert(load(table.concat(code, '\\n')))()"},
    {"Patterns", BRIDGE_STOP_STRICT, false,
     "local s = ('word '):rep(100) return (s:gsub('%w+', function(w) return "
     "w:upper() .. '!' end)), select('#', s:find('(w)(o)(r)'))"},
    {"Sorting", BRIDGE_STOP_STRICT, false,
     "local t = {} for i = 1, 500 do t[i] = (i * 7) % 501 end table.sort(t) "
     "table.sort(t, function(a, b) return a > b end) return t[1], t[500]"},
    {"Lists", BRIDGE_STOP_STRICT, false,
     "local t = {} for i = 1, 200 do table.insert(t, 1, ('v'):rep(i)) end "
     "return #table.concat(t, ','), (select('#', table.unpack(t)))"},
    {"Sandbox", BRIDGE_STOP_STRICT, true,
     "local b = require 'bridge' local t = {} for i = 1, 50 do t[i] = "
     "b.array { i } end return #t, b.status.EFULL"},
};

class MemoryLimit : public testing::TestWithParam<Case>
{
};

void expect_exact(const bridge_state *state, lua_State *L)
{
  size_t used = 0;
  size_t peak = 0;
  size_t limit = 0;
  ASSERT_STATUS(bridge_state_memory(state, &used, &peak, &limit), BRIDGE_OK);
  EXPECT_EQ(used, size_t(lua_gc(L, LUA_GCCOUNT)) * 1024 +
                      size_t(lua_gc(L, LUA_GCCOUNTB)));
  EXPECT_LE(used, peak);
  EXPECT_LE(used, limit); /* the peak may be older than the limit */
}

/* Whether the script came to its end within so much. */
bool fits(const Case &each, size_t bytes)
{
  Box box(each.level, each.sandbox, bytes);
  size_t before = 0;
  size_t peak = 0;
  size_t limit = 0;
  bridge_state_memory(box.state.get(), nullptr, &before, nullptr);
  std::string said = box.run(each.script);
  bridge_state_memory(box.state.get(), nullptr, &peak, &limit);
  EXPECT_LE(peak, std::max(before, limit));
  if (box.status != BRIDGE_OK) {
    bool worded = said.find("memory") != std::string::npos ||
                  said == "error: "; /* where even that could not be said */
    EXPECT_TRUE(box.status == BRIDGE_ENOMEM ||
                ((box.status == BRIDGE_ESCRIPT || box.status == BRIDGE_ETYPE) &&
                 worded))
        << bytes << ": " << bridge_status_name(box.status) << " " << said;
  }
  box.enter([&](lua_State *L) {
    expect_exact(box.state.get(), L);
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
    expect_exact(box.state.get(), L);
  });
  return box.status == BRIDGE_OK;
}

TEST_P(MemoryLimit, IsAnOrdinaryErrorWhereverItIsReached)
{
  const size_t step = TESTS_SANITIZED ? 1009 : 149;
  size_t bytes = 1;
  while (!fits(GetParam(), bytes) && !HasFailure()) {
    bytes += step;
    ASSERT_LT(bytes, size_t(4) << 20);
  }
  EXPECT_GT(bytes, step * 3) << "nothing was tried";
}

/* What was lost would add up, and once be missed. */
TEST_P(MemoryLimit, LosesNothingByFailingOften)
{
  Box box(BRIDGE_STOP_STRICT, GetParam().sandbox, 200 * 1000);
  const std::string hog =
      "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(100) "
      ".. i end";
  std::string first;
  size_t used_first = 0;
  for (int round = 0; round < 20; round++) {
    EXPECT_NE(box.run(hog), "");
    EXPECT_STATUS(box.status, BRIDGE_ENOMEM);
    std::string said = box.run(GetParam().script);
    size_t used = 0;
    box.enter([&](lua_State *L) {
      lua_gc(L, LUA_GCCOLLECT);
      lua_gc(L, LUA_GCCOLLECT);
      expect_exact(box.state.get(), L);
      bridge_state_memory(box.state.get(), &used, nullptr, nullptr);
    });
    if (round == 2) { /* tables that only grow have their size by now */
      first = said;
      used_first = used;
    } else if (round > 2) {
      EXPECT_EQ(said, first);
      EXPECT_LE(used, used_first + 256) << "round " << round;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every,
                         MemoryLimit,
                         testing::ValuesIn(kCases),
                         [](const auto &each) {
                           return std::string(each.param.name);
                         });

} // namespace
