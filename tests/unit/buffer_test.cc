/* Buffers: bytes that are written, then frozen, then shared. */
#include "message_support.h"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

class BufferTest : public support::Balanced
{
};

/* What a free function was told. */
struct Freed {
  int times = 0;
  void *data = nullptr;
  size_t size = 0;
};

void note(void *user, void *data, size_t size)
{
  Freed *freed = static_cast<Freed *>(user);
  freed->times++;
  freed->data = data;
  freed->size = size;
}

TEST_F(BufferTest, BeginsWithZeros)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 1000));
  EXPECT_EQ(1000u, bridge_buffer_size(buffer));
  const char *data = static_cast<const char *>(bridge_buffer_data(buffer));
  EXPECT_EQ(std::string(1000, '\0'), std::string(data, 1000));
  EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(data) % alignof(max_align_t));
  EXPECT_FALSE(bridge_buffer_frozen(buffer));
  bridge_buffer_release(buffer);
}

TEST_F(BufferTest, MayBeEmpty)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 0));
  EXPECT_EQ(0u, bridge_buffer_size(buffer));
  EXPECT_NE(nullptr, bridge_buffer_data(buffer));
  bridge_buffer_release(buffer);
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_copy(&buffer, nullptr, 0));
  EXPECT_EQ(0u, bridge_buffer_size(buffer));
  bridge_buffer_release(buffer);
  char byte = 0;
  Freed freed;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_wrap(&buffer, &byte, 0, note, &freed));
  EXPECT_EQ(nullptr, bridge_buffer_data(buffer));
  bridge_buffer_release(buffer);
  EXPECT_EQ(&byte, freed.data);
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_wrap(&buffer, nullptr, 0, note, &freed));
  EXPECT_EQ(nullptr, bridge_buffer_data(buffer));
  bridge_buffer_release(buffer);
  EXPECT_EQ(2, freed.times);
}

TEST_F(BufferTest, CopyTakesTheBytes)
{
  char text[] = "a\0b";
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_copy(&buffer, text, 3));
  text[0] = 'x';
  EXPECT_EQ(0, std::memcmp("a\0b", bridge_buffer_data(buffer), 3));
  EXPECT_EQ(3u, bridge_buffer_size(buffer));
  bridge_buffer_release(buffer);
}

TEST_F(BufferTest, WrapUsesTheBytesInPlaceAndFreesThemOnce)
{
  char text[] = "abc";
  Freed freed;
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_wrap(&buffer, text, 3, note, &freed));
  EXPECT_EQ(text, bridge_buffer_data(buffer));
  EXPECT_EQ(buffer, bridge_buffer_retain(buffer));
  bridge_buffer_release(buffer);
  EXPECT_EQ(0, freed.times);
  bridge_buffer_release(buffer);
  EXPECT_EQ(1, freed.times);
  EXPECT_EQ(text, freed.data);
  EXPECT_EQ(3u, freed.size);
}

TEST_F(BufferTest, WrapDoesNotNeedAFreeFunction)
{
  static char text[] = "static";
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_wrap(&buffer, text, 6, nullptr, nullptr));
  bridge_buffer_release(buffer);
  EXPECT_STREQ("static", text);
}

TEST_F(BufferTest, CreatorsCheckTheirArguments)
{
  char byte = 0;
  Freed freed;
  bridge_buffer *buffer = nullptr;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_create(nullptr, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_copy(nullptr, &byte, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_copy(&buffer, nullptr, 1));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_wrap(nullptr, &byte, 1, note, &freed));
  EXPECT_EQ(BRIDGE_EINVAL,
            bridge_buffer_wrap(&buffer, nullptr, 1, note, &freed));
  const size_t absurd[] = {SIZE_MAX, SIZE_MAX - 64, PTRDIFF_MAX,
                           static_cast<size_t>(PTRDIFF_MAX) + 1};
  for (size_t size : absurd) {
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_buffer_create(&buffer, size));
    EXPECT_EQ(BRIDGE_ELIMIT, bridge_buffer_copy(&buffer, &byte, size));
  }
  EXPECT_EQ(BRIDGE_ELIMIT,
            bridge_buffer_wrap(&buffer, &byte, SIZE_MAX, note, &freed));
  EXPECT_EQ(nullptr, buffer);
  EXPECT_EQ(0, freed.times);
}

TEST_F(BufferTest, FailsCleanlyWithoutMemory)
{
  char byte = 'b';
  Freed freed;
  bridge_buffer *buffer = nullptr;
  auto untouched = [&] {
    EXPECT_EQ(nullptr, buffer);
    EXPECT_EQ(0, freed.times);
  };
  EXPECT_EQ(1, support::starve([&] { return bridge_buffer_create(&buffer, 9); },
                               untouched));
  bridge_buffer_release(buffer);
  buffer = nullptr;
  EXPECT_EQ(
      1, support::starve([&] { return bridge_buffer_copy(&buffer, &byte, 1); },
                         untouched));
  bridge_buffer_release(buffer);
  buffer = nullptr;
  EXPECT_EQ(1, support::starve(
                   [&] {
                     return bridge_buffer_wrap(&buffer, &byte, 1, note, &freed);
                   },
                   untouched));
  bridge_buffer_release(buffer);
  EXPECT_EQ(1, freed.times);
}

