/* Hold: decides which thread may touch a Lua state, between its callers and its
   lua_State. */
#include "lua/hold.h"

#include "base/interrupt.h"

struct bridge__waiter {
  bridge__waiter *next; /* guarded by the hold's mutex */
  bridge__hold *hold;
  const char *thread;
  int64_t since;               /* when it came: the line is in this order */
  bridge__condition condition; /* one for each, so that one is woken */
  bool granted;                /* guarded by the hold's mutex */
};

/* The place in line of a thread whose time was over.  A wait in slices, as of a host
   that looks for signals in between, is one wait: else those who wait without an
   end would always be before it. */
typedef struct place {
  const bridge__hold *hold; /* only to compare: it may be gone */
  int64_t since;
  int64_t until; /* who comes later has really given up */
} place;

static const int64_t place_is_kept_ns = 1000000000;

static BRIDGE__THREAD_LOCAL place kept;

static int64_t came(const bridge__hold *hold)
{
  int64_t now = bridge__now();
  return kept.hold == hold && now < kept.until ? kept.since : now;
}

static void keep_place(const bridge__waiter *waiter)
{
  kept = (place){waiter->hold, waiter->since, bridge__now() + place_is_kept_ns};
}

/* What tells threads apart: addresses that no other living thread has. */
static const char *calling_thread(void)
{
  static BRIDGE__THREAD_LOCAL char marks[2];
  return marks;
}

bridge_status bridge__hold_init(bridge__hold *hold)
{
  atomic_init(&hold->holder, NULL);
  hold->first = NULL;
  hold->last = NULL;
  return bridge__mutex_init(&hold->mutex);
}

void bridge__hold_destroy(bridge__hold *hold)
{
  bridge__mutex_destroy(&hold->mutex);
}

static void insert(bridge__hold *hold, bridge__waiter *waiter)
{
  bridge__waiter *before = hold->last;
  if (before != NULL && before->since > waiter->since) {
    before = NULL;
    for (bridge__waiter *each = hold->first; each->since <= waiter->since;
         each = each->next) {
      before = each;
    }
  }
  bridge__waiter **link = before == NULL ? &hold->first : &before->next;
  waiter->next = *link;
  *link = waiter;
  if (waiter->next == NULL) {
    hold->last = waiter;
  }
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

/* Take the hold if nobody has it.  Then nobody waits for it either. */
static bool take(bridge__hold *hold, const char *thread)
{
  const char *nobody = NULL;
  /* Takes what the holder before did. */
  return atomic_compare_exchange_strong_explicit(&hold->holder, &nobody, thread,
                                                 memory_order_acquire,
                                                 memory_order_relaxed);
}

/* With the mutex: take the hold, or make its holder come to the mutex before it
   leaves. */
static bool take_or_announce(bridge__hold *hold, const char *thread)
{
  if (hold->first != NULL) {
    return false; /* who is first has announced it */
  }
  /* Takes nothing: a guess, which the exchanges check. */
  const char *holder =
      atomic_load_explicit(&hold->holder, memory_order_relaxed);
  for (;;) {
    if (holder == NULL && take(hold, thread)) {
      return true;
    }
    /* Publishes nothing: the mutex does. */
    if (holder != NULL && atomic_compare_exchange_strong_explicit(
                              &hold->holder, &holder, holder + 1,
                              memory_order_relaxed, memory_order_relaxed)) {
      return false;
    }
    /* Takes nothing: the next guess. */
    holder = atomic_load_explicit(&hold->holder, memory_order_relaxed);
  }
}

/* With the mutex, after a waiter has withdrawn: nobody may be left. */
static void retract(bridge__hold *hold)
{
  if (hold->first == NULL) {
    /* Takes nothing: while it is announced it changes under the mutex only. */
    const char *holder =
        atomic_load_explicit(&hold->holder, memory_order_relaxed);
    /* Publishes nothing: the holder has yet to leave. */
    atomic_store_explicit(&hold->holder, holder - 1, memory_order_relaxed);
  }
}

static void interrupt(void *object)
{
  bridge__waiter *waiter = object;
  bridge__mutex_lock(&waiter->hold->mutex);
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
  if (!take_or_announce(hold, waiter->thread)) {
    insert(hold, waiter);
    bool time_left = true;
    bool interrupted = bridge__interrupted();
    while (!waiter->granted && !interrupted && time_left) {
      time_left =
          bridge__condition_wait(&waiter->condition, &hold->mutex, deadline);
      interrupted = bridge__interrupted();
    }
    if (!waiter->granted) {
      withdraw(hold, waiter);
      retract(hold);
      status = interrupted ? BRIDGE_ECANCELLED : BRIDGE_ETIMEDOUT;
    }
  }
  bridge__mutex_unlock(&hold->mutex);
  return status;
}

static bridge_status wait_for(bridge__hold *hold, int timeout_ms)
{
  int64_t deadline = bridge__wait_deadline(timeout_ms);
  bridge__waiter waiter = {
      .hold = hold, .thread = calling_thread(), .since = came(hold)};
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
  if (status == BRIDGE_ETIMEDOUT) {
    keep_place(&waiter);
  } else {
    kept.hold = NULL;
  }
  return status;
}

bridge_status bridge__hold_enter(bridge__hold *hold, int timeout_ms)
{
  if (take(hold, calling_thread())) {
    return BRIDGE_OK;
  }
  if (bridge__hold_mine(hold)) {
    return BRIDGE_EDEADLOCK;
  }
  return timeout_ms == 0 ? BRIDGE_ETIMEDOUT : wait_for(hold, timeout_ms);
}

/* With the mutex: hand over to whoever came first.  The hold is never free while
   somebody waits, so that nobody can slip in between. */
static void hand_over(bridge__hold *hold)
{
  bridge__waiter *waiter = hold->first;
  if (waiter == NULL) {
    /* Publishes what the holder did. */
    atomic_store_explicit(&hold->holder, NULL, memory_order_release);
    return;
  }
  withdraw(hold, waiter);
  /* Publishes nothing: the waiter takes the mutex, which does. */
  atomic_store_explicit(&hold->holder,
                        waiter->thread + (hold->first != NULL ? 1 : 0),
                        memory_order_relaxed);
  waiter->granted = true;
  /* Before unlocking: then the waiter may be gone. */
  bridge__condition_signal(&waiter->condition);
}

bridge_status bridge__hold_leave(bridge__hold *hold)
{
  const char *thread = calling_thread();
  const char *holder = thread;
  /* Publishes what the holder did. */
  if (atomic_compare_exchange_strong_explicit(&hold->holder, &holder, NULL,
                                              memory_order_release,
                                              memory_order_relaxed)) {
    return BRIDGE_OK;
  }
  if (holder != thread + 1) {
    return BRIDGE_EINVAL;
  }
  bridge__mutex_lock(&hold->mutex);
  hand_over(hold);
  bridge__mutex_unlock(&hold->mutex);
  return BRIDGE_OK;
}

bool bridge__hold_mine(bridge__hold *hold)
{
  const char *thread = calling_thread();
  /* Takes nothing: only this thread, or who hands over to it, makes it so. */
  const char *holder =
      atomic_load_explicit(&hold->holder, memory_order_relaxed);
  return holder == thread || holder == thread + 1;
}
