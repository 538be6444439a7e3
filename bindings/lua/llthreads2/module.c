/* The modules "llthreads" and "llthreads2", for programs that were written for
   lua-llthreads2: threads with a state of their own, and handles to them. */
#include "child.h"
#include "copy.h"

#include "lua/values.h"

#include <bridge/export.h>
#include <bridge/thread.h>

#include <lauxlib.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#define INTERRUPTED ": thread was interrupted"

BRIDGE_API int luaopen_llthreads(lua_State *L);
BRIDGE_API int luaopen_llthreads2(lua_State *L);

/* So that a child finds them, whatever its path is. */
static const bridge_module preloaded[] = {
    {"llthreads", luaopen_llthreads},
    {"llthreads2", luaopen_llthreads2},
};

typedef struct handle {
  bridge__child *child;   /* NULL once there is no use for it */
  bridge_thread *thread;  /* NULL before the start, and after the last use */
  bridge_message *values; /* on their way; NULL else */
  bridge_error *error;    /* while its text is raised; NULL else */
  bool keeps;             /* a claim on the child's state */
  bool collected;
  bool started;
  bool detached;
  bool joinable;
  bool joined;
} handle;

/* Under its address in the registry: the metatable of the handles. */
static const char methods_key;

/* What every state of a thread is. */
static void fill_options(bridge_state_options *options)
{
  bridge_state_options_init(options);
  options->modules = preloaded;
  options->module_count = sizeof preloaded / sizeof preloaded[0];
  options->binary_chunks = true;
  options->tracebacks = false; /* they are in the text */
}

/* ---- Handles ---- */

static int fail(lua_State *L, const char *text)
{
  lua_pushnil(L);
  lua_pushstring(L, text);
  return 2;
}

static handle *to_handle(lua_State *L)
{
  handle *self = lua_touserdata(L, 1);
  bool is_one = false;
  if (self != NULL && lua_getmetatable(L, 1)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
    is_one = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
  }
  if (!is_one) {
    const char *text =
        lua_pushfstring(L, "LLThread expected, got %s", luaL_typename(L, 1));
    luaL_argerror(L, 1, text);
  }
  luaL_argcheck(L, !self->collected, 1, "thread expected");
  return self;
}

static void drop_values(handle *self)
{
  bridge_message_release(self->values);
  self->values = NULL;
}

static void drop_error(handle *self)
{
  bridge_error_release(self->error);
  self->error = NULL;
}

/* The state may be closed, and the child forgets its handle. */
static void drop_child(handle *self)
{
  if (self->keeps) {
    self->keeps = false;
    bridge__child_close(self->child);
  }
  if (self->child != NULL) {
    bridge__child_release(self->child);
    self->child = NULL;
  }
}

static void drop_thread(handle *self)
{
  bridge_thread_release(self->thread);
  self->thread = NULL;
}

/* ---- new ---- */

static void push_methods(lua_State *L);

static handle *push_handle(lua_State *L)
{
  handle *self = lua_newuserdatauv(L, sizeof *self, 0);
  memset(self, 0, sizeof *self);
  push_methods(L);
  lua_setmetatable(L, -2);
  return self;
}

/* Give up a child that could not be made ready, and raise its error.  The handle
   has that meanwhile: to push the text may raise for lack of memory. */
static int raise_failure(lua_State *L,
                         handle *self,
                         bridge_status status,
                         bridge_error *error)
{
  self->error = error;
  size_t size = 0;
  const char *text = bridge_error_text(error, &size);
  drop_child(self);
  drop_values(self);
  if (size == 0) { /* what the text was is lost for lack of memory */
    status = status == BRIDGE_ESYNTAX ? BRIDGE_ENOMEM : status;
    lua_pushstring(L, bridge_status_text(status));
  } else {
    lua_pushlstring(L, text, size);
  }
  drop_error(self);
  return lua_error(L);
}

/* As above, for the values that stand from stack index 3 on. */
static int raise_refusal(lua_State *L,
                         handle *self,
                         bridge__copied outcome,
                         int index)
{
  drop_child(self);
  drop_values(self);
  switch (outcome) {
  case BRIDGE__COPY_UNSUPPORTED:
    return luaL_argerror(L, index,
                         "function/userdata/thread types un-supported.");
  case BRIDGE__COPY_TOO_DEEP:
    return luaL_error(L, BRIDGE__COPY_TOO_DEEP_TEXT);
  case BRIDGE__COPY_RAISED:
    return lua_error(L);
  default:
    return luaL_error(L, "not enough memory");
  }
}

