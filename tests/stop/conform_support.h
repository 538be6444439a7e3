/* What the tests of conformance do to a state, which only C can. */
#ifndef BRIDGE_TESTS_CONFORM_SUPPORT_H
#define BRIDGE_TESTS_CONFORM_SUPPORT_H

#include <bridge/state.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kick the thread that runs it, with nothing to tell it; false if none does. */
bool conform_kick(bridge_state *state);

#ifdef __cplusplus
}
#endif

#endif
