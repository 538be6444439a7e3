/* The clock on the wall, for deadlines that are to be moved with it. */
#include "platform/platform.h"

#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t bridge__wall_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now); /* cannot fail: the clock exists */
  return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}
