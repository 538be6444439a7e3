/* Run: chunks, coroutines and values of a state that is held. */
#include "lua/state.h"

#include "base/memory.h"
#include "lua/builtin.h"
#include "lua/feed.h"
#include "lua/libraries.h"
#include "lua/values.h"
#include "message/error.h"
#include "message/message.h"

#include <lauxlib.h>

#include <string.h>

/* ---- Errors as text on a stack ---- */

/* Take the text on top of `L`: an error for the caller. */
static bridge_status take_text(lua_State *L,
                               bridge_status status,
                               bridge_error **error)
{
  size_t size = 0;
  const char *text = NULL;
  if (lua_type(L, -1) == LUA_TSTRING) { /* then nothing is converted */
    text = lua_tolstring(L, -1, &size);
  }
  bridge_error *e = NULL;
  if (error != NULL) {
    e = bridge__error_create(status, text == NULL ? "" : text, size);
  }
  lua_pop(L, 1);
  return bridge__error_give(error, e, status);
}

static bridge_status no_memory(bridge_error **error)
{
  static const char text[] = "not enough memory";
  bridge_error *e = NULL;
  if (error != NULL) {
    e = bridge__error_create(BRIDGE_ENOMEM, text, sizeof text - 1);
  }
  return bridge__error_give(error, e, BRIDGE_ENOMEM);
}

/* ---- Chunks ---- */

bridge_status bridge__state_load(bridge_state *state,
                                 lua_State *L,
                                 const char *source,
                                 size_t size,
                                 const char *name,
                                 bridge_error **error)
{
  if (!lua_checkstack(L, 4)) {
    return no_memory(error);
  }
  char *copy = NULL; /* the source with a NUL behind it, as its own name */
  if (name == NULL) {
    copy = bridge__copy_text(source, size);
    if (copy == NULL) {
      return no_memory(error);
    }
  }
  bridge__feed feed = {.text = source == NULL ? "" : source, .size = size};
  int code = bridge__feed_load(L, &feed, name == NULL ? copy : name,
                               state->binary_chunks ? "bt" : "t");
  bridge__free(copy);
  if (code == LUA_OK) {
    return BRIDGE_OK;
  }
  if (feed.obeyed && code != LUA_ERRMEM) { /* interrupted */
    return take_text(L, bridge__state_failure_of(state, code), error);
  }
  return take_text(L, code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ESYNTAX,
                   error);
}

/* ---- Coroutines ---- */

typedef struct new_thread {
  lua_State *L;
  int anchor;
} new_thread;

static int make_thread(lua_State *L)
{
  new_thread *job = lua_touserdata(L, 1);
  job->L = lua_newthread(L);
  bridge__census_learn(&bridge__guard_of(L)->state->heap.census, job->L);
  job->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

bridge_status bridge__state_thread(bridge_state *state,
                                   lua_State **out,
                                   int *anchor)
{
  lua_State *main = state->main;
  if (!lua_checkstack(main, 4)) {
    return BRIDGE_ENOMEM;
  }
  new_thread job = {NULL, LUA_NOREF};
  lua_pushcfunction(main, make_thread);
  lua_pushlightuserdata(main, &job);
  if (lua_pcall(main, 1, 0, 0) != LUA_OK) {
    lua_pop(main, 1);
    return BRIDGE_ENOMEM;
  }
  *out = job.L;
  *anchor = job.anchor;
  return BRIDGE_OK;
}

static void reset_thread(void *L)
{
  lua_resetthread(L); /* protected by itself */
}

void bridge__state_drop_thread(bridge_state *state,
                               bridge__leash *leash,
                               lua_State *L,
                               int anchor)
{
  if (lua_status(L) == LUA_OK) {
    lua_settop(L, 0); /* it is dead: it has ended, or never began */
  } else if (leash == NULL) {
    reset_thread(L);
  } else if (!bridge__guard_killed(L)) {
    bridge__guard_call(&state->guard, leash, L, reset_thread, L);
  }
  /* Sets fields that are there, so that it needs no memory. */
  luaL_unref(state->main, LUA_REGISTRYINDEX, anchor);
}

/* ---- Values ---- */

/* Let main hold copies of values whose coroutine cannot make calls: it yielded,
   or it died. */
static bool borrow(lua_State *L, lua_State *main, int first, int count)
{
  if (!lua_checkstack(L, count) || !lua_checkstack(main, count + 8)) {
    return false;
  }
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, first + i);
  }
  lua_xmove(L, main, count);
  return true;
}

