/* The logger: what nobody else is told, and who takes it. */
#include "../support.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

const int kSoon = 20000; /* long enough for any machine, and never reached */

struct Line {
  bridge_log_level level;
  std::string text;
  std::string worker;
  std::string traceback;
  uint64_t id;
  uint64_t suppressed;
};

/* Takes all records while it lives. */
class Listener
{
public:
  Listener()
  {
    EXPECT_STATUS(bridge_set_logger(take, this), BRIDGE_OK);
    EXPECT_STATUS(bridge_set_log_level(BRIDGE_LOG_INFO), BRIDGE_OK);
  }
  ~Listener()
  {
    EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
    EXPECT_STATUS(bridge_set_log_level(BRIDGE_LOG_INFO), BRIDGE_OK);
  }
  std::vector<Line> lines()
  {
    std::lock_guard<std::mutex> guard(mutex_);
    return lines_;
  }
  /* Those that contain the text. */
  size_t count(const std::string &text)
  {
    size_t found = 0;
    for (const Line &line : lines()) {
      found += line.text.find(text) != std::string::npos ? 1 : 0;
    }
    return found;
  }

private:
  static void take(const bridge_log_record *record, void *user)
  {
    Listener *self = static_cast<Listener *>(user);
    std::lock_guard<std::mutex> guard(self->mutex_);
    EXPECT_GT(record->time_ns, INT64_C(1000000000) * 1000000000);
    self->lines_.push_back(
        {record->level, std::string(record->text, record->size), record->worker,
         bridge_error_traceback(record->error), record->worker_id,
         record->suppressed});
  }
  std::mutex mutex_;
  std::vector<Line> lines_;
};

struct Options {
  bridge_worker_options worker;
  explicit Options(const std::string &source) : text(source)
  {
    bridge_worker_options_init(&worker);
    worker.source = text.data();
    worker.source_size = text.size();
    worker.name = "told";
  }
  std::string text;
};

Owned<bridge_worker> start(Options &options)
{
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options.worker, nullptr, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  return Owned<bridge_worker>(worker);
}

Owned<bridge_worker> start(const std::string &source)
{
  Options options(source);
  return start(options);
}

Owned<bridge_queue> queue(size_t items = 0)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = items;
  bridge_queue *made = nullptr;
  EXPECT_STATUS(bridge_queue_create(&made, &options), BRIDGE_OK);
  return Owned<bridge_queue>(made);
}

std::string pop(bridge_queue *from, int timeout_ms = kSoon)
{
  bridge_message *m = nullptr;
  bridge_status status = bridge_queue_pop(from, &m, timeout_ms);
  std::string text = status == BRIDGE_OK ? show(m) : bridge_status_name(status);
  bridge_message_release(m);
  return text;
}

bool contains(const std::string &text, const std::string &part)
{
  return text.find(part) != std::string::npos;
}

/* Run to the end; nobody asks how it was. */
void finish(Owned<bridge_worker> worker)
{
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Log, SaysNoToWhatIsNoLevelAndNoText)
{
  EXPECT_STATUS(bridge_log(static_cast<bridge_log_level>(-1), "x", 1),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_log(static_cast<bridge_log_level>(4), "x", 1),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_log(BRIDGE_LOG_ERROR, nullptr, 1), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_set_log_level(static_cast<bridge_log_level>(9)),
                BRIDGE_EINVAL);
  EXPECT_STREQ(bridge_log_level_name(BRIDGE_LOG_WARNING), "warning");
  EXPECT_STREQ(bridge_log_level_name(static_cast<bridge_log_level>(-1)), "?");
}

TEST(Log, TellsAFunctionWhatTheHostSays)
{
  Listener listener;
  EXPECT_STATUS(bridge_log(BRIDGE_LOG_INFO, nullptr, 0), BRIDGE_OK);
  EXPECT_STATUS(bridge_log(BRIDGE_LOG_WARNING, "a\0b", 3), BRIDGE_OK);
  EXPECT_STATUS(bridge_log(BRIDGE_LOG_DEBUG, "no", 2), BRIDGE_OK);
  ASSERT_EQ(listener.lines().size(), 2u);
  EXPECT_EQ(listener.lines()[0].text, "");
  EXPECT_EQ(listener.lines()[1].text, std::string("a\0b", 3));
  EXPECT_EQ(listener.lines()[1].worker, "");
  EXPECT_EQ(listener.lines()[1].id, 0u);
}

