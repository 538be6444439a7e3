/* The body of a state, for the worker that drives it. */
#ifndef BRIDGE_LUA_STATE_H
#define BRIDGE_LUA_STATE_H

#include "base/interrupt.h"
#include "lua/guard.h"
#include "lua/heap.h"
#include "lua/hold.h"

#include <bridge/state.h>

#include <lua.h>

struct bridge_state {
  lua_State *main; /* never runs anything but protected calls of ours */
  bridge__heap heap;
  bridge__hold hold;
  bridge__guard guard;
  bridge__leash leash;         /* of the bridge_state_run that is under way */
  bridge__interrupt interrupt; /* of its waits, */
  bool interrupting;           /* unless they have another one */
  bridge_limits run;           /* of those to come */
  bridge_limits usual;         /* of the options */
  unsigned process;            /* which made it */
  char *name;
  bool binary_chunks;
  bool tracebacks;
  bool warnings; /* whether `warn` writes: it was told "@on" */
  bool warning;  /* `warn` is in the middle of a line */
  bool closing;  /* lua_close runs; see BRIDGE__CLOSING */
};

/* Whether none is negative. */
bool bridge__limits_valid(const bridge_limits *limits);

/* Whether there is such a level. */
bool bridge__stop_level_valid(bridge_stop_level level);

/* The hard half of a cancel, from any thread that keeps the state alive: stop the use
   of a leash of its scripts, as the smaller of the levels says.  As
   bridge__guard_stop. */
bridge_status bridge__state_stop(bridge_state *state,
                                 bridge__leash *leash,
                                 unsigned use,
                                 bridge_stop_level level,
                                 int grace_ms);

/* Around what bridge_state_cancel stops, and state->run limits.  `begin` says whether
   there was none yet; only then `end` is to be called. */
bool bridge__state_begin_run(bridge_state *state);
void bridge__state_end_run(bridge_state *state);

/* The status of what lua_resume left with an error, in a run. */
bridge_status bridge__state_failure_of(const bridge_state *state, int code);

/* All of these want the state held.  They never raise. */

/* Compile a chunk and leave the function on top of `L`; on failure the stack is
   as it was. */
bridge_status bridge__state_load(bridge_state *state,
                                 lua_State *L,
                                 const char *source,
                                 size_t size,
                                 const char *name,
                                 bridge_error **error);

typedef struct bridge__chunk_text {
  const char *source;
  size_t size;
  const char *name;
} bridge__chunk_text;
/* The same in a slice, so that it can be stopped, and as long as the leash allows. */
bridge_status bridge__state_load_on(bridge_state *state,
                                    bridge__leash *leash,
                                    lua_State *L,
                                    const bridge__chunk_text *chunk,
                                    bridge_error **error);

/* A new coroutine, anchored in the registry under `*anchor`. */
bridge_status bridge__state_thread(bridge_state *state,
                                   lua_State **out,
                                   int *anchor);
/* Let go of a coroutine, whose to-be-closed variables are closed here, on a leash, or
   NULL for one that runs nothing of the script's; not if a stop killed it. */
void bridge__state_drop_thread(bridge_state *state,
                               bridge__leash *leash,
                               lua_State *L,
                               int anchor);

/* The error of a coroutine that lua_resume left with `code`: status, value,
   text, traceback, frames. */
bridge_error *bridge__state_error(bridge_state *state, lua_State *L, int code);
/* The same on a leash, since what was raised may run script code to be read: the
   status, and the error for the caller, who may not want it. */
bridge_status bridge__state_fail(bridge_state *state,
                                 bridge__leash *leash,
                                 lua_State *L,
                                 int code,
                                 bridge_error **error);

/* An error of that status and text, with the traceback and the frames of a coroutine
   as it is now; NULL for lack of memory. */
bridge_error *bridge__state_where(bridge_state *state,
                                  lua_State *L,
                                  bridge_status status,
                                  const char *text);

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
/* The same in a slice, as bridge__state_load_on. */
bridge_status bridge__state_unpack_on(bridge_state *state,
                                      bridge__leash *leash,
                                      lua_State *L,
                                      const bridge_message *message,
                                      int *count,
                                      bridge_error **error);

#endif
