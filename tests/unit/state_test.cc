/* States: what is in them, what runs in them, and how that fails. */
#include "../support.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace
{

/* ---- The library's memory, metered ---- */

std::atomic<long> live{0};       /* blocks */
std::atomic<long> remaining{-1}; /* allocations that succeed; negative: all */

bool refused()
{
  if (remaining.load() < 0) {
    return false;
  }
  if (remaining.load() == 0) {
    return true;
  }
  remaining.fetch_sub(1);
  return false;
}

void *meter_allocate(void *, size_t size)
{
  void *block = refused() ? nullptr : malloc(size);
  live += block != nullptr;
  return block;
}

void *meter_resize(void *, void *block, size_t size)
{
  return refused() ? nullptr : realloc(block, size);
}

void meter_release(void *, void *block)
{
  live--;
  free(block);
}

const bridge_allocator meter = {1, meter_allocate, meter_resize, meter_release,
                                nullptr};
const bridge_status metered = bridge_set_allocator(&meter);

/* ---- Short ways ---- */

struct Outcome {
  bridge_status status = BRIDGE_OK;
  Owned<bridge_message> results;
  Owned<bridge_error> error;

  std::string text() const
  {
    size_t size = 0;
    const char *data = bridge_error_text(error.get(), &size);
    return std::string(data, size);
  }
  std::string traceback() const
  {
    return bridge_error_traceback(error.get());
  }
  std::string value() const
  {
    const bridge_message *message = bridge_error_value(error.get());
    return message == nullptr ? "none" : show(message);
  }
};

Outcome run(bridge_state *state,
            const std::string &source,
            bridge_message **arguments = nullptr,
            const char *name = "=test")
{
  Outcome outcome;
  bridge_message *results = nullptr;
  bridge_error *error = nullptr;
  outcome.status = bridge_state_run(state, source.data(), source.size(), name,
                                    arguments, &results, &error);
  outcome.results.reset(results);
  outcome.error.reset(error);
  return outcome;
}

/* What a chunk returns, as text; or why it does not. */
std::string returns(bridge_state *state, const std::string &source)
{
  Outcome outcome = run(state, source);
  if (outcome.status != BRIDGE_OK) {
    return bridge_status_name(outcome.status) + (" " + outcome.text());
  }
  return show(outcome.results.get());
}

bridge_state_options defaults()
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  return options;
}

Owned<bridge_state> make(const bridge_state_options &options = defaults())
{
  bridge_state *state = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_create(&state, &options, &error), BRIDGE_OK);
  EXPECT_EQ(error, nullptr) << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  return Owned<bridge_state>(state);
}

Owned<bridge_state> make_with(const char *libraries)
{
  bridge_state_options options = defaults();
  options.libraries = libraries;
  return make(options);
}

/* ---- Making ---- */

TEST(State, CreateNeedsAPlaceForTheState)
{
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_create(nullptr, nullptr, &error), BRIDGE_EINVAL);
}

TEST(State, CreateTakesNullForTheDefaults)
{
  bridge_state *state = nullptr;
  ASSERT_STATUS(bridge_state_create(&state, nullptr, nullptr), BRIDGE_OK);
  EXPECT_EQ(returns(state, "return 6 * 7"), "42");
  bridge_state_release(state);
}

TEST(State, ReleaseTakesNull)
{
  bridge_state_release(nullptr);
  bridge_state_options_init(nullptr);
}

int open_nothing(lua_State *)
{
  return 0;
}

/* Each worker would pay for a cycle that it has no garbage for. */
TEST(State, BeginsNoCollectionWhenAModuleIsOpened)
{
  const bridge_module module = {"nothing", open_nothing};
  bridge_state_options options = defaults();
  options.modules = &module;
  options.module_count = 1;
  Owned<bridge_state> state = make(options);
  EXPECT_EQ(returns(state.get(), R"(
    local weak = setmetatable({ {} }, { __mode = "v" })
    require("nothing")
    for _ = 1, 50 do
      local _ = {}
    end
    local kept = weak[1] ~= nil
    for _ = 1, 10000 do
      local _ = {}
    end
    return kept, weak[1] ~= nil)"),
            "true false");
}

TEST(State, DefaultsAreThoseOfTheHeader)
{
  bridge_state_options options = defaults();
  EXPECT_EQ(options.version, 2u);
  EXPECT_EQ(options.name, nullptr);
  EXPECT_EQ(options.libraries, nullptr);
  EXPECT_EQ(options.module_count, 0u);
  EXPECT_EQ(options.memory_limit, 0u);
  EXPECT_FALSE(options.binary_chunks);
  EXPECT_TRUE(options.tracebacks);
}

/* The state stays as it was, and the error says why. */
void refuses(const bridge_state_options &options,
             bridge_status status,
             const std::string &text)
{
  bridge_state *state = reinterpret_cast<bridge_state *>(1);
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_create(&state, &options, &error), status);
  EXPECT_EQ(state, reinterpret_cast<bridge_state *>(1));
  EXPECT_STATUS(bridge_error_status(error), status);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find(text),
            std::string::npos)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  EXPECT_STATUS(bridge_state_create(&state, &options, nullptr), status);
}

TEST(State, CreateRefusesUnknownVersions)
{
  bridge_state_options options = defaults();
  options.version = 0;
  refuses(options, BRIDGE_EVERSION, "version 0");
  options.version = 99;
  refuses(options, BRIDGE_EVERSION, "version 99");
}

TEST(State, CreateRefusesUnknownLibraries)
{
  bridge_state_options options = defaults();
  options.libraries = "base,nonsense";
  refuses(options, BRIDGE_ENOTFOUND, "'nonsense'");
  options.libraries = "String";
  refuses(options, BRIDGE_ENOTFOUND, "'String'");
  options.libraries = "base string";
  refuses(options, BRIDGE_ENOTFOUND, "'base string'");
}

