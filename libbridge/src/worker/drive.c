/* Who runs a worker: the loop of its own thread, or the steps of the host.
   Both take turns, and a turn is the only place where its Lua runs. */
#include "worker/worker.h"

#include "queue/queue.h"

enum {
  DEFAULT_BUDGET = 64
};

static _Thread_local bridge_worker *current;

bridge_worker *bridge_worker_current(void)
{
  return current;
}

bool bridge_worker_cancelled(void)
{
  bool broken = bridge__interrupted() || bridge__out_of_time();
  return broken ||
         (current != NULL && bridge__guard_cancelled(&current->state->guard));
}

/* How many workers the calling thread is in, one stepped by the script of another:
   each has a C stack of Lua's upon those below it. */
static _Thread_local unsigned nested;
enum {
  NESTED_MAX = 16
};

/* What a thread was doing before it entered a worker. */
typedef struct presence {
  bridge_worker *worker;
  bridge__interrupt *interrupt;
  bridge__owner *owner;
} presence;

static presence arrive(bridge_worker *worker)
{
  presence before = {current, bridge__interrupt_bind(&worker->interrupt),
                     bridge__owner_bind(&worker->owner)};
  current = worker;
  nested++;
  return before;
}

static void depart(presence before)
{
  current = before.worker;
  nested--;
  bridge__interrupt_bind(before.interrupt);
  bridge__owner_bind(before.owner);
}

/* ---- A turn ---- */

/* One thing of each sort, so that none starves another.  False if there was
   nothing. */
static bool advance(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  if (!bridge__worker_interrupted(worker) &&
      bridge__leash_due(&worker->life, NULL) != BRIDGE__DUE_NOT) {
    bridge__interrupt_request(&worker->interrupt); /* its time is over */
  }
  if (bridge__worker_interrupted(worker)) {
    bridge__task_wake_all(worker, BRIDGE_ECANCELLED);
  }
  if (driver->timer_count > 0) {
    bridge__task_expire(worker, bridge__now());
  }
  bool advanced = bridge__service_early(worker);
  bridge__task *task = bridge__task_next(worker);
  if (task != NULL) {
    bridge__service_resume(worker, task, 0);
    advanced = true;
  }
  bridge_message *message;
  if (driver->main != NULL &&
      bridge__queue_pop_kept(worker->inbox, &message, 0) == BRIDGE_OK) {
    bridge__service_receive(worker, message);
    advanced = true;
  }
  return advanced;
}

/* Wants the state held.  `first`, if any, is handled first; it is taken.
   BRIDGE_OK if there is more to do, BRIDGE_EEMPTY if it waits, BRIDGE_ECLOSED
   if the chunk ended. */
static bridge_status turn(bridge_worker *worker,
                          size_t budget,
                          bridge_message *first)
{
  bridge__driver *driver = &worker->driver;
  presence before = arrive(worker);
  if (!driver->started) {
    driver->started = true;
    bridge__leash_limit(&worker->life, &worker->life_limits);
    bridge__worker_begin(worker);
  }
  if (first != NULL) {
    bridge__service_receive(worker, first);
  }
  bool advanced = true;
  while (driver->main != NULL && advanced && budget > 0 && !driver->urged &&
         !bridge__worker_paused(worker)) {
    advanced = advance(worker);
    budget--;
  }
  driver->urged = false;
  depart(before);
  if (driver->main == NULL) {
    return BRIDGE_ECLOSED;
  }
  return advanced ? BRIDGE_OK : BRIDGE_EEMPTY;
}

/* ---- The end ---- */

bridge_status bridge__worker_enter(bridge_worker *worker)
{
  bridge__mutex_lock(&worker->mutex);
  bridge_status status = BRIDGE_ECLOSED;
  if (!worker->closed) {
    status = bridge__hold_enter(&worker->state->hold, 0);
  }
  bridge__mutex_unlock(&worker->mutex);
  return status == BRIDGE_ETIMEDOUT ? BRIDGE_EBUSY : status;
}

/* From here on nobody outside reaches the state; finalizers inside still do. */
static void close_state(bridge_worker *worker)
{
  bridge_state *state = worker->state;
  bridge__mutex_lock(&worker->mutex);
  bridge_state_memory(state, NULL, &worker->final_peak, &worker->final_limit);
  worker->closed = true;
  while (worker->visitors > 0) {
    bridge__condition_wait(&worker->ended, &worker->mutex, INT64_MAX);
  }
  bridge__mutex_unlock(&worker->mutex);
  bridge__hold_leave(&state->hold);
  bridge_state_release(state);
  worker->state = NULL;
}

static void answer_tasks(bridge_worker *worker,
                         bridge_status status,
                         bridge_error *error)
{
  bridge__driver *driver = &worker->driver;
  for (size_t i = 0; i < driver->task_capacity; i++) {
    bridge__task *task = driver->tasks[i];
    if (task != NULL && task->reply != NULL) {
      bridge__reply_failure(&task->reply, status, bridge_error_retain(error));
    }
  }
}

