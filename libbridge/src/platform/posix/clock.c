/* Clock: monotonic, so that nobody who sets the time moves a deadline. */
#include "platform/platform.h"

#include <pthread.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

int64_t bridge__now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail: the clock exists */
  return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}

/* Where the system keeps the time of its last tick, it is read without a look at
   the hardware. */
#ifdef CLOCK_MONOTONIC_COARSE
#define ROUGH CLOCK_MONOTONIC_COARSE
#else
#define ROUGH CLOCK_MONOTONIC
#endif

int64_t bridge__now_roughly(void)
{
  struct timespec now;
  clock_gettime(ROUGH, &now);
  return (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
}

int bridge__cpu_clock(void)
{
  clockid_t clock;
  return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? (int)clock : 0;
}

/* The clock of a thread that is over says no. */
bool bridge__cpu_clock_read(int clock, int64_t *out)
{
  struct timespec now;
  if (clock == 0 || clock_gettime((clockid_t)clock, &now) != 0) {
    return false;
  }
  *out = (int64_t)now.tv_sec * NS_PER_S + (int64_t)now.tv_nsec;
  return true;
}
