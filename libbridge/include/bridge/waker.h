#ifndef BRIDGE_WAKER_H
#define BRIDGE_WAKER_H

#include <bridge/status.h>

BRIDGE_BEGIN_DECLS

/**
 * Tells a sleeping consumer that there is something.
 *
 * A waker carries no data and does not count: any number of raises before the
 * consumer looks are one.  What there is to do stands in a queue.
 */
typedef struct bridge_waker bridge_waker;

/** By what a waker wakes. */
typedef enum bridge_waker_kind {
  /** The cheapest one of the platform that has a descriptor. */
  BRIDGE_WAKER_DEFAULT = 0,
  /** Linux's eventfd: one descriptor. */
  BRIDGE_WAKER_EVENTFD = 1,
  /** A pipe: for loops that take nothing but streams. */
  BRIDGE_WAKER_PIPE = 2,
  /** A UDP socket connected to itself: for loops that take nothing but sockets.
      The kernel drops what anybody else sends to it. */
  BRIDGE_WAKER_UDP = 3,
  /** A condition variable: for a thread that waits for nothing else. */
  BRIDGE_WAKER_CONDITION = 4,
  /** A C function, called by the thread that raises. */
  BRIDGE_WAKER_CALLBACK = 5
} bridge_waker_kind;

/**
 * What a callback waker calls, on the raising thread, holding no lock.  It must
 * not block, and must not call into the language of the host.
 */
typedef void bridge_waker_callback(void *user);

/**
 * Create a waker of any kind but BRIDGE_WAKER_CALLBACK.
 *
 * Descriptors are non-blocking and close-on-exec.
 *
 * @param[out] out  the waker; the caller owns one reference
 * @param kind      by what it wakes
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ENOMEM; BRIDGE_EUNSUPPORTED if the
 *         platform lacks the kind; BRIDGE_ESYSTEM (no descriptor left, ...)
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_waker_create(bridge_waker **out,
                                             bridge_waker_kind kind);

/**
 * Create a waker that calls a function.
 *
 * @param[out] out  the waker; the caller owns one reference
 * @param callback  called once for each time the waker becomes raised
 * @param user      handed to both functions
 * @param release   called once, when nobody can call @p callback any more; or
 *                  NULL
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_waker_create_callback(bridge_waker **out,
                             bridge_waker_callback *callback,
                             void *user,
                             bridge_waker_callback *release);

/**
 * Add a reference.
 *
 * @param waker  the waker, or NULL
 * @return @p waker
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_waker *bridge_waker_retain(bridge_waker *waker);

/**
 * Drop a reference; the last one closes the waker.
 *
 * @param waker  the waker; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_waker_release(bridge_waker *waker);

/**
 * By what this waker wakes; never BRIDGE_WAKER_DEFAULT, except for NULL.
 *
 * @param waker  the waker, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_waker_kind bridge_waker_kind_of(const bridge_waker *waker);

/**
 * Wake the consumer.  Never blocks; raising what is raised costs one atomic
 * operation.
 *
 * @param waker  the waker
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ECLOSED; BRIDGE_EFORKED;
 *         BRIDGE_ESYSTEM if the system has no buffer left for the UDP kind's
 *         packet: then the waker is not raised
 *
 * @threadsafety Any thread.  Async-signal-safe, except the condition and
 * callback kinds.
 */
BRIDGE_API bridge_status bridge_waker_raise(bridge_waker *waker);

/**
 * Make the waker unraised.  Clear first, then look for work: the other way
 * round loses wake-ups.  A waker that is not raised may be cleared.
 *
 * Who pops a queue until it is empty need not clear the queue's waker: the
 * queue does so before it answers BRIDGE_EEMPTY.
 *
 * @param waker  the waker
 * @return BRIDGE_OK, BRIDGE_EINVAL, BRIDGE_ECLOSED or BRIDGE_EFORKED
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_waker_clear(bridge_waker *waker);

/**
 * Wait until the waker is raised.  It stays raised.
 *
 * @param waker       the waker
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ETIMEDOUT; BRIDGE_ECLOSED, also when
 *         it is closed meanwhile; BRIDGE_ECANCELLED if the calling worker is
 *         cancelled, unless @p timeout_ms is 0; BRIDGE_EUNSUPPORTED for
 *         BRIDGE_WAKER_CALLBACK; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_waker_wait(bridge_waker *waker, int timeout_ms);

/**
 * The descriptor that becomes readable when the waker is raised, for the host's
 * event loop.
 *
 * @param waker     the waker
 * @param[out] out  borrowed: the host must neither read nor close it, and must
 *                  take it out of its loop before it closes the waker
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EUNSUPPORTED if the kind has none;
 *         BRIDGE_ECLOSED; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_waker_fileno(bridge_waker *waker, int *out);

/**
 * Close the waker: who waits returns, who raises is refused.
 *
 * Safe while others raise: the descriptor is closed by the last one who uses
 * it, so that its number is never written to after it was given to another
 * file.  Closing twice is harmless.
 *
 * @param waker  the waker
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_waker_close(bridge_waker *waker);

BRIDGE_END_DECLS

#endif /* BRIDGE_WAKER_H */
