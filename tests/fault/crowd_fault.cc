/* A thousand workers at once, each with a thread and a state of its own; and a
   thousand queues that an event loop watches. */
#include "fault.h"

#include <poll.h>
#include <sys/resource.h>

#include <vector>

namespace
{

using fault::Held;

const int kLong = 60000;

#if defined(__SANITIZE_THREAD__)
const int kWorkers = 150;
#else
const int kWorkers = 1000;
#endif

class Crowd : public fault::Bounded
{
};

/* Each knows the next one, so that a word goes round through all of them, as a
   handle does. */
const char *const kLink = R"lua(
  local bridge = require "bridge"
  local number, next_one, home = nil, nil, nil
  return bridge.serve {
    meet = function(n, next, h) number, next_one, home = n, next, h end,
    double = function(n) return 2 * n end,
    pass = function(handle, hops)
      if number == 0 and hops > 0 then
        assert(home:push(handle, hops))
      else
        assert(next_one:send("pass", handle, hops + 1))
      end
    end,
    part = function() next_one, home = nil, nil end,
  }
)lua";

void make(bridge_worker **out, const char *source, bridge_drive drive)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.drive = drive;
  bridge_error *error = nullptr;
  ASSERT_STATUS(bridge_worker_create(out, &options, nullptr, &error), BRIDGE_OK)
      << bridge_error_text(error, nullptr);
}

std::string call(bridge_worker *worker, bridge_message *request)
{
  bridge_message *answer = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_call(worker, &request, kLong, &answer, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  std::string text = answer == nullptr ? "" : show(answer);
  bridge_error_release(error);
  bridge_message_release(answer);
  bridge_message_release(request);
  return text;
}

bridge_queue *make_queue(bridge_waker_kind kind)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker_kind = kind;
  bridge_queue *queue = nullptr;
  EXPECT_STATUS(bridge_queue_create(&queue, &options), BRIDGE_OK);
  return queue;
}

class Workers
{
public:
  explicit Workers(int count) : all(size_t(count))
  {
    for (auto &each : all) {
      make(each.out(), kLink, BRIDGE_DRIVE_THREAD);
    }
  }

  /* All are asked before any is waited for. */
  void ask_all()
  {
    Owned<bridge_queue> answers(make_queue(BRIDGE_WAKER_CONDITION));
    for (size_t i = 0; i < all.size(); i++) {
      bridge_message *request = message("double", int(i));
      EXPECT_STATUS(
          bridge_worker_request(all[i], &request, kLong, answers.get(), i),
          BRIDGE_OK);
    }
    std::vector<bool> seen(all.size());
    for (size_t i = 0; i < all.size(); i++) {
      bridge_message *answer = nullptr;
      ASSERT_STATUS(bridge_queue_pop(answers.get(), &answer, kLong), BRIDGE_OK);
      uint64_t session = 0;
      ASSERT_STATUS(bridge_answer_session(answer, &session), BRIDGE_OK);
      EXPECT_EQ(show(answer), std::to_string(2 * session));
      EXPECT_FALSE(seen[session]);
      seen[session] = true;
      bridge_message_release(answer);
    }
  }

  void pass_round()
  {
    Owned<bridge_queue> home(make_queue(BRIDGE_WAKER_CONDITION));
    for (size_t i = 0; i < all.size(); i++) {
      bridge_worker *next = all[(i + 1) % all.size()];
      call(all[i], message("meet", int(i), next, home.get()));
    }
    bridge_buffer *buffer = nullptr;
    ASSERT_STATUS(bridge_buffer_copy(&buffer, "ball", 4), BRIDGE_OK);
    bridge_message *ball = message("pass", buffer, 0);
    ASSERT_STATUS(bridge_worker_send(all[0], &ball, kLong), BRIDGE_OK);
    bridge_message *back = nullptr;
    ASSERT_STATUS(bridge_queue_pop(home.get(), &back, kLong), BRIDGE_OK);
    bridge_reader reader;
    void *handle = nullptr;
    int64_t hops = 0;
    ASSERT_STATUS(bridge_reader_init(&reader, back), BRIDGE_OK);
    ASSERT_STATUS(bridge_reader_handle(&reader, BRIDGE_HANDLE_BUFFER, &handle),
                  BRIDGE_OK);
    ASSERT_STATUS(bridge_reader_integer(&reader, &hops), BRIDGE_OK);
    EXPECT_EQ(handle, buffer);
    EXPECT_EQ(hops, int64_t(all.size()));
    bridge_message_release(back);
    bridge_buffer_release(buffer);
    for (auto &each : all) {
      call(each, message("part"));
    }
  }

