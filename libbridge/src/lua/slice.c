/* Slice: a stretch of time in which a thread runs a script, from a lua_resume of ours to
   its return: how it becomes reachable, and how it ended. */
#include "lua/slice.h"

#include "lua/runner.h"
#include "lua/state.h"
#include "message/error.h"

static void set_slice(bridge__guard *guard, bridge__slice *slice)
{
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&guard->slice, slice, memory_order_relaxed);
}

static void count_turn(bridge__guard *guard)
{
  /* Publishes nothing: a number, which only the holder of the state writes. */
  atomic_store_explicit(
      &guard->turns,
      atomic_load_explicit(&guard->turns, memory_order_relaxed) + 1,
      memory_order_relaxed);
}

/* The clocks of the slice and of those outside.  They are set before anybody can find
   the thread, so that who hastens them then is not overwritten. */
static bridge_status set_clocks(bridge__slice *slice)
{
  bridge__runner *runner = slice->runner;
  const bridge__slice *outer = slice->outer;
  slice->deadline = bridge__leash_deadline(slice->leash);
  slice->cpu_end = INT64_MAX;
  bool counts = bridge__leash_counts_cpu(slice->leash);
  if (slice->deadline == INT64_MAX && !counts && outer == NULL) {
    return BRIDGE_OK;
  }
  int64_t now = bridge__now();
  if (counts) {
    slice->cpu_end =
        bridge__leash_start_cpu(slice->leash, bridge__runner_cpu(runner, now));
  }
  if (outer != NULL && outer->deadline < slice->deadline) {
    slice->deadline = outer->deadline;
  }
  if (outer != NULL && outer->cpu_end < slice->cpu_end) {
    slice->cpu_end = outer->cpu_end;
  }
  return bridge__runner_watch(runner, now, slice->deadline, slice->cpu_end);
}

static void reset_clocks(const bridge__slice *slice)
{
  const bridge__slice *outer = slice->outer;
  if (slice->deadline == INT64_MAX && slice->cpu_end == INT64_MAX &&
      outer == NULL) {
    /* A cancel with a grace may have set one. */
    bridge__runner_watch(slice->runner, 0, INT64_MAX, INT64_MAX);
    return;
  }
  int64_t now = bridge__now();
  if (slice->cpu_end != INT64_MAX) {
    bridge__leash_stop_cpu(slice->leash,
                           bridge__runner_cpu(slice->runner, now));
  }
  bridge__runner_watch(slice->runner, now,
                       outer == NULL ? INT64_MAX : outer->deadline,
                       outer == NULL ? INT64_MAX : outer->cpu_end);
}

/* Look what was asked before anybody could find the thread. */
static void look_round(bridge__slice *slice)
{
  bridge__guard *guard = slice->guard;
  int64_t deadline = bridge__leash_deadline(slice->leash);
  if (deadline < slice->deadline) {
    slice->deadline = deadline;
    bridge__runners_lock();
    bridge__runner_hasten(slice->runner, deadline);
    bridge__runners_unlock();
  }
  if (bridge__guard_requests(guard) != 0 || bridge__guard_stopping(guard)) {
    bridge__guard_set_attention(guard, true);
    bridge__guard_arm(guard);
  }
}

/* Begin to be reachable for kicks. */
static bridge_status attach(bridge__slice *slice)
{
  bridge__runner *runner = bridge__runner_mine();
  if (runner == NULL) {
    return BRIDGE_ENOMEM;
  }
  slice->runner = runner;
  /* Takes nothing: this thread wrote it. */
  slice->outer = atomic_load_explicit(&runner->top, memory_order_relaxed);
  if (slice->outer == NULL) {
    bridge__runner_begin(runner);
  }
  bridge_status status = set_clocks(slice);
  atomic_signal_fence(memory_order_seq_cst);
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&runner->top, slice, memory_order_relaxed);
  /* seq_cst: see the top of guard.h. */
  atomic_store_explicit(&slice->guard->runner, runner, memory_order_seq_cst);
  look_round(slice);
  return status;
}

static void detach(bridge__slice *slice)
{
  bridge__runner *runner = slice->runner;
  bridge__runner *before = slice->before == NULL ? NULL : slice->before->runner;
  /* seq_cst: who asks from now on finds nobody, or has been seen. */
  atomic_store_explicit(&slice->guard->runner, before, memory_order_seq_cst);
  reset_clocks(slice);
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&runner->top, slice->outer, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if (slice->outer == NULL) {
    bridge__runner_end(runner);
  }
}

/* ---- At the cooperative level ---- */

static bool only_asked(const bridge__guard *guard)
{
  return guard->level <= BRIDGE_STOP_COOPERATIVE;
}

