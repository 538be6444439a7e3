/* Memory: every byte of the library comes from here. */
#include "base/memory.h"

#include "platform/platform.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where the choice of the allocator stands. */
enum {
  OPEN = 0,
  CHOOSING = 1,
  CHOSEN = 2
};

static void *standard_allocate(void *user, size_t size)
{
  (void)user;
  return malloc(size);
}

static void *standard_resize(void *user, void *block, size_t size)
{
  (void)user;
  return realloc(block, size);
}

static void standard_release(void *user, void *block)
{
  (void)user;
  free(block);
}

static bridge_allocator allocator = {1, standard_allocate, standard_resize,
                                     standard_release, NULL};
static atomic_int choice = OPEN;

/* The first allocation settles on malloc, unless somebody was faster. */
static void settle(void)
{
  int found = OPEN;
  /* Takes the table of bridge_set_allocator if that came first. */
  while (!atomic_compare_exchange_weak_explicit(
      &choice, &found, CHOSEN, memory_order_acq_rel, memory_order_acquire)) {
    if (found == CHOSEN) {
      return;
    }
    if (found == CHOOSING) {
      bridge__yield(); /* the table is being copied */
    }
    found = OPEN;
  }
}

static const bridge_allocator *chosen(void)
{
  /* Takes the table. */
  if (atomic_load_explicit(&choice, memory_order_acquire) != CHOSEN) {
    settle();
  }
  return &allocator;
}

bridge_status bridge_set_allocator(const bridge_allocator *table)
{
  if (table == NULL) {
    return BRIDGE_EINVAL;
  }
  if (table->version != 1) {
    return BRIDGE_EVERSION;
  }
  if (table->allocate == NULL || table->resize == NULL ||
      table->release == NULL) {
    return BRIDGE_EINVAL;
  }
  int found = OPEN;
  /* Takes nothing: only who sees OPEN may write the table. */
  if (!atomic_compare_exchange_strong_explicit(&choice, &found, CHOOSING,
                                               memory_order_acquire,
                                               memory_order_relaxed)) {
    return BRIDGE_EALREADY;
  }
  allocator = *table;
  /* Publishes the table. */
  atomic_store_explicit(&choice, CHOSEN, memory_order_release);
  return BRIDGE_OK;
}

bool bridge__allocator_is_standard(void)
{
  return chosen()->allocate == standard_allocate;
}

void *bridge__allocate(size_t size)
{
  const bridge_allocator *from = chosen();
  return from->allocate(from->user, size == 0 ? 1 : size);
}

void *bridge__allocate_zero(size_t size)
{
  void *block = bridge__allocate(size);
  if (block != NULL) {
    memset(block, 0, size);
  }
  return block;
}

void *bridge__resize(void *block, size_t size)
{
  if (block == NULL) {
    return bridge__allocate(size);
  }
  const bridge_allocator *from = chosen();
  return from->resize(from->user, block, size == 0 ? 1 : size);
}

void bridge__free(void *block)
{
  if (block == NULL) {
    return;
  }
  const bridge_allocator *from = chosen();
  from->release(from->user, block);
}

char *bridge__copy_text(const char *text, size_t size)
{
  size_t bytes = 0;
  if (!bridge__add(size, 1, &bytes)) {
    return NULL;
  }
  char *copy = bridge__allocate(bytes);
  if (copy == NULL) {
    return NULL;
  }
  if (size > 0) {
    memcpy(copy, text, size);
  }
  copy[size] = '\0';
  return copy;
}

bool bridge__add(size_t a, size_t b, size_t *out)
{
  if (a > SIZE_MAX - b) {
    return false;
  }
  *out = a + b;
  return true;
}

bool bridge__multiply(size_t a, size_t b, size_t *out)
{
  if (b != 0 && a > SIZE_MAX / b) {
    return false;
  }
  *out = a * b;
  return true;
}
