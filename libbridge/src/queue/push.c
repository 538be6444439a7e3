/* Push: room is taken first, in one exchange, and then the message is linked;
   so a message that is linked always fits, and a closed queue lets nobody in. */
#include "queue/body.h"

#include "base/interrupt.h"

/* ---- What may go in ---- */

bridge_status bridge__queue_admits(const bridge_queue *queue,
                                   const bridge_message *message)
{
  if (message == NULL || !bridge__message_finished(message)) {
    return BRIDGE_EINVAL;
  }
  /* Else each would keep the other, for ever. */
  if (message->slot_count > 0 && bridge__message_holds(message, queue)) {
    return BRIDGE_ECYCLE;
  }
  return BRIDGE_OK;
}

static inline bridge_status admit(const bridge_queue *queue,
                                  bridge_message *message)
{
  bridge_status status = bridge__queue_admits(queue, message);
  if (status != BRIDGE_OK) {
    return status;
  }
  return message->size <= queue->bytes ? BRIDGE_OK : BRIDGE_ELIMIT;
}

/* ---- Taking room ---- */

/* Producers go by `known`, which is theirs, and not by `popped`, whose line the
   consumer writes with each pop.  It lags behind, so that there is at least the
   room that it tells of; when that does not do, it is brought up to date. */

static uint64_t known(const bridge_queue *queue)
{
  /* Takes the room that the consumer gave back to whoever brought it here. */
  return atomic_load_explicit(&queue->known, memory_order_acquire);
}

/* Whether there is more room than `old` tells of. */
static bool refresh(bridge_queue *queue, uint64_t old)
{
  /* Takes the room that the consumer gave back, and with it that whatever was
     popped had been reserved: so `pushed`, read after it, is not older. */
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_acquire);
  if (popped == old) {
    return false;
  }
  /* Publishes the room.  Not if somebody was faster: a word that went back could
     fall behind by more than the words can count. */
  while (atomic_compare_exchange_strong_explicit(&queue->known, &old, popped,
                                                 memory_order_seq_cst,
                                                 memory_order_relaxed)) {
    /* An unpop may have taken room away meanwhile.  It writes `popped` and then
       reads `known`, in the one order of all that is sequentially consistent: so
       it sees what was written here, or here is seen what it wrote. */
    uint64_t again = atomic_load_explicit(&queue->popped, memory_order_seq_cst);
    if (again == popped) {
      break;
    }
    old = popped;
    popped = again;
  }
  return true;
}

static uint64_t pushed(const bridge_queue *queue)
{
  /* Takes the room that was seen by whoever took room before; the exchange tells
     whether it still holds. */
  return atomic_load_explicit(&queue->pushed, memory_order_acquire);
}

static bool exchange(bridge_queue *queue, uint64_t *from, uint64_t to)
{
  /* Publishes the room that this push has seen, to who finds its room taken: else
     a queue that never was full could look so.  The list publishes the message.
     Takes no more than `pushed` does. */
  return atomic_compare_exchange_weak_explicit(
      &queue->pushed, from, to, memory_order_acq_rel, memory_order_acquire);
}

/* Whether a push that found no room by these two words has to look again; else
   the queue is full. */
static bool look_again(bridge_queue *queue, uint64_t *word, uint64_t old)
{
  const bool fresh = refresh(queue, old);
  const uint64_t before = *word;
  *word = pushed(queue);
  /* Full only if the two words belong together. */
  return fresh || *word != before;
}

/* All of the credit, or nothing. */
static inline bridge_status reserve(bridge_queue *queue,
                                    uint64_t credit,
                                    uint64_t items,
                                    uint64_t bytes)
{
  uint64_t word = pushed(queue);
  for (;;) {
    if ((word & BRIDGE__CREDIT_CLOSED) != 0) {
      return BRIDGE_ECLOSED;
    }
    const uint64_t old = known(queue);
    const uint64_t next = bridge__credit_add(word, credit);
    if (bridge__credit_within(bridge__credit_subtract(next, old), items,
                              bytes)) {
      if (exchange(queue, &word, next)) {
        return BRIDGE_OK;
      }
    } else if (!look_again(queue, &word, old)) {
      return BRIDGE_EFULL;
    }
  }
}

static size_t fitting(const bridge_queue *queue,
                      uint64_t inside,
                      bridge_message *const *messages,
                      size_t count,
                      uint64_t *credit)
{
  *credit = 0;
  size_t fit = 0;
  while (fit < count) {
    uint64_t more =
        bridge__credit_add(*credit, bridge__queue_cost(messages[fit]));
    if (!bridge__credit_within(bridge__credit_add(inside, more), queue->items,
                               queue->bytes)) {
      break;
    }
    *credit = more;
    fit++;
  }
  return fit;
}

