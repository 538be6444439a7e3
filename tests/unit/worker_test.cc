/* Workers, as a C host sees them. */
#include "../support.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

const int kSoon = 20000; /* long enough for any machine, and never reached */

struct Options {
  bridge_worker_options worker;
  bridge_state_options state;
  explicit Options(const std::string &source)
  {
    bridge_worker_options_init(&worker);
    bridge_state_options_init(&state);
    text = source;
    worker.source = text.data();
    worker.source_size = text.size();
    worker.state = &state;
  }
  std::string text;
};

Owned<bridge_worker> start(Options &options,
                           bridge_message *arguments = nullptr)
{
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  bridge_status status =
      bridge_worker_create(&worker, &options.worker, &arguments, &error);
  EXPECT_STATUS(status, BRIDGE_OK) << bridge_error_text(error, nullptr);
  bridge_message_release(arguments);
  bridge_error_release(error);
  return Owned<bridge_worker>(worker);
}

Owned<bridge_worker> start(const std::string &source,
                           bridge_message *arguments = nullptr)
{
  Options options(source);
  return start(options, arguments);
}

/* A service with the handlers that these tests need. */
const char *const kService = R"lua(
local bridge = require "bridge"
local other
return bridge.serve {
  add = function(a, b) return a + b end,
  echo = function(...) return ... end,
  none = function() end,
  raise = function(value) error(value) end,
  fail = function() local t = nil; return t.x end,
  sleep = function(s) bridge.sleep(s); return "slept" end,
  coroutine = function() return function() return 1 end, coroutine.create(print) end,
  keep = function(w) other = w; return true end,
  relay = function(...) return other:call(...) end,
  relay_timeout = function(s, ...) return other:call_timeout(s, ...) end,
  twice = function() coroutine.yield(); coroutine.yield(); return "done" end,
  stop = function() bridge.stop(); return "stopping" end,
  pop = function(q) return q:pop() end,
}
)lua";

bridge_status ask(bridge_worker *worker,
                  bridge_message *request,
                  std::string *answer,
                  int timeout_ms = kSoon,
                  bridge_error **error = nullptr)
{
  bridge_message *reply = nullptr;
  bridge_status status =
      bridge_worker_call(worker, &request, timeout_ms, &reply, error);
  bridge_message_release(request);
  if (status == BRIDGE_OK && answer != nullptr) {
    *answer = show(reply);
  }
  bridge_message_release(reply);
  return status;
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

bridge_status finish(bridge_worker *worker,
                     std::string *results,
                     bridge_error **error)
{
  bridge_message *message = nullptr;
  bridge_status status = bridge_worker_join(worker, kSoon, &message, error);
  if (message != nullptr) {
    *results = show(message);
  }
  bridge_message_release(message);
  return status;
}

TEST(Worker, RunsAChunkAndGivesItsResults)
{
  auto worker =
      start("local a, b = ... return a * b, 'x', nil, 2.0, nil", message(6, 7));
  std::string results;
  ASSERT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "42 'x' nil 2.000000 nil");
  EXPECT_EQ(bridge_worker_phase_of(worker.get()), BRIDGE_WORKER_ENDED);
  /* Joining again gives the same again. */
  ASSERT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "42 'x' nil 2.000000 nil");
}

TEST(Worker, GivesTheErrorUntouchedWithATraceback)
{
  auto worker = start("local function inner()\n"
                      "  error({code = 7})\n"
                      "end\n"
                      "inner()");
  bridge_error *error = nullptr;
  std::string results;
  ASSERT_STATUS(finish(worker.get(), &results, &error), BRIDGE_ESCRIPT);
  Owned<bridge_error> owner(error);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(bridge_error_status(error), BRIDGE_ESCRIPT);
  EXPECT_EQ(show(bridge_error_value(error)), "map 1 'code' 7");
  EXPECT_NE(std::string(bridge_error_traceback(error)).find("inner"),
            std::string::npos);
  bool found = false;
  for (size_t i = 0; i < bridge_error_frame_count(error); i++) {
    bridge_frame frame;
    ASSERT_STATUS(bridge_error_frame(error, i, &frame), BRIDGE_OK);
    found = found || (frame.line == 2 && std::string(frame.what) == "Lua");
  }
  EXPECT_TRUE(found);
}

TEST(Worker, ReportsAChunkThatDoesNotParseAtOnce)
{
  Options options("return = 1");
  options.worker.name = "broken";
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  bridge_message *arguments = message(1);
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, &arguments, &error),
      BRIDGE_ESYNTAX);
  EXPECT_EQ(worker, nullptr);
  EXPECT_NE(arguments, nullptr) << "the arguments must stay the caller's";
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find("broken:1:"),
            std::string::npos)
      << bridge_error_text(error, nullptr);
  bridge_message_release(arguments);
  bridge_error_release(error);
}

TEST(Worker, RefusesWrongOptions)
{
  bridge_worker *worker = nullptr;
  Options options("return 1");
  EXPECT_STATUS(
      bridge_worker_create(nullptr, &options.worker, nullptr, nullptr),
      BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_create(&worker, nullptr, nullptr, nullptr),
                BRIDGE_EINVAL);
  options.worker.version = 99;
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, nullptr, nullptr),
      BRIDGE_EVERSION);
  options.worker.version = BRIDGE_WORKER_OPTIONS_VERSION;
  options.state.version = 99;
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, nullptr, nullptr),
      BRIDGE_EVERSION);
  options.state.version = BRIDGE_STATE_OPTIONS_VERSION;
  options.worker.file = "x.lua"; /* besides the source */
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, nullptr, nullptr),
      BRIDGE_EINVAL);
  options.worker.file = nullptr;
  options.worker.drive = static_cast<bridge_drive>(9);
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, nullptr, nullptr),
      BRIDGE_EINVAL);
  options.worker.drive = BRIDGE_DRIVE_THREAD;
  options.worker.source = nullptr; /* and no file, and no function */
  bridge_message *arguments = message(1);
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, &arguments, nullptr),
      BRIDGE_EINVAL);
  bridge_message_release(arguments);
  options.worker.source = "return 1";
  options.worker.source_size = 8;
  options.state.libraries = "base,nonsense";
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options.worker, nullptr, &error),
                BRIDGE_ENOTFOUND);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find("nonsense"),
            std::string::npos);
  bridge_error_release(error);
  EXPECT_EQ(worker, nullptr);
}

TEST(Worker, RefusesUnfinishedArguments)
{
  Options options("return 1");
  bridge_message *arguments = message(1);
  ASSERT_STATUS(bridge_message_begin_array(arguments, 2), BRIDGE_OK);
  bridge_worker *worker = nullptr;
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, &arguments, nullptr),
      BRIDGE_EINVAL);
  EXPECT_NE(arguments, nullptr);
  bridge_message_release(arguments);
}

TEST(Worker, RunsAFile)
{
  char path[] = "/tmp/bridge-worker-XXXXXX";
  int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  const char text[] = "#!/usr/bin/lua5.4\nlocal a = ...\nerror('line 3 ' .. a)";
  ASSERT_EQ(write(fd, text, strlen(text)), static_cast<ssize_t>(strlen(text)));
  close(fd);
  Options options("");
  options.worker.source = nullptr;
  options.worker.file = path;
  auto worker = start(options, message("x"));
  unlink(path);
  bridge_error *error = nullptr;
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, &error), BRIDGE_ESCRIPT);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find(":3: line 3 x"),
            std::string::npos)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
}

