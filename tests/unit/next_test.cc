/* Workers as coroutines, workers that are held, and what they do at their end. */
#include "../support.h"

#include <algorithm>
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
  options.name = "w";
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

std::string pop(bridge_queue *from, int timeout_ms = kSoon)
{
  bridge_message *m = nullptr;
  bridge_status status = bridge_queue_pop(from, &m, timeout_ms);
  std::string text = status == BRIDGE_OK ? show(m) : bridge_status_name(status);
  bridge_message_release(m);
  return text;
}

void push(bridge_queue *to, bridge_message *m = message(1))
{
  EXPECT_STATUS(bridge_queue_push(to, &m), BRIDGE_OK);
}

/* What is yielded, or the status. */
std::string next(bridge_worker *worker,
                 bridge_message *values = nullptr,
                 int timeout_ms = kSoon)
{
  bridge_message *yielded = nullptr;
  bridge_error *error = nullptr;
  bridge_status status =
      bridge_worker_next(worker, &values, timeout_ms, &yielded, &error);
  std::string text =
      status == BRIDGE_OK ? show(yielded) : bridge_status_name(status);
  bridge_message_release(values);
  bridge_message_release(yielded);
  bridge_error_release(error);
  return text;
}

std::string join(bridge_worker *worker)
{
  bridge_message *results = nullptr;
  bridge_error *error = nullptr;
  bridge_status status = bridge_worker_join(worker, kSoon, &results, &error);
  std::string text = status == BRIDGE_OK
                         ? show(results)
                         : std::string(bridge_status_name(status)) + " " +
                               bridge_error_text(error, nullptr);
  bridge_message_release(results);
  bridge_error_release(error);
  return text;
}

bridge_worker_info look(bridge_worker *worker)
{
  bridge_worker_info info;
  bridge_worker_info_init(&info);
  EXPECT_STATUS(bridge_worker_look(worker, &info), BRIDGE_OK);
  return info;
}

template <typename Condition> void eventually(Condition condition)
{
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(condition());
}

/* ---- next ---- */

const char *const kGenerator = R"lua(
local bridge = require "bridge"
local a, b = bridge.yield(1, "one")
local c = bridge.yield(a, b)
bridge.yield()
return c)lua";

void generate(bridge_drive drive)
{
  Owned<bridge_worker> worker = start(kGenerator, nullptr, drive);
  EXPECT_EQ(next(worker.get(), message("nobody takes this")), "1 'one'");
  EXPECT_EQ(next(worker.get(), message(nullptr, "b")), "nil 'b'");
  EXPECT_EQ(next(worker.get(), message("c")), "");
  EXPECT_EQ(next(worker.get()), "BRIDGE_ECLOSED");
  EXPECT_EQ(next(worker.get()), "BRIDGE_ECLOSED");
  EXPECT_EQ(join(worker.get()), "'c'");
}

TEST(Next, ResumesTheChunkLikeACoroutine)
{
  generate(BRIDGE_DRIVE_THREAD);
}

TEST(Next, StepsAHostsWorker)
{
  generate(BRIDGE_DRIVE_HOST);
}

TEST(Next, ChecksItsArguments)
{
  EXPECT_EQ(next(nullptr), "BRIDGE_EINVAL");
  Owned<bridge_worker> worker =
      start("local w = require 'bridge'.self()\n"
            "return select(3, w:next()), (select(3, w:next_timeout(0)))");
  EXPECT_EQ(join(worker.get()), "'EDEADLOCK' 'EDEADLOCK'");
  EXPECT_STATUS(bridge_worker_next(worker.get(), nullptr, 0, nullptr, nullptr),
                BRIDGE_ECLOSED);
  worker =
      start("local b = require 'bridge'\n"
            "local ok, e = pcall(coroutine.wrap(function() b.yield() end))\n"
            "local ok2, e2 = pcall(b.yield, b.self())\n"
            "local ok3, e3 = pcall(b.yield, io.stdout)\n"
            "return e, e2, e3");
  std::string text = join(worker.get());
  EXPECT_NE(text.find("main chunk"), std::string::npos) << text;
  EXPECT_NE(text.find("cannot yield itself"), std::string::npos) << text;
  EXPECT_NE(text.find("a userdata"), std::string::npos) << text;
}

