/* The memory of Lua states: runs of pages, the blocks in them, and what a state
   does with both. */
#include "core_support.h"
#include "heap_support.h"

#include <sys/resource.h>

#include <map>
#include <random>
#include <set>
#include <vector>

namespace
{

const size_t PAGE = 4096;
const size_t MOST_PAGES = 256;
const size_t SMALL = 4096;
const size_t MIDDLE = 256 * 1024;
const size_t KEPT_PAGES = 8192;
const size_t KEPT_ARENAS = 16;

/* Bytes that tell whose they are. */
void fill(void *block, size_t size, unsigned seed)
{
  auto *bytes = static_cast<unsigned char *>(block);
  for (size_t i = 0; i < size; i++) {
    bytes[i] = static_cast<unsigned char>(seed + i * 7);
  }
}

bool filled(const void *block, size_t size, unsigned seed)
{
  const auto *bytes = static_cast<const unsigned char *>(block);
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != static_cast<unsigned char>(seed + i * 7)) {
      return false;
    }
  }
  return true;
}

/* In a child whose address space cannot grow by more than `spare` bytes. */
int narrow(size_t spare, const std::function<int()> &body)
{
  return support::in_child([&] {
    FILE *file = std::fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (file == nullptr || std::fscanf(file, "%lu", &pages) != 1) {
      return 100;
    }
    std::fclose(file);
    rlimit limit;
    limit.rlim_cur = limit.rlim_max =
        pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + spare;
    return setrlimit(RLIMIT_AS, &limit) == 0 ? body() : 101;
  });
}

} // namespace

/* ---- Pages ---- */

TEST(Pages, ComeInRunsOfAnyLength)
{
  const size_t before = pages_look().used;
  for (size_t pages = 1; pages <= MOST_PAGES; pages++) {
    void *run = pages_get(pages);
    ASSERT_NE(run, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(run) % PAGE, 0u);
    EXPECT_EQ(pages_look().used, before + pages);
    std::memset(run, 0xAB, pages * PAGE);
    pages_put(run);
  }
  EXPECT_EQ(pages_look().used, before);
}

TEST(Pages, AreRefusedForNoneAndForTooMany)
{
  EXPECT_EQ(pages_get(0), nullptr);
  EXPECT_EQ(pages_get(MOST_PAGES + 1), nullptr);
  EXPECT_EQ(pages_get(SIZE_MAX), nullptr);
}

TEST(Pages, BelongToOneRunAtATime)
{
  struct held {
    void *start;
    size_t pages;
    unsigned seed;
  };
  const size_t before = pages_look().used;
  std::mt19937 random(1);
  std::vector<held> all;
  size_t used = 0;
  for (unsigned i = 0; i < 6000; i++) {
    if (random() % 5 < 3 || all.empty()) {
      const size_t pages =
          random() % 8 == 0 ? 1 + random() % 100 : 1 + random() % 6;
      void *start = pages_get(pages);
      ASSERT_NE(start, nullptr);
      fill(start, pages * PAGE, i);
      all.push_back({start, pages, i});
      used += pages;
    } else {
      std::swap(all[random() % all.size()], all.back());
      ASSERT_TRUE(
          filled(all.back().start, all.back().pages * PAGE, all.back().seed));
      pages_put(all.back().start);
      used -= all.back().pages;
      all.pop_back();
    }
    ASSERT_EQ(pages_look().used, before + used);
    while (used > 3000) {
      pages_put(all.back().start);
      used -= all.back().pages;
      all.pop_back();
    }
  }
  for (const held &each : all) {
    ASSERT_TRUE(filled(each.start, each.pages * PAGE, each.seed));
    pages_put(each.start);
  }
  EXPECT_EQ(pages_look().used, before);
}

