#ifndef BRIDGE_MPSC_H
#define BRIDGE_MPSC_H

#include <bridge/status.h>

#include <stdbool.h>

BRIDGE_BEGIN_DECLS

/**
 * The engine of every queue: an intrusive list without bounds, without locks
 * and without allocation.  Any thread pushes, one thread takes.
 *
 * One word is both the list and the mark of a sleeping consumer, so that a
 * producer learns from the very operation that pushes whether it has to wake
 * somebody: no wake-up is lost, no fence is needed, and nobody pays for a wake
 * that nobody waits for.  The protocol is that of folly's
 * AtomicNotificationQueue.
 *
 * For hosts that bring their own nodes and their own way to wake.  Everybody
 * else wants bridge_queue.
 */
typedef struct bridge_mpsc bridge_mpsc;

/** To be embedded in what is queued. */
typedef struct bridge_node {
  struct bridge_node *next;
} bridge_node;

/**
 * Create an empty list, not armed.
 *
 * @param[out] out  the list
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mpsc_create(bridge_mpsc **out);

/**
 * Free a list.  Its nodes are not the list's: take them first.
 *
 * @param list  the list, which nobody uses any more; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_mpsc_destroy(bridge_mpsc *list);

/**
 * Append a node.
 *
 * @param list        the list
 * @param node        the list's until it is taken
 * @param[out] armed  whether the consumer sleeps, so that the caller has to wake
 *                    it; exactly one push is told so for each arming
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mpsc_push(bridge_mpsc *list,
                                          bridge_node *node,
                                          bool *armed);

/**
 * Take everything, first in first out for each producer.
 *
 * @param list      the list
 * @param[out] out  the first node, linked by `next` to the others
 * @return BRIDGE_OK; BRIDGE_EEMPTY; BRIDGE_EINVAL
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_mpsc_take(bridge_mpsc *list, bridge_node **out);

/**
 * Ask to be woken by the next push.
 *
 * @param list  the list
 * @return BRIDGE_OK: sleep; BRIDGE_EBUSY: something is there, take it first;
 *         BRIDGE_EINVAL
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_mpsc_arm(bridge_mpsc *list);

BRIDGE_END_DECLS

#endif /* BRIDGE_MPSC_H */
