/* Who holds a Lua state: the one place that decides it.

   One thread at a time; handed over first come, first served, so that all a holder
   did is seen by the next.  While nobody waits, taking and leaving it are one
   instruction each.  Pools, and C stacks that are parked while their state goes on
   elsewhere, will hang on this. */
#ifndef BRIDGE_LUA_HOLD_H
#define BRIDGE_LUA_HOLD_H

#include "platform/platform.h"

#include <stdatomic.h>

typedef struct bridge__waiter bridge__waiter;

typedef struct bridge__hold {
  bridge__mutex mutex;
  /* The first mark of the thread that holds it; its second one while others wait,
     and then it changes under the mutex only; NULL if nobody holds it. */
  _Atomic(const char *) holder;
  bridge__waiter *first; /* guarded by mutex */
  bridge__waiter *last;  /* guarded by mutex */
} bridge__hold;

bridge_status bridge__hold_init(bridge__hold *hold);
void bridge__hold_destroy(bridge__hold *hold);
/* BRIDGE_OK, BRIDGE_ETIMEDOUT, BRIDGE_EDEADLOCK if the caller holds it,
   BRIDGE_ECANCELLED.  After BRIDGE_ETIMEDOUT the caller's place in line is kept for
   it for a second. */
bridge_status bridge__hold_enter(bridge__hold *hold, int timeout_ms);
/* BRIDGE_EINVAL if the caller does not hold it. */
bridge_status bridge__hold_leave(bridge__hold *hold);
/* Whether the caller holds it. */
bool bridge__hold_mine(bridge__hold *hold);

#endif