TEST(Pages, OfTheEndGoBackWhenARunIsCut)
{
  const size_t before = pages_look().used;
  void *run = pages_get(100);
  ASSERT_NE(run, nullptr);
  fill(run, 7 * PAGE, 5);
  pages_cut(run, 7);
  EXPECT_EQ(pages_look().used, before + 7);
  void *other = pages_get(93);
  ASSERT_NE(other, nullptr);
  std::memset(other, 0xFF, 93 * PAGE);
  EXPECT_TRUE(filled(run, 7 * PAGE, 5));
  pages_put(other);
  pages_put(run);
  EXPECT_EQ(pages_look().used, before);
}

TEST(Pages, ThatNobodyHasAreKeptOnlyUpToABound)
{
  std::vector<void *> runs;
  const size_t before = pages_look().used;
  for (size_t pages = 0; pages < 3 * KEPT_PAGES; pages += 64) {
    runs.push_back(pages_get(64));
    ASSERT_NE(runs.back(), nullptr);
  }
  /* Every second one, so that no arena becomes empty. */
  for (size_t i = 0; i < runs.size(); i += 2) {
    pages_put(runs[i]);
  }
  EXPECT_LE(pages_look().dirty, KEPT_PAGES + 64);
  for (size_t i = 1; i < runs.size(); i += 2) {
    pages_put(runs[i]);
  }
  EXPECT_EQ(pages_look().used, before);
  EXPECT_LE(pages_look().dirty, KEPT_PAGES + 512);
  EXPECT_LE(pages_look().arenas, KEPT_ARENAS + 1 + before);
}

TEST(Pages, AllGoBackToTheSystemWhenTrimmed)
{
  void *held = pages_get(1);
  void *freed = pages_get(200);
  ASSERT_NE(held, nullptr);
  ASSERT_NE(freed, nullptr);
  fill(held, PAGE, 9);
  pages_put(freed);
  EXPECT_GT(pages_look().dirty, 0u);
  pages_trim();
  EXPECT_EQ(pages_look().dirty, 0u);
  EXPECT_EQ(pages_look().arenas, 1u);
  EXPECT_TRUE(filled(held, PAGE, 9));
  pages_put(held);
  bridge_trim(); /* does nothing where nothing is recycled */
  pages_trim();
  EXPECT_EQ(pages_look().arenas, 0u);
  void *again = pages_get(3);
  ASSERT_NE(again, nullptr);
  std::memset(again, 1, 3 * PAGE);
  pages_put(again);
}

TEST(Pages, AreRefusedWithoutMemoryAndComeBackWithIt)
{
  if (TESTS_SANITIZED) {
    GTEST_SKIP();
  }
  EXPECT_EQ(0, narrow(size_t{16} << 20, [] {
              std::vector<void *> runs;
              runs.reserve(1000);
              void *run = pages_get(MOST_PAGES);
              while (run != nullptr && runs.size() < 1000) {
                runs.push_back(run);
                run = pages_get(MOST_PAGES);
              }
              if (runs.empty() || runs.size() == 1000) {
                return 1;
              }
              pages_put(runs.back());
              return pages_get(MOST_PAGES) != nullptr ? 0 : 2;
            }));
}

TEST(Pages, GoFromThreadToThread)
{
  const size_t before = pages_look().used;
  std::atomic<void *> slots[16] = {};
  std::atomic<bool> wrong{false};
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 20000; i++) {
      void *mine = pages_get(1 + random() % 5);
      if (mine == nullptr) {
        wrong = true;
        return;
      }
      fill(mine, 64, 77);
      void *other = slots[random() % 16].exchange(mine);
      if (other != nullptr) {
        wrong = wrong || !filled(other, 64, 77);
        pages_put(other);
      }
    }
  };
  std::thread one(work, 1);
  std::thread two(work, 2);
  one.join();
  two.join();
  for (std::atomic<void *> &slot : slots) {
    if (slot != nullptr) {
      pages_put(slot);
    }
  }
  EXPECT_FALSE(wrong);
  EXPECT_EQ(pages_look().used, before);
}

