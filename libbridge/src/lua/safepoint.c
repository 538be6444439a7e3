/* Safe point: the hook that a kick has set, where the thread that runs a script does
   what was asked of it. */
#include "lua/slice.h"

#include "lua/runner.h"
#include "lua/state.h"

#include <lauxlib.h>
#include <lualib.h>

#include <string.h>

static bool is_current(const bridge__guard *guard, const lua_State *L)
{
  /* Takes nothing: this thread wrote it. */
  return atomic_load_explicit(&guard->current, memory_order_relaxed) == L;
}

/* ---- Setting the hook ---- */

/* The same as bridge__guard_hook.  A coroutine that was left with this one died of a
   stop: Lua then runs no hooks in it any more, so that what its variables have to
   close must not run either. */
static void hook_of_killed(lua_State *L, lua_Debug *ar)
{
  bridge__guard_hook(L, ar);
}

bool bridge__guard_is_hook(lua_Hook hook)
{
  return hook == bridge__guard_hook || hook == hook_of_killed;
}

static void mark_killed(lua_State *L)
{
  bridge__guard_of(L)->kills = true;
  lua_sethook(L, hook_of_killed, LUA_MASKCOUNT, 1);
}

bool bridge__guard_was_killed(lua_State *L)
{
  return lua_gethook(L) == hook_of_killed && lua_status(L) != LUA_OK;
}

/* The script's own events stay on; the hook hands them on. */
static void arm(void *user, lua_State *L)
{
  (void)user;
  bool killed = lua_gethook(L) == hook_of_killed;
  lua_sethook(L, killed ? hook_of_killed : bridge__guard_hook,
              LUA_MASKCOUNT | lua_gethookmask(L), 1);
}

void bridge__guard_arm(bridge__guard *guard)
{
  /* Takes nothing: this thread and its kicks wrote it. */
  lua_State *L = atomic_load_explicit(&guard->current, memory_order_relaxed);
  if (L != NULL) {
    arm(NULL, L);
  }
}

void bridge__guard_arm_all(bridge__guard *guard)
{
  arm(NULL, guard->state->main);
  bridge__census_each(&guard->state->heap.census, arm, NULL);
}

/* ---- Stopping ---- */

/* With exactly this text Lua raises its error for lack of memory, which calls no
   handler, needs no memory, and cannot be told from a stop by a script.  One that
   catches it meets the next one at its next instruction. */
int bridge__guard_throw(lua_State *L)
{
  bridge__guard *guard = bridge__guard_of(L);
  guard->thrown = true;
  mark_killed(L);
  lua_pushliteral(L, "not enough memory");
  return lua_error(L);
}

/* Out of a coroutine at once, past thousands of pcalls: it stays as if it waited, and
   nobody resumes it. */
int bridge__guard_abandon(lua_State *L, lua_KFunction finish)
{
  bridge__guard *guard = bridge__guard_of(L);
  if (!is_current(guard, L) || !lua_isyieldable(L)) {
    return bridge__guard_throw(L);
  }
  guard->thrown = true;
  guard->unwinding = true;
  mark_killed(L);
  return lua_yieldk(L, 0, 0, finish);
}

static void stop(bridge__guard *guard, lua_State *L, bool by_count)
{
  if (guard->seen == NULL) {
    bridge__guard_see(guard, L);
  }
  if (by_count) {
    bridge__guard_abandon(L, NULL);
  } else {
    bridge__guard_throw(L); /* where a hook must not yield */
  }
}

/* Its leash may have become due without a kick, or may not be due at all. */
static void check_leash(bridge__guard *guard)
{
  bridge__slice *slice = bridge__guard_slice(guard);
  bridge__guard_take_back(guard, BRIDGE__ASK_STOP);
  for (; slice != NULL; slice = slice->outer) {
    if (slice->guard == guard &&
        bridge__leash_find_due(slice->leash, NULL) != NULL) {
      /* Both relaxed: only this thread, and its kicks, read them. */
      atomic_store_explicit(&guard->stopping, true, memory_order_relaxed);
      atomic_store_explicit(&guard->state->heap.refusing, true,
                            memory_order_relaxed);
    }
  }
}

