/* Deadlines: moments of the monotonic clock, in place of timeouts that would begin
   anew whenever a wait is taken up again. */
#include "platform/platform.h"

#include <limits.h>

#define NS_PER_MS INT64_C(1000000)

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