TEST(Pages, CanBeHadInTheChildOfAForkAtAnyMoment)
{
  std::atomic<bool> stop{false};
  std::atomic<int> rounds{0};
  std::thread other([&] {
    while (!stop) {
      void *run = pages_get(3);
      if (run != nullptr) {
        pages_put(run);
      }
      rounds++;
    }
  });
  EXPECT_TRUE(support::soon([&] { return rounds > 0; }));
  for (int i = 0; i < 30; i++) {
    EXPECT_EQ(0, support::in_child([] {
                alarm(60); /* a lock that nobody will open */
                void *run = pages_get(5);
                if (run == nullptr) {
                  return 1;
                }
                std::memset(run, 1, 5 * PAGE);
                pages_put(run);
                return 0;
              }));
  }
  stop = true;
  other.join();
}

/* ---- Heaps ---- */

namespace
{

/* Blocks that know what they hold, and a count beside the heap's. */
class Blocks
{
public:
  explicit Blocks(bool pages) : heap(heap_create(pages, 10000))
  {
  }
  Blocks(const Blocks &) = delete;
  Blocks &operator=(const Blocks &) = delete;
  ~Blocks()
  {
    for (const one &each : all) {
      heap_allocate(heap, each.start, each.size, 0);
    }
    heap_destroy(heap);
  }

  /* Of any type that may be put into a block of that size: 24, 40 and 56 bytes are no
     multiple of 16, and so is no such type's size. */
  static size_t alignment(size_t size)
  {
    size_t rounded = (size + 7) / 8 * 8;
    return rounded < 64 && rounded > 8 && rounded % 16 != 0 ? 8 : 16;
  }

  void add(size_t size)
  {
    void *block = heap_allocate(heap, nullptr, 5 /* a type of Lua's */, size);
    ASSERT_NE(block, nullptr);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(block) % alignment(size), 0u);
    fill(block, size, ++seed);
    all.push_back({block, size, seed});
    used += size;
    peak = std::max(peak, used);
  }
  void resize(size_t index, size_t size)
  {
    one &block = all[index];
    void *moved = heap_allocate(heap, block.start, block.size, size);
    ASSERT_NE(moved, nullptr);
    ASSERT_TRUE(filled(moved, std::min(size, block.size), block.seed));
    used = used - block.size + size;
    peak = std::max(peak, used);
    block = {moved, size, ++seed};
    fill(moved, size, seed);
  }
  void remove(size_t index)
  {
    std::swap(all[index], all.back());
    const one block = all.back();
    all.pop_back();
    ASSERT_TRUE(filled(block.start, block.size, block.seed));
    ASSERT_EQ(heap_allocate(heap, block.start, block.size, 0), nullptr);
    used -= block.size;
  }
  void remove_all()
  {
    while (!all.empty()) {
      remove(all.size() - 1);
    }
  }
  void check()
  {
    ASSERT_EQ(heap_used(heap), used);
    ASSERT_EQ(heap_peak(heap), peak);
  }

  struct one {
    void *start;
    size_t size;
    unsigned seed;
  };
  test_heap *heap;
  std::vector<one> all;
  size_t used = 0;
  size_t peak = 0;
  unsigned seed = 0;
};

size_t any_size(std::mt19937 &random)
{
  switch (random() % 40) {
  case 0:
    return 1 + random() % (2 * MIDDLE);
  case 1:
    return 1 + random() % (8 * SMALL);
  case 2:
  case 3:
    return 1 + random() % SMALL;
  default:
    return 1 + random() % 200;
  }
}

class Heap : public testing::TestWithParam<bool>
{
};

std::string way(const testing::TestParamInfo<bool> &info)
{
  return info.param ? "Pages" : "OneByOne";
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Both, Heap, testing::Bool(), way);

