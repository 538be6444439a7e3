/* Workers that come and go while others ask them, stop them and cancel them. */
#include "../support.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace
{

const int kSoon = 60000;

Owned<bridge_worker> start(const char *source, bridge_message *arguments)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.source_size = std::char_traits<char>::length(source);
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, &arguments, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  bridge_message_release(arguments);
  return Owned<bridge_worker>(worker);
}

const char *const kEcho = R"lua(
local bridge = require "bridge"
return bridge.serve {
  echo = function(...) return ... end,
  wait = function(s) bridge.sleep(s) return s end,
}
)lua";

TEST(WorkerStress, EveryCallGetsItsOwnAnswer)
{
  auto worker = start(kEcho, nullptr);
  std::vector<std::thread> askers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; t++) {
    askers.emplace_back([&, t] {
      for (int i = 0; i < 300; i++) {
        bridge_message *request = message("echo", t, i);
        bridge_message *answer = nullptr;
        bridge_status status =
            bridge_worker_call(worker.get(), &request, kSoon, &answer, nullptr);
        std::string expected = std::to_string(t) + " " + std::to_string(i);
        if (status != BRIDGE_OK || show(answer) != expected) {
          wrong++;
        }
        bridge_message_release(answer);
        bridge_message_release(request);
      }
    });
  }
  for (std::thread &asker : askers) {
    asker.join();
  }
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

/* Nobody who asks is ever left without an answer, whatever ends the worker. */
TEST(WorkerStress, EveryRequestIsAnsweredOnceWhileTheWorkerEnds)
{
  for (int round = 0; round < 60; round++) {
    auto worker = start(kEcho, nullptr);
    bridge_queue *answers = nullptr;
    ASSERT_STATUS(bridge_queue_create(&answers, nullptr), BRIDGE_OK);
    Owned<bridge_queue> owner(answers);
    std::atomic<int> asked{0};
    std::vector<std::thread> askers;
    for (int t = 0; t < 3; t++) {
      askers.emplace_back([&, t] {
        for (int i = 0; i < 40; i++) {
          bridge_message *request =
              i % 8 == 0 ? message("wait", 0.5) : message("echo", i);
          bridge_status status = bridge_worker_request(
              worker.get(), &request, -1, answers, uint64_t(t));
          bridge_message_release(request);
          if (status != BRIDGE_OK) {
            break;
          }
          asked++;
        }
      });
    }
    if (round % 3 == 0) {
      bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0);
    } else if (round % 3 == 1) {
      bridge_worker_close(worker.get(), 0);
    } else {
      bridge_worker_stop(worker.get());
      bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0);
    }
    for (std::thread &asker : askers) {
      asker.join();
    }
    bridge_worker_close(worker.get(), kSoon);
    for (int i = 0; i < asked; i++) {
      bridge_message *answer = nullptr;
      ASSERT_STATUS(bridge_queue_pop(answers, &answer, kSoon), BRIDGE_OK)
          << "answer " << i << " of " << asked;
      bridge_message_release(answer);
    }
    bridge_message *more = nullptr;
    EXPECT_STATUS(bridge_queue_pop(answers, &more, 0), BRIDGE_EEMPTY);
  }
}

/* A call that is let into the inbox at the very moment when the worker ends must
   come back. */
TEST(WorkerStress, EveryCallReturnsWhileTheWorkerEnds)
{
  const char *const counting = R"lua(
local bridge = require "bridge"
local n = 0
return bridge.serve {
  x = function() n = n + 1 if n == 20 then bridge.stop() end return n end,
}
)lua";
  for (int round = 0; round < 150; round++) {
    auto worker = start(counting, nullptr);
    std::vector<std::thread> askers;
    for (int t = 0; t < 4; t++) {
      askers.emplace_back([&] {
        bridge_status status = BRIDGE_OK;
        while (status == BRIDGE_OK) {
          bridge_message *request = message("x");
          status =
              bridge_worker_call(worker.get(), &request, -1, nullptr, nullptr);
          bridge_message_release(request);
        }
      });
    }
    for (std::thread &asker : askers) {
      asker.join();
    }
    EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  }
}

TEST(WorkerStress, CallsThatTimeOutHarmNobody)
{
  auto worker = start(kEcho, nullptr);
  std::vector<std::thread> askers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; t++) {
    askers.emplace_back([&, t] {
      for (int i = 0; i < 50; i++) {
        bridge_message *request = message("wait", 0.002 * ((i + t) % 3));
        bridge_message *answer = nullptr;
        bridge_status status =
            bridge_worker_call(worker.get(), &request, 2, &answer, nullptr);
        if (status != BRIDGE_OK && status != BRIDGE_ETIMEDOUT) {
          wrong++;
        }
        bridge_message_release(answer);
        bridge_message_release(request);
      }
    });
  }
  for (std::thread &asker : askers) {
    asker.join();
  }
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

/* Workers make workers, which make workers, and all of them report. */
TEST(WorkerStress, WorkersMakeWorkers)
{
  const char *const tree = R"lua(
local bridge = require "bridge"
local source, depth, out = ...
if depth == 0 then
  assert(out:push(1))
  return
end
local children = {}
for i = 1, 3 do
  children[i] = assert(bridge.worker(source, source, depth - 1, out))
end
for i = 1, 3 do
  local ok, message = children[i]:join()
  if message then error(message) end
end
)lua";
  bridge_queue *out = nullptr;
  ASSERT_STATUS(bridge_queue_create(&out, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owner(out);
  auto root = start(tree, message(tree, 3, out));
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_join(root.get(), kSoon, nullptr, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  EXPECT_EQ(bridge_queue_count(out), 27u);
}

TEST(WorkerStress, HandlesAreDroppedInEveryOrder)
{
  for (int round = 0; round < 50; round++) {
    auto first = start(kEcho, nullptr);
    bridge_message *request = message("echo", first.get());
    ASSERT_STATUS(bridge_worker_send(first.get(), &request, -1), BRIDGE_OK);
    bridge_worker *keep = bridge_worker_retain(first.get());
    std::thread closer([keep] {
      bridge_worker_close(keep, kSoon);
      bridge_worker_release(keep);
    });
    first.reset();
    closer.join();
  }
}

} // namespace
