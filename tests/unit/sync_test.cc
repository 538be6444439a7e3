/* Counters, flags and mutexes: their steps, their waits, their owners. */
#include "../support.h"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

extern "C" {
/* sync/owner.h is no C++. */
struct bridge__owner {
  uint64_t number;
  bridge_mutex *locked;
};
void bridge__owner_init(bridge__owner *owner);
bridge__owner *bridge__owner_bind(bridge__owner *owner);
void bridge__owner_end(bridge__owner *owner);
}

namespace
{

constexpr int kLong = 20000;

template <typename T, typename... Arguments>
Owned<T> make(bridge_status (*create)(T **, Arguments...), Arguments... with)
{
  T *made = nullptr;
  EXPECT_STATUS(create(&made, with...), BRIDGE_OK);
  return Owned<T>(made);
}

/* Who waits says that it is about to: what it then finds, at once or after a wait,
   has to be the same. */
std::thread waiter(std::atomic<int> &coming,
                   const std::function<bridge_status()> &wait,
                   bridge_status expected)
{
  return std::thread([&coming, wait, expected] {
    coming++;
    EXPECT_STATUS(wait(), expected);
  });
}

void until(const std::atomic<int> &coming, int count)
{
  while (coming < count) {
    std::this_thread::yield();
  }
}

/* ---- Counter ---- */

TEST(Counter, CountsInOneStep)
{
  auto counter = make(bridge_counter_create, int64_t{5});
  int64_t seen = 0;
  EXPECT_EQ(bridge_counter_get(counter.get()), 5);
  EXPECT_STATUS(bridge_counter_add(counter.get(), -7, &seen), BRIDGE_OK);
  EXPECT_EQ(seen, -2);
  EXPECT_STATUS(bridge_counter_set(counter.get(), 10, &seen), BRIDGE_OK);
  EXPECT_EQ(seen, -2);
  int64_t expected = 9;
  EXPECT_STATUS(bridge_counter_exchange(counter.get(), &expected, 1),
                BRIDGE_EBUSY);
  EXPECT_EQ(expected, 10);
  EXPECT_STATUS(bridge_counter_exchange(counter.get(), &expected, 1),
                BRIDGE_OK);
  EXPECT_EQ(bridge_counter_get(counter.get()), 1);
}

TEST(Counter, DoesNotOverflow)
{
  auto counter = make(bridge_counter_create, INT64_MAX);
  EXPECT_STATUS(bridge_counter_add(counter.get(), 1, nullptr),
                BRIDGE_EOVERFLOW);
  EXPECT_EQ(bridge_counter_get(counter.get()), INT64_MAX);
  EXPECT_STATUS(bridge_counter_add(counter.get(), INT64_MIN, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(bridge_counter_get(counter.get()), -1);
  EXPECT_STATUS(bridge_counter_add(counter.get(), INT64_MIN, nullptr),
                BRIDGE_EOVERFLOW);
}

TEST(Counter, RefusesNull)
{
  int64_t seen = 0;
  auto counter = make(bridge_counter_create, int64_t{0});
  EXPECT_STATUS(bridge_counter_create(nullptr, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_counter_get(nullptr), 0);
  EXPECT_STATUS(bridge_counter_set(nullptr, 0, &seen), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_counter_add(nullptr, 0, &seen), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_counter_exchange(nullptr, &seen, 0), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_counter_exchange(counter.get(), nullptr, 0),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_counter_wait(nullptr, BRIDGE_EQUAL, 0, 0, &seen),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_counter_wait(counter.get(),
                                    static_cast<bridge_relation>(4), 0, 0,
                                    &seen),
                BRIDGE_EINVAL);
  EXPECT_EQ(bridge_counter_retain(nullptr), nullptr);
  bridge_counter_release(nullptr);
}

TEST(Counter, WaitsForEachRelation)
{
  auto counter = make(bridge_counter_create, int64_t{3});
  const struct {
    bridge_relation relation;
    int64_t so;
    int64_t not_so;
  } cases[] = {{BRIDGE_AT_LEAST, 3, 4},
               {BRIDGE_AT_MOST, 3, 2},
               {BRIDGE_EQUAL, 3, 2},
               {BRIDGE_NOT_EQUAL, 2, 3}};
  for (const auto &each : cases) {
    int64_t seen = 0;
    EXPECT_STATUS(
        bridge_counter_wait(counter.get(), each.relation, each.so, -1, &seen),
        BRIDGE_OK);
    EXPECT_EQ(seen, 3);
    for (int timeout_ms : {0, 1}) {
      EXPECT_STATUS(bridge_counter_wait(counter.get(), each.relation,
                                        each.not_so, timeout_ms, nullptr),
                    BRIDGE_ETIMEDOUT);
    }
  }
}

TEST(Counter, ManyWaitUntilItIsReached)
{
  auto counter = make(bridge_counter_create, int64_t{0});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; j++) {
        EXPECT_STATUS(bridge_counter_add(counter.get(), 1, nullptr), BRIDGE_OK);
      }
      EXPECT_STATUS(bridge_counter_wait(counter.get(), BRIDGE_AT_LEAST, 4000,
                                        kLong, nullptr),
                    BRIDGE_OK);
    });
  }
  for (auto &each : threads) {
    each.join();
  }
  EXPECT_EQ(bridge_counter_get(counter.get()), 4000);
}

