/* Stop: a host's call that ends what a state runs, and the limits that do. */
#include "lua/runner.h"
#include "lua/state.h"

#include <string.h>

static bridge_status check(const bridge_state *state)
{
  if (state == NULL) {
    return BRIDGE_EINVAL;
  }
  return state->process != bridge__process() ? BRIDGE_EFORKED : BRIDGE_OK;
}

bool bridge__stop_level_valid(bridge_stop_level level)
{
  return level >= BRIDGE_STOP_DEFAULT && level <= BRIDGE_STOP_STRICT;
}

bridge_status bridge__state_stop(bridge_state *state,
                                 bridge__leash *leash,
                                 unsigned use,
                                 bridge_stop_level level,
                                 int grace_ms)
{
  bridge__guard *guard = &state->guard;
  if (level == BRIDGE_STOP_COOPERATIVE ||
      guard->level == BRIDGE_STOP_COOPERATIVE) {
    return BRIDGE_OK;
  }
  /* First, so that a script which dies of the error is known to be cancelled. */
  bridge_status status = bridge__guard_stop(guard, leash, use, grace_ms);
  if (status == BRIDGE_OK && grace_ms > 0) {
    unsigned of_slice = leash == &state->leash ? use : 0;
    bridge__guard_interrupt(guard, "cancelled", false, true, of_slice);
  }
  return status;
}

bridge_status bridge_state_cancel(bridge_state *state,
                                  bridge_stop_level level,
                                  int grace_ms)
{
  bridge_status status = check(state);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (!bridge__stop_level_valid(level) || grace_ms < 0) {
    return BRIDGE_EINVAL;
  }
  unsigned use = bridge__guard_use(&state->leash);
  if (use == 0) {
    return BRIDGE_EEMPTY;
  }
  /* First: who is woken must find that it is stopped, and not go on. */
  status = bridge__state_stop(state, &state->leash, use, level, grace_ms);
  return bridge__interrupt_request_use(&state->interrupt, use) ? status
                                                               : BRIDGE_EEMPTY;
}

static bridge_status interrupt(bridge__guard *guard,
                               bridge_interrupt how,
                               const char *text)
{
  if (how == BRIDGE_INTERRUPT_CLEAR) {
    bridge__guard_clear_interrupt(guard);
    return BRIDGE_OK;
  }
  if (guard->level <= BRIDGE_STOP_COOPERATIVE) {
    return BRIDGE_EUNSUPPORTED;
  }
  return bridge__guard_interrupt(guard, text, how == BRIDGE_INTERRUPT_STICKY,
                                 false, 0);
}

bridge_status bridge_state_interrupt(bridge_state *state,
                                     bridge_interrupt how,
                                     const char *text)
{
  bridge_status status = check(state);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (how < BRIDGE_INTERRUPT_CLEAR || how > BRIDGE_INTERRUPT_STICKY ||
      (how != BRIDGE_INTERRUPT_CLEAR &&
       (text == NULL || strlen(text) > BRIDGE_INTERRUPT_TEXT))) {
    return BRIDGE_EINVAL;
  }
  return interrupt(&state->guard, how, text);
}

bridge_status bridge_state_set_limits(bridge_state *state,
                                      const bridge_limits *limits)
{
  bridge_status status = check(state);
  if (status != BRIDGE_OK) {
    return status;
  }
  if ((limits != NULL && !bridge__limits_valid(limits)) ||
      !bridge__hold_mine(&state->hold)) {
    return BRIDGE_EINVAL;
  }
  state->run = limits == NULL ? state->usual : *limits;
  return BRIDGE_OK;
}

bridge_status bridge_set_stop_signal(int signal)
{
  bridge__runners_lock();
  bridge_status status =
      bridge__runners_used() ? BRIDGE_EBUSY : bridge__kick_choose(signal);
  bridge__runners_unlock();
  return status;
}
