/* Outcome: how a coroutine of a worker ends, and who is told: whoever asked, whoever
   joins, or the logger. */
#include "worker/worker.h"

#include "lua/cause.h"
#include "message/error.h"

/* The status of a script that lua_resume left with an error. */
static bridge_status failure_of(bridge_worker *worker,
                                bridge__task *task,
                                int code)
{
  bridge_status overdue =
      bridge__guard_overdue(&worker->state->guard, &task->leash);
  if (overdue != BRIDGE_OK) {
    return overdue;
  }
  /* Who cancels stops the scripts first: one may die of that before the worker is
     interrupted. */
  if (bridge__leash_told(&worker->life) || bridge__worker_interrupted(worker)) {
    return BRIDGE_ECANCELLED;
  }
  return code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ESCRIPT;
}

/* A worker whose results or error hold the worker would never be freed. */
static void break_cycle(bridge_worker *worker)
{
  const bridge_message *value = bridge_error_value(worker->error);
  if (value != NULL && bridge__message_holds(value, worker)) {
    bridge_message *none = NULL;
    bridge__error_set_value(worker->error, &none);
  }
  for (const bridge_error *cause = bridge_error_cause(worker->error);
       cause != NULL; cause = bridge_error_cause(cause)) {
    value = bridge_error_value(cause);
    if (value != NULL && bridge__message_holds(value, worker)) {
      bridge__error_set_cause(worker->error, NULL);
      break;
    }
  }
  if (worker->outcome == BRIDGE_OK &&
      bridge__message_holds(worker->results, worker)) {
    bridge_message_release(worker->results);
    worker->results = NULL;
    worker->outcome = BRIDGE_ECYCLE;
    worker->error = bridge__error_format(
        BRIDGE_ECYCLE, "the results of a worker cannot hold the worker itself");
  }
}

static bridge_error *error_of(const bridge_worker *worker,
                              const bridge__task *task,
                              int code)
{
  bridge_error *error = bridge__state_error(worker->state, task->L, code);
  if (code == LUA_ERRRUN) {
    bridge_error *cause = bridge__state_cause(worker->state, task->L);
    if (cause == NULL) {
      cause = bridge__state_cause_again(worker->state, task, error);
    }
    bridge__error_set_cause(error, cause);
  }
  return error;
}

/* Script code that runs for the sake of the driver: of metamethods. */
typedef struct ending {
  bridge_worker *worker;
  bridge__task *task;
  int code;
  bridge_message *results;
  bridge_error *error;
  bridge_status status;
} ending;

static void pack_results(void *user)
{
  ending *job = user;
  lua_State *L = job->task->L;
  job->status = bridge__state_pack(job->worker->state, L, 1, lua_gettop(L),
                                   job->results, &job->error);
}

static void make_error(void *user)
{
  ending *job = user;
  job->error = error_of(job->worker, job->task, job->code);
  job->status = failure_of(job->worker, job->task, job->code);
}

/* Both on the task's leash.  The error that comes is the caller's. */
static bridge_status end_guarded(ending *job,
                                 lua_State *L,
                                 void (*body)(void *user),
                                 bridge_error **error)
{
  bridge__guard *guard = &job->worker->state->guard;
  bridge__worker_enter_lua(job->worker);
  bridge__resumed done = bridge__guard_call(
      guard, bridge__turn_begin(job->worker, job->task), L, body, job);
  bridge__turn_end(job->worker);
  bridge__worker_leave_lua(job->worker);
  *error = job->error;
  if (done.ended == BRIDGE__ENDED) {
    return job->status;
  }
  bridge_error_release(job->error);
  *error = bridge__guard_take_stop(guard);
  job->task->stopped = true;
  return done.status;
}

static bridge_status pack_guarded(bridge_worker *worker,
                                  bridge__task *task,
                                  bridge_message *results,
                                  bridge_error **error)
{
  ending job = {.worker = worker, .task = task, .results = results};
  bridge_status status = end_guarded(&job, task->L, pack_results, error);
  if (status != BRIDGE_OK) {
    bridge_message_truncate(results, 0);
  }
  lua_settop(task->L, 0);
  return status;
}

