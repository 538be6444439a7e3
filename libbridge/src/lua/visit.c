/* Visit: somebody looks at the stack of a script that runs, on the thread that runs
   it. */
#include "lua/slice.h"

#include "lua/runner.h"
#include "lua/state.h"

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
  bridge__guard_take_back(guard, BRIDGE__ASK_VISIT);
  bridge__runners_settle();
}

void bridge__visits_receive(bridge__guard *guard, lua_State *L)
{
  bridge__runners_lock();
  bridge__guard_take_back(guard, BRIDGE__ASK_VISIT);
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
  bridge_status status = bridge__guard_ask(guard, BRIDGE__ASK_VISIT);
  if (status != BRIDGE_OK || !bridge__guard_runs(guard)) {
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
  bridge_status status = bridge__guard_runs(guard)
                             ? call_on(guard, &visit, deadline)
                             : BRIDGE_EEMPTY;
  bridge__runners_unlock();
  return status;
}
