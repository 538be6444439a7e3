/* What workers do with queues and hosts may not. */
#ifndef BRIDGE_QUEUE_QUEUE_H
#define BRIDGE_QUEUE_QUEUE_H

#include "platform/parking.h"

#include <bridge/queue.h>

/* One that the registry does not list: a part of something else. */
bridge_status bridge__queue_make(bridge_queue **out,
                                 const bridge_queue_options *options);

/* Append whether or not there is room: for answers, whose number is bounded by
   the requests that were let in.  BRIDGE_ECLOSED leaves the message. */
bridge_status bridge__queue_push_forced(bridge_queue *queue,
                                        bridge_message **message);

/* Pop a message that still counts against the bounds until its room is released:
   for a consumer who has taken it out and cannot use it yet. */
bridge_status bridge__queue_pop_kept(bridge_queue *queue,
                                     bridge_message **out,
                                     int timeout_ms);
void bridge__queue_release_room(bridge_queue *queue,
                                const bridge_message *message);

/* What becomes of a message that has to make room: true if it is gone.  Else it was
   put back in some way, and another one is looked for.  Called by who pushes,
   without any lock. */
typedef bool bridge__queue_drop(void *user, bridge_message *message);

/* For BRIDGE_QUEUE_DROP_OLDEST, before anybody else has the queue.  A push finds
   it full when nothing could be dropped. */
void bridge__queue_on_drop(bridge_queue *queue,
                           bridge__queue_drop *drop,
                           void *user);

/* Who takes a message that nobody will pop. */
typedef void bridge__queue_unheard(bridge_message *message);

/* From any thread that has the queue: what is in it when it goes is handed over, and
   not just freed. */
void bridge__queue_on_unheard(bridge_queue *queue,
                              bridge__queue_unheard *unheard);

/* Its first waits will be long: it does not look for a while before each, as it does
   later if that pays.  Before anybody else has the queue. */
void bridge__queue_sleep_first(bridge_queue *queue);

/* ---- As one of several that a select waits for ---- */

/* The consumer's seat, until it is vacated.  BRIDGE_EBUSY if there is one. */
bridge_status bridge__queue_occupy(bridge_queue *queue);
void bridge__queue_vacate(bridge_queue *queue);
/* For who occupies it: BRIDGE_OK, BRIDGE_ECLOSED, or BRIDGE_EEMPTY, which promises
   that what comes next unparks the watcher. */
bridge_status bridge__queue_look(bridge_queue *queue, bridge_message **out);
/* Name who is to be unparked; NULL for nobody any more. */
void bridge__queue_watch(bridge_queue *queue, bridge__parking *watcher);

#endif
