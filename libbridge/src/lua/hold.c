/* Hold: decides which thread may touch a Lua state, between its callers and its
   lua_State. */
#include "lua/hold.h"

#include "base/interrupt.h"

struct bridge__waiter {
  bridge__waiter *next; /* guarded by the hold's mutex */
  bridge__hold *hold;
  const void *thread;
  bridge__condition condition; /* one for each, so that one is woken */
  bool granted;                /* guarded by the hold's mutex */
  bool interrupted;            /* guarded by the hold's mutex */
};

/* What tells threads apart: an address that no other living thread has. */
static const void *calling_thread(void)
{
  static _Thread_local char mark;
  return &mark;
}

bridge_status bridge__hold_init(bridge__hold *hold)
{
  hold->holder = NULL;
  hold->first = NULL;
  hold->last = NULL;
  return bridge__mutex_init(&hold->mutex);
}

void bridge__hold_destroy(bridge__hold *hold)
{
  bridge__mutex_destroy(&hold->mutex);
}

static void append(bridge__hold *hold, bridge__waiter *waiter)
{
  if (hold->last == NULL) {
    hold->first = waiter;
  } else {
    hold->last->next = waiter;
  }
  hold->last = waiter;
}

static void withdraw(bridge__hold *hold, const bridge__waiter *waiter)
{
  bridge__waiter *before = NULL;
  for (bridge__waiter *each = hold->first; each != waiter; each = each->next) {
    before = each;
  }
  if (before == NULL) {
    hold->first = waiter->next;
  } else {
    before->next = waiter->next;
  }
  if (hold->last == waiter) {
    hold->last = before;
  }
}

/* With the mutex: take the hold if nobody has it and nobody waits for it. */
static bool take(bridge__hold *hold, const void *thread)
{
  if (hold->holder != NULL) {
    return false;
  }
  hold->holder = thread;
  return true;
}

static void interrupt(void *object)
{
  bridge__waiter *waiter = object;
  bridge__mutex_lock(&waiter->hold->mutex);
  waiter->interrupted = true;
  bridge__condition_signal(&waiter->condition);
  bridge__mutex_unlock(&waiter->hold->mutex);
}

/* Stand in line.  A grant that comes together with the end of the time, or with
   an interrupt, counts: it was handed over and must not get lost. */
static bridge_status stand(bridge__hold *hold,
                           bridge__waiter *waiter,
                           int64_t deadline)
{
  bridge_status status = BRIDGE_OK;
  bridge__mutex_lock(&hold->mutex);
  if (!take(hold, waiter->thread)) {
    append(hold, waiter);
    bool time_left = true;
    while (!waiter->granted && !waiter->interrupted && time_left) {
      time_left =
          bridge__condition_wait(&waiter->condition, &hold->mutex, deadline);
    }
    if (!waiter->granted) {
      withdraw(hold, waiter);
      status = waiter->interrupted ? BRIDGE_ECANCELLED : BRIDGE_ETIMEDOUT;
    }
  }
  bridge__mutex_unlock(&hold->mutex);
  return status;
}

static bridge_status wait_for(bridge__hold *hold, int timeout_ms)
{
  int64_t deadline = bridge__deadline(timeout_ms);
  bridge__waiter waiter = {.hold = hold, .thread = calling_thread()};
  bridge_status status = bridge__condition_init(&waiter.condition);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (bridge__wait_begin(interrupt, &waiter)) {
    status = stand(hold, &waiter, deadline);
    bridge__wait_end();
  } else {
    status = BRIDGE_ECANCELLED;
  }
  bridge__condition_destroy(&waiter.condition);
  return status;
}

bridge_status bridge__hold_enter(bridge__hold *hold, int timeout_ms)
{
  const void *thread = calling_thread();
  bridge__mutex_lock(&hold->mutex);
  bool mine = hold->holder == thread;
  bool taken = !mine && take(hold, thread);
  bridge__mutex_unlock(&hold->mutex);

  if (mine) {
    return BRIDGE_EDEADLOCK;
  }
  if (taken) {
    return BRIDGE_OK;
  }
  return timeout_ms == 0 ? BRIDGE_ETIMEDOUT : wait_for(hold, timeout_ms);
}

/* With the mutex: hand over to whoever came first.  The hold is never free while
   somebody waits, so that nobody can slip in between. */
static void hand_over(bridge__hold *hold)
{
  bridge__waiter *waiter = hold->first;
  if (waiter == NULL) {
    hold->holder = NULL;
    return;
  }
  withdraw(hold, waiter);
  hold->holder = waiter->thread;
  waiter->granted = true;
  /* Before unlocking: then the waiter may be gone. */
  bridge__condition_signal(&waiter->condition);
}

bridge_status bridge__hold_leave(bridge__hold *hold)
{
  bridge_status status = BRIDGE_EINVAL;
  bridge__mutex_lock(&hold->mutex);
  if (hold->holder == calling_thread()) {
    hand_over(hold);
    status = BRIDGE_OK;
  }
  bridge__mutex_unlock(&hold->mutex);
  return status;
}

bool bridge__hold_mine(bridge__hold *hold)
{
  bridge__mutex_lock(&hold->mutex);
  bool mine = hold->holder == calling_thread();
  bridge__mutex_unlock(&hold->mutex);
  return mine;
}
