/* Waiting, but for messages: producers for room, and a select for whatever comes.

   Waiting for room: producers sleep under a mutex that the consumer takes only
   while somebody waits.

   Two words have to agree: the room, and how many wait.  The producer adds
   itself and then looks for room; the consumer gives room and then looks who
   waits.  Both touch `waiting` by a read-modify-write, so one of them comes
   first, and the other sees all it did.  Queues on which nobody ever waited do
   not pay for it: they lack the flag `may_block`, which is set in the seat, where
   the consumer cannot miss it. */
#include "queue/body.h"

#include "base/interrupt.h"

/* How long a producer sleeps until it looks by itself; twice as long each time. */
#define NAP_SHORTEST INT64_C(1000000)
#define NAP_LONGEST  INT64_C(16000000)

/* How often producers are woken at least, if room comes slowly. */
#define WAKE_EVERY INT64_C(1000000)

static void announce(bridge_queue *queue)
{
  /* Takes the room that was given before the flag was there. */
  if (atomic_load_explicit(&queue->may_block, memory_order_acquire)) {
    return;
  }
  bridge__queue_borrow(queue);
  /* Publishes the room that was given before, to producers who see the flag. */
  atomic_store_explicit(&queue->may_block, true, memory_order_release);
  bridge__queue_give_back(queue);
}

/* Also if the queue is closed: then the attempt to push says so. */
static bool has_room(const bridge_queue *queue, uint64_t credit)
{
  /* Takes the room. */
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_acquire);
  /* Takes nothing: who pushes looks again. */
  uint64_t pushed = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
  return (pushed & BRIDGE__CREDIT_CLOSED) != 0 ||
         bridge__credit_within(bridge__credit_subtract(
                                   bridge__credit_add(pushed, credit), popped),
                               queue->items, queue->bytes);
}

/* Until it is woken, for a while, or until the deadline: then false. */
static bool nap(bridge_queue *queue, int64_t *length, int64_t deadline)
{
  int64_t end = bridge__now() + *length;
  if (end >= deadline) {
    return bridge__condition_wait(&queue->room, &queue->mutex, deadline);
  }
  if (!bridge__condition_wait(&queue->room, &queue->mutex, end) &&
      *length < NAP_LONGEST) {
    *length *= 2;
  }
  return true;
}

static bridge_status sleep_for_room(bridge_queue *queue,
                                    uint64_t credit,
                                    int64_t deadline)
{
  bridge_status status = BRIDGE_OK;
  int64_t length = NAP_SHORTEST;
  bool in_time = true;
  bridge__mutex_lock(&queue->mutex);
  while (status == BRIDGE_OK && !has_room(queue, credit)) {
    if (bridge__interrupted()) {
      status = BRIDGE_ECANCELLED;
    } else if (!in_time) {
      status = BRIDGE_ETIMEDOUT;
    } else {
      in_time = nap(queue, &length, deadline);
    }
  }
  bridge__mutex_unlock(&queue->mutex);
  return status;
}

static void wake_all(void *object)
{
  bridge_queue *queue = object;
  bridge__mutex_lock(&queue->mutex);
  bridge__condition_broadcast(&queue->room);
  bridge__mutex_unlock(&queue->mutex);
}

bridge_status bridge__queue_await_room(bridge_queue *queue,
                                       uint64_t credit,
                                       int64_t deadline)
{
  announce(queue);
  if (!bridge__wait_begin(wake_all, queue)) {
    return BRIDGE_ECANCELLED;
  }
  /* Takes the room of a consumer who came first; shows the one who comes later
     that somebody waits. */
  atomic_fetch_add_explicit(&queue->waiting, 1, memory_order_acq_rel);
  bridge_status status = sleep_for_room(queue, credit, deadline);
  /* Publishes nothing. */
  atomic_fetch_sub_explicit(&queue->waiting, 1, memory_order_relaxed);
  bridge__wait_end();
  return status;
}

static bool quarter_free(const bridge_queue *queue)
{
  /* Takes nothing: who wakes looks again. */
  uint64_t pushed = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_relaxed);
  uint64_t quarter = queue->items < 4 ? 1 : queue->items / 4;
  return bridge__credit_within(bridge__credit_subtract(pushed, popped),
                               queue->items - quarter,
                               queue->bytes - queue->bytes / 4);
}

/* Not for each message of a queue that is full, which would cost both sides a
   system call for each: when a quarter is free, as the sockets of Linux do
   (sk_stream_write_space), or if nobody was woken for a while.  Those who could
   go before find out by themselves. */
static bool worth_waking(bridge_queue *queue)
{
  if (quarter_free(queue)) {
    return true;
  }
  const int64_t now = bridge__now();
  const bool due = now - queue->woken >= WAKE_EVERY;
  if (due) {
    queue->woken = now;
  }
  return due;
}

void bridge__queue_wake_waiting(bridge_queue *queue)
{
  /* Publishes the room to a producer who comes later; a write that changes
     nothing, so that it has a place in the order. */
  if (atomic_fetch_add_explicit(&queue->waiting, 0, memory_order_acq_rel) > 0 &&
      worth_waking(queue)) {
    /* All: a small message may fit where a large one does not. */
    wake_all(queue);
  }
}

/* ---- A select ---- */

void bridge__queue_watch(bridge_queue *queue, bridge__parking *watcher)
{
  bridge__mutex_lock(&queue->mutex);
  queue->selector = watcher;
  bridge__mutex_unlock(&queue->mutex);
  /* Takes what was put in by who raised before; shows who raises later that
     somebody selects. */
  atomic_exchange_explicit(&queue->selecting, watcher == NULL ? 0 : 1,
                           memory_order_acq_rel);
}

/* Under the mutex, which the selector takes before it goes. */
void bridge__queue_wake_selector(bridge_queue *queue)
{
  bridge__mutex_lock(&queue->mutex);
  if (queue->selector != NULL) {
    bridge__parking_unpark(queue->selector);
  }
  bridge__mutex_unlock(&queue->mutex);
}
