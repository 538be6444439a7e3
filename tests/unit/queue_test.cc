/* Queues: what goes in comes out, bounds, closing, waking, waiting. */
#include "core_support.h"

#include <fcntl.h>

#include <climits>
#include <future>
#include <memory>
#include <vector>

using support::number;
using support::readable;
using support::sized;
using support::value_of;

static const bridge_status installed = support::install();

namespace
{

/* A queue that frees itself. */
class Queue
{
public:
  explicit Queue(
      const std::function<void(bridge_queue_options &)> &choose = nullptr)
  {
    bridge_queue_options options;
    bridge_queue_options_init(&options);
    if (choose) {
      choose(options);
    }
    EXPECT_EQ(bridge_queue_create(&queue, &options), BRIDGE_OK);
  }
  Queue(const Queue &) = delete;
  Queue &operator=(const Queue &) = delete;
  ~Queue()
  {
    bridge_queue_release(queue);
  }
  operator bridge_queue *() const
  {
    return queue;
  }
  bridge_status push(bridge_message *message)
  {
    bridge_status status = bridge_queue_push(queue, &message);
    EXPECT_EQ(message == nullptr, status == BRIDGE_OK);
    bridge_message_release(message);
    return status;
  }
  bridge_status push(int64_t value, int timeout_ms)
  {
    bridge_message *message = number(value);
    bridge_status status =
        bridge_queue_push_timeout(queue, &message, timeout_ms);
    EXPECT_EQ(message == nullptr, status == BRIDGE_OK);
    bridge_message_release(message);
    return status;
  }
  bridge_status push(int value)
  {
    return push(number(value));
  }
  /* The number, or the status, which is negative. */
  int64_t pop(int timeout_ms = 0)
  {
    bridge_message *message = nullptr;
    bridge_status status = bridge_queue_pop(queue, &message, timeout_ms);
    EXPECT_EQ(message != nullptr, status == BRIDGE_OK);
    return status == BRIDGE_OK ? value_of(message) : int64_t{status};
  }
  int file()
  {
    int result = -1;
    EXPECT_EQ(bridge_waker_fileno(bridge_queue_waker(queue), &result),
              BRIDGE_OK);
    return result;
  }

  bridge_queue *queue = nullptr;
};

std::function<void(bridge_queue_options &)> items(size_t count)
{
  return [count](bridge_queue_options &options) { options.items = count; };
}

std::function<void(bridge_queue_options &)> policy(size_t count,
                                                   bridge_queue_policy chosen)
{
  return [=](bridge_queue_options &options) {
    options.items = count;
    options.policy = chosen;
  };
}

std::function<void(bridge_queue_options &)> waker(bridge_waker_kind kind)
{
  return [kind](bridge_queue_options &options) { options.waker_kind = kind; };
}

} // namespace

/* ---- Making one ---- */

