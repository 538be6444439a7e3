#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

/**
 * @mainpage libbridge
 *
 * A host hands *messages* to Lua *workers* through *queues*; what comes back
 * raises a *waker* that the host's event loop understands.
 *
 * **Ownership**, everywhere: `create` gives one reference.  `retain` and
 * `release` count them.  A `T **` argument is taken and set to NULL on success,
 * and untouched on failure.  A returned pointer is borrowed.
 *
 * **Failure**: every function that can fail returns a bridge_status.  NULL
 * handles are BRIDGE_EINVAL, and releasing NULL does nothing.
 *
 * **Threads**: each function says who may call it: *Any thread*; *The owner's
 * thread*; *Any thread; one caller at a time*.
 *
 * **fork**: an object belongs to the process that made it.  In the child of a
 * fork its calls return BRIDGE_EFORKED and wake nobody; it can be released, and
 * new ones can be made.
 */

#include <bridge/buffer.h>
#include <bridge/channel.h>
#include <bridge/chunk.h>
#include <bridge/error.h>
#include <bridge/export.h>
#include <bridge/log.h>
#include <bridge/memory.h>
#include <bridge/message.h>
#include <bridge/mpsc.h>
#include <bridge/object.h>
#include <bridge/queue.h>
#include <bridge/select.h>
#include <bridge/state.h>
#include <bridge/status.h>
#include <bridge/sync.h>
#include <bridge/thread.h>
#include <bridge/timer.h>
#include <bridge/version.h>
#include <bridge/waker.h>
#include <bridge/worker.h>

#endif /* BRIDGE_BRIDGE_H */
