/* The clock on the wall, for deadlines that are to be moved with it. */
#include "platform/platform.h"

/* The system counts hundreds of nanoseconds since 1601. */
#define NS_PER_TICK INT64_C(100)
#define TICKS_1970  INT64_C(116444736000000000)

int64_t bridge__wall_now(void)
{
  FILETIME now;
  GetSystemTimePreciseAsFileTime(&now);
  const uint64_t ticks =
      (uint64_t)now.dwHighDateTime << 32 | (uint64_t)now.dwLowDateTime;
  return ((int64_t)ticks - TICKS_1970) * NS_PER_TICK;
}
