/* The least that can be done: a stack that producers push to by an exchange of
   its head, and that the consumer takes whole and turns round. */
#include <stdatomic.h>

typedef struct node {
  struct node *next;
} item_link;

#include "queue_item.h"

static _Atomic(item_link *) head __attribute__((aligned(128)));
static item_link *batch __attribute__((aligned(128)));

static void queue_open(size_t producers)
{
  (void)producers;
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  item_link *node = &items[0]->link;
  node->next = atomic_load_explicit(&head, memory_order_relaxed);
  /* Publishes the item. */
  while (!atomic_compare_exchange_weak_explicit(
      &head, &node->next, node, memory_order_release, memory_order_relaxed)) {
  }
  return 1;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  (void)waits;
  if (batch == NULL) {
    if (atomic_load_explicit(&head, memory_order_relaxed) == NULL) {
      return 0;
    }
    /* Takes the items. */
    item_link *newest =
        atomic_exchange_explicit(&head, NULL, memory_order_acquire);
    while (newest != NULL) {
      item_link *next = newest->next;
      newest->next = batch;
      batch = newest;
      newest = next;
    }
  }
  items[0] = (item *)batch;
  batch = batch->next;
  return 1;
}

#include "queue_traffic.h"