static int64_t end_of_term(const bridge__term *term)
{
  const bridge__slice *slice = (const bridge__slice *)(const void *)term;
  return bridge__leash_find_due(slice->leash, NULL) != NULL
             ? bridge__now()
             : bridge__leash_deadline(slice->leash);
}

static bool told(const bridge__term *term)
{
  return bridge__leash_told(((const bridge__slice *)(const void *)term)->leash);
}

/* Nobody kicks: its waits see by themselves when its time is over. */
static void begin_term(bridge__slice *slice)
{
  slice->term.end = end_of_term;
  slice->term.told = told;
  bridge__term_begin(&slice->term);
  if (bridge__leash_counts_cpu(slice->leash)) {
    bridge__leash_start_cpu(slice->leash, bridge__cpu_time());
  }
}

static void end_term(const bridge__slice *slice)
{
  if (bridge__leash_counts_cpu(slice->leash)) {
    bridge__leash_stop_cpu(slice->leash, bridge__cpu_time());
  }
  bridge__term_end();
}

static bridge_status begin(bridge__slice *slice,
                           bridge__guard *guard,
                           bridge__leash *leash,
                           lua_State *L,
                           unsigned manner)
{
  *slice = (bridge__slice){.guard = guard,
                           .leash = leash,
                           .deadline = INT64_MAX,
                           .cpu_end = INT64_MAX,
                           .manner = manner,
                           .base = L,
                           .before = bridge__guard_slice(guard),
                           .pins = guard->pins,
                           .stopping = bridge__guard_stopping(guard),
                           .unwinding = guard->unwinding,
                           .thrown = guard->thrown};
  /* Takes nothing: this thread wrote it. */
  slice->current = atomic_load_explicit(&guard->current, memory_order_relaxed);
  guard->pins = 0;
  guard->unwinding = false;
  guard->thrown = false;
  set_slice(guard, slice);
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&guard->current, L, memory_order_relaxed);
  count_turn(guard);
  atomic_signal_fence(memory_order_seq_cst);
  if (only_asked(guard)) {
    begin_term(slice);
    return BRIDGE_OK;
  }
  return attach(slice);
}

/* Nobody waits for a look at a script that is not there any more. */
static void dismiss_visits(bridge__guard *guard)
{
  bridge__runners_lock();
  bridge__visits_dismiss(guard);
  bridge__runners_unlock();
}

/* What was asked of the slice itself, and not of the state, goes with it. */
static void drop_requests(bridge__guard *guard)
{
  unsigned requests = bridge__guard_requests(guard);
  if ((requests & (BRIDGE__ASK_STOP | BRIDGE__ASK_PREEMPT)) != 0) {
    bridge__guard_take_back(guard, BRIDGE__ASK_STOP | BRIDGE__ASK_PREEMPT);
  }
  if ((requests & BRIDGE__ASK_INTERRUPT) != 0) {
    bridge__runners_lock();
    if (guard->careful) {
      bridge__guard_take_back(guard,
                              BRIDGE__ASK_INTERRUPT); /* it was for this one */
    }
    bridge__runners_unlock();
  }
  if ((requests & BRIDGE__ASK_VISIT) != 0) {
    dismiss_visits(guard);
  }
}

/* The main thread runs nothing that would take the hook away, but new coroutines
   would inherit it. */
static void gather(bridge__guard *guard)
{
  /* Both relaxed: only this thread and its kicks touch them. */
  atomic_store_explicit(&guard->unheard, 0, memory_order_relaxed);
  if (!atomic_load_explicit(&guard->spread, memory_order_relaxed)) {
    return;
  }
  atomic_store_explicit(&guard->spread, false, memory_order_relaxed);
  if (bridge__guard_is_hook(lua_gethook(guard->state->main))) {
    bridge__debug_restore(guard->state->main);
  }
}

static void end(bridge__slice *slice)
{
  bridge__guard *guard = slice->guard;
  if (slice->runner != NULL) {
    detach(slice);
  }
  if (only_asked(guard)) {
    end_term(slice);
  }
  gather(guard);
  if (slice->before == NULL) {
    drop_requests(guard);
  }
  set_slice(guard, slice->before);
  /* All relaxed: only this thread and its kicks touch them. */
  atomic_store_explicit(&guard->current, slice->current, memory_order_relaxed);
  atomic_store_explicit(&guard->stopping, slice->stopping,
                        memory_order_relaxed);
  atomic_store_explicit(&guard->state->heap.refusing, slice->stopping,
                        memory_order_relaxed);
  guard->pins = slice->pins;
  guard->unwinding = slice->unwinding;
  guard->thrown = slice->thrown;
  count_turn(guard);
  bridge__guard_set_attention(guard, false);
  if (slice->before != NULL &&
      (slice->stopping || bridge__guard_requests(guard) != 0)) {
    bridge__guard_set_attention(guard, true);
    bridge__guard_arm(guard);
  }
}

