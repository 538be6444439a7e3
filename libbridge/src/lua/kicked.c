/* Kicked: what a kick does on the thread of the runner, or while that one stands; and what
   a wait does that looks for itself. */
#include "lua/slice.h"

#include "lua/runner.h"
#include "lua/state.h"

#include <stddef.h>

static void stop_slice(bridge__slice *slice)
{
  bridge__guard *guard = slice->guard;
  /* Both relaxed: only this thread, and its kicks, read them. */
  atomic_store_explicit(&guard->stopping, true, memory_order_relaxed);
  atomic_store_explicit(&guard->state->heap.refusing, true,
                        memory_order_relaxed);
  bridge__guard_set_attention(guard, true);
}

/* A slice outside of this one is to be stopped, and this one keeps it: it yields if
   it can go on later, and else is stopped, too. */
static void urge_slice(bridge__slice *slice)
{
  bridge__guard *guard = slice->guard;
  /* Publishes nothing: this thread reads it. */
  atomic_store_explicit(&slice->urged, true, memory_order_relaxed);
  if ((slice->manner & BRIDGE__MAY_YIELD) == 0) {
    stop_slice(slice);
    return;
  }
  /* Publishes nothing: this thread reads it. */
  atomic_fetch_or_explicit(&guard->requests, BRIDGE__ASK_PREEMPT,
                           memory_order_relaxed);
  bridge__guard_set_attention(guard, true);
}

/* The outermost slice of the thread that is on a leash that is due. */
static bridge__slice *find_due(const bridge__runner *runner, bool late)
{
  bridge__slice *due = NULL;
  /* Takes nothing: the thread itself wrote it. */
  for (bridge__slice *each =
           atomic_load_explicit(&runner->top, memory_order_relaxed);
       each != NULL; each = each->outer) {
    bool asked = (bridge__guard_requests(each->guard) & BRIDGE__ASK_STOP) != 0;
    if ((late || asked) &&
        bridge__leash_find_due(each->leash, &runner->target) != NULL) {
      due = each;
      stop_slice(each);
    }
  }
  return due;
}

/* The clocks that are left when some have gone off. */
static void wind_clocks(bridge__runner *runner)
{
  int64_t deadline = INT64_MAX;
  int64_t cpu_end = INT64_MAX;
  /* Takes nothing: the thread itself wrote it. */
  for (bridge__slice *each =
           atomic_load_explicit(&runner->top, memory_order_relaxed);
       each != NULL; each = each->outer) {
    if (!bridge__guard_stopping(each->guard)) {
      int64_t of_leash = bridge__leash_deadline(each->leash);
      int64_t of_cpu = bridge__leash_cpu_end(each->leash);
      deadline = of_leash < deadline ? of_leash : deadline;
      cpu_end = of_cpu < cpu_end ? of_cpu : cpu_end;
    }
  }
  bridge__runner_rewind(runner, deadline, cpu_end);
}

static bool wanted(const bridge__slice *slice)
{
  for (; slice != NULL; slice = slice->outer) {
    if (bridge__guard_requests(slice->guard) != 0 ||
        bridge__guard_stopping(slice->guard)) {
      return true;
    }
  }
  return false;
}

void bridge__guard_settle(const bridge__slice *slice)
{
  if (slice == NULL || slice->runner == NULL || wanted(slice)) {
    return;
  }
  bridge__runner_satisfied(slice->runner);
  if (wanted(slice)) {
    bridge__runner_repeat(slice->runner);
  }
}

/* A kick that nobody hears of goes to all coroutines when it is repeated, but the
   thread is not kept busy with that: it takes longer the more there are. */
