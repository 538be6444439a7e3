/* Process: knows whether it is still the one that made a handle. */
#include "platform/platform.h"

#include <stdatomic.h>

/* What is called around a fork, for one lock. */
typedef struct hooks {
  atomic_int stage; /* 0 empty, 1 being filled, 2 full */
  void (*before)(void);
  void (*after)(void);
} hooks;

unsigned bridge__forks;

static hooks registered[BRIDGE__FORK_LOCKS];

/* Whether the fork that this thread is in called `before`: it may be that the
   hooks were registered in between. */
static _Thread_local bool called[BRIDGE__FORK_LOCKS];

static void prepare(void)
{
  for (int i = 0; i < BRIDGE__FORK_LOCKS; i++) {
    /* Takes the hooks. */
    called[i] =
        atomic_load_explicit(&registered[i].stage, memory_order_acquire) == 2;
    if (called[i]) {
      registered[i].before();
    }
  }
}

static void parent(void)
{
  for (int i = 0; i < BRIDGE__FORK_LOCKS; i++) {
    if (called[i]) {
      registered[i].after();
    }
  }
}

static void child(void)
{
  bridge__forks++; /* the only thread of the child */
  parent();
}

/* Before main, and so before the first handle.  It fails only for lack of
   memory; then handles of the parent are not recognised. */
__attribute__((constructor)) static void install(void)
{
  pthread_atfork(prepare, parent, child);
}

void bridge__at_fork(bridge__fork_lock lock,
                     void (*before)(void),
                     void (*after)(void))
{
  hooks *mine = &registered[lock];
  int empty = 0;
  /* Takes nothing: it only keeps the line of the cache shared, mostly. */
  if (atomic_load_explicit(&mine->stage, memory_order_relaxed) != empty) {
    return;
  }
  /* Takes nothing: only who sees 0 may write. */
  if (!atomic_compare_exchange_strong_explicit(&mine->stage, &empty, 1,
                                               memory_order_relaxed,
                                               memory_order_relaxed)) {
    return;
  }
  mine->before = before;
  mine->after = after;
  /* Publishes the hooks. */
  atomic_store_explicit(&mine->stage, 2, memory_order_release);
}
