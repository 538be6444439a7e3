/* Callback waker: a function of the host, for wake mechanisms of its own. */
#include "waker/waker.h"

static bool call(bridge_waker *waker)
{
  waker->as.call.callback(waker->as.call.user);
  return true;
}

static void stop(bridge_waker *waker)
{
  if (waker->as.call.release != NULL) {
    waker->as.call.release(waker->as.call.user);
  }
}

/* Opened by bridge_waker_create_callback, which has the function. */
const bridge__waker_type bridge__waker_callback = {
    .kind = BRIDGE_WAKER_CALLBACK,
    .open = NULL,
    .signal = call,
    .drain = NULL,
    .wait = NULL,
    .close = stop,
    .descriptor = false,
};
