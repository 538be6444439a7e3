/* Watching: threads that sleep until an object changes.  The object has a mutex
   and a list of them; each change tells one, or all, to look again.

   A watch is taken out of its list, under the mutex, before its thread goes on,
   and who tells does so under the mutex: so nobody tells a sleeper who has
   gone.

   Among the sleepers stand those who do not sleep, but want to hear of it, once:
   they are taken out when they are told, and hear of it from whoever has let go of
   the mutex next, since that calls others.

   Who is told and cannot use it lets the next one know, and that one the next.  It
   ends since the changes are counted: nobody is told of one that he has already
   looked at. */
#ifndef BRIDGE_BASE_WATCH_H
#define BRIDGE_BASE_WATCH_H

#include "platform/parking.h"
#include "platform/platform.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct bridge__watch {
  struct bridge__watch *next;
  struct bridge__watch *previous;
  bridge__parking *sleeper; /* or NULL, and then: */
  bool (*hear)(
      struct bridge__watch *watch); /* false: nobody hears it any more */
  bool told;                        /* to look again, and has not yet */
  uint64_t seen; /* how many changes there had been as it looked */
} bridge__watch;

/* In the order in which they came; guarded by the object's mutex, as are all
   calls below but those that say so. */
typedef struct bridge__watchers {
  bridge__watch *first;
  bridge__watch *last;
  uint64_t changes;
  _Atomic(bridge__watch *) told; /* who is to hear, the last one first */
} bridge__watchers;

void bridge__watch_add(bridge__watchers *list,
                       bridge__watch *watch,
                       bridge__parking *sleeper);
/* One who does not sleep, and looks by himself after that. */
void bridge__watch_add_hearer(bridge__watchers *list,
                              bridge__watch *watch,
                              bool (*hear)(bridge__watch *watch));
void bridge__watch_remove(bridge__watchers *list, bridge__watch *watch);

/* A change: the first who was not told yet, or all. */
void bridge__watch_tell_one(bridge__watchers *list);
void bridge__watch_tell_all(bridge__watchers *list);
/* No change, but somebody has left one to others: the first who was neither told of
   it nor has looked since. */
void bridge__watch_tell_next(bridge__watchers *list);

/* This one has looked. */
void bridge__watch_looked(const bridge__watchers *list, bridge__watch *watch);

/* Without the mutex, and after each call that may have told somebody: let them hear
   of it who do not sleep.  Where nobody hears it, the next one is told, for which it
   takes the mutex. */
void bridge__watch_settle(bridge__watchers *list, bridge__mutex *mutex);

/* Who was told, and does not look: the next one hears of it, and this one is not told
   until it has looked again. */
void bridge__watch_pass_on(bridge__watchers *list, bridge__watch *watch);

/* Under the mutex: whether the wait is over.  `watch` is NULL before the caller is
   in the list. */
typedef bool bridge__look(void *request, bridge__watch *watch);

/* Look, and sleep until told, until `look` says so.  Takes the mutex itself.
   BRIDGE_OK; BRIDGE_EEMPTY if not and the timeout is 0; BRIDGE_ETIMEDOUT;
   BRIDGE_ECANCELLED; what bridge__parking_init says.  What the caller was told of is
   not lost: the last look comes before the time-out, and who is cancelled passes it
   on. */
bridge_status bridge__watch_wait(bridge__mutex *mutex,
                                 bridge__watchers *list,
                                 bridge__look *look,
                                 void *request,
                                 int timeout_ms);

/* Sleep while the calling thread is held: BRIDGE_OK once it is not, BRIDGE_ETIMEDOUT,
   BRIDGE_ECANCELLED, or what bridge__parking_init says. */
bridge_status bridge__watch_held(int64_t deadline);

/* Ends the sleep of a parking, as a bridge__wake. */
void bridge__watch_wake(void *parking);

#endif
