/* The sandbox: what is reachable in it, as a golden file, and ways out of it that
   are none. */
#include "box.h"

#include <map>
#include <set>
#include <vector>

namespace
{

Box sandbox(size_t memory_limit = 0)
{
  return Box(BRIDGE_STOP_DEFAULT, true, memory_limit);
}

/* ---- What is reachable ---- */

/* Walks tables, their keys and their metatables; also those that scripts cannot get
   at, since methods are called through them. */
class Walk
{
public:
  explicit Walk(lua_State *from_state) : L(from_state)
  {
  }

  /* What is on top of the stack, under a name; takes it. */
  void from(const std::string &path)
  {
    visit(path);
    lua_pop(L, 1);
  }

  std::string text() const
  {
    std::string all;
    for (const std::string &line : lines) {
      all += line + "\n";
    }
    return all;
  }

private:
  void visit(const std::string &path)
  {
    luaL_checkstack(L, 10, nullptr);
    int type = lua_type(L, -1);
    const void *address = lua_topointer(L, -1);
    bool known = type == LUA_TTABLE && !seen.emplace(address, path).second;
    if (type >= LUA_TTABLE || type == LUA_TLIGHTUSERDATA) {
      lines.insert(
          path + ": " +
          (known ? "= " + seen[address] : std::string(lua_typename(L, type))));
    }
    if (known) {
      return;
    }
    if (type == LUA_TTABLE) {
      keys(path);
    }
    /* Those of strings are looked at once. */
    if ((type != LUA_TSTRING || path == "text") && lua_getmetatable(L, -1)) {
      from(path + " (metatable)");
    }
  }

  /* In order, so that the first path to a table is the same each time. */
  void keys(const std::string &path)
  {
    std::map<std::string, std::string> names;
    lua_pushnil(L);
    while (lua_next(L, -2) != 0) {
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      std::string name = luaL_tolstring(L, -1, nullptr);
      names[name] = lua_type(L, -2) == LUA_TSTRING ? name : "";
      lua_pop(L, 2);
    }
    for (const auto &[name, key] : names) {
      if (key.empty()) {
        lines.insert(path + "[" + name + "]: not walked");
        continue;
      }
      lua_pushstring(L, key.c_str());
      lua_rawget(L, -2);
      from(path + "." + key);
    }
  }

