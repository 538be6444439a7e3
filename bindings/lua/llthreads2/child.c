/* Child: the state of a thread, from the moment that it is made to the end of its
   chunk, and what remains of it for the handle. */
#include "child.h"

#include <lauxlib.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bridge__child {
  atomic_int references; /* of the handle, and of the thread */
  atomic_int claims;     /* on the state; 0: it is closed */
  bridge_state *state;
  lua_State *L; /* a coroutine of it, for the chunk */
  const char *interrupted;
  int status;          /* of the chunk: what lua_pcall returned */
  const char *problem; /* why the chunk could not be run, or NULL */
};

/* Under its address in the registry of a state: its logger. */
static const char logger;

/* ---- Beginning and end ---- */

bridge_status bridge__child_create(bridge__child **out,
                                   const bridge_state_options *options,
                                   const char *interrupted,
                                   bridge_error **error)
{
  bridge__child *child = calloc(1, sizeof *child);
  if (child == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge_state_create(&child->state, options, error);
  if (status != BRIDGE_OK) {
    free(child);
    return status;
  }
  atomic_init(&child->references, 1);
  atomic_init(&child->claims, 1);
  child->interrupted = interrupted;
  *out = child;
  return BRIDGE_OK;
}

void bridge__child_release(bridge__child *child)
{
  /* Publishes what this one did to it; who is last takes that. */
  if (atomic_fetch_sub_explicit(&child->references, 1, memory_order_acq_rel) ==
      1) {
    free(child);
  }
}

/* Be one of those for whom the state stays open; false if it is closed. */
static bool claim(bridge__child *child)
{
  /* Takes nothing: a guess, which the exchange checks. */
  int claims = atomic_load_explicit(&child->claims, memory_order_relaxed);
  while (claims > 0) {
    /* Publishes nothing: the state was there before. */
    if (atomic_compare_exchange_weak_explicit(&child->claims, &claims,
                                              claims + 1, memory_order_relaxed,
                                              memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void bridge__child_close(bridge__child *child)
{
  /* Publishes what this one did in the state; who is last takes that. */
  if (atomic_fetch_sub_explicit(&child->claims, 1, memory_order_acq_rel) == 1) {
    bridge_state_interrupt(child->state, BRIDGE_INTERRUPT_CLEAR, NULL);
    bridge_state_release(child->state);
  }
}

/* ---- Before the thread ---- */

static int run_protected(lua_State *L);

/* The coroutine stays on the stack of the main one, with what it begins with. */
static int make_coroutine(lua_State *L)
{
  bridge__child *child = lua_touserdata(L, 1);
  child->L = lua_newthread(L);
  lua_pushcfunction(child->L, run_protected);
  lua_pushlightuserdata(child->L, child);
  return 1;
}

static bridge_status prepare(bridge__child *child, lua_State *main)
{
  if (!lua_checkstack(main, 3)) {
    return BRIDGE_ENOMEM;
  }
  lua_pushcfunction(main, make_coroutine);
  lua_pushlightuserdata(main, child);
  return lua_pcall(main, 1, 1, 0) == LUA_OK ? BRIDGE_OK : BRIDGE_ENOMEM;
}

bridge_status bridge__child_load(bridge__child *child,
                                 const char *code,
                                 size_t size,
                                 bridge_error **error)
{
  lua_State *main = NULL;
  bridge_status status = bridge_state_enter(child->state, -1, &main);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = prepare(child, main);
  if (status == BRIDGE_OK) {
    status = bridge_state_load(child->state, child->L, code, size, NULL, error);
  }
  bridge_state_leave(child->state);
  return status;
}

bridge_status bridge__child_push(bridge__child *child,
                                 const bridge_message *arguments,
                                 bridge_error **error)
{
  lua_State *main = NULL;
  bridge_status status = bridge_state_enter(child->state, -1, &main);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge_state_push(child->state, child->L, arguments, NULL, error);
  bridge_state_leave(child->state);
  return status;
}

/* ---- On the thread ---- */

/* The traceback without its last line: that is our own function. */
static void push_traceback(lua_State *L, const char *text)
{
  static const char ours[] = "\n\t[C]: in ?";
  const size_t tail = sizeof ours - 1;
  size_t size = 0;
  luaL_traceback(L, L, text, 1);
  const char *whole = lua_tolstring(L, -1, &size);
  if (size > tail && memcmp(whole + size - tail, ours, tail) == 0) {
    lua_pushlstring(L, whole, size - tail);
  }
}

/* What a chunk died of, as text: the handler of its errors. */
static int describe(lua_State *L)
{
  const char *text = lua_tostring(L, 1);
  if (text != NULL) {
    push_traceback(L, text);
  } else if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 1);
  } else if (!luaL_callmeta(L, 1, "__tostring")) {
    lua_pushliteral(L, "(no error message)");
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    lua_tostring(L, -1);
  }
  return 1;
}

#define LOG_TITLE "Error from thread: "

static int call_logger(lua_State *L)
{
  const char *text = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &logger);
  lua_pushliteral(L, LOG_TITLE);
  lua_pushstring(L, text);
  lua_concat(L, 2);
  lua_call(L, 1, 0);
  return 0;
}

/* What goes wrong here is nobody's any more. */
static void report(lua_State *L)
{
  const char *text =
      lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  if (text == NULL) {
    text = "(no error message)";
  }
  if (!lua_checkstack(L, 3)) {
    return;
  }
  bool has_logger = lua_rawgetp(L, LUA_REGISTRYINDEX, &logger) != LUA_TNIL;
  lua_pop(L, 1);
  if (!has_logger) {
    fprintf(stderr, "%s%s\n", LOG_TITLE, text);
    fflush(stderr);
    return;
  }
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_logger);
  lua_pushlightuserdata(L, (void *)text);
  lua_pcall(L, 1, 0, 0);
  lua_settop(L, top);
}

/* The coroutine's function, with the child, the chunk and its arguments.  All that
   the script may do is done in here, the __close of its variables and the logger,
   too: so an interrupt reaches it. */
static int run_protected(lua_State *L)
{
  bridge__child *child = lua_touserdata(L, 1);
  lua_pushcfunction(L, describe);
  lua_replace(L, 1);
  child->status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  if (child->status != LUA_OK) {
    report(L);
  }
  return lua_gettop(L) - 1;
}

static void run_chunk(bridge__child *child)
{
  bridge_status status = bridge_state_call(
      child->state, child->L, lua_gettop(child->L) - 1, NULL, NULL);
  if (status != BRIDGE_OK) {
    child->problem = bridge_status_text(status);
  }
}

static void run(void *user)
{
  bridge__child *child = user;
  lua_State *main = NULL;
  if (bridge_state_enter(child->state, -1, &main) == BRIDGE_OK) {
    run_chunk(child);
    bridge_state_leave(child->state);
  }
  bridge__child_close(child);
  bridge__child_release(child);
}

bridge_status bridge__child_start(bridge__child *child,
                                  bool keep,
                                  bridge_thread **thread)
{
  /* Publishes nothing: the thread does not exist yet. */
  atomic_fetch_add_explicit(&child->references, 1, memory_order_relaxed);
  /* Publishes nothing, as above. */
  atomic_fetch_add_explicit(&child->claims, keep ? 1 : 0, memory_order_relaxed);
  bridge_thread_options options;
  bridge_thread_options_init(&options);
  options.keep = true; /* half of what a thread takes is its making */
  bridge_status status = bridge_thread_create(thread, run, child, &options);
  if (status != BRIDGE_OK) {
    int code = errno;
    /* Publishes nothing: nobody else has it. */
    atomic_store_explicit(&child->claims, 1, memory_order_relaxed);
    /* Publishes nothing, as above. */
    atomic_store_explicit(&child->references, 1, memory_order_relaxed);
    errno = code;
  }
  return status;
}

/* ---- From the handle ---- */

void bridge__child_interrupt(bridge__child *child, bridge_interrupt how)
{
  if (claim(child)) {
    bridge_state_interrupt(child->state, how, child->interrupted);
    bridge__child_close(child);
  }
}

const char *bridge__child_failure(bridge__child *child)
{
  if (child->problem != NULL || child->status == LUA_OK) {
    return child->problem;
  }
  lua_State *L = child->L;
  return lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(null)";
}

static const char *reason_of(lua_State *L, bridge__copied outcome)
{
  if (outcome == BRIDGE__COPY_RAISED && lua_type(L, -1) == LUA_TSTRING) {
    return lua_tostring(L, -1);
  }
  return "not enough memory";
}

bool bridge__child_results(bridge__child *child,
                           bridge_message *message,
                           bool handles,
                           const char **reason)
{
  lua_State *main = NULL;
  if (bridge_state_enter(child->state, -1, &main) != BRIDGE_OK) {
    *reason = "the state cannot be read";
    return false;
  }
  lua_State *L = child->L;
  bridge__copied outcome =
      bridge__copy_results(L, 1, lua_gettop(L), message, handles);
  *reason = outcome == BRIDGE__COPY_TOO_DEEP ? BRIDGE__COPY_TOO_DEEP_TEXT
                                             : reason_of(L, outcome);
  bridge_state_leave(child->state);
  return outcome == BRIDGE__COPIED;
}

/* ---- Within the state ---- */

void bridge__child_set_logger(lua_State *L, int index)
{
  lua_pushvalue(L, index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &logger);
}
