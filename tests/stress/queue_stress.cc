/* Many producers, one consumer: nothing is lost, doubled or out of order, and no
   wake-up is missed, for each policy and each way to wait. */
#include <bridge/bridge.h>

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace
{

constexpr int producers = 4;
constexpr int each = 4000;
constexpr int patience_ms = 30000; /* far beyond any real wait */

using Parameters = std::tuple<bridge_queue_policy, bridge_waker_kind>;

bridge_message *number(int64_t value)
{
  bridge_message *message = nullptr;
  EXPECT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_message_write_integer(message, value), BRIDGE_OK);
  return message;
}

int64_t value_of(bridge_message *message)
{
  bridge_reader reader;
  int64_t value = -1;
  EXPECT_EQ(bridge_reader_init(&reader, message), BRIDGE_OK);
  EXPECT_EQ(bridge_reader_integer(&reader, &value), BRIDGE_OK);
  bridge_message_release(message);
  return value;
}

class QueueStress : public testing::TestWithParam<Parameters>
{
protected:
  void SetUp() override
  {
    bridge_queue_options options;
    bridge_queue_options_init(&options);
    options.items = 32;
    options.policy = std::get<0>(GetParam());
    options.waker_kind = std::get<1>(GetParam());
    ASSERT_EQ(bridge_queue_create(&queue, &options), BRIDGE_OK);
    bridge_waker_fileno(bridge_queue_waker(queue), &file);
  }
  void TearDown() override
  {
    bridge_queue_release(queue);
  }

  /* One at a time or several, until all are in or the queue is closed. */
  void produce(int producer)
  {
    int sent = 0;
    while (sent < each) {
      const int wanted = std::min(1 + sent % 7, each - sent);
      const int done = wanted == 1 ? push_one(producer * each + sent)
                                   : push_some(producer * each + sent, wanted);
      if (done < 0) {
        break;
      }
      if (done == 0) {
        std::this_thread::yield();
      }
      sent += done;
    }
    accepted += sent;
  }

  /* Wait for the next message as this kind is waited for. */
  bridge_status next(bridge_message **message)
  {
    if (file < 0) {
      return bridge_queue_pop(queue, message, patience_ms);
    }
    for (;;) {
      bridge_status status = bridge_queue_pop(queue, message, 0);
      if (status != BRIDGE_EEMPTY) {
        return status;
      }
      struct pollfd entry = {file, POLLIN, 0};
      if (poll(&entry, 1, patience_ms) != 1) {
        return BRIDGE_ETIMEDOUT;
      }
    }
  }

  void check(int64_t value)
  {
    ASSERT_GE(value, 0);
    const auto producer = static_cast<size_t>(value / each);
    ASSERT_LT(producer, static_cast<size_t>(producers));
    ASSERT_GT(value % each, last[producer]);
    last[producer] = value % each;
    received++;
  }

  void consume()
  {
    bridge_message *message = nullptr;
    bridge_status status = next(&message);
    while (status == BRIDGE_OK) {
      check(value_of(message));
      if (HasFatalFailure()) {
        return;
      }
      status = next(&message);
    }
    EXPECT_EQ(status, BRIDGE_ECLOSED);
  }

  /* Stop after some, and expect the descriptor to say that there is more. */
  void consume_in_steps()
  {
    bridge_message *messages[5];
    size_t count = 0;
    bridge_status status = BRIDGE_OK;
    while (status == BRIDGE_OK || status == BRIDGE_EEMPTY) {
      struct pollfd entry = {file, POLLIN, 0};
      ASSERT_EQ(poll(&entry, 1, patience_ms), 1);
      status = bridge_queue_pop_batch(queue, messages, 5, &count, 0);
      for (size_t i = 0; i < count; i++) {
        check(value_of(messages[i]));
      }
    }
    EXPECT_EQ(status, BRIDGE_ECLOSED);
  }

  void start()
  {
    for (int i = 0; i < producers; i++) {
      threads.emplace_back([this, i] { produce(i); });
    }
  }
  void join()
  {
    for (std::thread &thread : threads) {
      thread.join();
    }
  }
  void expect_all()
  {
    const auto dropped = static_cast<int64_t>(bridge_queue_dropped(queue));
    EXPECT_EQ(received + dropped, accepted);
    if (std::get<0>(GetParam()) != BRIDGE_QUEUE_DROP_OLDEST) {
      EXPECT_EQ(dropped, 0);
    }
    EXPECT_EQ(bridge_queue_count(queue), 0u);
    EXPECT_EQ(bridge_queue_bytes(queue), 0u);
  }

