/* Scheduling on Linux, where priority and processors are of each thread. */
#include "platform/platform.h"

#include <sched.h>
#include <sys/resource.h>

/* Beside what the process has: a niceness is higher where it counts less. */
static int niceness(int priority)
{
  return priority > 0 ? -5 : 10;
}

bridge_status bridge__native_priority(int priority)
{
  if (priority < -1) {
    const struct sched_param none = {0};
    return sched_setscheduler(0, SCHED_IDLE, &none) == 0 ? BRIDGE_OK
                                                         : BRIDGE_ESYSTEM;
  }
  /* 0 is the calling thread, whatever the name says. */
  return setpriority(PRIO_PROCESS, 0, niceness(priority)) == 0 ? BRIDGE_OK
                                                               : BRIDGE_ESYSTEM;
}

bridge_status bridge__native_affinity(uint64_t mask)
{
  cpu_set_t set;
  CPU_ZERO(&set);
  for (size_t i = 0; i < 64; i++) {
    if ((mask >> i & 1) != 0) {
      CPU_SET(i, &set);
    }
  }
  return sched_setaffinity(0, sizeof set, &set) == 0 ? BRIDGE_OK
                                                     : BRIDGE_ESYSTEM;
}
