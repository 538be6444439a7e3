#ifndef BRIDGE_CHANNEL_H
#define BRIDGE_CHANNEL_H

#include <bridge/message.h>
#include <bridge/queue.h>
#include <bridge/waker.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * Messages that any thread sends and any thread receives, each message by one
 * of them, first in first out.
 *
 * Where a bridge_queue has one consumer and no lock, a channel has many and
 * one, can be looked into, emptied, closed at either end, and given other
 * limits while it is used.
 *
 * A message in a channel keeps the handles in it alive.
 *
 * A channel needs no waker: who waits sleeps in the call.  One that was given a
 * waker raises it while something is there and when it is closed, for an event
 * loop that receives with a timeout of 0 until BRIDGE_EEMPTY.
 */
typedef struct bridge_channel bridge_channel;

/** How to make a channel.  Fill it by bridge_channel_options_init. */
typedef struct bridge_channel_options {
  /** Layout of this structure: BRIDGE_CHANNEL_OPTIONS_VERSION. */
  unsigned version;
  /** Most messages at once; 0 for 65,536. */
  size_t items;
  /** Most bytes of messages at once; 0 for 64 MiB. */
  size_t bytes;
  /** When there is no room. */
  bridge_queue_policy policy;
  /** For BRIDGE_QUEUE_BLOCK: milliseconds; negative, the default, for ever. */
  int timeout_ms;
  /** The waker to raise, retained; NULL, the default, for none.  A waker serves
      one channel or queue only. */
  bridge_waker *waker;
} bridge_channel_options;

#define BRIDGE_CHANNEL_OPTIONS_VERSION 1

/** One end of a channel, or both. */
typedef enum bridge_channel_end {
  /** Nothing is sent any more; what is inside can still be received. */
  BRIDGE_CHANNEL_SENDING = 1,
  /** Nothing is received any more, so that nothing can be sent either; what is
      inside is freed. */
  BRIDGE_CHANNEL_RECEIVING = 2
} bridge_channel_end;