TEST(Queue, NullIsNoQueue)
{
  ASSERT_EQ(installed, BRIDGE_OK);
  bridge_message *message = number(1);
  bridge_message *before = message;
  size_t count = 7;
  EXPECT_EQ(bridge_queue_create(nullptr, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push(nullptr, &message), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_timeout(nullptr, &message, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_batch(nullptr, &message, 1, &count),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_unpop(nullptr, &message), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_pop(nullptr, &message, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_pop_batch(nullptr, &message, 1, &count, 0),
            BRIDGE_EINVAL);
  EXPECT_EQ(message, before);
  EXPECT_EQ(bridge_queue_close(nullptr), BRIDGE_EINVAL);
  EXPECT_TRUE(bridge_queue_closed(nullptr));
  EXPECT_EQ(bridge_queue_count(nullptr), 0u);
  EXPECT_EQ(bridge_queue_bytes(nullptr), 0u);
  EXPECT_EQ(bridge_queue_dropped(nullptr), 0u);
  EXPECT_EQ(bridge_queue_waker(nullptr), nullptr);
  EXPECT_EQ(bridge_queue_retain(nullptr), nullptr);
  bridge_queue_release(nullptr);
  bridge_queue_options_init(nullptr);
  bridge_message_release(message);
}

TEST(Queue, RefusesNullArguments)
{
  Queue queue;
  bridge_message *none = nullptr;
  bridge_message *message = number(1);
  size_t count = 0;
  EXPECT_EQ(bridge_queue_push(queue, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push(queue, &none), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_timeout(queue, nullptr, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_batch(queue, nullptr, 1, &count), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_batch(queue, &message, 1, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_batch(queue, nullptr, 0, &count), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_unpop(queue, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_unpop(queue, &none), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_pop(queue, nullptr, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_pop_batch(queue, nullptr, 1, &count, 0),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_pop_batch(queue, &none, 0, &count, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_pop_batch(queue, &none, 1, nullptr, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_count(queue), 0u);
  bridge_message_release(message);
}

TEST(Queue, ChecksItsOptions)
{
  int place = 0;
  auto *marker = reinterpret_cast<bridge_queue *>(&place);
  bridge_queue *queue = marker;
  bridge_queue_options good;
  bridge_queue_options_init(&good);
  EXPECT_EQ(good.version, 1u);
  EXPECT_EQ(good.timeout_ms, -1);
  EXPECT_EQ(good.waker_kind, BRIDGE_WAKER_CONDITION);

  bridge_queue_options bad = good;
  for (unsigned version : {0u, 2u, UINT_MAX}) {
    bad.version = version;
    EXPECT_EQ(bridge_queue_create(&queue, &bad), BRIDGE_EVERSION);
  }
  bad = good;
  for (size_t count : {BRIDGE_QUEUE_ITEMS_MAX + 1, SIZE_MAX}) {
    bad.items = count;
    EXPECT_EQ(bridge_queue_create(&queue, &bad), BRIDGE_EINVAL);
  }
  bad = good;
  for (size_t bytes : {BRIDGE_QUEUE_BYTES_MAX + 1, SIZE_MAX}) {
    bad.bytes = bytes;
    EXPECT_EQ(bridge_queue_create(&queue, &bad), BRIDGE_EINVAL);
  }
  bad = good;
  for (int unknown : {-1, 3}) {
    bad.policy = static_cast<bridge_queue_policy>(unknown);
    EXPECT_EQ(bridge_queue_create(&queue, &bad), BRIDGE_EINVAL);
  }
  bad = good;
  for (int unknown : {-1, static_cast<int>(BRIDGE_WAKER_CALLBACK), 9}) {
    bad.waker_kind = static_cast<bridge_waker_kind>(unknown);
    EXPECT_EQ(bridge_queue_create(&queue, &bad), BRIDGE_EINVAL);
  }
  EXPECT_EQ(queue, marker);
  good.items = BRIDGE_QUEUE_ITEMS_MAX;
  good.bytes = BRIDGE_QUEUE_BYTES_MAX;
  ASSERT_EQ(bridge_queue_create(&queue, &good), BRIDGE_OK);
  bridge_queue_release(queue);
}

TEST(Queue, NullOptionsAreTheDefaults)
{
  bridge_queue *queue = nullptr;
  ASSERT_EQ(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_kind_of(bridge_queue_waker(queue)),
            BRIDGE_WAKER_CONDITION);
  for (int i = 0; i < 65536; i++) {
    bridge_message *message = number(i);
    ASSERT_EQ(bridge_queue_push_timeout(queue, &message, 0), BRIDGE_OK);
  }
  bridge_message *message = number(0);
  EXPECT_EQ(bridge_queue_push_timeout(queue, &message, 0), BRIDGE_EFULL);
  bridge_message_release(message);
  bridge_queue_release(queue);
}

TEST(Queue, WithoutMemoryThereIsNone)
{
  const long before = support::used();
  long failures = support::starve(
      [] {
        bridge_queue *queue = nullptr;
        bridge_status status = bridge_queue_create(&queue, nullptr);
        bridge_queue_release(queue);
        return status;
      },
      [&] { EXPECT_EQ(support::used(), before); });
  EXPECT_EQ(failures, 2);
}

TEST(Queue, AWakerServesOneQueueAtATime)
{
  bridge_waker *shared = nullptr;
  ASSERT_EQ(bridge_waker_create(&shared, BRIDGE_WAKER_EVENTFD), BRIDGE_OK);
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker = shared;
  bridge_queue *first = nullptr;
  bridge_queue *second = nullptr;
  ASSERT_EQ(bridge_queue_create(&first, &options), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_waker(first), shared);
  EXPECT_EQ(bridge_queue_create(&second, &options), BRIDGE_EBUSY);
  EXPECT_EQ(second, nullptr);
  bridge_queue_release(first);
  EXPECT_EQ(bridge_waker_raise(shared), BRIDGE_OK); /* it was only lent */
  EXPECT_EQ(bridge_queue_create(&second, &options), BRIDGE_OK);
  bridge_queue_release(second);
  support::left = 0;
  EXPECT_EQ(bridge_queue_create(&second, &options), BRIDGE_ENOMEM);
  support::left = -1;
  ASSERT_EQ(bridge_queue_create(&second, &options), BRIDGE_OK);
  bridge_waker_release(shared); /* the queue keeps it */
  EXPECT_EQ(bridge_waker_raise(bridge_queue_waker(second)), BRIDGE_OK);
  bridge_queue_release(second);
}

TEST(Queue, FreesWhatIsInIt)
{
  const long before = support::used();
  {
    Queue queue;
    for (int i = 0; i < 10; i++) {
      EXPECT_EQ(queue.push(i), BRIDGE_OK);
    }
    EXPECT_EQ(queue.pop(), 0); /* some are on the consumer's side now */
    EXPECT_EQ(queue.push(10), BRIDGE_OK);
    EXPECT_EQ(bridge_queue_retain(queue), queue.queue);
    bridge_queue_release(queue);
    EXPECT_EQ(bridge_queue_count(queue), 10u);
  }
  EXPECT_EQ(support::used(), before);
}

/* ---- In and out ---- */

TEST(Queue, FirstInFirstOut)
{
  Queue queue;
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 100; i++) {
      EXPECT_EQ(queue.push(i), BRIDGE_OK);
    }
    for (int i = 0; i < 100; i++) {
      EXPECT_EQ(queue.pop(), i);
    }
    EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  }
}

TEST(Queue, CountsMessagesAndBytes)
{
  Queue queue;
  EXPECT_EQ(queue.push(sized(100)), BRIDGE_OK);
  EXPECT_EQ(queue.push(sized(50)), BRIDGE_OK);
  bridge_message *empty = nullptr;
  ASSERT_EQ(bridge_message_create(&empty, 0), BRIDGE_OK);
  EXPECT_EQ(queue.push(empty), BRIDGE_OK); /* a message, and no byte */
  EXPECT_EQ(bridge_queue_count(queue), 3u);
  EXPECT_EQ(bridge_queue_bytes(queue), 150u);
  bridge_message *out = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue, &out, 0), BRIDGE_OK);
  bridge_message_release(out);
  EXPECT_EQ(bridge_queue_count(queue), 2u);
  EXPECT_EQ(bridge_queue_bytes(queue), 50u);
}

TEST(Queue, PushLeavesTheMessageWhenFull)
{
  Queue queue(policy(1, BRIDGE_QUEUE_FAIL));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  bridge_message *message = number(2);
  bridge_message *before = message;
  EXPECT_EQ(bridge_queue_push(queue, &message), BRIDGE_EFULL);
  EXPECT_EQ(bridge_queue_push_timeout(queue, &message, 0), BRIDGE_EFULL);
  EXPECT_EQ(bridge_queue_push_timeout(queue, &message, 2), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(message, before);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(bridge_queue_push(queue, &message), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), 2);
}

TEST(Queue, IsBoundedInBytes)
{
  Queue queue([](bridge_queue_options &options) {
    options.bytes = 100;
    options.policy = BRIDGE_QUEUE_FAIL;
  });
  EXPECT_EQ(queue.push(sized(60)), BRIDGE_OK);
  EXPECT_EQ(queue.push(sized(41)), BRIDGE_EFULL);
  EXPECT_EQ(queue.push(sized(40)), BRIDGE_OK);
  EXPECT_EQ(queue.push(sized(1)), BRIDGE_EFULL);
  bridge_message *empty = nullptr;
  ASSERT_EQ(bridge_message_create(&empty, 0), BRIDGE_OK);
  EXPECT_EQ(queue.push(empty), BRIDGE_OK);
}

TEST(Queue, NeverTakesWhatIsLargerThanItself)
{
  for (auto chosen :
       {BRIDGE_QUEUE_BLOCK, BRIDGE_QUEUE_FAIL, BRIDGE_QUEUE_DROP_OLDEST}) {
    Queue queue([&](bridge_queue_options &options) {
      options.bytes = 10;
      options.policy = chosen;
    });
    EXPECT_EQ(queue.push(1), BRIDGE_OK);
    EXPECT_EQ(queue.push(sized(11)), BRIDGE_ELIMIT);
    EXPECT_EQ(bridge_queue_count(queue), 1u);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.push(sized(10)), BRIDGE_OK);
  }
}

/* The words that count wrap around at 2^23 messages. */
TEST(Queue, CountsBeyondWhatItsWordsHold)
{
  if (TESTS_SANITIZED) {
    GTEST_SKIP() << "one thread, eight million times";
  }
  Queue queue(policy(2, BRIDGE_QUEUE_FAIL));
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  for (int i = 0; i < (1 << 23) + 10; i++) {
    ASSERT_EQ(bridge_queue_push(queue, &message), BRIDGE_OK);
    ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
  }
  EXPECT_EQ(bridge_queue_count(queue), 0u);
  bridge_message_release(message);
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.push(2), BRIDGE_OK);
  EXPECT_EQ(queue.push(3), BRIDGE_EFULL);
}

TEST(Queue, RefusesUnfinishedMessages)
{
  Queue queue;
  bridge_message *message = nullptr;
  size_t count = 0;
  ASSERT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  ASSERT_EQ(bridge_message_begin_array(message, BRIDGE_COUNT_UNKNOWN),
            BRIDGE_OK);
  EXPECT_EQ(bridge_queue_push(queue, &message), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_push_batch(queue, &message, 1, &count), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_queue_unpop(queue, &message), BRIDGE_EINVAL);
  EXPECT_NE(message, nullptr);
  EXPECT_EQ(bridge_queue_count(queue), 0u);
  ASSERT_EQ(bridge_message_end(message), BRIDGE_OK);
  EXPECT_EQ(queue.push(message), BRIDGE_OK);
}

TEST(Queue, DoesNotTakeItself)
{
  Queue queue;
  Queue other;
  bridge_message *message = nullptr;
  size_t count = 0;
  ASSERT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  ASSERT_EQ(
      bridge_message_write_handle(message, BRIDGE_HANDLE_QUEUE, queue.queue),
      BRIDGE_OK);
  EXPECT_EQ(bridge_queue_push(queue, &message), BRIDGE_ECYCLE);
  EXPECT_EQ(bridge_queue_push_batch(queue, &message, 1, &count), BRIDGE_ECYCLE);
  EXPECT_EQ(bridge_queue_unpop(queue, &message), BRIDGE_ECYCLE);
  EXPECT_NE(message, nullptr);
  EXPECT_EQ(other.push(message), BRIDGE_OK);
}

/* ---- Dropping ---- */

TEST(Queue, DropsTheOldestAndCountsThem)
{
  const long before = support::used();
  {
    Queue queue(policy(3, BRIDGE_QUEUE_DROP_OLDEST));
    for (int i = 0; i < 10; i++) {
      EXPECT_EQ(queue.push(i), BRIDGE_OK);
    }
    EXPECT_EQ(bridge_queue_dropped(queue), 7u);
    EXPECT_EQ(bridge_queue_count(queue), 3u);
    EXPECT_EQ(queue.pop(), 7);
    EXPECT_EQ(queue.push(10, 0), BRIDGE_OK);
    EXPECT_EQ(queue.push(11, -1), BRIDGE_OK); /* never needs to wait */
    EXPECT_EQ(bridge_queue_dropped(queue), 8u);
    for (int i = 9; i < 12; i++) {
      EXPECT_EQ(queue.pop(), i);
    }
    EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  }
  EXPECT_EQ(support::used(), before);
}

TEST(Queue, DropsAsManyAsAreNeededForALargeOne)
{
  Queue queue([](bridge_queue_options &options) {
    options.bytes = 100;
    options.policy = BRIDGE_QUEUE_DROP_OLDEST;
  });
  for (int i = 0; i < 10; i++) {
    EXPECT_EQ(queue.push(sized(10)), BRIDGE_OK);
  }
  EXPECT_EQ(queue.push(sized(35)), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_dropped(queue), 4u);
  EXPECT_EQ(queue.push(sized(100)), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_dropped(queue), 11u);
  EXPECT_EQ(bridge_queue_count(queue), 1u);
}

/* What is dropped may be anything, even the last reference to something. */
TEST(Queue, DropsOutsideOfItsSeat)
{
  Queue queue(policy(1, BRIDGE_QUEUE_DROP_OLDEST));
  bridge_buffer *buffer = nullptr;
  static bridge_queue *inside;
  inside = queue;
  static char bytes[4];
  ASSERT_EQ(bridge_buffer_wrap(
                &buffer, bytes, sizeof bytes,
                [](void *, void *, size_t) {
                  bridge_message *message = number(42);
                  EXPECT_EQ(bridge_queue_push(inside, &message), BRIDGE_OK);
                },
                nullptr),
            BRIDGE_OK);
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  ASSERT_EQ(bridge_message_write_buffer(message, buffer), BRIDGE_OK);
  bridge_buffer_release(buffer);
  EXPECT_EQ(queue.push(message), BRIDGE_OK);
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_dropped(queue), 2u);
  EXPECT_EQ(queue.pop(), 1);
}

/* ---- Batches ---- */

TEST(Queue, PushesABatchInOrder)
{
  Queue queue;
  bridge_message *messages[5];
  for (int i = 0; i < 5; i++) {
    messages[i] = number(i);
  }
  size_t count = 0;
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 5, &count), BRIDGE_OK);
  EXPECT_EQ(count, 5u);
  EXPECT_EQ(bridge_queue_count(queue), 5u);
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(messages[i], nullptr);
    EXPECT_EQ(queue.pop(), i);
  }
}

