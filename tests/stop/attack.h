/* The attacks of attacks.lua, and what they need to run: for the tests of this
   folder, and for the benchmark that prints how long each lasts. */
#ifndef BRIDGE_TESTS_ATTACK_H
#define BRIDGE_TESTS_ATTACK_H

#include <bridge/bridge.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What becomes of an attack when a cancel comes: see attacks.lua. */
typedef enum attack_end {
  ATTACK_STOPPED,
  ATTACK_RUNS,
  ATTACK_ENDS,
  ATTACK_REFUSED,
  ATTACK_LOST
} attack_end;

typedef struct attack {
  char name[64];
  char *source; /* with what every attack has in front of it */
  attack_end cooperative;
  attack_end prompt;
  attack_end strict;
} attack;

/* All attacks of a file; what is wrong with it ends the process.  They live as long
   as the process. */
const attack *attacks_read(const char *file, size_t *count);
/* NULL if there is none of that name. */
const attack *attack_find(const attack *attacks,
                          size_t count,
                          const char *name);
/* What a cancel of that level does to it. */
attack_end attack_expected(const attack *one, bridge_stop_level level);

/* The options of a state in which an attack can run: its module, and a bound of
   memory that spares the machine. */
void attack_options(bridge_state_options *options, bridge_stop_level level);

/* One attack runs in a process at a time. */
void attack_prepare(void);
/* It ended without having begun: who waits goes on. */
void attack_ended(void);
/* Wait until it has begun or ended; false after some milliseconds. */
bool attack_wait(int timeout_ms);
/* Whether it has begun. */
bool attack_begun(void);

#ifdef __cplusplus
}
#endif

#endif
