#ifndef BRIDGE_WORKER_H
#define BRIDGE_WORKER_H

#include <bridge/error.h>
#include <bridge/message.h>
#include <bridge/queue.h>
#include <bridge/state.h>
#include <bridge/status.h>
#include <bridge/thread.h>
#include <bridge/waker.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * A Lua state with an inbox, driven by a thread of its own or by the host.
 *
 * A worker runs one chunk.  What the chunk returns, or the error that it
 * raises, is what bridge_worker_join gives.  A chunk that calls
 * `bridge.serve{...}` answers calls until it is asked to stop; each request runs
 * in a coroutine of its own, so that one that waits does not hold the others.
 *
 * A request is a message whose first value names the handler; the others are
 * its arguments.
 */
typedef struct bridge_worker bridge_worker;

/** Who runs the worker's Lua. */
typedef enum bridge_drive {
  /** A thread of its own. */
  BRIDGE_DRIVE_THREAD = 0,
  /** Whoever calls bridge_worker_step. */
  BRIDGE_DRIVE_HOST = 1
} bridge_drive;

/** Where a worker is in its life. */
typedef enum bridge_worker_phase {
  /** The chunk runs, or waits for its first step. */
  BRIDGE_WORKER_RUNNING = 0,
  /** It answers calls. */
  BRIDGE_WORKER_SERVING = 1,
  /** It takes no more requests, and finishes those it has. */
  BRIDGE_WORKER_STOPPING = 2,
  /** The chunk ended; its state is closed. */
  BRIDGE_WORKER_ENDED = 3,
  /** Its script did not come back when it was closed: the thread was given up. */
  BRIDGE_WORKER_LOST = 4
} bridge_worker_phase;

/** How to make a worker.  Fill it by bridge_worker_options_init. */
typedef struct bridge_worker_options {
  /** Layout of this structure: BRIDGE_WORKER_OPTIONS_VERSION. */
  unsigned version;
  /** A name for people; NULL for "worker-N". */
  const char *name;
  /** The chunk: text, or precompiled if the state's options allow it. */
  const char *source;
  /** Bytes of it, which may contain NULs; 0 if it ends with a NUL. */
  size_t source_size;
  /** The chunk's name as Lua wants it; NULL for "=" and the worker's name. */
  const char *chunk_name;
  /** The chunk's file, if `source` is NULL.  If both are, the first argument
      must be a function, which is the chunk. */
  const char *file;
  /** Who runs it. */
  bridge_drive drive;
  /** For BRIDGE_DRIVE_HOST: the kind of handle that the host watches. */
  bridge_waker_kind waker_kind;
  /** Most requests that wait in the inbox, BRIDGE_QUEUE_ITEMS_MAX at most; 0 for
      65,536. */
  size_t inbox_items;
  /** Most bytes of requests that wait in the inbox, BRIDGE_QUEUE_BYTES_MAX at most;
      0 for 64 MiB. */
  size_t inbox_bytes;
  /** Bytes of stack of its thread; 0 for the default, 1 MiB. */
  size_t stack_size;
  /** Its state; NULL for the defaults. */
  const bridge_state_options *state;
  /** For the worker as a whole, from its first step on; then it is cancelled. */
  bridge_limits life;
  /** For each request's handler, which then fails alone. */
  bridge_limits request;
  /** Where its records go, retained, as bridge_set_log_queue; NULL for the logger
      of the process. */
  bridge_queue *log;
  /** How much its thread counts. */
  bridge_priority priority;
  /** The processors of its thread, as bridge_thread_options; 0 for all. */
  uint64_t affinity;
  /** When the inbox has no room: BRIDGE_QUEUE_BLOCK waits for it as long as the
      call says, BRIDGE_QUEUE_FAIL never does.  BRIDGE_QUEUE_DROP_OLDEST answers
      the request that has waited longest with BRIDGE_EFULL, and takes the new one;
      requests that the worker has taken out already are kept. */
  bridge_queue_policy inbox_full;
} bridge_worker_options;

#define BRIDGE_WORKER_OPTIONS_VERSION 2