TEST_P(Heap, KeepsWhatIsInItsBlocksWhateverHappens)
{
  const size_t before = pages_look().used;
  {
    Blocks blocks(GetParam());
    std::mt19937 random(42);
    for (int i = 0; i < 60000; i++) {
      const size_t count = blocks.all.size();
      /* It grows and shrinks, in long waves. */
      const bool grows = i / 10000 % 2 == 0;
      const unsigned choice = random() % 10;
      if (count == 0 || choice < (grows ? 6u : 2u)) {
        ASSERT_NO_FATAL_FAILURE(blocks.add(any_size(random)));
      } else if (choice < 8) {
        ASSERT_NO_FATAL_FAILURE(
            blocks.resize(random() % count, any_size(random)));
      } else {
        ASSERT_NO_FATAL_FAILURE(blocks.remove(random() % count));
        ASSERT_NO_FATAL_FAILURE(blocks.all.empty() ? void() : blocks.remove(0));
      }
      if (i % 100 == 0) {
        ASSERT_NO_FATAL_FAILURE(blocks.check());
      }
    }
    ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
    ASSERT_NO_FATAL_FAILURE(blocks.check());
    EXPECT_EQ(heap_used(blocks.heap), 0u);
  }
  EXPECT_EQ(pages_look().used, before);
}

TEST_P(Heap, AlignsEveryBlock)
{
  Blocks blocks(GetParam());
  for (size_t size = 1; size <= 3 * SMALL; size += size < 600 ? 1 : 37) {
    ASSERT_NO_FATAL_FAILURE(blocks.add(size));
  }
  ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
}

TEST_P(Heap, GrowsAndShrinksABlockThroughAllSizes)
{
  Blocks blocks(GetParam());
  ASSERT_NO_FATAL_FAILURE(blocks.add(1));
  std::vector<size_t> sizes;
  for (size_t size = 1; size <= 4 * MIDDLE; size += size / 3 + 1) {
    sizes.push_back(size);
  }
  for (size_t edge : {SMALL, MIDDLE}) {
    sizes.insert(sizes.end(), {edge - 1, edge, edge + 1, edge, edge + 1, 1});
  }
  for (size_t size : sizes) {
    ASSERT_NO_FATAL_FAILURE(blocks.resize(0, size));
    ASSERT_NO_FATAL_FAILURE(blocks.check());
  }
  for (auto each = sizes.rbegin(); each != sizes.rend(); ++each) {
    ASSERT_NO_FATAL_FAILURE(blocks.resize(0, *each));
    ASSERT_NO_FATAL_FAILURE(blocks.check());
  }
  ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
  EXPECT_EQ(heap_used(blocks.heap), 0u);
}

TEST_P(Heap, CountsToTheByteAndRefusesTheFirstBeyondTheLimit)
{
  Blocks blocks(GetParam());
  heap_limit(blocks.heap, 100000);
  ASSERT_NO_FATAL_FAILURE(blocks.add(60000));
  ASSERT_NO_FATAL_FAILURE(blocks.add(40000));
  EXPECT_EQ(heap_used(blocks.heap), 100000u);
  EXPECT_EQ(heap_allocate(blocks.heap, nullptr, 0, 1), nullptr);
  EXPECT_EQ(heap_allocate(blocks.heap, blocks.all[0].start, 60000, 60001),
            nullptr);
  EXPECT_EQ(heap_used(blocks.heap), 100000u);
  EXPECT_TRUE(filled(blocks.all[0].start, 60000, blocks.all[0].seed));
  ASSERT_NO_FATAL_FAILURE(blocks.resize(0, 59999));
  ASSERT_NO_FATAL_FAILURE(blocks.add(1));
  EXPECT_EQ(heap_allocate(blocks.heap, nullptr, 0, 1), nullptr);
  EXPECT_EQ(heap_peak(blocks.heap), 100000u);
}

TEST_P(Heap, NeverRefusesAShrink)
{
  Blocks blocks(GetParam());
  ASSERT_NO_FATAL_FAILURE(blocks.add(2 * MIDDLE));
  ASSERT_NO_FATAL_FAILURE(blocks.add(3 * SMALL));
  ASSERT_NO_FATAL_FAILURE(blocks.add(100));
  heap_limit(blocks.heap, 1); /* far below what is there */
  for (size_t i = 0; i < 3; i++) {
    while (blocks.all[i].size > 1) {
      ASSERT_NO_FATAL_FAILURE(blocks.resize(i, blocks.all[i].size / 2));
    }
  }
  EXPECT_EQ(heap_used(blocks.heap), 3u);
  EXPECT_EQ(heap_allocate(blocks.heap, nullptr, 0, 1), nullptr);
}

