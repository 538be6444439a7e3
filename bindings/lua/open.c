/* Opening the module: what SWIG made, what is written by hand, and the lock
   around both. */
#include "face.h"

#include <pthread.h>

#define OPENED "bridge.core"

/* SWIG's initialiser fills tables of the whole process, and takes no care of
   other threads.  Nothing of a script runs while this is held. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

/* SWIG leaves these among the globals. */
static const char *const litter[] = {"swig_type", "swig_equals"};
#define LITTER ((int)(sizeof(litter) / sizeof(litter[0])))

static void keep_globals(lua_State *L)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  for (int i = 0; i < LITTER; i++) {
    lua_pushstring(L, litter[i]);
    lua_rawget(L, -2 - i);
  }
}

/* `first` is where keep_globals put the table of globals. */
static void restore_globals(lua_State *L, int first)
{
  for (int i = 0; i < LITTER; i++) {
    lua_pushstring(L, litter[i]);
    lua_pushvalue(L, first + 1 + i);
    lua_rawset(L, first);
  }
}

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

/* Protected, under the lock. */
static int open_protected(lua_State *L)
{
  luaL_checkstack(L, 20, NULL);
  int first = lua_gettop(L) + 1;
  keep_globals(L);
  bridge__face_objects(L);
  bridge__face_errors(L);
  bridge__face_generated(L);
  restore_globals(L, first);

  luaL_setfuncs(L, bridge__face_functions, 0);
  luaL_setfuncs(L, bridge__face_language, 0);
  lua_newtable(L);
  add_methods(L, "Buffer", BRIDGE_HANDLE_BUFFER, bridge__face_buffer_methods);
  add_methods(L, "Queue", BRIDGE_HANDLE_QUEUE, bridge__face_queue_methods);
  add_methods(L, "Waker", BRIDGE_HANDLE_WAKER, NULL);
  add_methods(L, "Worker", BRIDGE_HANDLE_WORKER, bridge__face_worker_methods);
  lua_setfield(L, -2, "methods");

  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, OPENED);
  return 1;
}

int bridge__face_open(lua_State *L)
{
  if (lua_getfield(L, LUA_REGISTRYINDEX, OPENED) == LUA_TTABLE) {
    return 1;
  }
  lua_pop(L, 1);
  /* No finalizer may run under the lock: it could open the module again. */
  int collecting = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, open_protected);
  pthread_mutex_lock(&opening);
  int code = lua_pcall(L, 0, 1, 0);
  pthread_mutex_unlock(&opening);
  if (collecting) {
    lua_gc(L, LUA_GCRESTART);
  }
  return code == LUA_OK ? 1 : lua_error(L);
}