TEST(Worker, SaysWhichFileCannotBeRead)
{
  Options options("");
  options.worker.source = nullptr;
  options.worker.file = "/nowhere/at/all.lua";
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options.worker, nullptr, &error),
                BRIDGE_ENOTFOUND);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr))
                .find("/nowhere/at/all.lua"),
            std::string::npos);
  bridge_error_release(error);
  error = nullptr;
  options.worker.file = "/";
  EXPECT_STATUS(bridge_worker_create(&worker, &options.worker, nullptr, &error),
                BRIDGE_ESYSTEM);
  bridge_error_release(error);
}

TEST(Worker, TakesTextWithANul)
{
  auto worker = start(std::string("return #'a\0b'", 13));
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "3");
}

TEST(Worker, RefusesBinaryChunksUnlessAllowed)
{
  auto maker = start("return string.dump(function() return 5 end)");
  bridge_message *dump = nullptr;
  ASSERT_STATUS(bridge_worker_join(maker.get(), kSoon, &dump, nullptr),
                BRIDGE_OK);
  bridge_reader reader;
  const char *data = nullptr;
  size_t size = 0;
  ASSERT_STATUS(bridge_reader_init(&reader, dump), BRIDGE_OK);
  ASSERT_STATUS(bridge_reader_string(&reader, &data, &size), BRIDGE_OK);
  Options options(std::string(data, size));
  bridge_message_release(dump);
  bridge_worker *worker = nullptr;
  EXPECT_STATUS(
      bridge_worker_create(&worker, &options.worker, nullptr, nullptr),
      BRIDGE_ESYNTAX);
  options.state.binary_chunks = true;
  auto allowed = start(options);
  std::string results;
  EXPECT_STATUS(finish(allowed.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "5");
}

TEST(Worker, AnswersCalls)
{
  auto worker = start(kService);
  std::string answer;
  ASSERT_STATUS(ask(worker.get(), message("add", 2, 3), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "5");
  ASSERT_STATUS(
      ask(worker.get(), message("echo", nullptr, true, nullptr), &answer),
      BRIDGE_OK);
  EXPECT_EQ(answer, "nil true nil");
  ASSERT_STATUS(ask(worker.get(), message("none"), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "");
  ASSERT_STATUS(ask(worker.get(), message("twice"), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "'done'");
  EXPECT_EQ(bridge_worker_phase_of(worker.get()), BRIDGE_WORKER_SERVING);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

/* A call waits where another one has waited: what came too late for that one must
   not reach it. */
TEST(Worker, GivesNoCallTheAnswerOfAnother)
{
  auto worker = start(kService);
  std::string answer;
  for (int i = 0; i < 20; i++) {
    ASSERT_STATUS(ask(worker.get(), message("echo", i), &answer), BRIDGE_OK);
    EXPECT_EQ(answer, std::to_string(i));
    ASSERT_STATUS(ask(worker.get(), message("sleep", 0.001), &answer, 0),
                  BRIDGE_ETIMEDOUT);
  }
  /* Many at once, each with its own. */
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 12; t++) {
    threads.emplace_back([&worker, &wrong, t] {
      for (int i = 0; i < 50; i++) {
        std::string mine;
        bridge_status status =
            ask(worker.get(), message("echo", t * 100 + i), &mine);
        wrong += status != BRIDGE_OK || mine != std::to_string(t * 100 + i);
      }
    });
  }
  for (auto &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, GivesEachFailureOfACallAStatusOfItsOwn)
{
  auto worker = start(kService);
  bridge_error *error = nullptr;

  EXPECT_STATUS(ask(worker.get(), message("nobody"), nullptr, kSoon, &error),
                BRIDGE_ENOTFOUND);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find("nobody"),
            std::string::npos);
  bridge_error_release(error);

  EXPECT_STATUS(ask(worker.get(), message("fail"), nullptr, kSoon, &error),
                BRIDGE_ESCRIPT);
  EXPECT_NE(std::string(bridge_error_traceback(error)).size(), 0u);
  EXPECT_GE(bridge_error_frame_count(error), 1u);
  bridge_error_release(error);

  EXPECT_STATUS(ask(worker.get(), message("raise", 7), nullptr, kSoon, &error),
                BRIDGE_ESCRIPT);
  EXPECT_EQ(show(bridge_error_value(error)), "7");
  bridge_error_release(error);

  EXPECT_STATUS(ask(worker.get(), message("coroutine"), nullptr, kSoon, &error),
                BRIDGE_ETYPE);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find("coroutine"),
            std::string::npos);
  bridge_error_release(error);

  EXPECT_STATUS(ask(worker.get(), message("sleep", 100), nullptr, 0, nullptr),
                BRIDGE_ETIMEDOUT);
  EXPECT_STATUS(ask(worker.get(), message("sleep", 100), nullptr, 10, nullptr),
                BRIDGE_ETIMEDOUT);
  /* The worker is as well as before. */
  std::string answer;
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 1), &answer), BRIDGE_OK);

  EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 1), nullptr), BRIDGE_EDEAD);
}

