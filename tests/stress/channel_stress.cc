/* Many senders, many receivers, some of whom select: nothing is lost or doubled,
   each sender's messages stay in order for each receiver, and all waits end. */
#include "../channel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace
{

constexpr int senders = 3;
constexpr int receivers = 3;
constexpr int64_t each = 3000;
constexpr int patience_ms = 60000; /* far beyond any real wait */

class ChannelStress : public testing::TestWithParam<bridge_queue_policy>
{
protected:
  ChannelStress()
      : channel([](bridge_channel_options &o) {
          o.items = 16;
          o.policy = GetParam();
        })
  {
  }

  void send_all(int sender)
  {
    for (int64_t i = 0; i < each; i++) {
      ASSERT_STATUS(channel.send(sender * each + i, patience_ms), BRIDGE_OK);
    }
  }

  void check(std::vector<int64_t> &last, int64_t value)
  {
    const auto sender = static_cast<size_t>(value / each);
    ASSERT_LT(sender, last.size());
    ASSERT_GT(value, last[sender]);
    last[sender] = value;
    received++;
    sum += value;
  }

  bridge_status take(int way, std::vector<bridge_message *> &batch)
  {
    size_t count = 0;
    size_t index = 0;
    bridge_status status = BRIDGE_EINVAL;
    batch.assign(5, nullptr);
    if (way == 0) {
      status = bridge_channel_receive_batch(channel, batch.data(), batch.size(),
                                            &count, patience_ms);
    } else if (way == 1) {
      count = 1;
      status = bridge_channel_receive(channel, batch.data(), patience_ms);
    } else {
      count = 1;
      const bridge_select_item items[] = {{BRIDGE_HANDLE_CHANNEL, never},
                                          {BRIDGE_HANDLE_CHANNEL, channel}};
      status = bridge_select(items, 2, patience_ms, &index, batch.data());
    }
    batch.resize(status == BRIDGE_OK ? count : 0);
    return status;
  }

  void receive_all(int way)
  {
    std::vector<int64_t> last(senders, -1);
    std::vector<bridge_message *> batch;
    bridge_status status = BRIDGE_OK;
    while ((status = take(way, batch)) == BRIDGE_OK) {
      for (bridge_message *each_one : batch) {
        check(last, Numbers::number_in(each_one));
      }
    }
    EXPECT_STATUS(status, BRIDGE_ECLOSED);
  }

  Numbers channel;
  Numbers never;
  std::atomic<int64_t> received{0};
  std::atomic<int64_t> sum{0};
};

TEST_P(ChannelStress, KeepsCount)
{
  std::vector<std::thread> sending;
  std::vector<std::thread> receiving;
  for (int i = 0; i < receivers; i++) {
    receiving.emplace_back([this, i] { receive_all(i); });
  }
  for (int i = 0; i < senders; i++) {
    sending.emplace_back([this, i] { send_all(i); });
  }
  for (auto &thread : sending) {
    thread.join();
  }
  EXPECT_STATUS(bridge_channel_close(never, BRIDGE_CHANNEL_SENDING), BRIDGE_OK);
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING),
                BRIDGE_OK);
  for (auto &thread : receiving) {
    thread.join();
  }
  const int64_t all = senders * each;
  const auto dropped = static_cast<int64_t>(bridge_channel_dropped(channel));
  EXPECT_EQ(received + dropped, all);
  if (dropped == 0) {
    EXPECT_EQ(sum, all * (all - 1) / 2);
  }
  EXPECT_EQ(bridge_channel_bytes(channel), 0u);
}

INSTANTIATE_TEST_SUITE_P(Policies,
                         ChannelStress,
                         testing::Values(BRIDGE_QUEUE_BLOCK,
                                         BRIDGE_QUEUE_DROP_OLDEST));

/* Ends the waits of both sides, in the middle, by each end. */
TEST(ChannelEnd, IsHeardByAllWhoWait)
{
  for (int round = 0; round < 300; round++) {
    Numbers channel([](bridge_channel_options &o) { o.items = 1; });
    std::vector<std::thread> threads;
    std::atomic<int64_t> in{0};
    std::atomic<int64_t> out{0};
    for (int i = 0; i < 2; i++) {
      threads.emplace_back([&] {
        while (channel.send(1, patience_ms) == BRIDGE_OK) {
          in++;
        }
      });
      threads.emplace_back([&] {
        while (channel.receive(patience_ms) == 1) {
          out++;
        }
      });
    }
    while (out < 5) {
      std::this_thread::yield();
    }
    EXPECT_STATUS(bridge_channel_close(channel, round % 2 == 0
                                                    ? BRIDGE_CHANNEL_SENDING
                                                    : BRIDGE_CHANNEL_RECEIVING),
                  BRIDGE_OK);
    for (auto &thread : threads) {
      thread.join();
    }
    EXPECT_LE(in - out, round % 2);
    EXPECT_GE(in - out, 0);
  }
}

/* One who selects from queues and channels that are filled all at once. */
TEST(SelectStress, MissesNothing)
{
  constexpr int64_t many = 20000;
  Numbers high;
  Numbers low;
  bridge_queue *made = nullptr;
  ASSERT_STATUS(bridge_queue_create(&made, nullptr), BRIDGE_OK);
  Owned<bridge_queue> queue(made);
  const bridge_select_item items[] = {{BRIDGE_HANDLE_CHANNEL, high},
                                      {BRIDGE_HANDLE_QUEUE, made},
                                      {BRIDGE_HANDLE_CHANNEL, low}};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&, i] {
      for (int64_t j = 0; j < many; j++) {
        bridge_message *m = message(j);
        ASSERT_STATUS(i == 1 ? bridge_queue_push(made, &m)
                             : bridge_channel_send(i == 0 ? high : low, &m),
                      BRIDGE_OK);
      }
    });
  }
  int64_t next[3] = {0, 0, 0};
  for (int64_t i = 0; i < 3 * many; i++) {
    bridge_message *m = nullptr;
    size_t index = 0;
    ASSERT_STATUS(bridge_select(items, 3, patience_ms, &index, &m), BRIDGE_OK);
    ASSERT_EQ(Numbers::number_in(m), next[index]++);
  }
  for (auto &thread : threads) {
    thread.join();
  }
}

/* Mutexes and counters under contention, with waits that give up. */
TEST(SyncStress, GivesUpWithoutLosingTheLock)
{
  bridge_mutex *mutex = nullptr;
  bridge_counter *done = nullptr;
  ASSERT_STATUS(bridge_mutex_create(&mutex), BRIDGE_OK);
  ASSERT_STATUS(bridge_counter_create(&done, 0), BRIDGE_OK);
  int64_t inside = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&, i] {
      for (int64_t got = 0; got < 500;) {
        bridge_status status = bridge_mutex_lock(mutex, i % 2, nullptr);
        if (status == BRIDGE_OK) {
          inside++;
          got++;
          ASSERT_STATUS(bridge_mutex_unlock(mutex), BRIDGE_OK);
        } else {
          std::this_thread::yield();
        }
      }
      ASSERT_STATUS(bridge_counter_add(done, 1, nullptr), BRIDGE_OK);
    });
  }
  EXPECT_STATUS(
      bridge_counter_wait(done, BRIDGE_AT_LEAST, 4, patience_ms, nullptr),
      BRIDGE_OK);
  for (auto &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(inside, 2000);
  bridge_mutex_release(mutex);
  bridge_counter_release(done);
}

} // namespace
