#ifndef BRIDGE_SELECT_H
#define BRIDGE_SELECT_H

#include <bridge/channel.h>
#include <bridge/message.h>
#include <bridge/queue.h>

#include <stddef.h>

BRIDGE_BEGIN_DECLS

/** One of the things that bridge_select waits for. */
typedef struct bridge_select_item {
  /** BRIDGE_HANDLE_QUEUE or BRIDGE_HANDLE_CHANNEL. */
  bridge_handle_kind kind;
  /** A bridge_queue * or a bridge_channel *. */
  void *handle;
} bridge_select_item;

/**
 * Take a message of the first queue or channel in a list that has one; wait
 * until one of them does.
 *
 * What stands earlier goes first, always: a list is an order of priority.  What
 * is closed and empty is passed over.  A select is the one consumer of each
 * queue in its list as long as it lasts: others get BRIDGE_EBUSY there.
 *
 * @param items       what to wait for
 * @param count       how many, at least 1
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @param[out] index  which item it was, from 0
 * @param[out] out    the message; the caller owns it
 * @return BRIDGE_OK; BRIDGE_EEMPTY if nothing is there and @p timeout_ms is 0,
 *         or if bridge_channel_wake ended the wait, and then @p index tells of
 *         which; BRIDGE_ETIMEDOUT; BRIDGE_ECLOSED once all are closed and
 *         empty; BRIDGE_EBUSY if another thread is popping one of the queues,
 *         which @p index tells, or if a queue is in the list twice;
 *         BRIDGE_ECANCELLED if it would have to wait and the calling worker is
 *         cancelled; BRIDGE_EFORKED; BRIDGE_EINVAL; BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_select(const bridge_select_item *items,
                                       size_t count,
                                       int timeout_ms,
                                       size_t *index,
                                       bridge_message **out);

BRIDGE_END_DECLS

#endif /* BRIDGE_SELECT_H */
