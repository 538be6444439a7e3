/* The body of a timer, for the files that make it up. */
#ifndef BRIDGE_TIMER_TIMER_H
#define BRIDGE_TIMER_TIMER_H

#include "base/registry.h"

#include <bridge/timer.h>

struct bridge_timer {
  bridge__listed object;
  /* One of both, one reference. */
  bridge_queue *queue;
  bridge_channel *channel;
  bool wall; /* `due` is of the clock on the wall */
  int64_t period;
  atomic_bool active;
  atomic_uint_fast64_t posted;
  atomic_uint_fast64_t missed;

  /* Of who has taken it out of its heap; in there, of the thread's mutex. */
  int64_t due;
  bridge_message *message; /* NULL once it was posted for the last time */
  int64_t patience; /* how long until it tries again, if there is no room */

  size_t place; /* in its heap, from 1; 0 if it is out; of the thread's mutex */
  bool cancelled; /* of the thread's mutex */
};

/* Post what is due, and set the next moment; false if there is none. */
bool bridge__timer_go_off(bridge_timer *timer);
/* It ended. */
void bridge__timer_end(bridge_timer *timer);

/* ---- heap.c: the timers of one clock, the one that is due first on top ---- */

typedef struct bridge__timer_heap {
  bridge_timer **timers;
  size_t count;
  size_t capacity;
  size_t reserved; /* places that belong to timers that are out at the moment */
} bridge__timer_heap;

/* Room for one more, which stays until it is given back. */
bool bridge__timer_heap_reserve(bridge__timer_heap *heap);
void bridge__timer_heap_unreserve(bridge__timer_heap *heap);
/* Into a place that was reserved, and out, which reserves it again. */
void bridge__timer_heap_insert(bridge__timer_heap *heap, bridge_timer *timer);
void bridge__timer_heap_remove(bridge__timer_heap *heap, bridge_timer *timer);

/* ---- thread.c: the thread that all timers share ---- */

/* Takes a reference of its own, which it drops when the timer ends. */
bridge_status bridge__timer_schedule(bridge_timer *timer);
bridge_status bridge__timer_unschedule(bridge_timer *timer);

#endif