TEST(Queue, PushesOfABatchWhatThereIsRoomFor)
{
  for (auto chosen : {BRIDGE_QUEUE_BLOCK, BRIDGE_QUEUE_FAIL}) {
    Queue queue(policy(3, chosen));
    bridge_message *messages[5];
    for (int i = 0; i < 5; i++) {
      messages[i] = number(i);
    }
    size_t count = 0;
    EXPECT_EQ(bridge_queue_push_batch(queue, messages, 5, &count),
              BRIDGE_EFULL);
    EXPECT_EQ(count, 3u);
    EXPECT_EQ(messages[2], nullptr);
    ASSERT_NE(messages[3], nullptr);
    EXPECT_EQ(bridge_queue_push_batch(queue, messages + 3, 2, &count),
              BRIDGE_EFULL);
    EXPECT_EQ(count, 0u);
    EXPECT_EQ(queue.pop(), 0);
    bridge_message_release(messages[3]);
    bridge_message_release(messages[4]);
  }
}

TEST(Queue, PushesOfABatchTheBytesThereIsRoomFor)
{
  Queue queue([](bridge_queue_options &options) { options.bytes = 100; });
  bridge_message *messages[] = {sized(50), sized(40), sized(11), sized(10)};
  size_t count = 0;
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 4, &count), BRIDGE_EFULL);
  EXPECT_EQ(count, 2u); /* and does not overtake for the last */
  EXPECT_EQ(bridge_queue_bytes(queue), 90u);
  bridge_message_release(messages[2]);
  bridge_message_release(messages[3]);
}

