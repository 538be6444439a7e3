/* The kinds of waker that Windows has, and what they share: poll and close. */
#include "waker/windows/socket.h"

const bridge__waker_type *const bridge__waker_types[] = {&bridge__waker_udp,
                                                         NULL};

bridge_status bridge__socket_wait(bridge_waker *waker, int64_t deadline)
{
  WSAPOLLFD entry = {.fd = bridge__socket_of(waker), .events = POLLRDNORM};
  int count =
      WSAPoll(&entry, 1, deadline == 0 ? 0 : bridge__remaining(deadline));
  if (count > 0 && (entry.revents & POLLRDNORM) != 0) {
    return BRIDGE_OK;
  }
  if (count == 0 && deadline != 0 && bridge__remaining(deadline) != 0) {
    return BRIDGE_EEMPTY; /* the system's clock for waits is coarser than ours */
  }
  return BRIDGE_ETIMEDOUT;
}

void bridge__socket_close(bridge_waker *waker)
{
  closesocket(bridge__socket_of(waker));
}
