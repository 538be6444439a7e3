/* Concurrency Kit's ring. */
#include <ck_ring.h>

typedef void *item_link;
#define ITEM_IS_NUMBER 1

#include "queue_item.h"

enum {
  SLOTS = 65536
};

static ck_ring_t ring __attribute__((aligned(128)));
static ck_ring_buffer_t slots[SLOTS];

static void queue_open(size_t producers)
{
  (void)producers;
  ck_ring_init(&ring, SLOTS);
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  return ck_ring_enqueue_mpsc(&ring, slots, items[0]);
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  (void)waits;
  return ck_ring_dequeue_mpsc(&ring, slots, &items[0]);
}

#include "queue_traffic.h"