TEST(Worker, ChecksTheArgumentsOfACall)
{
  auto worker = start(kService);
  bridge_message *none = nullptr;
  bridge_message *empty = message();
  bridge_message *open = message("add");
  ASSERT_STATUS(bridge_message_begin_array(open, 3), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_call(nullptr, &empty, 0, nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_call(worker.get(), nullptr, 0, nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_call(worker.get(), &none, 0, nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_call(worker.get(), &empty, 0, nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_send(worker.get(), &open, 0), BRIDGE_EINVAL);
  EXPECT_NE(empty, nullptr);
  EXPECT_NE(open, nullptr);
  bridge_message_release(empty);
  bridge_message_release(open);
  bridge_message *request = message("add", 1, 2);
  EXPECT_STATUS(bridge_worker_request(worker.get(), &request, 0, nullptr, 1),
                BRIDGE_EINVAL);
  EXPECT_NE(request, nullptr);
  bridge_message_release(request);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, AnswersIntoAQueueWithTheAskersNumber)
{
  auto worker = start(kService);
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  for (uint64_t i = 0; i < 100; i++) {
    bridge_message *request =
        i % 10 == 9 ? message("nobody") : message("add", (int64_t)i, 1);
    ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers,
                                        UINT64_MAX - i),
                  BRIDGE_OK);
    EXPECT_EQ(request, nullptr);
  }
  for (uint64_t i = 0; i < 100; i++) {
    bridge_message *reply = nullptr;
    ASSERT_STATUS(bridge_queue_pop(answers, &reply, kSoon), BRIDGE_OK);
    uint64_t session = 0;
    EXPECT_STATUS(bridge_answer_session(reply, &session), BRIDGE_OK);
    EXPECT_EQ(session, UINT64_MAX - i);
    const bridge_error *error = nullptr;
    if (i % 10 == 9) {
      EXPECT_STATUS(bridge_answer_error(reply, &error), BRIDGE_ENOTFOUND);
      EXPECT_NE(error, nullptr);
    } else {
      EXPECT_STATUS(bridge_answer_error(reply, &error), BRIDGE_OK);
      EXPECT_EQ(show(reply), std::to_string(i + 1));
    }
    bridge_message_release(reply);
  }
  bridge_message *plain = message(1);
  uint64_t session = 0;
  EXPECT_STATUS(bridge_answer_session(plain, &session), BRIDGE_ETYPE);
  EXPECT_STATUS(bridge_answer_error(plain, nullptr), BRIDGE_ETYPE);
  EXPECT_STATUS(bridge_answer_session(nullptr, &session), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_answer_session(plain, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_answer_error(nullptr, nullptr), BRIDGE_EINVAL);
  bridge_message_release(plain);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, LetsOtherRequestsGoOnWhileOneWaits)
{
  auto worker = start(kService);
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  bridge_message *request = message("sleep", 0.2);
  ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, 1),
                BRIDGE_OK);
  request = message("add", 1, 1);
  ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, 2),
                BRIDGE_OK);
  uint64_t order[2];
  for (uint64_t &session : order) {
    bridge_message *reply = nullptr;
    ASSERT_STATUS(bridge_queue_pop(answers, &reply, kSoon), BRIDGE_OK);
    bridge_answer_session(reply, &session);
    bridge_message_release(reply);
  }
  EXPECT_EQ(order[0], 2u);
  EXPECT_EQ(order[1], 1u);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, AsksOtherWorkersWithoutBlocking)
{
  auto first = start(kService);
  auto second = start(kService);
  std::string answer;
  ASSERT_STATUS(ask(first.get(), message("keep", second.get()), nullptr),
                BRIDGE_OK);
  ASSERT_STATUS(ask(second.get(), message("keep", first.get()), nullptr),
                BRIDGE_OK);
  ASSERT_STATUS(ask(first.get(), message("relay", "add", 3, 4), &answer),
                BRIDGE_OK);
  EXPECT_EQ(answer, "7");
  /* There and back again, through both, without a deadlock. */
  ASSERT_STATUS(ask(first.get(),
                    message("relay", "relay", "relay", "add", 3, 5), &answer),
                BRIDGE_OK);
  EXPECT_EQ(answer, "8");
  ASSERT_STATUS(
      ask(first.get(), message("relay_timeout", 0.01, "sleep", 0.1), &answer),
      BRIDGE_OK);
  EXPECT_EQ(answer.substr(0, 3), "nil") << answer;
  EXPECT_NE(answer.find("'ETIMEDOUT'"), std::string::npos) << answer;
  /* The late answer meets nobody. */
  ASSERT_STATUS(ask(first.get(), message("relay", "sleep", 0.2), &answer),
                BRIDGE_OK);
  EXPECT_EQ(answer, "'slept'");
  EXPECT_STATUS(bridge_worker_close(first.get(), kSoon), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(second.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, CanAskItself)
{
  auto worker = start(kService);
  std::string answer;
  ASSERT_STATUS(ask(worker.get(), message("keep", worker.get()), nullptr),
                BRIDGE_OK);
  ASSERT_STATUS(ask(worker.get(), message("relay", "add", 1, 2), &answer),
                BRIDGE_OK);
  EXPECT_EQ(answer, "3");
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, RefusesToWaitForItself)
{
  auto worker = start(R"lua(
    local bridge = require "bridge"
    local me = bridge.self()
    local out = {}
    local function code(...) out[#out + 1] = select(3, ...) end
    code(me:join())
    code(me:close())
    code(me:call("anything"))
    return table.concat(out, " ")
  )lua");
  std::string results;
  ASSERT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  /* close asked it to stop, hence the last one. */
  EXPECT_EQ(results, "'EDEADLOCK EDEADLOCK ECLOSED'");
}

TEST(Worker, SendsWithoutAnAnswer)
{
  auto worker = start(R"lua(
    local bridge = require "bridge"
    local sum = 0
    bridge.serve {
      add = function(n) sum = sum + n; error("nobody hears this") end,
      stop = bridge.stop,
    }
    return sum
  )lua");
  for (int i = 1; i <= 100; i++) {
    bridge_message *request = message("add", i);
    ASSERT_STATUS(bridge_worker_send(worker.get(), &request, -1), BRIDGE_OK);
  }
  bridge_message *request = message("no such handler");
  ASSERT_STATUS(bridge_worker_send(worker.get(), &request, -1), BRIDGE_OK);
  request = message("stop");
  ASSERT_STATUS(bridge_worker_send(worker.get(), &request, -1), BRIDGE_OK);
  std::string results;
  ASSERT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "5050");
}

TEST(Worker, AnswersRequestsThatCameBeforeItServed)
{
  auto worker = start(R"lua(
    local bridge = require "bridge"
    bridge.sleep(0.05)
    return bridge.serve { echo = function(x) return x end }
  )lua");
  std::string answer;
  ASSERT_STATUS(ask(worker.get(), message("echo", 9), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "9");
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, AnswersWhatWasAskedBeforeTheStop)
{
  auto worker = start(kService);
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  for (int i = 0; i < 50; i++) {
    bridge_message *request =
        i == 0 ? message("sleep", 0.1) : message("add", i, i);
    ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, 0),
                  BRIDGE_OK);
  }
  ASSERT_STATUS(bridge_worker_stop(worker.get()), BRIDGE_OK);
  ASSERT_STATUS(bridge_worker_stop(worker.get()), BRIDGE_OK);
  bridge_message *late = message("add", 1, 1);
  bridge_status refused = bridge_worker_send(worker.get(), &late, -1);
  EXPECT_TRUE(refused == BRIDGE_ECLOSED || refused == BRIDGE_EDEAD);
  EXPECT_NE(late, nullptr);
  bridge_message_release(late);
  ASSERT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
  for (int i = 0; i < 50; i++) {
    bridge_message *reply = nullptr;
    ASSERT_STATUS(bridge_queue_pop(answers, &reply, 0), BRIDGE_OK);
    EXPECT_STATUS(bridge_answer_error(reply, nullptr), BRIDGE_OK);
    bridge_message_release(reply);
  }
}

TEST(Worker, TellsAskersThatItDied)
{
  auto worker = start("require('bridge').sleep(0.05) error('gone')");
  std::string answer;
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 2), &answer), BRIDGE_EDEAD);
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 2), &answer), BRIDGE_EDEAD);
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, &error),
                BRIDGE_ESCRIPT);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find("gone"),
            std::string::npos);
  bridge_error_release(error);
}

