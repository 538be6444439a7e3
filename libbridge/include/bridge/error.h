#ifndef BRIDGE_ERROR_H
#define BRIDGE_ERROR_H

#include <bridge/message.h>
#include <bridge/status.h>

#include <stddef.h>

BRIDGE_BEGIN_DECLS

/**
 * What is known about a failure beyond its status: the error value as it was
 * raised, text, and where it happened.
 *
 * Errors never change once somebody has them, so that threads share them.
 * Functions that can tell more than a status take a `bridge_error **` as their
 * last argument.  It may be NULL.  If they fail they store an error there that
 * the caller owns, or NULL where the status says all; else they store NULL.
 */
typedef struct bridge_error bridge_error;

/** One level of a Lua call stack.  All texts are borrowed from the error. */
typedef struct bridge_frame {
  /** Where the function was defined, as Lua shows it: `script.lua`,
      `[string "..."]`, `[C]`. */
  const char *source;
  /** The name by which it was called, or "". */
  const char *name;
  /** "Lua", "C" or "main". */
  const char *what;
  /** The line that was running; -1 if there is none. */
  int line;
} bridge_frame;

/**
 * Add a reference.
 *
 * @param error  the error, or NULL
 * @return @p error
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_error *bridge_error_retain(bridge_error *error);

/**
 * Drop a reference.
 *
 * @param error  the error; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_error_release(bridge_error *error);

/**
 * The status that the failing call returned.
 *
 * @param error  the error, or NULL, which is BRIDGE_OK
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_error_status(const bridge_error *error);

/**
 * What went wrong, for people.
 *
 * @param error      the error, or NULL
 * @param[out] size  bytes, which may contain NULs; may be NULL
 * @return borrowed, with a NUL behind it; "" for NULL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_error_text(const bridge_error *error,
                                         size_t *size);

/**
 * The call stack as Lua prints it, several lines.
 *
 * @param error  the error, or NULL
 * @return borrowed, with a NUL behind it; "" if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_error_traceback(const bridge_error *error);

/**
 * How many levels of the call stack are known.
 *
 * @param error  the error, or NULL, which has none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API size_t bridge_error_frame_count(const bridge_error *error);

/**
 * One level of the call stack.
 *
 * @param error     the error
 * @param index     0 is where the error was raised
 * @param[out] out  borrowed from the error
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_error_frame(const bridge_error *error,
                                            size_t index,
                                            bridge_frame *out);

/**
 * The error value as the script raised it: a message with one value.
 *
 * @param error  the error, or NULL
 * @return borrowed; NULL if there is none or if it could not cross (then the
 *         text says what it was); of the error of a failed call that was raised
 *         once more, the value of that one
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const bridge_message *bridge_error_value(const bridge_error *error);

/**
 * The failure that this one came from: a handler that asked another worker, and
 * raised the error that it got, or the text of it.  That one may have a cause in
 * turn: each is a worker further away.
 *
 * @param error  the error, or NULL
 * @return borrowed from @p error; NULL if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const bridge_error *bridge_error_cause(const bridge_error *error);

/**
 * Where the call stood that brought this error, as Lua prints a call stack: in
 * the worker that asked, while the traceback is of the one that failed.
 *
 * @param error  the error, or NULL
 * @return borrowed, with a NUL behind it; "" if there is none: of all that is no
 *         cause, for there the caller is C
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_error_caller(const bridge_error *error);

/**
 * The name of the worker that failed, of an error that is a cause.
 *
 * @param error  the error, or NULL
 * @return borrowed, with a NUL behind it; "" if there is none: of all that is no
 *         cause, for there the caller knows whom it has asked
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_error_worker(const bridge_error *error);

BRIDGE_END_DECLS

#endif /* BRIDGE_ERROR_H */