/**
 * Fill in the defaults.
 *
 * @param[out] options  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_worker_options_init(bridge_worker_options *options);

/**
 * Create a worker and start it.  The chunk is compiled here, so that a chunk
 * that does not parse is reported here.  Arguments with objects of classes, whose
 * functions make them anew, are read by the worker, as the first thing that it does:
 * what goes wrong then ends the worker, and is told by its join.
 *
 * @param[out] out           the worker; the caller owns one reference
 * @param options            copied
 * @param[in,out] arguments  handed to the chunk; taken and set to NULL on
 *                           success, else untouched; may be NULL
 * @param[out] error         more about a failure; may be NULL
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_ESYNTAX;
 *         BRIDGE_ENOTFOUND (no such file or library); BRIDGE_ETYPE (an argument
 *         cannot be read in the state); BRIDGE_ENOMEM; BRIDGE_ETIMEDOUT if to
 *         compile it takes longer than its life may; BRIDGE_ESYSTEM, also if
 *         the system refuses the priority or the processors; BRIDGE_EUNSUPPORTED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_worker_create(bridge_worker **out,
                     const bridge_worker_options *options,
                     bridge_message **arguments,
                     bridge_error **error);

/**
 * Add a reference.
 *
 * @param worker  the worker, or NULL
 * @return @p worker
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_worker *bridge_worker_retain(bridge_worker *worker);

/**
 * Drop a reference.  Never blocks and never stops a worker that has a thread of
 * its own: it runs to its end and frees itself.  A host's worker is cancelled by
 * the last one, and its state closed.
 *
 * A worker that holds a handle of itself, or of one that holds it, keeps itself
 * until it ends.
 *
 * @param worker  the worker; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_worker_release(bridge_worker *worker);

/**
 * The name that was given or made.
 *
 * @param worker  the worker, or NULL
 * @return borrowed; "" for NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_worker_name(const bridge_worker *worker);

/**
 * A number that no other worker of the process has had or will have; 0 for
 * NULL.
 *
 * @param worker  the worker, or NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API uint64_t bridge_worker_id(const bridge_worker *worker);

/**
 * Where the worker is in its life.
 *
 * @param worker  the worker, or NULL, which has ended
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_worker_phase
bridge_worker_phase_of(const bridge_worker *worker);

/**
 * How much memory the worker's values take, as bridge_state_memory.
 *
 * @param worker      the worker
 * @param[out] used   bytes now, 0 once it ended; may be NULL
 * @param[out] peak   most bytes ever; may be NULL
 * @param[out] limit  the limit, 0 for none; may be NULL
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_memory(const bridge_worker *worker,
                                              size_t *used,
                                              size_t *peak,
                                              size_t *limit);

/* ---- Looking at those that live ------------------------------------------ */

/** What can be seen of a worker while it works; each number is of some moment, not
    all of the same.  Fill `version` by bridge_worker_info_init. */
typedef struct bridge_worker_info {
  /** Layout of this structure: BRIDGE_WORKER_INFO_VERSION. */
  unsigned version;
  /** Where it is in its life. */
  bridge_worker_phase phase;
  /** As bridge_worker_id. */
  uint64_t id;
  /** Its name, or the beginning of it. */
  char name[64];
  /** The handler that runs now, or the chunk; "" while it waits. */
  char running[64];
  /** For how long that has run without a break, in nanoseconds, right to some
      milliseconds; 0 while it waits. */
  int64_t running_ns;
  /** CPU time that it has had, in nanoseconds; of its thread, if it has one. */
  int64_t cpu_ns;
  /** Bytes that its values take, now, at most, and at most allowed (0: any). */
  size_t memory_used;
  size_t memory_peak;
  size_t memory_limit;
  /** Messages in its inbox, and their bytes. */
  size_t inbox_items;
  size_t inbox_bytes;
  /** Requests that it has begun. */
  uint64_t messages;
  /** Requests, and chunks, that failed. */
  uint64_t errors;
  /** Requests that were refused, or dropped, since the inbox was full; each once,
      however often it was tried. */
  uint64_t dropped;
  /** Whether bridge_worker_pause holds it. */
  bool paused;
} bridge_worker_info;

#define BRIDGE_WORKER_INFO_VERSION 1

