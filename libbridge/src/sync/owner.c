/* Owner: for whom a thread locks. */
#include "sync/owner.h"

#include "platform/platform.h"
#include "sync/mutex.h"

#include <stdatomic.h>
#include <stddef.h>

static BRIDGE__THREAD_LOCAL bridge__owner *bound;
static BRIDGE__THREAD_LOCAL uint64_t own_number;

static uint64_t next_number(void)
{
  static atomic_uint_fast64_t last;
  /* Publishes nothing: the number stands for itself. */
  return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

void bridge__owner_init(bridge__owner *owner)
{
  owner->number = next_number();
  owner->locked = NULL;
}

bridge__owner *bridge__owner_bind(bridge__owner *owner)
{
  bridge__owner *before = bound;
  bound = owner;
  return before;
}

bridge__owner *bridge__owner_current(void)
{
  return bound;
}

uint64_t bridge__owner_number(void)
{
  if (bound != NULL) {
    return bound->number;
  }
  if (own_number == 0) {
    own_number = next_number();
  }
  return own_number;
}

void bridge__owner_end(bridge__owner *owner)
{
  while (owner->locked != NULL) {
    bridge__mutex_abandon_for(owner->locked, owner);
  }
}
