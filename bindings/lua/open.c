/* Opening the module: what SWIG made, and what is written by hand.  Nothing of the
   process is touched, so threads and forks are no concern here. */
#include "face.h"

#define OPENED "bridge.core"

static void add_methods(lua_State *L,
                        const char *name,
                        bridge_handle_kind kind,
                        const luaL_Reg *methods)
{
  bridge__face_methods(L, kind);
  if (methods != NULL) {
    luaL_setfuncs(L, methods, 0);
  }
  lua_setfield(L, -2, name);
}

static void add_receiving(lua_State *L,
                          bridge_handle_kind kind,
                          const luaL_Reg *methods)
{
  bridge__face_methods(L, kind);
  luaL_setfuncs(L, methods, 0);
  lua_pop(L, 1);
}

int bridge__face_open(lua_State *L)
{
  if (lua_getfield(L, LUA_REGISTRYINDEX, OPENED) == LUA_TTABLE) {
    return 1;
  }
  luaL_checkstack(L, 20, NULL);
  bridge__face_objects(L);
  bridge__face_errors(L);
  bridge__face_generated(L);
  luaL_setfuncs(L, bridge__face_functions, 0);
  luaL_setfuncs(L, bridge__face_language, 0);
  luaL_setfuncs(L, bridge__face_registry, 0);
  luaL_setfuncs(L, bridge__face_selecting, 0);
  luaL_setfuncs(L, bridge__face_timer_functions, 0);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");

  lua_newtable(L);
  add_methods(L, "Buffer", BRIDGE_HANDLE_BUFFER, bridge__face_buffer_methods);
  add_methods(L, "Queue", BRIDGE_HANDLE_QUEUE, bridge__face_queue_methods);
  add_methods(L, "Waker", BRIDGE_HANDLE_WAKER, NULL);
  bridge__face_methods(L, BRIDGE_HANDLE_WORKER);
  luaL_setfuncs(L, bridge__face_registry_methods, 0);
  lua_pop(L, 1);
  add_methods(L, "Worker", BRIDGE_HANDLE_WORKER, bridge__face_worker_methods);
  add_methods(L, "Channel", BRIDGE_HANDLE_CHANNEL,
              bridge__face_channel_methods);
  add_methods(L, "Counter", BRIDGE_HANDLE_COUNTER,
              bridge__face_counter_methods);
  add_methods(L, "Flag", BRIDGE_HANDLE_FLAG, NULL);
  add_methods(L, "Mutex", BRIDGE_HANDLE_MUTEX, bridge__face_mutex_methods);
  add_methods(L, "Timer", BRIDGE_HANDLE_TIMER, bridge__face_timer_methods);
  add_receiving(L, BRIDGE_HANDLE_QUEUE, bridge__face_queue_receiving);
  add_receiving(L, BRIDGE_HANDLE_CHANNEL, bridge__face_channel_receiving);
  lua_setfield(L, -2, "methods");

  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, OPENED);
  return 1;
}