TEST(Worker, IsBoundedByItsInbox)
{
  Options options("local gate = ... gate:pop() "
                  "return require('bridge').serve { x = function() end }");
  options.worker.inbox_items = 2;
  options.worker.inbox_bytes = 1000;
  bridge_queue *gate = nullptr;
  ASSERT_STATUS(bridge_queue_create(&gate, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(gate);
  auto worker = start(options, message(gate));
  for (int i = 0; i < 2; i++) {
    bridge_message *request = message("x");
    ASSERT_STATUS(bridge_worker_send(worker.get(), &request, 0), BRIDGE_OK);
  }
  bridge_message *request = message("x");
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, 0), BRIDGE_EFULL);
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, 5),
                BRIDGE_ETIMEDOUT);
  EXPECT_NE(request, nullptr);
  bridge_message_release(request);
  request = message("x", std::string(2000, 'y'));
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, -1), BRIDGE_ELIMIT);
  bridge_message_release(request);
  bridge_message *open = message(1);
  ASSERT_STATUS(bridge_queue_push(gate, &open), BRIDGE_OK);
  std::string answer;
  EXPECT_STATUS(ask(worker.get(), message("x"), &answer), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

/* Also when the worker sleeps, and takes them out of the inbox to find what ends
   its sleep. */
TEST(Worker, CountsRequestsItCannotAnswerYet)
{
  Options options("local bridge = require 'bridge' "
                  "local asleep, gate = ... asleep:push(1) "
                  "while #gate == 0 do bridge.sleep(0.001) end "
                  "return bridge.serve { x = function() end }");
  options.worker.inbox_items = 10;
  options.worker.inbox_bytes = 1000;
  auto asleep = queue();
  auto gate = queue();
  auto worker = start(options, message(asleep.get(), gate.get()));
  EXPECT_EQ(pop(asleep.get()), "1");
  int taken = 0;
  bridge_status status = BRIDGE_OK;
  while (status == BRIDGE_OK) {
    bridge_message *request = message("x", std::string(150, 'y'));
    status = bridge_worker_send(worker.get(), &request, 20);
    bridge_message_release(request);
    taken += status == BRIDGE_OK ? 1 : 0;
    ASSERT_LE(taken, 6) << "bytes are not counted";
  }
  EXPECT_STATUS(status, BRIDGE_ETIMEDOUT);
  EXPECT_EQ(taken, 6);
  bridge_message *open = message(1);
  ASSERT_STATUS(bridge_queue_push(gate.get(), &open), BRIDGE_OK);
  std::string answer;
  EXPECT_STATUS(ask(worker.get(), message("x"), &answer), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, AnswersInTheOrderOfAsking)
{
  auto asleep = queue();
  auto gate = queue();
  auto worker = start("local bridge = require 'bridge' "
                      "local asleep, gate = ... asleep:push(1) "
                      "while #gate == 0 do bridge.sleep(0.001) end "
                      "local seen = {} "
                      "bridge.serve { x = function(i) seen[#seen + 1] = i end, "
                      "get = function() return table.concat(seen, ' ') end }",
                      message(asleep.get(), gate.get()));
  EXPECT_EQ(pop(asleep.get()), "1");
  std::string expected;
  for (int i = 1; i <= 200; i++) {
    if (i == 100) {
      bridge_message *open = message(1);
      ASSERT_STATUS(bridge_queue_push(gate.get(), &open), BRIDGE_OK);
    }
    bridge_message *request = message("x", i);
    ASSERT_STATUS(bridge_worker_send(worker.get(), &request, -1), BRIDGE_OK);
    expected += (i > 1 ? " " : "") + std::to_string(i);
  }
  std::string answer;
  EXPECT_STATUS(ask(worker.get(), message("get"), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "'" + expected + "'");
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, AnswersThoughTheResultHoldsTheQueueOfAnswers)
{
  auto worker = start(kService);
  auto answers = queue();
  bridge_message *request = message("echo", answers.get());
  ASSERT_STATUS(
      bridge_worker_request(worker.get(), &request, -1, answers.get(), 5),
      BRIDGE_OK);
  bridge_message *reply = nullptr;
  ASSERT_STATUS(bridge_queue_pop(answers.get(), &reply, kSoon), BRIDGE_OK);
  uint64_t session = 0;
  EXPECT_STATUS(bridge_answer_session(reply, &session), BRIDGE_OK);
  EXPECT_EQ(session, 5u);
  EXPECT_STATUS(bridge_answer_error(reply, nullptr), BRIDGE_ECYCLE);
  bridge_message_release(reply);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, CannotKeepItselfByItsOutcome)
{
  auto results = start("return require('bridge').self()");
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_join(results.get(), kSoon, nullptr, &error),
                BRIDGE_ECYCLE);
  EXPECT_STATUS(bridge_error_status(error), BRIDGE_ECYCLE);
  bridge_error_release(error);
  auto raised = start("error { me = require('bridge').self() }");
  EXPECT_STATUS(bridge_worker_join(raised.get(), kSoon, nullptr, &error),
                BRIDGE_ESCRIPT);
  EXPECT_EQ(bridge_error_value(error), nullptr);
  bridge_error_release(error);
}

TEST(Worker, GivesEachRequestACoroutineOfItsOwn)
{
  auto worker = start(R"lua(
    local bridge = require "bridge"
    local secrets = setmetatable({}, {__mode = "k"})
    local kept = {}
    return bridge.serve {
      set = function()
        local me = coroutine.running()
        kept[#kept + 1] = me
        secrets[me] = "secret"
        debug.sethook(function() error "a hook" end, "", 100)
      end,
      get = function()
        local n = 0
        for i = 1, 1e4 do n = n + i end
        return secrets[coroutine.running()], coroutine.status(kept[1])
      end,
    }
  )lua");
  std::string answer;
  ask(worker.get(), message("set"), &answer); /* it may meet its own hook */
  ASSERT_STATUS(ask(worker.get(), message("get"), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "nil 'dead'");
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, GoesOnWaitingWhenAScriptResumesItsCoroutines)
{
  auto worker = start(R"lua(
    local bridge = require "bridge"
    local main, sleeper = coroutine.running(), nil
    bridge.serve {
      sleep = function()
        sleeper = coroutine.running()
        bridge.sleep(0.05)
        return "slept"
      end,
      disturb = function()
        for i = 1, 100 do
          coroutine.resume(sleeper, i)
          coroutine.resume(main, i)
        end
        return coroutine.status(sleeper), coroutine.status(main)
      end,
    }
    return "served"
  )lua");
  auto answers = queue();
  bridge_message *request = message("sleep");
  ASSERT_STATUS(
      bridge_worker_request(worker.get(), &request, -1, answers.get(), 1),
      BRIDGE_OK);
  std::string answer;
  ASSERT_STATUS(ask(worker.get(), message("disturb"), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "'suspended' 'suspended'");
  EXPECT_EQ(pop(answers.get()), "'slept'");
  EXPECT_STATUS(bridge_worker_stop(worker.get()), BRIDGE_OK);
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "'served'");
}

TEST(Worker, MayAskOthersWhileItsStateCloses)
{
  auto service = start(kService);
  auto out = queue();
  auto worker = start(R"lua(
    local bridge = require "bridge"
    local service, out = ...
    local me = bridge.self()
    X = setmetatable({}, {__gc = function()
      out:push(service:call("add", 1, 2))
      out:push((select(3, me:call("anything"))))
    end})
  )lua",
                      message(service.get(), out.get()));
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(pop(out.get()), "3");
  EXPECT_EQ(pop(out.get()), "'EDEADLOCK'");
  EXPECT_STATUS(bridge_worker_close(service.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, DoesNotWaitForRoomInItsOwnInbox)
{
  Options options("local me = require('bridge').self() "
                  "return me:send('a'), (select(3, me:send('b')))");
  options.worker.inbox_items = 1;
  auto worker = start(options);
  std::string results;
  ASSERT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "true 'EFULL'");
}

TEST(Worker, ShowsItsWakerOnlyToAHost)
{
  auto worker = start(kService);
  EXPECT_EQ(bridge_worker_waker(worker.get()), nullptr);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Worker, TellsAskersWhatEndedIt)
{
  auto worker = start("local bridge = require 'bridge'\n"
                      "bridge.sleep(0.05)\n"
                      "local x = nil .. 'typo'");
  for (int i = 0; i < 2; i++) { /* asked before the end, and after it */
    bridge_error *error = nullptr;
    EXPECT_STATUS(
        ask(worker.get(), message("add", 1, 2), nullptr, kSoon, &error),
        BRIDGE_EDEAD);
    std::string text = bridge_error_text(error, nullptr);
    EXPECT_NE(text.find(":3: attempt to concatenate"), std::string::npos)
        << text;
    EXPECT_STATUS(bridge_error_status(error), BRIDGE_EDEAD);
    bridge_error_release(error);
    bridge_worker_join(worker.get(), kSoon, nullptr, nullptr);
  }
}

TEST(Worker, RefusesHandlersThatCannotBeCalled)
{
  auto worker = start("return require('bridge').serve { a = print, b = 1 }");
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, &error),
                BRIDGE_ESCRIPT);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr))
                .find("the handler 'b' is a number"),
            std::string::npos)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
}

TEST(Worker, MeasuresTextThatEndsWithANul)
{
  Options options("return 7");
  options.worker.source_size = 0;
  auto worker = start(options);
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "7");
}