TEST(Queue, ABatchEndsAtWhatCannotGoIn)
{
  Queue queue([](bridge_queue_options &options) { options.bytes = 100; });
  bridge_message *messages[] = {number(0), nullptr, number(1)};
  size_t count = 7;
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 3, &count), BRIDGE_EINVAL);
  EXPECT_EQ(count, 1u);
  messages[0] = number(5);
  messages[1] = sized(101);
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 3, &count), BRIDGE_ELIMIT);
  EXPECT_EQ(count, 1u);
  bridge_message_release(messages[1]);
  bridge_message_release(messages[2]);
  EXPECT_EQ(queue.pop(), 0);
  EXPECT_EQ(queue.pop(), 5);
}

TEST(Queue, ABatchDropsTheOldestToo)
{
  Queue queue(policy(2, BRIDGE_QUEUE_DROP_OLDEST));
  bridge_message *messages[5];
  for (int i = 0; i < 5; i++) {
    messages[i] = number(i);
  }
  size_t count = 0;
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 5, &count), BRIDGE_OK);
  EXPECT_EQ(count, 5u);
  EXPECT_EQ(bridge_queue_dropped(queue), 3u);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop(), 4);
}

TEST(Queue, ABatchWakesOnce)
{
  static std::atomic<int> calls;
  calls = 0;
  bridge_waker *counting = nullptr;
  ASSERT_EQ(bridge_waker_create_callback(
                &counting, [](void *) { calls++; }, nullptr, nullptr),
            BRIDGE_OK);
  Queue queue([&](bridge_queue_options &options) { options.waker = counting; });
  bridge_message *messages[] = {number(1), number(2), number(3)};
  size_t count = 0;
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 3, &count), BRIDGE_OK);
  EXPECT_EQ(calls, 1);
  bridge_waker_release(counting);
}

TEST(Queue, PopsABatch)
{
  Queue queue;
  bridge_message *messages[4] = {};
  size_t count = 7;
  EXPECT_EQ(bridge_queue_pop_batch(queue, messages, 4, &count, 0),
            BRIDGE_EEMPTY);
  EXPECT_EQ(count, 0u);
  for (int i = 0; i < 6; i++) {
    EXPECT_EQ(queue.push(i), BRIDGE_OK);
    if (i == 1) {
      EXPECT_EQ(queue.pop(), 0); /* so that two lists have to be joined */
    }
  }
  EXPECT_EQ(bridge_queue_pop_batch(queue, messages, 4, &count, 0), BRIDGE_OK);
  EXPECT_EQ(count, 4u);
  EXPECT_EQ(bridge_queue_count(queue), 1u);
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(value_of(messages[i]), i + 1);
  }
  EXPECT_EQ(bridge_queue_pop_batch(queue, messages, 4, &count, -1), BRIDGE_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(value_of(messages[0]), 5);
  EXPECT_EQ(bridge_queue_pop_batch(queue, messages, 4, &count, 2),
            BRIDGE_ETIMEDOUT);
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_pop_batch(queue, messages, 4, &count, -1),
            BRIDGE_ECLOSED);
  EXPECT_EQ(count, 0u);
}

/* ---- Putting back ---- */

TEST(Queue, UnpopPutsInFront)
{
  Queue queue(policy(2, BRIDGE_QUEUE_FAIL));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.push(2), BRIDGE_OK);
  bridge_message *first = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue, &first, 0), BRIDGE_OK);
  EXPECT_EQ(queue.push(3), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_unpop(queue, &first), BRIDGE_OK);
  EXPECT_EQ(first, nullptr);
  EXPECT_EQ(bridge_queue_count(queue), 3u); /* one more than the bound */
  EXPECT_EQ(queue.push(4), BRIDGE_EFULL);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.push(4), BRIDGE_EFULL);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.push(4), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop(), 4);
  EXPECT_EQ(bridge_queue_bytes(queue), 0u);
}

