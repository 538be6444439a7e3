/* Parking on Linux: the word itself is waited for, by futex(2). */
#include "platform/parking.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

_Static_assert(sizeof(atomic_uint) == 4, "a futex has 32 bits");

bridge_status bridge__parking_init(bridge__parking *parking)
{
  atomic_init(&parking->word, 0);
  return BRIDGE_OK;
}

void bridge__parking_destroy(bridge__parking *parking, bool forked)
{
  (void)parking;
  (void)forked;
}

bool bridge__parking_park(bridge__parking *parking,
                          unsigned ticket,
                          int64_t deadline)
{
  struct timespec until = {.tv_sec = (time_t)(deadline / NS_PER_S),
                           .tv_nsec = (long)(deadline % NS_PER_S)};
  /* The only operation whose deadline is a moment and not a duration. */
  long result = syscall(SYS_futex, &parking->word, FUTEX_WAIT_BITSET_PRIVATE,
                        ticket, deadline == INT64_MAX ? NULL : &until, NULL,
                        FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

void bridge__parking_wake(bridge__parking *parking)
{
  syscall(SYS_futex, &parking->word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL,
          0);
}
