/* What the tests of messages share: an allocator that counts and fails on
   demand, messages that free themselves, bytes as text. */
#ifndef TESTS_MESSAGE_SUPPORT_H
#define TESTS_MESSAGE_SUPPORT_H

#include <bridge/bridge.h>

#include <gtest/gtest.h>

#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace support
{

/* How many blocks are in use, and how many allocations succeed before all the
   others fail; negative for no limit. */
inline std::atomic<long> blocks{0};
inline std::atomic<long> left{-1};
inline std::atomic<bool> failed{false};

inline bool refuse()
{
  if (left < 0) {
    return false;
  }
  if (left == 0) {
    failed = true;
    return true;
  }
  left--;
  return false;
}

inline void *allocate(void *, size_t size)
{
  if (refuse()) {
    return nullptr;
  }
  blocks++;
  return std::malloc(size);
}

inline void *resize(void *, void *block, size_t size)
{
  return refuse() ? nullptr : std::realloc(block, size);
}

inline void release(void *, void *block)
{
  blocks--;
  std::free(block);
}

/* Call once, before main. */
inline bridge_status install()
{
  bridge_allocator table = {1, allocate, resize, release, nullptr};
  return bridge_set_allocator(&table);
}

/* Blocks in use without those that wait to be used again. */
inline long used()
{
  bridge_trim();
  return blocks;
}

/* Run `attempt` with one allocation more each time, until it gets all it wants.
   It returns a status; `unchanged` is called after each failure.  Returns how
   often it failed. */
template <typename Attempt, typename Unchanged>
long starve(Attempt attempt, Unchanged unchanged)
{
  for (long allowed = 0; allowed < 1000; allowed++) {
    bridge_trim();
    failed = false;
    left = allowed;
    bridge_status status = attempt();
    left = -1;
    if (status == BRIDGE_OK) {
      return failed ? -1 : allowed;
    }
    if (status != BRIDGE_ENOMEM || !failed) {
      return -2;
    }
    unchanged();
  }
  return -3;
}

/* A message that frees itself. */
class Message
{
public:
  Message()
  {
    if (bridge_message_create(&message, 0) != BRIDGE_OK) {
      std::abort();
    }
  }
  explicit Message(bridge_message *taken) : message(taken)
  {
  }
  Message(const Message &) = delete;
  Message &operator=(const Message &) = delete;
  ~Message()
  {
    bridge_message_release(message);
  }
  operator bridge_message *() const
  {
    return message;
  }

  bridge_message *message = nullptr;
};

inline std::string hex(const void *data, size_t size)
{
  std::string text;
  const unsigned char *bytes = static_cast<const unsigned char *>(data);
  for (size_t i = 0; i < size; i++) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", bytes[i]);
    text += two;
  }
  return text;
}

inline std::string hex(const bridge_message *message)
{
  return hex(bridge_message_data(message), bridge_message_size(message));
}

inline std::string bytes(const bridge_message *message)
{
  return std::string(static_cast<const char *>(bridge_message_data(message)),
                     bridge_message_size(message));
}

/* "c3 01" and the like. */
inline std::string unhex(const std::string &text)
{
  std::string result;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != ' ') {
      result += static_cast<char>(
          std::strtoul(text.substr(i, 2).c_str(), nullptr, 16));
      i++;
    }
  }
  return result;
}

inline bridge_status from(bridge_message **out, const std::string &data)
{
  return bridge_message_from_bytes(out, data.data(), data.size());
}

/* Whether the foreign bytes, given as hexadecimal text, are taken. */
inline bridge_status accepts(const std::string &text)
{
  bridge_message *message = nullptr;
  bridge_status status = from(&message, unhex(text));
  bridge_message_release(message);
  return status;
}

/* Every test gives back all it took. */
class Balanced : public testing::Test
{
protected:
  void SetUp() override
  {
    /* Once: the library takes an allocator only before its first block. */
    static const bridge_status installed = install();
    ASSERT_EQ(BRIDGE_OK, installed);
    before = used();
  }
  void TearDown() override
  {
    EXPECT_EQ(before, used());
  }

  long before = 0;
};

} // namespace support

#endif
