/* Clock: monotonic, so that nobody who sets the time moves a deadline. */
#include "platform/platform.h"

#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t bridge__now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
  return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}
