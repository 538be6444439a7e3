#ifndef BRIDGE_QUEUE_H
#define BRIDGE_QUEUE_H

#include <bridge/message.h>
#include <bridge/waker.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * Messages on their way to another thread: any thread pushes, one thread at a
 * time pops, first in first out for each producer.
 *
 * A queue is bounded in messages and in bytes.  It can be closed; what is in it
 * then can still be popped.
 *
 * A message in a queue keeps the handles in it alive.  Two queues that hold each
 * other's handles keep each other until one of the messages is popped;
 * bridge_objects finds them.
 *
 * To wait for a queue inside an event loop: watch the descriptor of
 * bridge_queue_waker, and when it is readable pop until BRIDGE_EEMPTY.  That
 * answer promises that the next push makes the descriptor readable again.  Who
 * stops earlier finds the descriptor still readable.
 */
typedef struct bridge_queue bridge_queue;

/** What bridge_queue_push does when there is no room. */
typedef enum bridge_queue_policy {
  /** Wait, as long as the options say. */
  BRIDGE_QUEUE_BLOCK = 0,
  /** Fail at once, with BRIDGE_EFULL. */
  BRIDGE_QUEUE_FAIL = 1,
  /** Free the oldest messages until there is room, and count them. */
  BRIDGE_QUEUE_DROP_OLDEST = 2
} bridge_queue_policy;

/** How to make a queue.  Fill it by bridge_queue_options_init. */
typedef struct bridge_queue_options {
  /** Layout of this structure: BRIDGE_QUEUE_OPTIONS_VERSION. */
  unsigned version;
  /** Most messages at once, 1 to BRIDGE_QUEUE_ITEMS_MAX; 0 for 65,536. */
  size_t items;
  /** Most bytes of messages at once, 1 to BRIDGE_QUEUE_BYTES_MAX; 0 for
      64 MiB. */
  size_t bytes;
  /** When there is no room. */
  bridge_queue_policy policy;
  /** For BRIDGE_QUEUE_BLOCK: milliseconds; negative, the default, for ever. */
  int timeout_ms;
  /** The waker to raise, retained; NULL to let the queue make one of
      `waker_kind`.  A waker serves one queue only. */
  bridge_waker *waker;
  /** If `waker` is NULL.  The default, BRIDGE_WAKER_CONDITION, costs no
      descriptor. */
  bridge_waker_kind waker_kind;
} bridge_queue_options;

#define BRIDGE_QUEUE_OPTIONS_VERSION 1
#define BRIDGE_QUEUE_ITEMS_MAX       ((size_t)4194303)
#define BRIDGE_QUEUE_BYTES_MAX       ((size_t)1 << 39)

