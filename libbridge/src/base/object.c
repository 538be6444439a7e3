/* Object: what every handle has in common, its references and its process. */
#include "base/object.h"

void bridge__object_init(void *object, const bridge__type *type)
{
  bridge__object *base = object;
  base->type = type;
  atomic_init(&base->references, 1);
  base->process = bridge__process();
}

void *bridge__retain(void *object)
{
  if (object != NULL) {
    bridge__object *base = object;
    /* Publishes nothing: the caller already has a reference. */
    atomic_fetch_add_explicit(&base->references, 1, memory_order_relaxed);
  }
  return object;
}

void bridge__release(void *object)
{
  if (object == NULL) {
    return;
  }
  bridge__object *base = object;
  /* Publishes what this thread did to the object, and, for the last one, takes
     what all the others did. */
  if (atomic_fetch_sub_explicit(&base->references, 1, memory_order_acq_rel) ==
      1) {
    base->type->destroy(object);
  }
}

void *bridge_handle_retain(void *handle)
{
  return bridge__retain(handle);
}

void bridge_handle_release(void *handle)
{
  bridge__release(handle);
}