TEST(State, CreateRefusesModulesWithHalfOfThemMissing)
{
  bridge_state_options options = defaults();
  options.module_count = 1;
  refuses(options, BRIDGE_EINVAL, "modules");
  const bridge_module nameless = {nullptr, open_nothing};
  options.modules = &nameless;
  refuses(options, BRIDGE_EINVAL, "without a name");
  const bridge_module empty = {"empty", nullptr};
  options.modules = &empty;
  refuses(options, BRIDGE_EINVAL, "without a name");
}

/* ---- Libraries ---- */

const char list_globals[] =
    "local t = {} "
    "for _, n in ipairs{'print', 'require', 'coroutine', 'table', 'io', 'os',"
    "                   'string', 'math', 'utf8', 'debug', 'package'} do"
    "  if _G[n] ~= nil then t[#t + 1] = n end "
    "end "
    "local s = '' for i = 1, #t do s = s .. t[i] .. ' ' end return s";

TEST(State, HasAllLibraries)
{
  Owned<bridge_state> state = make();
  EXPECT_EQ(returns(state.get(), list_globals),
            "'print require coroutine table io os string math utf8 debug "
            "package '");
}

TEST(State, HasTheLibrariesThatWereNamed)
{
  Owned<bridge_state> state = make_with(" base , string,math ,, ");
  EXPECT_EQ(returns(state.get(), list_globals), "'print string math '");
  state = make_with("base,package");
  EXPECT_EQ(returns(state.get(), list_globals), "'print require package '");
  state = make_with("base,utf8,debug,os,io,table,coroutine");
  EXPECT_EQ(returns(state.get(), list_globals),
            "'print coroutine table io os utf8 debug '");
}

TEST(State, HasNothingWithoutLibraries)
{
  Owned<bridge_state> state = make_with("");
  EXPECT_EQ(returns(state.get(), "for k in _ENV do end").substr(0, 15),
            "BRIDGE_ESCRIPT ");
  EXPECT_EQ(returns(state.get(),
                    "return print == nil and string == nil and load == nil"),
            "true");
  EXPECT_EQ(returns(state.get(), "return ('x'):rep(3)").substr(0, 14),
            "BRIDGE_ESCRIPT");
}

TEST(State, SetsThePaths)
{
  bridge_state_options options = defaults();
  options.path = "/nowhere/?.lua";
  options.cpath = "";
  Owned<bridge_state> state = make(options);
  EXPECT_EQ(returns(state.get(), "return package.path, package.cpath"),
            "'/nowhere/?.lua' ''");
  options.libraries = "base"; /* nobody to tell */
  EXPECT_EQ(returns(make(options).get(), "return package == nil"), "true");
}

/* ---- C modules ---- */

std::atomic<int> openings{0};
std::atomic<int> inside{0};
std::atomic<bool> overlapped{false};

int open_slowly(lua_State *L)
{
  openings++;
  if (inside.fetch_add(1) != 0) {
    overlapped = true;
  }
  for (int i = 0; i < 100; i++) {
    std::this_thread::yield();
  }
  inside--;
  lua_newtable(L);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "name");
  return 1;
}

int open_by_another(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushliteral(L, "slow");
  lua_call(L, 1, 1);
  return 1;
}

int open_and_fail(lua_State *L)
{
  return luaL_error(L, "no such luck");
}

const bridge_module modules[] = {
    {"slow", open_slowly}, {"other", open_by_another}, {"bad", open_and_fail}};

Owned<bridge_state> make_with_modules()
{
  bridge_state_options options = defaults();
  options.modules = modules;
  options.module_count = 3;
  return make(options);
}

TEST(State, RequiresItsModulesOnce)
{
  Owned<bridge_state> state = make_with_modules();
  openings = 0;
  EXPECT_EQ(returns(state.get(),
                    "return require 'slow' == require 'slow',"
                    "       require 'slow'.name, (select(2, require 'slow'))"),
            "true 'slow' nil");
  EXPECT_EQ(openings, 1);
}

TEST(State, AModuleMayRequireAnother)
{
  Owned<bridge_state> state = make_with_modules();
  EXPECT_EQ(returns(state.get(), "return require 'other' == require 'slow'"),
            "true");
}

TEST(State, AModuleThatFailsLocksNobodyOut)
{
  Owned<bridge_state> state = make_with_modules();
  EXPECT_EQ(returns(state.get(), "return pcall(require, 'bad')"),
            "false 'no such luck'");
  EXPECT_EQ(returns(state.get(), "return require 'slow'.name"), "'slow'");
}

int open_with_garbage(lua_State *L)
{
  if (luaL_dostring(L, "finalized = 0 "
                       "for i = 1, 100 do setmetatable({}, { __gc = function()"
                       "  finalized = finalized + 1 end }) end "
                       "for i = 1, 100000 do local t = {} end "
                       "during = finalized")) {
    return lua_error(L);
  }
  return 0;
}

TEST(State, NoFinalizerRunsWhileAModuleOpens)
{
  const bridge_module module = {"garbage", open_with_garbage};
  bridge_state_options options = defaults();
  options.modules = &module;
  options.module_count = 1;
  Owned<bridge_state> state = make(options);
  EXPECT_EQ(returns(state.get(), "require 'garbage' collectgarbage()"
                                 "return during, finalized"),
            "0 100");
}

