/* An eventfd in an event loop: poll(), and then read it. */
#include "bench.h"

#include <poll.h>
#include <sys/eventfd.h>

static struct pollfd watched[2];

static void wake_open(void)
{
  for (int side = 0; side < 2; side++) {
    watched[side].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    watched[side].events = POLLIN;
    bench_check(watched[side].fd >= 0, "no eventfd");
  }
}

static inline void wake_send(int side)
{
  bench_check(eventfd_write(watched[side].fd, 1) == 0, "write");
}

static inline void wake_receive(int side)
{
  eventfd_t count = 0;
  bench_check(poll(&watched[side], 1, -1) == 1, "poll");
  bench_check(eventfd_read(watched[side].fd, &count) == 0, "read");
}

#include "wake_trip.h"
