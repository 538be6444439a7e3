/* The registry: which workers there are, and what can be seen of each. */
#include "../support.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

const int kSoon = 20000; /* long enough for any machine, and never reached */

Owned<bridge_worker> start(const std::string &source,
                           const char *name = nullptr,
                           bridge_message *arguments = nullptr,
                           bridge_drive drive = BRIDGE_DRIVE_THREAD)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source.c_str();
  options.name = name;
  options.drive = drive;
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

void push(bridge_queue *to)
{
  bridge_message *m = message(1);
  EXPECT_STATUS(bridge_queue_push(to, &m), BRIDGE_OK);
}

bridge_worker_info look(bridge_worker *worker)
{
  bridge_worker_info info;
  bridge_worker_info_init(&info);
  EXPECT_STATUS(bridge_worker_look(worker, &info), BRIDGE_OK);
  return info;
}

std::vector<Owned<bridge_worker>> all()
{
  size_t count = 0;
  EXPECT_STATUS(bridge_workers(nullptr, 0, &count), BRIDGE_OK);
  std::vector<bridge_worker *> found(count + 16);
  EXPECT_STATUS(bridge_workers(found.data(), found.size(), &count), BRIDGE_OK);
  std::vector<Owned<bridge_worker>> owned;
  for (size_t i = 0; i < std::min(count, found.size()); i++) {
    owned.emplace_back(found[i]);
  }
  return owned;
}

template <typename Condition> void eventually(Condition condition)
{
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(condition());
}

const char *const kSource = R"lua(
local bridge = require "bridge"
local told, gate = ...
bridge.serve {
  hold = function() told:push "in" while #gate == 0 do end gate:pop() end,
  fail = function() error "no" end,
  echo = function(...) return ... end,
  burn = function(n) local x = 0 for i = 1, n do x = x + i % 7 end return x end,
})lua";

bridge_status ask(bridge_worker *worker, bridge_message *request)
{
  bridge_status status =
      bridge_worker_call(worker, &request, kSoon, nullptr, nullptr);
  bridge_message_release(request);
  return status;
}

TEST(Registry, SaysNoToNothing)
{
  size_t count = 7;
  bridge_worker_info info;
  bridge_worker_info_init(&info);
  bridge_worker_info_init(nullptr);
  EXPECT_STATUS(bridge_workers(nullptr, 1, &count), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_workers(nullptr, 0, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_worker_look(nullptr, &info), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_worker_find(nullptr), nullptr);
  EXPECT_EQ(bridge_worker_find("nobody"), nullptr);
  EXPECT_EQ(bridge_worker_find_id(0), nullptr);
  EXPECT_EQ(bridge_worker_find_id(UINT64_MAX), nullptr);
  Owned<bridge_worker> worker = start("return 1");
  EXPECT_STATUS(bridge_worker_look(worker.get(), nullptr), BRIDGE_EINVAL);
  info.version = 99;
  EXPECT_STATUS(bridge_worker_look(worker.get(), &info), BRIDGE_EVERSION);
}

TEST(Registry, ListsThoseThatHaveNotEndedTheOldestFirst)
{
  Owned<bridge_queue> gate = queue();
  Owned<bridge_queue> other = queue();
  Owned<bridge_worker> first =
      start("(...):pop()", "first", message(gate.get()));
  Owned<bridge_worker> second =
      start("(...):pop()", "second", message(other.get()));
  Owned<bridge_worker> third = start("return 1", "third");
  EXPECT_STATUS(bridge_worker_join(third.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
  std::vector<Owned<bridge_worker>> found = all();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].get(), first.get());
  EXPECT_EQ(found[1].get(), second.get());
  size_t count = 0;
  bridge_worker *one[1];
  EXPECT_STATUS(bridge_workers(one, 1, &count), BRIDGE_OK);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(one[0], first.get());
  bridge_worker_release(one[0]);
  push(other.get());
  EXPECT_STATUS(bridge_worker_close(second.get(), kSoon), BRIDGE_OK);
  found.clear();
  push(gate.get());
  EXPECT_STATUS(bridge_worker_close(first.get(), kSoon), BRIDGE_OK);
  EXPECT_EQ(all().size(), 0u);
}

TEST(Registry, FindsByNameTheLatestAndByNumber)
{
  Owned<bridge_worker> first = start("require 'bridge'.serve{}", "same");
  Owned<bridge_worker> second = start("require 'bridge'.serve{}", "same");
  Owned<bridge_worker> found(bridge_worker_find("same"));
  EXPECT_EQ(found.get(), second.get());
  uint64_t id = bridge_worker_id(first.get());
  found.reset(bridge_worker_find_id(id));
  EXPECT_EQ(found.get(), first.get());
  EXPECT_STATUS(bridge_worker_close(second.get(), kSoon), BRIDGE_OK);
  found.reset(bridge_worker_find("same"));
  EXPECT_EQ(found.get(), first.get());
  EXPECT_STATUS(bridge_worker_close(first.get(), kSoon), BRIDGE_OK);
  EXPECT_EQ(bridge_worker_find("same"), nullptr);
  EXPECT_EQ(bridge_worker_find_id(id), nullptr);
}

TEST(Registry, FindsAServiceOfWhichNobodyHasAHandle)
{
  start("require 'bridge'.serve { echo = function(x) return x end }", "orphan")
      .reset();
  Owned<bridge_worker> found(bridge_worker_find("orphan"));
  ASSERT_NE(found, nullptr);
  EXPECT_STATUS(ask(found.get(), message("echo", 1)), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(found.get(), kSoon), BRIDGE_OK);
}

TEST(Registry, ForgetsAHostsWorkerThatWasDropped)
{
  start("return 1", "stepped", nullptr, BRIDGE_DRIVE_HOST).reset();
  EXPECT_EQ(bridge_worker_find("stepped"), nullptr);
  Owned<bridge_worker> kept =
      start("return 1", "stepped", nullptr, BRIDGE_DRIVE_HOST);
  Owned<bridge_worker> found(bridge_worker_find("stepped"));
  EXPECT_EQ(found.get(), kept.get());
}

TEST(Registry, DoesNotShowOneThatCouldNotBeMade)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "(";
  options.name = "broken";
  bridge_worker *worker = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, nullptr, nullptr),
                BRIDGE_ESYNTAX);
  EXPECT_EQ(bridge_worker_find("broken"), nullptr);
}

