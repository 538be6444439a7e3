/* Pause: nothing of a worker's Lua runs until it is resumed, closed or cancelled. */
#include "worker/worker.h"

#include "queue/queue.h"

static bridge_status check(const bridge_worker *worker)
{
  if (worker == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(worker) ? BRIDGE_EFORKED : BRIDGE_OK;
}

bridge_status bridge_worker_pause(bridge_worker *worker)
{
  bridge_status status = check(worker);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&worker->mutex);
  /* Cancelled it has to come to its end. */
  if (!worker->closed && !bridge__worker_interrupted(worker)) {
    /* Publishes nothing but itself. */
    atomic_store_explicit(&worker->interrupt.held, true, memory_order_relaxed);
    status = bridge__guard_pause(&worker->state->guard);
  }
  bridge__mutex_unlock(&worker->mutex);
  return status;
}

bridge_status bridge_worker_resume(bridge_worker *worker)
{
  bridge_status status = check(worker);
  if (status == BRIDGE_OK) {
    bridge__worker_unpause(worker);
  }
  return status;
}

void bridge__worker_unpause(bridge_worker *worker)
{
  bridge__mutex_lock(&worker->mutex);
  /* Publishes nothing but itself. */
  bool was = atomic_exchange_explicit(&worker->interrupt.held, false,
                                      memory_order_relaxed);
  if (was && !worker->closed) {
    bridge__guard_unpause(&worker->state->guard);
  }
  bridge__mutex_unlock(&worker->mutex);
  if (was) {
    bridge__condition_broadcast(&worker->ended); /* its own thread, too */
    bridge__interrupt_rouse(&worker->interrupt); /* and its wait */
    bridge_waker_raise(bridge_queue_waker(worker->inbox));
  }
}

void bridge__worker_wait_while_paused(bridge_worker *worker)
{
  if (!bridge__worker_paused(worker)) {
    return;
  }
  bridge__mutex_lock(&worker->mutex);
  while (bridge__worker_paused(worker)) {
    bridge__condition_wait(&worker->ended, &worker->mutex, INT64_MAX);
  }
  bridge__mutex_unlock(&worker->mutex);
}