/**
 * Make it ready for bridge_worker_look.
 *
 * @param[out] info  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_worker_info_init(bridge_worker_info *info);

/**
 * Look at a worker.  It is not held up.
 *
 * @param worker        the worker
 * @param[in,out] info  filled
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_look(const bridge_worker *worker,
                                            bridge_worker_info *info);

/**
 * All workers of the process that have not ended, also those of which nobody has
 * a handle, and those that were given up; the oldest first.
 *
 * @param[out] out    a reference of each, the caller's; may be NULL if
 *                    @p capacity is 0
 * @param capacity    how many fit
 * @param[out] count  how many there are, perhaps more than fit
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_workers(bridge_worker **out,
                                        size_t capacity,
                                        size_t *count);

/**
 * The worker of this name that has not ended; the latest, if there are several.
 *
 * @param name  the whole name; NULL finds none
 * @return a reference, the caller's; NULL if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_worker *bridge_worker_find(const char *name);

/**
 * The worker of this number, if it has not ended.
 *
 * @param id  as bridge_worker_id
 * @return a reference, the caller's; NULL if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_worker *bridge_worker_find_id(uint64_t id);

/**
 * Where a worker is: the call stack of what it runs, taken by the worker itself at
 * its next safe point; or of all its coroutines while it waits, each with what it
 * waits for.
 *
 * @param worker      the worker
 * @param timeout_ms  milliseconds; a C function that does not return has no safe
 *                    point; negative waits for ever
 * @param[out] out    its text says what runs; its traceback and its frames, where;
 *                    if that is a coroutine of the script's own, its cause is where
 *                    that was resumed.  The caller owns it
 * @return BRIDGE_OK; BRIDGE_ETIMEDOUT; BRIDGE_EDEAD if it has ended;
 *         BRIDGE_EDEADLOCK from its own script; BRIDGE_ENOMEM; BRIDGE_ESYSTEM if
 *         it cannot be reached; BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_traceback(bridge_worker *worker,
                                                 int timeout_ms,
                                                 bridge_error **out);

/**
 * Have a thread look at all workers, and warn, through the logger, of scripts that
 * run for long without a break: with where they are, once, and again when it has
 * become twice as long.
 *
 * @param limit_ms  milliseconds that are no reason to say anything; 0 ends it
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ENOMEM; BRIDGE_ESYSTEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_set_watchdog(int limit_ms);

/* ---- Asking ------------------------------------------------------------- */