static bridge_status pack_in(lua_State *L,
                             int first,
                             int count,
                             bridge_message *message,
                             bridge_error **error)
{
  bridge_status status = bridge__pack_as(L, first, count, message, "result");
  return status == BRIDGE_OK ? status : take_text(L, status, error);
}

bridge_status bridge__state_pack(bridge_state *state,
                                 lua_State *L,
                                 int first,
                                 int count,
                                 bridge_message *message,
                                 bridge_error **error)
{
  /* A coroutine returns more values than a frame has room for by itself; this
     tells Lua that they are meant. */
  if (!lua_checkstack(L, 1)) {
    return no_memory(error);
  }
  first = lua_absindex(L, first);
  if (lua_status(L) == LUA_OK) {
    return pack_in(L, first, count, message, error);
  }
  int top = lua_gettop(state->main);
  if (!borrow(L, state->main, first, count)) {
    return no_memory(error);
  }
  bridge_status status = pack_in(state->main, top + 1, count, message, error);
  lua_settop(state->main, top);
  return status;
}

typedef struct unpacking {
  const bridge_message *message;
  bridge_status status;
  int count;
} unpacking;

static bool has_handles(const bridge_message *message)
{
  for (size_t i = 0; i < message->slot_count; i++) {
    if (message->slots[i].type == BRIDGE_TYPE_HANDLE) {
      return true;
    }
  }
  return false;
}

static void open_bridge(lua_State *L)
{
  if (lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__HANDLES) == LUA_TNIL) {
    bridge__libraries_open_builtin(L);
  }
  lua_settop(L, 0);
}

static int unpack_protected(lua_State *L)
{
  unpacking *job = lua_touserdata(L, 1);
  lua_settop(L, 0);
  if (has_handles(job->message)) {
    open_bridge(L);
  }
  job->status = job->message->envelope.kind == BRIDGE__REQUEST
                    ? bridge__unpack_request(L, job->message, &job->count)
                    : bridge__unpack(L, job->message, &job->count);
  return job->status == BRIDGE_OK ? job->count : 1;
}

/* On the main stack, for `L` may be waiting in a yield. */
bridge_status bridge__state_unpack(bridge_state *state,
                                   lua_State *L,
                                   const bridge_message *message,
                                   int *count,
                                   bridge_error **error)
{
  lua_State *main = state->main;
  int top = lua_gettop(main);
  *count = 0;
  if (!lua_checkstack(main, 4)) {
    return no_memory(error);
  }
  unpacking job = {message, BRIDGE_OK, 0};
  lua_pushcfunction(main, unpack_protected);
  lua_pushlightuserdata(main, &job);
  int code = lua_pcall(main, 1, LUA_MULTRET, 0);
  if (code != LUA_OK) {
    job.status = code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ETYPE;
  }
  if (job.status != BRIDGE_OK) {
    return take_text(main, job.status, error);
  }
  if (!lua_checkstack(L, job.count + 1)) {
    lua_settop(main, top);
    return no_memory(error);
  }
  lua_xmove(main, L, job.count);
  *count = job.count;
  return BRIDGE_OK;
}

/* ---- A chunk from beginning to end ---- */

typedef struct run {
  const char *source;
  size_t size;
  const char *name;
  bridge_message **arguments;
  bridge_message **results;
  bridge_error **error;
} run;

static bridge_status take_results(bridge_state *state,
                                  lua_State *L,
                                  int count,
                                  const run *r)
{
  if (r->results == NULL) {
    return BRIDGE_OK;
  }
  bridge_message *message = NULL;
  bridge_status status = bridge_message_create(&message, 0);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__state_pack(state, L, lua_gettop(L) - count + 1, count,
                              message, r->error);
  if (status != BRIDGE_OK) {
    bridge_message_release(message);
    return status;
  }
  *r->results = message;
  return BRIDGE_OK;
}

