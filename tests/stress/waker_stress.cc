/* Wakers under fire: no wake-up is missed, and the number of a closed descriptor
   is never written to. */
#include <bridge/bridge.h>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr int raisers = 3;
constexpr int patience_ms = 30000; /* far beyond any real wait */

class WakerStress : public testing::TestWithParam<bridge_waker_kind>
{
};

std::string name_of(const testing::TestParamInfo<bridge_waker_kind> &info)
{
  const char *names[] = {"Default", "Eventfd", "Pipe", "Udp", "Condition"};
  return names[info.param];
}

INSTANTIATE_TEST_SUITE_P(Each,
                         WakerStress,
                         testing::Values(BRIDGE_WAKER_EVENTFD,
                                         BRIDGE_WAKER_PIPE,
                                         BRIDGE_WAKER_UDP,
                                         BRIDGE_WAKER_CONDITION),
                         name_of);

/* Sockets that take the numbers of closed descriptors, and notice every kind of
   write that a waker does. */
class Squatters
{
public:
  ~Squatters()
  {
    for (int file : files) {
      close(file);
    }
  }
  void move_in()
  {
    int pair[2];
    if (files.size() < 64 &&
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0) {
      files.push_back(pair[0]);
      files.push_back(pair[1]);
    }
  }
  bool disturbed() const
  {
    char bytes[16];
    for (int file : files) {
      if (recv(file, bytes, sizeof bytes, 0) >= 0) {
        return true;
      }
    }
    return false;
  }

private:
  std::vector<int> files;
};

} // namespace

TEST_P(WakerStress, NoRaiseIsMissed)
{
  constexpr int each = 20000;
  bridge_waker *waker = nullptr;
  int file = -1;
  ASSERT_EQ(bridge_waker_create(&waker, GetParam()), BRIDGE_OK);
  bridge_waker_fileno(waker, &file);
  std::atomic<int> work{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < raisers; i++) {
    threads.emplace_back([&] {
      for (int n = 0; n < each; n++) {
        work.fetch_add(1, std::memory_order_relaxed);
        ASSERT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
        if (n % 8 == 0) {
          std::this_thread::yield(); /* so that the consumer falls asleep */
        }
      }
    });
  }
  for (int round = 0; work.load(std::memory_order_relaxed) < raisers * each;
       round++) {
    if (file >= 0 && round % 2 == 0) {
      struct pollfd entry = {file, POLLIN, 0};
      ASSERT_EQ(poll(&entry, 1, patience_ms), 1);
    } else {
      ASSERT_EQ(bridge_waker_wait(waker, patience_ms), BRIDGE_OK);
    }
    ASSERT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  /* What is left over is one raise at most. */
  ASSERT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_wait(waker, 0), BRIDGE_ETIMEDOUT);
  bridge_waker_release(waker);
}

/* One raise is one wake-up: who has cleared it is not woken by it again. */
TEST_P(WakerStress, NoRaiseCountsTwice)
{
  constexpr int rounds = 20000;
  bridge_waker *ball = nullptr;
  bridge_waker *back = nullptr;
  ASSERT_EQ(bridge_waker_create(&ball, GetParam()), BRIDGE_OK);
  ASSERT_EQ(bridge_waker_create(&back, GetParam()), BRIDGE_OK);
  std::atomic<int> thrown{0};
  std::thread partner([&] {
    for (int i = 1; i <= rounds; i++) {
      ASSERT_EQ(bridge_waker_wait(ball, patience_ms), BRIDGE_OK);
      ASSERT_EQ(bridge_waker_clear(ball), BRIDGE_OK);
      ASSERT_EQ(thrown.load(std::memory_order_relaxed), i);
      ASSERT_EQ(bridge_waker_raise(back), BRIDGE_OK);
    }
  });
  for (int i = 1; i <= rounds; i++) {
    thrown.store(i, std::memory_order_relaxed);
    ASSERT_EQ(bridge_waker_raise(ball), BRIDGE_OK);
    ASSERT_EQ(bridge_waker_wait(back, patience_ms), BRIDGE_OK);
    ASSERT_EQ(bridge_waker_clear(back), BRIDGE_OK);
  }
  partner.join();
  bridge_waker_release(ball);
  bridge_waker_release(back);
}

TEST_P(WakerStress, AClosedDescriptorIsNotWrittenTo)
{
  for (int round = 0; round < 60; round++) {
    bridge_waker *waker = nullptr;
    ASSERT_EQ(bridge_waker_create(&waker, GetParam()), BRIDGE_OK);
    std::atomic<int> inside{0};
    std::atomic<int> left{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < raisers; i++) {
      threads.emplace_back([&] {
        inside++;
        while (bridge_waker_raise(waker) == BRIDGE_OK) {
        }
        left++;
      });
    }
    threads.emplace_back([&] {
      inside++;
      bridge_status status = BRIDGE_OK;
      while (status == BRIDGE_OK) {
        status = bridge_waker_wait(waker, patience_ms);
        bridge_waker_clear(waker);
      }
      EXPECT_EQ(status, BRIDGE_ECLOSED);
      left++;
    });
    while (inside < raisers + 1) {
      std::this_thread::yield();
    }
    Squatters squatters;
    EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
    while (left < raisers + 1) {
      squatters.move_in();
      std::this_thread::yield();
    }
    squatters.move_in();
    for (std::thread &thread : threads) {
      thread.join();
    }
    ASSERT_FALSE(squatters.disturbed()) << "round " << round;
    bridge_waker_release(waker);
  }
}

TEST(CallbackStress, ACallbackIsReleasedOnceAndNeverCalledAfterwards)
{
  struct State {
    std::atomic<int> calls{0};
    std::atomic<bool> released{false};
    std::atomic<bool> late{false};
  };
  for (int round = 0; round < 60; round++) {
    State state;
    bridge_waker *waker = nullptr;
    ASSERT_EQ(bridge_waker_create_callback(
                  &waker,
                  [](void *user) {
                    auto *self = static_cast<State *>(user);
                    self->calls++;
                    if (self->released) {
                      self->late = true;
                    }
                  },
                  &state,
                  [](void *user) {
                    auto *self = static_cast<State *>(user);
                    if (self->released.exchange(true)) {
                      self->late = true;
                    }
                  }),
              BRIDGE_OK);
    std::vector<std::thread> threads;
    for (int i = 0; i < raisers; i++) {
      threads.emplace_back([&] {
        while (bridge_waker_raise(waker) == BRIDGE_OK) {
          bridge_waker_clear(waker);
        }
      });
    }
    while (state.calls < 10) {
      std::this_thread::yield();
    }
    EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
    for (std::thread &thread : threads) {
      thread.join();
    }
    EXPECT_TRUE(state.released);
    EXPECT_FALSE(state.late);
    bridge_waker_release(waker);
  }
}
