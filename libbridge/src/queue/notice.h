/* Notices: who does not sleep until an object changes, but wants to be told of it, once,
   by an answer without values in a queue. */
#ifndef BRIDGE_QUEUE_NOTICE_H
#define BRIDGE_QUEUE_NOTICE_H

#include "base/watch.h"

#include <bridge/queue.h>

/* Belongs to who made it, then to the list of watchers, and once it was told to who
   settles that list: then it goes by itself. */
typedef struct bridge__notice {
  bridge__watch watch; /* first */
  bridge_queue *answers;
  bridge_message *answer; /* made beforehand, so that telling cannot fail */
} bridge__notice;

bridge_status bridge__notice_create(bridge__notice **out,
                                    bridge_queue *answers,
                                    uint64_t session);
void bridge__notice_free(bridge__notice *notice);

/* Under the mutex of the list. */
void bridge__notice_add(bridge__watchers *list, bridge__notice *notice);
/* Take one out that has this queue and session; NULL if there is none. */
bridge__notice *bridge__notice_take(bridge__watchers *list,
                                    const bridge_queue *answers,
                                    uint64_t session);

#endif