TEST(Worker, CleansUpInPeaceWhenCancelled)
{
  auto out = queue();
  auto ready = queue();
  auto worker =
      start("local bridge = require 'bridge' local ready, out = ... "
            "local x <close> = setmetatable({}, {__close = function() "
            "local n = 0 for i = 1, 1e5 do n = n + 1 end "
            "out:push(n) end}) ready:push(1) bridge.sleep(1e6)",
            message(ready.get(), out.get()));
  EXPECT_EQ(pop(ready.get()), "1");
  /* It is in its sleep: in the middle of a computation nothing would be closed. */
  bridge_worker_info info;
  bridge_worker_info_init(&info);
  do {
    ASSERT_STATUS(bridge_worker_look(worker.get(), &info), BRIDGE_OK);
  } while (info.running[0] != '\0');
  EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, kSoon),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_ECANCELLED);
  EXPECT_EQ(pop(out.get()), "100000");
}

TEST(Worker, CancelsEveryWait)
{
  const char *const waits[] = {
      "bridge.sleep(1000)",
      "coroutine.wrap(function() bridge.sleep(1000) end)()",
      "error(select(2, assert(q:pop())))",
      "error(select(2, coroutine.wrap(function() return assert(q:pop()) "
      "end)()))",
      "bridge.serve { x = function() end }",
      "w:call('never')",
      "assert(w:join())",
      "assert(coroutine.wrap(function() return w:call('never') end)())",
  };
  for (const char *wait : waits) {
    SCOPED_TRACE(wait);
    auto other = start("local ready = ... require('bridge').sleep(1000)");
    bridge_queue *queue = nullptr;
    bridge_queue *ready = nullptr;
    ASSERT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
    ASSERT_STATUS(bridge_queue_create(&ready, nullptr), BRIDGE_OK);
    Owned<bridge_queue> queue_owner(queue);
    Owned<bridge_queue> ready_owner(ready);
    auto worker = start("local bridge = require 'bridge' "
                        "local ready, q, w = ... ready:push(1) " +
                            std::string(wait),
                        message(ready, queue, other.get()));
    bridge_message *signal = nullptr;
    ASSERT_STATUS(bridge_queue_pop(ready, &signal, kSoon), BRIDGE_OK);
    bridge_message_release(signal);
    EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                  BRIDGE_ECANCELLED);
    EXPECT_STATUS(bridge_worker_cancel(other.get(), BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_close(other.get(), kSoon), BRIDGE_OK);
  }
}

TEST(Worker, StopsAHandlerWhoseTimeForTheAnswerIsOver)
{
  auto worker = start("require('bridge').serve { "
                      "run = function() while true do local t = {} end end, "
                      "add = function(a, b) return a + b end }");
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  bridge_message *request = message("run");
  ASSERT_STATUS(
      bridge_worker_request_within(worker.get(), &request, -1, 20, answers, 3),
      BRIDGE_OK);
  bridge_message *reply = nullptr;
  ASSERT_STATUS(bridge_queue_pop(answers, &reply, kSoon), BRIDGE_OK);
  const bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_answer_error(reply, &error), BRIDGE_ETIMEDOUT);
  EXPECT_GT(bridge_error_frame_count(error), 0u);
  bridge_message_release(reply);
  std::string answer;
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 1), &answer), BRIDGE_OK);
  /* No time at all, and all of it. */
  for (int answer_ms : {0, -1}) {
    request = message("add", 1, 1);
    ASSERT_STATUS(bridge_worker_request_within(worker.get(), &request, -1,
                                               answer_ms, answers, 4),
                  BRIDGE_OK);
    ASSERT_STATUS(bridge_queue_pop(answers, &reply, kSoon), BRIDGE_OK);
    EXPECT_STATUS(bridge_answer_error(reply, nullptr),
                  answer_ms == 0 ? BRIDGE_ETIMEDOUT : BRIDGE_OK);
    bridge_message_release(reply);
  }
}

/* Of the answer that comes next. */
static bridge_status next_answer(bridge_queue *answers, uint64_t session)
{
  bridge_message *reply = nullptr;
  EXPECT_STATUS(bridge_queue_pop(answers, &reply, kSoon), BRIDGE_OK);
  uint64_t answered = 0;
  EXPECT_STATUS(bridge_answer_session(reply, &answered), BRIDGE_OK);
  EXPECT_EQ(answered, session);
  bridge_status status = bridge_answer_error(reply, nullptr);
  bridge_message_release(reply);
  return status;
}

TEST(Worker, WrongLimitsAreNamed)
{
  for (bool life : {true, false}) {
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.source = "return 1";
    options.source_size = 8;
    (life ? options.life : options.request).timeout_ms = -7;
    bridge_worker *worker = nullptr;
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_worker_create(&worker, &options, nullptr, &error),
                  BRIDGE_EINVAL);
    Owned<bridge_error> owner(error);
    EXPECT_STREQ(bridge_error_text(error, nullptr),
                 life ? "life: milliseconds from 0 on expected"
                      : "request: milliseconds from 0 on expected");
  }
}

TEST(Worker, WithdrawStopsTheHandlerAlone)
{
  auto worker = start(
      "local bridge = require('bridge') bridge.serve { "
      "run = function() started = true while true do local t = {} end end, "
      "caught = function() started = true while true do "
      "pcall(function() while true do local t = {} end end) end end, "
      "sleep = function() started = true bridge.sleep(1000) end, "
      "add = function(a, b) return a + b end }");
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  for (const char *name : {"run", "caught", "sleep"}) {
    for (bool begun : {false, true}) {
      bridge_message *request = message(name);
      ASSERT_STATUS(
          bridge_worker_request(worker.get(), &request, -1, answers, 3),
          BRIDGE_OK);
      bridge_worker_info info;
      bridge_worker_info_init(&info);
      auto until =
          std::chrono::steady_clock::now() + std::chrono::milliseconds(kSoon);
      while (begun && std::chrono::steady_clock::now() < until) {
        ASSERT_STATUS(bridge_worker_look(worker.get(), &info), BRIDGE_OK);
        if (info.inbox_items == 0) {
          break;
        }
      }
      ASSERT_STATUS(bridge_worker_withdraw(worker.get(), answers, 3),
                    BRIDGE_OK);
      EXPECT_STATUS(next_answer(answers, 3), BRIDGE_ECANCELLED) << name;
      std::string answer;
      EXPECT_STATUS(ask(worker.get(), message("add", 1, 1), &answer),
                    BRIDGE_OK);
    }
  }
}

TEST(Worker, WithdrawLeavesOtherRequestsAlone)
{
  auto worker = start("local bridge = require('bridge') "
                      "while not open do bridge.sleep(0) "
                      "open = bridge.self():info().inbox_items > 3 end "
                      "bridge.serve { add = function(a, b) return a + b end }");
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  /* Of some that came before bridge.serve. */
  for (uint64_t i = 0; i < 3; i++) {
    bridge_message *request = message("add", 1, 1);
    ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, i),
                  BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_worker_withdraw(worker.get(), answers, 1), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_withdraw(worker.get(), answers, 9), BRIDGE_OK);
  bridge_message *request = message("add", 1, 1);
  ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, 3),
                BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 0), BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 1), BRIDGE_ECANCELLED);
  EXPECT_STATUS(next_answer(answers, 2), BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 3), BRIDGE_OK);
  /* It has been answered; and the same number is asked again. */
  std::string answer;
  EXPECT_STATUS(bridge_worker_withdraw(worker.get(), answers, 3), BRIDGE_OK);
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 1), &answer), BRIDGE_OK);
  request = message("add", 1, 1);
  ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, 3),
                BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 3), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_withdraw(nullptr, answers, 3), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_withdraw(worker.get(), nullptr, 3),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_withdraw(worker.get(), answers, 3), BRIDGE_EDEAD);
}

