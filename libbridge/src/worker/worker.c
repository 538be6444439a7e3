/* A worker: how it is made, and what can be seen of it. */
#include "worker/worker.h"

#include "base/memory.h"
#include "message/error.h"
#include "queue/queue.h"

#include <lauxlib.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

void bridge_worker_options_init(bridge_worker_options *options)
{
  if (options != NULL) {
    *options =
        (bridge_worker_options){.version = BRIDGE_WORKER_OPTIONS_VERSION};
  }
}

/* ---- Destroying --------------------------------------------------------- */

static void free_parts(bridge_worker *worker)
{
  bridge__registry_remove(worker);
  bridge__worker_report_end(worker);
  bridge__log_end(&worker->log);
  bridge_queue_release(worker->log.queue);
  bridge__free(worker->warning.text);
  bridge_queue_release(worker->inbox);
  bridge_message_release(worker->stop_message);
  bridge_message_release(worker->results);
  bridge_error_release(worker->error);
  bridge_thread_release(worker->thread);
  bridge__free(worker->name);
  bridge__calls_free(worker);
  bridge__withdraw_free(worker);
  bridge__interrupt_destroy(&worker->interrupt);
  bridge__condition_destroy(&worker->ended);
  bridge__mutex_destroy(&worker->mutex);
  bridge__free(worker);
}

static void worker_destroy(void *object)
{
  bridge_worker *worker = object;
  if (bridge__forked(worker)) {
    /* The parent's thread may have been in the middle of anything: its state
       cannot be closed here. */
    return;
  }
  if (worker->state != NULL && bridge__worker_enter(worker) == BRIDGE_OK) {
    /* What it runs at its end may ask for its own handle: so with a reference,
       whose end comes here again, without a state. */
    bridge_worker_retain(worker);
    bridge__worker_end_now(worker);
    bridge_worker_release(worker);
    return;
  }
  free_parts(worker);
}

static const bridge__type worker_type = {
    BRIDGE_HANDLE_WORKER, "worker", worker_destroy, &bridge__worker_listing};

/* ---- Creating ----------------------------------------------------------- */

static bridge_status make_name(bridge_worker *worker, const char *name)
{
  char made[32];
  if (name == NULL) {
    snprintf(made, sizeof(made), "worker-%llu", (unsigned long long)worker->id);
    name = made;
  }
  worker->name = bridge__copy_text(name, strlen(name));
  worker->object.name = worker->name;
  return worker->name == NULL ? BRIDGE_ENOMEM : BRIDGE_OK;
}

static bridge_status make_inbox(bridge_worker *worker,
                                const bridge_worker_options *options)
{
  bridge_queue_options inbox;
  bridge_queue_options_init(&inbox);
  inbox.items = options->inbox_items;
  inbox.bytes = options->inbox_bytes;
  if (options->drive == BRIDGE_DRIVE_HOST) {
    inbox.waker_kind = options->waker_kind;
  }
  bridge_status status = bridge_message_create(&worker->stop_message, 0);
  if (status != BRIDGE_OK) {
    return status;
  }
  worker->stop_message->envelope.kind = BRIDGE__STOP;
  const bool drops = options->inbox_full == BRIDGE_QUEUE_DROP_OLDEST;
  inbox.policy = drops ? BRIDGE_QUEUE_DROP_OLDEST : BRIDGE_QUEUE_BLOCK;
  status = bridge__queue_make(&worker->inbox, &inbox);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Thousands of workers that look for work would leave nothing to those who have
     some. */
  bridge__queue_sleep_first(worker->inbox);
  if (drops) {
    bridge__queue_on_drop(worker->inbox, bridge__request_dropped, worker);
  }
  return status;
}

