/* What everybody writes first: a list, a mutex and a condition variable. */
typedef struct node {
  struct node *next;
} item_link;

#include "queue_item.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static item_link *first;
static item_link **last = &first;

static void queue_open(size_t producers)
{
  (void)producers;
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  (void)count;
  item_link *node = &items[0]->link;
  node->next = NULL;
  pthread_mutex_lock(&mutex);
  const bool was_empty = first == NULL;
  *last = node;
  last = &node->next;
  pthread_mutex_unlock(&mutex);
  if (was_empty) {
    pthread_cond_signal(&filled);
  }
  return 1;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  (void)most;
  pthread_mutex_lock(&mutex);
  while (first == NULL && waits) {
    pthread_cond_wait(&filled, &mutex);
  }
  item_link *node = first;
  if (node != NULL) {
    first = node->next;
    if (first == NULL) {
      last = &first;
    }
  }
  pthread_mutex_unlock(&mutex);
  items[0] = (item *)node;
  return node != NULL;
}

#include "queue_traffic.h"
