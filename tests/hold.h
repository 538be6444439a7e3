/* The hold for tests: lua/hold.h is no C++. */
#ifndef BRIDGE_TESTS_HOLD_H
#define BRIDGE_TESTS_HOLD_H

extern "C" {
#include "platform/platform.h"

struct bridge__waiter;

struct bridge__hold {
  bridge__mutex mutex;
  const char *holder;
  bridge__waiter *first;
  bridge__waiter *last;
};

bridge_status bridge__hold_init(bridge__hold *hold);
void bridge__hold_destroy(bridge__hold *hold);
bridge_status bridge__hold_enter(bridge__hold *hold, int timeout_ms);
bridge_status bridge__hold_leave(bridge__hold *hold);
bool bridge__hold_mine(bridge__hold *hold);
}

#endif