/* As many of the messages as there is room for, at least one. */
static bridge_status reserve_some(bridge_queue *queue,
                                  bridge_message *const *messages,
                                  size_t count,
                                  size_t *taken)
{
  uint64_t word = pushed(queue);
  for (;;) {
    if ((word & BRIDGE__CREDIT_CLOSED) != 0) {
      return BRIDGE_ECLOSED;
    }
    uint64_t credit = 0;
    const uint64_t old = known(queue);
    uint64_t inside = bridge__credit_subtract(word, old);
    *taken = fitting(queue, inside, messages, count, &credit);
    if (*taken > 0) {
      if (exchange(queue, &word, bridge__credit_add(word, credit))) {
        return BRIDGE_OK;
      }
    } else if (!look_again(queue, &word, old)) {
      return BRIDGE_EFULL;
    }
  }
}

/* ---- Making room ---- */

static bridge_message *take_oldest(bridge_queue *queue)
{
  bridge__queue_borrow(queue);
  bridge_message *message = bridge__queue_next(queue);
  if (message != NULL) {
    bridge__queue_credit(queue, bridge__queue_cost(message));
  }
  bridge__queue_give_back(queue);
  if (message == NULL) {
    bridge__yield(); /* others have taken the room and have yet to link */
  }
  return message;
}

/* Drops one message, outside of the seat: that runs code of others.  False if there
   was none that may be dropped. */
static bool drop_oldest(bridge_queue *queue)
{
  bridge_message *message = take_oldest(queue);
  if (message == NULL ||
      (queue->drop != NULL && !queue->drop(queue->drop_user, message))) {
    return false;
  }
  /* Publishes nothing: a number for people. */
  atomic_fetch_add_explicit(&queue->dropped, 1, memory_order_relaxed);
  if (queue->drop == NULL) {
    bridge__queue_discard(queue, message);
  }
  return true;
}

void bridge__queue_on_drop(bridge_queue *queue,
                           bridge__queue_drop *drop,
                           void *user)
{
  queue->drop = drop;
  queue->drop_user = user;
}

/* Where there is somebody who decides what is dropped, all that is in the queue may
   be kept: then it is full. */
static bridge_status reserve_dropping(bridge_queue *queue, uint64_t credit)
{
  enum {
    PATIENCE = 64 /* beyond what is in there: others may have yet to link */
  };
  size_t kept = 0;
  bridge_status status = BRIDGE_EFULL;
  while (status == BRIDGE_EFULL) {
    if (!drop_oldest(queue) && queue->drop != NULL &&
        ++kept > bridge_queue_count(queue) + PATIENCE) {
      return BRIDGE_EFULL;
    }
    status = reserve(queue, credit, queue->items, queue->bytes);
  }
  return status;
}

static bridge_status reserve_waiting(bridge_queue *queue,
                                     uint64_t credit,
                                     int64_t deadline)
{
  for (;;) {
    bridge_status status = bridge__queue_await_room(queue, credit, deadline);
    if (status != BRIDGE_OK) {
      return status;
    }
    /* Another producer may have been faster. */
    status = reserve(queue, credit, queue->items, queue->bytes);
    if (status != BRIDGE_EFULL) {
      return status;
    }
  }
}

static bridge_status make_room(bridge_queue *queue,
                               uint64_t credit,
                               int timeout_ms)
{
  if (queue->policy == BRIDGE_QUEUE_DROP_OLDEST) {
    return reserve_dropping(queue, credit);
  }
  if (timeout_ms == 0) {
    return BRIDGE_EFULL;
  }
  return reserve_waiting(queue, credit, bridge__wait_deadline(timeout_ms));
}

/* ---- Pushing ---- */

/* What this thread has pushed lately, for the hints (queue.c). */
static BRIDGE__THREAD_LOCAL struct {
  uintptr_t messages[BRIDGE__AHEAD];
  unsigned place;
} lately;

static inline void leave_hint(bridge_message *message)
{
  const unsigned place = lately.place;
  message->hint = lately.messages[place];
  lately.messages[place] = (uintptr_t)message;
  lately.place = (place + 1) % BRIDGE__AHEAD;
}

/* The chain goes from the newest to the oldest.  The reference of the caller
   keeps the queue until the waker was raised. */
static inline void link_chain(bridge_queue *queue,
                              bridge_node *newest,
                              bridge_node *oldest)
{
  if (bridge__mpsc_push(&queue->list, newest, oldest)) {
    bridge__queue_raise(queue);
  }
}

