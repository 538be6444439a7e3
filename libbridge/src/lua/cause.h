/* Errors that came from other workers, found in what a script raised. */
#ifndef BRIDGE_LUA_CAUSE_H
#define BRIDGE_LUA_CAUSE_H

#include "lua/state.h"

#include <bridge/error.h>

/* The error that the value on top of `L` stands for, if a call of the bridge made
   that table; the caller's, or NULL.  Wants the state held. */
bridge_error *bridge__state_cause(bridge_state *state, lua_State *L);

#endif
