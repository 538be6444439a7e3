/* The hold under load: many threads, short and long waits, interrupts at any
   moment; never two inside, and never one forgotten. */
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

struct Shared {
  bridge__hold hold;
  long plain = 0; /* not atomic: ThreadSanitizer sees two inside */
  std::atomic<int> inside{0};
  std::atomic<long> entered{0};
};

void visit(Shared *shared)
{
  EXPECT_EQ(shared->inside.fetch_add(1), 0);
  shared->plain++;
  shared->entered++;
  shared->inside.fetch_sub(1);
  ASSERT_STATUS(bridge__hold_leave(&shared->hold), BRIDGE_OK);
}

TEST(HoldStress, NeverTwoAndNoneForgotten)
{
  Shared shared;
  ASSERT_STATUS(bridge__hold_init(&shared.hold), BRIDGE_OK);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([&shared, i] {
      for (int j = 0; j < 3000; j++) {
        int timeout = (i + j) % 3 - 1; /* for ever, not at all, shortly */
        bridge_status status = bridge__hold_enter(&shared.hold, timeout);
        if (status == BRIDGE_OK) {
          visit(&shared);
        } else {
          ASSERT_STATUS(status, BRIDGE_ETIMEDOUT);
          ASSERT_GE(timeout, 0);
        }
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(shared.plain, shared.entered);
  EXPECT_GE(shared.plain, 8 * 1000);
  EXPECT_EQ(shared.hold.first, nullptr);
  EXPECT_EQ(shared.hold.holder, nullptr);
  bridge__hold_destroy(&shared.hold);
}

TEST(HoldStress, AnInterruptAtAnyMomentLosesNoTurn)
{
  Shared shared;
  ASSERT_STATUS(bridge__hold_init(&shared.hold), BRIDGE_OK);
  std::atomic<bool> done{false};
  std::vector<std::thread> crowd;
  for (int i = 0; i < 3; i++) {
    crowd.emplace_back([&shared, &done] {
      while (!done) {
        ASSERT_STATUS(bridge__hold_enter(&shared.hold, -1), BRIDGE_OK);
        visit(&shared);
      }
    });
  }
  int cancelled = 0;
  for (int i = 0; i < 1000; i++) {
    alignas(16) unsigned char storage[1024];
    auto *interrupt = reinterpret_cast<bridge__interrupt *>(storage);
    ASSERT_STATUS(bridge__interrupt_init(interrupt), BRIDGE_OK);
    std::atomic<bool> stopped{false};
    std::thread victim([&shared, &stopped, &cancelled, interrupt] {
      bridge__interrupt_bind(interrupt);
      bridge_status status = BRIDGE_OK;
      while (status == BRIDGE_OK && !stopped) {
        status = bridge__hold_enter(&shared.hold, -1);
        if (status == BRIDGE_OK) {
          visit(&shared);
        }
      }
      cancelled += status == BRIDGE_ECANCELLED;
      bridge__interrupt_bind(nullptr);
    });
    for (int spin = 0; spin < i % 64; spin++) {
      std::this_thread::yield();
    }
    bridge__interrupt_request(interrupt);
    stopped = true;
    victim.join();
    bridge__interrupt_destroy(interrupt);
  }
  done = true;
  for (std::thread &thread : crowd) {
    thread.join();
  }
  EXPECT_GT(cancelled, 0);
  EXPECT_EQ(shared.plain, shared.entered);
  EXPECT_EQ(shared.hold.first, nullptr);
  EXPECT_EQ(shared.hold.holder, nullptr);
  bridge__hold_destroy(&shared.hold);
}

TEST(HoldStress, AStateIsRunByManyThreads)
{
  bridge_state *state = nullptr;
  ASSERT_STATUS(bridge_state_create(&state, nullptr, nullptr), BRIDGE_OK);
  const std::string begin = "n = 0";
  ASSERT_STATUS(bridge_state_run(state, begin.data(), begin.size(), nullptr,
                                 nullptr, nullptr, nullptr),
                BRIDGE_OK);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; i++) {
    threads.emplace_back([state, i] {
      const std::string work =
          "n = n + 1 local t = {} for i = 1, 20 do t[i] = { ... } end"
          " return n, t, function() return t end";
      const std::string fail = "n = n + 1 error({ n })";
      for (int j = 0; j < 200; j++) {
        const std::string &source = (i + j) % 5 == 0 ? fail : work;
        bridge_message *arguments = message(i, "text");
        bridge_message *results = nullptr;
        bridge_error *error = nullptr;
        bridge_status status =
            bridge_state_run(state, source.data(), source.size(), "=work",
                             &arguments, &results, &error);
        EXPECT_STATUS(status, &source == &fail ? BRIDGE_ESCRIPT : BRIDGE_OK);
        bridge_message_release(results);
        bridge_error_release(error);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  bridge_message *results = nullptr;
  ASSERT_STATUS(bridge_state_run(state, "return n", 8, nullptr, nullptr,
                                 &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(show(results), "1600");
  bridge_message_release(results);
  bridge_state_release(state);
}

} // namespace
