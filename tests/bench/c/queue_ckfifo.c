/* Concurrency Kit's queue for many on both sides: it has none for one consumer
   that is not a ring. */
#include <stddef.h>

#include <ck_fifo.h>

typedef ck_fifo_mpmc_entry_t *item_link;

#include "queue_item.h"

static ck_fifo_mpmc_t fifo __attribute__((aligned(128)));

static ck_fifo_mpmc_entry_t *new_entry(void)
{
  ck_fifo_mpmc_entry_t *entry = aligned_alloc(64, 64);
  bench_check(entry != NULL, "no memory");
  return entry;
}

static void queue_open(size_t producers)
{
  (void)producers;
  ck_fifo_mpmc_init(&fifo, new_entry());
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  if (items[0]->link == NULL) {
    items[0]->link = new_entry();
  }
  ck_fifo_mpmc_enqueue(&fifo, items[0]->link, items[0]);
  return 1;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  (void)waits;
  ck_fifo_mpmc_entry_t *garbage = NULL;
  void *value = NULL;
  if (!ck_fifo_mpmc_dequeue(&fifo, &value, &garbage)) {
    return 0;
  }
  items[0] = (item *)value;
  items[0]->link = garbage; /* the one that is free from now on */
  return 1;
}

#include "queue_traffic.h"