  bridge_queue *queue = nullptr;
  int file = -1;
  std::atomic<int64_t> accepted{0};
  int64_t received = 0;
  int64_t last[producers] = {-1, -1, -1, -1};
  std::vector<std::thread> threads;

private:
  int push_one(int64_t value)
  {
    bridge_message *message = number(value);
    bridge_status status = bridge_queue_push(queue, &message);
    bridge_message_release(message);
    EXPECT_TRUE(status == BRIDGE_OK || status == BRIDGE_EFULL ||
                status == BRIDGE_ECLOSED);
    return status == BRIDGE_OK ? 1 : status == BRIDGE_EFULL ? 0 : -1;
  }
  int push_some(int64_t first, int count)
  {
    std::vector<bridge_message *> messages;
    for (int i = 0; i < count; i++) {
      messages.push_back(number(first + i));
    }
    size_t done = 0;
    bridge_status status =
        bridge_queue_push_batch(queue, messages.data(), messages.size(), &done);
    for (bridge_message *message : messages) {
      bridge_message_release(message);
    }
    return status == BRIDGE_ECLOSED && done == 0 ? -1 : static_cast<int>(done);
  }
};

using QueueStressInALoop = QueueStress;

const auto policies = testing::Values(
    BRIDGE_QUEUE_BLOCK, BRIDGE_QUEUE_FAIL, BRIDGE_QUEUE_DROP_OLDEST);

std::string name_of(const testing::TestParamInfo<Parameters> &info)
{
  const char *first[] = {"Block", "Fail", "Drop"};
  const char *second[] = {"Default", "Eventfd", "Pipe", "Udp", "Condition"};
  return std::string(first[std::get<0>(info.param)]) +
         second[std::get<1>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(
    Each,
    QueueStress,
    testing::Combine(policies,
                     testing::Values(BRIDGE_WAKER_CONDITION,
                                     BRIDGE_WAKER_EVENTFD,
                                     BRIDGE_WAKER_PIPE,
                                     BRIDGE_WAKER_UDP)),
    name_of);
INSTANTIATE_TEST_SUITE_P(Each,
                         QueueStressInALoop,
                         testing::Combine(policies,
                                          testing::Values(BRIDGE_WAKER_EVENTFD,
                                                          BRIDGE_WAKER_PIPE,
                                                          BRIDGE_WAKER_UDP)),
                         name_of);

} // namespace

TEST_P(QueueStress, NothingIsLostOrOutOfOrder)
{
  start();
  std::thread closer([this] {
    join();
    EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  });
  consume();
  closer.join();
  EXPECT_EQ(accepted, producers * each);
  expect_all();
}

TEST_P(QueueStressInALoop, WhoStopsEarlyIsToldThatThereIsMore)
{
  start();
  std::thread closer([this] {
    join();
    EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  });
  consume_in_steps();
  closer.join();
  EXPECT_EQ(accepted, producers * each);
  expect_all();
}

TEST_P(QueueStress, WhatWasTakenBeforeTheCloseComesOut)
{
  start();
  bridge_message *message = nullptr;
  /* Where the oldest are dropped there may be no more than fit. */
  const bool drops = std::get<0>(GetParam()) == BRIDGE_QUEUE_DROP_OLDEST;
  for (int i = 0; i < (drops ? 20 : 500); i++) {
    ASSERT_EQ(next(&message), BRIDGE_OK);
    check(value_of(message));
  }
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  consume();
  join();
  expect_all();
}

/* Consumers who take turns are refused, never let in together. */
TEST_P(QueueStress, OneConsumerAtATime)
{
  std::atomic<int> refused{0};
  std::atomic<int64_t> got{0};
  std::atomic<bool> ended{false};
  start();
  std::vector<std::thread> consumers;
  for (int i = 0; i < 3; i++) {
    consumers.emplace_back([&] {
      while (!ended) {
        bridge_message *message = nullptr;
        bridge_status status = bridge_queue_pop(queue, &message, 1);
        if (status == BRIDGE_OK) {
          got++;
          bridge_message_release(message);
        } else if (status == BRIDGE_EBUSY) {
          refused++;
          std::this_thread::yield();
        } else if (status == BRIDGE_ECLOSED) {
          ended = true;
        }
      }
    });
  }
  join();
  EXPECT_EQ(bridge_queue_close(queue), BRIDGE_OK);
  for (std::thread &consumer : consumers) {
    consumer.join();
  }
  received = got;
  expect_all();
}
