/* Supervisor: what runner.c and supervisor.c share. */
#ifndef BRIDGE_LUA_SUPERVISOR_H
#define BRIDGE_LUA_SUPERVISOR_H

#include "lua/runner.h"

/* The state of a runner. */
enum {
  BRIDGE__RUNNER_IDLE = 0,
  BRIDGE__RUNNER_BUSY = 1,
  BRIDGE__RUNNER_KICKED = 2
};

/* All runners of the process. */
extern struct bridge__runners {
  bridge__mutex mutex;
  /* Guarded by the mutex, all but `look_at`. */
  bridge__condition changed; /* the supervisor's */
  bridge__condition
      settled;      /* of those who wait for a script, and of scripts */
  unsigned process; /* to which this belongs */
  bool prepared;
  bool supervised;
  bridge__runner *all;
  bridge__runner *free;
  bridge__runner *roused; /* of the supervisor */
  int states;
  bridge__native_entry entry;
  /* When the supervisor looks next; INT64_MIN while it does.  Written with the
     mutex. */
  _Atomic(int64_t) look_at;
} bridge__runners;

static inline int64_t bridge__earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* With the lock: have it look at this moment at the latest. */
bridge_status bridge__supervise_at(int64_t moment);

#endif