TEST(Registry, SeesWhatRunsAndForHowLong)
{
  Owned<bridge_queue> told = queue();
  Owned<bridge_queue> gate = queue();
  Owned<bridge_worker> worker =
      start(kSource, "seen", message(told.get(), gate.get()));
  bridge_message *request = message("hold");
  ASSERT_STATUS(bridge_worker_send(worker.get(), &request, kSoon), BRIDGE_OK);
  EXPECT_EQ(pop(told.get()), "'in'");
  bridge_worker_info info = look(worker.get());
  EXPECT_STREQ(info.name, "seen");
  EXPECT_STREQ(info.running, "hold");
  EXPECT_EQ(info.id, bridge_worker_id(worker.get()));
  EXPECT_EQ(info.phase, BRIDGE_WORKER_SERVING);
  EXPECT_EQ(info.messages, 1u);
  EXPECT_FALSE(info.paused);
  EXPECT_GT(info.memory_used, 0u);
  EXPECT_GE(info.memory_peak, info.memory_used);
  eventually([&] { return look(worker.get()).running_ns > 20000000; });
  request = message("echo");
  ASSERT_STATUS(bridge_worker_send(worker.get(), &request, kSoon), BRIDGE_OK);
  EXPECT_EQ(look(worker.get()).inbox_items, 1u);
  EXPECT_GT(look(worker.get()).inbox_bytes, 0u);
  push(gate.get());
  eventually([&] { return look(worker.get()).running[0] == '\0'; });
  eventually([&] { return look(worker.get()).messages == 2; });
  EXPECT_EQ(look(worker.get()).running_ns, 0);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Registry, CountsErrorsAndCpuTime)
{
  Owned<bridge_queue> none = queue();
  Owned<bridge_worker> worker =
      start(kSource, nullptr, message(none.get(), none.get()));
  EXPECT_STATUS(ask(worker.get(), message("fail")), BRIDGE_ESCRIPT);
  EXPECT_STATUS(ask(worker.get(), message("nobody")), BRIDGE_ENOTFOUND);
  EXPECT_STATUS(ask(worker.get(), message("echo")), BRIDGE_OK);
  EXPECT_EQ(look(worker.get()).errors, 2u);
  EXPECT_EQ(look(worker.get()).messages, 3u);
  int64_t before = look(worker.get()).cpu_ns;
  EXPECT_STATUS(ask(worker.get(), message("burn", 2000000)), BRIDGE_OK);
  int64_t after = look(worker.get()).cpu_ns;
  EXPECT_GT(after - before, 1000000);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  EXPECT_GE(look(worker.get()).cpu_ns, after);
  EXPECT_EQ(look(worker.get()).phase, BRIDGE_WORKER_ENDED);
  EXPECT_EQ(look(worker.get()).memory_used, 0u);
}

TEST(Registry, CountsTheCpuTimeOfStepsAndNotOfTheirThread)
{
  Owned<bridge_worker> worker =
      start("local x = 0 for i = 1, 2000000 do x = x + i % 7 end return x",
            nullptr, nullptr, BRIDGE_DRIVE_HOST);
  EXPECT_EQ(look(worker.get()).cpu_ns, 0);
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_ECLOSED);
  EXPECT_GT(look(worker.get()).cpu_ns, 1000000);
}

