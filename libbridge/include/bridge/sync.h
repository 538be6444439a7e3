#ifndef BRIDGE_SYNC_H
#define BRIDGE_SYNC_H

#include <bridge/status.h>

#include <stdbool.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * @file
 * What threads share beside messages: a number, a flag and a lock, as handles
 * that may be sent like any other.
 */

/* ---- Counter ------------------------------------------------------------- */

/** A whole number that any thread may change in one step, and wait for.  Closed, it
    stays as it is. */
typedef struct bridge_counter bridge_counter;

/** How a number stands to another. */
typedef enum bridge_relation {
  BRIDGE_AT_LEAST = 0,
  BRIDGE_AT_MOST = 1,
  BRIDGE_EQUAL = 2,
  BRIDGE_NOT_EQUAL = 3
} bridge_relation;

/**
 * Create a counter.
 *
 * @param[out] out  the counter; the caller owns one reference
 * @param value     where it begins
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ENOMEM; BRIDGE_ESYSTEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_counter_create(bridge_counter **out,
                                               int64_t value);

/**
 * Add a reference.
 *
 * @param counter  the counter, or NULL
 * @return @p counter
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_counter *bridge_counter_retain(bridge_counter *counter);

/**
 * Drop a reference.
 *
 * @param counter  the counter; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_counter_release(bridge_counter *counter);

/**
 * The number.  What other threads did before they made it so has been done.
 *
 * @param counter  the counter, or NULL, which is 0
 *
 * @threadsafety Any thread.
 */
BRIDGE_API int64_t bridge_counter_get(const bridge_counter *counter);

/**
 * Set the number.
 *
 * @param counter      the counter
 * @param value        any
 * @param[out] before  what it was; may be NULL
 * @return BRIDGE_OK; BRIDGE_ECLOSED; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_counter_set(bridge_counter *counter,
                                            int64_t value,
                                            int64_t *before);

/**
 * Add to the number.
 *
 * @param counter     the counter
 * @param change      any, also negative
 * @param[out] after  what it is then; may be NULL
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EOVERFLOW if the sum is no 64-bit
 *         number, and then it stays as it was; BRIDGE_ECLOSED; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_counter_add(bridge_counter *counter,
                                            int64_t change,
                                            int64_t *after);

/**
 * Set the number if it is what the caller expects.
 *
 * @param counter            the counter
 * @param[in,out] expected   what it must be; on BRIDGE_EBUSY, what it is
 * @param value              what it becomes
 * @return BRIDGE_OK; BRIDGE_EBUSY if it is another, and then it stays so;
 *         BRIDGE_ECLOSED; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_counter_exchange(bridge_counter *counter,
                                                 int64_t *expected,
                                                 int64_t value);

/**
 * Wait until the number stands to another as asked.  One that does so only for a
 * moment may be missed.
 *
 * @param counter     the counter
 * @param relation    such as BRIDGE_AT_LEAST
 * @param value       the other number
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @param[out] seen   the number that was found so; may be NULL
 * @return BRIDGE_OK, also if it is closed and stands so; BRIDGE_ECLOSED if it is
 *         closed and does not, at once or when it is closed meanwhile;
 *         BRIDGE_ETIMEDOUT; BRIDGE_ECANCELLED if it would have to wait and the
 *         calling worker is cancelled; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_counter_wait(bridge_counter *counter,
                                             bridge_relation relation,
                                             int64_t value,
                                             int timeout_ms,
                                             int64_t *seen);

/**
 * Close the counter: who waits for what it is not is woken, and nobody waits or
 * changes it any more; a change that is under way may still be made.  It can be
 * read.  Closing twice is harmless.
 *
 * @param counter  the counter
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_counter_close(bridge_counter *counter);

/**
 * Whether the counter was closed.
 *
 * @param counter  the counter, or NULL, which counts as closed
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_counter_closed(const bridge_counter *counter);

/* ---- Flag ---------------------------------------------------------------- */

/** Something that is so, or not yet; any number of threads wait until it is.
    Closed, it stays as it is. */
typedef struct bridge_flag bridge_flag;