/**
 * Ask and wait for the answer.
 *
 * @param worker            the worker
 * @param[in,out] request   the handler's name, then its arguments; taken and set
 *                          to NULL once it is in the inbox, also if the answer
 *                          is an error
 * @param timeout_ms        milliseconds for all of it; negative waits for ever.
 *                          An answer that comes later is freed when it comes
 * @param[out] answer       what the handler returned; the caller owns it; may be
 *                          NULL
 * @param[out] error        more about a failure, as seen in the worker; may be
 *                          NULL
 * @return BRIDGE_OK; BRIDGE_ETIMEDOUT; BRIDGE_ENOTFOUND if there is no such
 *         handler; BRIDGE_ESCRIPT if it raised; BRIDGE_ETYPE if its result
 *         cannot cross, or an argument cannot be read there; BRIDGE_EDEAD if the
 *         worker ended before it answered; BRIDGE_ECLOSED if it takes no more
 *         requests; BRIDGE_EFULL (with a timeout of 0) and BRIDGE_ELIMIT as
 *         bridge_queue_push_timeout; BRIDGE_EDEADLOCK from the worker itself,
 *         and from the thread that stepped it last; BRIDGE_ECANCELLED; BRIDGE_EFORKED;
 *         BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_call(bridge_worker *worker,
                                            bridge_message **request,
                                            int timeout_ms,
                                            bridge_message **answer,
                                            bridge_error **error);

/**
 * Ask, and do not wait: nobody hears of the result.
 *
 * @param worker            the worker
 * @param[in,out] request   the handler's name, then its arguments; taken and set
 *                          to NULL on success
 * @param timeout_ms        how long to wait for room in the inbox; the worker
 *                          itself, and who steps it, does not wait
 * @return BRIDGE_OK; BRIDGE_EDEAD; BRIDGE_ECLOSED; BRIDGE_ECYCLE if the request
 *         holds the worker and a host drives it; else as
 *         bridge_queue_push_timeout
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_send(bridge_worker *worker,
                                            bridge_message **request,
                                            int timeout_ms);

/**
 * Ask, and have the answer put into a queue.
 *
 * The answer always comes, once, unless the queue is closed first: if the
 * worker dies it says so.  It does not count against the queue's bounds.  Look
 * at it with bridge_answer_session and bridge_answer_error.
 *
 * @param worker            the worker
 * @param[in,out] request   the handler's name, then its arguments; taken and set
 *                          to NULL on success
 * @param timeout_ms        how long to wait for room in the inbox
 * @param answers           where the answer goes; retained until it has come
 * @param session           a number of the caller's to tell answers apart
 * @return as bridge_worker_send
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_request(bridge_worker *worker,
                                               bridge_message **request,
                                               int timeout_ms,
                                               bridge_queue *answers,
                                               uint64_t session);

/**
 * The same with a time for the answer, as of bridge_worker_call: when it is over the
 * handler is stopped, and the answer is BRIDGE_ETIMEDOUT.
 *
 * @param worker            the worker
 * @param[in,out] request   the handler's name, then its arguments; taken and set
 *                          to NULL on success
 * @param timeout_ms        how long to wait for room in the inbox
 * @param answer_ms         milliseconds from now on; negative for no limit
 * @param answers           where the answer goes; retained until it has come
 * @param session           a number of the caller's to tell answers apart
 * @return as bridge_worker_send
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_request_within(bridge_worker *worker,
                                                      bridge_message **request,
                                                      int timeout_ms,
                                                      int answer_ms,
                                                      bridge_queue *answers,
                                                      uint64_t session);

/**
 * Take a request back, since nobody waits for its answer any more: one that is in the
 * inbox does not run, the handler of one that runs is stopped, as a script that is
 * cancelled; at the cooperative level it is only told, in its waits and by
 * `bridge.cancelled()`.  The answer is BRIDGE_ECANCELLED then.  One that has been
 * answered, or was never sent, is not missed.  Returns at once.
 *
 * @param worker   the worker that was asked
 * @param answers  where the answer was to go
 * @param session  the number that was given; all requests that have both are taken back,
 *                 or, if there is a notice that has both, that one and no request
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EDEAD if the worker ends or has ended, so
 *         that all is answered; BRIDGE_EFORKED; BRIDGE_ENOMEM and BRIDGE_ESYSTEM if a
 *         script that runs cannot be reached
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_withdraw(bridge_worker *worker,
                                                bridge_queue *answers,
                                                uint64_t session);

/**
 * Which request a message answers.
 *
 * @param message       a message popped from a queue of answers
 * @param[out] session  the number that the asker gave
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_ETYPE if the message is no answer
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_answer_session(const bridge_message *message,
                                               uint64_t *session);

/**
 * Whether a request failed.
 *
 * @param message     a message popped from a queue of answers
 * @param[out] error  more about the failure, borrowed from the message; may be
 *                    NULL
 * @return BRIDGE_OK if the message holds the results; BRIDGE_EINVAL; BRIDGE_ETYPE
 *         if the message is no answer; else the status that bridge_worker_call
 *         would have returned
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_answer_error(const bridge_message *message,
                                             const bridge_error **error);

/**
 * Let the chunk run on to its next `bridge.yield`, as a coroutine is resumed, and
 * take what it yields.
 *
 * Each call takes one row of values.  The chunk begins by itself, and waits in its
 * first yield until it is asked; the values of each later call are what the yield
 * that was taken last returns.  A worker that the host drives is stepped here.
 *
 * @param worker          the worker
 * @param[in,out] values  what the yield returns; taken and set to NULL once they
 *                        are on their way; NULL for none
 * @param timeout_ms      milliseconds for all of it; negative waits for ever.
 *                        What is yielded later stays for the next call
 * @param[out] out        what was yielded; the caller owns it; may be NULL
 * @param[out] error      more about a failure; may be NULL
 * @return BRIDGE_OK; BRIDGE_ECLOSED once the chunk has ended, whose results, or
 *         error, bridge_worker_join gives; BRIDGE_ETIMEDOUT; BRIDGE_EFULL and
 *         BRIDGE_ELIMIT as bridge_worker_send; BRIDGE_ECANCELLED if the calling
 *         worker is cancelled; BRIDGE_EDEADLOCK from the worker itself;
 *         BRIDGE_ECYCLE; BRIDGE_ENOMEM; BRIDGE_EFORKED; BRIDGE_EINVAL; of a
 *         host's worker what bridge_worker_step says
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_next(bridge_worker *worker,
                                            bridge_message **values,
                                            int timeout_ms,
                                            bridge_message **out,
                                            bridge_error **error);

/* ---- Holding ------------------------------------------------------------ */

