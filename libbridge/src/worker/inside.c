/* The Lua functions of "bridge.inside", which only the states of workers have.
   What waits here yields to the driver, so that the worker's other coroutines go
   on; in a coroutine of the script's own it blocks the thread instead. */
#include "worker/worker.h"

#include "lua/cause.h"
#include "lua/failure.h"
#include "lua/libraries.h"
#include "lua/values.h"
#include "message/error.h"

#include <lauxlib.h>

#include <math.h>

enum {
  RETRY_NS = 1000000
};

static bridge_worker *self(lua_State *L)
{
  bridge_worker *worker = bridge_worker_current();
  if (worker == NULL) {
    luaL_error(L, "no worker is running this");
  }
  return worker;
}

/* The task whose coroutine this is, if it may yield to the driver. */
static bridge__task *own_task(bridge_worker *worker, lua_State *L)
{
  bridge__task *task = worker->driver.running;
  bool ours = task != NULL && task->L == L && lua_isyieldable(L);
  return ours ? task : NULL;
}

/* Wait, keeping the lowest values on the stack. */
static int yield_keeping(lua_State *L,
                         int kept,
                         lua_KContext context,
                         lua_KFunction finish)
{
  lua_settop(L, kept);
  return lua_yieldk(L, 0, context, finish);
}

/* Whether the time of what runs is over, which at the cooperative level is its own
   matter. */
static bool is_over(lua_State *L)
{
  const bridge__guard *guard = bridge__guard_of(L);
  return guard->level <= BRIDGE_STOP_COOPERATIVE &&
         bridge__guard_cancelled(guard);
}

/* The one ordinary error that a cancel with a grace is worth: no other follows.  At the
   cooperative level it is what a limit is worth, too. */
static int cancelled_error(lua_State *L)
{
  char text[BRIDGE__REASON] = "cancelled";
  bridge__guard *guard = bridge__guard_of(L);
  bridge__guard_clear_interrupt(guard);
  bridge__guard_reason(guard, text);
  return luaL_error(L, "%s", text);
}

/* Seconds, nil for ever.  Too many are for ever. */
static int64_t check_deadline(lua_State *L, int index)
{
  if (lua_isnoneornil(L, index)) {
    return INT64_MAX;
  }
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, !isnan(seconds), index, "not a number");
  if (seconds > 1e9) {
    return INT64_MAX;
  }
  return bridge__now() + (seconds > 0 ? (int64_t)(seconds * 1e9) : 0);
}

/* ---- sleep ---------------------------------------------------------------- */

/* All of these functions go on waiting if it was not the driver who resumed them,
   but a script that has the coroutine. */
