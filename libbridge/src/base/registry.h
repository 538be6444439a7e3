/* The registry: what of all objects can be listed and found. */
#ifndef BRIDGE_BASE_REGISTRY_H
#define BRIDGE_BASE_REGISTRY_H

#include "base/object.h"

#include <bridge/object.h>

/* What the registry has to know of a type.  Both are called with a reference, and
   without any lock. */
struct bridge__listing {
  /* Fill what is its own: the rest is there. */
  void (*look)(void *object, bridge_object_info *info);
  bridge_status (*close)(void *object);
};

/* The first member of the handles of these types. */
typedef struct bridge__listed {
  bridge__object object;
  uint64_t id; /* before it is listed; 0 if it never will be */
  /* Guarded by the registry, as is all that follows; read at the end, when nobody
     else has it. */
  bool listed;
  struct bridge__listed *older;
  struct bridge__listed *younger;
  const char *name; /* NULL for none */
  char *own_name;   /* what of it has to be freed */
} bridge__listed;

/* The next number. */
uint64_t bridge__registry_number(void);

/* Once the object is complete, again or not; a number is given if it has none.  It may
   have a name already, one that lives as long as it does, and then keeps that. */
void bridge__enlist(void *object);
/* At the end of the last reference. */
void bridge__unlist(void *object);

/* The number of an object that may be listed. */
static inline uint64_t bridge__listed_id(const void *object)
{
  return object == NULL ? 0 : ((const bridge__listed *)object)->id;
}

#endif
