/* The kinds of waker that Linux has, and what they share: poll and close. */
#include "waker/posix/file.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <unistd.h>

const bridge__waker_type *const bridge__waker_types[] = {
    &bridge__waker_eventfd, &bridge__waker_pipe, &bridge__waker_udp, NULL};

bridge_status bridge__file_wait(bridge_waker *waker, int64_t deadline)
{
  struct pollfd file = {.fd = waker->as.file.reading, .events = POLLIN};
  int count = poll(&file, 1, deadline == 0 ? 0 : bridge__remaining(deadline));
  if (count > 0 && (file.revents & POLLIN) != 0) {
    return BRIDGE_OK;
  }
  /* Any other failure would only come again: the host closed what is not his. */
  return count < 0 && errno == EINTR ? BRIDGE_EEMPTY : BRIDGE_ETIMEDOUT;
}

/* A descriptor is gone even when close fails, so there is nothing to try
   again. */
void bridge__file_close(bridge_waker *waker)
{
  close(waker->as.file.reading);
  if (waker->as.file.writing != waker->as.file.reading) {
    close(waker->as.file.writing);
  }
}

bridge_status bridge__file_status(void)
{
  return errno == ENOMEM ? BRIDGE_ENOMEM : BRIDGE_ESYSTEM;
}
