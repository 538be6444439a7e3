/* Exit: the functions of `bridge.on_exit`, called when the worker ends. */
#include "worker/worker.h"

#include "lua/failure.h"
#include "message/error.h"

#include <lauxlib.h>

/* Its address is the key of their list in the registry. */
static const char key;

static const char *reason_of(const bridge_worker *worker)
{
  switch (worker->outcome) {
  case BRIDGE_OK:
    return "done";
  case BRIDGE_ECANCELLED:
  case BRIDGE_ETIMEDOUT:
    return "cancelled";
  default:
    return "error";
  }
}

/* on_exit(f) */
int bridge__exit_register(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  const bridge_worker *worker = bridge_worker_current();
  if (worker == NULL || worker->exiting) {
    return luaL_error(L, "the worker is at its end");
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    lua_replace(L, 2);
  }
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
  return 0;
}

typedef struct preparing {
  bridge_worker *worker;
  lua_State *L; /* of the coroutine that is to run it */
  bool found;
} preparing;

/* Protected, on the main stack: the last function, the reason and the error. */
static int prepare(lua_State *L)
{
  preparing *job = lua_touserdata(L, 1);
  const bridge_worker *worker = job->worker;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) != LUA_TTABLE) {
    return 0;
  }
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  if (count == 0) {
    return 0;
  }
  lua_rawgeti(L, 2, count);
  lua_pushnil(L);
  lua_rawseti(L, 2, count); /* it is there: this needs no memory */
  lua_pushstring(L, reason_of(worker));
  int pushed = worker->error == NULL
                   ? 0
                   : bridge__push_failure(L, worker->outcome, worker->error,
                                          worker->name);
  if (pushed < 4) {
    lua_settop(L, 4);
    lua_pushnil(L);
  }
  lua_insert(L, 5); /* of the failure only the table */
  lua_settop(L, 5);
  job->found = true;
  lua_xmove(L, job->L, 3);
  return 0;
}

typedef struct preparation {
  preparing *job;
  lua_State *main;
  bool whole;
} preparation;

static void prepare_protected(void *user)
{
  preparation *all = user;
  lua_State *main = all->main;
  lua_pushcfunction(main, prepare);
  lua_pushlightuserdata(main, all->job);
  all->whole = lua_pcall(main, 1, 0, 0) == LUA_OK;
}

/* On the leash, since the value of the error may have to be made by the script. */
static bool prepare_guarded(bridge_worker *worker,
                            bridge__leash *leash,
                            preparing *job)
{
  bridge_state *state = worker->state;
  preparation all = {job, state->main, false};
  bridge__resumed done = bridge__guard_call(&state->guard, leash, state->main,
                                            prepare_protected, &all);
  if (done.ended == BRIDGE__ENDED) {
    return all.whole;
  }
  bridge_error_release(bridge__guard_take_stop(&state->guard));
  return false;
}

static void report(bridge_worker *worker,
                   bridge_status status,
                   bridge_error *error)
{
  bridge__worker_report(worker, "a function of on_exit", status, error);
  bridge_error_release(error);
}

/* Whether there was one. */
static bool run_last(bridge_worker *worker, bridge__leash *leash)
{
  bridge_state *state = worker->state;
  preparing job = {worker, NULL, false};
  int anchor = LUA_NOREF;
  if (bridge__state_thread(state, &job.L, &anchor) != BRIDGE_OK) {
    report(worker, BRIDGE_ENOMEM, NULL);
    return false;
  }
  bool whole = lua_checkstack(state->main, 4) && lua_checkstack(job.L, 4);
  whole = whole && prepare_guarded(worker, leash, &job);
  if (!whole) {
    lua_settop(state->main, 0);
    report(worker, BRIDGE_ENOMEM, NULL);
  } else if (job.found) {
    bridge__resumed done =
        bridge__guard_resume(&state->guard, leash, job.L, 2, 0);
    if (done.ended != BRIDGE__ENDED) {
      report(worker, done.status, bridge__guard_take_stop(&state->guard));
    } else if (done.code != LUA_OK) {
      bridge_error *error = NULL;
      bridge_status status =
          bridge__state_fail(state, leash, job.L, done.code, &error);
      report(worker, status, error);
    }
  }
  bridge__state_drop_thread(state, leash, job.L, anchor);
  return whole && job.found;
}

static bool any(bridge_state *state)
{
  lua_State *L = state->main;
  bool there = lua_checkstack(L, 1) &&
               lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE;
  lua_settop(L, 0);
  return there;
}

/* After a stop each has some time of its own, since who closes the worker waits for
   it; otherwise as long as it likes, until the worker is stopped. */
static bool run_next(bridge_worker *worker)
{
  static const bridge_limits budget = {.timeout_ms = 500};
  bool stopped = worker->outcome == BRIDGE_ECANCELLED ||
                 worker->outcome == BRIDGE_ETIMEDOUT ||
                 bridge__worker_interrupted(worker) ||
                 bridge__leash_due(&worker->life, NULL) != BRIDGE__DUE_NOT;
  bridge__leash leash;
  bridge__leash_init(&leash, stopped ? NULL : &worker->life,
                     stopped ? &budget : NULL);
  bool ran = run_last(worker, &leash);
  bridge__leash_end(&leash);
  return ran;
}

void bridge__worker_exit(bridge_worker *worker)
{
  worker->exiting = true;
  if (!any(worker->state)) {
    return;
  }
  bridge__task *before = worker->driver.running;
  worker->driver.running = NULL; /* what waits there blocks */
  bool more = true;
  while (more) {
    more = run_next(worker);
  }
  worker->driver.running = before;
}
