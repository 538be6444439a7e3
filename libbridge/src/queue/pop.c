/* Pop: what is there is taken at once; before the queue says that it is empty it
   makes sure that the next push wakes. */
#include "base/memory.h"
#include "queue/body.h"

#include "base/interrupt.h"
#include "base/watch.h"

/* About what it costs to be woken on a core that had nothing to do: who spins so
   long before it sleeps pays at most twice the least (Karlin et al., "Competitive
   randomized algorithms for non-uniform problems", 1990). */
#define SPIN_NS INT64_C(50000)

enum {
  SPIN_APART = 16, /* most pauses between two looks */
  SPIN_PAUSE = 256 /* most waits without, until it is tried again */
};

/* What a pop is asked for. */
typedef struct request {
  bridge_message **messages;
  size_t capacity;
  size_t count;
  bool keeps_room; /* until bridge__queue_release_room */
} request;

/* ---- In the seat, never waiting ---- */

static bool take(bridge_queue *queue, request *wanted)
{
  bridge_message *message = bridge__queue_next(queue);
  if (message == NULL) {
    return false;
  }
  uint64_t credit = 0;
  while (message != NULL) {
    credit = bridge__credit_add(credit, bridge__queue_cost(message));
    wanted->messages[wanted->count++] = message;
    message =
        wanted->count < wanted->capacity ? bridge__queue_next(queue) : NULL;
  }
  if (!wanted->keeps_room) {
    bridge__queue_credit(queue, credit);
  }
  return true;
}

/* Whether nothing is in the queue and nothing will ever be.  A push that was let
   in before the close and is not linked yet still counts. */
static bool at_end(const bridge_queue *queue)
{
  /* Takes what the closer did. */
  uint64_t pushed = atomic_load_explicit(&queue->pushed, memory_order_acquire);
  /* Takes nothing: only who sits here writes it. */
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_relaxed);
  return pushed == (popped | BRIDGE__CREDIT_CLOSED);
}

/* BRIDGE_OK, BRIDGE_ECLOSED, or BRIDGE_EEMPTY, which promises that the next push
   raises the waker.

   The waker is cleared before the last look at the list, and at the end mark,
   since a raise that is cleared may belong to what that look finds.  Whoever
   stops without BRIDGE_EEMPTY must find the waker raised, so what was cleared
   for nothing is raised again. */
static bridge_status take_or_arm(bridge_queue *queue, request *wanted)
{
  bool cleared = false;
  bridge_status status = BRIDGE_EEMPTY;
  for (;;) {
    if (take(queue, wanted)) {
      status = BRIDGE_OK;
      break;
    }
    if (at_end(queue)) {
      status = BRIDGE_ECLOSED;
      break;
    }
    if (!cleared && bridge__waker_pending(queue->waker)) {
      bridge_waker_clear(queue->waker);
      cleared = true;
    } else if (bridge__mpsc_arm(&queue->list)) {
      return BRIDGE_EEMPTY;
    }
  }
  if (cleared) {
    bridge_waker_raise(queue->waker);
  }
  return status;
}

/* ---- Waiting ---- */

/* Whether something came.  The looks are apart, since each takes the word away
   from who pushes. */
static bool spin(const bridge_queue *queue)
{
  const int64_t end = bridge__now() + SPIN_NS;
  unsigned apart = 1;
  do {
    for (unsigned i = 0; i < apart; i++) {
      bridge__relax();
    }
    if (!bridge__mpsc_empty(&queue->list)) {
      return true;
    }
    apart = apart < SPIN_APART ? apart * 2 : SPIN_APART;
  } while (bridge__now() < end);
  return false;
}

/* Look for a while before going to sleep, where that helps: after each time that
   it did not, twice as many waits go without. */
