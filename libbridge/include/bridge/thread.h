#ifndef BRIDGE_THREAD_H
#define BRIDGE_THREAD_H

#include <bridge/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/** An operating system thread. */
typedef struct bridge_thread bridge_thread;

/** What a thread runs; the thread ends when it returns. */
typedef void bridge_thread_main(void *user);

/** How much a thread counts when processors are short. */
typedef enum bridge_priority {
  /** It runs when nobody else wants to. */
  BRIDGE_PRIORITY_IDLE = -2,
  /** Less than others. */
  BRIDGE_PRIORITY_LOW = -1,
  /** As the system has it. */
  BRIDGE_PRIORITY_NORMAL = 0,
  /** More than others, for which systems want a privilege. */
  BRIDGE_PRIORITY_HIGH = 1
} bridge_priority;

/** How to make a thread.  Fill it by bridge_thread_options_init. */
typedef struct bridge_thread_options {
  /** Layout of this structure: BRIDGE_THREAD_OPTIONS_VERSION. */
  unsigned version;
  /** A name for people, copied; NULL for none.  What the system shows of it may
      be shorter (15 bytes on Linux). */
  const char *name;
  /** Bytes of stack; 0 for the default, 1 MiB.  Lua's own limits on recursion
      in C need 512 KiB, so less is raised to that. */
  size_t stack_size;
  /** Whether the system's thread may have served others before, and wait for a
      second for more when this is over: which is cheaper, but what it keeps for
      each thread, and destroys when the thread ends, then outlives the join. */
  bool keep;
  /** How much it counts. */
  bridge_priority priority;
  /** The processors that it may run on, one bit for each of the first 64, the
      lowest for number 0; 0 for all. */
  uint64_t affinity;
} bridge_thread_options;

#define BRIDGE_THREAD_OPTIONS_VERSION 2

/**
 * Fill in the defaults.
 *
 * @param[out] options  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_thread_options_init(bridge_thread_options *options);

/**
 * Start a thread.  It takes no signals: those are for the host's own threads.
 *
 * @param[out] out  the thread; the caller owns one reference
 * @param body      what it runs
 * @param user      handed to @p body
 * @param options   copied; NULL for the defaults
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_ENOMEM;
 *         BRIDGE_ESYSTEM if the system has no thread left, or refuses the
 *         priority (errno is EPERM or EACCES) or the processors (EINVAL: none of
 *         them is there): then nothing has run; BRIDGE_EUNSUPPORTED where it
 *         does not have them
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_thread_create(bridge_thread **out,
                     bridge_thread_main *body,
                     void *user,
                     const bridge_thread_options *options);

/**
 * Add a reference.
 *
 * @param thread  the thread, or NULL
 * @return @p thread
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_thread *bridge_thread_retain(bridge_thread *thread);

/**
 * Drop a reference.  Never blocks: a thread that nobody joined runs on and
 * cleans up after itself.
 *
 * @param thread  the thread; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_thread_release(bridge_thread *thread);

/**
 * Wait until a thread has ended.
 *
 * @param thread      the thread
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @return BRIDGE_OK to exactly one caller; BRIDGE_ETIMEDOUT; BRIDGE_EALREADY to
 *         those after it; BRIDGE_EDETACHED; BRIDGE_EDEADLOCK to the thread
 *         itself; BRIDGE_ECANCELLED if the calling worker is cancelled;
 *         BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_thread_join(bridge_thread *thread,
                                            int timeout_ms);

/**
 * Let a thread clean up after itself: it cannot be joined any more.
 *
 * @param thread  the thread
 * @return BRIDGE_OK; BRIDGE_EALREADY if it was joined; BRIDGE_EDETACHED if it
 *         was detached; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_thread_detach(bridge_thread *thread);

/**
 * Whether the thread's main function has yet to return.
 *
 * @param thread  the thread, or NULL, which is not alive
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_thread_alive(const bridge_thread *thread);

/**
 * The name that was given; "" if none.
 *
 * @param thread  the thread, or NULL
 * @return borrowed
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_thread_name(const bridge_thread *thread);

/**
 * A number that no other thread of the process has had or will have; 0 for
 * NULL.
 *
 * @param thread  the thread, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_thread_id(const bridge_thread *thread);

/**
 * The calling thread, if bridge_thread_create made it.
 *
 * @return borrowed; NULL on a thread of somebody else
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_thread *bridge_thread_current(void);

/**
 * How many processors the process may use, at least 1.
 *
 * @threadsafety Any thread.
 */
BRIDGE_API unsigned bridge_thread_cores(void);

BRIDGE_END_DECLS

#endif /* BRIDGE_THREAD_H */