static inline void link_one(bridge_queue *queue, bridge_message **message)
{
  bridge_node *node = &(*message)->node;
  leave_hint(*message);
  *message = NULL;
  link_chain(queue, node, node);
}

static void link_some(bridge_queue *queue,
                      bridge_message **messages,
                      size_t count)
{
  bridge_node *oldest = &messages[0]->node;
  bridge_node *newest = oldest;
  leave_hint(messages[0]);
  messages[0] = NULL;
  for (size_t i = 1; i < count; i++) {
    messages[i]->node.next = newest;
    newest = &messages[i]->node;
    leave_hint(messages[i]);
    messages[i] = NULL;
  }
  link_chain(queue, newest, oldest);
}

static inline bridge_status admit_one(bridge_queue *queue,
                                      bridge_message **message)
{
  bridge_status status = bridge__queue_check(queue);
  if (status != BRIDGE_OK) {
    return status;
  }
  return message == NULL ? BRIDGE_EINVAL : admit(queue, *message);
}

/* Where there is room. */
static inline bridge_status push_now(bridge_queue *queue,
                                     bridge_message **message)
{
  bridge_status status = admit_one(queue, message);
  if (status == BRIDGE_OK) {
    status = reserve(queue, bridge__queue_cost(*message), queue->items,
                     queue->bytes);
  }
  if (status == BRIDGE_OK) {
    link_one(queue, message);
  }
  return status;
}

static bridge_status push_late(bridge_queue *queue,
                               bridge_message **message,
                               int timeout_ms)
{
  bridge_status status =
      make_room(queue, bridge__queue_cost(*message), timeout_ms);
  if (status == BRIDGE_OK) {
    link_one(queue, message);
  }
  return status;
}

bridge_status bridge_queue_push_timeout(bridge_queue *queue,
                                        bridge_message **message,
                                        int timeout_ms)
{
  bridge_status status = push_now(queue, message);
  return status == BRIDGE_EFULL ? push_late(queue, message, timeout_ms)
                                : status;
}

bridge_status bridge_queue_push(bridge_queue *queue, bridge_message **message)
{
  bridge_status status = push_now(queue, message);
  if (status != BRIDGE_EFULL) {
    return status;
  }
  const bool waits = queue->policy == BRIDGE_QUEUE_BLOCK;
  return push_late(queue, message, waits ? queue->timeout_ms : 0);
}

bridge_status bridge__queue_push_forced(bridge_queue *queue,
                                        bridge_message **message)
{
  bridge_status status = admit_one(queue, message);
  if (status != BRIDGE_OK && status != BRIDGE_ELIMIT) {
    return status;
  }
  status = reserve(queue, bridge__queue_cost(*message),
                   BRIDGE__CREDIT_ITEMS_MOST, BRIDGE__CREDIT_BYTES_MOST);
  if (status == BRIDGE_OK) {
    link_one(queue, message);
  }
  return status;
}

/* How many may go in before the first that may not, and why not. */
static size_t admit_some(const bridge_queue *queue,
                         bridge_message **messages,
                         size_t count,
                         bridge_status *status)
{
  *status = BRIDGE_OK;
  for (size_t i = 0; i < count; i++) {
    *status = admit(queue, messages[i]);
    if (*status != BRIDGE_OK) {
      return i;
    }
  }
  return count;
}

static bridge_status push_some(bridge_queue *queue,
                               bridge_message **messages,
                               size_t count,
                               size_t *done)
{
  while (*done < count) {
    size_t taken = 0;
    bridge_status status =
        reserve_some(queue, messages + *done, count - *done, &taken);
    if (status == BRIDGE_OK) {
      link_some(queue, messages + *done, taken);
      *done += taken;
    } else if (status == BRIDGE_EFULL &&
               queue->policy == BRIDGE_QUEUE_DROP_OLDEST) {
      drop_oldest(queue);
    } else {
      return status;
    }
  }
  return BRIDGE_OK;
}

bridge_status bridge_queue_push_batch(bridge_queue *queue,
                                      bridge_message **messages,
                                      size_t count,
                                      size_t *done)
{
  if (done == NULL || (messages == NULL && count > 0)) {
    return BRIDGE_EINVAL;
  }
  *done = 0;
  bridge_status status = bridge__queue_check(queue);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_status refusal = BRIDGE_OK;
  size_t admitted = admit_some(queue, messages, count, &refusal);
  status = push_some(queue, messages, admitted, done);
  return status == BRIDGE_OK ? refusal : status;
}