/* ---- Holding ---- */

static bool held(const bridge__guard *guard)
{
  unsigned requests = bridge__guard_requests(guard);
  return (requests & BRIDGE__ASK_PAUSE) != 0 &&
         (requests & (BRIDGE__ASK_STOP | BRIDGE__ASK_VISIT)) == 0 &&
         !bridge__guard_stopping(guard);
}

/* A deadline that passes meanwhile comes as a kick, which cannot end the wait. */
static void hold_on(bridge__guard *guard)
{
  const bridge__slice *slice = bridge__guard_slice(guard);
  bridge__runners_lock();
  bool time_left = true;
  while (held(guard) && time_left) {
    int64_t deadline = bridge__leash_deadline(slice->leash);
    time_left = bridge__runners_wait(deadline);
  }
  bridge__runners_unlock();
  if (!time_left) {
    check_leash(guard);
  }
}

/* ---- Interrupting ---- */

typedef enum protection {
  NONE,
  BY_PCALL,
  BY_HANDLER
} protection;

/* Which function would catch an error now: one with a handler written in Lua runs
   that within the hook, where no other hook comes. */
static protection protected_by(lua_State *L)
{
  lua_Debug ar;
  const bridge__guard *guard = bridge__guard_of(L);
  for (int level = 0; lua_getstack(L, level, &ar) != 0; level++) {
    lua_getinfo(L, "f", &ar);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (function != NULL && function == guard->pcall) {
      return BY_PCALL;
    }
    if (function != NULL && function == guard->xpcall) {
      bool in_c = lua_getlocal(L, &ar, 2) != NULL;
      if (in_c) {
        in_c = lua_iscfunction(L, -1) != 0;
        lua_pop(L, 1);
      }
      return in_c ? BY_PCALL : BY_HANDLER;
    }
  }
  return NONE;
}

/* Whether it is for the slice that runs now. */
static bool is_meant(const bridge__guard *guard)
{
  return guard->use == 0 ||
         guard->use == bridge__guard_use(bridge__guard_slice(guard)->leash);
}

/* What is to be raised now; false if nothing is. */
static bool take_interrupt(bridge__guard *guard,
                           lua_State *L,
                           char *text,
                           bool *careful)
{
  bool handled = protected_by(L) == BY_HANDLER;
  bridge__runners_lock();
  bool meant = is_meant(guard);
  bool asked = (bridge__guard_requests(guard) & BRIDGE__ASK_INTERRUPT) != 0;
  bool later = guard->careful && handled; /* or never: then the stop comes */
  *careful = guard->careful;
  memcpy(text, guard->text, sizeof guard->text);
  if (asked && (!meant || (!guard->sticky && !later))) {
    bridge__guard_take_back(guard, BRIDGE__ASK_INTERRUPT);
  }
  bridge__runners_unlock();
  return asked && meant && !later;
}

static void interrupt(bridge__guard *guard, lua_State *L)
{
  char text[BRIDGE__INTERRUPT_TEXT];
  bool careful = false;
  if (!take_interrupt(guard, L, text, &careful)) {
    return;
  }
  if (careful) {
    mark_killed(L);
  }
  luaL_where(L, 0);
  lua_pushstring(L, text);
  lua_concat(L, 2);
  lua_error(L);
}

/* ---- Yielding to the driver ---- */

/* Whether something is left for which hooks are to be set. */
static bool look_again(bridge__guard *guard)
{
  bool wanted =
      bridge__guard_stopping(guard) || bridge__guard_requests(guard) != 0;
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&guard->attention, wanted, memory_order_relaxed);
  return wanted;
}

static bool can_be_preempted(const bridge__guard *guard)
{
  const bridge__slice *slice = bridge__guard_slice(guard);
  return (slice->manner & BRIDGE__MAY_YIELD) != 0 && guard->pins == 0;
}

