/* Condition waker: no descriptor, and nothing to drain: the state is the
   signal. */
#include "base/interrupt.h"
#include "waker/waker.h"

static bridge_status start(bridge_waker *waker)
{
  return bridge__parking_init(&waker->as.parking);
}

static bool send_signal(bridge_waker *waker)
{
  bridge__parking_unpark(&waker->as.parking);
  return true;
}

/* Whether a waiter has nothing to stay for. */
static bool restless(const bridge_waker *waker)
{
  /* Takes what was pushed before the raise.  What changes after this look is
     followed by a signal. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_acquire);
  return (state & (BRIDGE__PENDING | BRIDGE__CLOSED)) != 0;
}

static bridge_status sleep_until(bridge_waker *waker, int64_t deadline)
{
  bool in_time = deadline != 0;
  while (in_time) {
    unsigned ticket = bridge__parking_prepare(&waker->as.parking);
    if (restless(waker) || bridge__interrupted()) {
      break;
    }
    in_time = bridge__parking_park(&waker->as.parking, ticket, deadline);
  }
  return restless(waker) ? BRIDGE_OK : BRIDGE_ETIMEDOUT;
}

static void stop(bridge_waker *waker)
{
  bridge__parking_destroy(&waker->as.parking, bridge__forked(waker));
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
