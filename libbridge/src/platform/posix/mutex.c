/* Mutex and condition.  Results of lock and unlock are not looked at: they fail
   only if the library locks twice or unlocks what it did not lock. */
#include "platform/platform.h"

#include <errno.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

static bridge_status status_of(int error)
{
  if (error == 0) {
    return BRIDGE_OK;
  }
  errno = error;
  return error == ENOMEM ? BRIDGE_ENOMEM : BRIDGE_ESYSTEM;
}

bridge_status bridge__mutex_init(bridge__mutex *mutex)
{
  return status_of(pthread_mutex_init(mutex, NULL));
}

void bridge__mutex_destroy(bridge__mutex *mutex)
{
  pthread_mutex_destroy(mutex);
}

void bridge__mutex_lock(bridge__mutex *mutex)
{
  pthread_mutex_lock(mutex);
}

void bridge__mutex_unlock(bridge__mutex *mutex)
{
  pthread_mutex_unlock(mutex);
}

bridge_status bridge__condition_init(bridge__condition *condition)
{
  pthread_condattr_t attributes;
  int error = pthread_condattr_init(&attributes);
  if (error != 0) {
    return status_of(error);
  }
  error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (error == 0) {
    error = pthread_cond_init(condition, &attributes);
  }
  pthread_condattr_destroy(&attributes);
  return status_of(error);
}

void bridge__condition_destroy(bridge__condition *condition)
{
  pthread_cond_destroy(condition);
}

bool bridge__condition_wait(bridge__condition *condition,
                            bridge__mutex *mutex,
                            int64_t deadline)
{
  if (deadline == INT64_MAX) {
    pthread_cond_wait(condition, mutex);
    return true;
  }
  struct timespec until = {.tv_sec = (time_t)(deadline / NS_PER_S),
                           .tv_nsec = (long)(deadline % NS_PER_S)};
  return pthread_cond_timedwait(condition, mutex, &until) != ETIMEDOUT;
}

void bridge__condition_signal(bridge__condition *condition)
{
  pthread_cond_signal(condition);
}

void bridge__condition_broadcast(bridge__condition *condition)
{
  pthread_cond_broadcast(condition);
}
