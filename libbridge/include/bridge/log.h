#ifndef BRIDGE_LOG_H
#define BRIDGE_LOG_H

#include <bridge/error.h>
#include <bridge/queue.h>
#include <bridge/status.h>

#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/** How much a record matters. */
typedef enum bridge_log_level {
  /** For who looks for a fault. */
  BRIDGE_LOG_DEBUG = 0,
  /** What is going on. */
  BRIDGE_LOG_INFO = 1,
  /** It works, and somebody should look at it: Lua's `warn`, a watchdog. */
  BRIDGE_LOG_WARNING = 2,
  /** Something failed, and nobody else was told. */
  BRIDGE_LOG_ERROR = 3
} bridge_log_level;

/** What is told to a logger.  All of it is borrowed, and goes away when the
    logger returns. */
typedef struct bridge_log_record {
  /** How much it matters. */
  bridge_log_level level;
  /** What happened; there may be no NUL behind it. */
  const char *text;
  /** Bytes of it. */
  size_t size;
  /** The worker that it is about; "" if none. */
  const char *worker;
  /** Its number; 0 if none. */
  uint64_t worker_id;
  /** Nanoseconds since 1970. */
  int64_t time_ns;
  /** More about a failure, or NULL: retain it to keep it. */
  const bridge_error *error;
  /** How many records of this worker were left out before this one, because
      there were too many of them, or a queue was full; of a record about no
      worker, those of workers that are gone, too. */
  uint64_t suppressed;
} bridge_log_record;

/**
 * What takes records.  It is called on the thread where something happened, by
 * several at once, and must not block; it may log, and may not close workers.
 */
typedef void bridge_logger(const bridge_log_record *record, void *user);

/**
 * Say who takes the records of the process: a function.  Without one, and
 * without a queue, each is a line on stderr.
 *
 * Here comes what nobody else is told: errors of requests that nobody waits for,
 * of chunks that nobody joined, of finalizers and of `__gc`; what scripts say by
 * `bridge.log` and `warn`; and what a watchdog finds.
 *
 * Each worker gets 64 records at once, and 32 a second; what is left out is
 * counted, and told with the next.
 *
 * @param logger  NULL for stderr; takes the place of a queue, too
 * @param user    handed to @p logger.  Once this returns, the one before is
 *                running nowhere, unless it is the one that called this
 * @return BRIDGE_OK or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_set_logger(bridge_logger *logger, void *user);

/**
 * Say who takes the records of the process: a queue, for languages that cannot
 * be called on any thread.
 *
 * A record is a message with one value, a map: `level` ("debug", "info",
 * "warning", "error"), `text`, `worker`, `id`, `time` (seconds since 1970),
 * `suppressed`, and `error`, if there is one: a map with `message`, `code`
 * ("ESCRIPT"), `traceback`, `caller`, `frames`, `cause`, and `value`, if that is
 * plain data.
 *
 * When the queue is full, the record is left out and counted: a worker never
 * waits for it.  When it is closed, records go to stderr.
 *
 * @param queue  retained; NULL for stderr; takes the place of a function, too
 * @return BRIDGE_OK; BRIDGE_ENOMEM; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_set_log_queue(bridge_queue *queue);

/**
 * Leave out what matters less.
 *
 * @param least  what is still told; BRIDGE_LOG_INFO by default
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_set_log_level(bridge_log_level least);

/**
 * Log a text, as the worker whose script is running on this thread, if any; then of a
 * long one the first 4,096 bytes.
 *
 * @param level  how much it matters
 * @param text   NULL only if @p size is 0
 * @param size   how many bytes
 * @return BRIDGE_OK, also if it was left out; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_log(bridge_log_level level,
                                    const char *text,
                                    size_t size);

/**
 * The name of a level.
 *
 * @param level  any value
 * @return "error" and the like; "?" for an unknown value; static
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_log_level_name(bridge_log_level level);

BRIDGE_END_DECLS

#endif /* BRIDGE_LOG_H */