TEST(Worker, WrongOptionsSayWhichAndWhy)
{
  const struct {
    bridge_status status;
    const char *text;
    std::function<void(Options &)> set;
  } wrong[] = {
      {BRIDGE_EVERSION, "version: ", [](Options &o) { o.worker.version = 0; }},
      {BRIDGE_EVERSION, "version", [](Options &o) { o.state.version = 0; }},
      {BRIDGE_EINVAL, "drive: ",
       [](Options &o) { o.worker.drive = static_cast<bridge_drive>(9); }},
      {BRIDGE_EINVAL, "priority: ",
       [](Options &o) {
         o.worker.priority = static_cast<bridge_priority>(77);
       }},
      {BRIDGE_EINVAL, "waker_kind: ",
       [](Options &o) { o.worker.waker_kind = BRIDGE_WAKER_CALLBACK; }},
      {BRIDGE_EINVAL, "inbox_full: ",
       [](Options &o) {
         o.worker.inbox_full = static_cast<bridge_queue_policy>(-1);
       }},
      {BRIDGE_EINVAL,
       "inbox_items: ", [](Options &o) { o.worker.inbox_items = SIZE_MAX; }},
      {BRIDGE_EINVAL,
       "inbox_bytes: ", [](Options &o) { o.worker.inbox_bytes = SIZE_MAX; }},
      {BRIDGE_EINVAL,
       "life: ", [](Options &o) { o.worker.life.timeout_ms = -7; }},
      {BRIDGE_EINVAL,
       "request: ", [](Options &o) { o.worker.request.cpu_ms = -7; }},
      {BRIDGE_EINVAL, "depth_limit",
       [](Options &o) { o.state.depth_limit = 5000; }},
      {BRIDGE_ENOMEM,
       "memory_limit: ", [](Options &o) { o.state.memory_limit = 1; }},
      {BRIDGE_ESYSTEM, "stack_size",
       [](Options &o) { o.worker.stack_size = SIZE_MAX / 2; }},
  };
  for (const auto &each : wrong) {
    Options options("return 1");
    each.set(options);
    bridge_worker *worker = nullptr;
    bridge_error *error = nullptr;
    EXPECT_STATUS(
        bridge_worker_create(&worker, &options.worker, nullptr, &error),
        each.status)
        << each.text;
    std::string text =
        error == nullptr ? "" : bridge_error_text(error, nullptr);
    EXPECT_NE(text.find(each.text), std::string::npos) << text;
    bridge_error_release(error);
  }
}

TEST(Worker, NotifyTellsOfTheEndOnce)
{
  auto worker = start(kService);
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  for (uint64_t i = 1; i <= 3; i++) {
    ASSERT_STATUS(bridge_worker_notify(worker.get(), answers, i), BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_worker_withdraw(worker.get(), answers, 2), BRIDGE_OK);
  bridge_message *none = nullptr;
  EXPECT_STATUS(bridge_queue_pop(answers, &none, 0), BRIDGE_EEMPTY);
  EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 1), BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 3), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                BRIDGE_ECANCELLED);
  ASSERT_STATUS(bridge_worker_notify(worker.get(), answers, 4), BRIDGE_OK);
  EXPECT_STATUS(next_answer(answers, 4), BRIDGE_OK);
  EXPECT_STATUS(bridge_queue_pop(answers, &none, 0), BRIDGE_EEMPTY);
  EXPECT_STATUS(bridge_worker_notify(nullptr, answers, 5), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_notify(worker.get(), nullptr, 5), BRIDGE_EINVAL);
}

TEST(Worker, CancelAnswersTheRequestsInIt)
{
  auto worker = start(kService);
  bridge_queue *answers = nullptr;
  ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(answers);
  std::string answer;
  ASSERT_STATUS(ask(worker.get(), message("add", 1, 1), &answer), BRIDGE_OK);
  for (int i = 0; i < 10; i++) {
    bridge_message *request = message("sleep", 1000);
    ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, answers, 0),
                  BRIDGE_OK);
  }
  ASSERT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_OK);
  for (int i = 0; i < 10; i++) {
    bridge_message *reply = nullptr;
    ASSERT_STATUS(bridge_queue_pop(answers, &reply, kSoon), BRIDGE_OK);
    EXPECT_STATUS(bridge_answer_error(reply, nullptr), BRIDGE_ECANCELLED);
    bridge_message_release(reply);
  }
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_ECANCELLED);
}

TEST(Worker, CloseCancelsWhatDoesNotStop)
{
  auto worker = start("require('bridge').sleep(1000)");
  bridge_status status = BRIDGE_ETIMEDOUT;
  for (int i = 0; i < 1000 && status == BRIDGE_ETIMEDOUT; i++) {
    status = bridge_worker_close(worker.get(), 10); /* a slow machine */
  }
  EXPECT_STATUS(status, BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 10), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                BRIDGE_ECANCELLED);
}

TEST(Worker, CloseGivesUpOnAScriptThatRefuses)
{
  auto gate = queue();
  Options options("local gate = ... while #gate == 0 do end return 'end'");
  options.state.stop = BRIDGE_STOP_COOPERATIVE;
  auto worker = start(options, message(gate.get()));
  EXPECT_STATUS(bridge_worker_close(worker.get(), 5), BRIDGE_ELOST);
  EXPECT_EQ(bridge_worker_phase_of(worker.get()), BRIDGE_WORKER_LOST);
  EXPECT_STATUS(bridge_worker_join(worker.get(), -1, nullptr, nullptr),
                BRIDGE_ELOST);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 1), BRIDGE_ELOST);
  bridge_message *request = message("any");
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, -1, nullptr, nullptr),
      BRIDGE_ELOST);
  bridge_message_release(request);
  bridge_message *open = message(1);
  ASSERT_STATUS(bridge_queue_push(gate.get(), &open), BRIDGE_OK);
  for (int i = 0;
       i < kSoon && bridge_worker_phase_of(worker.get()) != BRIDGE_WORKER_ENDED;
       i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                BRIDGE_ECANCELLED);
}

TEST(Worker, ThatIsLostAnswersAllThatWait)
{
  auto gate = queue();
  auto answers = queue();
  Options options(
      "local bridge = require 'bridge' local gate = ... "
      "bridge.serve { sleep = function() bridge.sleep(1e6) end,"
      "  stuck = function() gate:push(1) while #gate < 2 do end end }");
  options.state.stop = BRIDGE_STOP_COOPERATIVE;
  auto worker = start(options, message(gate.get()));
  bridge_message *request = message("sleep");
  ASSERT_STATUS(
      bridge_worker_request(worker.get(), &request, -1, answers.get(), 1),
      BRIDGE_OK);
  bridge_status called = BRIDGE_OK;
  std::thread caller([&] {
    bridge_message *stuck = message("stuck");
    called = bridge_worker_call(worker.get(), &stuck, -1, nullptr, nullptr);
  });
  EXPECT_EQ(pop(gate.get()), "1"); /* it is stuck */
  request = message("sleep");
  ASSERT_STATUS(
      bridge_worker_request(worker.get(), &request, -1, answers.get(), 2),
      BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 5), BRIDGE_ELOST);
  caller.join();
  EXPECT_STATUS(called, BRIDGE_ELOST);
  for (int i = 0; i < 2; i++) {
    bridge_message *answer = nullptr;
    ASSERT_STATUS(bridge_queue_pop(answers.get(), &answer, kSoon), BRIDGE_OK);
    EXPECT_STATUS(bridge_answer_error(answer, nullptr), BRIDGE_ELOST);
    bridge_message_release(answer);
  }
  for (int i = 0; i < 2; i++) {
    bridge_message *open = message(1);
    ASSERT_STATUS(bridge_queue_push(gate.get(), &open), BRIDGE_OK);
  }
  for (int i = 0;
       i < kSoon && bridge_worker_phase_of(worker.get()) != BRIDGE_WORKER_ENDED;
       i++) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(bridge_worker_phase_of(worker.get()), BRIDGE_WORKER_ENDED);
}