TEST_F(BufferTest, NullIsHarmless)
{
  void *data = nullptr;
  EXPECT_EQ(nullptr, bridge_buffer_retain(nullptr));
  bridge_buffer_release(nullptr);
  EXPECT_EQ(nullptr, bridge_buffer_data(nullptr));
  EXPECT_EQ(0u, bridge_buffer_size(nullptr));
  EXPECT_FALSE(bridge_buffer_frozen(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_begin_write(nullptr, &data));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_end_write(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_freeze(nullptr));
}

TEST_F(BufferTest, IsWrittenUntilItIsFrozen)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 4));
  void *data = nullptr;
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_end_write(buffer));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_begin_write(buffer, nullptr));
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_begin_write(buffer, &data));
  EXPECT_EQ(bridge_buffer_data(buffer), data);
  void *again = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_begin_write(buffer, &again));
  std::memcpy(data, "abcd", 4);
  EXPECT_EQ(BRIDGE_EBUSY, bridge_buffer_freeze(buffer));
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_end_write(buffer));
  EXPECT_EQ(BRIDGE_EBUSY, bridge_buffer_freeze(buffer));
  EXPECT_FALSE(bridge_buffer_frozen(buffer));
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_end_write(buffer));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_end_write(buffer));

  EXPECT_EQ(BRIDGE_OK, bridge_buffer_freeze(buffer));
  EXPECT_TRUE(bridge_buffer_frozen(buffer));
  EXPECT_EQ(BRIDGE_OK, bridge_buffer_freeze(buffer));
  data = nullptr;
  EXPECT_EQ(BRIDGE_EFROZEN, bridge_buffer_begin_write(buffer, &data));
  EXPECT_EQ(nullptr, data);
  EXPECT_EQ(BRIDGE_EINVAL, bridge_buffer_end_write(buffer));
  EXPECT_EQ(0, std::memcmp("abcd", bridge_buffer_data(buffer), 4));
  bridge_buffer_release(buffer);
}

/* Writers take turns by luck; whoever finds the buffer frozen sees all that was
   written, without a lock. */
TEST_F(BufferTest, TheFreezeTakesWhatOthersWrote)
{
  for (int round = 0; round < 200; round++) {
    bridge_buffer *buffer = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_buffer_create(&buffer, 4));
    std::atomic<int> written{0};
    std::vector<std::thread> writers;
    for (size_t i = 0; i < 3; i++) {
      writers.emplace_back([&, i] {
        void *data = nullptr;
        if (bridge_buffer_begin_write(buffer, &data) == BRIDGE_OK) {
          static_cast<char *>(data)[i] = 'w';
          written.fetch_add(1, std::memory_order_relaxed);
          bridge_buffer_end_write(buffer);
        }
      });
    }
    while (written.load(std::memory_order_relaxed) == 0 ||
           bridge_buffer_freeze(buffer) == BRIDGE_EBUSY) {
      std::this_thread::yield();
    }
    const char *data = static_cast<const char *>(bridge_buffer_data(buffer));
    int found = 0;
    for (int i = 0; i < 3; i++) {
      found += data[i] == 'w';
    }
    EXPECT_EQ(written.load(std::memory_order_relaxed), found);
    for (std::thread &writer : writers) {
      writer.join();
    }
    bridge_buffer_release(buffer);
  }
}

TEST_F(BufferTest, TheLastOfManyThreadsFreesItOnce)
{
  char text[] = "shared";
  for (int round = 0; round < 100; round++) {
    Freed freed;
    bridge_buffer *buffer = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_buffer_wrap(&buffer, text, 6, note, &freed));
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
      bridge_buffer_retain(buffer);
      threads.emplace_back([buffer] { bridge_buffer_release(buffer); });
    }
    bridge_buffer_release(buffer);
    for (std::thread &thread : threads) {
      thread.join();
    }
    EXPECT_EQ(1, freed.times);
  }
}

TEST_F(BufferTest, BelongsToTheProcessThatMadeIt)
{
  bridge_buffer *buffer = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_buffer_copy(&buffer, "abc", 3));
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    void *data = nullptr;
    bool right = bridge_buffer_begin_write(buffer, &data) == BRIDGE_EFORKED &&
                 bridge_buffer_end_write(buffer) == BRIDGE_EFORKED &&
                 bridge_buffer_freeze(buffer) == BRIDGE_EFORKED &&
                 std::memcmp("abc", bridge_buffer_data(buffer), 3) == 0;
    bridge_buffer_release(buffer);
    right = right && bridge_buffer_create(&buffer, 1) == BRIDGE_OK &&
            bridge_buffer_freeze(buffer) == BRIDGE_OK;
    _exit(right ? 0 : 1);
  }
  int result = -1;
  ASSERT_EQ(child, waitpid(child, &result, 0));
  EXPECT_EQ(0, result);
  bridge_buffer_release(buffer);
}

} // namespace
