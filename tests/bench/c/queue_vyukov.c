/* Vyukov's list: one exchange for a push, and the consumer follows the links. */
#include <stdatomic.h>

typedef struct node {
  _Atomic(struct node *) next;
} item_link;

#include "queue_item.h"

static _Atomic(item_link *) newest __attribute__((aligned(128)));
static item_link *oldest __attribute__((aligned(128)));
static item_link stub;

static inline void append(item_link *node)
{
  atomic_store_explicit(&node->next, NULL, memory_order_relaxed);
  /* Takes the node before, and publishes this one to who comes after. */
  item_link *before =
      atomic_exchange_explicit(&newest, node, memory_order_acq_rel);
  /* Publishes the item to the consumer. */
  atomic_store_explicit(&before->next, node, memory_order_release);
}

static void queue_open(size_t producers)
{
  (void)producers;
  atomic_store_explicit(&newest, &stub, memory_order_relaxed);
  oldest = &stub;
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  append(&items[0]->link);
  return 1;
}

static inline item_link *after(item_link *node)
{
  /* Takes the item. */
  return atomic_load_explicit(&node->next, memory_order_acquire);
}

static inline item_link *take(void)
{
  item_link *node = oldest;
  item_link *next = after(node);
  if (node == &stub) {
    if (next == NULL) {
      return NULL;
    }
    oldest = node = next;
    next = after(node);
  }
  if (next == NULL &&
      node == atomic_load_explicit(&newest, memory_order_acquire)) {
    append(&stub); /* so that the last one can go */
    next = after(node);
  }
  if (next == NULL) {
    return NULL; /* somebody is about to link */
  }
  oldest = next;
  return node;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  (void)waits;
  items[0] = (item *)take();
  return items[0] != NULL;
}

#include "queue_traffic.h"
