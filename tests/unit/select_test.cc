/* Select: priority, waiting for several, the consumer's seat, cancelling. */
#include "../channel.h"

#include <atomic>
#include <thread>
#include <vector>

namespace
{

constexpr int kLong = 20000;

class Select : public testing::Test
{
protected:
  void SetUp() override
  {
    bridge_queue *made = nullptr;
    ASSERT_STATUS(bridge_queue_create(&made, nullptr), BRIDGE_OK);
    queue.reset(made);
    items = {{BRIDGE_HANDLE_CHANNEL, first},
             {BRIDGE_HANDLE_QUEUE, queue.get()},
             {BRIDGE_HANDLE_CHANNEL, last}};
  }

  bridge_status push(int64_t value)
  {
    bridge_message *m = message(value);
    return bridge_queue_push(queue.get(), &m);
  }

  /* The number, or the status, which is negative. */
  int64_t choose(int timeout_ms = 0)
  {
    bridge_message *m = nullptr;
    index = 99;
    bridge_status status =
        bridge_select(items.data(), items.size(), timeout_ms, &index, &m);
    EXPECT_EQ(m != nullptr, status == BRIDGE_OK);
    return status == BRIDGE_OK ? Numbers::number_in(m) : int64_t{status};
  }

  Numbers first;
  Owned<bridge_queue> queue;
  Numbers last;
  std::vector<bridge_select_item> items;
  size_t index = 0;
};

TEST_F(Select, RefusesWhatIsNoList)
{
  bridge_message *m = nullptr;
  EXPECT_STATUS(bridge_select(nullptr, 1, 0, &index, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_select(items.data(), 0, 0, &index, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_select(items.data(), 1, 0, nullptr, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_select(items.data(), 1, 0, &index, nullptr),
                BRIDGE_EINVAL);
  items[1].handle = nullptr;
  EXPECT_EQ(choose(), BRIDGE_EINVAL);
  items[1] = {BRIDGE_HANDLE_QUEUE, first};
  EXPECT_EQ(choose(), BRIDGE_EINVAL);
  items[1] = {BRIDGE_HANDLE_WAKER, bridge_queue_waker(queue.get())};
  EXPECT_EQ(choose(), BRIDGE_EINVAL);
}

TEST_F(Select, TakesFromTheFirstThatHasSomething)
{
  EXPECT_STATUS(last.send(3), BRIDGE_OK);
  EXPECT_STATUS(push(2), BRIDGE_OK);
  EXPECT_STATUS(first.send(1), BRIDGE_OK);
  for (int64_t i = 1; i <= 3; i++) {
    EXPECT_EQ(choose(), i);
    EXPECT_EQ(index, static_cast<size_t>(i - 1));
  }
  EXPECT_EQ(choose(), BRIDGE_EEMPTY);
  EXPECT_EQ(choose(1), BRIDGE_ETIMEDOUT);
}

TEST_F(Select, IsWokenByEachOfThem)
{
  for (int64_t round = 0; round < 300; round++) {
    std::thread sender([&] {
      EXPECT_STATUS(round % 3 == 0   ? first.send(round)
                    : round % 3 == 1 ? push(round)
                                     : last.send(round),
                    BRIDGE_OK);
    });
    EXPECT_EQ(choose(kLong), round);
    EXPECT_EQ(index, static_cast<size_t>(round % 3));
    sender.join();
  }
}

TEST_F(Select, PassesOverWhatIsClosed)
{
  EXPECT_STATUS(bridge_channel_close(first, BRIDGE_CHANNEL_SENDING), BRIDGE_OK);
  EXPECT_STATUS(push(2), BRIDGE_OK);
  EXPECT_STATUS(bridge_queue_close(queue.get()), BRIDGE_OK);
  EXPECT_EQ(choose(-1), 2);
  EXPECT_EQ(choose(), BRIDGE_EEMPTY);
  std::thread closer([&] {
    EXPECT_STATUS(bridge_channel_close(last, BRIDGE_CHANNEL_RECEIVING),
                  BRIDGE_OK);
  });
  EXPECT_EQ(choose(-1), BRIDGE_ECLOSED);
  closer.join();
}

TEST_F(Select, ACloseOfTheQueueEndsTheWait)
{
  items = {{BRIDGE_HANDLE_QUEUE, queue.get()}};
  std::thread closer(
      [&] { EXPECT_STATUS(bridge_queue_close(queue.get()), BRIDGE_OK); });
  EXPECT_EQ(choose(-1), BRIDGE_ECLOSED);
  closer.join();
}

TEST_F(Select, TellsWhichChannelWasWoken)
{
  std::atomic<bool> done{false};
  std::thread waker([&] {
    while (!done) {
      EXPECT_STATUS(bridge_channel_wake(last), BRIDGE_OK);
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(choose(-1), BRIDGE_EEMPTY);
  done = true;
  waker.join();
  EXPECT_EQ(index, 2u);
}

TEST_F(Select, LeavesTheSeatOfAQueue)
{
  EXPECT_EQ(choose(1), BRIDGE_ETIMEDOUT);
  EXPECT_STATUS(push(1), BRIDGE_OK);
  bridge_message *m = nullptr;
  EXPECT_STATUS(bridge_queue_pop(queue.get(), &m, 0), BRIDGE_OK);
  bridge_message_release(m);
}

TEST_F(Select, KeepsTheOneConsumerOfAQueue)
{
  std::atomic<bool> over{false};
  std::thread other([&] {
    EXPECT_EQ(choose(-1), 7);
    over = true;
  });
  bridge_message *m = nullptr;
  bridge_status status = BRIDGE_EEMPTY;
  while (status == BRIDGE_EEMPTY) { /* until the other has begun */
    status = bridge_queue_pop(queue.get(), &m, 0);
    std::this_thread::yield();
  }
  EXPECT_STATUS(status, BRIDGE_EBUSY);
  EXPECT_FALSE(over);
  EXPECT_STATUS(first.send(7), BRIDGE_OK);
  other.join();
  items = {{BRIDGE_HANDLE_QUEUE, queue.get()},
           {BRIDGE_HANDLE_QUEUE, queue.get()}};
  EXPECT_EQ(choose(), BRIDGE_EBUSY);
  EXPECT_EQ(index, 1u);
  EXPECT_STATUS(bridge_queue_pop(queue.get(), &m, 0), BRIDGE_EEMPTY);
}

TEST_F(Select, WaitsForAQueueWhoseWakerCallsBack)
{
  bridge_waker *waker = nullptr;
  std::atomic<int> calls{0};
  ASSERT_STATUS(
      bridge_waker_create_callback(
          &waker, [](void *user) { ++*static_cast<std::atomic<int> *>(user); },
          &calls, nullptr),
      BRIDGE_OK);
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker = waker;
  bridge_queue *made = nullptr;
  ASSERT_STATUS(bridge_queue_create(&made, &options), BRIDGE_OK);
  bridge_waker_release(waker);
  queue.reset(made);
  items = {{BRIDGE_HANDLE_QUEUE, made}};
  std::thread sender([&] { EXPECT_STATUS(push(5), BRIDGE_OK); });
  EXPECT_EQ(choose(kLong), 5);
  sender.join();
  EXPECT_EQ(calls, 1);
}

TEST_F(Select, WaitsForMoreThanAFew)
{
  std::vector<std::unique_ptr<Numbers>> many;
  items.clear();
  for (int i = 0; i < 100; i++) {
    many.push_back(std::make_unique<Numbers>());
    items.push_back({BRIDGE_HANDLE_CHANNEL, *many.back()});
  }
  EXPECT_EQ(choose(), BRIDGE_EEMPTY);
  std::thread sender([&] { EXPECT_STATUS(many[77]->send(77), BRIDGE_OK); });
  EXPECT_EQ(choose(kLong), 77);
  sender.join();
  EXPECT_EQ(index, 77u);
}

TEST_F(Select, AChannelMayBeInItTwice)
{
  items = {{BRIDGE_HANDLE_CHANNEL, first}, {BRIDGE_HANDLE_CHANNEL, first}};
  std::thread sender([&] { EXPECT_STATUS(first.send(1), BRIDGE_OK); });
  EXPECT_EQ(choose(kLong), 1);
  sender.join();
  EXPECT_EQ(bridge_channel_count(first), 0u);
}

} // namespace