static int sleep_finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  bridge__task *task = own_task(self(L), L);
  if (task == NULL) {
    return yield_keeping(L, 0, context, sleep_finish);
  }
  if (task->outcome == BRIDGE_ECANCELLED || is_over(L)) {
    return cancelled_error(L);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Block the thread, until the deadline or until it is cancelled. */
static int sleep_blocking(lua_State *L, int64_t deadline)
{
  bridge_waker *never = NULL;
  bridge_status status = bridge_waker_create(&never, BRIDGE_WAKER_CONDITION);
  if (status == BRIDGE_OK) {
    status = bridge_waker_wait(never, bridge__remaining(deadline));
    bridge_waker_release(never);
  }
  if (status == BRIDGE_ECANCELLED || is_over(L)) {
    return cancelled_error(L);
  }
  if (status != BRIDGE_ETIMEDOUT) {
    return bridge__push_failure(L, status, NULL, NULL);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int inside_sleep(lua_State *L)
{
  bridge_worker *worker = self(L);
  luaL_checknumber(L, 1);
  int64_t deadline = check_deadline(L, 1);
  bridge__task *task = own_task(worker, L);
  if (task == NULL) {
    return sleep_blocking(L, deadline);
  }
  bridge__task_wait(worker, task, BRIDGE__WAIT_TIME, deadline);
  return yield_keeping(L, 0, 0, sleep_finish);
}

/* ---- call ----------------------------------------------------------------- */

static bridge_worker *check_worker(lua_State *L, int index)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__HANDLES);
  const bridge__handles *handles = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (handles != NULL) {
    kind = handles->get(L, index, &handle);
  }
  if (kind != BRIDGE_HANDLE_WORKER || handle == NULL) {
    luaL_typeerror(L, index, "bridge.Worker");
  }
  return handle;
}

/* The name and the arguments, which begin at an index, as a request. */
static bridge_message *check_request(lua_State *L, int first)
{
  luaL_checkany(L, first);
  bridge_message *request = NULL;
  bridge_status status = bridge_message_create(&request, 0);
  if (status != BRIDGE_OK) {
    luaL_error(L, "%s", bridge_status_text(status));
  }
  int count = lua_gettop(L) - first + 1;
  if (bridge__pack_as(L, first, count, request, bridge__argument_of_request) !=
      BRIDGE_OK) {
    bridge_message_release(request);
    luaL_where(L, 1);
    lua_insert(L, -2); /* before the text that says which value cannot cross */
    lua_concat(L, 2);
    lua_error(L);
  }
  return request;
}

/* The failure of a call, which the script may raise as text. */
static int push_failure(lua_State *L,
                        const bridge_worker *worker,
                        bridge_status status,
                        const bridge_error *failure,
                        const char *asked)
{
  int count = bridge__push_failure(L, status, failure, asked);
  if (count == 4 && worker->driver.running != NULL) {
    bridge__cause_remember(L, worker->driver.running);
  }
  return count;
}

/* The values or the failure of an answer that the task owns. */
static int push_answer(lua_State *L,
                       bridge_worker *worker,
                       const bridge_message *answer,
                       const char *asked)
{
  const bridge_error *failure = NULL;
  bridge_status status = bridge_answer_error(answer, &failure);
  if (status != BRIDGE_OK) {
    return push_failure(L, worker, status, failure, asked);
  }
  int count = 0;
  bridge_error *error = NULL;
  status = bridge__state_unpack(worker->state, L, answer, &count, &error);
  if (status == BRIDGE_OK) {
    return count;
  }
  return bridge__give_failure(L, status, error, asked);
}

static int call_again(lua_State *L,
                      bridge_worker *worker,
                      bridge__task *task,
                      bridge_worker *target);

static int call_finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  bridge_worker *target = (bridge_worker *)context;
  bridge_worker *worker = self(L);
  bridge__task *task = own_task(worker, L);
  if (task == NULL) {
    return yield_keeping(L, 1, context, call_finish);
  }
  if (task->outcome == BRIDGE_ECANCELLED) {
    return cancelled_error(L);
  }
  if (task->request != NULL && task->outcome == BRIDGE_OK) {
    return call_again(L, worker, task, target);
  }
  if (task->outcome != BRIDGE_OK) {
    return bridge__push_failure(L, task->outcome, NULL,
                                bridge_worker_name(target));
  }
  return push_answer(L, worker, task->answer, bridge_worker_name(target));
}

/* Post the task's request, or wait a little if the other's inbox is full: to
   block the thread could leave two workers waiting for each other. */
static int call_again(lua_State *L,
                      bridge_worker *worker,
                      bridge__task *task,
                      bridge_worker *target)
{
  int64_t deadline = task->call_deadline;
  bridge__task_wait(worker, task, BRIDGE__WAIT_ANSWER, deadline);
  bridge_status status =
      bridge__worker_ask(target, &task->request, 0, worker->inbox,
                         bridge__task_session(task), deadline);
  if (status == BRIDGE_OK) {
    return yield_keeping(L, 1, (lua_KContext)target, call_finish);
  }
  bridge__task_give_up(worker, task);
  int64_t now = bridge__now();
  if (status == BRIDGE_EFULL && now < deadline) {
    int64_t retry = now + RETRY_NS;
    bridge__task_wait(worker, task, BRIDGE__WAIT_TIME,
                      retry < deadline ? retry : deadline);
    return yield_keeping(L, 1, (lua_KContext)target, call_finish);
  }
  bridge_message_release(task->request);
  task->request = NULL;
  return bridge__push_failure(L, status, NULL, bridge_worker_name(target));
}

