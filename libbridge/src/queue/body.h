/* The body of a queue, for the files that make it up. */
#ifndef BRIDGE_QUEUE_BODY_H
#define BRIDGE_QUEUE_BODY_H

#include "base/object.h"
#include "message/message.h"
#include "platform/platform.h"
#include "queue/credit.h"
#include "queue/mpsc.h"
#include "queue/queue.h"
#include "waker/waker.h"

/* Who may touch the consumer's side.  INSIDE is set for the whole of a call that
   pops, also while it waits, so that a second consumer is refused; one of the
   other two while the list is being worked on, which never takes long. */
enum {
  BRIDGE__INSIDE = 1u,
  BRIDGE__CONSUMER = 2u,
  BRIDGE__PRODUCER = 4u
};

struct bridge_queue {
  bridge__object object;
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

  /* So that producers and consumer do not slow each other down. */
  char producers_line[64];
  atomic_uint_fast64_t pushed; /* credit taken, and whether closed */
  bridge_mpsc list;

  char consumers_line[64];
  atomic_uint seat;
  atomic_uint_fast64_t popped; /* credit given back; written in the seat */
  bridge_node *oldest;         /* taken from the list; guarded by the seat */
  unsigned spin;               /* guarded by the seat; 0 on one core */
};

/* ---- The seat ---- */

/* BRIDGE_EBUSY if another consumer is inside. */
bridge_status bridge__queue_enter(bridge_queue *queue);
void bridge__queue_leave(bridge_queue *queue);
/* Out of the seat to wait, and back, still inside. */
void bridge__queue_stand(bridge_queue *queue);
void bridge__queue_sit(bridge_queue *queue);
/* For a producer, for a moment. */
void bridge__queue_borrow(bridge_queue *queue);
void bridge__queue_give_back(bridge_queue *queue);

/* ---- In the seat ---- */

/* The oldest message, which keeps its credit; NULL if none is there. */
bridge_message *bridge__queue_next(bridge_queue *queue);
void bridge__queue_put_front(bridge_queue *queue, bridge_message *message);
/* Give credit back, and wake who waits for it. */
void bridge__queue_credit(bridge_queue *queue, uint64_t credit);

/* ---- Waiting for room ---- */

/* Until the credit may fit, the queue is closed, or the deadline passed. */
bridge_status bridge__queue_await_room(bridge_queue *queue,
                                       uint64_t credit,
                                       int64_t deadline);
void bridge__queue_wake_producers(bridge_queue *queue);

/* Whether it is there, ours, and not of a parent. */
bridge_status bridge__queue_check(const bridge_queue *queue);
/* Whether the message may go into the queue. */
bridge_status bridge__queue_admits(const bridge_queue *queue,
                                   const bridge_message *message);

#endif
