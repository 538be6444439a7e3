/* Parking: threads sleep until somebody says that something may have changed,
   and saying so to nobody costs no system call.

   An event count.  Who wants to sleep prepares, looks at what it waits for, and
   only then parks, by its ticket; who changes something changes it and then
   unparks.  Both touch the word by a read-modify-write, so one comes first: the
   look sees the change, or the unpark sees the sleeper. */
#ifndef BRIDGE_PLATFORM_PARKING_H
#define BRIDGE_PLATFORM_PARKING_H

#include "platform/platform.h"

#include <stdatomic.h>

typedef struct bridge__parking {
  atomic_uint word; /* bit 0: somebody may sleep; above it a count of unparks */
  /* Of platforms that cannot wait for a word. */
  bridge__mutex mutex;
  bridge__condition condition;
} bridge__parking;

bridge_status bridge__parking_init(bridge__parking *parking);
/* Nobody sleeps there; in the child of a fork also if somebody does. */
void bridge__parking_destroy(bridge__parking *parking, bool forked);

/* The ticket to park with. */
static inline unsigned bridge__parking_prepare(bridge__parking *parking)
{
  /* Takes what was changed before an unpark that came first; shows an unpark
     that comes later that somebody sleeps. */
  return atomic_fetch_or_explicit(&parking->word, 1u, memory_order_acq_rel) |
         1u;
}

/* Until an unpark that came after the ticket.  False when the deadline passed.
   May return early without a reason. */
bool bridge__parking_park(bridge__parking *parking,
                          unsigned ticket,
                          int64_t deadline);

/* Wakes all who are parked. */
void bridge__parking_wake(bridge__parking *parking);

static inline void bridge__parking_unpark(bridge__parking *parking)
{
  /* A write that changes nothing, so that it has a place in the order.
     Publishes the change to who prepares later; takes nothing. */
  unsigned word =
      atomic_fetch_add_explicit(&parking->word, 0, memory_order_acq_rel);
  while ((word & 1u) != 0) {
    /* Publishes the change to who finds its ticket out of date. */
    if (atomic_compare_exchange_weak_explicit(&parking->word, &word, word + 1,
                                              memory_order_acq_rel,
                                              memory_order_acquire)) {
      bridge__parking_wake(parking);
      return;
    }
  }
}

#endif