/* Whether it was stopped: also if the script made something else of the error that
   stopped it, but not if it came to its end before. */
static bool was_stopped(bridge__slice *slice, int code)
{
  bridge__heap *heap = &slice->guard->state->heap;
  bool refused = heap->refused;
  heap->refused = false;
  return bridge__guard_stopping(slice->guard) &&
         (slice->guard->thrown || refused || code != LUA_OK);
}

void bridge__guard_see(bridge__guard *guard, lua_State *L)
{
  char text[BRIDGE__REASON] = "cancelled";
  bridge_status status = BRIDGE_ECANCELLED;
  if (guard->seen != NULL) {
    return;
  }
  const bridge__leash *due =
      bridge__leash_find_due(bridge__guard_slice(guard)->leash, NULL);
  if (due != NULL) {
    status = bridge__leash_reason(due, text);
  }
  guard->seen = bridge__state_where(guard->state, L, status, text);
}

static void forget(bridge__guard *guard)
{
  bridge_error_release(guard->seen);
  guard->seen = NULL;
}

/* What the caller is told, while the leashes still say why. */
static void conclude(bridge__slice *slice, bridge__resumed *resumed)
{
  char text[BRIDGE__REASON];
  bridge__guard_see(slice->guard, slice->base);
  resumed->ended = BRIDGE__STOPPED;
  resumed->due = bridge__leash_find_due(slice->leash, NULL);
  resumed->status = resumed->due == NULL
                        ? BRIDGE_ECANCELLED
                        : bridge__leash_reason(resumed->due, text);
}

bridge__resumed bridge__guard_resume(bridge__guard *guard,
                                     bridge__leash *leash,
                                     lua_State *L,
                                     int arguments,
                                     unsigned manner)
{
  bridge__slice slice;
  bridge__resumed resumed = {.ended = BRIDGE__ENDED, .code = LUA_OK};
  forget(guard);
  resumed.status = begin(&slice, guard, leash, L, manner);
  if (resumed.status != BRIDGE_OK) {
    resumed.ended = BRIDGE__REFUSED;
  } else if (slice.runner != NULL &&
             bridge__leash_find_due(leash, NULL) != NULL) {
    conclude(&slice, &resumed);
  } else {
    resumed.code = lua_resume(L, NULL, arguments, &resumed.results);
    if (was_stopped(&slice, resumed.code)) {
      conclude(&slice, &resumed);
    } else if (resumed.code == LUA_YIELD && guard->unwinding) {
      resumed.ended = BRIDGE__PREEMPTED;
    }
  }
  end(&slice);
  return resumed;
}

bridge__resumed bridge__guard_call(bridge__guard *guard,
                                   bridge__leash *leash,
                                   lua_State *L,
                                   void (*body)(void *user),
                                   void *user)
{
  bridge__slice slice;
  bridge__resumed resumed = {.ended = BRIDGE__ENDED, .code = LUA_OK};
  forget(guard);
  resumed.status = begin(&slice, guard, leash, L, 0);
  if (resumed.status != BRIDGE_OK) {
    resumed.ended = BRIDGE__REFUSED;
  } else if (slice.runner != NULL &&
             bridge__leash_find_due(leash, NULL) != NULL) {
    conclude(&slice, &resumed);
  } else {
    body(user);
    if (was_stopped(&slice, LUA_OK)) {
      conclude(&slice, &resumed);
    }
  }
  end(&slice);
  return resumed;
}

bridge_error *bridge__guard_take_stop(bridge__guard *guard)
{
  bridge_error *seen = guard->seen;
  guard->seen = NULL;
  return seen;
}

bool bridge__guard_cancelled(const bridge__guard *guard)
{
  const bridge__slice *slice = bridge__guard_slice(guard);
  return slice != NULL && (bridge__leash_told(slice->leash) ||
                           bridge__leash_find_due(slice->leash, NULL) != NULL);
}

bridge_status bridge__guard_reason(const bridge__guard *guard, char *text)
{
  const bridge__slice *slice = bridge__guard_slice(guard);
  const bridge__leash *due =
      slice == NULL ? NULL : bridge__leash_find_due(slice->leash, NULL);
  return due == NULL ? BRIDGE_OK : bridge__leash_reason(due, text);
}

bridge_status bridge__guard_overdue(const bridge__guard *guard,
                                    bridge__leash *leash)
{
  char text[BRIDGE__REASON];
  const bridge__leash *due =
      only_asked(guard) ? bridge__leash_find_due(leash, NULL) : NULL;
  return due == NULL ? BRIDGE_OK : bridge__leash_reason(due, text);
}
