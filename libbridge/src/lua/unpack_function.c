/* Functions, their upvalues, and C functions, when unpacking comes to them. */
#include "lua/sandbox.h"
#include "lua/unpack.h"

#include <lauxlib.h>

/* Into a sandbox comes what the host says by name, and no code. */
static bool takes_code(lua_State *L)
{
  bool sandbox =
      lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__SANDBOX) != LUA_TNIL;
  lua_pop(L, 1);
  return !sandbox;
}

static bridge_status refuse_code(bridge__unpacker *u)
{
  return bridge__unpack_refuse(u, BRIDGE_ETYPE,
                               "a function cannot enter a sandbox");
}

bridge_status bridge__unpack_function(bridge__unpacker *u,
                                      const bridge_value *value)
{
  if (!takes_code(u->L)) {
    return refuse_code(u);
  }
  bridge_value dump;
  bridge_status status = bridge_reader_next(&u->reader, &dump);
  if (status != BRIDGE_OK || dump.type != BRIDGE_TYPE_BINARY ||
      value->as.count == 0) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT,
                                 "a function without its code");
  }
  /* Precompiled code that never left the process: no bytes from outside can
     hold a function. */
  int code = luaL_loadbufferx(u->L, dump.as.bytes.data, dump.as.bytes.size,
                              "=function", "b");
  if (code == LUA_ERRMEM) {
    lua_error(u->L);
  }
  if (code != LUA_OK) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT,
                                 "a function that does not load");
  }
  bridge__unpack_remember(u);
  return bridge__unpack_open(u, BRIDGE_TYPE_FUNCTION, value->as.count - 1);
}

/* The next upvalue of the innermost function is one that another has already. */
bridge_status bridge__unpack_upvalue(bridge__unpacker *u,
                                     const bridge_value *value)
{
  bridge__level *l = u->depth > 0 ? &u->levels[u->depth - 1] : NULL;
  if (l == NULL || l->kind != BRIDGE_TYPE_FUNCTION ||
      value->as.index >= u->upvalues ||
      lua_upvalueid(u->L, l->object, (int)l->next) == NULL) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT, "an upvalue out of place");
  }
  if (u->helpers == 0) {
    return bridge__unpack_again(u);
  }
  lua_Integer key = -2 * (lua_Integer)value->as.index - 1;
  lua_rawgeti(u->L, BRIDGE__MADE(u), key);
  lua_rawgeti(u->L, BRIDGE__MADE(u), key - 1);
  int number = (int)lua_tointeger(u->L, -1);
  lua_pop(u->L, 1);
  lua_upvaluejoin(u->L, l->object, (int)l->next++, -1, number);
  lua_pop(u->L, 1);
  return BRIDGE_OK;
}

bridge_status bridge__unpack_pointer(bridge__unpacker *u,
                                     const bridge_value *value)
{
  if (value->kind == BRIDGE_POINTER_CFUNCTION) {
    if (!takes_code(u->L)) {
      return refuse_code(u);
    }
    lua_pushcfunction(u->L, (lua_CFunction)value->as.function);
  } else {
    lua_pushlightuserdata(u->L, value->as.pointer);
  }
  return bridge__unpack_store(u);
}
