/* Host to worker to host, once through each waker: what a host's loop sees. */
#include "../support.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <poll.h>
#include <string>
#include <sys/epoll.h>
#include <sys/select.h>
#include <unistd.h>

namespace
{

const int kSoon = 20000;
const int kMessages = 2000;

/* Pushes numbers, with pauses now and then so that the host falls asleep. */
const char *const kProducer = R"lua(
local bridge = require "bridge"
local out, count = ...
for i = 1, count do
  assert(out:push(i))
  if i % 100 == 0 then bridge.sleep(0.001) end
end
out:push("end")
return count
)lua";

Owned<bridge_worker> start_producer(bridge_queue *out)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = kProducer;
  options.source_size = std::char_traits<char>::length(kProducer);
  bridge_message *arguments = message(out, kMessages);
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, &arguments, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  return Owned<bridge_worker>(worker);
}

Owned<bridge_queue> make_queue(bridge_waker_kind kind)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker_kind = kind;
  options.items = 64; /* so that the producer has to wait, too */
  bridge_queue *queue = nullptr;
  EXPECT_STATUS(bridge_queue_create(&queue, &options), BRIDGE_OK);
  return Owned<bridge_queue>(queue);
}

/* Pop until the queue is empty; true at the end of the stream. */
bool drain(bridge_queue *queue, int64_t *expected)
{
  for (;;) {
    bridge_message *m = nullptr;
    bridge_status status = bridge_queue_pop(queue, &m, 0);
    if (status == BRIDGE_EEMPTY) {
      return false;
    }
    EXPECT_STATUS(status, BRIDGE_OK);
    std::string text = show(m);
    bridge_message_release(m);
    if (text == "'end'") {
      return true;
    }
    EXPECT_EQ(text, std::to_string(++*expected));
  }
}

int descriptor(bridge_queue *queue)
{
  int fd = -1;
  EXPECT_STATUS(bridge_waker_fileno(bridge_queue_waker(queue), &fd), BRIDGE_OK);
  return fd;
}

class FlowByDescriptor : public testing::TestWithParam<bridge_waker_kind>
{
};

TEST_P(FlowByDescriptor, ThroughPoll)
{
  auto queue = make_queue(GetParam());
  auto worker = start_producer(queue.get());
  int64_t last = 0;
  bool ended = false;
  while (!ended) {
    pollfd entry = {descriptor(queue.get()), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, kSoon), 1) << "after message " << last;
    ended = drain(queue.get(), &last);
  }
  EXPECT_EQ(last, kMessages);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST_P(FlowByDescriptor, ThroughSelect)
{
  auto queue = make_queue(GetParam());
  auto worker = start_producer(queue.get());
  int64_t last = 0;
  bool ended = false;
  int fd = descriptor(queue.get());
  while (!ended) {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    timeval timeout = {kSoon / 1000, 0};
    ASSERT_EQ(select(fd + 1, &readable, nullptr, nullptr, &timeout), 1);
    ended = drain(queue.get(), &last);
  }
  EXPECT_EQ(last, kMessages);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST_P(FlowByDescriptor, ThroughEpollOneMessageAtATime)
{
  /* Level-triggered: who stops before the queue is empty is called again. */
  auto queue = make_queue(GetParam());
  auto worker = start_producer(queue.get());
  int loop = epoll_create1(EPOLL_CLOEXEC);
  ASSERT_GE(loop, 0);
  epoll_event interest = {};
  interest.events = EPOLLIN;
  ASSERT_EQ(epoll_ctl(loop, EPOLL_CTL_ADD, descriptor(queue.get()), &interest),
            0);
  int64_t last = 0;
  bool ended = false;
  while (!ended) {
    epoll_event event;
    ASSERT_EQ(epoll_wait(loop, &event, 1, kSoon), 1) << "after " << last;
    bridge_message *m = nullptr;
    bridge_status status = bridge_queue_pop(queue.get(), &m, 0);
    if (status == BRIDGE_OK) {
      ended = show(m) == "'end'";
      last += ended ? 0 : 1;
    } else {
      ASSERT_STATUS(status, BRIDGE_EEMPTY);
    }
    bridge_message_release(m);
  }
  close(loop);
  EXPECT_EQ(last, kMessages);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

INSTANTIATE_TEST_SUITE_P(Wakers,
                         FlowByDescriptor,
                         testing::Values(BRIDGE_WAKER_DEFAULT,
                                         BRIDGE_WAKER_EVENTFD,
                                         BRIDGE_WAKER_PIPE,
                                         BRIDGE_WAKER_UDP));

class FlowByWaiting : public testing::TestWithParam<bridge_waker_kind>
{
};

TEST_P(FlowByWaiting, ThroughPop)
{
  auto queue = make_queue(GetParam());
  auto worker = start_producer(queue.get());
  for (int64_t i = 1; i <= kMessages + 1; i++) {
    bridge_message *m = nullptr;
    ASSERT_STATUS(bridge_queue_pop(queue.get(), &m, kSoon), BRIDGE_OK);
    EXPECT_EQ(show(m), i <= kMessages ? std::to_string(i) : "'end'");
    bridge_message_release(m);
  }
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

TEST_P(FlowByWaiting, ThroughTheWaker)
{
  auto queue = make_queue(GetParam());
  auto worker = start_producer(queue.get());
  int64_t last = 0;
  bool ended = false;
  while (!ended) {
    ASSERT_STATUS(bridge_waker_wait(bridge_queue_waker(queue.get()), kSoon),
                  BRIDGE_OK);
    ended = drain(queue.get(), &last);
  }
  EXPECT_EQ(last, kMessages);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

INSTANTIATE_TEST_SUITE_P(Wakers,
                         FlowByWaiting,
                         testing::Values(BRIDGE_WAKER_EVENTFD,
                                         BRIDGE_WAKER_PIPE,
                                         BRIDGE_WAKER_UDP,
                                         BRIDGE_WAKER_CONDITION));

/* A host's loop that can only be called: here, a flag under a mutex. */
struct Loop {
  std::mutex mutex;
  std::condition_variable changed;
  bool called = false;
  static void call(void *user)
  {
    Loop *loop = static_cast<Loop *>(user);
    std::lock_guard<std::mutex> lock(loop->mutex);
    loop->called = true;
    loop->changed.notify_one();
  }
};

TEST(FlowByCallback, ThroughTheHostsOwnLoop)
{
  Loop loop;
  bridge_waker *waker = nullptr;
  ASSERT_STATUS(
      bridge_waker_create_callback(&waker, Loop::call, &loop, nullptr),
      BRIDGE_OK);
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker = waker;
  options.items = 64;
  bridge_queue *queue = nullptr;
  ASSERT_STATUS(bridge_queue_create(&queue, &options), BRIDGE_OK);
  auto worker = start_producer(queue);
  int64_t last = 0;
  while (!drain(queue, &last)) {
    std::unique_lock<std::mutex> lock(loop.mutex);
    ASSERT_TRUE(loop.changed.wait_for(lock, std::chrono::milliseconds(kSoon),
                                      [&] { return loop.called; }))
        << "after message " << last;
    loop.called = false;
  }
  EXPECT_EQ(last, kMessages);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
  bridge_queue_release(queue);
  bridge_waker_release(waker);
}

} // namespace