/**
 * Hold the worker: once what runs now has come to its next safe point, nothing of
 * its Lua runs until it is resumed.  What is asked of it waits in the inbox.  Held in
 * a wait for a message, or for a mutex, it takes nothing.
 *
 * A worker that is paused twice is resumed once.  To cancel or to close it
 * resumes it.  A step of a host's worker does nothing meanwhile; one that is
 * under way on another thread is held within.
 *
 * @param worker  the worker; one that has ended, or was cancelled, stays so
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EFORKED; BRIDGE_ENOMEM or
 *         BRIDGE_ESYSTEM if a script that runs cannot be reached: then it is held
 *         when it waits next
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_pause(bridge_worker *worker);

/**
 * Let a paused worker go on.
 *
 * @param worker  the worker
 * @return BRIDGE_OK, also if it was not paused; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_resume(bridge_worker *worker);

/* ---- Ending ------------------------------------------------------------- */

/**
 * Wait until the worker has ended.
 *
 * @param worker        the worker
 * @param timeout_ms    milliseconds; 0 asks; negative waits for ever
 * @param[out] results  a copy of what the chunk returned; the caller owns it;
 *                      may be NULL
 * @param[out] error    what the chunk raised; may be NULL
 * @return BRIDGE_OK; BRIDGE_ETIMEDOUT; BRIDGE_EDEADLOCK from the worker itself;
 *         BRIDGE_ESCRIPT, BRIDGE_ENOMEM, BRIDGE_ETYPE or BRIDGE_ECANCELLED as
 *         the chunk ended, BRIDGE_ETIMEDOUT also if it was stopped by a limit;
 *         BRIDGE_ELOST if its thread was given up; BRIDGE_EUNSUPPORTED for waiting
 *         for a host's worker
 *         that has not ended (it needs steps); BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_join(bridge_worker *worker,
                                            int timeout_ms,
                                            bridge_message **results,
                                            bridge_error **error);

/**
 * Be told of the worker's end, for who waits in an event loop: an answer without
 * values comes into a queue, once, when it has ended or was given up; at once, if it
 * has.  Then bridge_worker_join does not wait.
 *
 * Withdrawn by bridge_worker_withdraw, it does not come.
 *
 * @param worker   the worker
 * @param answers  where the answer goes; retained until it has come
 * @param session  a number of the caller's to tell answers apart
 * @return BRIDGE_OK, BRIDGE_EINVAL, BRIDGE_EFORKED or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_notify(bridge_worker *worker,
                                              bridge_queue *answers,
                                              uint64_t session);

/**
 * Ask the worker to stop.  Requests that are in the inbox are still answered,
 * later ones are refused; then `bridge.serve` returns.  Returns at once.
 *
 * @param worker  the worker
 * @return BRIDGE_OK, also if it has ended; BRIDGE_EINVAL; BRIDGE_EFORKED;
 *         BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_stop(bridge_worker *worker);

/**
 * Cancel what the worker does, now and later: every wait in it ends with
 * BRIDGE_ECANCELLED, `bridge.cancelled()` is true, and requests without an answer get
 * one that says so.  At the cooperative level that is all, and a script that computes
 * and never asks goes on.
 *
 * Else its scripts are stopped hard, whatever they catch and wherever they loop in
 * Lua.  With a grace that comes so much later, and before it the one that runs gets
 * one ordinary error "cancelled", at its next instruction that is not protected by an
 * xpcall with a handler written in Lua: it may catch it to clean up.
 *
 * @param worker    the worker
 * @param level     BRIDGE_STOP_DEFAULT for its state's own; a higher one than that is
 *                  the state's own
 * @param grace_ms  milliseconds; 0 for none
 * @return BRIDGE_OK, also if it has ended; BRIDGE_EFORKED; BRIDGE_ENOMEM and
 *         BRIDGE_ESYSTEM if nobody can see to it that it stops: then it may;
 *         BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_cancel(bridge_worker *worker,
                                              bridge_stop_level level,
                                              int grace_ms);

/**
 * End the worker in stages: stop it; if it has not ended after @p grace_ms, cancel
 * it, with half of the same time as the grace; if it has not ended after the same
 * time again, and 100 ms at least, give its thread up: what it was asked is
 * answered by BRIDGE_ELOST, and its phase is BRIDGE_WORKER_LOST.  If the thread
 * comes back after all, the worker ends as one that was cancelled.
 *
 * A worker that the host drives is stepped here, and then ended wherever it is, as
 * nobody else runs it; what keeps this call is a script that nothing stops: a C
 * function, finalizer or hook that does not return.
 *
 * @param worker    the worker
 * @param grace_ms  milliseconds for each stage; negative for 1000
 * @return BRIDGE_OK once it has ended, however it ended; BRIDGE_ELOST if it
 *         refuses; BRIDGE_ETIMEDOUT if another thread steps it and does not return;
 *         BRIDGE_ECANCELLED if the calling worker is cancelled, BRIDGE_ETIMEDOUT if the
 *         time of the calling script is over: a worker with a thread is then cancelled
 *         without a grace, and not waited for; BRIDGE_EDEADLOCK from the worker itself,
 *         which has been asked to stop; BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_worker_close(bridge_worker *worker,
                                             int grace_ms);

/* ---- Driving by the host ------------------------------------------------ */