static int call_blocking(lua_State *L,
                         bridge_worker *target,
                         bridge_message *request,
                         int64_t deadline)
{
  bridge_message *answer = NULL;
  bridge_error *error = NULL;
  bridge_status status = bridge_worker_call(
      target, &request, bridge__remaining(deadline), &answer, &error);
  bridge_message_release(request);
  int count = 0;
  if (status == BRIDGE_OK) {
    status = bridge__state_unpack(self(L)->state, L, answer, &count, &error);
    bridge_message_release(answer);
  }
  if (status != BRIDGE_OK) {
    count = bridge__push_failure(L, status, error, bridge_worker_name(target));
  }
  bridge_error_release(error);
  bridge__task *task = self(L)->driver.running;
  if (status != BRIDGE_OK && count == 4 && task != NULL) {
    bridge__cause_remember(L, task);
  }
  return status == BRIDGE_ECANCELLED ? cancelled_error(L) : count;
}

/* Nobody waits for an answer when he is stopped himself: then the other's handler is
   to be stopped, too. */
static int64_t within_own_time(const bridge_worker *worker, int64_t deadline)
{
  const bridge__task *running = worker->driver.running;
  int64_t end =
      bridge__leash_deadline(running == NULL ? &worker->life : &running->leash);
  return end < deadline ? end : deadline;
}

/* call(worker, seconds | nil, name, ...) -> results | nil, message, code, error */
static int inside_call(lua_State *L)
{
  bridge_worker *worker = self(L);
  bridge_worker *target = check_worker(L, 1);
  int64_t deadline = within_own_time(worker, check_deadline(L, 2));
  bridge_message *request = check_request(L, 3);
  bridge__task *task = own_task(worker, L);
  if (target == worker && !worker->driver.serving) {
    /* Nobody would ever answer. */
    task = NULL;
  }
  if (task == NULL) {
    return call_blocking(L, target, request, deadline);
  }
  lua_settop(L, 1); /* the worker must live as long as the call */
  bridge_message_release(task->request);
  task->request = request;
  task->call_deadline = deadline;
  return call_again(L, worker, task, target);
}

/* ---- serve ---------------------------------------------------------------- */

static void end_service(bridge_worker *worker, lua_State *L)
{
  bridge__driver *driver = &worker->driver;
  driver->serving = false;
  luaL_unref(L, LUA_REGISTRYINDEX, driver->handlers);
  driver->handlers = LUA_NOREF;
  if (!driver->stopping) {
    bridge__worker_set_phase(worker, BRIDGE_WORKER_RUNNING);
  }
}

static int serve_finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  bridge_worker *worker = self(L);
  bridge__task *task = own_task(worker, L);
  if (task == NULL) {
    return yield_keeping(L, 0, context, serve_finish);
  }
  bridge_status outcome = task->outcome;
  end_service(worker, L);
  return outcome == BRIDGE_OK ? 0 : cancelled_error(L);
}

/* Each value of the table can be called. */
static void check_handlers(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    bool callable =
        lua_isfunction(L, -1) || luaL_getmetafield(L, -1, "__call") != LUA_TNIL;
    if (!callable) {
      luaL_error(L, "the handler '%s' is a %s and cannot be called",
                 luaL_tolstring(L, 2, NULL), luaL_typename(L, 3));
    }
    lua_settop(L, 2);
  }
}

