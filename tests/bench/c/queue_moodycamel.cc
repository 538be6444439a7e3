// moodycamel's ConcurrentQueue, with tokens (TOKENS=1) or without; and where the
// consumer sleeps, its BlockingConcurrentQueue.
#include <concurrentqueue/blockingconcurrentqueue.h>
#include <concurrentqueue/concurrentqueue.h>

#include <memory>
#include <vector>

typedef void *item_link;
#define ITEM_IS_NUMBER 1

#include "queue_item.h"

#if BLOCKING
typedef moodycamel::BlockingConcurrentQueue<item *> queue_type;
#else
typedef moodycamel::ConcurrentQueue<item *> queue_type;
#endif

static queue_type queue;
static std::vector<std::unique_ptr<moodycamel::ProducerToken>> producers_tokens;
static std::unique_ptr<moodycamel::ConsumerToken> consumers_token;

static void queue_open(size_t producers)
{
  for (size_t i = 0; i < producers; i++) {
    producers_tokens.push_back(
        std::make_unique<moodycamel::ProducerToken>(queue));
  }
  consumers_token = std::make_unique<moodycamel::ConsumerToken>(queue);
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  bool good;
#if TOKENS
  moodycamel::ProducerToken &token = *producers_tokens[producer];
  good = count == 1 ? queue.enqueue(token, items[0])
                    : queue.enqueue_bulk(token, items, count);
#else
  (void)producer;
  good =
      count == 1 ? queue.enqueue(items[0]) : queue.enqueue_bulk(items, count);
#endif
  bench_check(good, "cannot push");
  return count;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
#if BLOCKING
  if (waits) {
    queue.wait_dequeue(*consumers_token, items[0]);
    return 1;
  }
#endif
  (void)waits;
#if TOKENS
  return most == 1 ? queue.try_dequeue(*consumers_token, items[0])
                   : queue.try_dequeue_bulk(*consumers_token, items, most);
#else
  return most == 1 ? queue.try_dequeue(items[0])
                   : queue.try_dequeue_bulk(items, most);
#endif
}

#include "queue_traffic.h"
