#ifndef BRIDGE_TIMER_H
#define BRIDGE_TIMER_H

#include <bridge/channel.h>
#include <bridge/message.h>
#include <bridge/queue.h>

#include <stdbool.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * Posts a message to a queue or a channel when its time comes: once, or again
 * and again.
 *
 * All timers of a process share one thread, which is made for the first of them
 * and sleeps until the next one is due.  It never waits for room: a timer that
 * goes off once tries again until there is some; of a periodic one, a post that
 * finds none, or comes too late, is counted as missed.
 *
 * A timer goes on without its handle; bridge_objects finds it.  It ends when it
 * was cancelled, when it has gone off for the last time, when its target is
 * closed, and when nobody but timers has its target any more.
 */
typedef struct bridge_timer bridge_timer;

/** What the first moment of a timer counts from. */
typedef enum bridge_timer_clock {
  /** Now. */
  BRIDGE_TIMER_AFTER = 0,
  /** A moment that the steady clock does not name; see bridge_timer_now. */
  BRIDGE_TIMER_STEADY = 1,
  /** 1970-01-01 00:00 UTC, by the clock on the wall.  When somebody sets that
      clock, the timer follows, within half a second. */
  BRIDGE_TIMER_WALL = 2
} bridge_timer_clock;

/** How to make a timer.  Fill it by bridge_timer_options_init. */
typedef struct bridge_timer_options {
  /** Layout of this structure: BRIDGE_TIMER_OPTIONS_VERSION. */
  unsigned version;
  /** Where to post, retained: one of both. */
  bridge_queue *queue;
  bridge_channel *channel;
  /** What `first_ns` counts from. */
  bridge_timer_clock clock;
  /** When it goes off first, in nanoseconds; not negative.  A moment that is
      over is now; of a periodic timer it is the next one in step. */
  int64_t first_ns;
  /** Nanoseconds from then on between two; 0, the default, for once, else at
      least BRIDGE_TIMER_PERIOD_MIN.  The moments are first, first + period,
      first + 2 * period and so on, however late each of them comes. */
  int64_t period_ns;
} bridge_timer_options;

#define BRIDGE_TIMER_OPTIONS_VERSION 1
#define BRIDGE_TIMER_PERIOD_MIN      INT64_C(100000)

/**
 * Fill in the defaults.
 *
 * @param[out] options  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_timer_options_init(bridge_timer_options *options);

/**
 * Create a timer; it runs from now on.
 *
 * @param[out] out         the timer; the caller owns one reference
 * @param options          copied
 * @param[in,out] message  what to post, each time a copy of it; taken and set to
 *                         NULL on success; else untouched
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_ECYCLE if the message
 *         holds the target; BRIDGE_EFORKED; BRIDGE_ENOMEM; BRIDGE_ESYSTEM if
 *         there is no thread for it
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_timer_create(bridge_timer **out,
                    const bridge_timer_options *options,
                    bridge_message **message);

/**
 * Add a reference.
 *
 * @param timer  the timer, or NULL
 * @return @p timer
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_timer *bridge_timer_retain(bridge_timer *timer);

/**
 * Drop a reference.  The timer goes on.
 *
 * @param timer  the timer; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_timer_release(bridge_timer *timer);

/**
 * End the timer: once this returns it posts nothing any more.  What it has posted
 * stays where it is.
 *
 * @param timer  the timer
 * @return BRIDGE_OK; BRIDGE_EALREADY if it had ended; BRIDGE_EINVAL;
 *         BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_timer_cancel(bridge_timer *timer);

/**
 * Whether the timer has yet to end.
 *
 * @param timer  the timer, or NULL, which has ended
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_timer_active(const bridge_timer *timer);

/**
 * How many messages the timer has posted.
 *
 * @param timer  the timer, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_timer_posted(const bridge_timer *timer);

/**
 * How many moments of a periodic timer passed without a message.
 *
 * @param timer  the timer, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_timer_missed(const bridge_timer *timer);

/**
 * What a clock shows, in nanoseconds.
 *
 * @param clock  BRIDGE_TIMER_STEADY or BRIDGE_TIMER_WALL; 0 for another
 *
 * @threadsafety Any thread.
 */
BRIDGE_API int64_t bridge_timer_now(bridge_timer_clock clock);

BRIDGE_END_DECLS

#endif /* BRIDGE_TIMER_H */
