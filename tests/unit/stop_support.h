/* What the tests of stopping ask of a state's inside, which only C can read. */
#ifndef BRIDGE_TESTS_STOP_SUPPORT_H
#define BRIDGE_TESTS_STOP_SUPPORT_H

#include <bridge/state.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lua_State;

bridge_status stop_interrupt(bridge_state *state,
                             const char *text,
                             bool sticky,
                             bool careful);
void stop_clear_interrupt(bridge_state *state);
bridge_status stop_pause(bridge_state *state);
void stop_unpause(bridge_state *state);
bridge_status stop_visit(bridge_state *state,
                         void (*look)(void *user, struct lua_State *L),
                         void *user,
                         int timeout_ms);
bridge_status stop_preempt(bridge_state *state);
uint64_t stop_turns(bridge_state *state);

/* Resume a coroutine as a driver does that can go on with it later: 0 ended, 1
   stopped, 2 preempted, 3 refused. */
int stop_drive(bridge_state *state,
               struct lua_State *L,
               int arguments,
               int *code,
               bridge_status *status);

#ifdef __cplusplus
}
#endif

#endif
