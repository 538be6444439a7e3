/* What a new state finds in it. */
#ifndef BRIDGE_LUA_LIBRARIES_H
#define BRIDGE_LUA_LIBRARIES_H

#include <bridge/state.h>

#include <lua.h>

/* Which standard libraries the options name, as a set of bits. */
bridge_status bridge__libraries_parse(const bridge_state_options *options,
                                      unsigned *set,
                                      bridge_error **error);

/* Open them, and fill package.preload, package.path and package.cpath.  May
   raise. */
void bridge__libraries_open(lua_State *L,
                            const bridge_state_options *options,
                            unsigned set);

/* Open the modules of the bridge in a state that did not require them.  May
   raise. */
void bridge__libraries_open_builtin(lua_State *L);

/* Accept text only, wherever Lua loads a chunk.  May raise. */
void bridge__libraries_text_only(lua_State *L);

#endif
