/* Metatables that C gives to tables, and that a script can get at. */
#ifndef BRIDGE_LUA_BIND_H
#define BRIDGE_LUA_BIND_H

#include <lua.h>

/* As lua_setmetatable for the table below the top.  A finalizer that a script put
   into the metatable goes away: Lua's own `setmetatable` is where one is refused,
   and nobody calls that here. */
static inline void bridge__bind(lua_State *L)
{
  if (lua_istable(L, -1)) { /* and not nil, where nobody has made it */
    lua_pushliteral(L, "__gc");
    lua_pushnil(L);
    lua_rawset(L, -3); /* makes no room for what is not there */
  }
  lua_setmetatable(L, -2);
}

#endif
