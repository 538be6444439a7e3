/* The modules that every state of libbridge has in package.preload. */
#include "lua/builtin.h"

#include "face.h"
#include "lua/libraries.h"

#include "bridge_init_lua.h" /* bindings/lua/bridge/init.lua, as text */

#include <lauxlib.h>

#include <stdatomic.h>
#include <string.h>

/* init.lua as Lua compiled it for the first state, for all others: to compile it
   would take most of what a worker takes that requires it.  Written by one opener at
   a time (lua/libraries.c). */
static struct {
  atomic_size_t size;    /* 0 until all of it is there */
  char bytes[64 * 1024]; /* enough; else every state compiles */
} compiled;

static int keep(lua_State *L, const void *piece, size_t size, void *user)
{
  (void)L;
  size_t *kept = user;
  if (size > sizeof compiled.bytes - *kept) {
    return 1;
  }
  memcpy(compiled.bytes + *kept, piece, size);
  *kept += size;
  return 0;
}

static void compile(lua_State *L)
{
  if (luaL_loadbufferx(L, bridge_init_lua, bridge_init_lua_size,
                       "=bridge/init.lua", "t") != LUA_OK) {
    lua_error(L);
  }
  size_t size = 0;
  if (lua_dump(L, keep, &size, 0) == 0) {
    /* Publishes the bytes, to an opener that a fork left alone. */
    atomic_store_explicit(&compiled.size, size, memory_order_release);
  }
}

static void push_face(lua_State *L)
{
  /* Takes the bytes. */
  size_t size = atomic_load_explicit(&compiled.size, memory_order_acquire);
  if (size == 0) {
    compile(L);
  } else if (luaL_loadbufferx(L, compiled.bytes, size, "=bridge/init.lua",
                              "b") != LUA_OK) {
    lua_error(L);
  }
}

/* ---- The module "bridge" ----

   Most workers serve, sleep and stop, and use nothing else of the module, which
   takes more memory than all the rest of a state.  So what a worker requires is a
   table with these functions, and what else there is joins them when somebody asks
   for it. */

/* Of "bridge.inside", under their own names. */
static const char *const early[] = {"cancelled", "serve", "sleep", "stop",
                                    "stopping"};

/* Where the table is while it is not complete. */
#define INCOMPLETE "bridge.incomplete"

/* Leaves the table with all that there is in it. */
static int complete(lua_State *L)
{
  bridge__libraries_open_builtin(L);
  lua_settop(L, 2);
  return 1;
}

static int index_incomplete(lua_State *L)
{
  complete(L);
  lua_rawget(L, 1);
  return 1;
}

static int next_pair(lua_State *L)
{
  lua_settop(L, 2);
  return lua_next(L, 1) != 0 ? 2 : 0;
}

static int pairs_incomplete(lua_State *L)
{
  complete(L);
  lua_pushcfunction(L, next_pair);
  lua_pushvalue(L, 1);
  return 2;
}

static void make_incomplete(lua_State *L)
{
  static const luaL_Reg events[] = {{"__index", index_incomplete},
                                    {"__pairs", pairs_incomplete},
                                    {NULL, NULL}};
  luaL_newlib(L, events);
  lua_setmetatable(L, -2);
}

/* With what "bridge.inside" opened on top. */
static void push_early(lua_State *L)
{
  lua_createtable(L, 0, sizeof early / sizeof early[0]);
  for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
    lua_getfield(L, -2, early[i]);
    lua_setfield(L, -2, early[i]);
  }
  make_incomplete(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, INCOMPLETE);
}

/* Whether this is a worker's state; then what that module opens is on top. */
static bool open_inside(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "bridge.inside") != LUA_TNIL) {
    return true;
  }
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, "bridge.inside") != LUA_TFUNCTION) {
    return false;
  }
  lua_pushliteral(L, "bridge.inside");
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, -5, "bridge.inside");
  return true;
}

static int open_bridge(lua_State *L)
{
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "bridge.face") != LUA_TNIL) {
    return 1;
  }
  if (open_inside(L)) {
    push_early(L);
    return 1;
  }
  bridge__libraries_open_builtin(L);
  lua_getfield(L, 1, "bridge.face");
  return 1;
}

/* Run init.lua, with the module's table if there is one already.  It is handed its
   core, since there may be no `require`. */
static int run_face(lua_State *L)
{
  push_face(L);
  lua_pushliteral(L, "bridge");
  lua_pushliteral(L, ":builtin:");
  bridge__face_open(L);
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "module");
  lua_call(L, 3, 1);
  bridge__face_ready(L); /* the methods are complete */
  return 1;
}

static int open_face(lua_State *L)
{
  lua_settop(L, 0);
  lua_getfield(L, LUA_REGISTRYINDEX, INCOMPLETE);
  bool early_one = lua_istable(L, 1) && lua_getmetatable(L, 1);
  if (early_one) {
    lua_pushnil(L);
    lua_setmetatable(L, 1);
  }
  lua_pushcfunction(L, run_face);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    return 1;
  }
  if (early_one) {
    lua_pushvalue(L, 2);
    lua_setmetatable(L, 1); /* it can be tried again; this needs no memory */
  }
  return lua_error(L);
}

const bridge_module bridge__builtin_modules[] = {
    {"bridge.core", bridge__face_open},
    {"bridge.face", open_face},
    {"bridge", open_bridge},
};

const size_t bridge__builtin_count =
    sizeof(bridge__builtin_modules) / sizeof(bridge__builtin_modules[0]);