TEST(Next, SaysThatAChunkThatFailedHasEnded)
{
  Owned<bridge_worker> worker =
      start("require 'bridge'.yield(1) error 'broken'");
  EXPECT_EQ(next(worker.get()), "1");
  EXPECT_EQ(next(worker.get()), "BRIDGE_ECLOSED");
  EXPECT_NE(join(worker.get()).find("broken"), std::string::npos);
}

void time_out(bridge_drive drive)
{
  Owned<bridge_queue> gate = queue();
  Owned<bridge_worker> worker =
      start("local bridge, gate = require 'bridge', ...\n"
            "local x = bridge.yield(1)\n"
            "while gate:pop(0) == nil do bridge.sleep(0.001) end\n"
            "local y = bridge.yield(2, x)\n"
            "return y",
            message(gate.get()), drive);
  EXPECT_EQ(next(worker.get()), "1");
  EXPECT_EQ(next(worker.get(), message("x"), 5), "BRIDGE_ETIMEDOUT");
  EXPECT_EQ(next(worker.get(), message("dropped"), 0), "BRIDGE_ETIMEDOUT");
  push(gate.get());
  EXPECT_EQ(next(worker.get(), message("late")), "2 'x'");
  EXPECT_EQ(next(worker.get(), message("y")), "BRIDGE_ECLOSED");
  EXPECT_EQ(join(worker.get()), "'y'");
}

TEST(Next, LosesNothingThatIsYieldedAfterATimeout)
{
  time_out(BRIDGE_DRIVE_THREAD);
}

TEST(Next, LosesNothingOfAHostsWorkerEither)
{
  time_out(BRIDGE_DRIVE_HOST);
}

TEST(Next, GivesTheChunkTheValuesOfOneWhoGaveUpBeforeItWasResumed)
{
  Owned<bridge_worker> worker = start("local bridge = require 'bridge'\n"
                                      "local x = bridge.yield(1)\n"
                                      "bridge.yield(x)");
  EXPECT_EQ(next(worker.get()), "1");
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_EQ(next(worker.get(), message("x"), 0), "BRIDGE_ETIMEDOUT");
  EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
  EXPECT_EQ(next(worker.get(), message("too late")), "'x'");
}

TEST(Next, LosesNothingWhateverTheTimeout)
{
  Owned<bridge_worker> worker = start("local bridge = require 'bridge'\n"
                                      "for i = 1, 3000 do bridge.yield(i) end");
  int seen = 0;
  std::string text;
  for (int turn = 0; text != "BRIDGE_ECLOSED"; turn++) {
    text = next(worker.get(), nullptr, turn % 3 == 0 ? kSoon : 0);
    if (text != "BRIDGE_ETIMEDOUT" && text != "BRIDGE_ECLOSED") {
      ASSERT_EQ(text, std::to_string(++seen));
    }
  }
  EXPECT_EQ(seen, 3000);
}