static void spin_if_it_pays(bridge_queue *queue)
{
  if (!queue->spins) {
    return; /* on one core nobody can push meanwhile */
  }
  if (queue->spin_rest > 0) {
    queue->spin_rest--;
  } else if (spin(queue)) {
    queue->spin_pause = 1;
  } else {
    queue->spin_rest = queue->spin_pause;
    queue->spin_pause =
        queue->spin_pause * 2 > SPIN_PAUSE ? SPIN_PAUSE : queue->spin_pause * 2;
  }
}

/* Of an open queue: that its waker was closed does not close it. */
static bridge_status refused_wait(bridge_status waited)
{
  return waited == BRIDGE_ECLOSED ? BRIDGE_EUNSUPPORTED : waited;
}

static bridge_status take_waiting(bridge_queue *queue,
                                  request *wanted,
                                  int timeout_ms)
{
  const int64_t deadline = bridge__wait_deadline(timeout_ms);
  spin_if_it_pays(queue);
  for (;;) {
    bridge_status status = take_or_arm(queue, wanted);
    if (status != BRIDGE_EEMPTY) {
      return status;
    }
    bridge__queue_stand(queue);
    bridge__blocks_rest();
    bridge_status waited =
        bridge_waker_wait(queue->waker, bridge__remaining(deadline));
    if (waited == BRIDGE_OK) {
      waited = bridge__watch_held(deadline);
    }
    bridge__queue_sit(queue);
    if (waited == BRIDGE_ECANCELLED ||
        (waited != BRIDGE_OK && bridge__held())) {
      return refused_wait(waited); /* what came stays */
    }
    if (waited != BRIDGE_OK) {
      /* Something may have come at the same moment. */
      status = take_or_arm(queue, wanted);
      return status == BRIDGE_EEMPTY ? refused_wait(waited) : status;
    }
  }
}

/* In the seat, where nothing was to be taken at once. */
static bridge_status take_late(bridge_queue *queue,
                               request *wanted,
                               int timeout_ms)
{
  return timeout_ms == 0 ? take_or_arm(queue, wanted)
                         : take_waiting(queue, wanted, timeout_ms);
}

static inline bridge_status enter(bridge_queue *queue)
{
  bridge_status status = bridge__queue_check(queue);
  return status == BRIDGE_OK ? bridge__queue_enter(queue) : status;
}

/* ---- Public ---- */

static bridge_status pop_late(bridge_queue *queue,
                              bridge_message **out,
                              int timeout_ms,
                              bool keeps_room)
{
  bridge_message *message = NULL;
  request wanted = {
      .messages = &message, .capacity = 1, .keeps_room = keeps_room};
  bridge_status status = take_late(queue, &wanted, timeout_ms);
  bridge__queue_leave(queue);
  if (status == BRIDGE_OK) {
    *out = message;
  }
  return status;
}

static inline bridge_status pop_one(bridge_queue *queue,
                                    bridge_message **out,
                                    int timeout_ms,
                                    bool keeps_room)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = enter(queue);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_message *message = bridge__queue_next(queue);
  if (message == NULL) {
    return pop_late(queue, out, timeout_ms, keeps_room);
  }
  if (!keeps_room) {
    bridge__queue_credit(queue, bridge__queue_cost(message));
  }
  bridge__queue_leave(queue);
  *out = message;
  return BRIDGE_OK;
}

bridge_status bridge_queue_pop(bridge_queue *queue,
                               bridge_message **out,
                               int timeout_ms)
{
  return pop_one(queue, out, timeout_ms, false);
}

bridge_status bridge__queue_pop_kept(bridge_queue *queue,
                                     bridge_message **out,
                                     int timeout_ms)
{
  return pop_one(queue, out, timeout_ms, true);
}

void bridge__queue_release_room(bridge_queue *queue,
                                const bridge_message *message)
{
  bridge__queue_borrow(queue);
  bridge__queue_credit(queue, bridge__queue_cost(message));
  bridge__queue_give_back(queue);
}