/* Producers have seen the room that an unpop takes away again. */
TEST(Queue, WhatIsPutBackTakesItsRoomFromProducers)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = 4;
  options.policy = BRIDGE_QUEUE_FAIL;
  bridge_queue *queue = nullptr;
  ASSERT_EQ(bridge_queue_create(&queue, &options), BRIDGE_OK);
  bridge_message *taken[4];
  for (int i = 0; i < 4; i++) {
    bridge_message *message = support::number(i);
    ASSERT_EQ(bridge_queue_push(queue, &message), BRIDGE_OK);
  }
  for (bridge_message *&each : taken) {
    ASSERT_EQ(bridge_queue_pop(queue, &each, 0), BRIDGE_OK);
  }
  bridge_message *more = support::number(4);
  ASSERT_EQ(bridge_queue_push(queue, &more), BRIDGE_OK);
  for (int i = 3; i >= 0; i--) {
    ASSERT_EQ(bridge_queue_unpop(queue, &taken[i]), BRIDGE_OK);
  }
  EXPECT_EQ(bridge_queue_count(queue), 5u);
  more = support::number(5);
  EXPECT_EQ(bridge_queue_push(queue, &more), BRIDGE_EFULL);
  for (int i = 0; i < 2; i++) {
    bridge_message *message = nullptr;
    ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
    EXPECT_EQ(support::value_of(message), i);
  }
  EXPECT_EQ(bridge_queue_push(queue, &more), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_count(queue), 4u);
  bridge_queue_release(queue);
}

TEST(Queue, UnpopMakesTheQueueReadable)
{
  Queue queue(waker(BRIDGE_WAKER_EVENTFD));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_FALSE(readable(queue.file()));
  EXPECT_EQ(bridge_queue_unpop(queue, &message), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_FALSE(readable(queue.file()));
  EXPECT_EQ(queue.push(2), BRIDGE_OK); /* it is still armed */
  EXPECT_TRUE(readable(queue.file()));
  EXPECT_EQ(queue.pop(), 2);
}

/* It may be just what the other consumer waits for. */
TEST(Queue, UnpopGoesToAConsumerWhoHasComeMeanwhile)
{
  Queue queue;
  EXPECT_EQ(queue.push(7), BRIDGE_OK);
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
  support::Blocked consumer([&] { return (bridge_status)queue.pop(-1); });
  EXPECT_FALSE(consumer.done);
  EXPECT_EQ(bridge_queue_unpop(queue, &message), BRIDGE_OK);
  EXPECT_EQ(consumer.finish(), 7);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
}

TEST(Queue, TellsItsPolicy)
{
  Queue queue([](bridge_queue_options &options) {
    options.policy = BRIDGE_QUEUE_BLOCK;
    options.timeout_ms = 30;
  });
  Queue dropping(policy(1, BRIDGE_QUEUE_DROP_OLDEST));
  int timeout_ms = 0;
  EXPECT_EQ(bridge_queue_policy_of(queue, &timeout_ms), BRIDGE_QUEUE_BLOCK);
  EXPECT_EQ(timeout_ms, 30);
  EXPECT_EQ(bridge_queue_policy_of(dropping, nullptr),
            BRIDGE_QUEUE_DROP_OLDEST);
  EXPECT_EQ(bridge_queue_policy_of(nullptr, &timeout_ms), BRIDGE_QUEUE_FAIL);
}

TEST(Queue, UnpopWorksOnAClosedQueue)
{
  Queue queue;
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_queue_unpop(queue, &message), BRIDGE_OK);
  EXPECT_EQ(queue.pop(-1), 1);
  EXPECT_EQ(queue.pop(-1), BRIDGE_ECLOSED);
}

/* ---- Closing ---- */

TEST(Queue, ClosedTakesNothingAndGivesWhatItHas)
{
  Queue queue;
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.push(2), BRIDGE_OK);
  EXPECT_FALSE(bridge_queue_closed(queue));
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  EXPECT_TRUE(bridge_queue_closed(queue));
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  EXPECT_EQ(queue.push(3), BRIDGE_ECLOSED);
  EXPECT_EQ(queue.push(3, -1), BRIDGE_ECLOSED);
  bridge_message *message = number(3);
  size_t count = 7;
  EXPECT_EQ(bridge_queue_push_batch(queue, &message, 1, &count),
            BRIDGE_ECLOSED);
  EXPECT_EQ(count, 0u);
  bridge_message_release(message);
  EXPECT_EQ(bridge_queue_count(queue), 2u);
  EXPECT_EQ(queue.pop(-1), 1);
  EXPECT_EQ(queue.pop(0), 2);
  EXPECT_EQ(queue.pop(0), BRIDGE_ECLOSED);
  EXPECT_EQ(queue.pop(-1), BRIDGE_ECLOSED);
}

TEST(Queue, ClosedAndFullSaysClosed)
{
  for (auto chosen :
       {BRIDGE_QUEUE_BLOCK, BRIDGE_QUEUE_FAIL, BRIDGE_QUEUE_DROP_OLDEST}) {
    Queue queue(policy(1, chosen));
    EXPECT_EQ(queue.push(1), BRIDGE_OK);
    EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
    EXPECT_EQ(queue.push(2), BRIDGE_ECLOSED);
    EXPECT_EQ(bridge_queue_dropped(queue), 0u);
  }
}

TEST(Queue, ClosingWakesTheConsumer)
{
  for (auto kind : {BRIDGE_WAKER_CONDITION, BRIDGE_WAKER_EVENTFD,
                    BRIDGE_WAKER_PIPE, BRIDGE_WAKER_UDP}) {
    Queue queue(waker(kind));
    support::Blocked consumer([&] {
      bridge_message *message = nullptr;
      return bridge_queue_pop(queue, &message, -1);
    });
    EXPECT_FALSE(consumer.done);
    EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
    EXPECT_EQ(consumer.finish(), BRIDGE_ECLOSED);
  }
}