TEST(Next, ServesSeveralWhoAskAtOnceEachOnce)
{
  Owned<bridge_worker> worker = start("local bridge = require 'bridge'\n"
                                      "for i = 1, 1000 do bridge.yield(i) end");
  std::atomic<long> sum{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      std::string text;
      while ((text = next(worker.get())) != "BRIDGE_ECLOSED") {
        sum += std::stol(text);
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(sum.load(), 500500);
}

TEST(Next, IsToldWhenTheWorkerIsCancelledOrStopped)
{
  Owned<bridge_worker> worker = start("require 'bridge'.sleep(1000)");
  std::thread waiting([&] { EXPECT_EQ(next(worker.get()), "BRIDGE_ECLOSED"); });
  eventually([&] { return look(worker.get()).inbox_items == 0; });
  EXPECT_STATUS(bridge_worker_close(worker.get(), 200), BRIDGE_OK);
  waiting.join();
  worker = start("require 'bridge'.yield(1)");
  EXPECT_STATUS(bridge_worker_close(worker.get(), 200), BRIDGE_OK);
  EXPECT_NE(join(worker.get()).find("CANCELLED"), std::string::npos);
}

/* ---- pause ---- */

const char *const kCounter = R"lua(
local bridge = require "bridge"
local count = 0
bridge.serve { count = function() count = count + 1 return count end })lua";

bridge_status ask(bridge_worker *worker, const char *name, int timeout_ms)
{
  bridge_message *request = message(name);
  bridge_status status =
      bridge_worker_call(worker, &request, timeout_ms, nullptr, nullptr);
  bridge_message_release(request);
  return status;
}

TEST(Pause, SaysNoToNothingAndIsHarmlessAtTheEnd)
{
  EXPECT_STATUS(bridge_worker_pause(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_resume(nullptr), BRIDGE_EINVAL);
  Owned<bridge_worker> worker = start("return 1");
  EXPECT_EQ(join(worker.get()), "1");
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_FALSE(look(worker.get()).paused);
  EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
}

TEST(Pause, LetsRequestsWait)
{
  Owned<bridge_worker> worker = start(kCounter);
  EXPECT_STATUS(ask(worker.get(), "count", kSoon), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_TRUE(look(worker.get()).paused);
  uint64_t before = look(worker.get()).messages;
  EXPECT_STATUS(ask(worker.get(), "count", 20), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(look(worker.get()).messages, before);
  EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
  EXPECT_FALSE(look(worker.get()).paused);
  EXPECT_STATUS(ask(worker.get(), "count", kSoon), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Pause, HoldsAScriptThatRuns)
{
  Owned<bridge_queue> told = queue();
  Owned<bridge_worker> worker =
      start("local told = ...\n"
            "while true do told:push_timeout(0, 1) end",
            message(told.get()));
  EXPECT_EQ(pop(told.get()), "1");
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  /* Held, it fills nothing any more: take all, and look whether more comes. */
  eventually([&] {
    while (pop(told.get(), 0) == "1") {
    }
    return pop(told.get(), 20) == "BRIDGE_ETIMEDOUT";
  });
  EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
  EXPECT_EQ(pop(told.get()), "1");
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 500), BRIDGE_OK);
}

TEST(Pause, APausedWorkerIsClosedAndCancelled)
{
  Owned<bridge_worker> worker = start(kCounter);
  EXPECT_STATUS(ask(worker.get(), "count", kSoon), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  EXPECT_EQ(join(worker.get()), "");
  worker = start("require 'bridge'.sleep(1000)");
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), 200), BRIDGE_OK);
  EXPECT_NE(join(worker.get()).find("CANCELLED"), std::string::npos);
  worker = start(kCounter); /* nobody resumes it, and nobody keeps it */
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_stop(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
  EXPECT_EQ(join(worker.get()), "");
}

TEST(Pause, AHostsWorkerDoesNothingWhenItIsStepped)
{
  Owned<bridge_worker> worker = start("return 1", nullptr, BRIDGE_DRIVE_HOST);
  EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  int timeout = 0;
  EXPECT_STATUS(bridge_worker_timeout(worker.get(), &timeout), BRIDGE_OK);
  EXPECT_EQ(timeout, -1);
  EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(bridge_waker_wait(bridge_worker_waker(worker.get()), kSoon),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_ECLOSED);
}

TEST(Pause, ManyPauseAndResumeWhileItWorks)
{
  Owned<bridge_worker> worker = start(kCounter);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        EXPECT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
        EXPECT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
      }
    });
  }
  for (int i = 0; i < 500; i++) {
    ASSERT_STATUS(ask(worker.get(), "count", kSoon), BRIDGE_OK);
  }
  stop = true;
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

/* ---- on_exit ---- */

/* Takes the texts of all records while it lives. */
class Listener
{
public:
  Listener()
  {
    EXPECT_STATUS(bridge_set_logger(take, this), BRIDGE_OK);
  }
  ~Listener()
  {
    EXPECT_STATUS(bridge_set_logger(nullptr, nullptr), BRIDGE_OK);
  }
  std::string all()
  {
    std::lock_guard<std::mutex> guard(mutex_);
    return all_;
  }

private:
  static void take(const bridge_log_record *record, void *user)
  {
    Listener *self = static_cast<Listener *>(user);
    std::lock_guard<std::mutex> guard(self->mutex_);
    self->all_ += std::string(record->text, record->size) + "\n";
  }
  std::mutex mutex_;
  std::string all_;
};

const char *const kExits = R"lua(
local bridge, out, how = require "bridge", ...
for i = 1, 3 do
  bridge.on_exit(function(reason, err)
    out:push(i, reason, err and err.message:match "broken" or "none",
             err and #err.traceback > 0)
    if i == 2 then error "in the exit" end
  end)
end
if how == "error" then error "broken" end
if how == "sleep" then out:push "sleeps" bridge.sleep(1000) end
if how == "serve" then bridge.serve { x = function() end } end
if how == "loop" then out:push "loops" while true do end end
return "done")lua";

