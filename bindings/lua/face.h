/* The Lua face of the bridge, as its own files share it.

   All of it is compiled twice, like pack.c: into the module that a Lua host
   loads, and into libbridge for the states that it makes.  It uses nothing but
   the public API, and bridge__pack and bridge__unpack. */
#ifndef BRIDGE_LUA_FACE_H
#define BRIDGE_LUA_FACE_H

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lua.h>

/* A message that a script holds.  It is an object like the handles, but no
   handle: it has one owner and cannot cross. */
#define BRIDGE__FACE_MESSAGE ((bridge_handle_kind)64)

/* ---- Objects (object.c) --------------------------------------------------- */

/* Make the metatables of all kinds.  Leaves nothing on the stack. */
void bridge__face_objects(lua_State *L);
/* Tell bridge__pack and bridge__unpack of them, once all methods are there. */
void bridge__face_ready(lua_State *L);

/* Push the table of methods of a kind. */
void bridge__face_methods(lua_State *L, bridge_handle_kind kind);

/* Push an object that owns the caller's reference; nil for NULL.  If there is no
   memory for it, or the state closes, the reference is dropped before the error is
   raised. */
void bridge__face_give(lua_State *L, bridge_handle_kind kind, void *handle);

/* What the object at an index is, and its handle, which may have been released;
   BRIDGE_HANDLE_NONE if it is no object of ours.  Never raises. */
bridge_handle_kind bridge__face_kind(lua_State *L, int index, void **handle);

/* The handle of the object at an index.  If it is something else, false, and the
   text of an error on the stack, to be raised by lua_error. */
bool bridge__face_handle(lua_State *L,
                         int index,
                         bridge_handle_kind kind,
                         void *out);

/* The same, and raise the error. */
void *bridge__face_check(lua_State *L, int index, bridge_handle_kind kind);

/* The same of the first argument, in fewer steps, for calls that are made often. */
void *bridge__face_self(lua_State *L, bridge_handle_kind kind);

/* The place where a message object keeps its message, so that a call can take
   it. */
bool bridge__face_message(lua_State *L, int index, bridge_message ***out);

/* ---- Arguments (arguments.c) ----------------------------------------------
   Each reads one argument.  If it is wrong: false, and the text of an error on
   the stack. */

/* What stands at this level of the stack is init.lua, whose callers are meant when
   an argument is wrong. */
void bridge__face_is_mine(lua_State *L, int level);
/* Push the place of such a caller, as luaL_where does. */
void bridge__face_where(lua_State *L);
/* Push the error of an argument. */
void bridge__face_wrong(lua_State *L, int index, const char *text);
/* Whether there are no more arguments than that. */
bool bridge__face_no_more(lua_State *L, int most);
/* Seconds to milliseconds, rounded up; nil waits for ever. */
bool bridge__face_seconds(lua_State *L, int index, int *out);
bool bridge__face_integer(lua_State *L,
                          int index,
                          lua_Integer least,
                          lua_Integer most,
                          lua_Integer *out);
/* One of the names, which end with NULL; `*out` is its place among them. */
bool bridge__face_choice(lua_State *L,
                         int index,
                         const char *const *names,
                         int *out);
/* true or false, and nothing that merely counts as one. */
bool bridge__face_boolean(lua_State *L, int index, bool *out);
/* A string without NULs, or nil, which is NULL. */
bool bridge__face_text(lua_State *L, int index, const char **out);
/* A string, or nil, which is NULL if `optional`. */
bool bridge__face_bytes(
    lua_State *L, int index, bool optional, const char **data, size_t *size);

extern const char *const bridge__face_waker_kinds[];
extern const char *const bridge__face_policies[];
extern const char *const bridge__face_drives[];
extern const char *const bridge__face_ends[];
extern const char *const bridge__face_levels[];
extern const char *const bridge__face_phases[];
extern const char *const bridge__face_log_levels[];
extern const char *const bridge__face_priorities[];

/* ---- Results (failure.c): each returns how many values it pushed ----------- */

/* true; or nil, text, code. */
int bridge__face_status(lua_State *L, bridge_status status);
/* nil, text, code and, if there is one, the error as a table.  The error is
   taken.  `worker` is the name of the one that failed, or NULL. */
int bridge__face_failure(lua_State *L,
                         bridge_status status,
                         bridge_error *error,
                         const char *worker);
/* Make the metatable of such tables. */
void bridge__face_errors(lua_State *L);

/* ---- Values (values.c) ------------------------------------------------------ */

/* The values from a stack index on.  What cannot cross is misuse, and raised with
   the path to it. */
bridge_message *bridge__face_pack(lua_State *L, int first);
/* The same of a request: the handler's name, which is no argument, and those. */
bridge_message *bridge__face_pack_request(lua_State *L, int first);
/* Push the values, or one table of them with `n` if `packed`.  On failure one
   string is pushed in their place.  Never raises. */
bridge_status bridge__face_unpack(lua_State *L,
                                  const bridge_message *message,
                                  bool packed,
                                  int *count);
/* A failure whose text is on top of the stack: nil, text, code. */
int bridge__face_explained(lua_State *L, bridge_status status);
/* The so many values on top become one table. */
void bridge__face_pack_table(lua_State *L, int count);

/* ---- Receiving (receive.c) --------------------------------------------------- */

/* A queue or a channel. */
typedef struct bridge__face_inlet {
  bridge_handle_kind kind;
  void *handle;
} bridge__face_inlet;

/* Unpack what was taken out of it, and take it; what cannot be read here goes back
   to the front, and then its text is pushed. */
bridge_status bridge__face_received(lua_State *L,
                                    bridge__face_inlet from,
                                    bridge_message *message,
                                    bool packed,
                                    int *count);

/* ---- Functions of the module that are written by hand ---------------------- */

extern const luaL_Reg bridge__face_functions[];         /* values.c */
extern const luaL_Reg bridge__face_queue_methods[];     /* values.c */
extern const luaL_Reg bridge__face_worker_methods[];    /* values.c */
extern const luaL_Reg bridge__face_buffer_methods[];    /* buffer.c */
extern const luaL_Reg bridge__face_language[];          /* language.c */
extern const luaL_Reg bridge__face_registry[];          /* registry.c */
extern const luaL_Reg bridge__face_registry_methods[];  /* registry.c: Worker */
extern const luaL_Reg bridge__face_timer_methods[];     /* registry.c */
extern const luaL_Reg bridge__face_channel_methods[];   /* values.c */
extern const luaL_Reg bridge__face_queue_receiving[];   /* receive.c */
extern const luaL_Reg bridge__face_channel_receiving[]; /* receive.c */
extern const luaL_Reg bridge__face_selecting[];         /* receive.c */
extern const luaL_Reg bridge__face_counter_methods[];   /* sync.c */
extern const luaL_Reg bridge__face_mutex_methods[];     /* sync.c */
extern const luaL_Reg bridge__face_timer_functions[];   /* timer.c */

/* ---- Opening (open.c) ------------------------------------------------------ */

/* What SWIG made: pushes the module's table. */
void bridge__face_generated(lua_State *L);

/* A lua_CFunction that opens "bridge.core", safe on many threads at once: it
   keeps everything in the state. */
int bridge__face_open(lua_State *L);

#endif