TEST(Registry, CountsRequestsThatFoundNoRoom)
{
  Owned<bridge_queue> gate = queue();
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "(...):pop()";
  options.inbox_items = 1;
  bridge_message *arguments = message(gate.get());
  bridge_worker *made = nullptr;
  ASSERT_STATUS(bridge_worker_create(&made, &options, &arguments, nullptr),
                BRIDGE_OK);
  Owned<bridge_worker> worker(made);
  bridge_message *request = message("x");
  EXPECT_STATUS(bridge_worker_send(made, &request, 0), BRIDGE_OK);
  request = message("x");
  EXPECT_STATUS(bridge_worker_send(made, &request, 0), BRIDGE_EFULL);
  EXPECT_STATUS(bridge_worker_send(made, &request, 0), BRIDGE_EFULL);
  EXPECT_STATUS(bridge_worker_send(made, &request, 1), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(look(made).dropped, 1u) << "one request, however often it is tried";
  bridge_message_release(request);
  request = message("x");
  EXPECT_STATUS(bridge_worker_send(made, &request, 1), BRIDGE_ETIMEDOUT);
  bridge_message_release(request);
  EXPECT_EQ(look(made).dropped, 2u);
  push(gate.get());
  EXPECT_STATUS(bridge_worker_close(made, kSoon), BRIDGE_OK);
}

TEST(Registry, ARequestThatGetsInAtLastIsNoneThatFoundNoRoom)
{
  Owned<bridge_queue> answers = queue();
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "return require 'bridge'.serve{ x = function() end }";
  options.inbox_items = 1;
  options.drive = BRIDGE_DRIVE_HOST;
  bridge_worker *made = nullptr;
  ASSERT_STATUS(bridge_worker_create(&made, &options, nullptr, nullptr),
                BRIDGE_OK);
  Owned<bridge_worker> worker(made);
  bridge_message *first = message("x");
  EXPECT_STATUS(bridge_worker_send(made, &first, 0), BRIDGE_OK);
  bridge_message *request = message("x");
  EXPECT_STATUS(bridge_worker_request(made, &request, 0, answers.get(), 1),
                BRIDGE_EFULL);
  EXPECT_EQ(look(made).dropped, 1u);
  while (bridge_worker_step(made, 0) == BRIDGE_OK) {
  }
  EXPECT_STATUS(bridge_worker_request(made, &request, 0, answers.get(), 1),
                BRIDGE_OK);
  EXPECT_EQ(look(made).dropped, 0u);
  EXPECT_STATUS(bridge_worker_close(made, kSoon), BRIDGE_OK);
}

TEST(Registry, CutsLongNamesAndLeavesTheChildOfAForkAlone)
{
  const std::string name(300, 'n');
  Owned<bridge_worker> worker = start("require 'bridge'.serve{}", name.c_str());
  EXPECT_STREQ(look(worker.get()).name, name.substr(0, 63).c_str());
  Owned<bridge_worker> found(bridge_worker_find(name.c_str()));
  EXPECT_EQ(found.get(), worker.get());
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    size_t count = 9;
    bridge_worker_info info;
    bridge_worker_info_init(&info);
    bool good = bridge_workers(nullptr, 0, &count) == BRIDGE_OK && count == 0 &&
                bridge_worker_find(name.c_str()) == nullptr &&
                bridge_worker_look(worker.get(), &info) == BRIDGE_EFORKED;
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Registry, CutsALongNameBetweenTwoCharacters)
{
  std::string name;
  for (int i = 0; i < 40; i++) {
    name += "\u00e9";
  }
  Owned<bridge_worker> worker = start("require 'bridge'.serve{}", name.c_str());
  EXPECT_EQ(look(worker.get()).name, name.substr(0, 62));
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST(Registry, AWorkerFindsItselfFromItsFirstLineOn)
{
  for (int i = 0; i < 50; i++) {
    Owned<bridge_worker> worker =
        start("local bridge = require 'bridge'\n"
              "local me = bridge.find(bridge.self().id)\n"
              "return me == bridge.self(), bridge.self():info().running,\n"
              "       bridge.find 'nobody' == nil");
    bridge_message *results = nullptr;
    EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, &results, nullptr),
                  BRIDGE_OK);
    ASSERT_EQ(show(results), "true 'main chunk' true");
    bridge_message_release(results);
  }
}

/* Threads make and drop workers while others look at all of them. */
TEST(Registry, ManyLookWhileManyComeAndGo)
{
  std::atomic<int> makers{2};
  std::atomic<size_t> seen{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; i++) {
        Owned<bridge_worker> worker =
            start("require 'bridge'.serve{ f = function() end }",
                  t == 0 ? "even" : "odd", nullptr,
                  i % 2 == 0 ? BRIDGE_DRIVE_THREAD : BRIDGE_DRIVE_HOST);
        if (i % 2 == 0) {
          EXPECT_STATUS(ask(worker.get(), message("f")), BRIDGE_OK);
          EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
        }
      }
      makers--;
    });
    threads.emplace_back([&] {
      while (makers.load() > 0) {
        for (Owned<bridge_worker> &worker : all()) {
          bridge_worker_info info = look(worker.get());
          EXPECT_TRUE(strcmp(info.running, "") == 0 ||
                      strcmp(info.running, "main chunk") == 0 ||
                      strcmp(info.running, "f") == 0)
              << info.running;
          seen++;
        }
        Owned<bridge_worker> found(bridge_worker_find("odd"));
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_GT(seen.load(), 0u);
  eventually([] { return all().size() == 0; });
}

} // namespace
