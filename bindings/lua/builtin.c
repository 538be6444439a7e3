/* The modules that every state of libbridge has in package.preload. */
#include "lua/builtin.h"

#include "face.h"

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

/* init.lua is handed its core, since there may be no `require`. */
static int open_face(lua_State *L)
{
  push_face(L);
  lua_pushliteral(L, "bridge");
  lua_pushliteral(L, ":builtin:");
  lua_pushcfunction(L, bridge__face_open);
  lua_call(L, 0, 1);
  lua_call(L, 3, 1);
  bridge__face_ready(L); /* the methods are complete */
  return 1;
}

const bridge_module bridge__builtin_modules[] = {
    {"bridge.core", bridge__face_open},
    {"bridge", open_face},
};

const size_t bridge__builtin_count =
    sizeof(bridge__builtin_modules) / sizeof(bridge__builtin_modules[0]);
