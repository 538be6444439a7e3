/* Guard: between who wants something of a script and the thread that runs it: the
   slices, the kick that reaches them, and the asking. */
#include "lua/guard.h"

#include "lua/runner.h"
#include "lua/state.h"
#include "message/error.h"

#include <lauxlib.h>

#include <stddef.h>
#include <string.h>

void bridge__guard_init(bridge__guard *guard,
                        bridge_state *state,
                        bridge_stop_level level)
{
  memset(guard, 0, sizeof *guard);
  guard->state = state;
  guard->level = level;
}

/* Messages for which Lua would need memory where there is nobody to hear that there
   is none: lua_resume makes them on a coroutine that does not run. */
static void keep_messages(lua_State *L)
{
  static const char *const messages[] = {
      "cannot resume dead coroutine", "cannot resume non-suspended coroutine",
      "C stack overflow", "not enough memory"};
  for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
    lua_pushstring(L, messages[i]);
    luaL_ref(L, LUA_REGISTRYINDEX);
  }
}

void bridge__guard_bind(lua_State *L, bridge__guard *guard)
{
  *(bridge__guard **)lua_getextraspace(L) = guard;
}

void bridge__guard_open(lua_State *L, bridge__guard *guard)
{
  keep_messages(L);
  lua_getglobal(L, "pcall");
  guard->pcall = lua_tocfunction(L, -1);
  lua_getglobal(L, "xpcall");
  guard->xpcall = lua_tocfunction(L, -1);
  lua_pop(L, 2);
}

void bridge__guard_destroy(bridge__guard *guard)
{
  bridge_error_release(guard->seen);
  guard->seen = NULL;
}

/* ---- Reading what the thread and its kicks share ---- */

static bridge__slice *slice_of(const bridge__guard *guard)
{
  /* Takes nothing: the thread itself wrote it, before a signal fence. */
  return atomic_load_explicit(&guard->slice, memory_order_relaxed);
}

static bool stopping(const bridge__guard *guard)
{
  /* Takes nothing: as above. */
  return atomic_load_explicit(&guard->stopping, memory_order_relaxed);
}

static bool has_attention(const bridge__guard *guard)
{
  /* Takes nothing: as above. */
  return atomic_load_explicit(&guard->attention, memory_order_relaxed) != 0;
}

static void set_attention(bridge__guard *guard, bool wanted)
{
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&guard->attention, wanted, memory_order_relaxed);
}

static unsigned requests_of(const bridge__guard *guard)
{
  /* seq_cst: see the top of guard.h. */
  return atomic_load_explicit(&guard->requests, memory_order_seq_cst);
}

static void take_back(bridge__guard *guard, unsigned bits)
{
  /* seq_cst: see the top of guard.h. */
  atomic_fetch_and_explicit(&guard->requests, ~bits, memory_order_seq_cst);
}

