/* Clock: monotonic, so that nobody who sets the time moves a deadline. */
#include "platform/platform.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t bridge__now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
  return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}

void bridge__sleep_ns(int64_t nanoseconds)
{
  if (nanoseconds <= 0) {
    return;
  }
  struct timespec left = {.tv_sec = (time_t)(nanoseconds / NS_PER_S),
                          .tv_nsec = (long)(nanoseconds % NS_PER_S)};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}
