/* Scheduling where a system offers nothing for one thread alone. */
#include "platform/platform.h"

bridge_status bridge__native_priority(int priority)
{
  (void)priority;
  return BRIDGE_EUNSUPPORTED;
}

bridge_status bridge__native_affinity(uint64_t mask)
{
  (void)mask;
  return BRIDGE_EUNSUPPORTED;
}
