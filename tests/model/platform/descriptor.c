/* The model's waker with a descriptor, as the eventfd kind is: a count in the
   kernel, which orders itself and publishes nothing. */
#include "engine/descriptor.h"
#include "engine/engine.h"
#include "waker/waker.h"

static bridge_status start(bridge_waker *waker)
{
  waker->as.file.reading = model_descriptor_open();
  waker->as.file.writing = waker->as.file.reading;
  return BRIDGE_OK;
}

static bool send_signal(bridge_waker *waker)
{
  model_descriptor_signal(waker->as.file.writing);
  return true;
}

static bool drain(bridge_waker *waker)
{
  return model_descriptor_drain(waker->as.file.reading);
}

static bridge_status wait_readable(bridge_waker *waker, int64_t deadline)
{
  if (model_readable(waker->as.file.reading)) {
    return BRIDGE_OK;
  }
  if (deadline == INT64_MAX) {
    model_poll(waker->as.file.reading);
    return BRIDGE_OK;
  }
  return BRIDGE_ETIMEDOUT;
}

static void stop(bridge_waker *waker)
{
  model_descriptor_close(waker->as.file.reading);
  waker->as.file.reading = -1; /* a race with who has not left in order */
}

static const bridge__waker_type descriptor = {
    .kind = BRIDGE_WAKER_EVENTFD,
    .open = start,
    .signal = send_signal,
    .drain = drain,
    .wait = wait_readable,
    .close = stop,
    .descriptor = true,
};

const bridge__waker_type *const bridge__waker_types[] = {&descriptor, NULL};