TEST_P(Heap, RefusesWhatCannotBe)
{
  Blocks blocks(GetParam());
  ASSERT_NO_FATAL_FAILURE(blocks.add(100));
  for (size_t size : {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2}) {
    EXPECT_EQ(heap_allocate(blocks.heap, nullptr, 0, size), nullptr);
    EXPECT_EQ(heap_allocate(blocks.heap, blocks.all[0].start, 100, size),
              nullptr);
    heap_limit(blocks.heap, SIZE_MAX);
    EXPECT_EQ(heap_allocate(blocks.heap, blocks.all[0].start, 100, size),
              nullptr);
  }
  ASSERT_NO_FATAL_FAILURE(blocks.check());
  ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
}

TEST_P(Heap, TakesNothingForNothing)
{
  Blocks blocks(GetParam());
  EXPECT_EQ(heap_allocate(blocks.heap, nullptr, 0, 0), nullptr);
  EXPECT_EQ(heap_allocate(blocks.heap, nullptr, 6, 0), nullptr);
  EXPECT_EQ(heap_used(blocks.heap), 0u);
  EXPECT_EQ(heap_peak(blocks.heap), 0u);
  EXPECT_EQ(heap_footprint(blocks.heap), 0u);
}

TEST_P(Heap, CountsOnWhileItCloses)
{
  const size_t before = pages_look().used;
  {
    Blocks blocks(GetParam());
    for (size_t size = 1; size < 2 * MIDDLE; size += size / 2 + 1) {
      ASSERT_NO_FATAL_FAILURE(blocks.add(size));
    }
    heap_close(blocks.heap);
    ASSERT_NO_FATAL_FAILURE(blocks.add(300)); /* a finalizer does */
    ASSERT_NO_FATAL_FAILURE(blocks.resize(2, 9000));
    ASSERT_NO_FATAL_FAILURE(blocks.resize(2, 2 * MIDDLE));
    ASSERT_NO_FATAL_FAILURE(blocks.resize(2, 20));
    ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
    ASSERT_NO_FATAL_FAILURE(blocks.check());
  }
  EXPECT_EQ(pages_look().used, before);
}

/* ---- Coroutines ---- */

const size_t MAIN = 1400;
const size_t COROUTINE = 208;
const size_t STACK = 720;
const size_t IS_COROUTINE = 8; /* LUA_TTHREAD */
const size_t IS_OTHER = 5;

std::multiset<void *> known(const test_heap *heap)
{
  std::multiset<void *> all;
  heap_coroutines(
      heap,
      [](void *user, lua_State *block) {
        static_cast<std::multiset<void *> *>(user)->insert(block);
      },
      &all);
  return all;
}

/* As Lua does it: the coroutine, its stack, and something later. */
void *make_coroutine(test_heap *heap, void **stack)
{
  void *made = heap_allocate(heap, nullptr, IS_COROUTINE, COROUTINE);
  *stack = heap_allocate(heap, nullptr, 0, STACK);
  return made;
}

