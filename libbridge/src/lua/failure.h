/* What a script gets when a call failed.  Compiled twice, as values.h says. */
#ifndef BRIDGE_LUA_FAILURE_H
#define BRIDGE_LUA_FAILURE_H

#include <bridge/error.h>

#include <lua.h>

#if defined(__GNUC__) && !defined(_WIN32)
#pragma GCC visibility push(hidden)
#endif

/* The metatable of error tables, in the registry; set by the module "bridge". */
#define BRIDGE__ERROR "bridge.ErrorTable"

/* Push nil, message, code, error, and return 4.  `code` is the status without
   its prefix, "ETIMEDOUT"; `error` is a table with the fields message, code,
   value, traceback, frames = {{source=, line=, name=, what=}, ...} and worker.
   `error` and `worker` may be NULL.  May raise an error for lack of memory. */
int bridge__push_failure(lua_State *L,
                         bridge_status status,
                         const bridge_error *error,
                         const char *worker);

#if defined(__GNUC__) && !defined(_WIN32)
#pragma GCC visibility pop
#endif

#endif