TEST(Log, LeavesOutWhatMattersLess)
{
  Listener listener;
  EXPECT_STATUS(bridge_set_log_level(BRIDGE_LOG_ERROR), BRIDGE_OK);
  bridge_log(BRIDGE_LOG_WARNING, "no", 2);
  bridge_log(BRIDGE_LOG_ERROR, "yes", 3);
  EXPECT_STATUS(bridge_set_log_level(BRIDGE_LOG_DEBUG), BRIDGE_OK);
  bridge_log(BRIDGE_LOG_DEBUG, "yes", 3);
  EXPECT_EQ(listener.count("yes"), 2u);
  EXPECT_EQ(listener.lines().size(), 2u);
}

TEST(Log, NamesTheWorkerWhoseScriptLogs)
{
  Listener listener;
  Owned<bridge_worker> worker =
      start("local bridge = require 'bridge'\n"
            "bridge.log.info('one', 2, nil, {} ~= 1)\n"
            "bridge.log('error', 'two')\n"
            "bridge.log.debug('three')");
  uint64_t id = bridge_worker_id(worker.get());
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
  std::vector<Line> lines = listener.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].text, "one 2 nil true");
  EXPECT_EQ(lines[0].worker, "told");
  EXPECT_EQ(lines[0].id, id);
  EXPECT_EQ(lines[1].level, BRIDGE_LOG_ERROR);
}

TEST(Log, TellsTheErrorOfARequestThatNobodyWaitsFor)
{
  Listener listener;
  Owned<bridge_worker> worker =
      start("require 'bridge'.serve { fail = function() error 'oh no' end }");
  bridge_message *request = message("fail");
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, kSoon), BRIDGE_OK);
  request = message("nobody");
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, kSoon), BRIDGE_OK);
  finish(std::move(worker));
  EXPECT_EQ(listener.count("oh no"), 1u);
  EXPECT_EQ(listener.count("nobody"),
            2u); /* "a request that nobody waits for" */
  EXPECT_TRUE(contains(listener.lines()[0].traceback, "stack traceback"));
}

TEST(Log, TellsTheErrorOfAChunkThatNobodyJoined)
{
  Listener listener;
  finish(start("error 'lost'"));
  EXPECT_EQ(listener.count("lost"), 1u);
}

TEST(Log, DoesNotTellAnErrorThatSomebodyTook)
{
  Listener listener;
  Owned<bridge_worker> worker = start("error 'taken'");
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_ESCRIPT);
  worker.reset();
  worker = start("require 'bridge'.serve { x = function() error 'taken' end }");
  bridge_message *request = message("x");
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, kSoon, nullptr, nullptr),
      BRIDGE_ESCRIPT);
  finish(std::move(worker));
  EXPECT_EQ(listener.lines().size(), 0u);
}

TEST(Log, DoesNotTellThatACancelledWorkerWasCancelled)
{
  Listener listener;
  Owned<bridge_worker> worker = start("require 'bridge'.sleep(1000)");
  EXPECT_STATUS(bridge_worker_close(worker.get(), 50), BRIDGE_OK);
  worker.reset();
  EXPECT_EQ(listener.lines().size(), 0u);
}

TEST(Log, TellsAnAnswerThatCameTooLateAndIsAnError)
{
  Listener listener;
  Owned<bridge_queue> answers = queue();
  Owned<bridge_queue> gate = queue();
  Options options("local gate = ...\n"
                  "require 'bridge'.serve { x = function() gate:pop()\n"
                  "error 'too late' end }");
  bridge_message *arguments = message(gate.get());
  bridge_worker *made = nullptr;
  ASSERT_STATUS(
      bridge_worker_create(&made, &options.worker, &arguments, nullptr),
      BRIDGE_OK);
  Owned<bridge_worker> worker(made);
  bridge_message *request = message("x");
  ASSERT_STATUS(bridge_worker_request(made, &request, kSoon, answers.get(), 1),
                BRIDGE_OK);
  bridge_queue_close(answers.get());
  bridge_message *go = message(1);
  ASSERT_STATUS(bridge_queue_push(gate.get(), &go), BRIDGE_OK);
  finish(std::move(worker));
  EXPECT_EQ(listener.count("too late"), 1u);
}

