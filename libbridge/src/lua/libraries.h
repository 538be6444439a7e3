/* What a new state finds in it. */
#ifndef BRIDGE_LUA_LIBRARIES_H
#define BRIDGE_LUA_LIBRARIES_H

#include <bridge/state.h>

#include <lua.h>

#include <stdbool.h>

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

/* Wherever a script loads a chunk: accept text only, unless `binary`, and be stopped
   meanwhile.  May raise. */
void bridge__libraries_loaders(lua_State *L, bool binary);

#endif
