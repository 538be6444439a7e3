/* What the fault tests share: memory that runs out at a chosen moment, system
   calls that fail at a chosen moment, and limits of time. */
#ifndef BRIDGE_TESTS_FAULT_H
#define BRIDGE_TESTS_FAULT_H

#include "../support.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace fault
{

/* Fails the n-th request, or all from the n-th on.  Requests of any thread are
   counted while it is armed. */
class Gate
{
public:
  void arm(long number, bool for_ever)
  {
    count = 0;
    fired = false;
    ever = for_ever;
    at = number;
  }

  /* Whether a request was refused. */
  bool disarm()
  {
    at = 0;
    return fired;
  }

  bool refuses()
  {
    long first = at;
    if (first == 0) {
      return false;
    }
    long number = ++count;
    if (number != first && !(ever && number > first)) {
      return false;
    }
    fired = true;
    return true;
  }

private:
  std::atomic<long> at{0};
  std::atomic<long> count{0};
  std::atomic<bool> ever{false};
  std::atomic<bool> fired{false};
};

/* Waits until a condition holds, at most a generous time. */
inline bool soon(const std::function<bool()> &condition)
{
  const auto limit =
      std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

inline int64_t now_ms()
{
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/* A test that hangs is killed, and says by that where. */
class Bounded : public testing::Test
{
protected:
  void SetUp() override
  {
    alarm(100);
  }
  void TearDown() override
  {
    alarm(0);
  }
};

/* What a call gave, which goes by itself. */
template <typename T> class Held
{
public:
  Held() = default;
  Held(const Held &) = delete;
  Held &operator=(const Held &) = delete;
  ~Held()
  {
    Release()(pointer);
  }
  T **out()
  {
    return &pointer;
  }
  operator T *() const
  {
    return pointer;
  }
  void drop()
  {
    Release()(pointer);
    pointer = nullptr;
  }

private:
  T *pointer = nullptr;
};

/* Go on if a call of the bridge did. */
#define TRY(call)                                                              \
  do {                                                                         \
    bridge_status tried = (call);                                              \
    if (tried != BRIDGE_OK) {                                                  \
      return tried;                                                            \
    }                                                                          \
  } while (0)

} // namespace fault

#endif
