/* The text of a call stack. */
#ifndef BRIDGE_LUA_TRACEBACK_H
#define BRIDGE_LUA_TRACEBACK_H

#include <lua.h>

/* A script may have functions with names of megabytes; so much of one is shown at
   each level. */
#define BRIDGE__NAME_SHOWN 200

/* As luaL_traceback from level 0 of `L` on, below a line that names the owner, NULL
   for none.  `main` is another coroutine of the state, which does the work.  To be
   freed by bridge__free; NULL for lack of memory. */
char *bridge__traceback(lua_State *main, lua_State *L, const char *owner);

#endif
