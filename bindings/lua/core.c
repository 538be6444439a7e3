/* The module "bridge.core" as a Lua host loads it: bridge/core.so. */
#include "face.h"

BRIDGE_API int luaopen_bridge_core(lua_State *L);

int luaopen_bridge_core(lua_State *L)
{
  bridge__face_open(L);
  bridge__face_ready(L);
  return 1;
}
