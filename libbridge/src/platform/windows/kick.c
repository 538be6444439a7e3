/* Kick: the thread is stopped, the function called in its place, and the thread goes
   on.  What runs in between takes no lock and no memory: the thread may hold any. */
#include "platform/kick.h"

bool bridge__kick_open(bridge__kick_target *target)
{
  HANDLE self = NULL;
  if (!DuplicateHandle(GetCurrentProcess(), GetCurrentThread(),
                       GetCurrentProcess(), &self, 0, FALSE,
                       DUPLICATE_SAME_ACCESS)) {
    return false;
  }
  target->thread = self;
  return true;
}

void bridge__kick_close(bridge__kick_target *target)
{
  CloseHandle(target->thread);
  target->thread = NULL;
}

void bridge__kick(bridge__kick_target *target)
{
  CONTEXT context = {.ContextFlags = CONTEXT_CONTROL};
  if (GetThreadId(target->thread) == GetCurrentThreadId()) {
    target->deliver(target);
    return;
  }
  if (SuspendThread(target->thread) == (DWORD)-1) {
    return;
  }
  /* That call returns before the thread stands; this one does not. */
  if (GetThreadContext(target->thread, &context)) {
    target->deliver(target);
  }
  ResumeThread(target->thread);
}

/* Each has come when the call returns. */
bool bridge__kick_is_under_way(const bridge__kick_target *target)
{
  (void)target;
  return false;
}

void bridge__kick_again(bridge__kick_target *target)
{
  bridge__kick(target);
}

bool bridge__kick_unblock(void)
{
  return true;
}

bridge_status bridge__kick_choose(int signal)
{
  (void)signal;
  return BRIDGE_EUNSUPPORTED;
}

void bridge__kick_retire(void)
{
}

/* ---- CPU time, which Windows counts in steps of its clock ---- */

static bool time_of(HANDLE thread, int64_t *out)
{
  FILETIME made;
  FILETIME ended;
  FILETIME kernel;
  FILETIME user;
  if (!GetThreadTimes(thread, &made, &ended, &kernel, &user)) {
    return false;
  }
  ULARGE_INTEGER a = {.LowPart = kernel.dwLowDateTime,
                      .HighPart = kernel.dwHighDateTime};
  ULARGE_INTEGER b = {.LowPart = user.dwLowDateTime,
                      .HighPart = user.dwHighDateTime};
  *out = (int64_t)(a.QuadPart + b.QuadPart) * 100;
  return true;
}

int64_t bridge__cpu_time(void)
{
  int64_t now = 0;
  return time_of(GetCurrentThread(), &now) ? now : 0;
}

bool bridge__cpu_time_of(const bridge__kick_target *target, int64_t *out)
{
  return time_of(target->thread, out);
}
