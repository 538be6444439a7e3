/* Clock: monotonic, so that nobody who sets the time moves a deadline. */
#include "platform/platform.h"

#include <limits.h>

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

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
  const int64_t most = INT64_C(0xfffffffe); /* INFINITE is one more */
  while (nanoseconds > 0) {
    int64_t ms = (nanoseconds - 1) / NS_PER_MS + 1;
    Sleep((DWORD)(ms > most ? most : ms));
    nanoseconds -= ms > most ? most * NS_PER_MS : nanoseconds;
  }
}
