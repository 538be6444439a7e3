/* bridge_mpsc, the engine of our queues, by itself: no bounds, no close, and a
   consumer that never sleeps. */
#include <bridge/bridge.h>

typedef bridge_node item_link;

#include "queue_item.h"

static bridge_mpsc *list;
static bridge_node *batch;

static void queue_open(size_t producers)
{
  (void)producers;
  bench_check(bridge_mpsc_create(&list) == BRIDGE_OK, "no list");
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  bool armed = false;
  bench_check(bridge_mpsc_push(list, &items[0]->link, &armed) == BRIDGE_OK,
              "cannot push");
  return 1;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  (void)waits;
  if (batch == NULL && bridge_mpsc_take(list, &batch) != BRIDGE_OK) {
    return 0;
  }
  items[0] = (item *)batch;
  batch = batch->next;
  return 1;
}

#include "queue_traffic.h"
