/* The allocator of the library, sizes, and recycled blocks. */
#include "core_support.h"

#include <climits>
#include <future>
#include <vector>

extern "C" {
void *bridge__allocate(size_t size);
void *bridge__allocate_zero(size_t size);
void *bridge__resize(void *block, size_t size);
void bridge__free(void *block);
char *bridge__copy_text(const char *text, size_t size);
bool bridge__add(size_t a, size_t b, size_t *out);
bool bridge__multiply(size_t a, size_t b, size_t *out);
void *bridge__block_get(void);
void bridge__block_put(void *block);
void bridge__blocks_rest(void);
}

class Memory : public testing::Test
{
protected:
  static void SetUpTestSuite()
  {
    bridge_status status = support::install();
    ASSERT_TRUE(status == BRIDGE_OK || status == BRIDGE_EALREADY);
  }
};

/* Each in a process of its own, where nothing was allocated yet. */
class AllocatorDeathTest : public testing::Test
{
protected:
  void SetUp() override
  {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
  }
};

static int choose_twice()
{
  bridge_allocator table = {1, support::allocate, support::resize,
                            support::release, nullptr};
  bridge_allocator newer = table;
  newer.version = 2;
  bridge_allocator none = {1, nullptr, support::resize, support::release,
                           nullptr};
  bridge_allocator half = {1, support::allocate, nullptr, support::release,
                           nullptr};
  bridge_allocator leaky = {1, support::allocate, support::resize, nullptr,
                            nullptr};
  if (bridge_set_allocator(nullptr) != BRIDGE_EINVAL ||
      bridge_set_allocator(&newer) != BRIDGE_EVERSION ||
      bridge_set_allocator(&none) != BRIDGE_EINVAL ||
      bridge_set_allocator(&half) != BRIDGE_EINVAL ||
      bridge_set_allocator(&leaky) != BRIDGE_EINVAL) {
    return 1;
  }
  if (bridge_set_allocator(&table) != BRIDGE_OK ||
      bridge_set_allocator(&table) != BRIDGE_EALREADY) {
    return 2;
  }
  bridge__free(bridge__resize(bridge__allocate(1), 2));
  return support::blocks == 0 ? 0 : 3;
}

static int choose_late()
{
  bridge_waker *waker = nullptr;
  if (bridge_waker_create(&waker, BRIDGE_WAKER_CONDITION) != BRIDGE_OK) {
    return 1;
  }
  bridge_waker_release(waker);
  return support::install() == BRIDGE_EALREADY ? 0 : 2;
}

static void *count_and_allocate(void *user, size_t size)
{
  ++*static_cast<int *>(user);
  return std::malloc(size);
}

static int hands_user()
{
  int count = 0;
  bridge_allocator table = {1, count_and_allocate, support::resize,
                            support::release, &count};
  if (bridge_set_allocator(&table) != BRIDGE_OK) {
    return 1;
  }
  bridge__free(bridge__allocate(0));
  return count == 1 ? 0 : 2;
}

TEST_F(AllocatorDeathTest, IsSetOnce)
{
  EXPECT_EXIT(_exit(choose_twice()), testing::ExitedWithCode(0), "");
}

TEST_F(AllocatorDeathTest, IsRefusedAfterTheFirstAllocation)
{
  EXPECT_EXIT(_exit(choose_late()), testing::ExitedWithCode(0), "");
}

TEST_F(AllocatorDeathTest, GetsItsUserPointer)
{
  EXPECT_EXIT(_exit(hands_user()), testing::ExitedWithCode(0), "");
}

TEST_F(Memory, AllocatesZeroBytesAsOne)
{
  void *block = bridge__allocate(0);
  ASSERT_NE(block, nullptr);
  *static_cast<char *>(block) = 1;
  block = bridge__resize(block, 0);
  ASSERT_NE(block, nullptr);
  bridge__free(block);
  bridge__free(nullptr);
}

TEST_F(Memory, AllocatesZeros)
{
  auto *bytes = static_cast<unsigned char *>(bridge__allocate_zero(1000));
  ASSERT_NE(bytes, nullptr);
  for (int i = 0; i < 1000; i++) {
    ASSERT_EQ(bytes[i], 0);
  }
  bridge__free(bytes);
}

TEST_F(Memory, ResizeKeepsTheBlockWhenThereIsNoMore)
{
  auto *block = static_cast<char *>(bridge__resize(nullptr, 4));
  ASSERT_NE(block, nullptr);
  std::memcpy(block, "abc", 4);
  support::left = 0;
  EXPECT_EQ(bridge__resize(block, 100), nullptr);
  EXPECT_EQ(bridge__allocate(1), nullptr);
  EXPECT_EQ(bridge__allocate_zero(1), nullptr);
  EXPECT_EQ(bridge__copy_text("abc", 3), nullptr);
  support::left = -1;
  EXPECT_STREQ(block, "abc");
  bridge__free(block);
}

TEST_F(Memory, CopiesTextWithNuls)
{
  char *copy = bridge__copy_text("a\0b", 3);
  ASSERT_NE(copy, nullptr);
  EXPECT_EQ(std::memcmp(copy, "a\0b", 4), 0);
  bridge__free(copy);
  char *empty = bridge__copy_text(nullptr, 0);
  ASSERT_NE(empty, nullptr);
  EXPECT_STREQ(empty, "");
  bridge__free(empty);
  EXPECT_EQ(bridge__copy_text("", SIZE_MAX), nullptr);
}