void bridge__worker_finish(bridge_worker *worker)
{
  /* For what its coroutines close: who ends it waits for them. */
  static const bridge_limits patience = {.timeout_ms = 1000};
  presence before = arrive(worker);
  bool cancelled = bridge__worker_interrupted(worker);
  bridge_status why = cancelled ? BRIDGE_ECANCELLED : BRIDGE_EDEAD;
  if (worker->driver.main != NULL) {
    worker->outcome = BRIDGE_ECANCELLED; /* it never came to its end */
  }
  bridge__worker_set_phase(worker, BRIDGE_WORKER_STOPPING);
  bridge_queue_close(worker->inbox);
  bridge_error *cause = cancelled ? NULL : bridge__worker_obituary(worker);
  answer_tasks(worker, why, cause);
  bridge__service_refuse_all(worker, why, cause);
  bridge_error_release(cause);
  bridge__next_end(worker);
  bridge_message_release(worker->driver.values); /* it was never begun */
  worker->driver.values = NULL;
  bridge__worker_exit(worker);
  worker->driver.ending = true;
  bridge__leash_limit(&worker->last, &patience);
  bridge__task_free_all(worker);
  close_state(worker);
  bridge__owner_end(&worker->owner);
  bridge__log_end(&worker->log); /* who joins it finds that told */
  bridge__mutex_lock(&worker->mutex);
  bridge__worker_set_phase(worker, BRIDGE_WORKER_ENDED);
  bridge__mutex_unlock(&worker->mutex);
  /* Not before, or who is woken would wait once more. */
  bridge__condition_broadcast(&worker->ended);
  bridge__notify_end(worker);
  depart(before);
}

void bridge__worker_end_now(bridge_worker *worker)
{
  bridge__interrupt_request(&worker->interrupt);
  bridge__worker_finish(worker);
}

/* ---- By a thread of its own ---- */

static int64_t next_deadline(const bridge_worker *worker)
{
  const bridge__driver *driver = &worker->driver;
  int64_t life = bridge__leash_deadline(&worker->life);
  int64_t first = driver->timer_count > 0 ? driver->timers[0]->deadline : life;
  return life < first ? life : first;
}

/* Sleep until there is something in the inbox, or a deadline has passed, or
   the worker is cancelled.  The message, or NULL. */
static bridge_message *wait_for_work(bridge_worker *worker, int64_t deadline)
{
  presence before = arrive(worker);
  bridge_message *message = NULL;
  bridge__queue_pop_kept(worker->inbox, &message, bridge__remaining(deadline));
  depart(before);
  return message;
}

void bridge__worker_thread(void *user)
{
  bridge_worker *worker = user;
  bridge_message *first = NULL;
  bridge__registry_admit(worker); /* before its script looks for it */
  bridge__gauge_arrive(&worker->gauge);
  for (;;) {
    bridge__worker_wait_while_paused(worker);
    bridge__hold_enter(&worker->state->hold, -1);
    bridge_status status = turn(worker, DEFAULT_BUDGET, first);
    first = NULL;
    if (status == BRIDGE_ECLOSED) {
      bridge__gauge_depart(&worker->gauge);
      bridge__worker_finish(worker);
      break;
    }
    int64_t deadline = next_deadline(worker);
    bridge__hold_leave(&worker->state->hold);
    if (status == BRIDGE_EEMPTY) {
      first = wait_for_work(worker, deadline);
    }
  }
  bridge_worker_release(worker);
}

/* ---- By the host ---- */

/* A number that no other thread has had or will have. */
static uint64_t this_thread(void)
{
  static atomic_uint_fast64_t last;
  static _Thread_local uint64_t number;
  if (number == 0) {
    /* Needs to be unique, not ordered. */
    number = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
  }
  return number;
}

static bridge_status check_host(const bridge_worker *worker)
{
  if (worker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  return worker->drive == BRIDGE_DRIVE_HOST ? BRIDGE_OK : BRIDGE_EUNSUPPORTED;
}

bridge_status bridge_worker_step(bridge_worker *worker, size_t budget)
{
  bridge_status status = check_host(worker);
  if (status == BRIDGE_OK && nested >= NESTED_MAX) {
    status = BRIDGE_ELIMIT;
  }
  if (status == BRIDGE_OK && bridge__worker_paused(worker)) {
    status = BRIDGE_EEMPTY;
  }
  if (status == BRIDGE_OK) {
    status = bridge__worker_enter(worker);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_worker_retain(worker); /* its own script may drop the last handle */
  /* Publishes nothing: only this thread would find itself in it. */
  atomic_store_explicit(&worker->stepper, this_thread(), memory_order_relaxed);
  bridge__gauge_arrive(&worker->gauge);
  status = turn(worker, budget == 0 ? DEFAULT_BUDGET : budget, NULL);
  bridge__gauge_depart(&worker->gauge);
  if (status == BRIDGE_ECLOSED) {
    bridge__worker_finish(worker);
  } else {
    bridge__hold_leave(&worker->state->hold);
  }
  bridge_worker_release(worker);
  return status;
}

bool bridge__worker_stepped_here(const bridge_worker *worker)
{
  /* Takes nothing: see bridge_worker_step. */
  return atomic_load_explicit(&worker->stepper, memory_order_relaxed) ==
         this_thread();
}

static int time_left(const bridge_worker *worker)
{
  const bridge__driver *driver = &worker->driver;
  if (bridge__worker_paused(worker)) {
    return -1;
  }
  if (!driver->started || driver->ready_first != NULL ||
      bridge__worker_interrupted(worker)) {
    return 0;
  }
  return bridge__remaining(next_deadline(worker));
}

bridge_status bridge_worker_timeout(const bridge_worker *worker, int *out)
{
  bridge_status status = check_host(worker);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_worker *self = (bridge_worker *)(uintptr_t)worker;
  status = bridge__worker_enter(self);
  if (status == BRIDGE_OK) {
    *out = time_left(worker);
    bridge__hold_leave(&self->state->hold);
  } else if (status == BRIDGE_EDEADLOCK) {
    *out = time_left(worker); /* asked by its own script */
  } else {
    *out = status == BRIDGE_ECLOSED ? -1 : 0; /* ended, or being stepped */
  }
  return BRIDGE_OK;
}

bridge_waker *bridge_worker_waker(const bridge_worker *worker)
{
  bool stepped = worker != NULL && worker->drive == BRIDGE_DRIVE_HOST;
  return stepped ? bridge_queue_waker(worker->inbox) : NULL;
}