bridge_status bridge__state_failure_of(const bridge_state *state, int code)
{
  if (bridge__leash_told(&state->leash)) {
    return BRIDGE_ECANCELLED; /* and it took the grace to end by itself */
  }
  bridge_status overdue = bridge__guard_overdue(
      &state->guard, (bridge__leash *)(uintptr_t)&state->leash);
  if (overdue != BRIDGE_OK) {
    return overdue;
  }
  return code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ESCRIPT;
}

/* What the caller of a script hears that was stopped. */
static bridge_status give_stop(bridge_state *state,
                               bridge_status status,
                               bridge_error **error)
{
  return bridge__error_give(error, bridge__guard_take_stop(&state->guard),
                            status);
}

/* What a body that ran in a slice left behind, if it was stopped. */
static bridge_status give_stopped(bridge_state *state,
                                  bridge_status status,
                                  bridge_error **error)
{
  if (error != NULL) {
    bridge_error_release(*error);
    *error = NULL;
  }
  return give_stop(state, status, error);
}

typedef struct taking {
  bridge_state *state;
  lua_State *L;
  int count;
  const run *r;
  bridge_status status;
} taking;

static void take(void *user)
{
  taking *job = user;
  job->status = take_results(job->state, job->L, job->count, job->r);
}

static bridge_status take_guarded(bridge_state *state,
                                  lua_State *L,
                                  int count,
                                  const run *r)
{
  taking job = {state, L, count, r, BRIDGE_OK};
  bridge__resumed taken =
      bridge__guard_call(&state->guard, &state->leash, L, take, &job);
  if (taken.ended == BRIDGE__ENDED) {
    return job.status;
  }
  if (job.status == BRIDGE_OK && r->results != NULL) {
    bridge_message_release(*r->results);
    *r->results = NULL;
  }
  return give_stopped(state, taken.status, r->error);
}

typedef struct failing {
  bridge_state *state;
  lua_State *L;
  int code;
  bridge_error *error;
} failing;

static void fail(void *user)
{
  failing *job = user;
  job->error = bridge__state_error(job->state, job->L, job->code);
}

bridge_status bridge__state_fail(bridge_state *state,
                                 bridge__leash *leash,
                                 lua_State *L,
                                 int code,
                                 bridge_error **error)
{
  bridge_status status = bridge__state_failure_of(state, code);
  failing job = {state, L, code, NULL};
  bridge__resumed failed =
      bridge__guard_call(&state->guard, leash, state->main, fail, &job);
  if (failed.ended == BRIDGE__ENDED) {
    bridge__error_give(error, job.error, status);
    return status; /* its own may be another one */
  }
  bridge_error_release(job.error);
  return give_stop(state, failed.status, error);
}

static bridge_status resume(bridge_state *state,
                            lua_State *L,
                            int arguments,
                            const run *r)
{
  bridge__resumed resumed = bridge__guard_resume(
      &state->guard, &state->leash, L, arguments, BRIDGE__LIKE_MAIN);
  if (resumed.ended != BRIDGE__ENDED) {
    return give_stop(state, resumed.status, r->error);
  }
  if (resumed.code == LUA_OK) {
    return take_guarded(state, L, resumed.results, r);
  }
  if (r->error == NULL) {
    return bridge__state_failure_of(state, resumed.code);
  }
  return bridge__state_fail(state, &state->leash, L, resumed.code, r->error);
}

typedef struct handing {
  bridge_state *state;
  lua_State *L;
  const bridge_message *message;
  int *count;
  bridge_error **error;
  bridge_status status;
} handing;

static void hand(void *user)
{
  handing *job = user;
  job->status = bridge__state_unpack(job->state, job->L, job->message,
                                     job->count, job->error);
}

/* To make objects of values is up to the script. */
bridge_status bridge__state_unpack_on(bridge_state *state,
                                      bridge__leash *leash,
                                      lua_State *L,
                                      const bridge_message *message,
                                      int *count,
                                      bridge_error **error)
{
  handing job = {state, L, message, count, error, BRIDGE_OK};
  if (!message->objects) {
    hand(&job);
    return job.status;
  }
  int top = lua_gettop(L);
  bridge__resumed handed =
      bridge__guard_call(&state->guard, leash, state->main, hand, &job);
  if (handed.ended == BRIDGE__ENDED) {
    return job.status;
  }
  lua_settop(L, top);
  return give_stopped(state, handed.status, error);
}

