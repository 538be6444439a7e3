/* Between the tests of stopping and the guard of a state. */
#include "stop_support.h"

#include "lua/state.h"

bridge_status stop_interrupt(bridge_state *state,
                             const char *text,
                             bool sticky,
                             bool careful)
{
  return bridge__guard_interrupt(&state->guard, text, sticky, careful, 0);
}

void stop_clear_interrupt(bridge_state *state)
{
  bridge__guard_clear_interrupt(&state->guard);
}

bridge_status stop_pause(bridge_state *state)
{
  return bridge__guard_pause(&state->guard);
}

void stop_unpause(bridge_state *state)
{
  bridge__guard_unpause(&state->guard);
}

bridge_status stop_visit(bridge_state *state,
                         void (*look)(void *user, struct lua_State *L),
                         void *user,
                         int timeout_ms)
{
  return bridge__guard_visit(&state->guard, look, user, timeout_ms);
}

bridge_status stop_preempt(bridge_state *state)
{
  return bridge__guard_preempt(&state->guard);
}

uint64_t stop_turns(bridge_state *state)
{
  return bridge__guard_turns(&state->guard);
}

int stop_drive(bridge_state *state,
               struct lua_State *L,
               int arguments,
               int *code,
               bridge_status *status)
{
  bridge__leash leash;
  bridge__leash_init(&leash, NULL, NULL);
  bridge__resumed resumed = bridge__guard_resume(&state->guard, &leash, L,
                                                 arguments, BRIDGE__MAY_YIELD);
  *code = resumed.code;
  *status = resumed.status;
  return (int)resumed.ended;
}