/* The values from stack index 3 on become the arguments of the chunk. */
static int hand_over(lua_State *L, handle *self)
{
  bridge_error *error = NULL;
  int at = 0;
  bridge_status status = bridge_message_create(&self->values, 0);
  if (status == BRIDGE_OK) {
    bridge__copied outcome =
        bridge__copy_arguments(L, 3, lua_gettop(L), self->values, &at);
    if (outcome != BRIDGE__COPIED) {
      return raise_refusal(L, self, outcome, at);
    }
    status = bridge__child_push(self->child, self->values, &error);
  }
  if (status != BRIDGE_OK) {
    return raise_failure(L, self, status, error);
  }
  drop_values(self);
  return 0;
}

static int make(lua_State *L, const char *interrupted)
{
  size_t size = 0;
  const char *code = luaL_checklstring(L, 1, &size);
  handle *self = push_handle(L);
  lua_insert(L, 2);
  bridge_state_options options;
  fill_options(&options);
  bridge_error *error = NULL;
  bridge_status status =
      bridge__child_create(&self->child, &options, interrupted, &error);
  if (status == BRIDGE_OK) {
    self->keeps = true;
    status = bridge__child_load(self->child, code, size, &error);
  }
  if (status != BRIDGE_OK) {
    return raise_failure(L, self, status, error);
  }
  if (lua_gettop(L) > 2) {
    hand_over(L, self);
  }
  lua_settop(L, 2);
  return 1;
}

/* No upvalues: a program may hand these to another state. */
static int new_llthreads(lua_State *L)
{
  return make(L, "llthreads" INTERRUPTED);
}

static int new_llthreads2(lua_State *L)
{
  return make(L, "llthreads2" INTERRUPTED);
}

/* ---- start ---- */

static const char *why_not(bridge_status status)
{
  return status == BRIDGE_ESYSTEM ? strerror(errno)
                                  : bridge_status_text(status);
}

static int method_start(lua_State *L)
{
  handle *self = to_handle(L);
  bool detached = lua_toboolean(L, 2) != 0;
  bool joinable = lua_isnone(L, 3) ? !detached : lua_toboolean(L, 3) != 0;
  if (self->started) {
    return fail(L, "Thread already started.");
  }
  bool keeps = joinable && !detached;
  bridge_status status = bridge__child_start(self->child, keeps, &self->thread);
  if (status != BRIDGE_OK) {
    return fail(L, why_not(status));
  }
  self->started = true;
  self->detached = detached;
  self->joinable = joinable;
  self->keeps = keeps;
  if (detached && !joinable) {
    bridge_thread_detach(self->thread);
    drop_thread(self);
    drop_child(self);
  }
  lua_settop(L, 1);
  return 1;
}

/* ---- join ---- */

/* What speaks against a join; or NULL. */
static const char *not_joinable(const handle *self)
{
  if (!self->started) {
    return "Can't join a thread that hasn't be started.";
  }
  if (self->detached && !self->joinable) {
    return "Can't join a thread that has been detached.";
  }
  return self->joined ? "Can't join a thread that has already been joined."
                      : NULL;
}

static bridge_status wait_for(bridge_thread *thread, lua_Integer timeout_ms)
{
  if (timeout_ms < 0) {
    return bridge_thread_join(thread, -1);
  }
  while (timeout_ms > INT_MAX) {
    bridge_status status = bridge_thread_join(thread, INT_MAX);
    if (status != BRIDGE_ETIMEDOUT) {
      return status;
    }
    timeout_ms -= INT_MAX;
  }
  return bridge_thread_join(thread, (int)timeout_ms);
}

static int push_error(lua_State *L, handle *self, const char *text)
{
  lua_pushboolean(L, 0);
  lua_pushfstring(L, "Error from child thread: %s", text);
  drop_child(self);
  drop_values(self);
  return 2;
}

static bool knows_handles(lua_State *L)
{
  bool known = lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__HANDLES) != LUA_TNIL;
  lua_pop(L, 1);
  return known;
}

static int push_results(lua_State *L, handle *self)
{
  const char *text = bridge__child_failure(self->child);
  if (text != NULL) {
    return push_error(L, self, text);
  }
  bool handles = knows_handles(L);
  if (bridge_message_create(&self->values, 0) != BRIDGE_OK) {
    return push_error(L, self, "not enough memory");
  }
  if (!bridge__child_results(self->child, self->values, handles, &text)) {
    return push_error(L, self, text);
  }
  int count = 0;
  lua_pushboolean(L, 1);
  if (!bridge__copy_push(L, self->values, &count)) {
    return push_error(L, self, "more results than there is room for");
  }
  drop_child(self);
  drop_values(self);
  return count + 1;
}

