/* Objects of classes, when unpacking comes to them: functions of scripts make them. */
#include "lua/bind.h"
#include "lua/objects.h"
#include "lua/unpack.h"

#include <lauxlib.h>

#include <limits.h>

/* A call of ours has failed: with what is on top of the stack, which stays there. */
static bridge_status call_failed(bridge__unpacker *u,
                                 int code,
                                 const char *otherwise)
{
  if (code == LUA_ERRMEM) {
    lua_error(u->L);
  }
  bool text = lua_type(u->L, -1) == LUA_TSTRING;
  return bridge__unpack_refuse(u, BRIDGE_ETYPE,
                               text ? lua_tostring(u->L, -1) : otherwise);
}

/* Push the class by the name and the module that come next. */
static bridge_status push_class(bridge__unpacker *u)
{
  lua_State *L = u->L;
  if (!lua_checkstack(L, BRIDGE__SLOTS)) {
    return bridge__unpack_refuse(u, BRIDGE_ELIMIT,
                                 "more values than Lua's stack holds");
  }
  lua_pushcfunction(L, bridge__class_find);
  for (int i = 0; i < 2; i++) {
    bridge_value text;
    bridge_status status = bridge_reader_next(&u->reader, &text);
    if (status != BRIDGE_OK) {
      return status;
    }
    if (text.type == BRIDGE_TYPE_STRING) {
      lua_pushlstring(L, text.as.bytes.data, text.as.bytes.size);
    } else {
      lua_pushnil(L);
    }
  }
  int code = lua_pcall(L, 2, 1, 0);
  return code == LUA_OK ? BRIDGE_OK
                        : call_failed(u, code, "its class cannot be loaded");
}

static bridge_status open_object(bridge__unpacker *u, const bridge_value *value)
{
  bool instance = value->type == BRIDGE_TYPE_INSTANCE;
  if (instance && bridge__class_has_finalizer(u->L)) {
    return bridge__unpack_refuse(
        u, BRIDGE_ETYPE,
        "its class has __gc: only by __bridge_pack can it cross");
  }
  if (!instance) {
    bridge__class_unpacker(u->L);
    if (lua_isnil(u->L, -1)) {
      return bridge__unpack_refuse(u, BRIDGE_ETYPE,
                                   "its class has no __bridge_unpack");
    }
  }
  /* All values of an object are on the stack together. */
  size_t count = value->as.count - 2;
  if (count > INT_MAX / 2 ||
      !lua_checkstack(u->L, (int)count + BRIDGE__SLOTS)) {
    return bridge__unpack_refuse(u, BRIDGE_ELIMIT,
                                 "more values than Lua's stack holds");
  }
  size_t number = u->containers++;
  bridge_status status = bridge__unpack_open(u, value->type, count);
  if (status == BRIDGE_OK) {
    u->levels[u->depth - 1].number = number;
  }
  return status;
}

bridge_status bridge__unpack_object(bridge__unpacker *u,
                                    const bridge_value *value)
{
  if (u->helpers == 0) {
    return bridge__unpack_again(u);
  }
  if (value->as.count < 2) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT,
                                 "an object without a class");
  }
  bridge_status status = push_class(u);
  return status == BRIDGE_OK ? open_object(u, value) : status;
}

/* What nothing can be under. */
static bool is_key(lua_State *L)
{
  return !lua_isnil(L, -1) && (lua_type(L, -1) != LUA_TNUMBER ||
                               lua_tonumber(L, -1) == lua_tonumber(L, -1));
}

/* The function and its arguments become the object. */
bridge_status bridge__unpack_make_object(bridge__unpacker *u,
                                         const bridge__level *l)
{
  lua_State *L = u->L;
  int code = lua_pcall(L, lua_gettop(L) - l->object, 1, 0);
  if (code != LUA_OK) {
    return call_failed(u, code, "__bridge_unpack failed");
  }
  if (!is_key(L)) {
    return bridge__unpack_refuse(u, BRIDGE_ETYPE,
                                 "__bridge_unpack gave no object");
  }
  bridge__unpack_name_room(u);
  lua_pushvalue(L, -1);
  lua_rawseti(L, BRIDGE__MADE(u), (lua_Integer)l->number + 1);
  return BRIDGE_OK;
}

/* The class and the table become the table. */
bridge_status bridge__unpack_make_instance(bridge__unpacker *u,
                                           const bridge__level *l)
{
  lua_State *L = u->L;
  if (lua_type(L, -1) != LUA_TTABLE) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT,
                                 "an instance without its table");
  }
  lua_pushvalue(L, l->object);
  bridge__bind(L);
  lua_replace(L, l->object);
  return BRIDGE_OK;
}