TEST(Worker, RunsOnWhenItsHandleIsDropped)
{
  bridge_queue *queue = nullptr;
  ASSERT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(queue);
  start("require('bridge').sleep(0.05) local q = ... q:push('still here')",
        message(queue));
  bridge_message *reply = nullptr;
  ASSERT_STATUS(bridge_queue_pop(queue, &reply, kSoon), BRIDGE_OK);
  EXPECT_EQ(show(reply), "'still here'");
  bridge_message_release(reply);
}

TEST(Worker, HoldsTheMemoryLimit)
{
  Options options("local t = {} for i = 1, math.huge do t[i] = {} end");
  options.state.memory_limit = 1 << 20;
  auto worker = start(options);
  bridge_error *error = nullptr;
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, &error), BRIDGE_ENOMEM);
  bridge_error_release(error);
  size_t used = 1, peak = 0, limit = 0;
  EXPECT_STATUS(bridge_worker_memory(worker.get(), &used, &peak, &limit),
                BRIDGE_OK);
  EXPECT_EQ(used, 0u);
  EXPECT_LE(peak, limit);
  EXPECT_GT(peak, static_cast<size_t>(1 << 19));
  EXPECT_GE(limit, static_cast<size_t>(1 << 20)); /* and the libraries */
}

TEST(Worker, HasANameAndANumber)
{
  Options options("return 1");
  options.worker.name = "named";
  auto named = start(options);
  auto unnamed = start("return 1");
  EXPECT_STREQ(bridge_worker_name(named.get()), "named");
  EXPECT_EQ(std::string(bridge_worker_name(unnamed.get())),
            "worker-" + std::to_string(bridge_worker_id(unnamed.get())));
  EXPECT_NE(bridge_worker_id(named.get()), bridge_worker_id(unnamed.get()));
}

TEST(Worker, TakesNullHandles)
{
  EXPECT_EQ(bridge_worker_retain(nullptr), nullptr);
  bridge_worker_release(nullptr);
  EXPECT_STREQ(bridge_worker_name(nullptr), "");
  EXPECT_EQ(bridge_worker_id(nullptr), 0u);
  EXPECT_EQ(bridge_worker_phase_of(nullptr), BRIDGE_WORKER_ENDED);
  EXPECT_STATUS(bridge_worker_memory(nullptr, nullptr, nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_join(nullptr, 0, nullptr, nullptr),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_stop(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_cancel(nullptr, BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_close(nullptr, 0), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_step(nullptr, 0), BRIDGE_EINVAL);
  int timeout = 0;
  EXPECT_STATUS(bridge_worker_timeout(nullptr, &timeout), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_worker_waker(nullptr), nullptr);
  EXPECT_EQ(bridge_worker_current(), nullptr);
  EXPECT_FALSE(bridge_worker_cancelled());
  bridge_worker_options_init(nullptr);
}

/* ---- Driven by the host --------------------------------------------------- */

struct Hosted : Options {
  explicit Hosted(const std::string &source,
                  bridge_waker_kind kind = BRIDGE_WAKER_DEFAULT)
      : Options(source)
  {
    worker.drive = BRIDGE_DRIVE_HOST;
    worker.waker_kind = kind;
  }
};

/* A loop as a host would write it, until the worker has ended. */
bridge_status pump(bridge_worker *worker)
{
  int fd = -1;
  EXPECT_STATUS(bridge_waker_fileno(bridge_worker_waker(worker), &fd),
                BRIDGE_OK);
  for (;;) {
    bridge_status status = bridge_worker_step(worker, 0);
    if (status == BRIDGE_EEMPTY) {
      int timeout = -1;
      EXPECT_STATUS(bridge_worker_timeout(worker, &timeout), BRIDGE_OK);
      pollfd entry = {fd, POLLIN, 0};
      poll(&entry, 1, timeout);
    } else if (status != BRIDGE_OK) {
      return status;
    }
  }
}

TEST(HostWorker, RunsInStepsOfTheHost)
{
  Hosted options("require('bridge').sleep(0.02) return 'done', ...");
  auto worker = start(options, message(5));
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                BRIDGE_ETIMEDOUT);
  EXPECT_STATUS(bridge_worker_join(worker.get(), -1, nullptr, nullptr),
                BRIDGE_EUNSUPPORTED);
  EXPECT_STATUS(pump(worker.get()), BRIDGE_ECLOSED);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_ECLOSED);
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "'done' 5");
}

TEST(HostWorker, AnswersThreadsThroughTheHostsLoop)
{
  Hosted options(kService);
  auto worker = start(options);
  std::string answer;
  bridge_status called = BRIDGE_EINVAL;
  std::thread asker([&] {
    called = ask(worker.get(), message("add", 20, 22), &answer);
    bridge_worker_stop(worker.get());
  });
  EXPECT_STATUS(pump(worker.get()), BRIDGE_ECLOSED);
  asker.join();
  EXPECT_STATUS(called, BRIDGE_OK);
  EXPECT_EQ(answer, "42");
}

TEST(HostWorker, KeepsToItsBudget)
{
  Hosted options("local bridge = require 'bridge' local n = 0 "
                 "bridge.serve { x = function() n = n + 1 end, "
                 "stop = bridge.stop } return n");
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  for (int i = 0; i < 10; i++) {
    bridge_message *request = message("x");
    ASSERT_STATUS(bridge_worker_send(worker.get(), &request, 0), BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_worker_step(worker.get(), 3), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 3), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 100), BRIDGE_EEMPTY);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "10");
}

TEST(HostWorker, RefusesTheWrongDrive)
{
  auto threaded = start("return 1");
  int timeout = 0;
  EXPECT_STATUS(bridge_worker_step(threaded.get(), 0), BRIDGE_EUNSUPPORTED);
  EXPECT_STATUS(bridge_worker_timeout(threaded.get(), &timeout),
                BRIDGE_EUNSUPPORTED);
  Hosted options("return 1");
  auto hosted = start(options);
  EXPECT_STATUS(bridge_worker_timeout(hosted.get(), nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_timeout(hosted.get(), &timeout), BRIDGE_OK);
  EXPECT_EQ(timeout, 0) << "it waits for its first step";
}

TEST(HostWorker, ClosesWithoutASingleStep)
{
  Hosted options("error('never runs')");
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_close(worker.get(), -1), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                BRIDGE_ECANCELLED);
}

TEST(HostWorker, IsFreedInTheMiddleOfItsWork)
{
  Hosted options(
      "local bridge = require 'bridge' "
      "local x <close> = setmetatable({}, {__close = function() end})"
      "bridge.sleep(1000)");
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  int timeout = 0;
  EXPECT_STATUS(bridge_worker_timeout(worker.get(), &timeout), BRIDGE_OK);
  EXPECT_GT(timeout, 900000);
}

TEST(HostWorker, IsDroppedWithoutWaitingForItsScript)
{
  Hosted options("local bridge = require 'bridge' local never = bridge.queue() "
                 "local x <close> = setmetatable({}, {__close = function() "
                 "bridge.sleep(1e6) never:pop() end}) bridge.sleep(1e6)");
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  worker.reset(); /* or the test runs into its time limit */
}

TEST(HostWorker, RefusesItsOwnHandleAsAnArgument)
{
  Hosted options(kService);
  auto worker = start(options);
  bridge_message *request = message("keep", worker.get());
  EXPECT_STATUS(bridge_worker_send(worker.get(), &request, 0), BRIDGE_ECYCLE);
  EXPECT_NE(request, nullptr);
  bridge_message_release(request);
}

