/* Mutex and condition: words that need no system object, and cannot fail. */
#include "platform/platform.h"

bridge_status bridge__mutex_init(bridge__mutex *mutex)
{
  InitializeSRWLock(mutex);
  return BRIDGE_OK;
}

void bridge__mutex_destroy(bridge__mutex *mutex)
{
  (void)mutex;
}

void bridge__mutex_lock(bridge__mutex *mutex)
{
  AcquireSRWLockExclusive(mutex);
}

void bridge__mutex_unlock(bridge__mutex *mutex)
{
  ReleaseSRWLockExclusive(mutex);
}

bridge_status bridge__condition_init(bridge__condition *condition)
{
  InitializeConditionVariable(condition);
  return BRIDGE_OK;
}

void bridge__condition_destroy(bridge__condition *condition)
{
  (void)condition;
}

bool bridge__condition_wait(bridge__condition *condition,
                            bridge__mutex *mutex,
                            int64_t deadline)
{
  const int left = bridge__remaining(deadline);
  const DWORD timeout = left < 0 ? INFINITE : (DWORD)left;
  if (SleepConditionVariableSRW(condition, mutex, timeout, 0)) {
    return true;
  }
  /* The system's clock for waits is coarser than ours: it may be early. */
  return bridge__remaining(deadline) != 0;
}

void bridge__condition_signal(bridge__condition *condition)
{
  WakeConditionVariable(condition);
}

void bridge__condition_broadcast(bridge__condition *condition)
{
  WakeAllConditionVariable(condition);
}
