/* What a sandbox is, for who makes a state. */
#ifndef BRIDGE_LUA_SANDBOX_H
#define BRIDGE_LUA_SANDBOX_H

#include <bridge/state.h>

#include <lua.h>

/* Most bytes of Lua memory, where the options say nothing. */
#define BRIDGE__SANDBOX_MEMORY ((size_t)64 * 1024 * 1024)
/* Most bytes of a message, where the options say nothing. */
#define BRIDGE__SANDBOX_MESSAGE ((size_t)1024 * 1024)
/* Most bytes of a text that one call of a library makes. */
#define BRIDGE__SANDBOX_TEXT ((size_t)16 * 1024 * 1024)

/* True in the registry of a sandbox: no function may enter by a message. */
#define BRIDGE__SANDBOX "bridge.sandbox"

/* Whether options and libraries suit a sandbox. */
bridge_status bridge__sandbox_check(const bridge_state_options *options,
                                    bridge_error **error);

/* Options with a sandbox's defaults. */
void bridge__sandbox_defaults(bridge_state_options *options);

/* Take all away that is not on the list from a state whose libraries are open, at
   the strict level.  May raise. */
void bridge__sandbox_open(lua_State *L, const bridge_state_options *options);

#endif
