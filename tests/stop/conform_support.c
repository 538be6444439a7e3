/* Between the tests of conformance and the guard of a state. */
#include "conform_support.h"

#include "lua/runner.h"
#include "lua/state.h"

bool conform_kick(bridge_state *state)
{
  bridge__runners_lock();
  /* With the lock a runner that is found here stays that of this state's slice. */
  bridge__runner *runner =
      atomic_load_explicit(&state->guard.runner, memory_order_seq_cst);
  if (runner != NULL) {
    bridge__runner_ask(runner, false);
  }
  bridge__runners_unlock();
  return runner != NULL;
}