/**
 * Run the worker until it has to wait, or has handled @p budget messages.
 *
 * Watch the descriptor of bridge_worker_waker; when it is readable, or the time
 * of bridge_worker_timeout is over, step.  Step once to begin.
 *
 * @param worker  a worker with BRIDGE_DRIVE_HOST
 * @param budget  most messages to handle; 0 for 64
 * @return BRIDGE_OK: there is more to do, step again; BRIDGE_EEMPTY: it waits;
 *         BRIDGE_ECLOSED: it has ended, bridge_worker_join tells how;
 *         BRIDGE_EBUSY if another thread steps it; BRIDGE_EDEADLOCK from the
 *         worker itself; BRIDGE_ELIMIT if a script steps a worker whose script
 *         steps a worker, and so on, 16 deep; BRIDGE_EUNSUPPORTED if it has a thread of its own;
 *         BRIDGE_EFORKED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_worker_step(bridge_worker *worker,
                                            size_t budget);

/**
 * How long the host may wait before it must step again.
 *
 * @param worker    a worker with BRIDGE_DRIVE_HOST
 * @param[out] out  milliseconds, for poll(); -1 if nothing in it waits for time
 * @return BRIDGE_OK; BRIDGE_EUNSUPPORTED; BRIDGE_EINVAL
 *
 * @threadsafety Any thread; one caller at a time.
 */
BRIDGE_API bridge_status bridge_worker_timeout(const bridge_worker *worker,
                                               int *out);

/**
 * What is raised when a worker that the host drives has something to do.
 *
 * @param worker  the worker, or NULL
 * @return borrowed; NULL for NULL, and for a worker with a thread of its own
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_waker *bridge_worker_waker(const bridge_worker *worker);

/* ---- Inside a worker ----------------------------------------------------- */

/**
 * The worker whose Lua the calling thread is running.
 *
 * @return borrowed; NULL outside of workers
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_worker *bridge_worker_current(void);

/**
 * Whether the script that the calling thread runs was cancelled, or its time is over:
 * at the cooperative level it is for the script to end.
 *
 * @return false outside of workers and of runs of states
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_worker_cancelled(void);

BRIDGE_END_DECLS

#endif /* BRIDGE_WORKER_H */
