/* What the tests of threads, wakers and queues share: numbers as messages,
   children of a fork, a cancel, and waiting for a condition with a bound. */
#ifndef TESTS_CORE_SUPPORT_H
#define TESTS_CORE_SUPPORT_H

#include "message_support.h"

#include <gtest/gtest.h>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

extern "C" {
struct bridge__interrupt;
bridge_status bridge__interrupt_init(bridge__interrupt *interrupt);
void bridge__interrupt_destroy(bridge__interrupt *interrupt);
bridge__interrupt *bridge__interrupt_bind(bridge__interrupt *interrupt);
void bridge__interrupt_request(bridge__interrupt *interrupt);
}

namespace support
{

/* A message with one number in it. */
inline bridge_message *number(int64_t value)
{
  bridge_message *message = nullptr;
  EXPECT_EQ(bridge_message_create(&message, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_message_write_integer(message, value), BRIDGE_OK);
  return message;
}

/* A message of a number of bytes, at least 1. */
inline bridge_message *sized(size_t size)
{
  bridge_message *message = nullptr;
  EXPECT_EQ(bridge_message_create(&message, size), BRIDGE_OK);
  for (size_t i = 0; i < size; i++) {
    EXPECT_EQ(bridge_message_write_nil(message), BRIDGE_OK);
  }
  EXPECT_EQ(bridge_message_size(message), size);
  return message;
}

/* The number in a message, which is freed. */
inline int64_t value_of(bridge_message *message)
{
  bridge_reader reader;
  int64_t value = -1;
  EXPECT_EQ(bridge_reader_init(&reader, message), BRIDGE_OK);
  EXPECT_EQ(bridge_reader_integer(&reader, &value), BRIDGE_OK);
  bridge_message_release(message);
  return value;
}

/* Whether a descriptor is readable now, as the host's loop sees it. */
inline bool readable(int file)
{
  struct pollfd entry = {file, POLLIN, 0};
  return poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

/* The exit code of a child that runs `body` and returns a code: 0 for good. */
inline int in_child(const std::function<int()> &body)
{
  pid_t child = fork();
  if (child == 0) {
    _exit(body());
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Waits until a condition holds, at most a generous time. */
inline bool soon(const std::function<bool()> &condition)
{
  const auto limit =
      std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

/* Whether the thread of this number sleeps in the kernel. */
inline bool sleeping(pid_t thread)
{
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
  FILE *file = std::fopen(path, "r");
  if (file == nullptr) {
    return false;
  }
  char line[256] = "";
  char *got = std::fgets(line, sizeof line, file);
  std::fclose(file);
  const char *end = got == nullptr ? nullptr : std::strrchr(line, ')');
  return end != nullptr && end[1] == ' ' && end[2] == 'S';
}

/* A thread that makes one call which is expected to block. */
class Blocked
{
public:
  explicit Blocked(const std::function<bridge_status()> &call)
      : thread([this, call] {
          number = gettid();
          result = call();
          done = true;
        })
  {
    EXPECT_TRUE(
        soon([this] { return done || (number != 0 && sleeping(number)); }));
  }
  bridge_status finish()
  {
    thread.join();
    return result;
  }

  std::atomic<bool> done{false};

private:
  std::atomic<pid_t> number{0};
  bridge_status result = BRIDGE_OK;
  std::thread thread;
};

/* What cancels a worker.  Room enough for the real structure. */
class Interrupt
{
public:
  Interrupt()
  {
    EXPECT_EQ(bridge__interrupt_init(get()), BRIDGE_OK);
  }
  ~Interrupt()
  {
    bridge__interrupt_destroy(get());
  }
  bridge__interrupt *get()
  {
    return reinterpret_cast<bridge__interrupt *>(space);
  }
  void request()
  {
    bridge__interrupt_request(get());
  }

private:
  alignas(std::max_align_t) unsigned char space[256];
};

/* Binds the calling thread for a while. */
class Bound
{
public:
  explicit Bound(Interrupt &interrupt)
      : before(bridge__interrupt_bind(interrupt.get()))
  {
  }
  ~Bound()
  {
    bridge__interrupt_bind(before);
  }

private:
  bridge__interrupt *before;
};

} // namespace support

#endif