TEST_P(Heap, KnowsACoroutineOnceItIsReady)
{
  test_heap *heap = heap_create(GetParam(), 0);
  void *main = heap_allocate(heap, nullptr, IS_COROUTINE, MAIN);
  void *one = heap_allocate(heap, nullptr, IS_COROUTINE, COROUTINE);
  EXPECT_TRUE(known(heap).empty());
  heap_learn(heap, one);
  EXPECT_TRUE(known(heap).empty());
  void *stack = heap_allocate(heap, nullptr, 0, STACK);
  EXPECT_TRUE(known(heap).empty());
  void *call = heap_allocate(heap, nullptr, 0, 64);
  EXPECT_EQ(known(heap), std::multiset<void *>{one});
  /* One whose stack could not be made is there when the next one comes. */
  void *two = heap_allocate(heap, nullptr, IS_COROUTINE, COROUTINE);
  void *three = heap_allocate(heap, nullptr, IS_COROUTINE, COROUTINE);
  EXPECT_EQ(known(heap), (std::multiset<void *>{one, two}));
  heap_allocate(heap, three, COROUTINE, 0);
  heap_allocate(heap, one, COROUTINE, 0);
  EXPECT_EQ(known(heap), std::multiset<void *>{two});
  heap_allocate(heap, two, COROUTINE, 0);
  EXPECT_TRUE(known(heap).empty());
  heap_allocate(heap, stack, STACK, 0);
  heap_allocate(heap, call, 64, 0);
  heap_allocate(heap, main, MAIN, 0);
  heap_destroy(heap);
}

TEST_P(Heap, KnowsAllCoroutinesThatAreThere)
{
  test_heap *heap = heap_create(GetParam(), 0);
  std::mt19937 random(7);
  std::map<void *, void *> there; /* with their stacks */
  std::vector<void *> others;     /* of the same size */
  std::vector<void *> made_ever;
  void *main = heap_allocate(heap, nullptr, IS_COROUTINE, MAIN);
  size_t wanted = 0;
  for (int step = 0; step < 60000; step++) {
    if (step % 6000 == 0) {
      wanted = step % 12000 == 0 ? 3000 : 3; /* grows and shrinks */
    }
    void *stack = nullptr;
    if (there.size() < wanted || random() % 4 == 0) {
      void *made = make_coroutine(heap, &stack);
      if (step == 0) {
        heap_allocate(heap, stack, STACK, 0);
        heap_allocate(heap, made, COROUTINE, 0);
        made = heap_allocate(heap, nullptr, IS_COROUTINE, COROUTINE);
        heap_learn(heap, made);
        stack = heap_allocate(heap, nullptr, 0, STACK);
      }
      there[made] = stack;
      made_ever.push_back(made);
      others.push_back(heap_allocate(heap, nullptr, IS_OTHER, COROUTINE));
    }
    auto gone = there.lower_bound(made_ever[random() % made_ever.size()]);
    gone = gone == there.end() ? there.begin() : gone;
    if (there.size() > wanted && gone != there.end()) {
      heap_allocate(heap, gone->second, STACK, 0);
      heap_allocate(heap, gone->first, COROUTINE, 0);
      there.erase(gone);
    }
    if (others.size() > 100) {
      heap_allocate(heap, others.back(), COROUTINE, 0);
      others.pop_back();
    }
    if (step % 997 == 0) {
      std::multiset<void *> expected;
      for (const auto &each : there) {
        expected.insert(each.first);
      }
      ASSERT_EQ(known(heap), expected);
    }
  }
  for (const auto &each : there) {
    heap_allocate(heap, each.second, STACK, 0);
    heap_allocate(heap, each.first, COROUTINE, 0);
  }
  EXPECT_TRUE(known(heap).empty());
  for (void *other : others) {
    heap_allocate(heap, other, COROUTINE, 0);
  }
  heap_allocate(heap, main, MAIN, 0);
  heap_destroy(heap);
}

TEST(HeapOfPages, IsSmallWhileItHoldsLittle)
{
  Blocks blocks(true);
  for (size_t i = 0; i < 200; i++) {
    ASSERT_NO_FATAL_FAILURE(blocks.add(1 + i % 160));
  }
  EXPECT_LE(heap_footprint(blocks.heap), blocks.used + 3 * PAGE);
  ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
  EXPECT_LE(heap_footprint(blocks.heap), 8 * PAGE);
}

