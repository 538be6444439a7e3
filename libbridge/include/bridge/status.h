#ifndef BRIDGE_STATUS_H
#define BRIDGE_STATUS_H

#include <bridge/export.h>

BRIDGE_BEGIN_DECLS

/**
 * How a call ended.  Every function that can fail returns one of these and
 * nothing else; results go through out-parameters.
 *
 * 0 is success and every failure is negative.  The numbers are part of the ABI
 * and are never given to another meaning.
 */
typedef enum bridge_status {
  /** Success. */
  BRIDGE_OK = 0,
  /** An argument is NULL, out of range, or contradicts another. */
  BRIDGE_EINVAL = -1,
  /** No memory, or a memory limit was reached. */
  BRIDGE_ENOMEM = -2,
  /** A bounded queue has no room for the message now. */
  BRIDGE_EFULL = -3,
  /** Nothing is there now: an empty queue, the end of a message. */
  BRIDGE_EEMPTY = -4,
  /** The time that the caller gave ran out. */
  BRIDGE_ETIMEDOUT = -5,
  /** The object was closed. */
  BRIDGE_ECLOSED = -6,
  /** The wait or the script was cancelled. */
  BRIDGE_ECANCELLED = -7,
  /** Another thread is using what only one thread may use at a time. */
  BRIDGE_EBUSY = -8,
  /** The call would wait for itself: a thread that joins itself, ... */
  BRIDGE_EDEADLOCK = -9,
  /** It was already done: joined twice, an allocator set twice, ... */
  BRIDGE_EALREADY = -10,
  /** The thread was detached, so that nobody can join it. */
  BRIDGE_EDETACHED = -11,
  /** An option structure has a version that this library does not know. */
  BRIDGE_EVERSION = -12,
  /** A chunk of Lua does not parse. */
  BRIDGE_ESYNTAX = -13,
  /** A script raised an error that nobody caught. */
  BRIDGE_ESCRIPT = -14,
  /** A value has another type than the one asked for, or cannot cross. */
  BRIDGE_ETYPE = -15,
  /** Bytes are not a well-formed message. */
  BRIDGE_ECORRUPT = -16,
  /** A depth or size limit was exceeded: it never fits, however long. */
  BRIDGE_ELIMIT = -17,
  /** No such name: a service has no such handler, a module is unknown. */
  BRIDGE_ENOTFOUND = -18,
  /** The worker has ended, and answers no more. */
  BRIDGE_EDEAD = -19,
  /** The object belongs to the parent of a forked process. */
  BRIDGE_EFORKED = -20,
  /** The operating system refused; errno says more. */
  BRIDGE_ESYSTEM = -21,
  /** This platform, or this kind of object, does not have the feature. */
  BRIDGE_EUNSUPPORTED = -22,
  /** A number does not fit the type asked for. */
  BRIDGE_EOVERFLOW = -23,
  /** A buffer is frozen, so that nobody may write it any more. */
  BRIDGE_EFROZEN = -24,
  /** The handle would be inside itself and could never be freed. */
  BRIDGE_ECYCLE = -25,
  /** The script did not come back in time: its thread was given up. */
  BRIDGE_ELOST = -26
} bridge_status;

/**
 * The name of a status, as it is written in C.
 *
 * @param status  any value
 * @return "BRIDGE_EFULL" and the like, "BRIDGE_E?" for an unknown value; static
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_status_name(bridge_status status);

/**
 * One line of English that says what a status means.
 *
 * @param status  any value
 * @return lower case, without a full stop; static
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const char *bridge_status_text(bridge_status status);

BRIDGE_END_DECLS

#endif /* BRIDGE_STATUS_H */
