/* Condition waker: no descriptor, and nothing to drain: the state is the
   signal. */
#include "base/interrupt.h"
#include "waker/waker.h"

static bridge_status start(bridge_waker *waker)
{
  bridge_status status = bridge__mutex_init(&waker->as.sleep.mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__condition_init(&waker->as.sleep.condition);
  if (status != BRIDGE_OK) {
    bridge__mutex_destroy(&waker->as.sleep.mutex);
  }
  return status;
}

/* The mutex keeps this out of the moment between a waiter's look at the state
   and its sleep. */
static bool send_signal(bridge_waker *waker)
{
  bridge__mutex_lock(&waker->as.sleep.mutex);
  bridge__condition_broadcast(&waker->as.sleep.condition);
  bridge__mutex_unlock(&waker->as.sleep.mutex);
  return true;
}

/* Whether a waiter has nothing to stay for. */
static bool restless(const bridge_waker *waker)
{
  /* Takes what was pushed before the raise.  What changes after this look is
     followed by a signal, which waits for the mutex. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_acquire);
  return (state & (BRIDGE__PENDING | BRIDGE__CLOSED)) != 0;
}

static bridge_status sleep_until(bridge_waker *waker, int64_t deadline)
{
  bool in_time = true;
  bridge__mutex_lock(&waker->as.sleep.mutex);
  while (in_time && !restless(waker) && !bridge__interrupted()) {
    in_time = deadline != 0 &&
              bridge__condition_wait(&waker->as.sleep.condition,
                                     &waker->as.sleep.mutex, deadline);
  }
  bridge_status status = restless(waker) ? BRIDGE_OK : BRIDGE_ETIMEDOUT;
  bridge__mutex_unlock(&waker->as.sleep.mutex);
  return status;
}

static void stop(bridge_waker *waker)
{
  /* In the child of a fork there may be waiters that are not there, for whom the
     system would wait. */
  if (bridge__forked(waker)) {
    return;
  }
  bridge__condition_destroy(&waker->as.sleep.condition);
  bridge__mutex_destroy(&waker->as.sleep.mutex);
}

const bridge__waker_type bridge__waker_condition = {
    .kind = BRIDGE_WAKER_CONDITION,
    .open = start,
    .signal = send_signal,
    .drain = NULL,
    .wait = sleep_until,
    .close = stop,
    .descriptor = false,
};
