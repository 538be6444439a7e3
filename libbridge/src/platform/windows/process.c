/* Process: Windows has no fork, so every handle belongs to this process. */
#include "platform/platform.h"

unsigned bridge__forks;

void bridge__at_fork(void (*before)(void), void (*after)(void))
{
  (void)before;
  (void)after;
}