TEST(Counter, ClosedWakesThoseWhoWaitForWhatItIsNot)
{
  auto counter = make(bridge_counter_create, int64_t{1});
  std::atomic<int> coming{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.push_back(waiter(
        coming,
        [&counter, i] {
          return bridge_counter_wait(counter.get(), BRIDGE_AT_LEAST, 2 + i, -1,
                                     nullptr);
        },
        i == 0 ? BRIDGE_OK : BRIDGE_ECLOSED));
  }
  until(coming, 4);
  EXPECT_FALSE(bridge_counter_closed(counter.get()));
  EXPECT_STATUS(bridge_counter_add(counter.get(), 1, nullptr), BRIDGE_OK);
  EXPECT_STATUS(bridge_counter_close(counter.get()), BRIDGE_OK);
  for (auto &each : threads) {
    each.join();
  }
}

TEST(Counter, ClosedStaysAsItIs)
{
  auto counter = make(bridge_counter_create, int64_t{7});
  for (int i = 0; i < 2; i++) {
    EXPECT_STATUS(bridge_counter_close(counter.get()), BRIDGE_OK);
    EXPECT_TRUE(bridge_counter_closed(counter.get()));
  }
  int64_t seen = 7;
  EXPECT_STATUS(bridge_counter_add(counter.get(), 1, nullptr), BRIDGE_ECLOSED);
  EXPECT_STATUS(bridge_counter_set(counter.get(), 1, nullptr), BRIDGE_ECLOSED);
  EXPECT_STATUS(bridge_counter_exchange(counter.get(), &seen, 1),
                BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_counter_get(counter.get()), 7);
  for (int timeout_ms : {-1, 0, kLong}) {
    EXPECT_STATUS(bridge_counter_wait(counter.get(), BRIDGE_EQUAL, 7,
                                      timeout_ms, nullptr),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_counter_wait(counter.get(), BRIDGE_EQUAL, 8,
                                      timeout_ms, nullptr),
                  BRIDGE_ECLOSED);
  }
  EXPECT_STATUS(bridge_counter_close(nullptr), BRIDGE_EINVAL);
  EXPECT_TRUE(bridge_counter_closed(nullptr));
}

/* ---- Flag ---- */

