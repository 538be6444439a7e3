/* Where a worker is, asked from outside, and the watchdog. */
#include "../support.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace
{

const int kSoon = 20000; /* long enough for any machine, and never reached */

Owned<bridge_worker> start(const std::string &source,
                           bridge_message *arguments = nullptr,
                           bridge_drive drive = BRIDGE_DRIVE_THREAD)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source.c_str();
  options.drive = drive;
  options.name = "seen";
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, &arguments, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  return Owned<bridge_worker>(worker);
}

Owned<bridge_queue> queue()
{
  bridge_queue *made = nullptr;
  EXPECT_STATUS(bridge_queue_create(&made, nullptr), BRIDGE_OK);
  return Owned<bridge_queue>(made);
}

std::string pop(bridge_queue *from)
{
  bridge_message *m = nullptr;
  EXPECT_STATUS(bridge_queue_pop(from, &m, kSoon), BRIDGE_OK);
  std::string text = show(m);
  bridge_message_release(m);
  return text;
}

Owned<bridge_error> look(bridge_worker *worker, int timeout_ms = kSoon)
{
  bridge_error *where = nullptr;
  EXPECT_STATUS(bridge_worker_traceback(worker, timeout_ms, &where), BRIDGE_OK);
  return Owned<bridge_error>(where);
}

/* Whether a level of it is at this line.  (The loops call the C library, since
   ThreadSanitizer keeps signals back until then.) */
bool stands_at(const bridge_error *where, int line)
{
  bool found = false;
  for (size_t i = 0; i < bridge_error_frame_count(where); i++) {
    bridge_frame frame;
    EXPECT_STATUS(bridge_error_frame(where, i, &frame), BRIDGE_OK);
    found = found || frame.line == line;
  }
  return found;
}

bool contains(const std::string &text, const std::string &part)
{
  return text.find(part) != std::string::npos;
}

TEST(Look, SaysNoToNothingAndToTheDead)
{
  bridge_error *where = nullptr;
  EXPECT_STATUS(bridge_worker_traceback(nullptr, 0, &where), BRIDGE_EINVAL);
  Owned<bridge_worker> worker = start("return 1");
  EXPECT_STATUS(bridge_worker_traceback(worker.get(), 0, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_traceback(worker.get(), 0, &where), BRIDGE_EDEAD);
  EXPECT_EQ(where, nullptr);
  EXPECT_STATUS(bridge_set_watchdog(-1), BRIDGE_EINVAL);
}

TEST(Look, SeesAScriptThatComputes)
{
  Owned<bridge_queue> told = queue();
  Owned<bridge_worker> worker =
      start("local told = ...\n"
            "local function inner() while true do tostring(0.5) end end\n"
            "told:push 'runs'\n"
            "inner()",
            message(told.get()));
  EXPECT_EQ(pop(told.get()), "'runs'");
  for (int i = 0; i < 20; i++) {
    Owned<bridge_error> where = look(worker.get());
    ASSERT_NE(where, nullptr);
    EXPECT_STREQ(bridge_error_text(where.get(), nullptr), "main chunk runs");
  }
  Owned<bridge_error> where = look(worker.get());
  EXPECT_TRUE(contains(bridge_error_traceback(where.get()), "inner"))
      << bridge_error_traceback(where.get());
  EXPECT_TRUE(stands_at(where.get(), 2));
  EXPECT_STATUS(bridge_worker_close(worker.get(), 500), BRIDGE_OK);
}

TEST(Look, SeesACoroutineOfTheScriptsOwnAndWhoResumedIt)
{
  Owned<bridge_queue> told = queue();
  Owned<bridge_worker> worker =
      start("local told = ...\n"
            "local function inside() told:push 'runs' while true do "
            "tostring(0.5) end end\n"
            "local function outside() coroutine.wrap(inside)() end\n"
            "outside()",
            message(told.get()));
  EXPECT_EQ(pop(told.get()), "'runs'");
  Owned<bridge_error> where = look(worker.get());
  const bridge_error *outer = bridge_error_cause(where.get());
  ASSERT_NE(outer, nullptr);
  EXPECT_TRUE(stands_at(where.get(), 2));
  EXPECT_TRUE(contains(bridge_error_traceback(outer), "outside"))
      << bridge_error_traceback(outer);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 500), BRIDGE_OK);
}

TEST(Look, SeesAllCoroutinesOfOneThatWaits)
{
  Owned<bridge_worker> worker =
      start("local bridge = require 'bridge'\n"
            "local function deep() bridge.sleep(1000) end\n"
            "bridge.serve { nap = function() deep() end,\n"
            "ping = function() end }");
  bridge_message *request = message("nap");
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, kSoon), BRIDGE_OK);
  request = message("ping");
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, kSoon, nullptr, nullptr),
      BRIDGE_OK);
  Owned<bridge_error> where = look(worker.get());
  std::string text = bridge_error_traceback(where.get());
  EXPECT_TRUE(contains(text, "main chunk serves:")) << text;
  EXPECT_TRUE(contains(text, "nap sleeps:")) << text;
  EXPECT_TRUE(contains(text, "deep")) << text;
  EXPECT_STATUS(bridge_worker_close(worker.get(), 500), BRIDGE_OK);
}

