/* The hold: who may touch a state, in which order, and what ends the wait. */
#include "../hold.h"
#include "../support.h"

extern "C" {
/* base/interrupt.h is no C++. */
struct bridge__interrupt;
bridge_status bridge__interrupt_init(bridge__interrupt *interrupt);
void bridge__interrupt_destroy(bridge__interrupt *interrupt);
bridge__interrupt *bridge__interrupt_bind(bridge__interrupt *interrupt);
void bridge__interrupt_request(bridge__interrupt *interrupt);
}

#include <atomic>
#include <thread>
#include <vector>

namespace
{

class Hold : public ::testing::Test
{
protected:
  void SetUp() override
  {
    ASSERT_STATUS(bridge__hold_init(&hold_), BRIDGE_OK);
  }

  void TearDown() override
  {
    bridge__hold_destroy(&hold_);
  }

  size_t waiting()
  {
    struct Link { /* what a waiter begins with */
      Link *next;
    };
    size_t count = 0;
    bridge__mutex_lock(&hold_.mutex);
    for (Link *each = reinterpret_cast<Link *>(hold_.first); each != nullptr;
         each = each->next) {
      count++;
    }
    bridge__mutex_unlock(&hold_.mutex);
    return count;
  }

  void await_waiting(size_t count)
  {
    while (waiting() != count) {
      std::this_thread::yield();
    }
  }

  bridge__hold hold_;
};

TEST_F(Hold, BelongsToOneThread)
{
  EXPECT_FALSE(bridge__hold_mine(&hold_));
  ASSERT_STATUS(bridge__hold_enter(&hold_, 0), BRIDGE_OK);
  EXPECT_TRUE(bridge__hold_mine(&hold_));
  std::thread other([this] {
    EXPECT_FALSE(bridge__hold_mine(&hold_));
    EXPECT_STATUS(bridge__hold_enter(&hold_, 0), BRIDGE_ETIMEDOUT);
    EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_EINVAL);
  });
  other.join();
  EXPECT_TRUE(bridge__hold_mine(&hold_));
  EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  EXPECT_FALSE(bridge__hold_mine(&hold_));
}

TEST_F(Hold, CannotBeEnteredTwiceByOneThread)
{
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_EDEADLOCK);
  EXPECT_STATUS(bridge__hold_enter(&hold_, 0), BRIDGE_EDEADLOCK);
  EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_EINVAL);
}

TEST_F(Hold, IsHandedOverFirstComeFirstServed)
{
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  std::vector<int> order; /* guarded by the hold */
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; i++) {
    threads.emplace_back([this, &order, i] {
      EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
      order.push_back(i);
      EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
    });
    await_waiting(static_cast<size_t>(i) + 1);
  }
  EXPECT_TRUE(order.empty());
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
}

TEST_F(Hold, KeepsThePlaceOfWhoComesAgainAfterATimeout)
{
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  std::vector<int> order; /* guarded by the hold */
  std::atomic<bool> came{false};
  std::atomic<bool> other_waits{false};
  std::atomic<bool> stays{false};
  std::thread sliced([&] {
    do {
      EXPECT_STATUS(bridge__hold_enter(&hold_, 1), BRIDGE_ETIMEDOUT);
      came = true;
    } while (!other_waits);
    stays = true;
    EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
    order.push_back(1);
    EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  });
  while (!came) {
    std::this_thread::yield();
  }
  std::thread other([&] {
    EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
    order.push_back(2);
    EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  });
  await_waiting(2);
  other_waits = true;
  while (!stays) {
    std::this_thread::yield();
  }
  await_waiting(2);
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  sliced.join();
  other.join();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(Hold, IsNotFreeWhileSomebodyWaits)
{
  /* The one who leaves gets it back only after the one who waited. */
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  std::atomic<bool> served{false};
  std::thread other([this, &served] {
    EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
    served = true;
    EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  });
  await_waiting(1);
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  EXPECT_TRUE(served);
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  other.join();
}

TEST_F(Hold, WaitersMayGiveUpAnywhereInTheLine)
{
  for (int quitter = 0; quitter < 3; quitter++) {
    ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
    std::vector<int> order; /* guarded by the hold */
    std::vector<std::thread> threads;
    std::vector<std::vector<unsigned char>> storage(
        1, std::vector<unsigned char>(1024));
    auto *interrupt = reinterpret_cast<bridge__interrupt *>(storage[0].data());
    ASSERT_STATUS(bridge__interrupt_init(interrupt), BRIDGE_OK);
    for (int i = 0; i < 3; i++) {
      threads.emplace_back([this, &order, interrupt, quitter, i] {
        if (i == quitter) {
          bridge__interrupt_bind(interrupt);
          EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_ECANCELLED);
          EXPECT_FALSE(bridge__hold_mine(&hold_));
          bridge__interrupt_bind(nullptr);
          return;
        }
        EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
        order.push_back(i);
        EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
      });
      await_waiting(static_cast<size_t>(i) + 1);
    }
    bridge__interrupt_request(interrupt);
    await_waiting(2);
    ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
    for (std::thread &thread : threads) {
      thread.join();
    }
    EXPECT_EQ(order.size(), 2u);
    EXPECT_LT(order[0], order[1]);
    bridge__interrupt_destroy(interrupt);
  }
}

TEST_F(Hold, AnInterruptKeepsTheWaitFromBeginning)
{
  alignas(16) unsigned char storage[1024];
  auto *interrupt = reinterpret_cast<bridge__interrupt *>(storage);
  ASSERT_STATUS(bridge__interrupt_init(interrupt), BRIDGE_OK);
  bridge__interrupt_request(interrupt);
  std::thread other([this, interrupt] {
    bridge__interrupt_bind(interrupt);
    /* Nothing to wait for. */
    EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
    EXPECT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
    bridge__interrupt_bind(nullptr);
  });
  other.join();
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  std::thread third([this, interrupt] {
    bridge__interrupt_bind(interrupt);
    EXPECT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_ECANCELLED);
    bridge__interrupt_bind(nullptr);
  });
  third.join();
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  bridge__interrupt_destroy(interrupt);
}

TEST_F(Hold, TheTimeOfAWaitEnds)
{
  ASSERT_STATUS(bridge__hold_enter(&hold_, -1), BRIDGE_OK);
  std::thread other([this] {
    EXPECT_STATUS(bridge__hold_enter(&hold_, 1), BRIDGE_ETIMEDOUT);
    EXPECT_EQ(waiting(), 0u);
  });
  other.join();
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
  ASSERT_STATUS(bridge__hold_enter(&hold_, 0), BRIDGE_OK);
  ASSERT_STATUS(bridge__hold_leave(&hold_), BRIDGE_OK);
}

} // namespace