TEST(Log, TellsWarningsAndErrorsInGc)
{
  Listener listener;
  finish(
      start("warn('a ', 'warning')\n"
            "warn '@off' warn 'hidden' warn '@on' warn ''\n"
            "setmetatable({}, { __gc = function() error 'in the end' end })"));
  EXPECT_EQ(listener.count("a warning"), 1u);
  EXPECT_EQ(listener.count("hidden"), 0u);
  EXPECT_EQ(listener.count("in the end"), 1u);
  for (const Line &line : listener.lines()) {
    EXPECT_EQ(line.level, BRIDGE_LOG_WARNING);
    EXPECT_EQ(line.worker, "told");
  }
  EXPECT_EQ(listener.lines().size(), 3u);
}

TEST(Log, KeepsTheBeginningOfAHugeWarning)
{
  Listener listener;
  finish(start("warn(('x'):rep(1 << 20), 'y') warn 'after'"));
  ASSERT_EQ(listener.lines().size(), 2u);
  EXPECT_EQ(listener.lines()[0].text, std::string(4096, 'x'));
  EXPECT_EQ(listener.lines()[1].text, "after");
}

TEST(Log, CountsWhatAWorkerSaysTooMuch)
{
  Listener listener;
  Options options("local bridge = require 'bridge'\n"
                  "for i = 1, 100000 do bridge.log.info(i) end\n"
                  "return 1");
  Owned<bridge_worker> worker = start(options);
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
  uint64_t told = 0;
  uint64_t last = 0;
  std::vector<Line> lines = listener.lines();
  ASSERT_GE(lines.size(), 65u);
  Line end = lines.back();
  lines.pop_back();
  for (const Line &line : lines) {
    told += line.suppressed + 1;
    last = std::stoull(line.text);
    EXPECT_EQ(told, last); /* each one that is missing was counted */
  }
  EXPECT_EQ(end.text, "ended; some of its records were left out");
  EXPECT_EQ(told + end.suppressed, 100000u);
  EXPECT_LT(listener.lines().size(), 100000u);
}

TEST(Log, TellsAQueueATable)
{
  Owned<bridge_queue> records = queue();
  ASSERT_STATUS(bridge_set_log_queue(records.get()), BRIDGE_OK);
  Owned<bridge_queue> results = queue();
  Options options("local q, out = ...\n"
                  "local r = q:pop()\n"
                  "out:push(r.level, r.text, r.worker, math.type(r.id),\n"
                  "math.type(r.time), r.suppressed, r.error == nil)\n"
                  "r = q:pop()\n"
                  "out:push(r.level, r.text, r.error.message, r.error.code,\n"
                  "r.error.value.deep[1].x, r.error.value == "
                  "r.error.value.self, #r.error.frames > 0,\n"
                  "r.error.traceback:find 'stack traceback' ~= nil)");
  bridge_message *arguments = message(records.get(), results.get());
  bridge_worker *made = nullptr;
  ASSERT_STATUS(
      bridge_worker_create(&made, &options.worker, &arguments, nullptr),
      BRIDGE_OK);
  Owned<bridge_worker> reader(made);
  bridge_log(BRIDGE_LOG_INFO, "first", 5);
  Owned<bridge_worker> failing = start(
      "local t = { deep = { { x = 7 } } } t.self = t\n"
      "error(setmetatable(t, { __tostring = function() return 'T' end }))");
  finish(std::move(failing));
  EXPECT_EQ(pop(results.get()), "'info' 'first' '' 'integer' 'float' 0 true");
  EXPECT_EQ(pop(results.get()),
            "'error' 'ended, and nobody joined it: T' 'T' 'ESCRIPT' 7 true "
            "true true");
  EXPECT_STATUS(bridge_set_log_queue(nullptr), BRIDGE_OK);
}

