/* bridge_run_chunk: as what threads run. */
#include "../support.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <vector>

namespace
{

struct Chunk {
  bridge_chunk body;

  explicit Chunk(const char *source)
  {
    bridge_chunk_init(&body);
    body.source = source;
  }
  ~Chunk()
  {
    bridge_chunk_clear(&body);
  }
  Chunk(const Chunk &) = delete;
  Chunk &operator=(const Chunk &) = delete;

  bridge_status run()
  {
    return (bridge_status)(intptr_t)bridge_run_chunk(&body);
  }
};

bridge_status on_thread(bridge_chunk *chunk)
{
  pthread_t thread;
  void *value = nullptr;
  EXPECT_EQ(pthread_create(&thread, nullptr, bridge_run_chunk, chunk), 0);
  EXPECT_EQ(pthread_join(thread, &value), 0);
  return (bridge_status)(intptr_t)value;
}

int64_t integer(const bridge_message *message)
{
  bridge_reader reader;
  int64_t value = -1;
  EXPECT_EQ(bridge_reader_init(&reader, message), BRIDGE_OK);
  EXPECT_EQ(bridge_reader_integer(&reader, &value), BRIDGE_OK);
  return value;
}

TEST(Chunk, IsWhatAPosixThreadRuns)
{
  Chunk chunk("return ... + 1");
  ASSERT_EQ(bridge_message_create(&chunk.body.arguments, 0), BRIDGE_OK);
  ASSERT_EQ(bridge_message_write_integer(chunk.body.arguments, 41), BRIDGE_OK);
  EXPECT_EQ(on_thread(&chunk.body), BRIDGE_OK);
  EXPECT_EQ(chunk.body.status, BRIDGE_OK);
  EXPECT_EQ(chunk.body.arguments, nullptr);
  EXPECT_EQ(chunk.body.error, nullptr);
  EXPECT_EQ(integer(chunk.body.results), 42);
}

TEST(Chunk, RunsWithoutAThread)
{
  Chunk chunk("return 7");
  EXPECT_EQ(chunk.run(), BRIDGE_OK);
  EXPECT_EQ(integer(chunk.body.results), 7);
}

TEST(Chunk, TellsOfAnError)
{
  Chunk chunk("error('broken')");
  chunk.body.name = "=story";
  EXPECT_EQ(on_thread(&chunk.body), BRIDGE_ESCRIPT);
  EXPECT_EQ(chunk.body.status, BRIDGE_ESCRIPT);
  EXPECT_EQ(chunk.body.results, nullptr);
  EXPECT_STREQ(bridge_error_text(chunk.body.error, nullptr), "story:1: broken");
  EXPECT_STRNE(bridge_error_traceback(chunk.body.error), "");
}

TEST(Chunk, TellsOfASyntaxErrorByTheSource)
{
  Chunk chunk("x x");
  EXPECT_EQ(on_thread(&chunk.body), BRIDGE_ESYNTAX);
  EXPECT_STREQ(bridge_error_text(chunk.body.error, nullptr),
               "[string \"x x\"]:1: syntax error near 'x'");
}

TEST(Chunk, MayContainNuls)
{
  const char source[] = "return #'a\0b'";
  Chunk chunk(source);
  chunk.body.size = sizeof source - 1;
  EXPECT_EQ(chunk.run(), BRIDGE_OK);
  EXPECT_EQ(integer(chunk.body.results), 3);
}

TEST(Chunk, TakesTheOptionsOfAState)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.libraries = "base";
  Chunk chunk("return string == nil and 1 or 0");
  chunk.body.options = &options;
  EXPECT_EQ(chunk.run(), BRIDGE_OK);
  EXPECT_EQ(integer(chunk.body.results), 1);
  bridge_chunk_clear(&chunk.body);
  options.libraries = "nonsense";
  EXPECT_EQ(chunk.run(), BRIDGE_ENOTFOUND);
  EXPECT_NE(chunk.body.error, nullptr);
}

TEST(Chunk, RunsAgainOnceItIsCleared)
{
  Chunk chunk("return 1");
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(chunk.run(), BRIDGE_OK);
    EXPECT_EQ(integer(chunk.body.results), 1);
    bridge_chunk_clear(&chunk.body);
    EXPECT_EQ(chunk.body.results, nullptr);
  }
}

TEST(Chunk, RefusesWhatIsNone)
{
  EXPECT_EQ((bridge_status)(intptr_t)bridge_run_chunk(nullptr), BRIDGE_EINVAL);
  Chunk empty(nullptr);
  ASSERT_EQ(bridge_message_create(&empty.body.arguments, 0), BRIDGE_OK);
  EXPECT_EQ(empty.run(), BRIDGE_EINVAL);
  EXPECT_EQ(empty.body.status, BRIDGE_EINVAL);
  EXPECT_EQ(empty.body.arguments, nullptr);
  Chunk other("return 1");
  other.body.version = BRIDGE_CHUNK_VERSION + 1;
  EXPECT_EQ(other.run(), BRIDGE_EVERSION);
  EXPECT_EQ(other.body.results, nullptr);
  bridge_chunk_init(nullptr);
  bridge_chunk_clear(nullptr);
}

TEST(Chunk, AnEmptySourceIsAChunk)
{
  Chunk chunk("");
  EXPECT_EQ(chunk.run(), BRIDGE_OK);
  EXPECT_EQ(bridge_message_count(chunk.body.results), 0u);
}

std::atomic<int> over{0};

void free_it(bridge_chunk *chunk)
{
  EXPECT_EQ(chunk->status, BRIDGE_OK);
  EXPECT_EQ(integer(chunk->results), 5);
  bridge_chunk_clear(chunk);
  std::atomic<int> *count = static_cast<std::atomic<int> *>(chunk->user);
  delete chunk;
  count->fetch_add(1);
}

TEST(Chunk, SaysThatItIsOverToWhoDoesNotJoin)
{
  const int count = 8;
  for (int i = 0; i < count; i++) {
    auto *chunk = new bridge_chunk;
    bridge_chunk_init(chunk);
    chunk->source = "return 5";
    chunk->finished = free_it;
    chunk->user = &over;
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, bridge_run_chunk, chunk), 0);
    ASSERT_EQ(pthread_detach(thread), 0);
  }
  while (over.load() < count) {
    sched_yield();
  }
  EXPECT_EQ(over.load(), count);
}

TEST(Chunk, RunsOnManyThreadsAtOnce)
{
  const int count = 16;
  std::vector<bridge_chunk> chunks(count);
  std::vector<pthread_t> threads(count);
  for (int i = 0; i < count; i++) {
    bridge_chunk_init(&chunks[i]);
    chunks[i].source = "local s = 0 for i = 1, 1000 do s = s + i end return s";
    ASSERT_EQ(
        pthread_create(&threads[i], nullptr, bridge_run_chunk, &chunks[i]), 0);
  }
  for (int i = 0; i < count; i++) {
    void *value = &value;
    ASSERT_EQ(pthread_join(threads[i], &value), 0);
    EXPECT_EQ(value, nullptr);
    EXPECT_EQ(integer(chunks[i].results), 500500);
    bridge_chunk_clear(&chunks[i]);
  }
}

} // namespace
