/* Process: Windows has no fork, so every handle belongs to this process. */
#include "platform/platform.h"

unsigned bridge__forks;

void bridge__at_fork(bridge__fork_lock lock,
                     void (*before)(void),
                     void (*after)(void))
{
  (void)lock;
  (void)before;
  (void)after;
}