TEST(Log, NamesWhatIsMoreThanData)
{
  Owned<bridge_queue> records = queue();
  ASSERT_STATUS(bridge_set_log_queue(records.get()), BRIDGE_OK);
  finish(start("error { f = function() end, q = require 'bridge'.queue() }"));
  bridge_message *m = nullptr;
  ASSERT_STATUS(bridge_queue_pop(records.get(), &m, kSoon), BRIDGE_OK);
  EXPECT_EQ(bridge_message_slot_count(m), 0u);
  EXPECT_TRUE(contains(show(m), "'ESCRIPT'"));
  EXPECT_TRUE(contains(show(m), "'f' 'function'"));
  EXPECT_TRUE(contains(show(m), "'q' 'queue'"));
  bridge_message_release(m);
  EXPECT_STATUS(bridge_set_log_queue(nullptr), BRIDGE_OK);
}

TEST(Log, CountsRecordsThatFindTheQueueFull)
{
  Owned<bridge_queue> records = queue(2);
  Options options(
      "local bridge = require 'bridge'\n"
      "bridge.serve { say = function(...) bridge.log.info(...) end }");
  options.worker.log = records.get();
  Owned<bridge_worker> worker = start(options);
  for (int i = 1; i <= 4; i++) {
    bridge_message *request = message("say", i);
    EXPECT_STATUS(
        bridge_worker_call(worker.get(), &request, kSoon, nullptr, nullptr),
        BRIDGE_OK);
  }
  EXPECT_TRUE(contains(pop(records.get()), "'suppressed' 0"));
  EXPECT_TRUE(contains(pop(records.get()), "'text' '2'"));
  bridge_message *request = message("say", 5);
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, kSoon, nullptr, nullptr),
      BRIDGE_OK);
  std::string last = pop(records.get());
  EXPECT_TRUE(contains(last, "'text' '5'")) << last;
  EXPECT_TRUE(contains(last, "'suppressed' 2")) << last;
}

TEST(Log, CountsRecordsOfTheHostThatFindTheQueueFull)
{
  Owned<bridge_queue> records = queue(2);
  ASSERT_STATUS(bridge_set_log_queue(records.get()), BRIDGE_OK);
  for (int i = 0; i < 10; i++) {
    bridge_log(BRIDGE_LOG_INFO, "x", 1);
  }
  pop(records.get());
  pop(records.get());
  bridge_log(BRIDGE_LOG_INFO, "next", 4);
  EXPECT_TRUE(contains(pop(records.get()), "'suppressed' 8"));
  EXPECT_STATUS(bridge_set_log_queue(nullptr), BRIDGE_OK);
}

/* Its own queue is full for good; so the next record of the host tells it. */
TEST(Log, CountsWhatAWorkerCouldNotTellToItsEnd)
{
  Listener listener;
  Owned<bridge_queue> full = queue(1);
  {
    Options options("for i = 1, 5 do require 'bridge'.log.info(i) end");
    options.worker.log = full.get();
    finish(start(options));
  }
  bridge_log(BRIDGE_LOG_INFO, "next", 4);
  std::vector<Line> lines = listener.lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].suppressed, 5u); /* four, and the one that tells of them */
}

TEST(Log, AWorkersQueueGoesBeforeTheOneOfTheProcess)
{
  Listener listener;
  Owned<bridge_queue> mine = queue();
  Options options("require 'bridge'.log.info 'mine'");
  options.worker.log = mine.get();
  finish(start(options));
  EXPECT_TRUE(contains(pop(mine.get()), "'mine'"));
  EXPECT_EQ(listener.lines().size(), 0u);
  bridge_queue_close(mine.get());
  finish(start(options)); /* nobody reads it any more: the next one hears */
  EXPECT_EQ(listener.count("mine"), 1u);
}