static void spread(bridge__guard *guard)
{
  enum {
    PATIENCE =
        8 /* of the thread's time, all but one part in so many are its own */
  };
  /* All relaxed: only this thread and its kicks touch them. */
  unsigned before =
      atomic_fetch_add_explicit(&guard->unheard, 1, memory_order_relaxed);
  bool pressing =
      (bridge__guard_requests(guard) & ~(unsigned)BRIDGE__ASK_PREEMPT) != 0;
  if (before == 0 || (!pressing && !bridge__guard_stopping(guard))) {
    return;
  }
  int64_t start = bridge__now();
  if (start <
      atomic_load_explicit(&guard->spread_again, memory_order_relaxed)) {
    return;
  }
  atomic_store_explicit(&guard->spread, true, memory_order_relaxed);
  bridge__guard_arm_all(guard);
  int64_t end = bridge__now();
  atomic_store_explicit(&guard->spread_again, end + PATIENCE * (end - start),
                        memory_order_relaxed);
}

/* Everywhere on the thread. */
static void mark(const bridge__runner *runner, bool late)
{
  bridge__slice *due = find_due(runner, late);
  bool inside = due != NULL;
  /* Takes nothing: the thread itself wrote it. */
  for (bridge__slice *each =
           atomic_load_explicit(&runner->top, memory_order_relaxed);
       each != NULL; each = each->outer) {
    inside = inside && each != due;
    if (inside) {
      urge_slice(each);
    }
    if (bridge__guard_requests(each->guard) != 0) {
      bridge__guard_set_attention(each->guard, true);
    }
    if (bridge__guard_has_attention(each->guard)) {
      bridge__guard_arm(each->guard);
    }
  }
}

void bridge__runner_deliver(bridge__kick_target *target)
{
  bridge__runner *runner = (bridge__runner *)(void *)target;
  /* Takes nothing: the clocks tell what is late. */
  bool late =
      atomic_exchange_explicit(&runner->late, false, memory_order_seq_cst);
  mark(runner, late);
  /* Takes nothing: the thread itself wrote it. */
  bridge__slice *top = atomic_load_explicit(&runner->top, memory_order_relaxed);
  if (top != NULL && bridge__guard_has_attention(top->guard)) {
    spread(top->guard);
  }
  if (late) {
    wind_clocks(runner);
  }
  bridge__guard_settle(top);
}

/* ---- Waits ---- */

/* A wait is a safe point: who wants to look at the stacks does so now. */
static void receive_visits(const bridge__slice *top)
{
  for (const bridge__slice *each = top; each != NULL; each = each->outer) {
    if ((bridge__guard_requests(each->guard) & BRIDGE__ASK_VISIT) != 0) {
      bridge__visits_receive(each->guard, bridge__guard_current(each->guard));
    }
  }
  bridge__guard_settle(top);
}

static bool has_to_end(const bridge__slice *slice)
{
  /* Takes nothing: this thread and its kicks wrote it. */
  return bridge__guard_stopping(slice->guard) ||
         atomic_load_explicit(&slice->urged, memory_order_relaxed) ||
         bridge__leash_told(slice->leash);
}

/* A kick may be late, or may not have come at all: the clocks tell.  A wait that a
   stop ends counts as an error that a stop raises: it may be the last thing that the
   script does, and where that was is seen here, while the stack is there. */
bool bridge__runner_broken(bridge__post *post)
{
  bridge__runner *runner =
      (bridge__runner *)(void *)((char *)post - offsetof(bridge__runner, post));
  /* seq_cst: see ask_from() in supervisor.c. */
  if (!atomic_load_explicit(&runner->asked, memory_order_seq_cst)) {
    return false;
  }
  /* Takes nothing: this thread wrote it. */
  const bridge__slice *top =
      atomic_load_explicit(&runner->top, memory_order_relaxed);
  if (top == NULL) {
    return false;
  }
  mark(runner, true);
  receive_visits(top);
  if (bridge__guard_stopping(top->guard)) {
    bridge__guard_see(top->guard, bridge__guard_current(top->guard));
    top->guard->thrown = true;
  }
  return has_to_end(top);
}