TEST(Look, SeesAHostsWorker)
{
  Owned<bridge_worker> worker =
      start("require 'bridge'.yield()", nullptr, BRIDGE_DRIVE_HOST);
  EXPECT_TRUE(contains(bridge_error_traceback(look(worker.get()).get()),
                       "main chunk is ready to run:"));
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  EXPECT_TRUE(contains(bridge_error_traceback(look(worker.get()).get()),
                       "main chunk waits for bridge_worker_next:"));
}

TEST(Look, IsRefusedFromWithin)
{
  Owned<bridge_worker> worker = start("local w = require 'bridge'.self()\n"
                                      "return select(3, w:traceback())");
  bridge_message *results = nullptr;
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(show(results), "'EDEADLOCK'");
  bridge_message_release(results);
}

TEST(Look, ManyLookWhileItWorksAndEnds)
{
  for (int round = 0; round < 10; round++) {
    Owned<bridge_worker> worker =
        start("local bridge = require 'bridge'\n"
              "for i = 1, 50 do\n"
              "local x = 0 for j = 1, 2000 do x = x + j end\n"
              "bridge.sleep(0) end");
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
      threads.emplace_back([&] {
        bridge_status status = BRIDGE_OK;
        while (status == BRIDGE_OK) {
          bridge_error *where = nullptr;
          status = bridge_worker_traceback(worker.get(), kSoon, &where);
          bridge_error_release(where);
        }
        EXPECT_STATUS(status, BRIDGE_EDEAD);
      });
    }
    EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                  BRIDGE_OK);
    for (std::thread &thread : threads) {
      thread.join();
    }
  }
}

/* ---- The watchdog ---- */

class Listener
{
public:
  Listener()
  {
    EXPECT_STATUS(bridge_set_logger(take, this), BRIDGE_OK);
  }
  ~Listener()
  {
    EXPECT_STATUS(bridge_set_watchdog(0), BRIDGE_OK);
    EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
  }
  std::vector<std::string> texts()
  {
    std::lock_guard<std::mutex> guard(mutex_);
    return texts_;
  }
  std::vector<std::string> traces()
  {
    std::lock_guard<std::mutex> guard(mutex_);
    return traces_;
  }
  bool wait_for(size_t count)
  {
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (texts().size() < count && std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
    }
    return texts().size() >= count;
  }

private:
  static void take(const bridge_log_record *record, void *user)
  {
    Listener *self = static_cast<Listener *>(user);
    EXPECT_EQ(record->level, BRIDGE_LOG_WARNING);
    EXPECT_STREQ(record->worker, "seen");
    std::lock_guard<std::mutex> guard(self->mutex_);
    self->texts_.emplace_back(record->text, record->size);
    self->traces_.emplace_back(bridge_error_traceback(record->error));
  }
  std::mutex mutex_;
  std::vector<std::string> traces_;
  std::vector<std::string> texts_;
};

TEST(Watchdog, TellsWhereAScriptRunsForTooLongAndAgainWhenItDoubles)
{
  Listener listener;
  Owned<bridge_worker> worker =
      start("local function spin() while true do tostring(0.5) end end\n"
            "spin()");
  EXPECT_STATUS(bridge_set_watchdog(20), BRIDGE_OK);
  ASSERT_TRUE(listener.wait_for(3));
  EXPECT_TRUE(contains(listener.texts()[0], "main chunk has run for"))
      << listener.texts()[0];
  EXPECT_TRUE(contains(listener.texts()[0], "at seen:1"))
      << listener.texts()[0];
  EXPECT_FALSE(contains(listener.texts()[0], "traceback"));
  EXPECT_TRUE(contains(listener.traces()[0], "spin")) << listener.traces()[0];
  EXPECT_STATUS(bridge_worker_close(worker.get(), 500), BRIDGE_OK);
}

TEST(Watchdog, SaysNothingOfThoseThatWait)
{
  Listener listener;
  Owned<bridge_worker> idle = start("require 'bridge'.serve {}");
  EXPECT_STATUS(bridge_set_watchdog(5), BRIDGE_OK);
  Owned<bridge_worker> busy = start("while true do tostring(0.5) end");
  ASSERT_TRUE(listener.wait_for(3)); /* it has looked often enough */
  for (const std::string &text : listener.texts()) {
    EXPECT_TRUE(contains(text, "main chunk has run")) << text;
  }
  EXPECT_STATUS(bridge_set_watchdog(0), BRIDGE_OK);
  size_t count = listener.texts().size();
  EXPECT_STATUS(bridge_worker_close(busy.get(), 500), BRIDGE_OK);
  EXPECT_EQ(listener.texts().size(), count); /* it was gone before */
  EXPECT_STATUS(bridge_worker_close(idle.get(), kSoon), BRIDGE_OK);
}

TEST(Watchdog, IsSetAndEndedByManyAtOnce)
{
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([] {
      for (int j = 0; j < 50; j++) {
        EXPECT_STATUS(bridge_set_watchdog(j % 3 * 1000), BRIDGE_OK);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_STATUS(bridge_set_watchdog(0), BRIDGE_OK);
}

} // namespace