TEST(HeapOfPages, GivesBackWhatAPeakTook)
{
  Blocks blocks(true);
  for (int i = 0; i < 40000; i++) {
    ASSERT_NO_FATAL_FAILURE(blocks.add(1 + static_cast<size_t>(i) % 700));
  }
  EXPECT_GT(heap_footprint(blocks.heap), size_t{14} << 20);
  EXPECT_LE(heap_footprint(blocks.heap), blocks.used * 5 / 4 + MIDDLE);
  while (blocks.all.size() > 10) {
    ASSERT_NO_FATAL_FAILURE(blocks.remove(0));
  }
  EXPECT_LE(heap_footprint(blocks.heap), size_t{512} << 10);
}

TEST(HeapOfPages, UsesFreedBlocksAgain)
{
  Blocks blocks(true);
  size_t first = 0;
  for (int round = 0; round < 50; round++) {
    for (size_t i = 0; i < 5000; i++) {
      ASSERT_NO_FATAL_FAILURE(blocks.add(1 + i * 13 % 500));
    }
    if (round == 0) {
      first = heap_footprint(blocks.heap);
    }
    EXPECT_LE(heap_footprint(blocks.heap), first * 5 / 4);
    ASSERT_NO_FATAL_FAILURE(blocks.remove_all());
  }
}

TEST(HeapOfPages, LeavesABlockWhereItIsIfThereIsNoMemoryToShrinkIt)
{
  if (TESTS_SANITIZED) {
    GTEST_SKIP();
  }
  EXPECT_EQ(0, narrow(size_t{16} << 20, [] {
              test_heap *heap = heap_create(true, 0);
              const size_t size = 2 * SMALL;
              std::vector<void *> all;
              all.reserve(10000);
              void *block = heap_allocate(heap, nullptr, 0, size);
              while (block != nullptr && all.size() < 10000) {
                fill(block, size, 3);
                all.push_back(block);
                block = heap_allocate(heap, nullptr, 0, size);
              }
              /* And whatever single pages there are. */
              std::vector<void *> pages;
              pages.reserve(10000);
              while ((block = pages_get(1)) != nullptr) {
                pages.push_back(block);
              }
              size_t used = heap_used(heap);
              if (all.size() < 100 || used != all.size() * size) {
                return 1;
              }
              for (void *&each : all) {
                void *shrunk = heap_allocate(heap, each, size, 50);
                if (shrunk == nullptr || !filled(shrunk, 50, 3)) {
                  return 2;
                }
                each = shrunk;
              }
              if (heap_used(heap) != all.size() * 50) {
                return 3;
              }
              for (void *each : all) {
                heap_allocate(heap, each, 50, 0);
              }
              return heap_used(heap) == 0 && heap_footprint(heap) <= 65536 ? 0
                                                                           : 4;
            }));
}

/* ---- States ---- */

namespace
{

/* A state with its own pages, where states have them. */
class Paged : public testing::Test
{
protected:
  void SetUp() override
  {
    before = pages_look().used;
    ASSERT_EQ(bridge_state_create(&state, nullptr, nullptr), BRIDGE_OK);
    if (TESTS_SANITIZED) {
      EXPECT_EQ(pages_look().used, before);
    } else {
      EXPECT_GT(pages_look().used, before);
    }
  }
  void TearDown() override
  {
    bridge_state_release(state);
    EXPECT_EQ(pages_look().used, before);
  }
  bridge_status run(const std::string &text)
  {
    return bridge_state_run(state, text.data(), text.size(), "=test", nullptr,
                            nullptr, nullptr);
  }
  size_t pages()
  {
    return pages_look().used - before;
  }

  size_t before = 0;
  bridge_state *state = nullptr;
};

} // namespace

TEST_F(Paged, TakesFewPagesForAFreshState)
{
  EXPECT_LE(pages(), 7u);
  EXPECT_EQ(run("return 1 + 1"), BRIDGE_OK);
  EXPECT_LE(pages(), 8u);
}

TEST_F(Paged, GivesBackAfterAPeak)
{
  EXPECT_EQ(run("local all = {} "
                "for i = 1, 100000 do all[i] = { i, tostring(i) } end "
                "peak = collectgarbage('count')"),
            BRIDGE_OK);
  const size_t peak = pages();
  EXPECT_EQ(run("collectgarbage() collectgarbage()"), BRIDGE_OK);
  EXPECT_LE(pages(), TESTS_SANITIZED ? 0 : 128u);
  EXPECT_GE(peak, TESTS_SANITIZED ? 0 : 2000u);
}

