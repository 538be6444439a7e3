/* Answering requests: each one runs in a coroutine of its own, from here to
   its answer. */
#include "worker/worker.h"

#include "lua/cause.h"
#include "message/error.h"
#include "queue/queue.h"

#include <lauxlib.h>

#include <stdio.h>
#include <string.h>

/* ---- How a task runs ---- */

void bridge__service_resume(bridge_worker *worker,
                            bridge__task *task,
                            int arguments)
{
  bridge__driver *driver = &worker->driver;
  bridge__task *before = driver->running;
  driver->running = task;
  bridge__gauge_begin(&worker->gauge, &task->label);
  bridge__worker_enter_lua(worker);
  bridge__resumed resumed = bridge__guard_resume(
      &worker->state->guard, bridge__turn_begin(worker, task), task->L,
      arguments, BRIDGE__MAY_YIELD);
  bridge__turn_end(worker);
  bridge__worker_leave_lua(worker);
  bridge__gauge_end(&worker->gauge);
  driver->running = before;
  if (resumed.ended == BRIDGE__PREEMPTED) {
    driver->urged = true;
    bridge__task_ready(worker, task);
  } else if (resumed.ended == BRIDGE__ENDED && resumed.code == LUA_YIELD) {
    lua_pop(task->L, resumed.results);
    if (task->wait == BRIDGE__WAIT_NOTHING) {
      /* A plain coroutine.yield(): let the others go first. */
      bridge__task_ready(worker, task);
    }
  } else {
    bridge__task_end(worker, task, &resumed);
  }
  bridge__next_proceed(worker);
  bridge__service_check_end(worker);
}

/* ---- How a request begins ---- */

static void refuse(bridge_worker *worker,
                   bridge_message *request,
                   bridge_status status,
                   bridge_error *error)
{
  if (request->envelope.kind == BRIDGE__WITHDRAW) {
    bridge_error_release(error);
    bridge_message_release(request);
    return;
  }
  bridge__reply *reply = request->envelope.attachment;
  request->envelope.attachment = NULL;
  if (reply != NULL) {
    bridge__reply_failure(&reply, status, error);
  } else {
    bridge__worker_report(worker, "a request that nobody waits for", status,
                          error);
    bridge_error_release(error);
  }
  bridge_message_release(request);
}

/* How many bytes of a name an error shows. */
enum {
  SHOWN_NAME = 80
};

/* A name in a text that ends at a NUL: what cannot be seen comes as Lua writes it
   in a string. */
static void show_name(char *out, const char *name, size_t size)
{
  for (size_t i = 0; i < size && i < SHOWN_NAME; i++) {
    unsigned char byte = (unsigned char)name[i];
    out += byte < ' ' || byte == 127 ? snprintf(out, 5, "\\%03u", byte)
                                     : snprintf(out, 2, "%c", byte);
  }
  *out = '\0';
}

static bridge_error *no_handler(lua_State *L, int index)
{
  if (lua_type(L, index) == LUA_TSTRING) {
    size_t size;
    const char *name = lua_tolstring(L, index, &size);
    char shown[4 * SHOWN_NAME + 1];
    show_name(shown, name, size);
    return bridge__error_format(BRIDGE_ENOTFOUND, "no handler is called '%s'",
                                shown);
  }
  return bridge__error_format(BRIDGE_ENOTFOUND, "no handler is called by %s",
                              luaL_typename(L, index));
}

/* Put the handler in the place of its name, which is the lowest value. */
static bool find_handler(bridge_worker *worker, lua_State *L)
{
  lua_rawgeti(L, LUA_REGISTRYINDEX, worker->driver.handlers);
  lua_pushvalue(L, 1);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_replace(L, 1);
  return true;
}

/* After the handler, whose name is the lowest value. */
static void name_task(bridge__task *task)
{
  size_t size = 0;
  if (lua_type(task->L, 1) == LUA_TSTRING) {
    const char *name = lua_tolstring(task->L, 1, &size);
    bridge__label_set(&task->label, name, size);
  } else {
    const char *type = luaL_typename(task->L, 1);
    bridge__label_set(&task->label, type, strlen(type));
  }
}

