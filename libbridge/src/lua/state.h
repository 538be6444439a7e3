/* The body of a state, for the worker that drives it. */
#ifndef BRIDGE_LUA_STATE_H
#define BRIDGE_LUA_STATE_H

#include "lua/heap.h"
#include "lua/hold.h"

#include <bridge/state.h>

#include <lua.h>

struct bridge_state {
  lua_State *main; /* never runs anything but protected calls of ours */
  bridge__heap heap;
  bridge__hold hold;
  unsigned process; /* which made it */
  char *name;
  bool binary_chunks;
  bool tracebacks;
  bool warnings; /* whether `warn` writes: it was told "@on" */
  bool warning;  /* `warn` is in the middle of a line */
  bool closing;  /* lua_close runs; see BRIDGE__CLOSING */
};

/* All of these want the state held.  They never raise. */

/* Compile a chunk and leave the function on top of `L`; on failure the stack is
   as it was. */
bridge_status bridge__state_load(bridge_state *state,
                                 lua_State *L,
                                 const char *source,
                                 size_t size,
                                 const char *name,
                                 bridge_error **error);

/* A new coroutine, anchored in the registry under `*anchor`. */
bridge_status bridge__state_thread(bridge_state *state,
                                   lua_State **out,
                                   int *anchor);
/* Let go of a coroutine, whose to-be-closed variables are closed here. */
void bridge__state_drop_thread(bridge_state *state, lua_State *L, int anchor);

/* The error of a coroutine that lua_resume left with `code`: status, value,
   text, traceback, frames. */
bridge_error *bridge__state_error(bridge_state *state, lua_State *L, int code);

/* Append the `count` values from stack index `first` on to a message, as the
   results of a chunk or of a handler. */
bridge_status bridge__state_pack(bridge_state *state,
                                 lua_State *L,
                                 int first,
                                 int count,
                                 bridge_message *message,
                                 bridge_error **error);

/* Push all values of a message onto `L`, and open the module "bridge" in the
   state first if handles are among them.  On failure nothing is pushed. */
bridge_status bridge__state_unpack(bridge_state *state,
                                   lua_State *L,
                                   const bridge_message *message,
                                   int *count,
                                   bridge_error **error);

#endif