  lua_State *L;
  std::map<const void *, std::string> seen;
  std::set<std::string> lines;
};

/* After a change that is meant, BRIDGE_GOLDEN=1 writes the file anew. */
TEST(Sandbox, ReachesWhatTheGoldenFileLists)
{
  Box box = sandbox();
  std::string found;
  box.enter([&](lua_State *L) {
    Walk walk(L);
    lua_pushglobaltable(L);
    walk.from("_G");
    lua_pushliteral(L, "");
    walk.from("text");
    ASSERT_EQ(luaL_dostring(L, "return require 'bridge'"), LUA_OK)
        << lua_tostring(L, -1);
    walk.from("bridge");
    ASSERT_EQ(luaL_dostring(L, "return require 'bridge'.array {}"), LUA_OK);
    walk.from("array");
    ASSERT_EQ(luaL_dostring(L, "return coroutine.create(error)"), LUA_OK);
    walk.from("coroutine");
    found = walk.text();
  });
  const char *path = SANDBOX_FOLDER "/reachable.txt";
  if (getenv("BRIDGE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << found;
  }
  EXPECT_EQ(found, read_file(path));
}

/* ---- No way out ---- */

struct Attempt {
  const char *what;
  const char *script;
  const char *said;
};

const Attempt kAttempts[] = {
    /* Files, processes, modules */
    {"files", "return io, dofile, loadfile", "nil nil nil"},
    {"processes",
     "return os.execute, os.exit, os.getenv, os.remove, os.rename, "
     "os.tmpname, os.setlocale",
     "nil nil nil nil nil nil nil"},
    {"modules", "return package", "nil"},
    {"the host's output", "return print, warn", "nil nil"},
    {"require of a library of Lua that is left out",
     "return select(2, pcall(require, 'io'))",
     "'module 'io' is not allowed in a sandbox'"},
    {"require of debug", "return select(2, pcall(require, 'debug'))",
     "'module 'debug' is not allowed in a sandbox'"},
    {"require of a C module", "return select(2, pcall(require, 'socket.core'))",
     "'module 'socket.core' is not allowed in a sandbox'"},
    {"require of a path", "return select(2, pcall(require, '../evil'))",
     "'module '../evil' is not allowed in a sandbox'"},
    {"require of the core", "return select(2, pcall(require, 'bridge.core'))",
     "'module 'bridge.core' is not allowed in a sandbox'"},
    {"require of what workers have within",
     "return select(2, pcall(require, 'bridge.inside'))",
     "'module 'bridge.inside' is not allowed in a sandbox'"},
    {"require by a number", "return select(2, pcall(require, 1))",
     "'module '1' is not allowed in a sandbox'"},
    {"require by an object that is a name",
     "return select(2, pcall(require, setmetatable({}, {__tostring = "
     "function() return 'io' end})))",
     "'bad argument #1 to 'require' (string expected, got table)'"},
    {"require gives the same tables",
     "return require 'string' == string, "
     "require '_G' == _G",
     "true true"},
    {"what require remembers is not in the globals",
     "string = {execute = 1} return require('string').execute", "nil"},

    /* Precompiled code */
    {"string.dump", "return string.dump, ('').dump", "nil nil"},
    {"load of a precompiled chunk",
     "return select(2, load('\\27Lua', 'x', 'b'))",
     "'attempt to load a binary chunk (mode is '')'"},
    {"load of a precompiled chunk in any mode",
     "return select(2, load('\\27Lua', 'x', 'bt'))",
     "'attempt to load a binary chunk (mode is 't')'"},
    {"load of a precompiled chunk in pieces",
     "local i = 0 return select(2, load(function() i = i + 1 "
     "return ('\\27Lua'):sub(i, i) end))",
     "'attempt to load a binary chunk (mode is 't')'"},
    {"a mode that is an object",
     "return select(2, pcall(load, '\\27Lua', 'x', setmetatable({}, "
     "{__index = function() return 'b' end})))",
     "'bad argument #3 to 'load' (string expected, got table)'"},
    {"what load gives sees the same globals",
     "return load('return _G == ..., io, debug, package')(_G)",
     "true nil nil nil"},
    {"an environment of load's",
     "local e = {} load('x = 1', 'x', 't', e)() return e.x, x", "1 nil"},
    {"load without an environment has none of ours",
     "return select(2, pcall(load('return string', 'x', 't', nil)))",
     "'[string \"x\"]:1: attempt to index a nil value (upvalue '_ENV')'"},

    /* Debug, finalizers, metatables */
    {"debug", "return debug", "nil"},
    {"a finalizer",
     "return select(2, pcall(setmetatable, {}, {__gc = function() end}))",
     "'__gc is not allowed in this state'"},
    {"a finalizer by a proxy's metatable",
     "local mt = {} local t = setmetatable({}, mt) mt.__gc = function() "
     "ran = true end t = nil collectgarbage() collectgarbage() return ran",
     "nil"},
    {"a finalizer in the mark of arrays",
     "local b = require 'bridge' "
     "local mt = getmetatable(b.array {}) mt.__gc = function() ran = true end "
     "for i = 1, 10 do b.array {} end collectgarbage() collectgarbage() "
     "return ran, mt == getmetatable(b.array {})",
     "nil true"},
    {"a finalizer in a coroutine",
     "return select(2, coroutine.resume(coroutine.create(function() "
     "return setmetatable({}, {__gc = 1}) end)))",
     "'script:1: __gc is not allowed in this state'"},
    {"a finalizer through load",
     "return select(2, pcall(load 'setmetatable({}, {__gc = 1})'))",
     "'[string \"setmetatable({}, {__gc = 1})\"]:1: __gc is not allowed in "
     "this state'"},
    {"the metatable of strings", "return getmetatable('')", "false"},
    {"the metatable of strings, to be replaced",
     "return select(2, pcall(setmetatable, '', {}))",
     "'bad argument #1 to 'setmetatable' (table expected, got string)'"},
    {"the methods of strings are not those of the library",
     "string.upper = function() return 'mine' end "
     "return ('a'):upper(), string.upper('a')",
     "'A' 'mine'"},
    {"the methods of strings, by rawset",
     "rawset(string, 'lower', false) return ('A'):lower()", "'a'"},
    {"the metatable of a function", "return getmetatable(error)", "nil"},
    {"the metatable of a coroutine",
     "return getmetatable(coroutine.create(error))", "nil"},
    {"a metatable that says it is protected",
     "return select(2, pcall(setmetatable, setmetatable({}, {__metatable = "
     "1}), "
     "{}))",
     "'cannot change a protected metatable'"},
    {"the globals through the globals", "return _G._G == _G, _G._G.io",
     "true nil"},
    {"the globals with a metatable",
     "setmetatable(_G, {__index = function(_, k) return k end}) "
     "local v = io setmetatable(_G, nil) return v, io",
     "'io' nil"},
    {"the registry", "return _LOADED, _PRELOAD, package", "nil nil nil"},
    {"hooks and warnings", "return warn, debug, collectgarbage('count') > 0",
     "nil nil true"},

    /* Coroutines, errors */
    {"wrapped C functions",
     "return select(2, pcall(coroutine.wrap(load), '\\27Lua', 'x', 'b'))",
     "nil 'attempt to load a binary chunk (mode is '')'"},
    {"an error that is an object",
     "local _, e = pcall(error, setmetatable({}, {__tostring = function() "
     "error('x') end})) return type(e)",
     "'table'"},
    {"the environment of xpcall's handler",
     "return select(2, xpcall(error, function() return io end))", "nil"},
    {"a running coroutine's thread",
     "local t, main = coroutine.running() return type(t), main",
     "'thread' true"},
    {"closing the main coroutine",
     "return (pcall(coroutine.close, (coroutine.running())))", "false"},

    /* The collector, memory */
    {"stopping the collector",
     "return select(2, pcall(collectgarbage, 'stop'))",
     "'collectgarbage: 'stop' is not allowed in a sandbox'"},
    {"tuning the collector",
     "return (pcall(collectgarbage, 'incremental', 1000, 1)), "
     "(pcall(collectgarbage, 'setpause', 1000)), "
     "(pcall(collectgarbage, 'generational'))",
     "false false false"},
    {"collecting is allowed",
     "return collectgarbage(), collectgarbage('step'), "
     "math.type(collectgarbage 'count')",
     "0 true 'float'"},
    {"a long text at once", "return select(2, pcall(string.rep, 'x', 1 << 25))",
     "'resulting string too large'"},
    {"a long text of pieces",
     "local t = {} for i = 1, 20 do t[i] = ('x'):rep(1 << 20) end "
     "return select(2, pcall(table.concat, t))",
     "'resulting string too large'"},
    {"a long text by gsub",
     "return select(2, pcall(string.gsub, ('x'):rep(1 << 16), 'x', "
     "('y'):rep(1 << 10)))",
     "'resulting string too large'"},
    {"a long text by format",
     "local s = ('x'):rep(9 << 20) "
     "return select(2, pcall(string.format, '%s%s', s, s))",
     "'resulting string too large'"},
    {"a long text by pack",
     "return select(2, pcall(string.pack, 'c20000000', ''))",
     "'resulting string too large'"},
    {"more memory than there is",
     "local t = {} return select(2, pcall(function() for i = 1, 1e9 do t[i] = "
     "i "
     "end end))",
     "'not enough memory'"},

    /* The bridge */
    {"threads of its own",
     "local b = require 'bridge' return b.worker, b.workers, b.find",
     "nil nil nil"},
    {"memory that is not counted",
     "local b = require 'bridge' return b.buffer, b.queue, b.channel, b.waker, "
     "b.counter",
     "nil nil nil nil nil"},
    {"what the host hears",
     "local b = require 'bridge' return b.set_logger, b.register, b.trim, "
     "b.set_watchdog, b.limits",
     "nil nil nil nil nil"},
    {"what functions of the bridge are made of",
     "local b = require 'bridge' return type(b.status_text), "
     "getmetatable(b.status_text)",
     "'function' nil"},
};

TEST(Sandbox, HasNoWayOut)
{
  std::set<std::string> names;
  for (const Attempt &each : kAttempts) {
    Box box = sandbox();
    EXPECT_EQ(box.run(each.script), each.said) << each.what;
    EXPECT_TRUE(names.insert(each.what).second) << each.what;
  }
  EXPECT_GE(names.size(), 25u);
}

/* What one script did is there for the next one, and is no more than that. */
TEST(Sandbox, IsAsOpenAfterAScriptThatChangedEverything)
{
  Box box = sandbox();
  EXPECT_EQ(box.run(R"lua(
    local pairs, type = pairs, type
    local function break_all(t, seen)
      if seen[t] then return end
      seen[t] = true
      for k, v in pairs(t) do
        if type(v) == "table" then break_all(v, seen) end
        if type(v) == "function" then t[k] = function() return k end end
      end
    end
    local next_, load_ = next, load
    break_all(_G, {})
    return load_("return ('x'):rep(3), io")()
  )lua"),
            "'xxx' nil");
  EXPECT_EQ(box.run("return ('abc'):upper(), type(string)"), "'ABC' 'type'");
}

/* ---- What comes by messages ---- */

int answer(lua_State *L)
{
  lua_pushinteger(L, 42);
  return 1;
}

TEST(Sandbox, TakesNoFunctionFromAMessage)
{
  Box box = sandbox();
  Owned<bridge_message> made(message());
  ASSERT_STATUS(bridge_message_write_cfunction(
                    made.get(), reinterpret_cast<bridge_function *>(answer)),
                BRIDGE_OK);
  EXPECT_EQ(box.run("return (...)()", made.release()),
            "error: argument 1: a function cannot enter a sandbox");
  EXPECT_STATUS(box.status, BRIDGE_ETYPE);
}

TEST(Sandbox, TakesNoFunctionOfLuaFromAMessage)
{
  Box open(BRIDGE_STOP_PROMPT);
  Box box = sandbox();
  const char source[] = "return { deep = { function() return io end } }";
  bridge_message *results = nullptr;
  ASSERT_STATUS(bridge_state_run(open.state.get(), source, sizeof source - 1,
                                 "=open", nullptr, &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(box.run("return ...", results),
            "error: argument 1.deep[1]: a function cannot enter a sandbox");
}

/* Its own functions may leave: text made them. */
TEST(Sandbox, GivesFunctionsAway)
{
  Box open(BRIDGE_STOP_PROMPT);
  Box box = sandbox();
  const char source[] = "local n = 5 return function() return n, io end";
  bridge_message *results = nullptr;
  ASSERT_STATUS(bridge_state_run(box.state.get(), source, sizeof source - 1,
                                 "=box", nullptr, &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(
      open.run("local f = ... local n, library = f() return n, library == "
               "io",
               results),
      "5 true");
}

/* A handle is what the host hands over by it; more does not come with it. */
TEST(Sandbox, AHandleCarriesItsMethodsAndNothingElse)
{
  Box box = sandbox();
  bridge_queue *made = nullptr;
  ASSERT_STATUS(bridge_queue_create(&made, nullptr), BRIDGE_OK);
  Owned<bridge_queue> queue(made);
  EXPECT_EQ(box.run(R"lua(
    local queue = ...
    local good = queue:push(1, "two")
    local number, text = queue:pop(0)
    return good, number, text, getmetatable(queue),
           (pcall(setmetatable, queue, {})), io, package,
           (pcall(require, "bridge.core")), queue.handle
  )lua",
                    message(queue.get())),
            "true 1 'two' 'bridge.Queue' false nil nil false nil");
  EXPECT_EQ(box.run("local b = require 'bridge' return b.worker, b.queue"),
            "nil nil");
}

TEST(Sandbox, AQueueBringsNoFunctionEither)
{
  Box box = sandbox();
  bridge_queue *made = nullptr;
  ASSERT_STATUS(bridge_queue_create(&made, nullptr), BRIDGE_OK);
  Owned<bridge_queue> queue(made);
  Owned<bridge_message> bad(message(1));
  ASSERT_STATUS(bridge_message_write_cfunction(
                    bad.get(), reinterpret_cast<bridge_function *>(answer)),
                BRIDGE_OK);
  bridge_message *taken = bad.release();
  ASSERT_STATUS(bridge_queue_push(queue.get(), &taken), BRIDGE_OK);
  std::string said = box.run("local none, text = (...):pop(0) "
                             "return none, text",
                             message(queue.get()));
  EXPECT_NE(said.find("a function cannot enter a sandbox"), std::string::npos)
      << said;
}

TEST(Sandbox, AMessageOutHasALimit)
{
  Box box = sandbox();
  EXPECT_EQ(box.run("return #('x'):rep(900000)"), "900000");
  box.run("return ('x'):rep(900000)");
  EXPECT_STATUS(box.status, BRIDGE_OK);
  std::string said = box.run("return ('x'):rep(2000000)");
  EXPECT_STATUS(box.status, BRIDGE_ELIMIT) << said;
}

/* ---- Options ---- */

std::string refusal(void (*change)(bridge_state_options *))
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.sandbox = true;
  change(&options);
  bridge_state *state = nullptr;
  bridge_error *error = nullptr;
  bridge_status status = bridge_state_create(&state, &options, &error);
  std::string said = std::string(bridge_status_name(status)) + " " +
                     bridge_error_text(error, nullptr);
  bridge_error_release(error);
  bridge_state_release(state);
  return said;
}

/* Nothing of it takes more than the state itself may. */
TEST(Sandbox, AnErrorOutHasALimit)
{
  Box box(BRIDGE_STOP_STRICT, true);
  const char source[] =
      "local n = ('x'):rep(2 << 20) "
      "assert(load('function ' .. n .. '(k) if k > 0 then local r = ' .. n .. "
      "'(k - 1) return r end error(n, 0) end'))() "
      "local f = _G[n] f(21)";
  for (std::string what : {"_G.n = 1 ", "_G.n = ('x'):rep(2 << 20) "}) {
    what += source;
    bridge_error *error = nullptr;
    ASSERT_STATUS(bridge_state_run(box.state.get(), what.data(), what.size(),
                                   "=script", nullptr, nullptr, &error),
                  BRIDGE_ESCRIPT);
    size_t size = 0;
    bridge_error_text(error, &size);
    EXPECT_LE(size, size_t(1) << 20);
    EXPECT_LT(std::strlen(bridge_error_traceback(error)), 50000U);
    size_t frames = 0;
    for (size_t i = 0; i < bridge_error_frame_count(error); i++) {
      bridge_frame frame;
      ASSERT_STATUS(bridge_error_frame(error, i, &frame), BRIDGE_OK);
      frames += std::strlen(frame.name);
    }
    EXPECT_LT(frames, 50000U);
    EXPECT_GE(bridge_error_frame_count(error), 20U);
    bridge_error_release(error);
  }
}

TEST(Sandbox, RefusesOptionsThatContradictIt)
{
  using Options = bridge_state_options;
  EXPECT_EQ(refusal([](Options *o) { o->binary_chunks = true; }),
            "BRIDGE_EINVAL a sandbox takes no precompiled chunks");
  EXPECT_EQ(refusal([](Options *o) { o->path = "?.lua"; }),
            "BRIDGE_EINVAL a sandbox finds no modules in files");
  EXPECT_EQ(refusal([](Options *o) { o->cpath = "?.so"; }),
            "BRIDGE_EINVAL a sandbox finds no modules in files");
  EXPECT_EQ(refusal([](Options *o) { o->libraries = "base,io"; }),
            "BRIDGE_EINVAL the library 'io' is not allowed in a sandbox");
  EXPECT_EQ(refusal([](Options *o) { o->libraries = "package"; }),
            "BRIDGE_EINVAL the library 'package' is not allowed in a sandbox");
  EXPECT_EQ(refusal([](Options *o) { o->libraries = "debug"; }),
            "BRIDGE_EINVAL the library 'debug' is not allowed in a sandbox");
  EXPECT_EQ(refusal([](Options *o) { o->stop = BRIDGE_STOP_PROMPT; }),
            "BRIDGE_EINVAL a sandbox is stopped at the strict level");
  EXPECT_EQ(refusal([](Options *o) { o->stop = BRIDGE_STOP_COOPERATIVE; }),
            "BRIDGE_EINVAL a sandbox is stopped at the strict level");
  EXPECT_EQ(refusal([](Options *o) { o->stop = BRIDGE_STOP_STRICT; }),
            "BRIDGE_OK ");
  EXPECT_EQ(refusal([](Options *o) { o->libraries = "base"; }), "BRIDGE_OK ");
  EXPECT_EQ(refusal([](Options *o) { o->libraries = ""; }), "BRIDGE_OK ");
}

TEST(Sandbox, HasAMemoryLimitUnlessToldAnother)
{
  size_t used = 0;
  size_t limit = 0;
  Box box = sandbox();
  ASSERT_STATUS(bridge_state_memory(box.state.get(), &used, nullptr, &limit),
                BRIDGE_OK);
  EXPECT_GT(limit, size_t(64) << 20);
  EXPECT_LT(limit, size_t(65) << 20);
  Box small = sandbox(1 << 20);
  ASSERT_STATUS(bridge_state_memory(small.state.get(), &used, nullptr, &limit),
                BRIDGE_OK);
  EXPECT_LT(limit, size_t(2) << 20);
  EXPECT_EQ(small.run("return select(2, pcall(string.rep, 'x', 1 << 21))"),
            "'not enough memory'");
}

/* ---- Modules of the host's ---- */

int open_mine(lua_State *L)
{
  lua_newtable(L);
  lua_pushcfunction(L, answer);
  lua_setfield(L, -2, "answer");
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "name");
  return 1;
}

TEST(Sandbox, RequiresTheHostsModules)
{
  const bridge_module modules[] = {{"mine", open_mine}};
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.sandbox = true;
  options.modules = modules;
  options.module_count = 1;
  bridge_state *state = nullptr;
  ASSERT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
  Owned<bridge_state> owned(state);
  const char source[] = "local mine = require 'mine' return mine.answer(), "
                        "mine.name, mine == require 'mine'";
  bridge_message *results = nullptr;
  ASSERT_STATUS(bridge_state_run(state, source, sizeof source - 1, "=box",
                                 nullptr, &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(show(results), "42 'mine' true");
  bridge_message_release(results);
}

/* ---- Workers ---- */

TEST(Sandbox, AWorkerServesFromIt)
{
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.sandbox = true;
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.state = &state;
  options.source = R"lua(
    local bridge = require "bridge"
    bridge.serve {
      double = function(n) bridge.sleep(0) return 2 * n, io, bridge.worker end,
    }
  )lua";
  options.source_size = std::strlen(options.source);
  bridge_worker *made = nullptr;
  ASSERT_STATUS(bridge_worker_create(&made, &options, nullptr, nullptr),
                BRIDGE_OK);
  Owned<bridge_worker> worker(made);
  bridge_message *request = message("double", 21);
  bridge_message *results = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, 20000, &results, &error),
      BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  EXPECT_EQ(show(results), "42 nil nil");
  bridge_error_release(error);
  bridge_message_release(results);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 20000), BRIDGE_OK);
}

} // namespace
