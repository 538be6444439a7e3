/* Leash: one reason for which a script may be stopped.

   A worker has one for its life, each of its requests one of its own whose parent is
   that one, and a state one for the run under way.  So a request can be stopped
   alone.  Stopped is whoever is on a leash that is due: it was told to stop, or its
   time is over. */
#ifndef BRIDGE_LUA_LEASH_H
#define BRIDGE_LUA_LEASH_H

#include "platform/kick.h"

#include <bridge/state.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct bridge__leash {
  struct bridge__leash *parent; /* of who waits for it, or NULL */
  /* The number of the use that is under way; 0 between two.  Written by the thread
     that runs it. */
  atomic_uint use;
  /* The use that was told to stop, now or at `until`.  Written under the lock of
     runner.h, so that two who stop it do not mix. */
  atomic_uint stopped;
  atomic_uint graced;
  _Atomic(int64_t) until;
  /* Of the thread that runs it. */
  unsigned last_use;
  bridge_limits limits;
  int64_t deadline; /* INT64_MAX for none */
  int64_t cpu_left; /* nanoseconds, at the beginning of a slice; or INT64_MAX */
  int64_t cpu_end;  /* on the clock of the thread, during a slice */
} bridge__leash;

/* Why a leash is due. */
typedef enum bridge__due {
  BRIDGE__DUE_NOT,
  BRIDGE__DUE_STOP,
  BRIDGE__DUE_TIME,
  BRIDGE__DUE_CPU
} bridge__due;

/* For those that are used once, with a use that begins now; NULL limits for none. */
void bridge__leash_init(bridge__leash *leash,
                        bridge__leash *parent,
                        const bridge_limits *limits);
/* Begin a use of one that is used again and again; it was initialised. */
void bridge__leash_begin(bridge__leash *leash, const bridge_limits *limits);
void bridge__leash_end(bridge__leash *leash);
/* Limit the use that is under way, from now on. */
void bridge__leash_limit(bridge__leash *leash, const bridge_limits *limits);
/* Let it end at a moment of bridge__now, too. */
void bridge__leash_shorten(bridge__leash *leash, int64_t deadline);
/* It is due from now on, as one that was told to stop; for who holds the state. */
void bridge__leash_stop(bridge__leash *leash);
/* Tell that use to stop, from any thread: nobody is kicked. */
void bridge__leash_tell(bridge__leash *leash, unsigned use);

/* Whether it or a parent was told to stop, be it that the grace is not over. */
bool bridge__leash_told(const bridge__leash *leash);

/* Why this one, without its parents, is due.  Async-signal-safe; where the thread
   that runs it cannot go on meanwhile: on that thread, or in a kick.  `target` is
   that thread, NULL for the calling one. */
bridge__due bridge__leash_due(const bridge__leash *leash,
                              const bridge__kick_target *target);
/* The outermost one that is due, or NULL.  As above. */
bridge__leash *bridge__leash_find_due(bridge__leash *leash,
                                      const bridge__kick_target *target);
/* When the first of it and its parents will be due by the clock. */
int64_t bridge__leash_deadline(const bridge__leash *leash);

/* When the CPU time of the first that is in a slice is over, on the thread's clock. */
int64_t bridge__leash_cpu_end(const bridge__leash *leash);

/* Room for the text of a reason. */
#define BRIDGE__REASON 80
/* What its script's caller is told: the status, and the text. */
bridge_status bridge__leash_reason(const bridge__leash *leash, char *text);

/* ---- For slice.c: around each slice, on the thread of it ---- */
/* `cpu` is the thread's CPU clock.  Returns when the CPU time of the first of it and
   its parents is over, on that clock. */
int64_t bridge__leash_start_cpu(bridge__leash *leash, int64_t cpu);
void bridge__leash_stop_cpu(bridge__leash *leash, int64_t cpu);
/* Whether it or a parent has a limit of CPU time. */
bool bridge__leash_counts_cpu(const bridge__leash *leash);

#endif
