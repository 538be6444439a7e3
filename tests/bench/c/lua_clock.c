/* A clock for benchmarks that are Lua scripts: Lua itself has none that counts
   less than a second, but for the processor's time. */
#include <lauxlib.h>
#include <lua.h>

#include <time.h>

/* seconds since some moment, the same for all threads */
static int now(lua_State *L)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec * 1e-9);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_lua_clock(lua_State *L);

__attribute__((visibility("default"))) int luaopen_lua_clock(lua_State *L)
{
  lua_pushcfunction(L, now);
  return 1;
}
