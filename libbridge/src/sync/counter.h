/* A counter within something else. */
#ifndef BRIDGE_SYNC_COUNTER_H
#define BRIDGE_SYNC_COUNTER_H

#include <bridge/sync.h>

/* One that the registry does not list. */
bridge_status bridge__counter_make(bridge_counter **out, int64_t value);

#endif