TEST(State, ModulesOpenOneAtATimeInTheProcess)
{
  overlapped = false;
  openings = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([] {
      for (int j = 0; j < 10; j++) {
        Owned<bridge_state> state = make_with_modules();
        EXPECT_EQ(returns(state.get(), "return require 'other'.name"),
                  "'slow'");
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_FALSE(overlapped);
  EXPECT_EQ(openings, 80);
}

/* ---- Text only ---- */

class Files : public ::testing::Test
{
protected:
  void SetUp() override
  {
    char folder[] = "/tmp/bridge-state-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    Owned<bridge_state> state = make();
    EXPECT_EQ(returns(state.get(),
                      "local function put(name, data)"
                      "  local f <close> = assert(io.open('" +
                          folder_ +
                          "/' .. name, 'wb')) f:write(data) end "
                          "put('text.lua', 'return ... or \"text\"')"
                          "put('code.lua', string.dump(load('return 1')))"),
              "");
    /* What the tests below begin with. */
    prologue_ = "local folder = '" + folder_ +
                "/' package.path = folder .. '?.lua' "
                "local code = string.dump(load('return 1')) ";
  }

  void TearDown() override
  {
    std::remove((folder_ + "/text.lua").c_str());
    std::remove((folder_ + "/code.lua").c_str());
    rmdir(folder_.c_str());
  }

  std::string folder_;
  std::string prologue_;
};

TEST_F(Files, LoadersTakeTextOnly)
{
  Owned<bridge_state> state = make();
  const char *const attempts[] = {
      "load(code, 'c')",
      "load(code, 'c', 'b')",
      "load(code, 'c', 'bt')",
      "load(function() local c = code; code = nil; return c end)",
      "loadfile(folder .. 'code.lua')",
      "loadfile(folder .. 'code.lua', 'b')",
      "select(2, pcall(dofile, folder .. 'code.lua')), "
      "select(2, pcall(dofile, folder .. 'code.lua'))",
      "select(2, pcall(require, 'code')), select(2, pcall(require, 'code'))",
  };
  for (const char *attempt : attempts) {
    std::string said = returns(
        state.get(), prologue_ + "local f, e = " + attempt + " return e");
    EXPECT_NE(said.find("attempt to load a binary chunk (mode is '"),
              std::string::npos)
        << attempt << ": " << said;
  }
  EXPECT_EQ(returns(state.get(), prologue_ + "return select(2, load(code))")
                .substr(0, 1),
            "'");
}

TEST_F(Files, LoadersTakeCodeWhereItIsAllowed)
{
  for (bridge_stop_level level : {BRIDGE_STOP_PROMPT, BRIDGE_STOP_STRICT}) {
    bridge_state_options options = defaults();
    options.binary_chunks = true;
    options.stop = level;
    Owned<bridge_state> state = make(options);
    EXPECT_EQ(returns(state.get(), prologue_ +
                                       "return load(code)(),"
                                       "  loadfile(folder .. 'code.lua')(),"
                                       "  dofile(folder .. 'code.lua'),"
                                       "  (require 'code')"),
              "1 1 1 1");
  }
}

TEST_F(Files, LoadersBehaveAsLuasOwn)
{
  const std::string source =
      prologue_ +
      "local f = assert(io.open(folder .. 'text.lua', 'wb'))"
      "f:write('return ... or \"text\"') f:close() "
      "local out = {} "
      "local function note(...)"
      "  for i = 1, select('#', ...) do out[#out + 1] ="
      "    tostring((select(i, ...))):gsub('0x%x+', '') end "
      "  out[#out + 1] = ';' end "
      "note(load('return ...')(1, nil, 3)) "
      "note(load('return x', 'n', 't', { x = 'in' })()) "
      "note(pcall(load('return x', 'n', 't', nil))) "
      "note(load('return x')()) "
      "note(load('x =', '=name')) "
      "note(load('x =')) "
      "note(load('x', 'n', 'b') == nil) "
      "local parts = { 'return ', '4', '2', nil } local i = 0 "
      "note(load(function() i = i + 1 return parts[i] end)()) "
      "note(load(function() return {} end)) "
      "note(load(function() error('mine', 0) end)) "
      "note(load(function() return '' end)) "
      "note(pcall(load)) "
      "note(pcall(load, 1, {})) "
      "note(pcall(load, true)) "
      "note(loadfile(folder .. 'text.lua')('x')) "
      "note(loadfile(folder .. 'none.lua')) "
      "note(pcall(dofile, folder .. 'none.lua')) "
      "note(dofile(folder .. 'text.lua')) "
      "note(require 'text') "
      "for i, text in ipairs { '\\xEF\\xBB\\xBFreturn 1', '#!lua\\nerror(2)', "
      "    '\\xEF\\xBB\\xBF#' .. ('!'):rep(10000) .. '\\n\\nerror(3)', '', "
      "'#', "
      "    '\\xEF\\xBBreturn', '#\\n\\27Lua', 'x =', '\\xEF\\xBB\\xBF', "
      "    'return \"' .. ('y'):rep(4096) .. '\"', '-- ' .. ('z'):rep(9000) } "
      "do"
      "  local f <close> = assert(io.open(folder .. 'odd.lua', 'wb'))"
      "  f:write(text) f:close()"
      "  local made, why = loadfile(folder .. 'odd.lua', 't')"
      "  note(i, why) if made then note(pcall(made)) end end "
      "os.remove(folder .. 'odd.lua') note(loadfile(folder)) "
      "note(pcall(dofile, folder)) "
      "local ok, e = pcall(require, 'none') note(ok, e) "
      "package.path = nil note(pcall(require, 'none2')) "
      "note(coroutine.wrap(function() "
      "  local f <close> = assert(io.open(folder .. 'text.lua', 'w'))"
      "  f:write('return coroutine.yield(5)') f:close()"
      "  return dofile(folder .. 'text.lua') end)()) "
      "return table.concat(out, ' ')";
  bridge_state_options options = defaults();
  Owned<bridge_state> ours = make(options);
  std::string said = returns(ours.get(), source);
  options.binary_chunks = true;
  Owned<bridge_state> luas = make(options);
  std::string original = returns(luas.get(), source);
  options.stop = BRIDGE_STOP_STRICT;
  Owned<bridge_state> both = make(options);
  EXPECT_EQ(said, original);
  EXPECT_EQ(returns(both.get(), source), original);
  EXPECT_EQ(said[0], '\'') << said;
}

TEST(State, WithoutBaseThereIsNoLoad)
{
  Owned<bridge_state> state = make_with("string");
  EXPECT_EQ(returns(state.get(), "return load, dofile, loadfile"),
            "nil nil nil");
}

/* ---- Running ---- */

TEST(State, RunNeedsAState)
{
  bridge_error *error = reinterpret_cast<bridge_error *>(1);
  EXPECT_STATUS(
      bridge_state_run(nullptr, "", 0, nullptr, nullptr, nullptr, &error),
      BRIDGE_EINVAL);
  EXPECT_EQ(error, nullptr);
}

TEST(State, RunNeedsASourceUnlessItIsEmpty)
{
  Owned<bridge_state> state = make();
  EXPECT_STATUS(bridge_state_run(state.get(), nullptr, 1, nullptr, nullptr,
                                 nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_run(state.get(), nullptr, 0, nullptr, nullptr,
                                 nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(returns(state.get(), ""), "");
}

TEST(State, RunKeepsNulsInTheSource)
{
  Owned<bridge_state> state = make();
  EXPECT_EQ(returns(state.get(), std::string("return #'a\0b'", 13)), "3");
  Outcome outcome = run(state.get(), std::string("return 1 \0", 10));
  EXPECT_STATUS(outcome.status, BRIDGE_ESYNTAX);
}

TEST(State, RunReadsNoFurtherThanTheSize)
{
  Owned<bridge_state> state = make();
  Owned<bridge_message> results;
  bridge_message *out = nullptr;
  EXPECT_STATUS(bridge_state_run(state.get(), "return 12345", 8, nullptr,
                                 nullptr, &out, nullptr),
                BRIDGE_OK);
  results.reset(out);
  EXPECT_EQ(show(out), "1");
}

TEST(State, RunKeepsGlobals)
{
  Owned<bridge_state> state = make();
  EXPECT_EQ(returns(state.get(), "x = 5"), "");
  EXPECT_EQ(returns(state.get(), "return x"), "5");
}

TEST(State, RunHandsArgumentsOver)
{
  Owned<bridge_state> state = make();
  bridge_message *arguments = message(1, nullptr, "three", nullptr);
  Outcome outcome =
      run(state.get(), "return select('#', ...), ...", &arguments);
  EXPECT_EQ(arguments, nullptr);
  EXPECT_EQ(show(outcome.results.get()), "4 1 nil 'three' nil");
  EXPECT_EQ(outcome.error, nullptr);
  outcome = run(state.get(), "return select('#', ...)", &arguments);
  EXPECT_EQ(show(outcome.results.get()), "0");
}

TEST(State, RunTakesArgumentsAlsoOfAScriptThatFails)
{
  Owned<bridge_state> state = make();
  bridge_message *arguments = message(1);
  EXPECT_STATUS(run(state.get(), "error(...)", &arguments).status,
                BRIDGE_ESCRIPT);
  EXPECT_EQ(arguments, nullptr);
}

TEST(State, RunLeavesArgumentsOfAChunkThatDoesNotParse)
{
  Owned<bridge_state> state = make();
  bridge_message *arguments = message(1);
  EXPECT_STATUS(run(state.get(), "return (", &arguments).status,
                BRIDGE_ESYNTAX);
  ASSERT_NE(arguments, nullptr);
  EXPECT_EQ(show(arguments), "1");
  bridge_message_release(arguments);
}

TEST(State, RunMayDropResultsAndErrors)
{
  Owned<bridge_state> state = make();
  EXPECT_STATUS(bridge_state_run(state.get(), "return io.stdout", 16, nullptr,
                                 nullptr, nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_state_run(state.get(), "error{}", 7, nullptr, nullptr,
                                 nullptr, nullptr),
                BRIDGE_ESCRIPT);
  EXPECT_STATUS(bridge_state_run(state.get(), "x x", 3, nullptr, nullptr,
                                 nullptr, nullptr),
                BRIDGE_ESYNTAX);
}

TEST(State, RunReportsSyntaxAsLuaDoes)
{
  Owned<bridge_state> state = make();
  Outcome outcome = run(state.get(), "local x\nx = = 1", nullptr, "@file.lua");
  EXPECT_STATUS(outcome.status, BRIDGE_ESYNTAX);
  EXPECT_STATUS(bridge_error_status(outcome.error.get()), BRIDGE_ESYNTAX);
  EXPECT_EQ(outcome.text(), "file.lua:2: unexpected symbol near '='");
  outcome = run(state.get(), "x x", nullptr, nullptr);
  EXPECT_EQ(outcome.text(), "[string \"x x\"]:1: syntax error near 'x'");
}

TEST(State, RunRefusesCode)
{
  Owned<bridge_state> state = make();
  Outcome dump = run(state.get(), "return string.dump(load('return 9'))");
  bridge_reader reader;
  const char *code = nullptr;
  size_t size = 0;
  ASSERT_STATUS(bridge_reader_init(&reader, dump.results.get()), BRIDGE_OK);
  ASSERT_STATUS(bridge_reader_string(&reader, &code, &size), BRIDGE_OK);
  Outcome outcome = run(state.get(), std::string(code, size));
  EXPECT_STATUS(outcome.status, BRIDGE_ESYNTAX);
  EXPECT_EQ(outcome.text(), "attempt to load a binary chunk (mode is 't')");
  bridge_state_options options = defaults();
  options.binary_chunks = true;
  EXPECT_EQ(returns(make(options).get(), std::string(code, size)), "9");
}

TEST(State, RunReportsResultsThatCannotCross)
{
  Owned<bridge_state> state = make();
  Outcome outcome = run(state.get(), "return 1, { f = io.stdout }");
  EXPECT_STATUS(outcome.status, BRIDGE_ETYPE);
  EXPECT_EQ(outcome.results, nullptr);
  EXPECT_EQ(outcome.text(), "result 2.f: a userdata cannot cross");
}

TEST(State, RunLooksLikeAMainThread)
{
  Owned<bridge_state> state = make();
  EXPECT_EQ(returns(state.get(), "local co, main = coroutine.running()"
                                 "return main, coroutine.isyieldable()"),
            "true false");
  EXPECT_EQ(returns(state.get(),
                    "local co = coroutine.wrap(function(a)"
                    "  local b = coroutine.yield(a + 1) return b * 2 end)"
                    "return co(1), co(21)"),
            "2 42");
}

TEST(State, RunReportsAChunkThatYields)
{
  Owned<bridge_state> state = make();
  Outcome outcome = run(state.get(), "local function f()\n"
                                     "  coroutine.yield(1)\n"
                                     "end\nf()");
  EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
  EXPECT_EQ(outcome.text(), "attempt to yield from outside a coroutine");
  EXPECT_NE(outcome.traceback().find("test:2:"), std::string::npos);
}

TEST(State, RunClosesVariablesOfAChunkThatYieldsOrFails)
{
  Owned<bridge_state> state = make();
  const std::string guard =
      "local x <close> = setmetatable({}, { __close = function(_, e)"
      "  closed = tostring(e) end }) ";
  EXPECT_STATUS(run(state.get(), guard + "coroutine.yield()").status,
                BRIDGE_ESCRIPT);
  EXPECT_EQ(returns(state.get(), "return closed"),
            "'attempt to yield from outside a coroutine'");
  EXPECT_STATUS(run(state.get(), guard + "error('oops', 0)").status,
                BRIDGE_ESCRIPT);
  EXPECT_EQ(returns(state.get(), "return closed"), "'oops'");
}

TEST(State, RunFromWithinTheStateIsADeadlock)
{
  static bridge_state *state;
  static bridge_status status;
  Owned<bridge_state> owned = make();
  state = owned.get();
  status = BRIDGE_OK;
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state, -1, &L), BRIDGE_OK);
  lua_pushcfunction(L, [](lua_State *) -> int {
    status = bridge_state_run(state, "", 0, nullptr, nullptr, nullptr, nullptr);
    return 0;
  });
  lua_setglobal(L, "again");
  ASSERT_STATUS(bridge_state_leave(state), BRIDGE_OK);
  EXPECT_EQ(returns(state, "again()"), "");
  EXPECT_STATUS(status, BRIDGE_EDEADLOCK);
}

TEST(State, RunsOnWhicheverThreadHoldsIt)
{
  Owned<bridge_state> state = make();
  EXPECT_EQ(returns(state.get(), "n = 0 co = coroutine.wrap(function()"
                                 "  while true do n = n + 1;"
                                 "  coroutine.yield(n) end end)"),
            "");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([&state] {
      for (int j = 0; j < 100; j++) {
        EXPECT_STATUS(run(state.get(), "local t = {} for i = 1, 50 do"
                                       "  t[i] = { i } end co()")
                          .status,
                      BRIDGE_OK);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(returns(state.get(), "return n"), "800");
}

/* ---- Errors ---- */

TEST(Errors, KeepTheTextAndTheValue)
{
  Owned<bridge_state> state = make();
  Outcome outcome = run(state.get(), "\nerror('oops')");
  EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
  EXPECT_STATUS(bridge_error_status(outcome.error.get()), BRIDGE_ESCRIPT);
  EXPECT_EQ(outcome.text(), "test:2: oops");
  EXPECT_EQ(outcome.value(), "'test:2: oops'");
  outcome = run(state.get(), "error('a\\0b', 0)");
  EXPECT_EQ(outcome.text(), std::string("a\0b", 3));
}

TEST(Errors, DescribeValuesThatAreNoStrings)
{
  Owned<bridge_state> state = make();
  struct {
    const char *source;
    const char *text;
    const char *value;
  } const cases[] = {
      {"error()", "(error object is a nil value)", "nil"},
      {"error(nil)", "(error object is a nil value)", "nil"},
      {"error(true)", "(error object is a boolean value)", "true"},
      {"error(42)", "42", "42"},
      {"error(1.5)", "1.5", "1.500000"},
      {"error{ code = 7 }", "(error object is a table value)", "map 1"},
      {"error(print)", "(error object is a function value)", "type 15"},
      {"error(io.stdout, 0)", "file (0x", "none"},
      {"error((coroutine.running()))", "(error object is a thread value)",
       "none"},
      {"local t = {}; t.t = t; error(t)", "(error object is a table value)",
       "map 1"},
      {"error(setmetatable({1}, { __tostring = function(t)"
       "  return 'value ' .. t[1] end }))",
       "value 1", "array 1"},
  };
  for (const auto &each : cases) {
    Outcome outcome = run(state.get(), each.source);
    EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
    EXPECT_EQ(outcome.text().substr(0, strlen(each.text)), each.text)
        << each.source;
    EXPECT_EQ(outcome.value().substr(0, strlen(each.value)), each.value)
        << each.source;
  }
}

TEST(Errors, SurviveAHostileToString)
{
  Owned<bridge_state> state = make();
  const char *const hostile[] = {
      "error('again')",
      "return 5",
      "while true do end",
      "while true do pcall(function() while true do end end) end",
      "local function f() while true do pcall(f) end end f()",
      "while true do xpcall(function() while true do end end, function()"
      "  while true do end end) end",
      "while true do coroutine.wrap(function() end)() end",
      "coroutine.yield(1)",
      "coroutine.close(victim) return 'closed it'",
      "error(setmetatable({}, getmetatable(self)))",
      "local function f() return f() + 1 end f()",
      "local t = {} while true do t[#t + 1] = ('x'):rep(1000) end",
  };
  bridge_state_options options = defaults();
  options.memory_limit = 4u << 20;
  for (const char *body : hostile) {
    Owned<bridge_state> limited = make(options);
    Outcome outcome =
        run(limited.get(), std::string("victim = coroutine.running() "
                                       "error(setmetatable({}, { __tostring ="
                                       " function(self) ") +
                               body + " end }))");
    EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
    EXPECT_STATUS(bridge_error_status(outcome.error.get()), BRIDGE_ESCRIPT);
    EXPECT_FALSE(outcome.text().empty()) << body;
    EXPECT_EQ(returns(limited.get(), "return 1"), "1") << body;
  }
}

TEST(Errors, HaveTheFramesOfTheCallStack)
{
  Owned<bridge_state> state = make();
  Outcome outcome = run(state.get(),
                        "local function inner()\n"
                        "  error('deep')\n"
                        "end\n"
                        "local function outer(f)\n"
                        "  f(); return 1\n"
                        "end\n"
                        "outer(inner)\n"
                        "return 1",
                        nullptr, "@story.lua");
  bridge_error *error = outcome.error.get();
  ASSERT_EQ(bridge_error_frame_count(error), 4u);
  struct {
    const char *source;
    const char *name;
    const char *what;
    int line;
  } const expected[] = {{"[C]", "error", "C", -1},
                        {"story.lua", "f", "Lua", 2},
                        {"story.lua", "outer", "Lua", 5},
                        {"story.lua", "", "main", 7}};
  for (size_t i = 0; i < 4; i++) {
    bridge_frame frame;
    ASSERT_STATUS(bridge_error_frame(error, i, &frame), BRIDGE_OK);
    EXPECT_STREQ(frame.source, expected[i].source) << i;
    EXPECT_STREQ(frame.name, expected[i].name) << i;
    EXPECT_STREQ(frame.what, expected[i].what) << i;
    EXPECT_EQ(frame.line, expected[i].line) << i;
  }
  EXPECT_EQ(outcome.traceback().find("stack traceback:\n\t[C]: in "), 0u)
      << outcome.traceback();
  EXPECT_NE(outcome.traceback().find("story.lua:5: in"), std::string::npos);
}

TEST(Errors, NameTheStateInTheTraceback)
{
  bridge_state_options options = defaults();
  options.name = "kitchen";
  Outcome outcome = run(make(options).get(), "error('x')");
  EXPECT_EQ(outcome.traceback().find("in kitchen:\nstack traceback:"), 0u)
      << outcome.traceback();
}

TEST(Errors, HaveNoTracebackWhereNoneIsWanted)
{
  bridge_state_options options = defaults();
  options.tracebacks = false;
  Outcome outcome = run(make(options).get(), "error('x', 0)");
  EXPECT_EQ(outcome.text(), "x");
  EXPECT_EQ(outcome.traceback(), "");
}

TEST(Errors, AreBoundedForDeepStacks)
{
  Owned<bridge_state> state = make();
  Outcome outcome =
      run(state.get(), "local function f() return 1 + f() end f()");
  EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
  EXPECT_NE(outcome.text().find("stack overflow"), std::string::npos);
  EXPECT_GT(bridge_error_frame_count(outcome.error.get()), 10u);
  EXPECT_LE(bridge_error_frame_count(outcome.error.get()), 64u);
  outcome = run(state.get(), "local function f() error(setmetatable({}, {"
                             "__index = f, __tostring = f })) end "
                             "xpcall(f, f) f()");
  EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
  EXPECT_EQ(returns(state.get(), "return 1"), "1");
}

TEST(Errors, InCloseAndGcHarmNothing)
{
  Owned<bridge_state> state = make();
  const std::string close = "local x <close> = setmetatable({}, { __close = "
                            "function() ";
  Outcome outcome =
      run(state.get(), close + "error('closing', 0) end }) return 1");
  EXPECT_STATUS(outcome.status, BRIDGE_ESCRIPT);
  EXPECT_EQ(outcome.text(), "closing");
  outcome =
      run(state.get(), close + "error('closing', 0) end }) error('first', 0)");
  EXPECT_EQ(outcome.text(), "first");
  outcome =
      run(state.get(), close + "coroutine.yield() end }) error('first', 0)");
  EXPECT_EQ(outcome.text(), "first");
  outcome = run(state.get(), "setmetatable({}, { __gc = function()"
                             "  error('collected') end })"
                             "collectgarbage() return 'alive'");
  EXPECT_EQ(show(outcome.results.get()), "'alive'");
  EXPECT_EQ(returns(state.get(), "setmetatable({}, { __gc = function()"
                                 "  error('at the end') end })"),
            "");
}

TEST(State, WarnsAsLuaDoes)
{
  Owned<bridge_state> state = make();
  testing::internal::CaptureStderr();
  EXPECT_EQ(returns(state.get(),
                    "warn('silent') warn('@on') warn('one ', 'line')"
                    "warn('@odd') warn('@on', ' is text')"
                    "setmetatable({}, { __gc = function()"
                    "  error('lost', 0) end }) collectgarbage()"
                    "warn('@off') warn('silent')"),
            "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "Lua warning: one line\n"
            "Lua warning: @on is text\n"
            "Lua warning: error in __gc (lost)\n");
}

TEST(State, ReleaseRunsFinalizers)
{
  static int finalized;
  finalized = 0;
  Owned<bridge_state> state = make();
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
  lua_pushcfunction(L, [](lua_State *) -> int {
    finalized++;
    return 0;
  });
  lua_setglobal(L, "note");
  ASSERT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
  EXPECT_EQ(returns(state.get(), "keep = setmetatable({}, { __gc = note })"),
            "");
  state.reset();
  EXPECT_EQ(finalized, 1);
}

/* ---- Memory ---- */

TEST(Memory, IsCounted)
{
  EXPECT_STATUS(bridge_state_memory(nullptr, nullptr, nullptr, nullptr),
                BRIDGE_EINVAL);
  Owned<bridge_state> state = make();
  size_t used = 0, peak = 0, limit = 1;
  ASSERT_STATUS(bridge_state_memory(state.get(), &used, &peak, &limit),
                BRIDGE_OK);
  EXPECT_GT(used, 10000u);
  EXPECT_GE(peak, used);
  EXPECT_EQ(limit, 0u);
  EXPECT_EQ(returns(state.get(), "s = ('x'):rep(1000000)"), "");
  size_t more = 0;
  ASSERT_STATUS(bridge_state_memory(state.get(), &more, &peak, nullptr),
                BRIDGE_OK);
  EXPECT_GE(more, used + 1000000);
  EXPECT_EQ(returns(state.get(), "s = nil collectgarbage()"
                                 "collectgarbage()"),
            "");
  size_t less = 0;
  ASSERT_STATUS(bridge_state_memory(state.get(), &less, nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_LT(less, used + 100000);
  EXPECT_GE(peak, 1000000u);
  EXPECT_STATUS(bridge_state_memory(state.get(), nullptr, nullptr, nullptr),
                BRIDGE_OK);
}

TEST(Memory, IsWhatLuaCounts)
{
  Owned<bridge_state> state = make();
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
  size_t used = 0;
  ASSERT_STATUS(bridge_state_memory(state.get(), &used, nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(used, static_cast<size_t>(lua_gc(L, LUA_GCCOUNT)) * 1024 +
                      static_cast<size_t>(lua_gc(L, LUA_GCCOUNTB)));
  ASSERT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
}

TEST(Memory, IsLimited)
{
  bridge_state_options options = defaults();
  options.memory_limit = 1u << 20;
  Owned<bridge_state> state = make(options);
  const char *const greedy[] = {
      "local t = {} while true do t[#t + 1] = {} end",
      "local s = 'x' while true do s = s .. s end",
      "return ('x'):rep(1 << 30)",
      "local function f(...) return f(1, ...) end f()",
      "local t = {} for i = 1, 1 << 30 do t[i] = i end",
      "local t = {} while true do t = { t, coroutine.create(print) } end",
      "return table.concat(setmetatable({}, { __index = function()"
      "  return ('y'):rep(10000) end, __len = function() return 1 << 20"
      "  end }))",
  };
  for (const char *source : greedy) {
    bridge_message *arguments = message(1);
    Outcome outcome = run(state.get(), source, &arguments);
    EXPECT_STATUS(outcome.status, BRIDGE_ENOMEM);
    EXPECT_STATUS(bridge_error_status(outcome.error.get()), BRIDGE_ENOMEM);
    EXPECT_EQ(outcome.text(), "not enough memory");
    EXPECT_NE(std::string(bridge_error_traceback(outcome.error.get()))
                  .find("in main chunk"),
              std::string::npos);
    EXPECT_EQ(returns(state.get(), "return 'usable'"), "'usable'") << source;
    bridge_message_release(arguments);
  }
  size_t peak = 0, limit = 0;
  ASSERT_STATUS(bridge_state_memory(state.get(), nullptr, &peak, &limit),
                BRIDGE_OK);
  EXPECT_GE(limit, 1u << 20);
  EXPECT_LE(peak, limit);
  EXPECT_GT(peak, limit / 2);
  EXPECT_EQ(returns(state.get(), "return pcall(string.rep, 'x', 1 << 30)"),
            "false 'not enough memory'");
}

TEST(Memory, ArgumentsAndResultsCountToo)
{
  bridge_state_options options = defaults();
  options.memory_limit = 1u << 20;
  Owned<bridge_state> state = make(options);
  bridge_message *arguments = message(std::string(2u << 20, 'x'));
  Outcome outcome = run(state.get(), "return #...", &arguments);
  EXPECT_STATUS(outcome.status, BRIDGE_ENOMEM);
  EXPECT_NE(arguments, nullptr) << "nothing ran";
  bridge_message_release(arguments);
  std::string source = "return '" + std::string(2u << 20, 'x') + "'";
  EXPECT_STATUS(run(state.get(), source).status, BRIDGE_ENOMEM);
  EXPECT_EQ(returns(state.get(), "return 1"), "1");
}

TEST(Memory, EveryLimitIsSurvived)
{
  const char source[] =
      "local t = {} for i = 1, 20 do t[i] = { i, ('s'):rep(i) } end "
      "local function f() return t end "
      "local co = coroutine.wrap(function(a) coroutine.yield(a) end) co(t) "
      "return t, f, select('#', ...)";
  int ran = 0;
  for (size_t limit = 1; limit < 16000; limit += limit < 2000 ? 7 : 61) {
    bridge_state_options options = defaults();
    options.memory_limit = limit;
    bridge_state *state = nullptr;
    ASSERT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
    bridge_message *arguments = message(1, "two", 3.0);
    Outcome outcome = run(state, source, &arguments);
    if (outcome.status == BRIDGE_OK) {
      ran++;
    } else {
      EXPECT_STATUS(outcome.status, BRIDGE_ENOMEM);
    }
    bridge_message_release(arguments);
    bridge_state_release(state);
  }
  EXPECT_GT(ran, 10);
}

/* Fails each allocation of the library in turn, until all goes well. */
int sweep(const std::function<bool()> &attempt)
{
  int failures = 0;
  bool done = false;
  while (!done) {
    bridge_trim();
    long before = live;
    remaining = failures;
    done = attempt();
    remaining = -1;
    bridge_trim();
    EXPECT_EQ(live, before) << failures;
    failures += !done;
  }
  return failures;
}

TEST(Memory, CreateLosesNothingForLackOfIt)
{
  ASSERT_STATUS(metered, BRIDGE_OK);
  bridge_state_options options = defaults();
  options.name = "short";
  options.modules = modules;
  options.module_count = 3;
  options.path = "path";
  int failures = sweep([&options] {
    bridge_state *state = nullptr;
    bridge_error *error = nullptr;
    bridge_status status = bridge_state_create(&state, &options, &error);
    if (status != BRIDGE_OK) {
      EXPECT_STATUS(status, BRIDGE_ENOMEM);
      EXPECT_EQ(state, nullptr);
    }
    bridge_error_release(error);
    bridge_state_release(state);
    return status == BRIDGE_OK;
  });
  EXPECT_GT(failures, 100);
}

TEST(Memory, RunLosesNothingForLackOfIt)
{
  const std::string source = "local t = ... local u = 1 "
                             "local function f() u = u + 1 return t, u end "
                             "return { f, t, {}, s = 'text' }, f";
  int failures = sweep([&source] {
    long allowed = remaining;
    remaining = -1;
    Owned<bridge_state> state = make();
    bridge_message *arguments = message(1, "two");
    remaining = allowed;
    Outcome outcome = run(state.get(), source, &arguments);
    remaining = -1;
    if (outcome.status != BRIDGE_OK) {
      EXPECT_STATUS(outcome.status, BRIDGE_ENOMEM);
      EXPECT_EQ(returns(state.get(), "return 1"), "1");
    }
    bridge_message_release(arguments);
    return outcome.status == BRIDGE_OK;
  });
  EXPECT_GT(failures, 20);
}

TEST(Memory, ErrorsKeepTheirStatusForLackOfIt)
{
  const std::string source = "error(setmetatable({ {} }, { __tostring ="
                             "  function() return 'mine' end }))";
  sweep([&source] {
    long allowed = remaining;
    remaining = -1;
    Owned<bridge_state> state = make();
    remaining = allowed;
    Outcome outcome = run(state.get(), source);
    remaining = -1;
    EXPECT_TRUE(outcome.status == BRIDGE_ESCRIPT ||
                outcome.status == BRIDGE_ENOMEM)
        << bridge_status_name(outcome.status);
    EXPECT_EQ(returns(state.get(), "return 1"), "1");
    return outcome.value() == "array 1 array 0" && outcome.text() == "mine" &&
           outcome.traceback().find("test:1: in") != std::string::npos;
  });
}

/* ---- Entering ---- */

TEST(State, EnterAndLeaveNeedEachOther)
{
  lua_State *L = nullptr;
  EXPECT_STATUS(bridge_state_enter(nullptr, 0, &L), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_leave(nullptr), BRIDGE_EINVAL);
  Owned<bridge_state> state = make();
  EXPECT_STATUS(bridge_state_enter(state.get(), 0, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_EINVAL);
  ASSERT_STATUS(bridge_state_enter(state.get(), 0, &L), BRIDGE_OK);
  ASSERT_NE(L, nullptr);
  lua_pushinteger(L, 7);
  lua_setglobal(L, "seven");
  EXPECT_STATUS(bridge_state_enter(state.get(), 0, &L), BRIDGE_EDEADLOCK);
  EXPECT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_EDEADLOCK);
  EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_EINVAL);
  EXPECT_EQ(returns(state.get(), "return seven"), "7");
}

TEST(State, EnterWaitsNoLongerThanItWasTold)
{
  Owned<bridge_state> state = make();
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
  std::thread other([&state] {
    lua_State *M = nullptr;
    EXPECT_STATUS(bridge_state_enter(state.get(), 0, &M), BRIDGE_ETIMEDOUT);
    EXPECT_STATUS(bridge_state_enter(state.get(), 5, &M), BRIDGE_ETIMEDOUT);
    EXPECT_EQ(M, nullptr);
    EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_EINVAL);
  });
  other.join();
  EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
  std::thread later([&state] {
    lua_State *M = nullptr;
    EXPECT_STATUS(bridge_state_enter(state.get(), 0, &M), BRIDGE_OK);
    EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
  });
  later.join();
}

TEST(State, ReleaseTakesAStateThatTheCallerHolds)
{
  Owned<bridge_state> state = make();
  lua_State *L = nullptr;
  ASSERT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
  state.reset();
}

/* ---- Handles ---- */

TEST(State, HandlesOpenTheModuleTheyNeed)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_STATUS(bridge_buffer_create(&buffer, 8), BRIDGE_OK);
  for (const char *libraries :
       {static_cast<const char *>(nullptr), "", "base", "string,package"}) {
    Owned<bridge_state> state = make_with(libraries);
    bridge_message *arguments = message(buffer, 5);
    Outcome outcome = run(state.get(), "return ...", &arguments);
    ASSERT_STATUS(outcome.status, BRIDGE_OK);
    bridge_reader reader;
    void *handle = nullptr;
    ASSERT_STATUS(bridge_reader_init(&reader, outcome.results.get()),
                  BRIDGE_OK);
    ASSERT_STATUS(bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &handle),
                  BRIDGE_OK);
    EXPECT_EQ(handle, buffer);
  }
  bridge_buffer_release(buffer);
}

/* ---- fork ---- */

TEST(State, BelongsToTheProcessThatMadeIt)
{
  Owned<bridge_state> state = make();
  Owned<bridge_state> held = make();
  std::atomic<int> step{0};
  std::thread holder([&held, &step] {
    lua_State *L = nullptr;
    EXPECT_STATUS(bridge_state_enter(held.get(), -1, &L), BRIDGE_OK);
    step = 1;
    while (step != 2) {
      std::this_thread::yield();
    }
    EXPECT_STATUS(bridge_state_leave(held.get()), BRIDGE_OK);
  });
  while (step != 1) {
    std::this_thread::yield();
  }
  pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    lua_State *L = nullptr;
    bool good = bridge_state_enter(state.get(), -1, &L) == BRIDGE_EFORKED &&
                bridge_state_leave(state.get()) == BRIDGE_EFORKED &&
                bridge_state_run(state.get(), "", 0, nullptr, nullptr, nullptr,
                                 nullptr) == BRIDGE_EFORKED;
    bridge_state_release(state.release());
    bridge_state_release(held.release());
    Owned<bridge_state> fresh = make_with_modules();
    good =
        good && returns(fresh.get(), "return require 'slow'.name") == "'slow'";
    fresh.reset();
    _exit(good ? 0 : 1);
  }
  step = 2;
  holder.join();
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(returns(state.get(), "return 1"), "1");
}

} // namespace
