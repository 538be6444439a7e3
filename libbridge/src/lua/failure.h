/* What a script gets when a call failed.  Compiled twice, as values.h says. */
#ifndef BRIDGE_LUA_FAILURE_H
#define BRIDGE_LUA_FAILURE_H

#include <bridge/error.h>

#include <lua.h>

/* The metatable of those tables, in the registry; made by the module "bridge". */
#define BRIDGE__ERROR "bridge.ErrorTable"

/* Push nil, message, code and, if there is an error to tell of, a table; return
   how many.  `code` is the status without its prefix, "ETIMEDOUT".  The table has
   the fields message, code, value, traceback, caller (where the call stood here),
   frames = {{source=, line=, name=, what=}, ...}, cause (such a table, or nil) and
   worker, which may be NULL.  The error stays the caller's.
   Raises only if there is no memory for the code. */
int bridge__push_failure(lua_State *L,
                         bridge_status status,
                         const bridge_error *error,
                         const char *worker);

/* The same, and takes the error, also where it raises. */
int bridge__give_failure(lua_State *L,
                         bridge_status status,
                         bridge_error *error,
                         const char *worker);

#endif
