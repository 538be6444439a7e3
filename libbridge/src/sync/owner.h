/* Owners: who can have a mutex.  A worker is one, whichever thread runs it; every
   other thread is one by itself. */
#ifndef BRIDGE_SYNC_OWNER_H
#define BRIDGE_SYNC_OWNER_H

#include <bridge/sync.h>

#include <stdint.h>

/* Of a worker: touched only by the thread that runs it. */
typedef struct bridge__owner {
  uint64_t number;      /* never 0, and given once */
  bridge_mutex *locked; /* what it has, with one reference for each */
} bridge__owner;

void bridge__owner_init(bridge__owner *owner);

/* The calling thread acts for this owner; NULL for itself.  Returns the one
   before. */
bridge__owner *bridge__owner_bind(bridge__owner *owner);

/* The owner ends: what it has is unlocked, and the next one is told. */
void bridge__owner_end(bridge__owner *owner);

/* For whom the calling thread acts; NULL for itself. */
bridge__owner *bridge__owner_current(void);
/* The number of that one, or of the thread. */
uint64_t bridge__owner_number(void);

#endif