std::string stderr_of(const std::string &text)
{
  testing::internal::CaptureStderr();
  bridge_log(BRIDGE_LOG_ERROR, text.data(), text.size());
  return testing::internal::GetCapturedStderr();
}

TEST(Log, IsALineOnStderrByDefault)
{
  EXPECT_EQ(stderr_of("text"), "bridge: error: text\n");
  EXPECT_EQ(stderr_of("two\nlines\x1b[0m"),
            "bridge: error: two\\nlines\\027[0m\n");
  EXPECT_LT(stderr_of(std::string(1 << 20, 'x')).size(), 2000u);
  Owned<bridge_queue> closed = queue();
  bridge_queue_close(closed.get());
  ASSERT_STATUS(bridge_set_log_queue(closed.get()), BRIDGE_OK);
  EXPECT_EQ(stderr_of("closed"), "bridge: error: closed\n");
  EXPECT_STATUS(bridge_set_log_queue(nullptr), BRIDGE_OK);
}

void log_again(const bridge_log_record *, void *user)
{
  ++*static_cast<std::atomic<int> *>(user);
  bridge_log(BRIDGE_LOG_ERROR, "again", 5);
}

TEST(Log, ALoggerThatLogsComesToAnEnd)
{
  std::atomic<int> calls{0};
  ASSERT_STATUS(bridge_set_logger(log_again, &calls), BRIDGE_OK);
  bridge_log(BRIDGE_LOG_ERROR, "once", 4);
  EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
  EXPECT_EQ(calls.load(), 4);
}

void give_up(const bridge_log_record *, void *user)
{
  ++*static_cast<std::atomic<int> *>(user);
  EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
}

TEST(Log, ALoggerMayTakeItselfAway)
{
  std::atomic<int> calls{0};
  ASSERT_STATUS(bridge_set_logger(give_up, &calls), BRIDGE_OK);
  bridge_log(BRIDGE_LOG_ERROR, "once", 4);
  testing::internal::CaptureStderr();
  bridge_log(BRIDGE_LOG_ERROR, "twice", 5);
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(calls.load(), 1);
}

struct Alive {
  std::atomic<bool> alive{true};
};

void look_alive(const bridge_log_record *, void *user)
{
  EXPECT_TRUE(static_cast<Alive *>(user)->alive.load());
}

TEST(Log, AChangeWaitsForThoseWhoAreInTheOldLogger)
{
  std::atomic<bool> stop{false};
  std::vector<std::thread> speakers;
  std::atomic<int> said{0};
  Alive first;
  ASSERT_STATUS(bridge_set_logger(look_alive, &first), BRIDGE_OK);
  for (int i = 0; i < 2; i++) {
    speakers.emplace_back([&] {
      while (!stop.load()) {
        bridge_log(BRIDGE_LOG_ERROR, "x", 1);
        said++;
      }
    });
  }
  while (said.load() == 0) {
    std::this_thread::yield();
  }
  for (int i = 0; i < 200; i++) {
    Alive next;
    ASSERT_STATUS(bridge_set_logger(look_alive, &next), BRIDGE_OK);
    ASSERT_STATUS(bridge_set_logger(look_alive, &first), BRIDGE_OK);
    next.alive = false; /* nobody is in it any more */
  }
  stop = true;
  for (std::thread &speaker : speakers) {
    speaker.join();
  }
  EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
}

TEST(Log, AChildOfAForkCanLogAndChoose)
{
  Owned<bridge_queue> parents = queue();
  ASSERT_STATUS(bridge_set_log_queue(parents.get()), BRIDGE_OK);
  std::fflush(stderr);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    std::freopen("/dev/null", "w", stderr);
    bool good = bridge_log(BRIDGE_LOG_ERROR, "x", 1) == BRIDGE_OK &&
                bridge_set_log_queue(parents.get()) == BRIDGE_EFORKED &&
                bridge_set_log_queue(nullptr) == BRIDGE_OK;
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(pop(parents.get(), 0), "BRIDGE_EEMPTY");
  EXPECT_STATUS(bridge_set_log_queue(nullptr), BRIDGE_OK);
}

} // namespace