bridge_status bridge_queue_pop_batch(bridge_queue *queue,
                                     bridge_message **messages,
                                     size_t capacity,
                                     size_t *count,
                                     int timeout_ms)
{
  if (messages == NULL || capacity == 0 || count == NULL) {
    return BRIDGE_EINVAL;
  }
  request wanted = {.messages = messages, .capacity = capacity};
  bridge_status status = enter(queue);
  if (status == BRIDGE_OK) {
    if (!take(queue, &wanted)) {
      status = take_late(queue, &wanted, timeout_ms);
    }
    bridge__queue_leave(queue);
  }
  *count = wanted.count;
  return status;
}

/* The message keeps its credit, as it never leaves. */
bridge_status bridge_queue_peek(bridge_queue *queue, bridge_message **out)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = enter(queue);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_message *message = NULL;
  request wanted = {.messages = &message, .capacity = 1, .keeps_room = true};
  status = take_or_arm(queue, &wanted);
  if (status == BRIDGE_OK) {
    status = bridge_message_clone(out, message);
    bridge__queue_put_front(queue, message);
  }
  bridge__queue_leave(queue);
  return status;
}

/* ---- As one of several that a select waits for ---- */

bridge_status bridge__queue_occupy(bridge_queue *queue)
{
  bridge_status status = enter(queue);
  if (status == BRIDGE_OK) {
    bridge__queue_stand(queue);
  }
  return status;
}

void bridge__queue_vacate(bridge_queue *queue)
{
  bridge__queue_sit(queue); /* a producer may be in the seat */
  bridge__queue_leave(queue);
}

bridge_status bridge__queue_look(bridge_queue *queue, bridge_message **out)
{
  request wanted = {.messages = out, .capacity = 1};
  bridge__queue_sit(queue);
  bridge_status status = take_or_arm(queue, &wanted);
  bridge__queue_stand(queue);
  return status;
}

/* ---- Putting back ---- */

/* Also from producers who have seen more of it: refresh in push.c. */
static void take_room(bridge_queue *queue, uint64_t popped)
{
  /* Publishes, as every store to it does, that its messages were reserved. */
  atomic_store_explicit(&queue->popped, popped, memory_order_seq_cst);
  uint64_t known = atomic_load_explicit(&queue->known, memory_order_seq_cst);
  /* Ahead by no more than what was put back; behind, it wraps. */
  while (known != popped &&
         bridge__credit_items(bridge__credit_subtract(known, popped)) <=
             BRIDGE__CREDIT_ITEMS_MAX / 2) {
    /* Publishes nothing: producers have seen more. */
    if (atomic_compare_exchange_weak_explicit(&queue->known, &known, popped,
                                              memory_order_seq_cst,
                                              memory_order_seq_cst)) {
      break;
    }
  }
}

/* Gives the room back the other way. */
static bridge_status put_back(bridge_queue *queue, bridge_message **message)
{
  const uint64_t credit = bridge__queue_cost(*message);
  /* Takes nothing: what it bounds only grows by others. */
  uint64_t pushed = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
  /* Takes nothing: only who sits here writes it. */
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_relaxed);
  popped = bridge__credit_subtract(popped, credit);
  if (!bridge__credit_within(bridge__credit_subtract(pushed, popped),
                             BRIDGE__CREDIT_ITEMS_MOST,
                             BRIDGE__CREDIT_BYTES_MOST)) {
    return BRIDGE_ELIMIT;
  }
  take_room(queue, popped);
  bridge__queue_put_front(queue, *message);
  *message = NULL;
  return BRIDGE_OK;
}

bridge_status bridge_queue_unpop(bridge_queue *queue, bridge_message **message)
{
  bridge_status status = bridge__queue_check(queue);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (message == NULL) {
    return BRIDGE_EINVAL;
  }
  status = bridge__queue_admits(queue, *message);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Only for a moment in the seat, so that another consumer, who may wait for
     just this message, is no reason to refuse it. */
  bridge__queue_borrow(queue);
  status = put_back(queue, message);
  bridge__queue_give_back(queue);
  if (status == BRIDGE_OK) {
    bridge__queue_raise(queue);
  }
  return status;
}