/**
 * Fill in the defaults.
 *
 * @param[out] options  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_queue_options_init(bridge_queue_options *options);

/**
 * Create a queue.
 *
 * @param[out] out  the queue; the caller owns one reference
 * @param options   copied; NULL for the defaults
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_EBUSY if the waker
 *         serves another queue; BRIDGE_ENOMEM; what bridge_waker_create says
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_queue_create(bridge_queue **out, const bridge_queue_options *options);

/**
 * Add a reference.
 *
 * @param queue  the queue, or NULL
 * @return @p queue
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_queue *bridge_queue_retain(bridge_queue *queue);

/**
 * Drop a reference; the last one frees the queue and what is in it.
 *
 * @param queue  the queue; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_queue_release(bridge_queue *queue);

/**
 * Append a message; when there is no room, do what the queue's policy says.
 *
 * Who waits for room is woken when a quarter of it is free, or when one leaves
 * and nobody was woken for a millisecond, not for each message that leaves a
 * full queue; and looks by itself from time to time, at least every 16 ms.
 *
 * @param queue            the queue
 * @param[in,out] message  taken and set to NULL on success; else untouched
 * @return BRIDGE_OK; BRIDGE_EFULL; BRIDGE_ETIMEDOUT; BRIDGE_ECLOSED, also when
 *         it is closed meanwhile; BRIDGE_ELIMIT if the message is larger than
 *         the queue; BRIDGE_ECYCLE if the message holds the queue itself;
 *         BRIDGE_ECANCELLED if it would have to wait and the calling worker is
 *         cancelled; BRIDGE_EFORKED; BRIDGE_EINVAL, also if a container of the
 *         message is still open
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_queue_push(bridge_queue *queue,
                                           bridge_message **message);

/**
 * Append a message, and wait for room as long as the caller says, whatever the
 * policy is.  A queue that drops never needs to wait.
 *
 * @param queue            the queue
 * @param[in,out] message  taken and set to NULL on success; else untouched
 * @param timeout_ms       milliseconds; 0 fails at once with BRIDGE_EFULL;
 *                         negative waits for ever
 * @return as bridge_queue_push
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_queue_push_timeout(bridge_queue *queue,
                                                   bridge_message **message,
                                                   int timeout_ms);

/**
 * Append several messages in order, as many as there is room for, with one
 * wake-up.  Never waits.
 *
 * @param queue             the queue
 * @param[in,out] messages  those taken are set to NULL: the first @p pushed
 * @param count             how many there are
 * @param[out] pushed       how many were taken
 * @return BRIDGE_OK if all were; else why the next one was not, as
 *         bridge_queue_push_timeout with 0
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_queue_push_batch(bridge_queue *queue,
                                                 bridge_message **messages,
                                                 size_t count,
                                                 size_t *pushed);

/**
 * Take the oldest message.
 *
 * A call that has to wait looks for up to 50 microseconds before it sleeps, as
 * long as that keeps paying: a round trip between two running threads then takes
 * no system call.
 *
 * @param queue       the queue
 * @param[out] out    the message; the caller owns it
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @return BRIDGE_OK; BRIDGE_EEMPTY if nothing is there and @p timeout_ms is 0;
 *         BRIDGE_ETIMEDOUT; BRIDGE_ECLOSED once it is closed and empty;
 *         BRIDGE_EBUSY if another thread is popping; if it would have to wait,
 *         BRIDGE_ECANCELLED when the calling worker is cancelled, and
 *         BRIDGE_EUNSUPPORTED when the queue's waker is a callback or was
 *         closed; BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_queue_pop(bridge_queue *queue,
                                          bridge_message **out,
                                          int timeout_ms);

/**
 * Take as many messages as there are, the oldest first.
 *
 * @param queue          the queue
 * @param[out] messages  the messages; the caller owns them
 * @param capacity       how many fit, at least 1
 * @param[out] count     how many there were
 * @param timeout_ms     as for bridge_queue_pop, until the first one
 * @return as bridge_queue_pop
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_queue_pop_batch(bridge_queue *queue,
                                                bridge_message **messages,
                                                size_t capacity,
                                                size_t *count,
                                                int timeout_ms);

/**
 * Copy the oldest message without taking it.  Never waits; handles in it get
 * one more reference.
 *
 * @param queue     the queue
 * @param[out] out  the copy; the caller owns it
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ECLOSED once it is closed and empty;
 *         BRIDGE_EBUSY if another thread is popping; BRIDGE_EINVAL, also for a
 *         message that cannot be copied; BRIDGE_EFORKED; BRIDGE_ENOMEM
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_queue_peek(bridge_queue *queue,
                                           bridge_message **out);

/**
 * Put a message back in front, whether or not there is room: for a consumer
 * that popped it and could not use it.
 *
 * @param queue            the queue, which may be closed
 * @param[in,out] message  taken and set to NULL on success; else untouched
 * @return BRIDGE_OK; BRIDGE_ECYCLE if the message holds the queue itself;
 *         BRIDGE_ELIMIT beyond what a queue can count, 8,388,607 messages or
 *         1 TiB; BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_queue_unpop(bridge_queue *queue,
                                            bridge_message **message);

/**
 * Close the queue: pushing is refused from now on, and who waits is woken.
 * Closing twice is harmless.
 *
 * @param queue  the queue
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_queue_close(bridge_queue *queue);

/**
 * Whether the queue was closed.
 *
 * @param queue  the queue, or NULL, which counts as closed
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_queue_closed(const bridge_queue *queue);

/**
 * How many messages are in the queue.  Others may have changed it meanwhile.
 *
 * @param queue  the queue, or NULL, which has none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API size_t bridge_queue_count(const bridge_queue *queue);

/**
 * How many bytes of messages are in the queue.
 *
 * @param queue  the queue, or NULL, which has none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API size_t bridge_queue_bytes(const bridge_queue *queue);

/**
 * How many messages BRIDGE_QUEUE_DROP_OLDEST has freed.
 *
 * @param queue  the queue, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_queue_dropped(const bridge_queue *queue);

/**
 * What bridge_queue_push does when there is no room.
 *
 * @param queue            the queue, or NULL, which fails
 * @param[out] timeout_ms  how long BRIDGE_QUEUE_BLOCK waits; may be NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_queue_policy bridge_queue_policy_of(const bridge_queue *queue,
                                                      int *timeout_ms);

/**
 * The waker that is raised when the queue stops being empty and when it is
 * closed.
 *
 * @param queue  the queue, or NULL
 * @return borrowed; NULL for NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_waker *bridge_queue_waker(const bridge_queue *queue);

BRIDGE_END_DECLS

#endif /* BRIDGE_QUEUE_H */
