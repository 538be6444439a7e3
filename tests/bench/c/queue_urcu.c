/* The wait-free queue of Userspace RCU. */
#define _LGPL_SOURCE
#include <urcu/wfcqueue.h>

typedef struct cds_wfcq_node item_link;

#include "queue_item.h"

static struct cds_wfcq_head oldest __attribute__((aligned(128)));
static struct cds_wfcq_tail newest __attribute__((aligned(128)));

static void queue_open(size_t producers)
{
  (void)producers;
  cds_wfcq_init(&oldest, &newest);
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  cds_wfcq_node_init(&items[0]->link);
  cds_wfcq_enqueue(&oldest, &newest, &items[0]->link);
  return 1;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  (void)waits;
  struct cds_wfcq_node *node = __cds_wfcq_dequeue_nonblocking(&oldest, &newest);
  if (node == NULL || node == CDS_WFCQ_WOULDBLOCK) {
    return 0;
  }
  items[0] = (item *)node;
  return 1;
}

#include "queue_traffic.h"