TEST(Exit, CallsTheFunctionsInReverseOrderEachProtected)
{
  Listener listener;
  Owned<bridge_queue> out = queue();
  Owned<bridge_worker> worker = start(kExits, message(out.get(), ""));
  EXPECT_EQ(join(worker.get()), "'done'");
  EXPECT_EQ(pop(out.get()), "3 'done' 'none' nil");
  EXPECT_EQ(pop(out.get()), "2 'done' 'none' nil");
  EXPECT_EQ(pop(out.get()), "1 'done' 'none' nil");
  EXPECT_NE(listener.all().find("in the exit"), std::string::npos);
}

TEST(Exit, TellsTheErrorOfTheChunk)
{
  Listener listener;
  Owned<bridge_queue> out = queue();
  Owned<bridge_worker> worker = start(kExits, message(out.get(), "error"));
  EXPECT_NE(join(worker.get()).find("broken"), std::string::npos);
  EXPECT_EQ(pop(out.get()), "3 'error' 'broken' true");
}

TEST(Exit, WorksInServicesAndHostsWorkers)
{
  Listener listener;
  Owned<bridge_queue> out = queue();
  Owned<bridge_worker> worker = start(kExits, message(out.get(), "serve"));
  EXPECT_STATUS(ask(worker.get(), "x", kSoon), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  EXPECT_EQ(pop(out.get()), "3 'done' 'none' nil");
  out = queue();
  worker = start(kExits, message(out.get(), ""), BRIDGE_DRIVE_HOST);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_ECLOSED);
  EXPECT_EQ(pop(out.get()), "3 'done' 'none' nil");
  out = queue();
  worker = start(kExits, message(out.get(), "serve"), BRIDGE_DRIVE_HOST);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  worker.reset(); /* dropped */
  EXPECT_EQ(pop(out.get()), "3 'cancelled' 'none' nil");
}

TEST(Exit, RunsWhenTheWorkerIsCancelled)
{
  Listener listener;
  Owned<bridge_queue> out = queue();
  Owned<bridge_worker> worker = start(kExits, message(out.get(), "sleep"));
  EXPECT_EQ(pop(out.get()), "'sleeps'");
  EXPECT_STATUS(bridge_worker_close(worker.get(), 200), BRIDGE_OK);
  EXPECT_EQ(pop(out.get()).substr(0, 13), "3 'cancelled'");
}

TEST(Exit, RunsWhenAScriptThatComputesIsStoppedHard)
{
  Listener listener;
  Owned<bridge_queue> out = queue();
  Owned<bridge_worker> worker =
      start("local bridge, out = require 'bridge', ...\n"
            "bridge.on_exit(function(reason) out:push(reason) end)\n"
            "out:push 'loops' while true do pcall(tostring, 0.5) end",
            message(out.get()));
  EXPECT_EQ(pop(out.get()), "'loops'");
  EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_OK);
  EXPECT_NE(join(worker.get()).find("CANCELLED"), std::string::npos);
  EXPECT_EQ(pop(out.get()), "'cancelled'");
}

TEST(Exit, AFunctionThatDoesNotReturnIsStopped)
{
  Listener listener;
  Owned<bridge_queue> out = queue();
  Owned<bridge_worker> worker =
      start("local bridge, out = require 'bridge', ...\n"
            "bridge.on_exit(function() out:push 'after' end)\n"
            "bridge.on_exit(function() while true do pcall(tostring, 0.5) end "
            "end)\n"
            "out:push 'sleeps' bridge.sleep(1000)",
            message(out.get()));
  EXPECT_EQ(pop(out.get()), "'sleeps'");
  EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_OK);
  EXPECT_NE(join(worker.get()).find("CANCELLED"), std::string::npos);
  EXPECT_NE(listener.all().find("on_exit"), std::string::npos);
  EXPECT_EQ(pop(out.get()), "'after'");
}

TEST(Exit, RegistersNothingAtTheEnd)
{
  Listener listener;
  Owned<bridge_worker> worker =
      start("local bridge = require 'bridge'\n"
            "bridge.on_exit(function() bridge.on_exit(print) end)\n"
            "return pcall(bridge.on_exit, 5)");
  EXPECT_NE(join(worker.get()).find("function expected"), std::string::npos);
  EXPECT_NE(listener.all().find("at its end"), std::string::npos);
}

/* ---- Errors from far away ---- */

std::string describe(const bridge_error *error)
{
  std::string text;
  for (; error != nullptr; error = bridge_error_cause(error)) {
    text += bridge_error_text(error, nullptr);
    text += " | ";
  }
  return text;
}

