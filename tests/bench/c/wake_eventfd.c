/* A blocking eventfd. */
#include "bench.h"

#include <sys/eventfd.h>

static int files[2];

static void wake_open(void)
{
  files[0] = eventfd(0, EFD_CLOEXEC);
  files[1] = eventfd(0, EFD_CLOEXEC);
  bench_check(files[0] >= 0 && files[1] >= 0, "no eventfd");
}

static inline void wake_send(int side)
{
  bench_check(eventfd_write(files[side], 1) == 0, "write");
}

static inline void wake_receive(int side)
{
  eventfd_t count = 0;
  bench_check(eventfd_read(files[side], &count) == 0, "read");
}

#include "wake_trip.h"
