/* The modules that every state of libbridge has in package.preload. */
#include "lua/builtin.h"

#include "face.h"

#include "bridge_init_lua.h" /* bindings/lua/bridge/init.lua, as text */

/* init.lua is handed its core, since there may be no `require`. */
static int open_face(lua_State *L)
{
  if (luaL_loadbufferx(L, bridge_init_lua, bridge_init_lua_size,
                       "=bridge/init.lua", "t") != LUA_OK) {
    return lua_error(L);
  }
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
