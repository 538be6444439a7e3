/* How a worker ends: asked to stop, cancelled, waited for, closed in stages. */
#include "worker/worker.h"

#include "queue/queue.h"
#include "thread/thread.h"

#include <limits.h>

enum {
  DEFAULT_GRACE_MS = 1000,
  /* Before a thread is given up, whatever the grace: it may just be about to end,
     on a busy machine. */
  LEAST_MS = 100
};

static bridge_status check(const bridge_worker *worker)
{
  if (worker == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(worker) ? BRIDGE_EFORKED : BRIDGE_OK;
}

static bool has_ended(const bridge_worker *worker)
{
  return bridge_worker_phase_of(worker) == BRIDGE_WORKER_ENDED;
}

bridge_status bridge_worker_stop(bridge_worker *worker)
{
  bridge_status status = check(worker);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Publishes nothing but itself: who asks from now on is refused.  The message
     behind it tells the driver, after the requests that are in the inbox. */
  if (atomic_exchange_explicit(&worker->stop_asked, true,
                               memory_order_acq_rel)) {
    return BRIDGE_OK;
  }
  bridge__queue_push_forced(worker->inbox, &worker->stop_message);
  return BRIDGE_OK;
}

static bridge_status stop_scripts(bridge_worker *worker,
                                  bridge_stop_level level,
                                  int grace_ms)
{
  bridge_status status = BRIDGE_OK;
  bridge__mutex_lock(&worker->mutex);
  if (!worker->closed) {
    status =
        bridge__state_stop(worker->state, &worker->life,
                           bridge__guard_use(&worker->life), level, grace_ms);
  }
  bridge__mutex_unlock(&worker->mutex);
  return status;
}

bridge_status bridge_worker_cancel(bridge_worker *worker,
                                   bridge_stop_level level,
                                   int grace_ms)
{
  bridge_status status = check(worker);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (!bridge__stop_level_valid(level) || grace_ms < 0) {
    return BRIDGE_EINVAL;
  }
  /* First: who is woken must find that it is stopped, and not go on. */
  status = stop_scripts(worker, level, grace_ms);
  bridge__interrupt_request(&worker->interrupt);
  bridge__worker_unpause(worker);
  bridge_waker_raise(bridge_queue_waker(worker->inbox));
  return status;
}

static void wake_joiners(void *object)
{
  bridge_worker *worker = object;
  bridge__mutex_lock(&worker->mutex);
  bridge__condition_broadcast(&worker->ended);
  bridge__mutex_unlock(&worker->mutex);
}

/* Wait for the end of a worker that has a thread. */
static bridge_status wait_for_end(bridge_worker *worker, int timeout_ms)
{
  int64_t deadline = bridge__wait_deadline(timeout_ms);
  if (has_ended(worker)) {
    return BRIDGE_OK;
  }
  if (bridge__worker_lost(worker)) {
    return BRIDGE_ELOST;
  }
  if (timeout_ms == 0) {
    return BRIDGE_ETIMEDOUT;
  }
  if (!bridge__wait_begin(wake_joiners, worker)) {
    return BRIDGE_ECANCELLED;
  }
  bool in_time = true;
  bridge__mutex_lock(&worker->mutex);
  while (!has_ended(worker) && !bridge__worker_lost(worker) && in_time &&
         !bridge__interrupted()) {
    in_time = bridge__condition_wait(&worker->ended, &worker->mutex, deadline);
  }
  bridge__mutex_unlock(&worker->mutex);
  bridge__wait_end();
  if (has_ended(worker)) {
    return BRIDGE_OK;
  }
  if (bridge__worker_lost(worker)) {
    return BRIDGE_ELOST;
  }
  return in_time ? BRIDGE_ECANCELLED : BRIDGE_ETIMEDOUT;
}

static bridge_status wait_or_refuse(bridge_worker *worker, int timeout_ms)
{
  if (worker == bridge_worker_current()) {
    return BRIDGE_EDEADLOCK;
  }
  bool stepped = worker->drive == BRIDGE_DRIVE_HOST;
  if (stepped && timeout_ms != 0 && !has_ended(worker)) {
    return BRIDGE_EUNSUPPORTED;
  }
  bridge_status status = wait_for_end(worker, timeout_ms);
  if (status == BRIDGE_OK && !stepped && !bridge__thread_join(worker->thread)) {
    /* It has only to return; afterwards no thread of the worker is left. */
    bridge_thread_join(worker->thread, -1);
  }
  return status;
}

bridge_status bridge_worker_join(bridge_worker *worker,
                                 int timeout_ms,
                                 bridge_message **results,
                                 bridge_error **error)
{
  if (results != NULL) {
    *results = NULL;
  }
  if (error != NULL) {
    *error = NULL;
  }
  bridge_status status = check(worker);
  if (status == BRIDGE_OK) {
    status = wait_or_refuse(worker, timeout_ms);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Publishes nothing: see bridge__worker_report_end. */
  atomic_store_explicit(&worker->told, true, memory_order_relaxed);
  if (worker->outcome == BRIDGE_OK && results != NULL) {
    return bridge_message_clone(results, worker->results);
  }
  if (worker->outcome != BRIDGE_OK && error != NULL) {
    *error = bridge_error_retain(worker->error);
  }
  return worker->outcome;
}

/* Wait for what a host's worker waits for, or for another thread that steps it. */
static bridge_status pause_stepping(bridge_worker *worker,
                                    bridge_status stepped,
                                    int left)
{
  int wanted = 0;
  if (stepped == BRIDGE_EBUSY) {
    return wait_for_end(worker, left < 10 ? left : 10);
  }
  bridge_worker_timeout(worker, &wanted);
  if (wanted == 0) {
    return wait_for_end(worker, 1); /* another thread has just begun a step */
  }
  bridge_status status =
      bridge_waker_wait(bridge_worker_waker(worker),
                        wanted >= 0 && wanted < left ? wanted : left);
  /* The host may have closed it, to be woken no more. */
  return status == BRIDGE_ECLOSED ? wait_for_end(worker, left < 10 ? left : 10)
                                  : status;
}

/* Step a host's worker until it has ended or the time is over. */
static bridge_status step_until(bridge_worker *worker, int64_t deadline)
{
  for (;;) {
    bridge_status status = bridge_worker_step(worker, 0);
    if (status == BRIDGE_ECLOSED) {
      return BRIDGE_OK;
    }
    int left = bridge__remaining(deadline);
    if (left == 0) {
      return BRIDGE_ETIMEDOUT;
    }
    if (status != BRIDGE_OK) {
      status = status == BRIDGE_EEMPTY || status == BRIDGE_EBUSY
                   ? pause_stepping(worker, status, left)
                   : status;
    }
    if (status != BRIDGE_OK && status != BRIDGE_ETIMEDOUT) {
      return status;
    }
  }
}

/* End it wherever it is, which is possible since nobody runs it. */
static bridge_status end_stepped(bridge_worker *worker)
{
  bridge_status status = bridge__worker_enter(worker);
  if (status == BRIDGE_OK) {
    bridge__worker_end_now(worker);
  }
  if (status == BRIDGE_EBUSY) {
    return BRIDGE_ETIMEDOUT; /* somebody does run it */
  }
  return status == BRIDGE_ECLOSED ? BRIDGE_OK : status;
}

/* One that was never stepped need not be begun. */
static bridge_status end_unstarted(bridge_worker *worker)
{
  bridge_status status = bridge__worker_enter(worker);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (!worker->driver.started) {
    bridge__worker_finish(worker);
    return BRIDGE_OK;
  }
  bridge__hold_leave(&worker->state->hold);
  return BRIDGE_EBUSY;
}

/* Cancels a host's worker when its time is over, from a thread of its own: the one
   that closes the worker is the one that runs its script. */
typedef struct canceller {
  bridge_worker *worker;
  bridge_waker *closed;
  bridge_thread *thread;
  int grace_ms;
} canceller;

static void cancel_late(void *user)
{
  canceller *self = user;
  if (bridge_waker_wait(self->closed, self->grace_ms) == BRIDGE_ETIMEDOUT) {
    bridge_worker_cancel(self->worker, BRIDGE_STOP_DEFAULT, 0);
  }
}

static bool canceller_start(canceller *self)
{
  if (bridge_waker_create(&self->closed, BRIDGE_WAKER_CONDITION) != BRIDGE_OK) {
    return false;
  }
  if (bridge_thread_create(&self->thread, cancel_late, self, NULL) ==
      BRIDGE_OK) {
    return true;
  }
  bridge_waker_release(self->closed);
  return false;
}

static void canceller_stop(canceller *self)
{
  bridge_waker_raise(self->closed);
  /* It has only to return, and must have done so before this stack goes. */
  bridge__interrupt *interrupt = bridge__interrupt_bind(NULL);
  bridge_thread_join(self->thread, -1);
  bridge__interrupt_bind(interrupt);
  bridge_thread_release(self->thread);
  bridge_waker_release(self->closed);
}

static bridge_status close_stepped(bridge_worker *worker, int grace_ms)
{
  bridge_status status = end_unstarted(worker);
  if (status != BRIDGE_EBUSY) {
    return status == BRIDGE_ECLOSED ? BRIDGE_OK : status;
  }
  canceller late = {.worker = worker, .grace_ms = grace_ms};
  bool watched = canceller_start(&late);
  if (!watched) {
    bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, 0);
  }
  int twice = grace_ms > INT_MAX / 2 ? INT_MAX : grace_ms * 2;
  status = step_until(worker, bridge__wait_deadline(twice));
  if (watched) {
    canceller_stop(&late);
  }
  bool given_up = status == BRIDGE_ETIMEDOUT && !bridge__out_of_time();
  return given_up ? end_stepped(worker) : status;
}

/* The second half of its time is hard: first it may clean up.  Where the caller was
   cancelled or its own time is over, the worker has none, and is not given up. */
static bridge_status close_threaded(bridge_worker *worker, int grace_ms)
{
  bridge_status status = wait_or_refuse(worker, grace_ms);
  bool hurried = status == BRIDGE_ECANCELLED ||
                 (status == BRIDGE_ETIMEDOUT && bridge__out_of_time());
  if (hurried) {
    bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, 0);
  } else if (status == BRIDGE_ETIMEDOUT) {
    bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, grace_ms / 2);
    status = wait_or_refuse(worker, grace_ms < LEAST_MS ? LEAST_MS : grace_ms);
  }
  bool given_up = status == BRIDGE_ETIMEDOUT && !bridge__out_of_time();
  return given_up ? bridge__worker_lose(worker) : status;
}

bridge_status bridge_worker_close(bridge_worker *worker, int grace_ms)
{
  bridge_status status = bridge_worker_stop(worker);
  if (status != BRIDGE_OK || has_ended(worker)) {
    return status;
  }
  if (worker == bridge_worker_current()) {
    return BRIDGE_EDEADLOCK;
  }
  bridge__worker_unpause(worker);
  int grace = grace_ms < 0 ? DEFAULT_GRACE_MS : grace_ms;
  return worker->drive == BRIDGE_DRIVE_HOST ? close_stepped(worker, grace)
                                            : close_threaded(worker, grace);
}
