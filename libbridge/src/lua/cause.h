/* Errors that came from other workers, found in what a script raised. */
#ifndef BRIDGE_LUA_CAUSE_H
#define BRIDGE_LUA_CAUSE_H

#include "lua/state.h"

#include <bridge/error.h>

/* The error that the value on top of `L` stands for, if a call of the bridge made
   that table; the caller's, or NULL.  Wants the state held. */
bridge_error *bridge__state_cause(bridge_state *state, lua_State *L);

/* Whether it stands for one; then `*out` is the value of that one, which may be NULL,
   and the caller's. */
bool bridge__state_cause_value(bridge_state *state,
                               lua_State *L,
                               bridge_message **out);

/* Remember the table that a call has failed with, on top of `L`, and forget it.  The
   key is any address, such as that of the task which made the call.  The first may
   raise for lack of memory, the other needs none. */
void bridge__cause_remember(lua_State *L, const void *key);
void bridge__cause_forget(lua_State *L, const void *key);
/* What was remembered there, if the script raised its text, as assert does with
   what a call returns: if `text` ends with it.  The caller's, or NULL. */
bridge_error *bridge__state_cause_again(bridge_state *state,
                                        const void *key,
                                        const bridge_error *raised);

#endif
