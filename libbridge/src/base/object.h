/* Every handle begins with this: a count of references, and what it is. */
#ifndef BRIDGE_BASE_OBJECT_H
#define BRIDGE_BASE_OBJECT_H

#include "platform/platform.h"

#include <bridge/message.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One const table for each type of handle. */
typedef struct bridge__type {
  bridge_handle_kind kind;
  const char *name;
  /* Frees the object.  Called once, by whichever thread drops the last
     reference, holding no lock. */
  void (*destroy)(void *object);
  /* Of those that begin with a bridge__listed; else NULL. */
  const struct bridge__listing *listing;
} bridge__type;

/* The first member of every handle. */
typedef struct bridge__object {
  const bridge__type *type;
  atomic_size_t references;
  /* Which process made it: bridge__process() at that time. */
  unsigned process;
} bridge__object;

/* Begin with one reference. */
void bridge__object_init(void *object, const bridge__type *type);

/* Both take any handle, and NULL. */
void *bridge__retain(void *object);
void bridge__release(void *object);
/* A reference of an object that may have lost its last one, and is not freed before
   a lock of the caller's is open; NULL if it has. */
void *bridge__retain_living(void *object);

/* Whether the handle was made before a fork, by the parent. */
static inline bool bridge__forked(const void *object)
{
  const bridge__object *base = object;
  return base->process != bridge__process();
}

#endif
