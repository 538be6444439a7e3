/* Process: knows whether it is still the one that made a handle. */
#include "platform/platform.h"

#include <stdatomic.h>

/* What is called around a fork. */
typedef struct hooks {
  void (*before)(void);
  void (*after)(void);
} hooks;

unsigned bridge__forks;

static hooks registered;
static atomic_int stage; /* of `registered`: 0 empty, 1 being filled, 2 full */

/* Whether the fork that this thread is in called `before`: it may be that the
   hooks were registered in between. */
static _Thread_local bool called;

static void prepare(void)
{
  /* Takes the hooks. */
  called = atomic_load_explicit(&stage, memory_order_acquire) == 2;
  if (called) {
    registered.before();
  }
}

static void parent(void)
{
  if (called) {
    registered.after();
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

void bridge__at_fork(void (*before)(void), void (*after)(void))
{
  int empty = 0;
  /* Takes nothing: only who sees 0 may write. */
  if (!atomic_compare_exchange_strong_explicit(
          &stage, &empty, 1, memory_order_relaxed, memory_order_relaxed)) {
    return;
  }
  registered = (hooks){before, after};
  /* Publishes the hooks. */
  atomic_store_explicit(&stage, 2, memory_order_release);
}