TEST(Flag, IsSetAndCleared)
{
  auto flag = make(bridge_flag_create, false);
  EXPECT_FALSE(bridge_flag_is_set(flag.get()));
  EXPECT_STATUS(bridge_flag_wait(flag.get(), 0), BRIDGE_ETIMEDOUT);
  EXPECT_STATUS(bridge_flag_wait(flag.get(), 1), BRIDGE_ETIMEDOUT);
  for (int i = 0; i < 2; i++) {
    EXPECT_STATUS(bridge_flag_set(flag.get()), BRIDGE_OK);
    EXPECT_TRUE(bridge_flag_is_set(flag.get()));
    EXPECT_STATUS(bridge_flag_wait(flag.get(), -1), BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_flag_clear(flag.get()), BRIDGE_OK);
  EXPECT_FALSE(bridge_flag_is_set(flag.get()));
  EXPECT_TRUE(bridge_flag_is_set(make(bridge_flag_create, true).get()));
}

TEST(Flag, RefusesNull)
{
  EXPECT_STATUS(bridge_flag_create(nullptr, false), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_flag_set(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_flag_clear(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_flag_wait(nullptr, 0), BRIDGE_EINVAL);
  EXPECT_FALSE(bridge_flag_is_set(nullptr));
  EXPECT_EQ(bridge_flag_retain(nullptr), nullptr);
  bridge_flag_release(nullptr);
}

TEST(Flag, WakesAll)
{
  auto flag = make(bridge_flag_create, false);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back(
        [&] { EXPECT_STATUS(bridge_flag_wait(flag.get(), kLong), BRIDGE_OK); });
  }
  EXPECT_STATUS(bridge_flag_set(flag.get()), BRIDGE_OK);
  for (auto &each : threads) {
    each.join();
  }
}

TEST(Flag, ClosedWakesAll)
{
  auto flag = make(bridge_flag_create, false);
  std::atomic<int> coming{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.push_back(waiter(
        coming, [&] { return bridge_flag_wait(flag.get(), -1); },
        BRIDGE_ECLOSED));
  }
  until(coming, 4);
  EXPECT_FALSE(bridge_flag_closed(flag.get()));
  EXPECT_STATUS(bridge_flag_close(flag.get()), BRIDGE_OK);
  for (auto &each : threads) {
    each.join();
  }
}

TEST(Flag, ClosedStaysAsItIs)
{
  for (bool set : {false, true}) {
    auto flag = make(bridge_flag_create, bool{set});
    EXPECT_STATUS(bridge_flag_close(flag.get()), BRIDGE_OK);
    EXPECT_STATUS(bridge_flag_close(flag.get()), BRIDGE_OK);
    EXPECT_TRUE(bridge_flag_closed(flag.get()));
    EXPECT_STATUS(bridge_flag_set(flag.get()), BRIDGE_ECLOSED);
    EXPECT_STATUS(bridge_flag_clear(flag.get()), BRIDGE_ECLOSED);
    EXPECT_EQ(bridge_flag_is_set(flag.get()), set);
    EXPECT_STATUS(bridge_flag_wait(flag.get(), -1),
                  set ? BRIDGE_OK : BRIDGE_ECLOSED);
  }
  EXPECT_STATUS(bridge_flag_close(nullptr), BRIDGE_EINVAL);
  EXPECT_TRUE(bridge_flag_closed(nullptr));
}

/* ---- Mutex ---- */

TEST(Mutex, HasOneOwner)
{
  auto mutex = make(bridge_mutex_create);
  bool abandoned = true;
  EXPECT_FALSE(bridge_mutex_locked(mutex.get()));
  EXPECT_STATUS(bridge_mutex_lock(mutex.get(), -1, &abandoned), BRIDGE_OK);
  EXPECT_FALSE(abandoned);
  EXPECT_TRUE(bridge_mutex_locked(mutex.get()));
  for (int timeout_ms : {0, 1, -1}) {
    EXPECT_STATUS(bridge_mutex_lock(mutex.get(), timeout_ms, nullptr),
                  BRIDGE_EDEADLOCK);
  }
  std::thread([&] {
    EXPECT_STATUS(bridge_mutex_lock(mutex.get(), 0, nullptr), BRIDGE_EBUSY);
    EXPECT_STATUS(bridge_mutex_lock(mutex.get(), 1, nullptr), BRIDGE_ETIMEDOUT);
    EXPECT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_EINVAL);
    EXPECT_STATUS(bridge_mutex_abandon(mutex.get()), BRIDGE_EINVAL);
  }).join();
  EXPECT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_EINVAL);
}

TEST(Mutex, RefusesNull)
{
  EXPECT_STATUS(bridge_mutex_create(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_mutex_lock(nullptr, 0, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_mutex_unlock(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_mutex_abandon(nullptr), BRIDGE_EINVAL);
  EXPECT_FALSE(bridge_mutex_locked(nullptr));
  EXPECT_EQ(bridge_mutex_retain(nullptr), nullptr);
  bridge_mutex_release(nullptr);
}

TEST(Mutex, KeepsOthersOut)
{
  auto mutex = make(bridge_mutex_create);
  int64_t shared = 0; /* not atomic: ThreadSanitizer would see a hole */
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int j = 0; j < 2000; j++) {
        ASSERT_STATUS(bridge_mutex_lock(mutex.get(), kLong, nullptr),
                      BRIDGE_OK);
        shared++;
        ASSERT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_OK);
      }
    });
  }
  for (auto &each : threads) {
    each.join();
  }
  EXPECT_EQ(shared, 8000);
}

