/* Host: what a host that has entered a state asks of it, between its own calls of
   Lua's C API and the chunks and values of run.c. */
#include "lua/state.h"

#include "message/error.h"
#include "message/message.h"

/* Whether the caller may ask; `*error` is NULL then. */
static bridge_status check(bridge_state *state,
                           lua_State *L,
                           bridge_error **error)
{
  if (error != NULL) {
    *error = NULL;
  }
  if (state == NULL || L == NULL) {
    return BRIDGE_EINVAL;
  }
  if (state->process != bridge__process()) {
    return BRIDGE_EFORKED;
  }
  return bridge__hold_mine(&state->hold) ? BRIDGE_OK : BRIDGE_EINVAL;
}

/* What limits what follows: the run that begins here, or within one, from a C
   function of its script, time of its own. */
static bridge__leash *begin(bridge_state *state, bridge__leash *own)
{
  if (bridge__state_begin_run(state)) {
    return &state->leash;
  }
  bridge__leash_init(own, NULL, &state->run);
  return own;
}

static void end(bridge_state *state, const bridge__leash *leash)
{
  if (leash == &state->leash) {
    bridge__state_end_run(state);
  }
}

bridge_status bridge_state_load(bridge_state *state,
                                struct lua_State *lua,
                                const char *source,
                                size_t size,
                                const char *name,
                                bridge_error **error)
{
  bridge_status status = check(state, lua, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (source == NULL && size > 0) {
    return BRIDGE_EINVAL;
  }
  const bridge__chunk_text chunk = {source, size, name};
  bridge__leash own;
  bridge__leash *leash = begin(state, &own);
  status = bridge__state_load_on(state, leash, lua, &chunk, error);
  end(state, leash);
  return status;
}

bridge_status bridge_state_push(bridge_state *state,
                                struct lua_State *lua,
                                const bridge_message *message,
                                int *count,
                                bridge_error **error)
{
  int pushed = 0;
  bridge_status status = check(state, lua, error);
  if (status == BRIDGE_OK && message == NULL) {
    status = BRIDGE_EINVAL;
  }
  if (status == BRIDGE_OK && !message->objects) {
    status = bridge__state_unpack(state, lua, message, &pushed, error);
  } else if (status == BRIDGE_OK) {
    bridge__leash own;
    bridge__leash *leash = begin(state, &own);
    status =
        bridge__state_unpack_on(state, leash, lua, message, &pushed, error);
    end(state, leash);
  }
  if (count != NULL) {
    *count = pushed;
  }
  return status;
}

typedef struct packing {
  bridge_state *state;
  lua_State *L;
  int first;
  int count;
  bridge_message *message;
  bridge_error *error;
  bridge_status status;
} packing;

static void pack(void *user)
{
  packing *job = user;
  job->status = bridge__state_pack(job->state, job->L, job->first, job->count,
                                   job->message, &job->error);
}

/* What an object is packed as is up to the script. */
static bridge_status pack_on(bridge__leash *leash, packing *job)
{
  bridge__guard *guard = &job->state->guard;
  bridge__resumed done = bridge__guard_call(guard, leash, job->L, pack, job);
  if (done.ended == BRIDGE__ENDED) {
    return job->status;
  }
  bridge_error_release(job->error);
  job->error = bridge__guard_take_stop(guard);
  return done.status;
}

bridge_status bridge_state_pack(bridge_state *state,
                                struct lua_State *lua,
                                int first,
                                int count,
                                bridge_message *message,
                                bridge_error **error)
{
  bridge_status status = check(state, lua, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  int top = lua_gettop(lua);
  if (message == NULL || first < 1 || count < 0 || first - 1 > top - count) {
    return BRIDGE_EINVAL;
  }
  size_t size = bridge_message_size(message);
  packing job = {.state = state,
                 .L = lua,
                 .first = first,
                 .count = count,
                 .message = message};
  bridge__leash own;
  bridge__leash *leash = begin(state, &own);
  status = pack_on(leash, &job);
  end(state, leash);
  if (status == BRIDGE_OK) {
    return BRIDGE_OK;
  }
  lua_settop(lua, top);
  bridge_message_truncate(message, size);
  return bridge__error_give(error, job.error, status);
}

bridge_status bridge_state_failure(bridge_state *state,
                                   struct lua_State *lua,
                                   int code,
                                   bridge_error **error)
{
  bridge_status status = check(state, lua, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (code == LUA_OK) {
    return BRIDGE_EINVAL;
  }
  if (error == NULL) {
    return code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ESCRIPT;
  }
  bridge__leash own;
  bridge__leash *leash = begin(state, &own);
  status = bridge__state_fail(state, leash, lua, code, error);
  end(state, leash);
  return status;
}

/* ---- Coroutines ---- */

typedef struct resumption {
  int arguments;
  int *results;
  unsigned manner; /* of the slice */
} resumption;

static bridge_status resume(bridge_state *state,
                            bridge__leash *leash,
                            lua_State *L,
                            const resumption *wanted,
                            bridge_error **error)
{
  bridge__resumed resumed = bridge__guard_resume(
      &state->guard, leash, L, wanted->arguments, wanted->manner);
  if (wanted->results != NULL) {
    *wanted->results = resumed.results;
  }
  if (resumed.ended != BRIDGE__ENDED) {
    return bridge__error_give(error, bridge__guard_take_stop(&state->guard),
                              resumed.status);
  }
  if (resumed.code == LUA_OK || resumed.code == LUA_YIELD) {
    return BRIDGE_OK;
  }
  if (error == NULL) {
    return bridge__state_failure_of(state, resumed.code);
  }
  return bridge__state_fail(state, leash, L, resumed.code, error);
}

static bridge_status resume_held(bridge_state *state,
                                 lua_State *L,
                                 const resumption *wanted,
                                 bridge_error **error)
{
  bridge_status status = check(state, L, error);
  if (wanted->results != NULL) {
    *wanted->results = 0;
  }
  if (status == BRIDGE_OK && (wanted->arguments < 0 || L == state->main ||
                              lua_gettop(L) < wanted->arguments)) {
    status = BRIDGE_EINVAL;
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__leash own;
  bridge__leash *leash = begin(state, &own);
  status = resume(state, leash, L, wanted, error);
  end(state, leash);
  return status;
}

bridge_status bridge_state_resume(bridge_state *state,
                                  struct lua_State *lua,
                                  int arguments,
                                  int *results,
                                  bridge_error **error)
{
  const resumption wanted = {arguments, results, 0};
  return resume_held(state, lua, &wanted, error);
}

bridge_status bridge_state_call(bridge_state *state,
                                struct lua_State *lua,
                                int arguments,
                                int *results,
                                bridge_error **error)
{
  const resumption wanted = {arguments, results, BRIDGE__LIKE_MAIN};
  return resume_held(state, lua, &wanted, error);
}
