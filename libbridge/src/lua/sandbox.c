/* Sandbox: what is left of the libraries in a state whose scripts are not trusted.
   It is a list of what is allowed: what a library of a later Lua adds is not there.

   The tables of the libraries are the state's own, and a script may change them as
   it likes; what it cannot reach are files, processes, other modules, the registry,
   precompiled code, and the table that the methods of strings are found in. */
#include "lua/sandbox.h"

#include "lua/guard.h"
#include "lua/libraries.h"
#include "message/error.h"

#include <lauxlib.h>
#include <lualib.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static const char *const base[] = {"_G",
                                   "_VERSION",
                                   "assert",
                                   "collectgarbage",
                                   "coroutine",
                                   "error",
                                   "getmetatable",
                                   "ipairs",
                                   "load",
                                   "math",
                                   "next",
                                   "os",
                                   "pairs",
                                   "pcall",
                                   "rawequal",
                                   "rawget",
                                   "rawlen",
                                   "rawset",
                                   "require",
                                   "select",
                                   "setmetatable",
                                   "string",
                                   "table",
                                   "tonumber",
                                   "tostring",
                                   "type",
                                   "utf8",
                                   "xpcall",
                                   NULL};

static const char *const coroutine[] = {"close",  "create",  "isyieldable",
                                        "resume", "running", "status",
                                        "wrap",   "yield",   NULL};

static const char *const string[] = {
    "byte",    "char",  "find",   "format", "gmatch", "gsub",
    "len",     "lower", "match",  "pack",   "rep",    "packsize",
    "reverse", "sub",   "unpack", "upper",  NULL};

static const char *const table[] = {"concat", "insert", "move",   "pack",
                                    "remove", "sort",   "unpack", NULL};

static const char *const math[] = {
    "abs", "acos",       "asin", "atan",      "ceil", "cos",    "deg",
    "exp", "floor",      "fmod", "huge",      "log",  "max",    "maxinteger",
    "min", "mininteger", "modf", "pi",        "rad",  "random", "randomseed",
    "sin", "sqrt",       "tan",  "tointeger", "type", "ult",    NULL};

static const char *const utf8[] = {"char", "charpattern", "codepoint", "codes",
                                   "len",  "offset",      NULL};

static const char *const os[] = {"clock", "date", "difftime", "time", NULL};

static const struct library {
  const char *name;
  const char *const *allowed;
} libraries[] = {{LUA_GNAME, base},        {LUA_COLIBNAME, coroutine},
                 {LUA_STRLIBNAME, string}, {LUA_TABLIBNAME, table},
                 {LUA_MATHLIBNAME, math},  {LUA_UTF8LIBNAME, utf8},
                 {LUA_OSLIBNAME, os}};

/* Of the module "bridge": none that makes a thread, or takes memory that is not the
   state's. */
static const char *const bridge[] = {
    "array",  "cancelled",   "log",  "map",      "null",    "serve", "sleep",
    "status", "status_text", "stop", "stopping", "version", "yield", NULL};

static const char *const collecting[] = {"collect", "count", "isrunning",
                                         "step", NULL};

static bool is_among(const char *const *names, const char *name)
{
  while (*names != NULL && strcmp(*names, name) != 0) {
    names++;
  }
  return *names != NULL;
}

/* ---- Options ---- */

static bridge_status refuse(bridge_error **error, const char *text)
{
  return bridge__error_give(
      error, bridge__error_create(BRIDGE_EINVAL, text, strlen(text)),
      BRIDGE_EINVAL);
}

bridge_status bridge__sandbox_check(const bridge_state_options *options,
                                    bridge_error **error)
{
  if (!options->sandbox) {
    return BRIDGE_OK;
  }
  if (options->binary_chunks) {
    return refuse(error, "a sandbox takes no precompiled chunks");
  }
  if (options->path != NULL || options->cpath != NULL) {
    return refuse(error, "a sandbox finds no modules in files");
  }
  if (options->stop != BRIDGE_STOP_DEFAULT &&
      options->stop != BRIDGE_STOP_STRICT) {
    return refuse(error, "a sandbox is stopped at the strict level");
  }
  return BRIDGE_OK;
}