TEST_F(Memory, SizesDoNotOverflow)
{
  size_t out = 7;
  EXPECT_TRUE(bridge__add(SIZE_MAX - 1, 1, &out));
  EXPECT_EQ(out, SIZE_MAX);
  EXPECT_FALSE(bridge__add(SIZE_MAX, 1, &out));
  EXPECT_FALSE(bridge__add(1, SIZE_MAX, &out));
  EXPECT_EQ(out, SIZE_MAX);
  EXPECT_TRUE(bridge__multiply(SIZE_MAX, 1, &out));
  EXPECT_TRUE(bridge__multiply(SIZE_MAX, 0, &out));
  EXPECT_EQ(out, 0u);
  EXPECT_TRUE(bridge__multiply(0, SIZE_MAX, &out));
  EXPECT_FALSE(bridge__multiply(SIZE_MAX / 2 + 1, 2, &out));
  EXPECT_EQ(out, 0u);
}

static std::vector<void *> get(size_t count)
{
  std::vector<void *> blocks;
  for (size_t i = 0; i < count; i++) {
    void *block = bridge__block_get();
    EXPECT_NE(block, nullptr);
    std::memset(block, 0xa5, 256);
    blocks.push_back(block);
  }
  return blocks;
}

static void put(const std::vector<void *> &blocks)
{
  for (void *block : blocks) {
    bridge__block_put(block);
  }
}

TEST_F(Memory, BlocksAreRecycledByTheirThread)
{
  bridge_trim();
  const long before = support::blocks;
  put(get(1000));
  const long kept = support::blocks - before;
  EXPECT_EQ(kept, TESTS_SANITIZED ? 0 : 1000);
  put(get(1000));
  EXPECT_EQ(support::blocks - before, kept);
  bridge_trim();
  EXPECT_EQ(support::blocks, before);
  bridge__block_put(nullptr);
}

TEST_F(Memory, BlocksOfAThreadThatEndedServeAnother)
{
  bridge_trim();
  const long before = support::blocks;
  std::thread([] { put(get(500)); }).join();
  EXPECT_EQ(support::blocks - before, TESTS_SANITIZED ? 0 : 500);
  support::left =
      TESTS_SANITIZED ? -1 : 0; /* nothing but what the thread left */
  std::vector<void *> blocks = get(500);
  support::left = -1;
  put(blocks);
  bridge_trim();
  EXPECT_EQ(support::blocks, before);
}

TEST_F(Memory, BlocksOfAThreadThatSleepsServeAnother)
{
  bridge_trim();
  const long before = support::blocks;
  std::promise<void> sleeps;
  std::promise<void> over;
  std::thread sleeper([&] {
    for (size_t count : {3, 150, 1}) {
      put(get(count));
      bridge__blocks_rest();
    }
    sleeps.set_value();
    over.get_future().wait();
  });
  sleeps.get_future().wait();
  EXPECT_EQ(support::blocks - before, TESTS_SANITIZED ? 0 : 150);
  support::left = TESTS_SANITIZED ? -1 : 0; /* nothing but what it left */
  std::vector<void *> blocks = get(150);
  support::left = -1;
  put(blocks);
  over.set_value();
  sleeper.join();
  bridge_trim();
  EXPECT_EQ(support::blocks, before);
}

TEST_F(Memory, BlocksThatOneThreadMakesAnotherMayFree)
{
  bridge_trim();
  const long before = support::blocks;
  for (int round = 0; round < 20; round++) {
    std::vector<void *> blocks;
    std::thread([&] { blocks = get(300); }).join();
    std::thread([&] { put(blocks); }).join();
  }
  /* They went round: one batch, and no more than what magazines leave over. */
  EXPECT_LE(support::blocks - before, 2 * 300);
  bridge_trim();
  EXPECT_EQ(support::blocks, before);
}

TEST_F(Memory, TheDepotIsBounded)
{
  bridge_trim();
  const long before = support::blocks;
  std::thread([] { put(get(200000)); }).join();
  EXPECT_LE(support::blocks - before, 64 * 1024);
  bridge_trim();
  EXPECT_EQ(support::blocks, before);
}

TEST_F(Memory, ThreadsRecycleAtTheSameTime)
{
  bridge_trim();
  const long before = support::blocks;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([] {
      for (size_t round = 0; round < 100; round++) {
        put(get(1 + round * 7 % 400));
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  bridge_trim();
  EXPECT_EQ(support::blocks, before);
}

TEST_F(Memory, NoBlockWithoutMemory)
{
  bridge_trim();
  support::left = 0;
  EXPECT_EQ(bridge__block_get(), nullptr);
  support::left = -1;
}

TEST_F(Memory, TheChildOfAForkMayUseTheDepot)
{
  put(get(1000));
  EXPECT_EQ(support::in_child([] {
              put(get(2000));
              bridge_trim();
              return support::blocks >= 0 ? 0 : 1;
            }),
            0);
}

/* The depot's mutex must not stay with a thread that the child does not have. */
TEST_F(Memory, AForkWhileOthersUseTheDepotLeavesItUsable)
{
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      put(get(200));
      bridge_trim();
    }
  });
  for (int i = 0; i < 50; i++) {
    EXPECT_EQ(support::in_child([] {
                bridge_trim();
                return 0;
              }),
              0);
  }
  stop = true;
  other.join();
}
