/* The registry of the model, which lists nothing: it is a lock around a list, and
   no message passes it. */
#include "base/registry.h"

void bridge__enlist(void *object)
{
  (void)object;
}

void bridge__unlist(void *object)
{
  (void)object;
}