/* The handler and its arguments on a coroutine; the message stays. */
static bridge_status prepare(bridge_worker *worker,
                             bridge__task *task,
                             const bridge_message *request,
                             int *arguments,
                             bridge_error **error)
{
  int count;
  bridge_status status =
      bridge__state_unpack(worker->state, task->L, request, &count, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (!lua_checkstack(task->L, 4)) {
    return BRIDGE_ENOMEM;
  }
  name_task(task);
  if (!find_handler(worker, task->L)) {
    *error = no_handler(task->L, 1);
    return BRIDGE_ENOTFOUND;
  }
  *arguments = count - 1;
  return BRIDGE_OK;
}

/* What objects are made of again is script code, too. */
typedef struct beginning {
  bridge_worker *worker;
  bridge__task *task;
  const bridge_message *request;
  int arguments;
  bridge_error *error;
  bridge_status status;
} beginning;

static void prepare_protected(void *user)
{
  beginning *job = user;
  job->status = prepare(job->worker, job->task, job->request, &job->arguments,
                        &job->error);
}

static bridge_status prepare_guarded(beginning *job)
{
  bridge_worker *worker = job->worker;
  bridge__guard *guard = &worker->state->guard;
  bridge__worker_enter_lua(worker);
  bridge__resumed done =
      bridge__guard_call(guard, bridge__turn_begin(worker, job->task),
                         worker->state->main, prepare_protected, job);
  bridge__turn_end(worker);
  bridge__worker_leave_lua(worker);
  if (done.ended == BRIDGE__ENDED) {
    return job->status;
  }
  bridge_error_release(job->error);
  job->error = bridge__guard_take_stop(guard);
  job->task->stopped = true;
  return done.status;
}

/* How long its handler may take. */
static void limit_task(bridge_worker *worker, bridge__task *task)
{
  bridge__leash_limit(&task->leash, &worker->request_limits);
  if (task->reply != NULL) {
    bridge__leash_shorten(&task->leash, task->reply->deadline);
  }
}

static void dispatch(bridge_worker *worker, bridge_message *request)
{
  bridge__task *task;
  bridge__gauge_count(&worker->gauge.messages);
  bridge_status status = bridge__task_create(worker, &task);
  if (status != BRIDGE_OK) {
    refuse(worker, request, status, NULL);
    return;
  }
  task->reply = request->envelope.attachment;
  request->envelope.attachment = NULL;
  limit_task(worker, task);
  beginning job = {.worker = worker, .task = task, .request = request};
  status = prepare_guarded(&job);
  if (status != BRIDGE_OK) {
    request->envelope.attachment = task->reply;
    task->reply = NULL;
    lua_settop(task->L, 0);
    bridge__task_drop(worker, task);
    bridge__gauge_count(&worker->gauge.errors);
    refuse(worker, request, status, job.error);
    return;
  }
  bridge_message_release(request);
  worker->driver.requests++;
  bridge__service_resume(worker, task, job.arguments);
}

static void keep_for_later(bridge__driver *driver, bridge_message *request)
{
  request->node.next = NULL;
  if (driver->early_last != NULL) {
    driver->early_last->next = &request->node;
  } else {
    driver->early_first = &request->node;
  }
  driver->early_last = &request->node;
}

static void receive_answer(bridge_worker *worker, bridge_message *answer)
{
  bridge__task *task = bridge__task_find(worker, answer->envelope.session);
  if (task == NULL) {
    bridge__call_unheard(answer); /* it came too late */
    return;
  }
  task->answer = answer;
  bridge__task_wake(worker, task, BRIDGE_OK);
}

static void receive_request(bridge_worker *worker, bridge_message *request)
{
  if (bridge__worker_interrupted(worker)) {
    refuse(worker, request, BRIDGE_ECANCELLED, NULL);
  } else if (worker->driver.stopping) {
    refuse(worker, request, BRIDGE_ECLOSED, NULL);
  } else {
    dispatch(worker, request);
  }
}

void bridge__service_receive(bridge_worker *worker, bridge_message *message)
{
  bridge__driver *driver = &worker->driver;
  /* Behind those that have been waiting longer. */
  bool waits = !driver->serving || driver->early_first != NULL;
  bool follows =
      message->envelope.kind == BRIDGE__WITHDRAW && driver->early_first != NULL;
  bool early = message->envelope.kind == BRIDGE__REQUEST && waits;
  if ((early || follows) && !driver->stopping &&
      !bridge__worker_interrupted(worker)) {
    keep_for_later(driver, message);
    return;
  }
  bridge__queue_release_room(worker->inbox, message);
  switch (message->envelope.kind) {
  case BRIDGE__ANSWER:
    receive_answer(worker, message);
    return;
  case BRIDGE__NEXT:
    bridge__next_receive(worker, message);
    return;
  case BRIDGE__WITHDRAW:
    bridge__withdraw_receive(worker, message);
    return;
  case BRIDGE__STOP:
    bridge_message_release(message);
    driver->stopping = true;
    bridge__worker_set_phase(worker, BRIDGE_WORKER_STOPPING);
    bridge__service_check_end(worker);
    return;
  default:
    receive_request(worker, message);
  }
}

/* ---- bridge.serve ---- */

static bridge_message *take_early(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  bridge_message *request = (bridge_message *)(void *)driver->early_first;
  if (request != NULL) {
    driver->early_first = request->node.next;
    driver->early_last =
        driver->early_first == NULL ? NULL : driver->early_last;
    bridge__queue_release_room(worker->inbox, request);
  }
  return request;
}

bool bridge__service_early(bridge_worker *worker)
{
  bool may = worker->driver.serving && !bridge__worker_interrupted(worker);
  bridge_message *request = may ? take_early(worker) : NULL;
  if (request == NULL) {
    return false;
  }
  if (request->envelope.kind == BRIDGE__WITHDRAW) {
    bridge__withdraw_receive(worker, request);
  } else {
    dispatch(worker, request);
  }
  return true;
}

void bridge__service_refuse_all(bridge_worker *worker,
                                bridge_status status,
                                bridge_error *error)
{
  bridge_message *request;
  while ((request = take_early(worker)) != NULL) {
    refuse(worker, request, status, bridge_error_retain(error));
  }
  bridge_status popped = BRIDGE_OK;
  /* Until it is closed and empty; or not ours, in the child of a fork. */
  while (popped == BRIDGE_OK || popped == BRIDGE_EEMPTY) {
    popped = bridge_queue_pop(worker->inbox, &request, 0);
    if (popped == BRIDGE_EEMPTY) {
      bridge__yield(); /* a push was let in, and is not there yet */
    } else if (popped == BRIDGE_OK &&
               request->envelope.kind == BRIDGE__REQUEST) {
      refuse(worker, request, status, bridge_error_retain(error));
    } else if (popped == BRIDGE_OK) {
      bridge__call_unheard(request);
    }
  }
}

void bridge__service_check_end(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  bridge__task *main = driver->main;
  if (driver->stopping && driver->serving && driver->requests == 0 &&
      driver->early_first == NULL && main != NULL &&
      main->wait == BRIDGE__WAIT_STOP) {
    bridge__task_wake(worker, main, BRIDGE_OK);
  }
}
