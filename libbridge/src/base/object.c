/* Object: what every handle has in common, its references and its process. */
#include "base/registry.h"

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

void *bridge__retain_living(void *object)
{
  bridge__object *base = object;
  /* Takes and publishes nothing: the lock that keeps it from being freed does. */
  size_t count = atomic_load_explicit(&base->references, memory_order_relaxed);
  while (count > 0) {
    if (atomic_compare_exchange_weak_explicit(&base->references, &count,
                                              count + 1, memory_order_relaxed,
                                              memory_order_relaxed)) {
      return object;
    }
  }
  return NULL;
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
    if (base->type->listing != NULL) {
      bridge__unlist(object);
    }
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
