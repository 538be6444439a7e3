/* How calls end, in Lua: nil, text, code and more; misuse is raised elsewhere. */
#include "face.h"

#include "lua/failure.h"

int bridge__face_status(lua_State *L, bridge_status status)
{
  if (status == BRIDGE_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  return bridge__face_failure(L, status, NULL, NULL);
}

int bridge__face_failure(lua_State *L,
                         bridge_status status,
                         bridge_error *error,
                         const char *worker)
{
  return bridge__give_failure(L, status, error, worker);
}

/* Of a table like ours, which scripts may have changed meanwhile. */
static int error_text(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "message");
  luaL_tolstring(L, -1, NULL);
  lua_getfield(L, 1, "traceback");
  if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) == 0) {
    lua_pop(L, 1);
    return 1;
  }
  lua_pushliteral(L, "\n");
  lua_insert(L, -2);
  lua_concat(L, 3);
  return 1;
}

void bridge__face_errors(lua_State *L)
{
  luaL_newmetatable(L, BRIDGE__ERROR); /* perhaps half made: see object.c */
  lua_pushcfunction(L, error_text);
  lua_setfield(L, -2, "__tostring");
  lua_pushliteral(L, "bridge.Error");
  lua_setfield(L, -2, "__name");
  lua_pop(L, 1);
}
