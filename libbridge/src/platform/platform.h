/* What the library needs from an operating system.  A platform is a folder of
   twin files that implement this header; CMake chooses it. */
#ifndef BRIDGE_PLATFORM_H
#define BRIDGE_PLATFORM_H

#include "platform_types.h" /* bridge__mutex, bridge__condition, bridge__native_thread */

#include <bridge/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Time: monotonic, nanoseconds since some moment ---- */
int64_t bridge__now(void);
/* The same, some milliseconds late, and cheaper. */
int64_t bridge__now_roughly(void);
/* The clock of the CPU time of the calling thread, which any thread can read; 0 if
   there is none. */
int bridge__cpu_clock(void);
bool bridge__cpu_clock_read(int clock, int64_t *out);
/* The next two are not a platform's (base/deadline.c).  When a timeout that begins
   now is over; INT64_MAX for a negative one. */
int64_t bridge__deadline(int timeout_ms);
/* Milliseconds left, rounded up, 0 if it is over; -1 for INT64_MAX. */
int bridge__remaining(int64_t deadline);
/* The clock on the wall, nanoseconds since 1970 UTC: somebody may set it. */
int64_t bridge__wall_now(void);

/* ---- Mutex and condition.  Waiting uses the monotonic clock.  A mutex that
   lives for ever may be initialised by BRIDGE__MUTEX_INIT instead. ---- */
bridge_status bridge__mutex_init(bridge__mutex *mutex);
void bridge__mutex_destroy(bridge__mutex *mutex);
void bridge__mutex_lock(bridge__mutex *mutex);
void bridge__mutex_unlock(bridge__mutex *mutex);

bridge_status bridge__condition_init(bridge__condition *condition);
void bridge__condition_destroy(bridge__condition *condition);
/* False when the deadline passed.  May return early without a reason. */
bool bridge__condition_wait(bridge__condition *condition,
                            bridge__mutex *mutex,
                            int64_t deadline);
void bridge__condition_signal(bridge__condition *condition);
void bridge__condition_broadcast(bridge__condition *condition);

/* ---- Threads ---- */
/* What a thread does; the starter's, and stays where it is until the body has
   begun. */
typedef struct bridge__native_entry {
  void (*body)(void *user);
  void *user;
} bridge__native_entry;

/* The new thread has all signals blocked that a host may want to catch. */
bridge_status bridge__native_start(bridge__native_thread *out,
                                   bridge__native_entry *entry,
                                   size_t stack_size);
void bridge__native_join(bridge__native_thread *thread);
void bridge__native_detach(bridge__native_thread *thread);
/* Name the calling thread, as far as the system takes it. */
void bridge__native_name(const char *name);
unsigned bridge__native_cores(void);
/* Of the calling thread: -2 idle, -1 low, 1 high; the processors by number, the
   lowest bit first.  BRIDGE_ESYSTEM with errno where the system refuses,
   BRIDGE_EUNSUPPORTED where it cannot. */
bridge_status bridge__native_priority(int priority);
bridge_status bridge__native_affinity(uint64_t mask);

/* Call `hook` when the calling thread ends: one for each of these, the same for all
   threads.  It may also come to a thread that never asked for it. */
typedef enum bridge__exit {
  BRIDGE__EXIT_BLOCKS,
  BRIDGE__EXIT_RUNNER,
  BRIDGE__EXITS /* how many */
} bridge__exit;
void bridge__at_thread_exit(bridge__exit which, void (*hook)(void));

/* ---- Processor ---- */
/* In a loop that spins. */
void bridge__relax(void);
/* Let another thread run. */
void bridge__yield(void);

/* ---- Process ---- */
/* How often this process was forked from one that used the library: a handle
   that was made under another number belongs to an ancestor.  Changes only in
   the child of a fork, while it has one thread. */
extern unsigned bridge__forks;
static inline unsigned bridge__process(void)
{
  return bridge__forks;
}
/* Around each fork of the process call `before`, and then `after` in the parent
   and in the child: for a lock that must not be held in the child by a thread
   that is not there.  One pair for each lock; later calls change nothing.  No
   thread takes one of these locks while it has another. */
typedef enum bridge__fork_lock {
  BRIDGE__FORK_BLOCKS,
  BRIDGE__FORK_PAGES,
  BRIDGE__FORK_RUNNERS,
  BRIDGE__FORK_LOG,
  BRIDGE__FORK_REGISTRY,
  BRIDGE__FORK_OBJECTS,
  BRIDGE__FORK_WATCHDOG,
  BRIDGE__FORK_KEPT,
  BRIDGE__FORK_TIMERS,
  BRIDGE__FORK_LOCKS /* how many */
} bridge__fork_lock;
void bridge__at_fork(bridge__fork_lock lock,
                     void (*before)(void),
                     void (*after)(void));

/* ---- Pages of the system ---- */
/* Memory full of zeros, aligned to its size, which is a power of two and at least
   64 KiB; NULL when there is none. */
void *bridge__map(size_t size);
/* Takes all that one call gave. */
void bridge__unmap(void *block, size_t size);
/* The contents are not needed any more: the system may take the memory, until it is
   written to again. */
void bridge__discard(void *block, size_t size);

#endif
