/* The body of a queue, for the files that make it up. */
#ifndef BRIDGE_QUEUE_BODY_H
#define BRIDGE_QUEUE_BODY_H

#include "base/registry.h"
#include "message/message.h"
#include "platform/parking.h"
#include "platform/platform.h"
#include "queue/credit.h"
#include "queue/mpsc.h"
#include "queue/queue.h"
#include "waker/waker.h"

/* How many messages ahead of the one that is worked on the processor is told to
   fetch: as many as can be on their way from another core at once. */
#define BRIDGE__AHEAD 8u

/* A hint may be stale: nothing is read, and the program cannot notice. */
static inline void bridge__prefetch(uintptr_t address)
{
  __builtin_prefetch((const void *)address, 1);
}

/* Who may touch the consumer's side.  INSIDE is set for the whole of a call that
   pops, also while it waits, so that a second consumer is refused; one of the
   other two while the list is being worked on, which never takes long. */
enum {
  BRIDGE__INSIDE = 1u,
  BRIDGE__CONSUMER = 2u,
  BRIDGE__PRODUCER = 4u
};

struct bridge_queue {
  bridge__listed object;
  bridge_waker *waker; /* one reference */
  uint64_t items;
  uint64_t bytes;
  bridge_queue_policy policy;
  int timeout_ms;

  /* Producers who wait for room. */
  bridge__mutex mutex;
  bridge__condition room;
  atomic_uint waiting;
  atomic_bool may_block; /* written in the seat: somebody has once waited */
  atomic_uint_fast64_t dropped;

  /* Who decides what is dropped; NULL for nobody. */
  bridge__queue_drop *drop;
  void *drop_user;
  _Atomic(bridge__queue_unheard *) unheard; /* or NULL */

  /* How many notices have a reference: without others nobody hears them. */
  atomic_size_t notices;

  /* A select that is the consumer. */
  atomic_uint selecting;
  bridge__parking *selector; /* guarded by mutex */

  /* So that producers and consumer do not slow each other down. */
  char producers_line[64];
  atomic_uint_fast64_t pushed; /* credit taken, and whether closed */
  atomic_uint_fast64_t known;  /* `popped` as a producer last saw it */
  bridge_mpsc list;

  char consumers_line[64];
  atomic_uint seat;
  atomic_uint_fast64_t popped; /* credit given back; written in the seat */
  bridge_node *oldest;         /* taken from the list; guarded by the seat */
  int64_t woken;               /* when producers were; guarded by the seat */
  bool spins;                  /* there is a second core */
  unsigned spin_rest;  /* guarded by the seat: waits that will not spin */
  unsigned spin_pause; /* guarded by the seat: how many after a failure */
};

/* What a message takes from the bounds. */
static inline uint64_t bridge__queue_cost(const bridge_message *message)
{
  return bridge__credit(1, message->size);
}

/* Free what nobody will pop. */
void bridge__queue_discard(bridge_queue *queue, bridge_message *message);

/* ---- The seat ---- */

/* From any of the states in which nobody works on the list. */
static inline bool bridge__queue_try_seat(bridge_queue *queue,
                                          unsigned from,
                                          unsigned to)
{
  /* Takes what the one before left in the list. */
  return atomic_compare_exchange_strong_explicit(
      &queue->seat, &from, to, memory_order_acquire, memory_order_relaxed);
}

/* BRIDGE_EBUSY if another consumer is inside; waits for a producer. */
bridge_status bridge__queue_enter_late(bridge_queue *queue);

static inline bridge_status bridge__queue_enter(bridge_queue *queue)
{
  return bridge__queue_try_seat(queue, 0, BRIDGE__INSIDE | BRIDGE__CONSUMER)
             ? BRIDGE_OK
             : bridge__queue_enter_late(queue);
}

static inline void bridge__queue_leave(bridge_queue *queue)
{
  /* Publishes the list to the next one in the seat. */
  atomic_store_explicit(&queue->seat, 0, memory_order_release);
}

/* Out of the seat to wait, and back, still inside. */
void bridge__queue_stand(bridge_queue *queue);
void bridge__queue_sit(bridge_queue *queue);
/* For a producer, for a moment. */
void bridge__queue_borrow(bridge_queue *queue);
void bridge__queue_give_back(bridge_queue *queue);

/* ---- In the seat ---- */

/* Everything that producers have linked moves to the consumer's side; false if
   there is nothing. */
bool bridge__queue_fetch(bridge_queue *queue);
void bridge__queue_put_front(bridge_queue *queue, bridge_message *message);

/* The oldest message, which keeps its credit; NULL if none is there. */
static inline bridge_message *bridge__queue_next(bridge_queue *queue)
{
  if (queue->oldest == NULL && !bridge__queue_fetch(queue)) {
    return NULL;
  }
  bridge_message *message = (bridge_message *)queue->oldest; /* first member */
  queue->oldest = message->node.next;
  message->node.next = NULL;
  bridge__prefetch(message->hint);
  return message;
}

/* ---- Waiting for room ---- */

/* Until the credit may fit, the queue is closed, or the deadline passed. */
bridge_status bridge__queue_await_room(bridge_queue *queue,
                                       uint64_t credit,
                                       int64_t deadline);
void bridge__queue_wake_waiting(bridge_queue *queue);

static inline void bridge__queue_wake_producers(bridge_queue *queue)
{
  /* Takes nothing: the seat orders it. */
  if (atomic_load_explicit(&queue->may_block, memory_order_relaxed)) {
    bridge__queue_wake_waiting(queue);
  }
}

/* In the seat: give credit back, and wake who waits for it. */
static inline void bridge__queue_credit(bridge_queue *queue, uint64_t credit)
{
  /* Takes nothing: only who sits here writes it. */
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_relaxed);
  /* Publishes the room, and that the messages were reserved before. */
  atomic_store_explicit(&queue->popped, bridge__credit_add(popped, credit),
                        memory_order_release);
  bridge__queue_wake_producers(queue);
}

/* ---- Telling the consumer ---- */

void bridge__queue_wake_selector(bridge_queue *queue);

/* After something was put in, or the queue was closed.  Refused if the host closed
   the waker: then nobody waits for it. */
static inline void bridge__queue_raise(bridge_queue *queue)
{
  bridge_waker_raise(queue->waker);
  /* A write that changes nothing, so that it has a place in the order: publishes
     what was done to a select that begins later; takes one that began before. */
  if (atomic_fetch_add_explicit(&queue->selecting, 0, memory_order_acq_rel) >
      0) {
    bridge__queue_wake_selector(queue);
  }
}

/* Whether it is there, ours, and not of a parent. */
static inline bridge_status bridge__queue_check(const bridge_queue *queue)
{
  if (queue == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(queue) ? BRIDGE_EFORKED : BRIDGE_OK;
}

/* Whether the message may go into the queue. */
bridge_status bridge__queue_admits(const bridge_queue *queue,
                                   const bridge_message *message);

#endif
