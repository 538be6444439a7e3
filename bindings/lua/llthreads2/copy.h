/* Values on their way between a thread and who started it, as llthreads2 lets them
   cross: tables by value, without their metatables; of functions those of C; the
   handles of the bridge. */
#ifndef BRIDGE_LLTHREADS2_COPY_H
#define BRIDGE_LLTHREADS2_COPY_H

#include <bridge/message.h>

#include <lua.h>

#include <stdbool.h>

/* How deep tables may be nested. */
#define BRIDGE__COPY_DEPTH         30
#define BRIDGE__COPY_TOO_DEEP_TEXT "Hit maximum copy depth (31 > 30)."

typedef enum bridge__copied {
  BRIDGE__COPIED,
  BRIDGE__COPY_UNSUPPORTED, /* only of arguments */
  BRIDGE__COPY_TOO_DEEP,
  BRIDGE__COPY_FAILED, /* no memory, or more than a message holds */
  BRIDGE__COPY_RAISED  /* an error, which is on top of the stack */
} bridge__copied;

/* Append the values at the stack indices `first` to `last`.  What cannot cross is
   refused among arguments, and `*at` is its stack index, while tables that it stands
   in are on the stack too; among results it becomes a text that says so.  Never
   raises. */
bridge__copied bridge__copy_arguments(
    lua_State *L, int first, int last, bridge_message *message, int *at);
/* `handles`: whether the reader has the module "bridge". */
bridge__copied bridge__copy_results(
    lua_State *L, int first, int last, bridge_message *message, bool handles);
/* Push all values of such a message; false, and none, if the stack has no room.  May
   raise an error for lack of memory, while somebody else owns the message. */
bool bridge__copy_push(lua_State *L, const bridge_message *message, int *count);

#endif
