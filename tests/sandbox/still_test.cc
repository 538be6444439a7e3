/* What only C does, for ever or for very long, is stopped at the strict level: no
   instruction of Lua comes between. */
#include "box.h"

#include <unistd.h>

#include <chrono>

namespace
{

struct Hog {
  const char *name;
  const char *setup; /* takes the time that it takes */
  const char *script;
};

void PrintTo(const Hog &each, std::ostream *out)
{
  *out << each.name;
}

/* Sets `deep` to a text whose every name is looked up among 35,000 variables. */
const char kDeep[] =
    "local names, all = {}, {} "
    "for i = 1, 190 do names[i] = 'l' .. i end "
    "local variables = 'local ' .. table.concat(names, ',') .. ' ' "
    "for i = 1, 185 do all[i] = 'function f() ' .. variables end "
    "deep = table.concat(all) .. ('x=y '):rep(2e6) .. ('end '):rep(185) ";

/* Each alone would run for minutes, most for years. */
const Hog kHogs[] = {
    {"Find", "", "return ('a'):rep(200):find(('a*'):rep(60) .. 'b')"},
    {"Match", "", "return ('x'):rep(100):match(('x-'):rep(90) .. 'y')"},
    {"Gmatch", "",
     "for w in ('a'):rep(100):gmatch(('a?'):rep(99) .. 'b') do end"},
    {"Gsub", "", "return ('a'):rep(100):gsub(('(a*)'):rep(31) .. 'b', '')"},
    {"BackReference", "s, p = ('a'):rep(3e6), ('(a*)'):rep(4) .. '%1%2%3%4b'",
     "return s:find(p)"},
    {"Balance", "s = ('('):rep(3e6)", "return s:find('%b()')"},
    {"Frontier", "s = ('a'):rep(150) p = '%f[a]' .. ('a*'):rep(60) .. 'c'",
     "return s:find(p)"},
    {"PlainFind", "s = ('a'):rep(8e6) p = ('a'):rep(4e6) .. 'b'",
     "return s:find(p, 1, true)"},
    {"Move",
     "t = setmetatable({}, { __index = rawlen, __newindex = rawequal })",
     "return table.move(t, 1, 1e15, 2)"},
    {"Insert",
     "t = setmetatable({}, { __len = function() return 1e15 end, "
     "__index = rawequal, __newindex = rawequal })",
     "return table.insert(t, 1, 1)"},
    {"Remove",
     "t = setmetatable({}, { __len = function() return 1e15 end, "
     "__index = rawequal, __newindex = rawequal })",
     "return table.remove(t, 1)"},
    {"Concat", "t = setmetatable({}, { __index = tostring })",
     "while true do pcall(table.concat, t, '', 1, 1e15) end"},
    {"Sort",
     "mt = { __lt = rawequal } t = {} "
     "for i = 1, 5e5 do t[i] = setmetatable({}, mt) end",
     "while true do table.sort(t) end"},
    {"UnpackByNext",
     "big = {} for i = 1, 1e6 do big[-i] = i end "
     "for k in pairs(big) do big[k] = nil end "
     "for i = 1, 10 do big[i + 0.5] = true end "
     "setmetatable(big, { __index = next })",
     "while true do pcall(table.unpack, big, -9e5, -1) end"},
    {"LoadOfTheCollector", "t = {} for i = 1, 5e5 do t[i] = { i } end",
     "return load(collectgarbage)"},
    {"LoadOfATime", "", "return load(os.time)"},
    {"LoadOfDeepText", kDeep, "return load(deep)"},
    {"LoadOfDeepPieces", kDeep,
     "return load(function() local text = deep deep = nil return text end)"},
    {"RepOfMuch", "", "while true do local s = ('x'):rep(9e8) end"},
    {"FormatOfTostring",
     "big = {} for i = 1, 1e6 do big[-i] = i end "
     "for k in pairs(big) do big[k] = nil end big.last = 1 "
     "setmetatable(big, { __tostring = next }) "
     "all = {} for i = 1, 2e5 do all[i] = big end f = ('%s'):rep(2e5)",
     "while true do string.format(f, table.unpack(all)) end"},
};

class Still : public testing::TestWithParam<Hog>
{
protected:
  void SetUp() override
  {
    alarm(100); /* else it would never end */
  }
  void TearDown() override
  {
    alarm(0);
  }
};

bridge_status run(bridge_state *state, const char *source)
{
  bridge_error *error = nullptr;
  bridge_status status = bridge_state_run(state, source, std::strlen(source),
                                          "=hog", nullptr, nullptr, &error);
  EXPECT_TRUE(status == BRIDGE_OK || status == BRIDGE_ETIMEDOUT)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  return status;
}

void limit(bridge_state *state, int timeout_ms)
{
  const bridge_limits limits = {timeout_ms, 0};
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state, -1, &L), BRIDGE_OK);
  ASSERT_STATUS(bridge_state_set_limits(state, &limits), BRIDGE_OK);
  ASSERT_STATUS(bridge_state_leave(state), BRIDGE_OK);
}