TEST(Queue, ClosingWakesAllProducers)
{
  Queue queue(items(1));
  EXPECT_EQ(queue.push(0), BRIDGE_OK);
  std::vector<std::unique_ptr<support::Blocked>> producers;
  for (int i = 0; i < 4; i++) {
    producers.push_back(std::make_unique<support::Blocked>(
        [&queue, i] { return queue.push(i); }));
    EXPECT_FALSE(producers.back()->done);
  }
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  for (auto &producer : producers) {
    EXPECT_EQ(producer->finish(), BRIDGE_ECLOSED);
  }
  EXPECT_EQ(bridge_queue_count(queue), 1u);
}

/* ---- Waking ---- */

namespace
{

class QueueInALoop : public testing::TestWithParam<bridge_waker_kind>
{
};

INSTANTIATE_TEST_SUITE_P(Each,
                         QueueInALoop,
                         testing::Values(BRIDGE_WAKER_EVENTFD,
                                         BRIDGE_WAKER_PIPE,
                                         BRIDGE_WAKER_UDP));

} // namespace

TEST_P(QueueInALoop, BecomesReadableWhenItStopsBeingEmpty)
{
  Queue queue(waker(GetParam()));
  EXPECT_FALSE(readable(queue.file()));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
}

TEST_P(QueueInALoop, AfterEmptyTheNextPushMakesItReadable)
{
  Queue queue(waker(GetParam()));
  for (int round = 0; round < 5; round++) {
    EXPECT_EQ(queue.push(1), BRIDGE_OK);
    EXPECT_EQ(queue.push(2), BRIDGE_OK);
    EXPECT_TRUE(readable(queue.file()));
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), 2);
    EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
    EXPECT_FALSE(readable(queue.file()));
    EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  }
}

TEST_P(QueueInALoop, WhoStopsBeforeEmptyFindsItReadable)
{
  Queue queue(waker(GetParam()));
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(queue.push(i), BRIDGE_OK);
  }
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(queue.pop(), i);
    EXPECT_TRUE(readable(queue.file())) << i;
  }
  EXPECT_EQ(queue.push(3), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_FALSE(readable(queue.file()));
}

