/* Clock: monotonic, so that nobody who sets the time moves a deadline. */
#include "platform/platform.h"

#define NS_PER_S INT64_C(1000000000)

int64_t bridge__now(void)
{
  LARGE_INTEGER frequency;
  LARGE_INTEGER ticks;
  QueryPerformanceFrequency(&frequency); /* neither fails since Windows XP */
  QueryPerformanceCounter(&ticks);
  /* In two steps: all ticks times a billion would overflow within days. */
  int64_t seconds = ticks.QuadPart / frequency.QuadPart;
  int64_t rest = ticks.QuadPart % frequency.QuadPart;
  return seconds * NS_PER_S + rest * NS_PER_S / frequency.QuadPart;
}
