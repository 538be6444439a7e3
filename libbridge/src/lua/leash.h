/* Leash: one reason for which a script may be stopped.

   A worker has one for its life, each of its requests one of its own whose parent is
   that one, and a state one for the run under way.  So a request can be stopped
   alone.  Stopped is whoever is on a leash that is due: it was told to stop, or its
   time is over. */
#ifndef BRIDGE_LUA_LEASH_H
#define BRIDGE_LUA_LEASH_H

#include "platform/platform.h"

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
/* Let it end at a moment of bridge__now, too. */
void bridge__leash_shorten(bridge__leash *leash, int64_t deadline);

/* Why this one, without its parents, is due.  Async-signal-safe; on the thread that
   runs it, with the state held. */
bridge__due bridge__leash_due(const bridge__leash *leash);
/* The outermost one that is due, or NULL.  As above. */
bridge__leash *bridge__leash_find_due(bridge__leash *leash);
/* When the first of it and its parents will be due by the clock. */
int64_t bridge__leash_deadline(const bridge__leash *leash);
/* What its script is told, or its caller: the status and the text, which has 80
   bytes of room. */
bridge_status bridge__leash_reason(const bridge__leash *leash, char *text);

/* ---- For guard.c: around each slice, on the thread of it ---- */
/* Returns when the CPU time of the first is over, on the clock of the thread. */
int64_t bridge__leash_start_cpu(bridge__leash *leash, int64_t now);
void bridge__leash_stop_cpu(bridge__leash *leash, int64_t now);

#endif