/* ---- Chunks that may take long to compile ---- */

typedef struct loading {
  bridge_state *state;
  lua_State *L;
  const bridge__chunk_text *chunk;
  bridge_error **error;
  bridge_status status;
} loading;

static void load(void *user)
{
  loading *job = user;
  job->status =
      bridge__state_load(job->state, job->L, job->chunk->source,
                         job->chunk->size, job->chunk->name, job->error);
}

bridge_status bridge__state_load_on(bridge_state *state,
                                    bridge__leash *leash,
                                    lua_State *L,
                                    const bridge__chunk_text *chunk,
                                    bridge_error **error)
{
  loading job = {state, L, chunk, error, BRIDGE_OK};
  if (chunk->size <= BRIDGE__FEED_FREE) {
    load(&job);
    return job.status;
  }
  int top = lua_gettop(L);
  bridge__resumed loaded =
      bridge__guard_call(&state->guard, leash, L, load, &job);
  if (loaded.ended == BRIDGE__ENDED) {
    return job.status;
  }
  lua_settop(L, top);
  return give_stopped(state, loaded.status, error);
}

/* ---- A chunk is prepared, runs, and is dropped ---- */

static bridge_status prepare(bridge_state *state,
                             lua_State *L,
                             const run *r,
                             int *arguments)
{
  const bridge__chunk_text chunk = {r->source, r->size, r->name};
  bridge_status status =
      bridge__state_load_on(state, &state->leash, L, &chunk, r->error);
  if (status != BRIDGE_OK || r->arguments == NULL || *r->arguments == NULL) {
    return status;
  }
  status = bridge__state_unpack_on(state, &state->leash, L, *r->arguments,
                                   arguments, r->error);
  if (status == BRIDGE_OK) {
    bridge_message_release(*r->arguments);
    *r->arguments = NULL;
  }
  return status;
}

static bridge_status run_held(bridge_state *state, const run *r)
{
  lua_State *L = NULL;
  int anchor = LUA_NOREF;
  bridge_status status = bridge__state_thread(state, &L, &anchor);
  if (status != BRIDGE_OK) {
    return no_memory(r->error);
  }
  int arguments = 0;
  status = prepare(state, L, r, &arguments);
  if (status == BRIDGE_OK) {
    status = resume(state, L, arguments, r);
  }
  bridge__state_drop_thread(state, &state->leash, L, anchor);
  return status;
}

bool bridge__state_begin_run(bridge_state *state)
{
  if (bridge__guard_use(&state->leash) != 0) {
    return false;
  }
  /* The thread may be the host's, who may have blocked the kick since the last run. */
  if (state->guard.level > BRIDGE_STOP_COOPERATIVE) {
    bridge__kick_unblock();
  }
  bridge__leash_begin(&state->leash, &state->run);
  bridge__interrupt_renew(&state->interrupt, bridge__guard_use(&state->leash));
  /* A worker's cancel reaches the waits of what its script runs. */
  state->interrupting = !bridge__interruptible();
  if (state->interrupting) {
    bridge__interrupt_bind(&state->interrupt);
  }
  return true;
}

void bridge__state_end_run(bridge_state *state)
{
  if (state->interrupting) {
    bridge__interrupt_bind(NULL);
  }
  bridge__leash_end(&state->leash);
}

bridge_status bridge_state_run(bridge_state *state,
                               const char *source,
                               size_t size,
                               const char *name,
                               bridge_message **arguments,
                               bridge_message **results,
                               bridge_error **error)
{
  if (error != NULL) {
    *error = NULL;
  }
  if (source == NULL && size > 0) {
    return BRIDGE_EINVAL;
  }
  lua_State *main = NULL;
  bridge_status status = bridge_state_enter(state, -1, &main);
  if (status != BRIDGE_OK) {
    return status;
  }
  const run r = {source, size, name, arguments, results, error};
  bridge__state_begin_run(state);
  status = run_held(state, &r);
  bridge__state_end_run(state);
  bridge_state_leave(state);
  return status;
}
