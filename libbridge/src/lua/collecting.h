/* Collecting: a while without garbage collection, which begins no cycle by itself:
   LUA_GCRESTART does, as it makes the collector believe that its next step is due. */
#ifndef BRIDGE_LUA_COLLECTING_H
#define BRIDGE_LUA_COLLECTING_H

#include <lua.h>

#include <stdbool.h>

/* What may be allocated meanwhile, in KiB. */
#define BRIDGE__RESTING (1024 * 1024)

/* What to hand to the other function: whether it had not been stopped. */
static inline bool bridge__collecting_rests(lua_State *L)
{
  bool running = lua_gc(L, LUA_GCISRUNNING) > 0;
  if (running) {
    lua_gc(L, LUA_GCSTEP, -BRIDGE__RESTING);
  }
  return running;
}

/* The step that became due meanwhile, if one did, is done here. */
static inline void bridge__collecting_goes_on(lua_State *L, bool running)
{
  if (running) {
    lua_gc(L, LUA_GCSTEP, BRIDGE__RESTING);
  }
}

#endif