TEST(HostWorker, IsNotSteppedWithoutEndFromWithin)
{
  Hosted options("local bridge = require 'bridge' local source, depth = ... "
                 "local w = bridge.worker({source = source, drive = 'host'}, "
                 "source, depth + 1) "
                 "local ok, message, code = w:step() "
                 "if code ~= 'ECLOSED' then return depth, code end "
                 "return w:join()");
  auto worker = start(options, message(options.text, 1));
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_ECLOSED);
  std::string results;
  EXPECT_STATUS(finish(worker.get(), &results, nullptr), BRIDGE_OK);
  EXPECT_EQ(results, "16 'ELIMIT'");
}

TEST(HostWorker, IsClosedWhileAnotherThreadStepsIt)
{
  auto inside = queue();
  auto gate = queue();
  Hosted options("local inside, gate = ... inside:push(1) gate:pop()");
  auto worker = start(options, message(inside.get(), gate.get()));
  std::thread stepper([&] { bridge_worker_step(worker.get(), 0); });
  EXPECT_EQ(pop(inside.get()), "1");
  bridge_status status = BRIDGE_ETIMEDOUT;
  for (int i = 0; i < 1000 && status == BRIDGE_ETIMEDOUT; i++) {
    status = bridge_worker_close(worker.get(), 10); /* a slow machine */
  }
  EXPECT_STATUS(status, BRIDGE_OK);
  stepper.join();
}

TEST(HostWorker, ClosesScriptsThatDoNotReturn)
{
  /* They allocate, since ThreadSanitizer hands signals out there. */
  const char *const scripts[] = {
      "while true do local t = {} end",
      "while not bridge.cancelled() do local t = {} end",
      "while true do pcall(function() while true do local t = {} end end) end",
      "bridge.queue():pop()",
      "bridge.waker():wait()",
      "local t <close> = setmetatable({}, {__close = function() "
      "while true do local t = {} end end}) bridge.sleep(1e6)",
  };
  for (const char *script : scripts) {
    SCOPED_TRACE(script);
    Hosted options("local bridge = require 'bridge' "
                   "bridge.serve { go = function() " +
                   std::string(script) + " end }");
    auto worker = start(options);
    EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
    bridge_message *request = message("go");
    ASSERT_STATUS(bridge_worker_send(worker.get(), &request, 0), BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_close(worker.get(), 5), BRIDGE_OK);
    EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                  BRIDGE_ECANCELLED);
  }
}

TEST(HostWorker, IsNotCalledByTheThreadThatStepsIt)
{
  Hosted options(kService);
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  EXPECT_STATUS(ask(worker.get(), message("add", 1, 2), nullptr, -1),
                BRIDGE_EDEADLOCK);
}

TEST(HostWorker, MayAskForItselfWhileItIsDropped)
{
  auto out = queue();
  Hosted options("local bridge = require 'bridge' local out = ... "
                 "local x <close> = setmetatable({}, {__close = function() "
                 "for i = 1, 3 do bridge.self() collectgarbage() end "
                 "out:push(bridge.self().name) end}) bridge.sleep(1e6)");
  options.worker.name = "dropped";
  auto worker = start(options, message(out.get()));
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  worker.reset();
  EXPECT_EQ(pop(out.get()), "'dropped'");
}

TEST(HostWorker, SaysThatItHasEndedToTheThreadThatSteppedIt)
{
  Hosted options("error 'boom'");
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_ECLOSED);
  bridge_error *error = nullptr;
  EXPECT_STATUS(ask(worker.get(), message("x"), nullptr, -1, &error),
                BRIDGE_EDEAD);
  EXPECT_NE(std::string(bridge_error_text(error, nullptr)).find("boom"),
            std::string::npos);
  bridge_error_release(error);
}

TEST(HostWorker, DoesNotKeepItsHostWaitingForRoom)
{
  Hosted options("local bridge = require 'bridge' bridge.sleep(1e6)");
  options.worker.inbox_items = 2;
  auto worker = start(options);
  bridge_status status = BRIDGE_OK;
  for (int i = 0; i < 3 && status == BRIDGE_OK; i++) {
    EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
    bridge_message *request = message("x");
    status = bridge_worker_send(worker.get(), &request, -1);
    bridge_message_release(request);
  }
  EXPECT_STATUS(status, BRIDGE_EFULL);
  std::thread other([&] { /* of whom it is not known that he steps it */
                          bridge_message *request = message("x");
                          EXPECT_STATUS(
                              bridge_worker_send(worker.get(), &request, 1),
                              BRIDGE_ETIMEDOUT);
                          bridge_message_release(request);
  });
  other.join();
}

TEST(HostWorker, ClosesWhatSleeps)
{
  Hosted options("require('bridge').sleep(1000)");
  auto worker = start(options);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 5), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, nullptr, nullptr),
                BRIDGE_ECANCELLED);
}

TEST(HostWorker, RefusesAStepFromTwoThreadsOrFromWithin)
{
  bridge_queue *inside = nullptr;
  bridge_queue *gate = nullptr;
  ASSERT_STATUS(bridge_queue_create(&inside, nullptr), BRIDGE_OK);
  ASSERT_STATUS(bridge_queue_create(&gate, nullptr), BRIDGE_OK);
  Owned<bridge_queue> inside_owner(inside);
  Owned<bridge_queue> gate_owner(gate);
  Hosted options("local bridge = require 'bridge' local inside, gate = ... "
                 "local _, _, code = bridge.self():step() "
                 "inside:push(code) gate:pop()");
  auto worker = start(options, message(inside, gate));
  std::thread stepper([&] { bridge_worker_step(worker.get(), 0); });
  bridge_message *code = nullptr;
  ASSERT_STATUS(bridge_queue_pop(inside, &code, kSoon), BRIDGE_OK);
  EXPECT_EQ(show(code), "'EDEADLOCK'");
  bridge_message_release(code);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EBUSY);
  bridge_message *open = message(1);
  ASSERT_STATUS(bridge_queue_push(gate, &open), BRIDGE_OK);
  stepper.join();
}

/* ---- After a fork ----------------------------------------------------------- */

TEST(Worker, BelongsToTheProcessThatMadeIt)
{
  auto worker = start(kService);
  std::string answer;
  ASSERT_STATUS(ask(worker.get(), message("add", 1, 1), &answer), BRIDGE_OK);
  pid_t child = fork();
  if (child == 0) {
    bridge_message *request = message("add", 1, 2);
    bool refused =
        bridge_worker_call(worker.get(), &request, 100, nullptr, nullptr) ==
            BRIDGE_EFORKED &&
        bridge_worker_send(worker.get(), &request, 0) == BRIDGE_EFORKED &&
        bridge_worker_join(worker.get(), 0, nullptr, nullptr) ==
            BRIDGE_EFORKED &&
        bridge_worker_stop(worker.get()) == BRIDGE_EFORKED &&
        bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0) ==
            BRIDGE_EFORKED &&
        bridge_worker_close(worker.get(), 0) == BRIDGE_EFORKED;
    bridge_message_release(request);
    worker.reset();
    /* A new one works.  (Stepped, since ThreadSanitizer allows no threads in the
       child of a process that has some.) */
    Hosted options("return 5");
    bridge_worker *fresh = nullptr;
    bridge_message *results = nullptr;
    bool works = bridge_worker_create(&fresh, &options.worker, nullptr,
                                      nullptr) == BRIDGE_OK &&
                 bridge_worker_step(fresh, 0) == BRIDGE_ECLOSED &&
                 bridge_worker_join(fresh, 0, &results, nullptr) == BRIDGE_OK &&
                 show(results) == "5";
    _exit(refused && works ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  ASSERT_STATUS(ask(worker.get(), message("add", 2, 2), &answer), BRIDGE_OK);
  EXPECT_EQ(answer, "4");
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

} // namespace
