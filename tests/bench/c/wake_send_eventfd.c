/* An eventfd that is written each time. */
#include "bench.h"

#include <poll.h>
#include <sys/eventfd.h>

static int receiver_works(void);

static int file;

static void send_open(void)
{
  file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(file >= 0, "no eventfd");
}

static inline void send_one(void)
{
  bench_check(eventfd_write(file, 1) == 0, "write");
}

static void receive(void)
{
  struct pollfd watched = {.fd = file, .events = POLLIN};
  do {
    eventfd_t count = 0;
    poll(&watched, 1, -1);
    bench_check(eventfd_read(file, &count) == 0, "read");
  } while (receiver_works());
}

#include "wake_send.h"
