/* The state of a thread and its chunk: shared by the handle, in the state that made
   it, and by the thread.  No function here touches the maker's state, and none
   raises. */
#ifndef BRIDGE_LLTHREADS2_CHILD_H
#define BRIDGE_LLTHREADS2_CHILD_H

#include "copy.h"

#include <bridge/error.h>
#include <bridge/state.h>
#include <bridge/thread.h>

typedef struct bridge__child bridge__child;

/* A state as the options say.  `interrupted` is the text of its interrupts; it lives
   for ever. */
bridge_status bridge__child_create(bridge__child **out,
                                   const bridge_state_options *options,
                                   const char *interrupted,
                                   bridge_error **error);
/* Drop the handle's reference. */
void bridge__child_release(bridge__child *child);
/* Give up the handle's claim on the state, which is closed by the last who has one:
   finalizers run. */
void bridge__child_close(bridge__child *child);

/* ---- Before the thread ---- */

bridge_status bridge__child_load(bridge__child *child,
                                 const char *code,
                                 size_t size,
                                 bridge_error **error);
bridge_status bridge__child_push(bridge__child *child,
                                 const bridge_message *arguments,
                                 bridge_error **error);

/* Begin its thread.  The state is left to the thread, with the handle's claim, unless
   the handle keeps that.  On failure nothing has changed. */
bridge_status bridge__child_start(bridge__child *child,
                                  bool keep,
                                  bridge_thread **thread);

/* ---- From the handle ---- */

/* Of a state that is closed this is nothing. */
void bridge__child_interrupt(bridge__child *child, bridge_interrupt how);

/* After the end, and if the handle kept its claim: the chunk's error as a text
   that is borrowed from the state, "(null)" if there is none; or NULL. */
const char *bridge__child_failure(bridge__child *child);
/* Its results; if they cannot cross `*reason` says why. */
bool bridge__child_results(bridge__child *child,
                           bridge_message *message,
                           bool handles,
                           const char **reason);

/* ---- Within the state ---- */

/* set_logger of the module. */
void bridge__child_set_logger(lua_State *L, int index);

#endif