TEST_F(Paged, StaysFlatWhileItWorks)
{
  const char *work =
      "local all = {} "
      "for i = 1, 3000 do all[i] = { tostring(i), name = ('x'):rep(i % 90) } "
      "end "
      "table.sort(all, function(a, b) return a[1] < b[1] end) "
      "local co = coroutine.wrap(function() coroutine.yield(#all) end) co()";
  const char *rest = "collectgarbage() collectgarbage()";
  size_t early = 0;
  for (int i = 0; i < 40; i++) {
    EXPECT_EQ(run(work), BRIDGE_OK);
    EXPECT_EQ(run(rest), BRIDGE_OK);
    early = i < 5 ? std::max(early, pages()) : early;
  }
  EXPECT_LE(pages(), early + early / 4);
}

TEST_F(Paged, RunsFinalizersThatAllocateWhileItCloses)
{
  EXPECT_EQ(run("setmetatable({}, { __gc = function() "
                "  local all = {} "
                "  for i = 1, 20000 do all[i] = ('y'):rep(i % 3000) end "
                "  for i = 1, 20000 do "
                "    assert(#all[i] == i % 3000 and not all[i]:find('[^y]')) "
                "  end "
                "  local text = table.concat(all, '', 1, 9000) "
                "  assert(#text > 1e6) "
                "end })"),
            BRIDGE_OK);
}

TEST_F(Paged, KeepsItsLimitWhileFinalizersRunAtItsEnd)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.memory_limit = 1 << 20;
  bridge_state_release(state);
  ASSERT_EQ(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
  EXPECT_EQ(run("setmetatable({}, { __gc = function() "
                "  for i = 1, 300000 do local garbage = { i } end "
                "end })"),
            BRIDGE_OK);
  bridge_trim();
  bridge_state_release(state);
  state = nullptr;
  EXPECT_LT(pages_look().dirty * PAGE, size_t{8} << 20);
}

TEST_F(Paged, GoesFromThreadToThread)
{
  for (int i = 0; i < 4; i++) {
    std::thread([&] {
      EXPECT_EQ(run("kept = kept or {} "
                    "for i = 1, 5000 do kept[#kept + 1] = { #kept } end "
                    "for i, each in ipairs(kept) do assert(each[1] == i - 1) "
                    "end"),
                BRIDGE_OK);
    }).join();
  }
  std::thread([&] { bridge_state_release(state); }).join();
  state = nullptr;
}

TEST_F(Paged, IsClosedByTheChildOfAForkAndByTheParent)
{
  EXPECT_EQ(run("kept = {} for i = 1, 5000 do kept[i] = { i } end"), BRIDGE_OK);
  EXPECT_EQ(0, support::in_child([&] {
              bridge_state_release(state);
              return pages_look().used == before ? 0 : 1;
            }));
  EXPECT_EQ(run("for i = 1, 5000 do assert(kept[i][1] == i) end"), BRIDGE_OK);
}

/* In a process of its own, where no allocator was chosen yet. */
static int through_the_hosts()
{
  if (support::install() != BRIDGE_OK) {
    return 1;
  }
  const long none = support::blocks;
  bridge_state *state = nullptr;
  if (bridge_state_create(&state, nullptr, nullptr) != BRIDGE_OK) {
    return 2;
  }
  /* Hundreds of objects, and no pages. */
  const long made = support::blocks - none;
  if (made < 200 || pages_look().arenas != 0) {
    return 3;
  }
  bridge_state_release(state);
  return support::blocks == none ? 0 : 4;
}

TEST(HeapDeathTest, ShowsEveryBlockToTheAllocatorOfTheHost)
{
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(_exit(through_the_hosts()), testing::ExitedWithCode(0), "");
}
