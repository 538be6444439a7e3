/* The strict level: libraries that never keep a thread from being stopped.

   Functions of the standard libraries whose work is not bounded by the size of
   what they are given are written anew, from the reference manual, and poll while
   they work; all others poll once whenever they are called.  So a script that is
   to stop does, also where it only makes C functions call each other.  Results and
   errors are those of Lua's own functions. */
#ifndef BRIDGE_LUA_STRICT_STRICT_H
#define BRIDGE_LUA_STRICT_STRICT_H

#include "lua/guard.h"

#include <lauxlib.h>

#include <stddef.h>

/* Replace what the standard libraries put into a new state, as far as they are
   there.  `most` is how many bytes one call may make a text of, 0 for no limit but
   Lua's.  May raise. */
void bridge__strict_open(lua_State *L, size_t most);

/* ---- For the files of this folder ---- */

/* Most bytes that one call may make, as the first upvalue of each function that
   makes texts of any size; 0 is no limit but Lua's. */
static inline size_t bridge__strict_most(lua_State *L)
{
  return (size_t)lua_tointeger(L, lua_upvalueindex(1));
}

/* Raises, if so many bytes are too many. */
static inline void bridge__strict_check(lua_State *L, size_t size, size_t most)
{
  if (most != 0 && size > most) {
    luaL_error(L, "resulting string too large");
  }
}

/* Bytes that are copied between two polls. */
#define BRIDGE__PIECE ((size_t)256 * 1024)

/* Append, and poll meanwhile. */
void bridge__strict_add(luaL_Buffer *buffer, const char *bytes, size_t size);

extern const luaL_Reg bridge__strict_string[];
extern const luaL_Reg bridge__strict_table[];
int bridge__strict_sort(lua_State *L);
/* The length of the list that is argument 1, to be read and written. */
lua_Integer bridge__strict_length(lua_State *L);

#endif
