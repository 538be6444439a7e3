/* What everybody writes in C++: a deque, a mutex and two condition variables. */
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>

#include "bench.h"

static std::mutex mutex;
static std::condition_variable filled;
static std::condition_variable emptied;
static std::deque<std::unique_ptr<int64_t>> items;
static size_t most;

static void channel_open(size_t room)
{
  most = room;
}

static inline void channel_send(int64_t value)
{
  auto item = std::make_unique<int64_t>(value);
  {
    std::unique_lock<std::mutex> lock(mutex);
    emptied.wait(lock, [] { return items.size() < most; });
    items.push_back(std::move(item));
  }
  filled.notify_one();
}

static inline int64_t channel_take(void)
{
  std::unique_ptr<int64_t> item;
  {
    std::unique_lock<std::mutex> lock(mutex);
    filled.wait(lock, [] { return !items.empty(); });
    item = std::move(items.front());
    items.pop_front();
  }
  emptied.notify_one();
  return *item;
}

#include "channel_traffic.h"
