/* What init.lua needs of Lua itself: a worker's state may have been made without
   any library, and still be handed a queue. */
#include "face.h"

#include <string.h>

/* raise(level, text): an error at a place further down the stack. */
static int raise_error(lua_State *L)
{
  int level = (int)luaL_checkinteger(L, 1);
  luaL_where(L, level);
  lua_pushvalue(L, 2);
  lua_concat(L, 2);
  return lua_error(L);
}

/* mine(): who calls this is init.lua. */
static int mine(lua_State *L)
{
  bridge__face_is_mine(L, 1);
  return 0;
}

/* type_of(value): as `type`, and "bridge.Queue" and the like for objects. */
static int type_of(lua_State *L)
{
  luaL_checkany(L, 1);
  if (lua_type(L, 1) == LUA_TUSERDATA &&
      luaL_getmetafield(L, 1, "__name") == LUA_TSTRING &&
      strncmp(lua_tostring(L, -1), "bridge.", strlen("bridge.")) == 0) {
    return 1; /* no other's name, which could be "number" */
  }
  lua_pushstring(L, luaL_typename(L, 1));
  return 1;
}

/* unknown_key(options, known): the first key that is not a key of `known`, as
   text; or nothing. */
static int unknown_key(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 2) == LUA_TNIL) {
      luaL_tolstring(L, 3, NULL);
      return 1;
    }
    lua_pop(L, 1);
  }
  return 0;
}

/* copy(table): all its own pairs, past any metamethod. */
static int copy_table(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, 2);
  }
  return 1;
}

/* whole(value): a number as an integer, if it is one; or nil. */
static int whole(lua_State *L)
{
  int is_integer = 0;
  lua_Integer value = 0;
  if (lua_type(L, 1) == LUA_TNUMBER) {
    value = lua_tointegerx(L, 1, &is_integer);
  }
  if (is_integer) {
    lua_pushinteger(L, value);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* next(table [, key]) */
static int next_pair(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1)) {
    return 2;
  }
  lua_pushnil(L);
  return 1;
}

/* is_text(string): whether C can have it. */
static int is_text(lua_State *L)
{
  size_t size = 0;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_pushboolean(L, strlen(text) == size);
  return 1;
}

/* try(function, ...): true, results; or false, error. */
static int try_call(lua_State *L)
{
  luaL_checkany(L, 1);
  int code = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  lua_pushboolean(L, code == LUA_OK);
  lua_insert(L, 1);
  return lua_gettop(L);
}

/* shift(distance, values..., place): the place moved by the distance; what does
   not fit wraps around, as sums do in Lua. */
static int shift_last(lua_State *L)
{
  lua_Integer distance = luaL_checkinteger(L, 1);
  lua_Integer place = luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  lua_pushinteger(L,
                  (lua_Integer)((lua_Unsigned)place + (lua_Unsigned)distance));
  return lua_gettop(L) - 1;
}

/* library(name): a module that is loaded; or nil. */
static int library(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  return 1;
}

/* preloaded(name): a module that is loaded or whose opener is in
   package.preload; or nil. */
static int preloaded(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, name) != LUA_TNIL) {
    return 1;
  }
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, name) != LUA_TFUNCTION) {
    return 0;
  }
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushvalue(L, -1);
  lua_setfield(L, 2, name);
  return 1;
}

/* sleep(seconds): of a thread that is no worker's. */
static int sleep_here(lua_State *L)
{
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 1, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_waker *waker = NULL;
  bridge_status status = bridge_waker_create(&waker, BRIDGE_WAKER_CONDITION);
  if (status == BRIDGE_OK) {
    status = bridge_waker_wait(waker, timeout_ms); /* nobody raises it */
    bridge_waker_release(waker);
  }
  bool slept = status == BRIDGE_ETIMEDOUT && !bridge_worker_cancelled();
  return bridge__face_status(L, slept ? BRIDGE_OK : status);
}

static int no_such_status(lua_State *L)
{
  return luaL_error(L, "there is no status '%s'", luaL_tolstring(L, 2, NULL));
}

/* statuses(): each name as its own value, so that scripts that compare with a
   name that does not exist hear of it. */
static int statuses(lua_State *L)
{
  const char *prefix = "BRIDGE_";
  lua_newtable(L);
  for (int status = 0; status > -1000; status--) {
    const char *name = bridge_status_name((bridge_status)status);
    if (strchr(name, '?') != NULL) {
      break;
    }
    lua_pushstring(L, name + strlen(prefix));
    lua_pushvalue(L, -1);
    lua_rawset(L, -3);
  }
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, no_such_status);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
}

/* callable(table, f): the table, which calls f. */
static int callable(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_createtable(L, 0, 1);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__call");
  lua_setmetatable(L, 1);
  return 1;
}

/* joined(...): the values as texts, with blanks between them. */
static int joined(lua_State *L)
{
  int count = lua_gettop(L);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (int i = 1; i <= count; i++) {
    if (i > 1) {
      luaL_addchar(&text, ' ');
    }
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  return 1;
}

const luaL_Reg bridge__face_language[] = {
    {"callable", callable}, {"joined", joined},
    {"raise", raise_error}, {"mine", mine},
    {"type_of", type_of},   {"unknown_key", unknown_key},
    {"copy", copy_table},   {"whole", whole},
    {"next", next_pair},    {"is_text", is_text},
    {"try", try_call},      {"shift", shift_last},
    {"library", library},   {"preloaded", preloaded},
    {"sleep", sleep_here},  {"statuses", statuses},
    {NULL, NULL},
};