  void close_all()
  {
    for (auto &each : all) {
      EXPECT_STATUS(bridge_worker_stop(each), BRIDGE_OK);
    }
    for (auto &each : all) {
      EXPECT_STATUS(bridge_worker_close(each, kLong), BRIDGE_OK);
      EXPECT_STATUS(bridge_worker_join(each, 0, nullptr, nullptr), BRIDGE_OK);
    }
  }

private:
  std::vector<Held<bridge_worker>> all;
};

TEST_F(Crowd, OfWorkersServesAndEnds)
{
  Workers workers(kWorkers);
  workers.ask_all();
  workers.pass_round();
  workers.close_all();
}

/* Those that are dropped without a word and those that are cancelled, too. */
TEST_F(Crowd, OfWorkersMayBeCancelled)
{
  std::vector<Held<bridge_worker>> all(size_t(kWorkers / 2));
  for (auto &each : all) {
    make(each.out(), "require 'bridge'.sleep(1e6)", BRIDGE_DRIVE_THREAD);
  }
  for (auto &each : all) {
    EXPECT_STATUS(bridge_worker_cancel(each, BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
  }
  for (auto &each : all) {
    EXPECT_STATUS(bridge_worker_join(each, kLong, nullptr, nullptr),
                  BRIDGE_ECANCELLED);
  }
}

/* One thread drives them all. */
TEST_F(Crowd, OfWorkersOfTheHostNeedsOneThread)
{
  std::vector<Held<bridge_worker>> all(size_t(kWorkers / 2));
  Owned<bridge_queue> answers(make_queue(BRIDGE_WAKER_CONDITION));
  for (auto &each : all) {
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.source = kLink;
    options.drive = BRIDGE_DRIVE_HOST;
    options.waker_kind = BRIDGE_WAKER_CONDITION;
    ASSERT_STATUS(bridge_worker_create(each.out(), &options, nullptr, nullptr),
                  BRIDGE_OK);
    bridge_message *request = message("double", 21);
    ASSERT_STATUS(bridge_worker_request(each, &request, 0, answers.get(), 1),
                  BRIDGE_OK);
  }
  for (auto &each : all) {
    EXPECT_STATUS(bridge_worker_step(each, 0), BRIDGE_EEMPTY);
  }
  for (size_t i = 0; i < all.size(); i++) {
    bridge_message *answer = nullptr;
    ASSERT_STATUS(bridge_queue_pop(answers.get(), &answer, 0), BRIDGE_OK);
    EXPECT_EQ(show(answer), "42");
    bridge_message_release(answer);
  }
}

TEST_F(Crowd, OfQueuesIsWatchedByOneLoop)
{
  const size_t count = 1000;
  struct rlimit usual;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  struct rlimit limit = usual;
  if (limit.rlim_cur < count + 200) {
    limit.rlim_cur = std::min<rlim_t>(count + 200, limit.rlim_max);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  if (limit.rlim_cur < count + 200) {
    GTEST_SKIP() << "no more than " << limit.rlim_cur << " descriptors here";
  }
  std::vector<Held<bridge_queue>> queues(count);
  std::vector<struct pollfd> files(count);
  for (size_t i = 0; i < count; i++) {
    *queues[i].out() = make_queue(BRIDGE_WAKER_EVENTFD);
    files[i].events = POLLIN;
    ASSERT_STATUS(
        bridge_waker_fileno(bridge_queue_waker(queues[i]), &files[i].fd),
        BRIDGE_OK);
  }
  std::thread producer([&queues] {
    for (size_t i = 0; i < queues.size(); i++) {
      bridge_message *m = message(int(i));
      EXPECT_STATUS(bridge_queue_push(queues[i * 7 % queues.size()], &m),
                    BRIDGE_OK);
    }
  });
  size_t got = 0;
  while (got < count && poll(files.data(), files.size(), kLong) > 0) {
    for (size_t i = 0; i < count; i++) {
      bridge_message *m = nullptr;
      while ((files[i].revents & POLLIN) != 0 &&
             bridge_queue_pop(queues[i], &m, 0) == BRIDGE_OK) {
        bridge_message_release(m);
        got++;
      }
    }
  }
  producer.join();
  EXPECT_EQ(got, count);
  setrlimit(RLIMIT_NOFILE, &usual);
}

} // namespace