TEST_P(QueueInALoop, ARaiseWithoutAMessageIsCleared)
{
  Queue queue(waker(GetParam()));
  EXPECT_EQ(bridge_waker_raise(bridge_queue_waker(queue)), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_FALSE(readable(queue.file()));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
}

TEST_P(QueueInALoop, AHostThatClearsByItselfLosesNothing)
{
  Queue queue(waker(GetParam()));
  for (int round = 0; round < 3; round++) {
    EXPECT_EQ(queue.push(1), BRIDGE_OK);
    EXPECT_EQ(bridge_waker_clear(bridge_queue_waker(queue)), BRIDGE_OK);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  }
  EXPECT_EQ(queue.push(2), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
}

TEST_P(QueueInALoop, TheEndStaysReadable)
{
  Queue queue(waker(GetParam()));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
  EXPECT_EQ(queue.pop(), BRIDGE_ECLOSED);
  EXPECT_TRUE(readable(queue.file()));
}

TEST_P(QueueInALoop, StaysReadableWhenTheOldestIsDropped)
{
  Queue queue([](bridge_queue_options &options) {
    options.items = 1;
    options.policy = BRIDGE_QUEUE_DROP_OLDEST;
    options.waker_kind = GetParam();
  });
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.push(2), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_EQ(queue.push(3), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
}

TEST(Queue, ACallbackIsCalledForEachTimeItStopsBeingEmpty)
{
  static std::atomic<int> calls;
  calls = 0;
  bridge_waker *counting = nullptr;
  ASSERT_EQ(bridge_waker_create_callback(
                &counting, [](void *) { calls++; }, nullptr, nullptr),
            BRIDGE_OK);
  Queue queue([&](bridge_queue_options &options) { options.waker = counting; });
  bridge_waker_release(counting);
  for (int round = 1; round <= 3; round++) {
    EXPECT_EQ(queue.push(1), BRIDGE_OK);
    EXPECT_EQ(queue.push(2), BRIDGE_OK);
    EXPECT_EQ(calls, round);
    EXPECT_EQ(queue.pop(-1), 1);
    EXPECT_EQ(queue.pop(-1), 2);
    EXPECT_EQ(queue.pop(-1), BRIDGE_EUNSUPPORTED);
    EXPECT_EQ(queue.pop(1), BRIDGE_EUNSUPPORTED);
    EXPECT_EQ(queue.pop(0), BRIDGE_EEMPTY);
  }
}

TEST(Queue, AClosedWakerEndsTheWait)
{
  Queue queue(waker(BRIDGE_WAKER_EVENTFD));
  support::Blocked consumer([&] { return (bridge_status)queue.pop(-1); });
  EXPECT_FALSE(consumer.done);
  EXPECT_EQ(bridge_waker_close(bridge_queue_waker(queue)), BRIDGE_OK);
  EXPECT_EQ(consumer.finish(), BRIDGE_EUNSUPPORTED);
  EXPECT_EQ(queue.push(1), BRIDGE_OK); /* the queue itself is open */
  EXPECT_EQ(queue.pop(-1), 1);
  EXPECT_EQ(queue.pop(0), BRIDGE_EEMPTY);
}

/* ---- Waiting ---- */

TEST(Queue, PopWaitsForAPush)
{
  for (auto kind : {BRIDGE_WAKER_CONDITION, BRIDGE_WAKER_EVENTFD,
                    BRIDGE_WAKER_PIPE, BRIDGE_WAKER_UDP}) {
    for (int timeout : {-1, INT_MAX}) {
      Queue queue(waker(kind));
      std::atomic<int64_t> got{0};
      support::Blocked consumer([&] {
        got = queue.pop(timeout);
        return BRIDGE_OK;
      });
      EXPECT_FALSE(consumer.done);
      EXPECT_EQ(queue.push(7), BRIDGE_OK);
      consumer.finish();
      EXPECT_EQ(got, 7);
    }
  }
}

TEST(Queue, PopTimesOutAndIsStillWokenAfterwards)
{
  Queue queue(waker(BRIDGE_WAKER_EVENTFD));
  EXPECT_EQ(queue.pop(2), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(bridge_waker_raise(bridge_queue_waker(queue)), BRIDGE_OK);
  EXPECT_EQ(queue.pop(2), BRIDGE_ETIMEDOUT); /* a raise is not a message */
  EXPECT_FALSE(readable(queue.file()));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_TRUE(readable(queue.file()));
}

TEST(Queue, ASecondConsumerIsRefused)
{
  Queue queue;
  support::Blocked consumer([&] { return (bridge_status)queue.pop(-1); });
  EXPECT_FALSE(consumer.done);
  bridge_message *message = nullptr;
  size_t count = 0;
  EXPECT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_EBUSY);
  EXPECT_EQ(bridge_queue_pop(queue, &message, -1), BRIDGE_EBUSY);
  EXPECT_EQ(bridge_queue_pop_batch(queue, &message, 1, &count, 0),
            BRIDGE_EBUSY);
  EXPECT_EQ(queue.push(0), BRIDGE_OK);
  EXPECT_EQ(consumer.finish(), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY); /* free again */
}

/* Nobody sits while waiting. */
TEST(Queue, DroppingGoesOnWhileTheConsumerWaits)
{
  Queue queue(policy(1, BRIDGE_QUEUE_DROP_OLDEST));
  std::atomic<int64_t> last{0};
  std::thread consumer([&] {
    while (last != 1000) {
      last = queue.pop(-1);
    }
  });
  for (int i = 1; i <= 1000; i++) {
    EXPECT_EQ(queue.push(i), BRIDGE_OK);
  }
  consumer.join();
}

TEST(Queue, PushWaitsForRoom)
{
  Queue queue(items(1));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  support::Blocked producer([&] { return queue.push(2); });
  EXPECT_FALSE(producer.done);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(producer.finish(), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), 2);
}

TEST(Queue, PushWaitsForRoomForItsBytes)
{
  Queue queue([](bridge_queue_options &options) { options.bytes = 100; });
  EXPECT_EQ(queue.push(sized(50)), BRIDGE_OK);
  EXPECT_EQ(queue.push(sized(50)), BRIDGE_OK);
  support::Blocked large([&] { return queue.push(sized(90)); });
  support::Blocked small([&] { return queue.push(sized(20)); });
  bridge_message *message = nullptr;
  ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
  bridge_message_release(message);
  EXPECT_EQ(small.finish(), BRIDGE_OK); /* what fits does not wait */
  EXPECT_FALSE(large.done);
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(bridge_queue_pop(queue, &message, 0), BRIDGE_OK);
    bridge_message_release(message);
  }
  EXPECT_EQ(large.finish(), BRIDGE_OK);
}

TEST(Queue, PushTimesOutAsTheOptionsSay)
{
  Queue queue([](bridge_queue_options &options) {
    options.items = 1;
    options.timeout_ms = 2;
  });
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.push(2), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(queue.push(2, 0), BRIDGE_EFULL);
  Queue at_once([](bridge_queue_options &options) {
    options.items = 1;
    options.timeout_ms = 0;
  });
  EXPECT_EQ(at_once.push(1), BRIDGE_OK);
  EXPECT_EQ(at_once.push(2), BRIDGE_EFULL);
}

TEST(Queue, ABatchDoesNotWait)
{
  Queue queue(items(1));
  bridge_message *messages[] = {number(1), number(2)};
  size_t count = 0;
  EXPECT_EQ(bridge_queue_push_batch(queue, messages, 2, &count), BRIDGE_EFULL);
  EXPECT_EQ(count, 1u);
  bridge_message_release(messages[1]);
}

TEST(Queue, ACancelledConsumerDoesNotWait)
{
  for (auto kind : {BRIDGE_WAKER_CONDITION, BRIDGE_WAKER_EVENTFD}) {
    Queue queue(waker(kind));
    support::Interrupt interrupt;
    support::Blocked consumer([&] {
      support::Bound bound(interrupt);
      auto first = (bridge_status)queue.pop(-1);
      EXPECT_EQ(queue.pop(-1), BRIDGE_ECANCELLED);
      EXPECT_EQ(queue.pop(1000000), BRIDGE_ECANCELLED);
      EXPECT_EQ(queue.pop(0), BRIDGE_EEMPTY);
      EXPECT_EQ(queue.push(5), BRIDGE_OK);
      EXPECT_EQ(queue.pop(-1), 5); /* what is there needs no waiting */
      return first;
    });
    EXPECT_FALSE(consumer.done);
    interrupt.request();
    EXPECT_EQ(consumer.finish(), BRIDGE_ECANCELLED);
  }
}

TEST(Queue, ACancelledProducerDoesNotWait)
{
  Queue queue(items(1));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  support::Interrupt interrupt;
  support::Blocked producer([&] {
    support::Bound bound(interrupt);
    bridge_status first = queue.push(2);
    EXPECT_EQ(queue.push(2), BRIDGE_ECANCELLED);
    EXPECT_EQ(queue.push(2, 0), BRIDGE_EFULL);
    return first;
  });
  EXPECT_FALSE(producer.done);
  interrupt.request();
  EXPECT_EQ(producer.finish(), BRIDGE_ECANCELLED);
  EXPECT_EQ(bridge_queue_count(queue), 1u);
}

/* ---- Forced, for answers ---- */

extern "C" bridge_status bridge__queue_push_forced(bridge_queue *queue,
                                                   bridge_message **message);

TEST(Queue, ForcedSkipsTheBoundsAndNothingElse)
{
  Queue queue([](bridge_queue_options &options) {
    options.items = 1;
    options.bytes = 10;
  });
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  bridge_message *message = number(2);
  EXPECT_EQ(bridge__queue_push_forced(queue, &message), BRIDGE_OK);
  EXPECT_EQ(message, nullptr);
  message = sized(11);
  EXPECT_EQ(bridge__queue_push_forced(queue, &message), BRIDGE_OK);
  EXPECT_EQ(bridge_queue_count(queue), 3u);
  EXPECT_EQ(bridge__queue_push_forced(queue, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge__queue_push_forced(nullptr, &message), BRIDGE_EINVAL);
  EXPECT_EQ(bridge__queue_push_forced(queue, &message), BRIDGE_EINVAL);
  EXPECT_EQ(queue.push(4, 0), BRIDGE_EFULL);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  message = number(5);
  EXPECT_EQ(bridge__queue_push_forced(queue, &message), BRIDGE_ECLOSED);
  EXPECT_NE(message, nullptr);
  bridge_message_release(message);
}

/* ---- fork ---- */

TEST(Queue, BelongsToTheProcessThatMadeIt)
{
  Queue queue(waker(BRIDGE_WAKER_EVENTFD));
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  EXPECT_EQ(queue.push(2, 0), BRIDGE_OK);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
  bridge_message *message = number(3);
  EXPECT_EQ(
      support::in_child([&] {
        size_t count = 0;
        bridge_message *out = nullptr;
        if (bridge_queue_push(queue, &message) != BRIDGE_EFORKED ||
            bridge_queue_push_timeout(queue, &message, -1) != BRIDGE_EFORKED ||
            bridge_queue_push_batch(queue, &message, 1, &count) !=
                BRIDGE_EFORKED ||
            bridge__queue_push_forced(queue, &message) != BRIDGE_EFORKED) {
          return 1;
        }
        if (bridge_queue_pop(queue, &out, -1) != BRIDGE_EFORKED ||
            bridge_queue_pop_batch(queue, &out, 1, &count, 0) !=
                BRIDGE_EFORKED ||
            bridge_queue_unpop(queue, &message) != BRIDGE_EFORKED ||
            bridge_queue_close(queue) != BRIDGE_EFORKED) {
          return 2;
        }
        bridge_queue_options options;
        bridge_queue_options_init(&options);
        options.waker = bridge_queue_waker(queue);
        bridge_queue *made = nullptr;
        if (bridge_queue_create(&made, &options) != BRIDGE_EFORKED) {
          return 3;
        }
        if (bridge_queue_create(&made, nullptr) != BRIDGE_OK ||
            bridge_queue_push(made, &message) != BRIDGE_OK) {
          return 4;
        }
        bridge_queue_release(made);
        return 0;
      }),
      0);
  EXPECT_FALSE(bridge_queue_closed(queue));
  EXPECT_FALSE(readable(queue.file()));
  EXPECT_EQ(queue.push(message), BRIDGE_OK);
  EXPECT_EQ(queue.pop(-1), 3);
}

TEST(Queue, TheChildOfAForkMayReleaseItWithWhatIsInIt)
{
  Queue queue(waker(BRIDGE_WAKER_PIPE));
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(queue.push(i), BRIDGE_OK);
  }
  EXPECT_EQ(queue.pop(), 0);
  int file = queue.file();
  EXPECT_EQ(support::in_child([&] {
              const long before = support::used();
              bridge_queue_release(queue);
              if (support::used() >= before) {
                return 1;
              }
              return fcntl(file, F_GETFD) == -1 ? 0 : 2;
            }),
            0);
  for (int i = 1; i < 5; i++) {
    EXPECT_EQ(queue.pop(), i);
  }
}

extern "C" void bridge__queue_borrow(bridge_queue *queue);
extern "C" void bridge__queue_give_back(bridge_queue *queue);

/* Whoever pops or drops may be in the middle of the list, and is not there in the
   child to finish. */
TEST(Queue, TheChildOfAForkTouchesNoListThatSomebodyWorkedOn)
{
  Queue queue(items(2));
  EXPECT_EQ(queue.push(0), BRIDGE_OK);
  EXPECT_EQ(queue.push(1), BRIDGE_OK);
  std::promise<void> seated;
  std::promise<void> forked;
  std::thread dropper([&] {
    bridge__queue_borrow(queue);
    seated.set_value();
    forked.get_future().wait();
    bridge__queue_give_back(queue);
  });
  seated.get_future().wait();
  const auto freed_by_child = [&] {
    return support::in_child([&] {
      const long before = support::used();
      bridge_queue_release(queue);
      return (int)(before - support::used());
    });
  };
  const int taken = freed_by_child();
  forked.set_value();
  dropper.join();
  const int free = freed_by_child();
  /* The queue itself is freed in both. */
  EXPECT_GT(taken, 0);
  EXPECT_GE(free, taken + 2);
  EXPECT_EQ(queue.pop(), 0);
  EXPECT_EQ(queue.pop(), 1);
}

TEST(Queue, TheChildOfAForkMayReleaseItWhileTheParentWaits)
{
  Queue queue;
  support::Blocked consumer([&] { return (bridge_status)queue.pop(-1); });
  EXPECT_EQ(support::in_child([&] {
              bridge_queue_release(queue);
              return 0;
            }),
            0);
  EXPECT_FALSE(consumer.done);
  EXPECT_EQ(queue.push(0), BRIDGE_OK);
  EXPECT_EQ(consumer.finish(), BRIDGE_OK);
}

/* ---- Many producers: tests/stress has more ---- */

TEST(Queue, ManyProducersWaitForRoomAndNobodyIsForgotten)
{
  constexpr int producers = 4;
  constexpr int each = 5000;
  Queue queue(items(2));
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; p++) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < each; i++) {
        ASSERT_EQ(queue.push(p * each + i), BRIDGE_OK);
      }
    });
  }
  int next[producers] = {};
  for (int i = 0; i < producers * each; i++) {
    int64_t value = queue.pop(-1);
    ASSERT_GE(value, 0);
    ASSERT_EQ(value % each, next[value / each]++);
    ASSERT_LE(bridge_queue_count(queue), 2u);
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(queue.pop(), BRIDGE_EEMPTY);
}