/**
 * Fill in the defaults.
 *
 * @param[out] options  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_channel_options_init(bridge_channel_options *options);

/**
 * Create a channel.
 *
 * @param[out] out  the channel; the caller owns one reference
 * @param options   copied; NULL for the defaults
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_EBUSY if the waker
 *         serves another; BRIDGE_EFORKED; BRIDGE_ENOMEM; BRIDGE_ESYSTEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_create(
    bridge_channel **out, const bridge_channel_options *options);

/**
 * Add a reference.
 *
 * @param channel  the channel, or NULL
 * @return @p channel
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_channel *bridge_channel_retain(bridge_channel *channel);

/**
 * Drop a reference; the last one frees the channel and what is in it.
 *
 * @param channel  the channel; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_channel_release(bridge_channel *channel);

/**
 * Append a message; when there is no room, do what the channel's policy says.
 *
 * @param channel          the channel
 * @param[in,out] message  taken and set to NULL on success; else untouched
 * @return BRIDGE_OK; BRIDGE_EFULL; BRIDGE_ETIMEDOUT; BRIDGE_ECLOSED, also when
 *         it is closed meanwhile; BRIDGE_ELIMIT if the message is larger than
 *         the channel; BRIDGE_ECYCLE if the message holds the channel itself;
 *         BRIDGE_ECANCELLED if it would have to wait and the calling worker is
 *         cancelled; BRIDGE_EFORKED; BRIDGE_EINVAL, also if a container of the
 *         message is still open; BRIDGE_ENOMEM if it cannot wait
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_send(bridge_channel *channel,
                                             bridge_message **message);

/**
 * Append a message, and wait for room as long as the caller says, whatever the
 * policy is.  A channel that drops never needs to wait.
 *
 * @param channel          the channel
 * @param[in,out] message  taken and set to NULL on success; else untouched
 * @param timeout_ms       milliseconds; 0 fails at once with BRIDGE_EFULL;
 *                         negative waits for ever
 * @return as bridge_channel_send
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_send_timeout(bridge_channel *channel,
                                                     bridge_message **message,
                                                     int timeout_ms);

/**
 * Take the oldest message.
 *
 * @param channel     the channel
 * @param[out] out    the message; the caller owns it
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @return BRIDGE_OK; BRIDGE_EEMPTY if nothing is there and @p timeout_ms is 0,
 *         or if bridge_channel_wake ended the wait; BRIDGE_ETIMEDOUT;
 *         BRIDGE_ECLOSED once it is closed and empty; BRIDGE_ECANCELLED if it
 *         would have to wait and the calling worker is cancelled;
 *         BRIDGE_EFORKED; BRIDGE_EINVAL; BRIDGE_ENOMEM if it cannot wait
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_receive(bridge_channel *channel,
                                                bridge_message **out,
                                                int timeout_ms);

/**
 * Take as many messages as there are, the oldest first; wait for the first.
 *
 * @param channel        the channel
 * @param[out] messages  room for @p capacity messages; the caller owns them
 * @param capacity       how many to take at most, at least 1
 * @param[out] count     how many were taken
 * @param timeout_ms     as for bridge_channel_receive
 * @return as bridge_channel_receive; BRIDGE_OK means at least one
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_receive_batch(bridge_channel *channel,
                                                      bridge_message **messages,
                                                      size_t capacity,
                                                      size_t *count,
                                                      int timeout_ms);

/**
 * Put a message back in front, whether or not there is room: for a receiver who
 * cannot use it.
 *
 * @param channel          the channel, which may be closed for sending
 * @param[in,out] message  taken and set to NULL on success; else untouched
 * @return BRIDGE_OK; BRIDGE_ECLOSED if it is closed for receiving;
 *         BRIDGE_ECYCLE; BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_unreceive(bridge_channel *channel,
                                                  bridge_message **message);

/**
 * Copy the oldest message without taking it.  Never waits; handles in it get
 * one more reference.
 *
 * @param channel   the channel
 * @param[out] out  the copy; the caller owns it
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_ECLOSED once it is closed and empty;
 *         BRIDGE_EFORKED; BRIDGE_EINVAL; BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_peek(bridge_channel *channel,
                                             bridge_message **out);

/**
 * Free all that is in the channel.
 *
 * @param channel     the channel
 * @param[out] count  how many messages that were; may be NULL
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_clear(bridge_channel *channel,
                                              size_t *count);

/**
 * Give the channel other limits.  What is inside stays, also if it is more.
 *
 * @param channel  the channel
 * @param items    most messages at once; 0 for as many as before
 * @param bytes    most bytes at once; 0 for as many as before
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_set_limit(bridge_channel *channel,
                                                  size_t items,
                                                  size_t bytes);

/**
 * The limits.
 *
 * @param channel     the channel
 * @param[out] items  most messages at once; may be NULL
 * @param[out] bytes  most bytes at once; may be NULL
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_limit(bridge_channel *channel,
                                              size_t *items,
                                              size_t *bytes);

/**
 * End the waits of all who wait to receive, or select, now: their calls return
 * BRIDGE_EEMPTY.  Who comes later waits.
 *
 * @param channel  the channel
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_wake(bridge_channel *channel);

/**
 * How often bridge_channel_wake was called: for who waits in several short
 * waits, and must not miss one in between.
 *
 * @param channel  the channel, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_channel_wakes(bridge_channel *channel);

/**
 * Be told when it is worth to try again, for who waits in an event loop: an answer
 * without values comes into a queue, once, when a message, or room, comes for one who
 * waits at this end, or when that end is closed, woken, or freed.
 *
 * Ask first, then try, without waiting; what comes in between is not missed.  Who is
 * told may find nothing, since another was quicker, or too little room: then ask again;
 * the room is offered to the others who wait.  Who goes without trying withdraws, so
 * that somebody else is told.  So it is, too, if the queue was closed or released.
 *
 * @param channel  the channel
 * @param end      BRIDGE_CHANNEL_RECEIVING to receive, BRIDGE_CHANNEL_SENDING to send
 * @param answers  where the answer goes, as those of bridge_worker_request; retained
 *                 until it has come
 * @param session  what bridge_answer_session gives of it
 * @return BRIDGE_OK, BRIDGE_EINVAL, BRIDGE_EFORKED or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_notify(bridge_channel *channel,
                                               bridge_channel_end end,
                                               bridge_queue *answers,
                                               uint64_t session);

/**
 * Be told no more.  An answer that was on its way may still come; what it told of is not
 * lost: if there is still something, the next one is told.
 *
 * @param channel  the channel
 * @param answers  where the answer was to go
 * @param session  the number that was given
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_withdraw(bridge_channel *channel,
                                                 const bridge_queue *answers,
                                                 uint64_t session);

/**
 * Close an end of the channel; who waits is woken.  Closing twice is harmless.
 *
 * @param channel  the channel
 * @param end      which one
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_channel_close(bridge_channel *channel,
                                              bridge_channel_end end);

/**
 * Whether an end of the channel was closed.
 *
 * @param channel  the channel, or NULL, which counts as closed
 * @param end      which one
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_channel_closed(bridge_channel *channel,
                                      bridge_channel_end end);

/**
 * How many messages are in the channel.
 *
 * @param channel  the channel, or NULL, which has none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API size_t bridge_channel_count(bridge_channel *channel);

/**
 * How many bytes of messages are in the channel.
 *
 * @param channel  the channel, or NULL, which has none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API size_t bridge_channel_bytes(bridge_channel *channel);

/**
 * How many messages BRIDGE_QUEUE_DROP_OLDEST has freed.
 *
 * @param channel  the channel, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_channel_dropped(bridge_channel *channel);

/**
 * What bridge_channel_send does when there is no room.
 *
 * @param channel          the channel, or NULL, which fails
 * @param[out] timeout_ms  how long BRIDGE_QUEUE_BLOCK waits; may be NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_queue_policy
bridge_channel_policy_of(const bridge_channel *channel, int *timeout_ms);

/**
 * The waker that the channel was given.
 *
 * @param channel  the channel, or NULL
 * @return borrowed; NULL if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_waker *bridge_channel_waker(const bridge_channel *channel);

BRIDGE_END_DECLS

#endif /* BRIDGE_CHANNEL_H */
