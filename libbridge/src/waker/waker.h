/* A waker's body, and the table that each mechanism fills in. */
#ifndef BRIDGE_WAKER_WAKER_H
#define BRIDGE_WAKER_WAKER_H

#include "base/object.h"
#include "platform/parking.h"

#include <bridge/waker.h>

/* One const table for each mechanism.  waker.c sees to it that `signal` is
   called once for each time the waker becomes raised and, if anybody can wait,
   once when it is closed; that one drains at a time; and that nobody is inside
   any of them when `close` is called. */
typedef struct bridge__waker_type {
  bridge_waker_kind kind;
  bridge_status (*open)(bridge_waker *waker);
  /* False if the system refused for now: then the waker is not raised. */
  bool (*signal)(bridge_waker *waker);
  /* Take away what `signal` left; false if nothing was there yet.  NULL if a
     signal leaves nothing. */
  bool (*drain)(bridge_waker *waker);
  /* BRIDGE_OK when there was a signal, BRIDGE_ETIMEDOUT, or BRIDGE_EEMPTY to look
     again.  The deadline 0 asks.  NULL if nobody can wait. */
  bridge_status (*wait)(bridge_waker *waker, int64_t deadline);
  void (*close)(bridge_waker *waker);
  /* Whether `fileno` means something. */
  bool descriptor;
} bridge__waker_type;

/* The state of a waker: marks, and above them how many are inside a call. */
enum {
  BRIDGE__PENDING = 1u, /* raised */
  BRIDGE__CLOSED = 2u,
  BRIDGE__USER = 4u
};

struct bridge_waker {
  bridge__object object;
  const bridge__waker_type *type;
  atomic_uint state;   /* BRIDGE__PENDING ... */
  atomic_bool ended;   /* the type's `close` was called, or is being called */
  atomic_bool serving; /* a queue has it */
  union {
    struct {
      int reading;
      int writing; /* may be the same */
    } file;
    bridge__parking parking;
    struct {
      bridge_waker_callback *callback;
      bridge_waker_callback *release;
      void *user;
    } call;
  } as;
};

/* The kinds that a platform has beside condition and callback; the first is
   BRIDGE_WAKER_DEFAULT.  NULL behind the last. */
extern const bridge__waker_type *const bridge__waker_types[];

extern const bridge__waker_type bridge__waker_condition;
extern const bridge__waker_type bridge__waker_callback;

/* Whether it is raised, at a glance: may be out of date. */
static inline bool bridge__waker_pending(const bridge_waker *waker)
{
  /* Takes nothing: who has to know clears. */
  return (atomic_load_explicit(&waker->state, memory_order_relaxed) &
          BRIDGE__PENDING) != 0;
}

/* A waker serves one queue.  BRIDGE_EBUSY if it has one. */
bridge_status bridge__waker_claim(bridge_waker *waker);
void bridge__waker_unclaim(bridge_waker *waker);

/* Whether anybody can wait for it. */
static inline bool bridge__waker_waits(const bridge_waker *waker)
{
  return waker->type->wait != NULL;
}

#endif
