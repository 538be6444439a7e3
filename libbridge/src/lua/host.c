/* Host: what a host that has entered a state asks of it, between its own calls of
   Lua's C API and the chunks and coroutines of run.c. */
#include "lua/state.h"

#include "message/error.h"

#include <lauxlib.h>

/* Whether the caller may ask; `*error` is NULL then. */
static bridge_status check(bridge_state *state, bridge_error **error)
{
  if (error != NULL) {
    *error = NULL;
  }
  if (state == NULL) {
    return BRIDGE_EINVAL;
  }
  if (state->process != bridge__process()) {
    return BRIDGE_EFORKED;
  }
  return bridge__hold_mine(&state->hold) ? BRIDGE_OK : BRIDGE_EINVAL;
}

bridge_status bridge_state_load(bridge_state *state,
                                const char *source,
                                size_t size,
                                const char *name,
                                bridge_error **error)
{
  bridge_status status = check(state, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (source == NULL && size > 0) {
    return BRIDGE_EINVAL;
  }
  return bridge__state_load(state, state->main, source, size, name, error);
}

/* ---- Calling ---- */

typedef struct coroutine {
  lua_State *L;
  int anchor;
} coroutine;

static bridge_status take_coroutine(bridge_state *state, coroutine *out)
{
  if (state->spare == NULL) {
    return bridge__state_thread(state, &out->L, &out->anchor);
  }
  *out = (coroutine){state->spare, state->spare_anchor};
  state->spare = NULL;
  return BRIDGE_OK;
}

/* One that ended well can begin again. */
static void give_coroutine(bridge_state *state, const coroutine *done)
{
  if (state->spare != NULL) { /* a call within the call left its own */
    bridge__state_drop_thread(state, done->L, done->anchor);
    return;
  }
  state->spare = done->L;
  state->spare_anchor = done->anchor;
}

static bridge_status failed(bridge_state *state,
                            lua_State *L,
                            int code,
                            bridge_error **error)
{
  bridge_status status = code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ESCRIPT;
  return bridge__error_give(
      error, error == NULL ? NULL : bridge__state_error(state, L, code),
      status);
}

/* What it calls itself counts as called from here, for Lua's limit of C calls. */
static int resume(bridge_state *state, lua_State *L, int arguments, int *count)
{
  lua_State *outer = state->running;
  state->running = L;
  int code = lua_resume(L, outer, arguments, count);
  state->running = outer;
  return code;
}

bridge_status bridge_state_call(bridge_state *state,
                                int arguments,
                                int *results,
                                bridge_error **error)
{
  bridge_status status = check(state, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  lua_State *main = state->main;
  if (arguments < 0 || lua_gettop(main) <= arguments) {
    return BRIDGE_EINVAL;
  }
  coroutine runner = {NULL, LUA_NOREF};
  status = take_coroutine(state, &runner);
  if (status != BRIDGE_OK || !lua_checkstack(runner.L, arguments + 1)) {
    lua_pop(main, arguments + 1);
    if (status == BRIDGE_OK) {
      give_coroutine(state, &runner);
    }
    return BRIDGE_ENOMEM;
  }
  lua_xmove(main, runner.L, arguments + 1);
  int count = 0;
  int code = resume(state, runner.L, arguments, &count);
  if (code != LUA_OK || !lua_checkstack(main, count)) {
    status = failed(state, runner.L, code == LUA_OK ? LUA_ERRMEM : code, error);
    bridge__state_drop_thread(state, runner.L, runner.anchor);
    return status;
  }
  lua_xmove(runner.L, main, count);
  lua_settop(runner.L, 0);
  give_coroutine(state, &runner);
  if (results != NULL) {
    *results = count;
  }
  return BRIDGE_OK;
}

/* ---- Values ---- */

bridge_status bridge_state_push(bridge_state *state,
                                const bridge_message *message,
                                int *count,
                                bridge_error **error)
{
  bridge_status status = check(state, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (message == NULL) {
    return BRIDGE_EINVAL;
  }
  int pushed = 0;
  status = bridge__state_unpack(state, state->main, message, &pushed, error);
  if (count != NULL) {
    *count = pushed;
  }
  return status;
}

bridge_status bridge_state_pack(bridge_state *state,
                                int first,
                                int count,
                                bridge_message *message,
                                bridge_error **error)
{
  bridge_status status = check(state, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  int top = lua_gettop(state->main);
  if (message == NULL || first < 1 || count < 0 || first - 1 > top - count) {
    return BRIDGE_EINVAL;
  }
  return bridge__state_pack(state, state->main, first, count, message, error);
}
