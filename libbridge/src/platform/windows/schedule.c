/* Scheduling on Windows: of the calling thread. */
#include "platform/platform.h"

#include <errno.h>

static bridge_status result(bool set)
{
  if (!set) {
    errno = GetLastError() == ERROR_ACCESS_DENIED ? EPERM : EINVAL;
  }
  return set ? BRIDGE_OK : BRIDGE_ESYSTEM;
}

bridge_status bridge__native_priority(int priority)
{
  int wanted = THREAD_PRIORITY_BELOW_NORMAL;
  if (priority > 0) {
    wanted = THREAD_PRIORITY_ABOVE_NORMAL;
  } else if (priority < -1) {
    wanted = THREAD_PRIORITY_IDLE;
  }
  return result(SetThreadPriority(GetCurrentThread(), wanted) != 0);
}

/* Of the group that the thread is in. */
bridge_status bridge__native_affinity(uint64_t mask)
{
  if ((DWORD_PTR)mask != mask) {
    errno = EINVAL;
    return BRIDGE_ESYSTEM;
  }
  return result(SetThreadAffinityMask(GetCurrentThread(), (DWORD_PTR)mask) !=
                0);
}