TEST(Mutex, TellsTheNextThatItWasAbandoned)
{
  auto mutex = make(bridge_mutex_create);
  ASSERT_STATUS(bridge_mutex_lock(mutex.get(), 0, nullptr), BRIDGE_OK);
  EXPECT_STATUS(bridge_mutex_abandon(mutex.get()), BRIDGE_OK);
  for (bool expected : {true, false}) {
    bool abandoned = !expected;
    EXPECT_STATUS(bridge_mutex_lock(mutex.get(), 0, &abandoned), BRIDGE_OK);
    EXPECT_EQ(abandoned, expected);
    EXPECT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_OK);
  }
}

TEST(Mutex, OfAnOwnerThatEndsIsAbandoned)
{
  auto first = make(bridge_mutex_create);
  auto second = make(bridge_mutex_create);
  auto third = make(bridge_mutex_create);
  bridge__owner owner;
  bridge__owner_init(&owner);
  bridge__owner *before = bridge__owner_bind(&owner);
  for (auto *each : {first.get(), second.get(), third.get()}) {
    ASSERT_STATUS(bridge_mutex_lock(each, 0, nullptr), BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_mutex_unlock(second.get()), BRIDGE_OK);
  bridge__owner_bind(before);
  EXPECT_STATUS(bridge_mutex_lock(first.get(), 0, nullptr), BRIDGE_EBUSY);
  third.reset(); /* the owner keeps it until it ends */
  std::thread waiter([&] {
    bool abandoned = false;
    EXPECT_STATUS(bridge_mutex_lock(first.get(), kLong, &abandoned), BRIDGE_OK);
    EXPECT_TRUE(abandoned);
    EXPECT_STATUS(bridge_mutex_unlock(first.get()), BRIDGE_OK);
  });
  bridge__owner_end(&owner);
  waiter.join();
  bool abandoned = true;
  EXPECT_STATUS(bridge_mutex_lock(second.get(), 0, &abandoned), BRIDGE_OK);
  EXPECT_FALSE(abandoned);
  EXPECT_STATUS(bridge_mutex_unlock(second.get()), BRIDGE_OK);
}

TEST(Mutex, ClosedWakesAllAndStaysWithItsOwner)
{
  auto mutex = make(bridge_mutex_create);
  ASSERT_STATUS(bridge_mutex_lock(mutex.get(), 0, nullptr), BRIDGE_OK);
  std::atomic<int> coming{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.push_back(waiter(
        coming, [&] { return bridge_mutex_lock(mutex.get(), -1, nullptr); },
        BRIDGE_ECLOSED));
  }
  until(coming, 4);
  EXPECT_FALSE(bridge_mutex_closed(mutex.get()));
  EXPECT_STATUS(bridge_mutex_close(mutex.get()), BRIDGE_OK);
  for (auto &each : threads) {
    each.join();
  }
  EXPECT_TRUE(bridge_mutex_locked(mutex.get()));
  EXPECT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_OK);
  EXPECT_FALSE(bridge_mutex_locked(mutex.get()));
}

TEST(Mutex, ClosedIsNobodys)
{
  auto mutex = make(bridge_mutex_create);
  for (int i = 0; i < 2; i++) {
    EXPECT_STATUS(bridge_mutex_close(mutex.get()), BRIDGE_OK);
    EXPECT_TRUE(bridge_mutex_closed(mutex.get()));
  }
  for (int timeout_ms : {-1, 0, kLong}) {
    EXPECT_STATUS(bridge_mutex_lock(mutex.get(), timeout_ms, nullptr),
                  BRIDGE_ECLOSED);
  }
  EXPECT_STATUS(bridge_mutex_unlock(mutex.get()), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_mutex_close(nullptr), BRIDGE_EINVAL);
  EXPECT_TRUE(bridge_mutex_closed(nullptr));
}

} // namespace
