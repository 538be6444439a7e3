/* Guard: between who wants something of a script and the thread that runs it: what can be
   asked. */
#include "lua/guard.h"

#include "lua/runner.h"
#include "lua/slice.h"
#include "lua/state.h"
#include "message/error.h"

#include <lauxlib.h>

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
  enum {
    COUNT = (int)(sizeof messages / sizeof messages[0])
  };
  lua_newuserdatauv(L, 0, COUNT);
  for (int i = 0; i < COUNT; i++) {
    lua_pushstring(L, messages[i]);
    lua_setiuservalue(L, -2, i + 1);
  }
  luaL_ref(L, LUA_REGISTRYINDEX);
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

/* ---- Asking ---- */

bridge_status bridge__guard_ask(bridge__guard *guard, unsigned bits)
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
    status = bridge__guard_ask(guard, BRIDGE__ASK_STOP);
  }
  bridge__runners_unlock();
  return status;
}

bool bridge__guard_runs(const bridge__guard *guard)
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
  if (careful && !bridge__guard_runs(guard)) {
    bridge__runners_unlock();
    return BRIDGE_EEMPTY; /* its waits end by an error anyway */
  }
  memcpy(guard->text, text, size);
  guard->text[size] = '\0';
  guard->sticky = sticky;
  guard->careful = careful;
  guard->use = use;
  bridge_status status = bridge__guard_ask(guard, BRIDGE__ASK_INTERRUPT);
  bridge__runners_unlock();
  return status;
}

void bridge__guard_clear_interrupt(bridge__guard *guard)
{
  bridge__guard_take_back(guard, BRIDGE__ASK_INTERRUPT);
}

bridge_status bridge__guard_pause(bridge__guard *guard)
{
  bridge__runners_lock();
  bridge_status status = bridge__guard_ask(guard, BRIDGE__ASK_PAUSE);
  bridge__runners_unlock();
  return status;
}

void bridge__guard_unpause(bridge__guard *guard)
{
  bridge__runners_lock();
  bridge__guard_take_back(guard, BRIDGE__ASK_PAUSE);
  bridge__runners_settle();
  bridge__runners_unlock();
}

bridge_status bridge__guard_preempt(bridge__guard *guard)
{
  bridge__runners_lock();
  bridge_status status = bridge__guard_ask(guard, BRIDGE__ASK_PREEMPT);
  bridge__runners_unlock();
  return status;
}