static bridge_status fail_guarded(bridge_worker *worker,
                                  bridge__task *task,
                                  int code,
                                  bridge_error **error)
{
  ending job = {.worker = worker, .task = task, .code = code};
  return end_guarded(&job, worker->state->main, make_error, error);
}

/* How it ended, for whoever waits for it. */
static bridge_status outcome_of(bridge_worker *worker,
                                bridge__task *task,
                                const bridge__resumed *resumed,
                                bridge_message *results,
                                bridge_error **error)
{
  if (resumed->ended != BRIDGE__ENDED) {
    task->stopped = true;
    *error = bridge__guard_take_stop(&worker->state->guard);
    return resumed->status;
  }
  if (resumed->code != LUA_OK) {
    return fail_guarded(worker, task, resumed->code, error);
  }
  if (results != NULL) {
    return pack_guarded(worker, task, results, error);
  }
  lua_settop(task->L, 0);
  return BRIDGE_OK;
}

static void collect(void *L)
{
  lua_gc(L, LUA_GCCOLLECT);
}

/* What a stopped handler left open, such as the guard of a mutex that others wait
   for, is given back when it is collected: a service that is idle collects nothing. */
static void collect_left(bridge_worker *worker)
{
  static const bridge_limits patience = {.timeout_ms = 1000};
  bridge_state *state = worker->state;
  bridge__leash leash;
  bridge__leash_init(&leash, &worker->life, &patience);
  bridge__worker_enter_lua(worker);
  bridge__resumed done = bridge__guard_call(&state->guard, &leash, state->main,
                                            collect, state->main);
  bridge__worker_leave_lua(worker);
  bridge__leash_end(&leash);
  if (done.ended != BRIDGE__ENDED) {
    bridge_error_release(bridge__guard_take_stop(&state->guard));
  }
}

/* Its outcome is known. */
static void drop_main(bridge_worker *worker)
{
  bridge__task *task = worker->driver.main;
  if (bridge__worker_lost(worker)) {
    worker->outcome = BRIDGE_ECANCELLED; /* as everybody was told */
  }
  break_cycle(worker);
  if (worker->outcome != BRIDGE_OK) {
    bridge__gauge_count(&worker->gauge.errors);
  }
  worker->driver.main = NULL;
  bridge__task_drop(worker, task);
}

void bridge__task_refuse_main(bridge_worker *worker,
                              bridge_status status,
                              bridge_error *error)
{
  worker->outcome = status;
  worker->error = error;
  drop_main(worker);
}

static void end_main(bridge_worker *worker,
                     bridge__task *task,
                     const bridge__resumed *resumed)
{
  bool done = resumed->ended == BRIDGE__ENDED && resumed->code == LUA_OK;
  worker->outcome =
      done ? bridge_message_create(&worker->results, 0) : BRIDGE_OK;
  if (worker->outcome == BRIDGE_OK) {
    worker->outcome =
        outcome_of(worker, task, resumed, worker->results, &worker->error);
  }
  drop_main(worker);
}

static void end_request(bridge_worker *worker,
                        bridge__task *task,
                        const bridge__resumed *resumed)
{
  bridge_error *error = NULL;
  bridge_message *results = task->reply == NULL ? NULL : task->reply->answer;
  bridge_status status = outcome_of(worker, task, resumed, results, &error);
  if (status != BRIDGE_OK) {
    bridge__gauge_count(&worker->gauge.errors);
  }
  if (task->reply == NULL) {
    if (status != BRIDGE_OK) {
      bridge__worker_report(worker, "a request that nobody waits for", status,
                            error);
    }
    bridge_error_release(error);
  } else if (status == BRIDGE_OK) {
    bridge__reply_results(&task->reply);
  } else {
    bridge__reply_failure(&task->reply, status, error);
  }
  worker->driver.requests--;
  bool stopped = task->stopped;
  bridge__task_drop(worker, task);
  if (stopped) {
    collect_left(worker);
  }
}

void bridge__task_end(bridge_worker *worker,
                      bridge__task *task,
                      const bridge__resumed *resumed)
{
  if (task == worker->driver.main) {
    end_main(worker, task, resumed);
  } else {
    end_request(worker, task, resumed);
  }
}