lua_State *bridge__guard_switch(bridge__guard *guard, lua_State *L)
{
  /* Both relaxed: only this thread and its kicks touch it.  The fence lets a kick
     that comes between the two find the coroutine, or this one find its mark. */
  lua_State *before =
      atomic_load_explicit(&guard->current, memory_order_relaxed);
  atomic_store_explicit(&guard->current, L, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if (has_attention(guard)) {
    bridge__guard_arm(guard);
  }
  return before;
}

/* ---- The kick, on the thread of the runner or while that one stands ---- */

static void stop_slice(bridge__slice *slice)
{
  bridge__guard *guard = slice->guard;
  /* Both relaxed: only this thread, and its kicks, read them. */
  atomic_store_explicit(&guard->stopping, true, memory_order_relaxed);
  atomic_store_explicit(&guard->state->heap.refusing, true,
                        memory_order_relaxed);
  set_attention(guard, true);
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
  set_attention(guard, true);
}

/* The outermost slice of the thread that is on a leash that is due. */
static bridge__slice *find_due(const bridge__runner *runner, bool late)
{
  bridge__slice *due = NULL;
  /* Takes nothing: the thread itself wrote it. */
  for (bridge__slice *each =
           atomic_load_explicit(&runner->top, memory_order_relaxed);
       each != NULL; each = each->outer) {
    bool asked = (requests_of(each->guard) & BRIDGE__ASK_STOP) != 0;
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
    if (!stopping(each->guard)) {
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
    if (requests_of(slice->guard) != 0 || stopping(slice->guard)) {
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
  bool pressing = (requests_of(guard) & ~(unsigned)BRIDGE__ASK_PREEMPT) != 0;
  if (before == 0 || (!pressing && !stopping(guard))) {
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
    if (requests_of(each->guard) != 0) {
      set_attention(each->guard, true);
    }
    if (has_attention(each->guard)) {
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
  if (top != NULL && has_attention(top->guard)) {
    spread(top->guard);
  }
  if (late) {
    wind_clocks(runner);
  }
  bridge__guard_settle(top);
}

/* ---- Waits ---- */

static lua_State *current_of(const bridge__guard *guard)
{
  /* Takes nothing: this thread wrote it. */
  return atomic_load_explicit(&guard->current, memory_order_relaxed);
}

/* A wait is a safe point: who wants to look at the stacks does so now. */
static void receive_visits(const bridge__slice *top)
{
  for (const bridge__slice *each = top; each != NULL; each = each->outer) {
    if ((requests_of(each->guard) & BRIDGE__ASK_VISIT) != 0) {
      bridge__visits_receive(each->guard, current_of(each->guard));
    }
  }
  bridge__guard_settle(top);
}

static bool has_to_end(const bridge__slice *slice)
{
  /* Takes nothing: this thread and its kicks wrote it. */
  return stopping(slice->guard) ||
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
  /* seq_cst: see ask_from() in runner.c. */
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
  if (stopping(top->guard)) {
    bridge__guard_see(top->guard, current_of(top->guard));
    top->guard->thrown = true;
  }
  return has_to_end(top);
}

/* ---- Slices ---- */

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
  if (requests_of(guard) != 0 || stopping(guard)) {
    set_attention(guard, true);
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

/* Nobody kicks: its waits see by themselves when its time is over. */
static void begin_term(bridge__slice *slice)
{
  slice->term.end = end_of_term;
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
                           .before = slice_of(guard),
                           .pins = guard->pins,
                           .stopping = stopping(guard),
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
  unsigned requests = requests_of(guard);
  if ((requests & (BRIDGE__ASK_STOP | BRIDGE__ASK_PREEMPT)) != 0) {
    take_back(guard, BRIDGE__ASK_STOP | BRIDGE__ASK_PREEMPT);
  }
  if ((requests & BRIDGE__ASK_INTERRUPT) != 0) {
    bridge__runners_lock();
    if (guard->careful) {
      take_back(guard, BRIDGE__ASK_INTERRUPT); /* it was for this one */
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
  set_attention(guard, false);
  if (slice->before != NULL && (slice->stopping || requests_of(guard) != 0)) {
    set_attention(guard, true);
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
  return stopping(slice->guard) &&
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
      bridge__leash_find_due(slice_of(guard)->leash, NULL);
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
  const bridge__slice *slice = slice_of(guard);
  return slice != NULL && (bridge__leash_told(slice->leash) ||
                           bridge__leash_find_due(slice->leash, NULL) != NULL);
}

bridge_status bridge__guard_reason(const bridge__guard *guard, char *text)
{
  const bridge__slice *slice = slice_of(guard);
  const bridge__leash *due =
      slice == NULL ? NULL : bridge__leash_find_due(slice->leash, NULL);
  return due == NULL ? BRIDGE_OK : bridge__leash_reason(due, text);
}

/* ---- Asking ---- */

/* With the lock.  Sets the bits, and kicks whoever runs it. */
static bridge_status ask(bridge__guard *guard, unsigned bits)
{
  /* Both seq_cst: see the top of guard.h. */
  atomic_fetch_or_explicit(&guard->requests, bits, memory_order_seq_cst);
  bridge__runner *runner =
      atomic_load_explicit(&guard->runner, memory_order_seq_cst);
  bridge__runners_settle(); /* it may wait in a pause */
  /* A wait need not hear of what concerns only scripts that go on. */
  bool rousing =
      (bits & (BRIDGE__ASK_STOP | BRIDGE__ASK_INTERRUPT | BRIDGE__ASK_VISIT)) !=
      0;
  return runner == NULL ? BRIDGE_OK : bridge__runner_ask(runner, rousing);
}

static bridge_status stop_later(bridge__guard *guard,
                                bridge__leash *leash,
                                unsigned use,
                                int64_t until)
{
  /* All seq_cst: see grace_end() in leash.c. */
  bool graced =
      atomic_load_explicit(&leash->graced, memory_order_seq_cst) == use;
  if (graced &&
      atomic_load_explicit(&leash->until, memory_order_seq_cst) <= until) {
    return BRIDGE_OK; /* an earlier one stands */
  }
  atomic_store_explicit(&leash->until, until, memory_order_seq_cst);
  atomic_store_explicit(&leash->graced, use, memory_order_seq_cst);
  bridge__runner *runner =
      atomic_load_explicit(&guard->runner, memory_order_seq_cst);
  return runner == NULL ? BRIDGE_OK : bridge__runner_hasten(runner, until);
}

unsigned bridge__guard_use(const bridge__leash *leash)
{
  /* seq_cst: the use that is under way, see bridge__leash_begin. */
  return atomic_load_explicit(&leash->use, memory_order_seq_cst);
}

bridge_status bridge__guard_stop(bridge__guard *guard,
                                 bridge__leash *leash,
                                 unsigned use,
                                 int grace_ms)
{
  bridge_status status = BRIDGE_EEMPTY;
  bridge__runners_lock();
  bool under_way = use != 0 && bridge__guard_use(leash) == use;
  if (under_way && grace_ms > 0) {
    status = stop_later(guard, leash, use, bridge__deadline(grace_ms));
  } else if (under_way) {
    /* seq_cst: see told_to_stop() in leash.c. */
    atomic_store_explicit(&leash->stopped, use, memory_order_seq_cst);
    status = ask(guard, BRIDGE__ASK_STOP);
  }
  bridge__runners_unlock();
  return status;
}

/* With the lock. */
static bool runs(const bridge__guard *guard)
{
  /* seq_cst: a slice that ends says so, and then looks for visitors. */
  return atomic_load_explicit(&guard->runner, memory_order_seq_cst) != NULL;
}

bridge_status bridge__guard_interrupt(bridge__guard *guard,
                                      const char *text,
                                      bool sticky,
                                      bool careful,
                                      unsigned use)
{
  size_t size = strlen(text);
  size = size < sizeof guard->text ? size : sizeof guard->text - 1;
  bridge__runners_lock();
  if (careful && !runs(guard)) {
    bridge__runners_unlock();
    return BRIDGE_EEMPTY; /* its waits end by an error anyway */
  }
  memcpy(guard->text, text, size);
  guard->text[size] = '\0';
  guard->sticky = sticky;
  guard->careful = careful;
  guard->use = use;
  bridge_status status = ask(guard, BRIDGE__ASK_INTERRUPT);
  bridge__runners_unlock();
  return status;
}

void bridge__guard_clear_interrupt(bridge__guard *guard)
{
  take_back(guard, BRIDGE__ASK_INTERRUPT);
}

bridge_status bridge__guard_pause(bridge__guard *guard)
{
  bridge__runners_lock();
  bridge_status status = ask(guard, BRIDGE__ASK_PAUSE);
  bridge__runners_unlock();
  return status;
}

void bridge__guard_unpause(bridge__guard *guard)
{
  bridge__runners_lock();
  take_back(guard, BRIDGE__ASK_PAUSE);
  bridge__runners_settle();
  bridge__runners_unlock();
}

bridge_status bridge__guard_preempt(bridge__guard *guard)
{
  bridge__runners_lock();
  bridge_status status = ask(guard, BRIDGE__ASK_PREEMPT);
  bridge__runners_unlock();
  return status;
}

/* ---- Visits ---- */

struct bridge__visit {
  bridge__visit *next; /* all guarded by the lock */
  void (*look)(void *user, lua_State *L);
  void *user;
  enum {
    WAITING,
    LOOKING,
    DONE,
    DISMISSED
  } stage;
};

void bridge__visits_dismiss(bridge__guard *guard)
{
  for (bridge__visit *each = guard->visits; each != NULL; each = each->next) {
    each->stage = DISMISSED;
  }
  guard->visits = NULL;
  take_back(guard, BRIDGE__ASK_VISIT);
  bridge__runners_settle();
}

void bridge__visits_receive(bridge__guard *guard, lua_State *L)
{
  bridge__runners_lock();
  take_back(guard, BRIDGE__ASK_VISIT);
  while (guard->visits != NULL) {
    bridge__visit *visit = guard->visits;
    guard->visits = visit->next;
    visit->stage = LOOKING;
    bridge__runners_unlock();
    visit->look(visit->user, L);
    bridge__runners_lock();
    visit->stage = DONE;
  }
  bridge__runners_settle();
  bridge__runners_unlock();
}

static void withdraw(bridge__guard *guard, const bridge__visit *visit)
{
  bridge__visit **link = &guard->visits;
  while (*link != visit) {
    link = &(*link)->next;
  }
  *link = visit->next;
}

/* With the lock. */
static bridge_status wait_for_look(bridge__guard *guard,
                                   bridge__visit *visit,
                                   int64_t deadline)
{
  bool time_left = true;
  while (visit->stage == LOOKING || (visit->stage == WAITING && time_left)) {
    bool looking = visit->stage == LOOKING;
    time_left = bridge__runners_wait(looking ? INT64_MAX : deadline);
  }
  if (visit->stage == WAITING) {
    withdraw(guard, visit);
    return BRIDGE_ETIMEDOUT;
  }
  return visit->stage == DONE ? BRIDGE_OK : BRIDGE_EEMPTY;
}

/* With the lock. */
static bridge_status call_on(bridge__guard *guard,
                             bridge__visit *visit,
                             int64_t deadline)
{
  visit->next = guard->visits;
  guard->visits = visit;
  bridge_status status = ask(guard, BRIDGE__ASK_VISIT);
  if (status != BRIDGE_OK || !runs(guard)) {
    withdraw(guard, visit);
    return status == BRIDGE_OK ? BRIDGE_EEMPTY : status;
  }
  return wait_for_look(guard, visit, deadline);
}

bridge_status bridge__guard_visit(bridge__guard *guard,
                                  void (*look)(void *user, lua_State *L),
                                  void *user,
                                  int timeout_ms)
{
  bridge__visit visit = {.look = look, .user = user, .stage = WAITING};
  int64_t deadline = bridge__deadline(timeout_ms);
  if (bridge__hold_mine(&guard->state->hold)) {
    return BRIDGE_EDEADLOCK;
  }
  bridge__runners_lock();
  bridge_status status =
      runs(guard) ? call_on(guard, &visit, deadline) : BRIDGE_EEMPTY;
  bridge__runners_unlock();
  return status;
}