void bridge__sandbox_defaults(bridge_state_options *options)
{
  if (!options->sandbox) {
    return;
  }
  options->stop = BRIDGE_STOP_STRICT;
  if (options->memory_limit == 0) {
    options->memory_limit = BRIDGE__SANDBOX_MEMORY;
  }
  if (options->message_limit == 0) {
    options->message_limit = BRIDGE__SANDBOX_MESSAGE;
  }
}

/* ---- What takes the place of Lua's own ---- */

/* Only what a script may do to its own memory. */
static int sandbox_collectgarbage(lua_State *L)
{
  const char *option = luaL_optstring(L, 1, "collect");
  if (!is_among(collecting, option)) {
    return luaL_error(L, "collectgarbage: '%s' is not allowed in a sandbox",
                      option);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* The module that stands in the registry, as far as it is allowed. */
static void push_bridge(lua_State *L)
{
  bridge__libraries_open_builtin(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "bridge");
  lua_remove(L, -2);
  lua_newtable(L);
  for (const char *const *name = bridge; *name != NULL; name++) {
    lua_getfield(L, -2, *name);
    lua_setfield(L, -2, *name);
  }
  lua_remove(L, -2);
}

/* A module of the host's, which is in the table of those. */
static bool push_host_module(lua_State *L, const char *name)
{
  if (lua_getfield(L, lua_upvalueindex(2), name) == LUA_TNIL) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushstring(L, name);
  lua_pushliteral(L, ":preload:");
  lua_call(L, 2, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushboolean(L, 1);
  }
  return true;
}

/* Upvalues: the modules that are open, and the openers of the host's. */
static int sandbox_require(lua_State *L)
{
  bridge__poll(L);
  const char *name = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  if (lua_getfield(L, lua_upvalueindex(1), name) != LUA_TNIL) {
    return 1;
  }
  lua_settop(L, 1);
  if (!push_host_module(L, name)) {
    if (strcmp(name, "bridge") != 0) {
      return luaL_error(L, "module '%s' is not allowed in a sandbox", name);
    }
    push_bridge(L);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, lua_upvalueindex(1), name);
  return 1;
}

/* ---- Opening ---- */

/* Take away from the table on top of the stack what is not allowed. */
static void prune(lua_State *L, const char *const *allowed)
{
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    bool named = lua_type(L, -1) == LUA_TSTRING;
    if (!named || !is_among(allowed, lua_tostring(L, -1))) {
      lua_pushvalue(L, -1);
      lua_pushnil(L);
      lua_rawset(L, -4); /* which a walk allows */
    }
  }
}

/* Push the table of the openers of the host's modules. */
static void push_openers(lua_State *L, const bridge_state_options *options)
{
  lua_createtable(L, 0, (int)options->module_count);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (size_t i = 0; i < options->module_count; i++) {
    lua_getfield(L, -1, options->modules[i].name);
    lua_setfield(L, -3, options->modules[i].name);
  }
  lua_pop(L, 1);
}

/* Prune the libraries that are there, and push a table of them. */
static void push_libraries(lua_State *L)
{
  lua_newtable(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    if (lua_getfield(L, -1, libraries[i].name) == LUA_TTABLE) {
      prune(L, libraries[i].allowed);
      lua_setfield(L, -3, libraries[i].name);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
}

/* Methods of strings are found in a table that nobody has. */
static void lock_strings(lua_State *L)
{
  lua_pushliteral(L, "");
  if (lua_getmetatable(L, -1)) {
    lua_newtable(L);
    lua_getglobal(L, LUA_STRLIBNAME);
    for (const char *const *name = string; *name != NULL; name++) {
      lua_getfield(L, -1, *name);
      lua_setfield(L, -3, *name);
    }
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
  }
  lua_settop(L, 0);
}

void bridge__sandbox_open(lua_State *L, const bridge_state_options *options)
{
  lua_settop(L, 0);
  lua_pushboolean(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, BRIDGE__SANDBOX);
  push_libraries(L);
  push_openers(L, options);
  lua_pushglobaltable(L);
  if (lua_getfield(L, -1, "collectgarbage") == LUA_TFUNCTION) {
    lua_pushcclosure(L, sandbox_collectgarbage, 1);
    lua_setfield(L, -2, "collectgarbage");
    lua_insert(L, 1);
    lua_pushcclosure(L, sandbox_require, 2);
    lua_setfield(L, 1, "require");
  }
  lock_strings(L);
}