/**
 * Create a flag.
 *
 * @param[out] out  the flag; the caller owns one reference
 * @param set       whether it begins as set
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ENOMEM; BRIDGE_ESYSTEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_flag_create(bridge_flag **out, bool set);

/**
 * Add a reference.
 *
 * @param flag  the flag, or NULL
 * @return @p flag
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_flag *bridge_flag_retain(bridge_flag *flag);

/**
 * Drop a reference.
 *
 * @param flag  the flag; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_flag_release(bridge_flag *flag);

/**
 * Set the flag, and wake all who wait for it.  Twice is harmless.
 *
 * @param flag  the flag
 * @return BRIDGE_OK; BRIDGE_ECLOSED; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_flag_set(bridge_flag *flag);

/**
 * Unset the flag.  Who was woken before may find it so and go on waiting.
 *
 * @param flag  the flag
 * @return BRIDGE_OK; BRIDGE_ECLOSED; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_flag_clear(bridge_flag *flag);

/**
 * Whether the flag is set.  What was done before it was set has been done.
 *
 * @param flag  the flag, or NULL, which is not
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_flag_is_set(const bridge_flag *flag);

/**
 * Wait until the flag is set.  It stays set.
 *
 * @param flag        the flag
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @return BRIDGE_OK, also if it is set and closed; BRIDGE_ECLOSED if it is closed
 *         and not set, at once or when it is closed meanwhile; BRIDGE_ETIMEDOUT;
 *         BRIDGE_ECANCELLED if it would have to wait and the calling worker is
 *         cancelled; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_flag_wait(bridge_flag *flag, int timeout_ms);

/**
 * Close the flag: who waits for it is woken, and nobody waits, sets or clears it
 * any more.  Closing twice is harmless.
 *
 * @param flag  the flag
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_flag_close(bridge_flag *flag);

/**
 * Whether the flag was closed.
 *
 * @param flag  the flag, or NULL, which counts as closed
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_flag_closed(const bridge_flag *flag);

/* ---- Mutex --------------------------------------------------------------- */

/**
 * A lock, for what threads have outside of the bridge: a file, a device.
 *
 * Its owner is the worker whose script locked it, whichever of its coroutines or
 * threads that was; or, where no worker runs, the thread.  The owner cannot lock
 * it again.  A worker that ends gives back what it still has, and the next owner
 * is told.  A thread of the host's that ends with it does not: it stays locked.
 */
typedef struct bridge_mutex bridge_mutex;

/**
 * Create a mutex, unlocked.
 *
 * @param[out] out  the mutex; the caller owns one reference
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ENOMEM; BRIDGE_ESYSTEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mutex_create(bridge_mutex **out);

/**
 * Add a reference.
 *
 * @param mutex  the mutex, or NULL
 * @return @p mutex
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_mutex *bridge_mutex_retain(bridge_mutex *mutex);

/**
 * Drop a reference.  What a worker has locked stays its own.
 *
 * @param mutex  the mutex; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_mutex_release(bridge_mutex *mutex);

/**
 * Lock the mutex, waiting until nobody has it.
 *
 * @param mutex           the mutex
 * @param timeout_ms      milliseconds; 0 tries; negative waits for ever
 * @param[out] abandoned  whether the owner before ended, or gave up, without
 *                        unlocking it: what it guards may be half done; may be
 *                        NULL
 * @return BRIDGE_OK; BRIDGE_EBUSY if somebody has it and @p timeout_ms is 0;
 *         BRIDGE_ETIMEDOUT; BRIDGE_ECLOSED if it is closed, also meanwhile;
 *         BRIDGE_EDEADLOCK if the caller has it;
 *         BRIDGE_ECANCELLED if it would have to wait and the calling worker is
 *         cancelled; BRIDGE_EINVAL; BRIDGE_EFORKED; BRIDGE_ENOMEM if it cannot
 *         wait
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mutex_lock(bridge_mutex *mutex,
                                           int timeout_ms,
                                           bool *abandoned);

/**
 * Unlock the mutex.
 *
 * @param mutex  the mutex
 * @return BRIDGE_OK; BRIDGE_EINVAL, also if the caller does not have it;
 *         BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mutex_unlock(bridge_mutex *mutex);

/**
 * Unlock the mutex, and let the next owner know that what it guards may be half
 * done.
 *
 * @param mutex  the mutex
 * @return as bridge_mutex_unlock
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mutex_abandon(bridge_mutex *mutex);

/**
 * Whether anybody has the mutex.
 *
 * @param mutex  the mutex, or NULL, which nobody has
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_mutex_locked(bridge_mutex *mutex);

/**
 * Close the mutex: who waits for it is woken, and nobody gets it any more.  Who
 * has it keeps it, and can unlock it.  Closing twice is harmless.
 *
 * @param mutex  the mutex
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_mutex_close(bridge_mutex *mutex);

/**
 * Whether the mutex was closed.
 *
 * @param mutex  the mutex, or NULL, which counts as closed
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_mutex_closed(bridge_mutex *mutex);

BRIDGE_END_DECLS

#endif /* BRIDGE_SYNC_H */