static bridge_status make_state(bridge_worker *worker,
                                const bridge_worker_options *options,
                                bridge_message *arguments,
                                bridge_error **error)
{
  bridge_state_options state;
  bridge_state_options_init(&state);
  if (options->state != NULL) {
    state = *options->state;
  }
  if (state.version == BRIDGE_STATE_OPTIONS_VERSION && state.name == NULL) {
    state.name = worker->name;
  }
  bridge_status status = bridge_state_create(&worker->state, &state, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__hold_enter(&worker->state->hold, -1);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__worker_hear_warnings(worker);
  status = bridge__inside_install(worker);
  if (status == BRIDGE_OK) {
    status = bridge__worker_load(worker, options, arguments, error);
  }
  bridge__hold_leave(&worker->state->hold);
  if (status == BRIDGE_ENOMEM && *error == NULL && state.memory_limit > 0) {
    *error = bridge__error_format(
        status, "memory_limit: %zu bytes have no room for the chunk",
        state.memory_limit);
  }
  return status;
}

static bridge_status make_locks(bridge_worker *worker)
{
  bridge_status status = bridge__mutex_init(&worker->mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__condition_init(&worker->ended);
  if (status != BRIDGE_OK) {
    bridge__mutex_destroy(&worker->mutex);
    return status;
  }
  bridge__owner_init(&worker->owner);
  status = bridge__interrupt_init(&worker->interrupt);
  if (status != BRIDGE_OK) {
    bridge__condition_destroy(&worker->ended);
    bridge__mutex_destroy(&worker->mutex);
  }
  return status;
}

/* Why there is no thread, as far as anybody knows. */
static bridge_error *refused(const bridge_worker_options *options,
                             bridge_status status)
{
  int code = errno;
  bool particular =
      options->priority != BRIDGE_PRIORITY_NORMAL || options->affinity != 0;
  const char *reason =
      status == BRIDGE_ESYSTEM ? strerror(code) : bridge_status_text(status);
  if (particular &&
      (status == BRIDGE_ESYSTEM || status == BRIDGE_EUNSUPPORTED)) {
    return bridge__error_format(status,
                                "the system refuses the priority %d, or the "
                                "processors %#llx: %s",
                                (int)options->priority,
                                (unsigned long long)options->affinity, reason);
  }
  if (options->stack_size > 0) {
    return bridge__error_format(
        status, "no thread with a stack of %zu bytes (stack_size): %s",
        options->stack_size, reason);
  }
  return bridge__error_format(status, "no thread: %s", reason);
}

static bridge_status start_thread(bridge_worker *worker,
                                  const bridge_worker_options *options,
                                  bridge_error **error)
{
  bridge_thread_options thread;
  bridge_thread_options_init(&thread);
  thread.name = worker->name;
  thread.stack_size = options->stack_size;
  thread.priority = options->priority;
  thread.affinity = options->affinity;
  thread.keep = true;
  bridge_worker_retain(worker); /* the thread's */
  bridge_status status = bridge_thread_create(
      &worker->thread, bridge__worker_thread, worker, &thread);
  if (status != BRIDGE_OK) {
    *error = refused(options, status);
    bridge_worker_release(worker);
  }
  return status;
}

static bridge_status make_parts(bridge_worker *worker,
                                const bridge_worker_options *options,
                                bridge_message *arguments,
                                bridge_error **error)
{
  bridge_status status = make_name(worker, options->name);
  bridge__leash_init(&worker->life, NULL, NULL);
  bridge__leash_init(&worker->last, NULL, NULL);
  bridge__leash_init(&worker->turn, NULL, NULL);
  bridge__leash_end(&worker->turn);
  worker->life_limits = options->life;
  worker->request_limits = options->request;
  worker->log.name = worker->name;
  worker->log.id = worker->id;
  worker->log.queue = bridge_queue_retain(options->log);
  if (status == BRIDGE_OK) {
    status = make_inbox(worker, options);
  }
  if (status == BRIDGE_OK) {
    status = make_state(worker, options, arguments, error);
  }
  if (status == BRIDGE_OK) {
    bridge__registry_add(worker);
  }
  if (status == BRIDGE_OK && worker->drive == BRIDGE_DRIVE_THREAD) {
    status = start_thread(worker, options, error);
  }
  return status;
}

static bridge_status create(bridge_worker **out,
                            const bridge_worker_options *options,
                            bridge_message *arguments,
                            bridge_error **error)
{
  bridge_worker *worker = bridge__allocate_zero(sizeof(*worker));
  if (worker == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = make_locks(worker);
  if (status != BRIDGE_OK) {
    bridge__free(worker);
    return status;
  }
  bridge__object_init(worker, &worker_type);
  worker->id = bridge__registry_number();
  worker->object.id = worker->id;
  worker->drive = options->drive;
  worker->inbox_fails = options->inbox_full == BRIDGE_QUEUE_FAIL;
  worker->driver.handlers = LUA_NOREF;
  status = make_parts(worker, options, arguments, error);
  if (status == BRIDGE_OK) {
    bridge__registry_admit(worker);
    *out = worker;
  } else {
    worker->driver.values = NULL; /* they stay the caller's */
    bridge_worker_release(worker);
  }
  return status;
}

bridge_status bridge_worker_create(bridge_worker **out,
                                   const bridge_worker_options *options,
                                   bridge_message **arguments,
                                   bridge_error **error)
{
  bridge_error *failure = NULL;
  if (error != NULL) {
    *error = NULL;
  }
  bridge_status status = bridge__worker_check(options, &failure);
  bridge_message *values = arguments == NULL ? NULL : *arguments;
  if (out == NULL || (values != NULL && !bridge__message_finished(values))) {
    status = BRIDGE_EINVAL;
  }
  bool kept = bridge__worker_keeps(values); /* and gone, once it runs */
  if (status == BRIDGE_OK) {
    status = create(out, options, values, &failure);
  }
  if (status == BRIDGE_OK && arguments != NULL) {
    bridge_message_release(kept ? NULL : values);
    *arguments = NULL;
  }
  return bridge__error_give(error, failure, status);
}

bridge_worker *bridge_worker_retain(bridge_worker *worker)
{
  return bridge__retain(worker);
}

void bridge_worker_release(bridge_worker *worker)
{
  bridge__release(worker);
}

/* ---- Looking at --------------------------------------------------------- */

const char *bridge_worker_name(const bridge_worker *worker)
{
  return worker == NULL ? "" : worker->name;
}

uint64_t bridge_worker_id(const bridge_worker *worker)
{
  return worker == NULL ? 0 : worker->id;
}

bridge_worker_phase bridge_worker_phase_of(const bridge_worker *worker)
{
  if (worker == NULL) {
    return BRIDGE_WORKER_ENDED;
  }
  /* Takes the outcome, once it has ended. */
  return (bridge_worker_phase)atomic_load_explicit(&worker->phase,
                                                   memory_order_acquire);
}

bridge_status bridge_worker_memory(const bridge_worker *worker,
                                   size_t *used,
                                   size_t *peak,
                                   size_t *limit)
{
  if (worker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  bridge__mutex *mutex = (bridge__mutex *)(uintptr_t)&worker->mutex;
  bridge__mutex_lock(mutex);
  if (!worker->closed) {
    bridge_state_memory(worker->state, used, peak, limit);
  } else {
    if (used != NULL) {
      *used = 0;
    }
    if (peak != NULL) {
      *peak = worker->final_peak;
    }
    if (limit != NULL) {
      *limit = worker->final_limit;
    }
  }
  bridge__mutex_unlock(mutex);
  return BRIDGE_OK;
}