static int inside_serve(lua_State *L)
{
  bridge_worker *worker = self(L);
  bridge__driver *driver = &worker->driver;
  check_handlers(L);
  bridge__task *task = own_task(worker, L);
  if (task == NULL || task != driver->main) {
    return luaL_error(L, "bridge.serve belongs into the worker's main chunk");
  }
  lua_settop(L, 1);
  driver->handlers = luaL_ref(L, LUA_REGISTRYINDEX);
  driver->serving = true;
  if (!driver->stopping) {
    bridge__worker_set_phase(worker, BRIDGE_WORKER_SERVING);
  }
  bridge__task_wait(worker, task, BRIDGE__WAIT_STOP, INT64_MAX);
  return yield_keeping(L, 0, 0, serve_finish);
}

/* ---- yield ---------------------------------------------------------------- */

static int yield_finish(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  bridge_worker *worker = self(L);
  bridge__task *task = own_task(worker, L);
  if (task == NULL) {
    return yield_keeping(L, 0, context, yield_finish);
  }
  if (task->outcome != BRIDGE_OK) {
    return cancelled_error(L);
  }
  int count = 0;
  bridge_error *error = NULL;
  bridge_status outcome =
      bridge__state_unpack(worker->state, L, task->answer, &count, &error);
  return outcome == BRIDGE_OK ? count
                              : bridge__give_failure(L, outcome, error, NULL);
}

/* All values on the stack, which may be none. */
static bridge_message *check_values(lua_State *L)
{
  bridge_message *values = NULL;
  bridge_status status = bridge_message_create(&values, 0);
  if (status != BRIDGE_OK) {
    luaL_error(L, "%s", bridge_status_text(status));
  }
  if (bridge__pack(L, 1, lua_gettop(L), values) != BRIDGE_OK) {
    bridge_message_release(values);
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    lua_error(L);
  }
  return values;
}

static int inside_yield(lua_State *L)
{
  bridge_worker *worker = self(L);
  bridge__task *task = own_task(worker, L);
  if (task == NULL || task != worker->driver.main) {
    return luaL_error(L, "bridge.yield belongs into the worker's main chunk");
  }
  if (bridge__worker_interrupted(worker)) {
    return cancelled_error(L);
  }
  bridge_message *values = check_values(L);
  if (bridge__message_holds(values, worker)) {
    bridge_message_release(values);
    return luaL_error(L, "a worker cannot yield itself");
  }
  bridge__next_offer(worker, values);
  bridge__task_wait(worker, task, BRIDGE__WAIT_NEXT, INT64_MAX);
  return yield_keeping(L, 0, 0, yield_finish);
}

/* ---- The rest ------------------------------------------------------------- */

static int inside_self(lua_State *L)
{
  if (lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__HANDLES) == LUA_TNIL) {
    /* Its last step failed for lack of memory. */
    bridge__libraries_open_builtin(L);
    lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__HANDLES);
  }
  const bridge__handles *handles = lua_touserdata(L, -1);
  if (handles == NULL) {
    return luaL_error(L, "the module 'bridge' is not open");
  }
  handles->push(L, BRIDGE_HANDLE_WORKER, self(L));
  return 1;
}

static int inside_stop(lua_State *L)
{
  bridge_worker_stop(self(L));
  return 0;
}

static int inside_stopping(lua_State *L)
{
  lua_pushboolean(L, bridge__worker_stop_asked(self(L)));
  return 1;
}

static int inside_cancelled(lua_State *L)
{
  lua_pushboolean(L, self(L) != NULL && bridge_worker_cancelled());
  return 1;
}

static int open_module(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"call", inside_call},         {"cancelled", inside_cancelled},
      {"yield", inside_yield},       {"on_exit", bridge__exit_register},
      {"self", inside_self},         {"serve", inside_serve},
      {"sleep", inside_sleep},       {"stop", inside_stop},
      {"stopping", inside_stopping}, {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}

static int install(lua_State *L)
{
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_module);
  lua_setfield(L, -2, "bridge.inside");
  return 0;
}

bridge_status bridge__inside_install(bridge_worker *worker)
{
  lua_State *L = worker->state->main;
  lua_pushcfunction(L, install);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    return BRIDGE_ENOMEM;
  }
  return BRIDGE_OK;
}
