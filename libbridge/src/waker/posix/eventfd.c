/* Eventfd waker: the cheapest one with a descriptor. */
#include "waker/posix/file.h"

#include <errno.h>
#include <sys/eventfd.h>

static bridge_status start(bridge_waker *waker)
{
  int file = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (file < 0) {
    return bridge__file_status();
  }
  waker->as.file.reading = file;
  waker->as.file.writing = file;
  return BRIDGE_OK;
}

static bool send_signal(bridge_waker *waker)
{
  const int before = errno; /* a signal handler must not change it */
  /* Fails only when the counter is at its limit: then it is readable. */
  (void)!eventfd_write(waker->as.file.writing, 1);
  errno = before;
  return true;
}

static bool drain(bridge_waker *waker)
{
  eventfd_t count = 0;
  return eventfd_read(waker->as.file.reading, &count) == 0;
}

const bridge__waker_type bridge__waker_eventfd = {
    .kind = BRIDGE_WAKER_EVENTFD,
    .open = start,
    .signal = send_signal,
    .drain = drain,
    .wait = bridge__file_wait,
    .close = bridge__file_close,
    .descriptor = true,
};
