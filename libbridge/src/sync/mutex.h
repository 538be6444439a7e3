/* What owners do with mutexes. */
#ifndef BRIDGE_SYNC_MUTEX_H
#define BRIDGE_SYNC_MUTEX_H

#include "sync/owner.h"

/* Unlock what an owner has, for it; drops the owner's reference. */
void bridge__mutex_abandon_for(bridge_mutex *mutex, bridge__owner *owner);

#endif
