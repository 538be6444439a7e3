#ifndef BRIDGE_OBJECT_H
#define BRIDGE_OBJECT_H

#include <bridge/message.h>
#include <bridge/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

BRIDGE_BEGIN_DECLS

/**
 * @file
 * What lives: all queues, channels, timers, counters, flags, mutexes and workers of
 * the process, also those of which nobody has a handle any more; to be looked at,
 * found and closed from any thread.
 *
 * Handles stand as `void *` here, as for bridge_handle_retain.  Queues that the
 * library makes for itself, such as the inbox of a worker, are not listed; nor are
 * buffers, errors, wakers and threads.
 */

/** What can be seen of an object; each number is of some moment, not all of the
    same.  Fill `version` by bridge_object_info_init. */
typedef struct bridge_object_info {
  /** Layout of this structure: BRIDGE_OBJECT_INFO_VERSION. */
  unsigned version;
  /** What it is. */
  bridge_handle_kind kind;
  /** A number that no other object of the process has had or will have; of a
      worker as bridge_worker_id; 0 for what is not listed. */
  uint64_t id;
  /** Its name, or the beginning of it, not cut within a character of UTF-8;
      "" for none. */
  char name[64];
  /** How many references there are, also in messages; the caller's is one. */
  size_t references;
  /** Whether it was closed; of a channel, the end of the senders; of a timer,
      whether it has ended, and of a worker. */
  bool closed;
  /** Messages in a queue or a channel, or the inbox of a worker. */
  size_t items;
  /** Their bytes. */
  size_t bytes;
  /** The number of a counter; 1 for a flag that is set, and a mutex that somebody
      has; of a timer, how often it has posted. */
  int64_t value;
  /** Of a timer, the number of the queue or the channel that it posts to. */
  uint64_t target;
} bridge_object_info;

#define BRIDGE_OBJECT_INFO_VERSION 1

/**
 * Make it ready for bridge_object_look.
 *
 * @param[out] info  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_object_info_init(bridge_object_info *info);

/**
 * Look at an object.  Nobody is held up.
 *
 * @param handle        a bridge_queue *, bridge_timer *, ...; of what is not
 *                      listed, only the kind and the references are told
 * @param[in,out] info  filled
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_object_look(void *handle,
                                            bridge_object_info *info);

/**
 * All objects of the process, the oldest first.
 *
 * @param[out] out    a reference of each, the caller's, to be dropped by
 *                    bridge_handle_release; may be NULL if @p capacity is 0
 * @param capacity    how many fit
 * @param[out] count  how many there are, perhaps more than fit
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_objects(void **out,
                                        size_t capacity,
                                        size_t *count);

/**
 * The object of this name; the latest, if there are several.
 *
 * @param kind  what it must be; BRIDGE_HANDLE_NONE for anything
 * @param name  the whole name; NULL finds none
 * @return a reference, the caller's; NULL if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void *bridge_object_find(bridge_handle_kind kind, const char *name);

/**
 * The object of this number.
 *
 * @param id  as in bridge_object_info
 * @return a reference, the caller's; NULL if there is none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void *bridge_object_find_id(uint64_t id);

/**
 * Give an object a name, for people and for bridge_object_find.
 *
 * @param handle  what is listed, but a worker, which was made with its name
 * @param name    copied; NULL or "" for none
 * @return BRIDGE_OK; BRIDGE_EUNSUPPORTED; BRIDGE_EINVAL; BRIDGE_EFORKED;
 *         BRIDGE_ENOMEM, and then it has the name that it had
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_object_set_name(void *handle, const char *name);

/**
 * Close an object, whatever it is: as bridge_queue_close, bridge_channel_close of
 * the end of the senders, bridge_timer_cancel, bridge_counter_close,
 * bridge_flag_close, bridge_mutex_close, and bridge_worker_stop do.  Closing twice
 * is harmless.
 *
 * @param handle  what is listed
 * @return BRIDGE_OK; BRIDGE_EUNSUPPORTED; BRIDGE_EINVAL; BRIDGE_EFORKED; what the
 *         worker's stop says
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_object_close(void *handle);

/**
 * Take an object out of the list: bridge_objects does not give it any more, and
 * nobody finds it.  For what a library or a binding makes for itself, which others
 * should not close.
 *
 * @param handle  what is listed; hiding twice is harmless
 * @return BRIDGE_OK; BRIDGE_EUNSUPPORTED; BRIDGE_EINVAL; BRIDGE_EFORKED
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_object_hide(void *handle);

BRIDGE_END_DECLS

#endif /* BRIDGE_OBJECT_H */
