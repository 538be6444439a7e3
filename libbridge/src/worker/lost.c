/* Lost: a worker whose script does not come back, and whose thread is given up.

   What it owes to others is in the hands of its driver, which is in the middle of Lua
   and touches none of it: `place` says so, and lets one of the two have it at a
   time. */
#include "worker/worker.h"

#include "queue/queue.h"

void bridge__worker_enter_lua(bridge_worker *worker)
{
  /* Publishes the driver, to who gives the worker up. */
  atomic_store_explicit(&worker->place, BRIDGE__IN_LUA, memory_order_release);
}

void bridge__worker_leave_lua(bridge_worker *worker)
{
  int place = BRIDGE__IN_LUA;
  /* Takes what was done to the driver by who gave it up. */
  while (!atomic_compare_exchange_weak_explicit(
      &worker->place, &place, BRIDGE__AT_WORK, memory_order_acquire,
      memory_order_relaxed)) {
    if (place == BRIDGE__AT_WORK) {
      return;
    }
    if (place == BRIDGE__GIVING_UP) {
      bridge__yield();
    }
    place = BRIDGE__IN_LUA;
  }
}

bool bridge__worker_lost(const bridge_worker *worker)
{
  return bridge_worker_phase_of(worker) == BRIDGE_WORKER_LOST;
}

/* Answer all that nobody will answer, in the driver's place. */
static void answer_all(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  for (size_t i = 0; i < driver->task_capacity; i++) {
    bridge__task *task = driver->tasks[i];
    if (task != NULL && task->reply != NULL) {
      bridge__reply_failure(&task->reply, BRIDGE_ELOST, NULL);
    }
  }
  bridge_queue_close(worker->inbox);
  bridge__service_refuse_all(worker, BRIDGE_ELOST, NULL);
}

static bool mark(bridge_worker *worker)
{
  bridge__mutex_lock(&worker->mutex);
  bool lives = bridge_worker_phase_of(worker) != BRIDGE_WORKER_ENDED;
  if (lives) {
    bridge__worker_set_phase(worker, BRIDGE_WORKER_LOST);
  }
  bridge__mutex_unlock(&worker->mutex);
  return lives;
}

bridge_status bridge__worker_lose(bridge_worker *worker)
{
  if (!mark(worker)) {
    return BRIDGE_OK;
  }
  int place = BRIDGE__IN_LUA;
  /* Takes the driver.  If it is at work it does all this by itself, at its end. */
  if (atomic_compare_exchange_strong_explicit(
          &worker->place, &place, BRIDGE__GIVING_UP, memory_order_acquire,
          memory_order_relaxed)) {
    answer_all(worker);
    /* Publishes the driver. */
    atomic_store_explicit(&worker->place, BRIDGE__IN_LUA, memory_order_release);
  }
  bridge__condition_broadcast(&worker->ended); /* joiners need not wait */
  bridge__notify_end(worker);
  return BRIDGE_ELOST;
}
