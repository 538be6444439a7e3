/* Threads of the system: started, named, counted.  There are no signals. */
#include "platform/platform.h"

#include <errno.h>
#include <limits.h>
#include <process.h>
#include <stdatomic.h>
#include <string.h>

static unsigned __stdcall run(void *argument)
{
  bridge__native_entry *entry = argument;
  entry->body(entry->user);
  return 0;
}

/* By the C library's own function, which sets up what it keeps per thread. */
bridge_status bridge__native_start(bridge__native_thread *out,
                                   bridge__native_entry *entry,
                                   size_t stack_size)
{
  if (stack_size > UINT_MAX) {
    errno = EINVAL;
    return BRIDGE_ESYSTEM;
  }
  uintptr_t handle = _beginthreadex(NULL, (unsigned)stack_size, run, entry,
                                    STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
  if (handle == 0) {
    return errno == ENOMEM ? BRIDGE_ENOMEM : BRIDGE_ESYSTEM;
  }
  *out = (HANDLE)handle;
  return BRIDGE_OK;
}

void bridge__native_join(bridge__native_thread *thread)
{
  WaitForSingleObject(*thread, INFINITE);
  CloseHandle(*thread);
}

void bridge__native_detach(bridge__native_thread *thread)
{
  CloseHandle(*thread);
}

/* Windows has it since version 10, 1607: looked up, so that older ones start. */
typedef HRESULT WINAPI set_description(HANDLE thread, const WCHAR *text);

static set_description *find_set_description(void)
{
  HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
  FARPROC found =
      kernel == NULL ? NULL : GetProcAddress(kernel, "SetThreadDescription");
  set_description *function = NULL;
  /* A cast between these types of functions would be warned of. */
  memcpy(&function, &found, sizeof function);
  return function;
}

void bridge__native_name(const char *name)
{
  WCHAR wide[128];
  set_description *describe = find_set_description();
  if (describe == NULL) {
    return;
  }
  int count = MultiByteToWideChar(CP_UTF8, 0, name, -1, wide,
                                  (int)(sizeof wide / sizeof wide[0]));
  if (count > 0) {
    describe(GetCurrentThread(), wide); /* only for people: may fail */
  }
}

/* Those of the process's mask; of its first group if there are several. */
unsigned bridge__native_cores(void)
{
  DWORD_PTR ours = 0;
  DWORD_PTR all = 0;
  unsigned count = 0;
  if (GetProcessAffinityMask(GetCurrentProcess(), &ours, &all)) {
    for (; ours != 0; ours &= ours - 1) {
      count++;
    }
  }
  if (count > 0) {
    return count;
  }
  SYSTEM_INFO system;
  GetSystemInfo(&system);
  return system.dwNumberOfProcessors > 0 ? system.dwNumberOfProcessors : 1;
}

/* ---- The end of a thread ---- */

typedef void exit_hook(void);

static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
static DWORD slot = FLS_OUT_OF_INDEXES;
static _Atomic(exit_hook *)
    at_exit[BRIDGE__EXITS]; /* each call stores its own */

static void WINAPI leave(void *value)
{
  for (int i = 0; value != NULL && i < BRIDGE__EXITS; i++) {
    /* Takes nothing: this thread stored it itself, or need not see it. */
    exit_hook *hook = atomic_load_explicit(&at_exit[i], memory_order_relaxed);
    if (hook != NULL) {
      hook();
    }
  }
}

static BOOL CALLBACK make_slot(INIT_ONCE *which, void *user, void **context)
{
  (void)which;
  (void)user;
  (void)context;
  slot = FlsAlloc(leave);
  return TRUE;
}

void bridge__at_thread_exit(bridge__exit which, void (*hook)(void))
{
  /* Publishes nothing but a function. */
  atomic_store_explicit(&at_exit[which], hook, memory_order_relaxed);
  InitOnceExecuteOnce(&once, make_slot, NULL, NULL);
  if (slot != FLS_OUT_OF_INDEXES) {
    FlsSetValue(slot, &slot); /* any value but NULL */
  }
}

/* ---- Processor ---- */

void bridge__relax(void)
{
  YieldProcessor();
}

void bridge__yield(void)
{
  SwitchToThread();
}
