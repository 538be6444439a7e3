/* Clock: monotonic, so that nobody who sets the time moves a deadline. */
#include "platform/platform.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

int64_t bridge__now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
  return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}

int64_t bridge__deadline(int timeout_ms)
{
  if (timeout_ms < 0) {
    return INT64_MAX;
  }
  return bridge__now() + (int64_t)timeout_ms * NS_PER_MS;
}

int bridge__remaining(int64_t deadline)
{
  if (deadline == INT64_MAX) {
    return -1;
  }
  int64_t left = deadline - bridge__now();
  if (left <= 0) {
    return 0;
  }
  /* Rounded up, so that who sleeps so long does not come back too early. */
  int64_t ms = (left - 1) / NS_PER_MS + 1;
  return ms > INT_MAX ? INT_MAX : (int)ms;
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