TEST_P(Still, IsStoppedByALimitOfTime)
{
  Box box(BRIDGE_STOP_STRICT, false, size_t(1) << 30);
  bridge_state *state = box.state.get();
  ASSERT_STATUS(run(state, GetParam().setup), BRIDGE_OK);
  limit(state, 20);
  auto begin = std::chrono::steady_clock::now();
  ASSERT_STATUS(run(state, GetParam().script), BRIDGE_ETIMEDOUT);
  std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - begin;
  RecordProperty("took_ms", std::to_string(took.count()));
  limit(state, 0);
  EXPECT_EQ(box.run("return ('still'):upper()"), "'STILL'");
}

/* ---- Chunks that take long to compile ---- */

class Compiling : public testing::Test
{
protected:
  void SetUp() override
  {
    alarm(100);
    std::string names = "local l0";
    for (int i = 1; i < 190; i++) {
      names += ",l" + std::to_string(i);
    }
    for (int i = 0; i < 185; i++) {
      text += "function f() " + names + " ";
    }
    for (int i = 0; i < 2000000; i++) {
      text += "x=y ";
    }
    for (int i = 0; i < 185; i++) {
      text += "end ";
    }
  }
  void TearDown() override
  {
    alarm(0);
  }
  std::string text;
};

TEST_F(Compiling, OfARunEndsWithItsTime)
{
  Box box(BRIDGE_STOP_STRICT, true);
  limit(box.state.get(), 20);
  box.run(text);
  EXPECT_STATUS(box.status, BRIDGE_ETIMEDOUT);
  EXPECT_EQ(box.run("return 1"), "1");
}

TEST_F(Compiling, OfAFileEndsWithTheTimeOfARun)
{
  const std::string path =
      testing::TempDir() + "deep" + std::to_string(getpid()) + ".lua";
  std::ofstream(path, std::ios::binary) << "\xEF\xBB\xBF#!lua\n" << text;
  for (const char *how : {"loadfile", "dofile"}) {
    Box box(BRIDGE_STOP_STRICT);
    limit(box.state.get(), 20);
    box.run("return " + std::string(how) + "('" + path + "')");
    EXPECT_STATUS(box.status, BRIDGE_ETIMEDOUT);
    limit(box.state.get(), 0);
    EXPECT_EQ(box.run("return 1"), "1");
  }
  std::remove(path.c_str());
}

TEST_F(Compiling, ByTheHolderEndsWithTheTimeOfARun)
{
  Box box(BRIDGE_STOP_PROMPT);
  limit(box.state.get(), 20);
  box.enter([&](lua_State *L) {
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_state_load(box.state.get(), L, text.data(),
                                    text.size(), "=deep", &error),
                  BRIDGE_ETIMEDOUT);
    EXPECT_STATUS(bridge_error_status(error), BRIDGE_ETIMEDOUT);
    EXPECT_EQ(lua_gettop(L), 0);
    bridge_error_release(error);
  });
}

TEST_F(Compiling, ForAWorkerEndsWithTheTimeOfItsLife)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = text.c_str();
  options.life.timeout_ms = 20;
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, nullptr, &error),
                BRIDGE_ETIMEDOUT);
  EXPECT_EQ(worker, nullptr);
  EXPECT_STATUS(bridge_error_status(error), BRIDGE_ETIMEDOUT);
  bridge_error_release(error);
}

INSTANTIATE_TEST_SUITE_P(Every,
                         Still,
                         testing::ValuesIn(kHogs),
                         [](const auto &each) {
                           return std::string(each.param.name);
                         });

} // namespace
