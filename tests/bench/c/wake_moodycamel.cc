// moodycamel's BlockingConcurrentQueue, whose semaphore spins before it sleeps.
#include <concurrentqueue/blockingconcurrentqueue.h>

#include "bench.h"

static moodycamel::BlockingConcurrentQueue<int> queues[2];
static moodycamel::ProducerToken senders[2] = {
    moodycamel::ProducerToken(queues[0]), moodycamel::ProducerToken(queues[1])};
static moodycamel::ConsumerToken receivers[2] = {
    moodycamel::ConsumerToken(queues[0]), moodycamel::ConsumerToken(queues[1])};

static void wake_open(void)
{
}

static inline void wake_send(int side)
{
  bench_check(queues[side].enqueue(senders[side], 1), "enqueue");
}

static inline void wake_receive(int side)
{
  int got = 0;
  queues[side].wait_dequeue(receivers[side], got);
}

#include "wake_trip.h"