/* Whether the hook has yielded; if not, it comes again when it can. */
static bool preempt(bridge__guard *guard, lua_State *L)
{
  int count = 0;
  bool own_hook = bridge__debug_mask(L, &count) != 0;
  bool mine = is_current(guard, L);
  if (!mine || own_hook || !can_be_preempted(guard)) {
    return false; /* further out, when a resume returns */
  }
  if (!lua_isyieldable(L)) {
    /* A C function below: look again when something returns. */
    lua_sethook(L, bridge__guard_hook, LUA_MASKRET, 0);
    return true;
  }
  bridge__guard_take_back(guard, BRIDGE__ASK_PREEMPT);
  look_again(guard);
  lua_sethook(L, NULL, 0, 0);
  guard->unwinding = true;
  lua_yield(L, 0);
  return true;
}

/* ---- The hook ---- */

/* What can be done wherever the script is. */
static void attend(bridge__guard *guard, lua_State *L, bool by_count)
{
  unsigned requests = bridge__guard_requests(guard);
  while (!bridge__guard_stopping(guard) &&
         (requests &
          (BRIDGE__ASK_STOP | BRIDGE__ASK_VISIT | BRIDGE__ASK_PAUSE)) != 0) {
    if ((requests & BRIDGE__ASK_STOP) != 0) {
      check_leash(guard);
    } else if ((requests & BRIDGE__ASK_VISIT) != 0) {
      bridge__visits_receive(guard, L);
    } else {
      hold_on(guard);
    }
    requests = bridge__guard_requests(guard);
  }
  if (bridge__guard_stopping(guard)) {
    stop(guard, L, by_count);
    return;
  }
  if ((requests & BRIDGE__ASK_INTERRUPT) != 0) {
    interrupt(guard, L);
  }
}

static void at_count(bridge__guard *guard, lua_State *L)
{
  attend(guard, L, true);
  if (bridge__guard_stopping(guard)) {
    return; /* it has yielded */
  }
  unsigned requests = bridge__guard_requests(guard);
  if ((requests & BRIDGE__ASK_PREEMPT) != 0 && preempt(guard, L)) {
    return;
  }
  look_again(guard);
  bridge__guard_settle(bridge__guard_slice(guard));
  if ((requests & BRIDGE__ASK_INTERRUPT) != 0) {
    return; /* sticky, or not yet: again at the next instruction */
  }
  bridge__debug_restore(L);
  atomic_signal_fence(memory_order_seq_cst);
  if (look_again(guard) &&
      (bridge__guard_requests(guard) & ~(unsigned)BRIDGE__ASK_PREEMPT) != 0) {
    bridge__guard_arm(guard); /* a kick came in between */
  }
}

static void at_event(bridge__guard *guard, lua_State *L, lua_Debug *ar)
{
  bool waits = (bridge__guard_requests(guard) & BRIDGE__ASK_PREEMPT) != 0;
  int count = 0;
  if (!waits && bridge__debug_mask(L, &count) == 0) {
    bridge__debug_restore(L);
    return;
  }
  if (waits && ar->event == LUA_HOOKRET && lua_isyieldable(L) &&
      can_be_preempted(guard)) {
    bridge__guard_arm(
        guard); /* the C function is gone: at the next instruction */
  }
  bridge__debug_call(L, ar);
}

void bridge__guard_hook(lua_State *L, lua_Debug *ar)
{
  bridge__guard *guard = bridge__guard_of(L);
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&guard->unheard, 0, memory_order_relaxed);
  if (bridge__guard_slice(guard) == NULL) {
    /* Left over, or inherited from the coroutine that made this one. */
    bridge__debug_restore(L);
  } else if (bridge__guard_stopping(guard)) {
    stop(guard, L, ar->event == LUA_HOOKCOUNT);
  } else if (ar->event == LUA_HOOKCOUNT) {
    at_count(guard, L);
  } else {
    at_event(guard, L, ar);
  }
}

/* ---- In C functions that ask ---- */

void bridge__guard_obey(lua_State *L)
{
  bridge__guard *guard = bridge__guard_of(L);
  if (bridge__guard_slice(guard) == NULL) {
    return;
  }
  if (bridge__guard_stopping(guard)) {
    stop(guard, L, false);
  }
  attend(guard, L, false);
}