const char *const kRelay = R"lua(
local bridge, other = require "bridge", ...
bridge.serve {
  table = function(...) local _, _, _, e = other:call(...) error(e) end,
  text = function(...) return assert(other:call(...)) end,
})lua";

struct Chain {
  Owned<bridge_worker> c = start("require 'bridge'.serve { fail = function()\n"
                                 "error { code = 7 } end,\n"
                                 "say = function() error 'far away' end }");
  Owned<bridge_worker> b = start(kRelay, message(c.get()));
  Owned<bridge_worker> a = start(kRelay, message(b.get()));
  ~Chain()
  {
    for (Owned<bridge_worker> *worker : {&a, &b, &c}) {
      EXPECT_STATUS(bridge_worker_close(worker->get(), kSoon), BRIDGE_OK);
    }
  }
  Owned<bridge_error> fail(bridge_message *request)
  {
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_worker_call(a.get(), &request, kSoon, nullptr, &error),
                  BRIDGE_ESCRIPT);
    return Owned<bridge_error>(error);
  }
};

TEST(Cause, KeepsEachWorkerThatATableCameThrough)
{
  Chain chain;
  Owned<bridge_error> error = chain.fail(message("table", "table", "fail"));
  const bridge_error *second = bridge_error_cause(error.get());
  const bridge_error *third = bridge_error_cause(second);
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(bridge_error_cause(third), nullptr);
  EXPECT_STATUS(bridge_error_status(third), BRIDGE_ESCRIPT);
  EXPECT_EQ(show(bridge_error_value(third)).substr(0, 5), "map 1");
  EXPECT_NE(std::string(bridge_error_caller(third)).find("traceback"),
            std::string::npos);
  EXPECT_NE(std::string(bridge_error_traceback(third)).find("traceback"),
            std::string::npos);
  EXPECT_GT(bridge_error_frame_count(third), 0u);
  EXPECT_STREQ(bridge_error_worker(second), bridge_worker_name(chain.b.get()));
  EXPECT_STREQ(bridge_error_worker(third), bridge_worker_name(chain.c.get()));
  EXPECT_STREQ(bridge_error_worker(error.get()), "");
  EXPECT_STREQ(bridge_error_caller(error.get()), "");
}

TEST(Cause, KeepsEachWorkerThatATextCameThrough)
{
  Chain chain;
  Owned<bridge_error> error = chain.fail(message("text", "text", "say"));
  std::string text = describe(error.get());
  EXPECT_EQ(std::count(text.begin(), text.end(), '|'), 3) << text;
  const bridge_error *third =
      bridge_error_cause(bridge_error_cause(error.get()));
  EXPECT_STREQ(bridge_error_worker(third), bridge_worker_name(chain.c.get()));
  EXPECT_NE(std::string(bridge_error_caller(third)).find("traceback"),
            std::string::npos);
  error = chain.fail(message("text", "text", "nobody"));
  text = describe(error.get());
  EXPECT_EQ(std::count(text.begin(), text.end(), '|'), 3) << text;
}

TEST(Cause, IsNoneOfAnErrorOfItsOwn)
{
  Owned<bridge_worker> worker =
      start("local b = require 'bridge'\n"
            "b.serve { x = function() local q = b.queue() q:pop(0)\n"
            "error(setmetatable({}, { __name = 'bridge.Error' })) end }");
  bridge_message *request = message("x");
  bridge_error *error = nullptr;
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, kSoon, nullptr, &error),
      BRIDGE_ESCRIPT);
  EXPECT_EQ(bridge_error_cause(error), nullptr);
  bridge_error_release(error);
  EXPECT_EQ(bridge_error_cause(nullptr), nullptr);
  EXPECT_STREQ(bridge_error_caller(nullptr), "");
  EXPECT_STREQ(bridge_error_worker(nullptr), "");
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Cause, OfACallToADeadWorkerIsWhatEndedIt)
{
  Listener listener;
  Owned<bridge_worker> worker = start("error 'broken'");
  eventually([&] {
    return bridge_worker_phase_of(worker.get()) == BRIDGE_WORKER_ENDED;
  });
  bridge_message *request = message("x");
  bridge_error *error = nullptr;
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, kSoon, nullptr, &error),
      BRIDGE_EDEAD);
  bridge_message_release(request);
  EXPECT_STATUS(bridge_error_status(bridge_error_cause(error)), BRIDGE_ESCRIPT);
  bridge_error_release(error);
}

} // namespace
