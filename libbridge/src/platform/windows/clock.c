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

int64_t bridge__now_roughly(void)
{
  return bridge__now();
}

int bridge__cpu_clock(void)
{
  return (int)GetCurrentThreadId();
}

static int64_t ticks_of(const FILETIME *time)
{
  return (int64_t)time->dwHighDateTime << 32 | (int64_t)time->dwLowDateTime;
}

bool bridge__cpu_clock_read(int clock, int64_t *out)
{
  FILETIME made;
  FILETIME ended;
  FILETIME kernel;
  FILETIME user;
  HANDLE thread =
      OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, (DWORD)clock);
  if (thread == NULL) {
    return false;
  }
  bool known = GetThreadTimes(thread, &made, &ended, &kernel, &user) != 0;
  CloseHandle(thread);
  if (known) {
    *out = (ticks_of(&kernel) + ticks_of(&user)) * 100;
  }
  return known;
}