static int method_join(lua_State *L)
{
  handle *self = to_handle(L);
  const char *text = not_joinable(self);
  if (text != NULL) {
    return fail(L, text);
  }
  bridge_status status = wait_for(self->thread, luaL_optinteger(L, 2, -1));
  if (status != BRIDGE_OK) {
    return fail(L, status == BRIDGE_ETIMEDOUT ? "timeout"
                                              : bridge_status_text(status));
  }
  self->joined = true;
  drop_thread(self);
  if (self->keeps) {
    return push_results(L, self);
  }
  drop_child(self);
  lua_pushboolean(L, 1);
  lua_pushnumber(L, 0);
  return 2;
}

/* ---- The other methods ---- */

static int method_alive(lua_State *L)
{
  handle *self = to_handle(L);
  const char *text = not_joinable(self);
  if (text != NULL) {
    return fail(L, text);
  }
  lua_pushboolean(L, bridge_thread_alive(self->thread));
  return 1;
}

static int method_started(lua_State *L)
{
  lua_pushboolean(L, to_handle(L)->started);
  return 1;
}

static int method_detached(lua_State *L)
{
  lua_pushboolean(L, to_handle(L)->detached);
  return 1;
}

static int method_joinable(lua_State *L)
{
  lua_pushboolean(L, to_handle(L)->joinable);
  return 1;
}

static int method_interrupt(lua_State *L)
{
  handle *self = to_handle(L);
  bridge_interrupt how = BRIDGE_INTERRUPT_ONCE;
  if (!lua_isnoneornil(L, 2)) {
    how =
        lua_toboolean(L, 2) ? BRIDGE_INTERRUPT_STICKY : BRIDGE_INTERRUPT_CLEAR;
  }
  if (self->child != NULL) {
    bridge__child_interrupt(self->child, how);
  }
  return 0;
}

/* A thread that is attached is waited for, as ever. */
static int method_gc(lua_State *L)
{
  handle *self = to_handle(L);
  self->collected = true;
  if (self->thread != NULL && !self->detached) {
    bridge_thread_join(self->thread, -1);
  }
  drop_thread(self);
  drop_child(self);
  drop_values(self);
  drop_error(self);
  return 0;
}

static const luaL_Reg methods[] = {
    {"start", method_start},
    {"join", method_join},
    {"alive", method_alive},
    {"started", method_started},
    {"detached", method_detached},
    {"joinable", method_joinable},
    {"interrupt", method_interrupt},
    {"__gc", method_gc},
    {NULL, NULL},
};

/* Made when first needed: `new` may be called in a state that opened no module. */
static void push_methods(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key) == LUA_TTABLE) {
    return;
  }
  lua_pop(L, 1);
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
}

/* ---- The modules ---- */

static int set_logger(lua_State *L)
{
  lua_settop(L, 1);
  luaL_argcheck(L, lua_isfunction(L, 1), 1, "function expected");
  bridge__child_set_logger(L, 1);
  return 0;
}

/* Of the library that programs believe to use. */
static int version(lua_State *L)
{
  lua_pushinteger(L, 0);
  lua_pushinteger(L, 1);
  lua_pushinteger(L, 7);
  lua_pushliteral(L, "dev");
  return 4;
}

static int open(lua_State *L, lua_CFunction new, const char *interrupted)
{
  push_methods(L);
  lua_createtable(L, 0, 5);
  lua_pushcfunction(L, new);
  lua_setfield(L, -2, "new");
  lua_pushcfunction(L, set_logger);
  lua_setfield(L, -2, "set_logger");
  lua_pushcfunction(L, version);
  lua_setfield(L, -2, "version");
  lua_pushliteral(L, "0.1.7-dev");
  lua_setfield(L, -2, "_VERSION");
  lua_pushstring(L, interrupted);
  lua_setfield(L, -2, "interrupted_error");
  return 1;
}

int luaopen_llthreads(lua_State *L)
{
  return open(L, new_llthreads, "llthreads" INTERRUPTED);
}

int luaopen_llthreads2(lua_State *L)
{
  return open(L, new_llthreads2, "llthreads2" INTERRUPTED);
}
