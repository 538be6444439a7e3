/* A hail of signals, a thousand a second, on the thread that waits, with a
   handler that does not ask the system to take up what it interrupts: no wait
   ends early, fails or takes longer for it. */
#include "fault.h"

extern "C" {
#include <lua.h>
}

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <cstdio>
#include <fstream>

namespace
{

using fault::Held;
using fault::now_ms;

const int kLong = 20000;
const int kWait = 60; /* ms: dozens of signals */

std::atomic<long> hits{0};

void handle(int)
{
  hits++;
}

/* Stays: a signal may come after the hail. */
bool catch_signals()
{
  struct sigaction action = {};
  action.sa_handler = handle; /* and no SA_RESTART */
  return sigaction(SIGUSR1, &action, nullptr) == 0;
}

const bool caught = catch_signals();

/* Aimed at the calling thread, as long as it lives. */
class Hail
{
public:
  Hail()
  {
    EXPECT_TRUE(caught);
    hits = 0;
    struct sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = gettid();
    EXPECT_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    const struct itimerspec each = {{0, 1000000}, {0, 1000000}};
    EXPECT_EQ(timer_settime(timer, 0, &each, nullptr), 0);
  }
  ~Hail()
  {
    timer_delete(timer);
  }

private:
  timer_t timer;
};

class Signals : public fault::Bounded
{
protected:
  /* It waits out its time, and not less. */
  template <typename Call> void times_out(Call call)
  {
    Hail hail;
    int64_t began = now_ms();
    EXPECT_STATUS(call(kWait), BRIDGE_ETIMEDOUT);
    /* The clock is read in whole milliseconds. */
    EXPECT_GE(now_ms() - began, kWait - 1);
    EXPECT_GT(hits, 0);
  }

  /* It waits for what comes after a number of signals. */
  template <typename Call, typename Event> void waits(Call call, Event event)
  {
    Hail hail;
    std::thread other([&event] {
      EXPECT_TRUE(fault::soon([] { return hits > 30; }));
      event();
    });
    EXPECT_STATUS(call(), BRIDGE_OK);
    EXPECT_GT(hits, 30);
    other.join();
  }
};

bridge_queue *make_queue(bridge_waker_kind kind, size_t items)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = items;
  options.waker_kind = kind;
  bridge_queue *queue = nullptr;
  EXPECT_STATUS(bridge_queue_create(&queue, &options), BRIDGE_OK);
  return queue;
}

bridge_status push(bridge_queue *queue, int timeout_ms)
{
  bridge_message *m = message(1);
  bridge_status status = bridge_queue_push_timeout(queue, &m, timeout_ms);
  bridge_message_release(m);
  return status;
}

bridge_status pop(bridge_queue *queue, int timeout_ms)
{
  bridge_message *m = nullptr;
  bridge_status status = bridge_queue_pop(queue, &m, timeout_ms);
  bridge_message_release(m);
  return status;
}

bridge_status pop_batch(bridge_queue *queue, int timeout_ms)
{
  bridge_message *m[4] = {};
  size_t count = 0;
  bridge_status status =
      bridge_queue_pop_batch(queue, m, 4, &count, timeout_ms);
  for (size_t i = 0; i < count; i++) {
    bridge_message_release(m[i]);
  }
  return status;
}

bridge_worker *start(const char *source, bridge_drive drive)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.drive = drive;
  bridge_worker *worker = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, nullptr, nullptr),
                BRIDGE_OK);
  return worker;
}

/* ---- Queues and wakers, of each kind ---- */

class SignalsOfKind : public Signals,
                      public testing::WithParamInterface<bridge_waker_kind>
{
};

TEST_P(SignalsOfKind, DoNotEndThePopOfAQueue)
{
  Owned<bridge_queue> queue(make_queue(GetParam(), 4));
  times_out([&](int ms) { return pop(queue.get(), ms); });
  waits([&] { return pop(queue.get(), kLong); },
        [&] { EXPECT_STATUS(push(queue.get(), 0), BRIDGE_OK); });
  waits([&] { return pop(queue.get(), -1); },
        [&] { EXPECT_STATUS(push(queue.get(), 0), BRIDGE_OK); });
}

TEST_P(SignalsOfKind, DoNotEndThePopOfABatch)
{
  Owned<bridge_queue> queue(make_queue(GetParam(), 4));
  times_out([&](int ms) { return pop_batch(queue.get(), ms); });
  waits([&] { return pop_batch(queue.get(), -1); },
        [&] { EXPECT_STATUS(push(queue.get(), 0), BRIDGE_OK); });
}

TEST_P(SignalsOfKind, DoNotEndTheWaitForAWaker)
{
  bridge_waker *made = nullptr;
  ASSERT_STATUS(bridge_waker_create(&made, GetParam()), BRIDGE_OK);
  Owned<bridge_waker> waker(made);
  times_out([&](int ms) { return bridge_waker_wait(made, ms); });
  waits([&] { return bridge_waker_wait(made, kLong); },
        [&] { EXPECT_STATUS(bridge_waker_raise(made), BRIDGE_OK); });
  EXPECT_STATUS(bridge_waker_clear(made), BRIDGE_OK);
  waits([&] { return bridge_waker_wait(made, -1); },
        [&] { EXPECT_STATUS(bridge_waker_raise(made), BRIDGE_OK); });
}

/* Raised and cleared by a thread that is interrupted all the time. */
TEST_P(SignalsOfKind, LoseNoWake)
{
  Owned<bridge_queue> there(make_queue(GetParam(), 4));
  Owned<bridge_queue> back(make_queue(GetParam(), 4));
  std::thread other([&] {
    Hail hail;
    while (pop(there.get(), -1) == BRIDGE_OK) {
      push(back.get(), -1);
    }
  });
  Hail hail;
  for (int i = 0; i < 300; i++) {
    ASSERT_STATUS(push(there.get(), kLong), BRIDGE_OK);
    ASSERT_STATUS(pop(back.get(), kLong), BRIDGE_OK);
  }
  bridge_queue_close(there.get());
  other.join();
}

INSTANTIATE_TEST_SUITE_P(Every,
                         SignalsOfKind,
                         testing::Values(BRIDGE_WAKER_EVENTFD,
                                         BRIDGE_WAKER_PIPE,
                                         BRIDGE_WAKER_UDP,
                                         BRIDGE_WAKER_CONDITION));

TEST_F(Signals, DoNotEndAPush)
{
  Owned<bridge_queue> queue(make_queue(BRIDGE_WAKER_CONDITION, 1));
  ASSERT_STATUS(push(queue.get(), 0), BRIDGE_OK);
  times_out([&](int ms) { return push(queue.get(), ms); });
  waits([&] { return push(queue.get(), kLong); },
        [&] { EXPECT_STATUS(pop(queue.get(), 0), BRIDGE_OK); });
  waits([&] { return push(queue.get(), -1); },
        [&] { EXPECT_STATUS(pop(queue.get(), 0), BRIDGE_OK); });
}

/* ---- Threads and states ---- */

void until_set(void *user)
{
  auto *set = static_cast<std::atomic<bool> *>(user);
  EXPECT_TRUE(fault::soon([set] { return set->load(); }));
}

TEST_F(Signals, DoNotEndTheJoinOfAThread)
{
  std::atomic<bool> set{false};
  bridge_thread *made = nullptr;
  ASSERT_STATUS(bridge_thread_create(&made, until_set, &set, nullptr),
                BRIDGE_OK);
  Owned<bridge_thread> thread(made);
  times_out([&](int ms) { return bridge_thread_join(made, ms); });
  waits([&] { return bridge_thread_join(made, -1); }, [&] { set = true; });
}

TEST_F(Signals, DoNotEndTheWaitForAState)
{
  bridge_state *made = nullptr;
  ASSERT_STATUS(bridge_state_create(&made, nullptr, nullptr), BRIDGE_OK);
  Owned<bridge_state> state(made);
  std::atomic<bool> held{false};
  std::atomic<bool> leave{false};
  std::thread holder([&] {
    lua_State *L = nullptr;
    EXPECT_STATUS(bridge_state_enter(made, -1, &L), BRIDGE_OK);
    held = true;
    EXPECT_TRUE(fault::soon([&] { return leave.load(); }));
    EXPECT_STATUS(bridge_state_leave(made), BRIDGE_OK);
  });
  ASSERT_TRUE(fault::soon([&] { return held.load(); }));
  lua_State *L = nullptr;
  times_out([&](int ms) { return bridge_state_enter(made, ms, &L); });
  waits([&] { return bridge_state_enter(made, kLong, &L); },
        [&] { leave = true; });
  EXPECT_STATUS(bridge_state_leave(made), BRIDGE_OK);
  holder.join();
}

/* ---- Workers ---- */

const char *const kService = R"lua(
  local bridge = require "bridge"
  return bridge.serve {
    sleep = function(seconds) return bridge.sleep(seconds) end,
    await = function(queue)
      while #queue == 0 do assert(bridge.sleep(0.005)) end
    end,
    never = function() return bridge.sleep(1e6) end,
  }
)lua";

bridge_status call(bridge_worker *worker, bridge_message *request, int ms)
{
  bridge_status status =
      bridge_worker_call(worker, &request, ms, nullptr, nullptr);
  bridge_message_release(request);
  return status;
}

TEST_F(Signals, DoNotEndACall)
{
  Owned<bridge_worker> worker(start(kService, BRIDGE_DRIVE_THREAD));
  times_out([&](int ms) { return call(worker.get(), message("never"), ms); });
  Owned<bridge_queue> queue(make_queue(BRIDGE_WAKER_CONDITION, 4));
  waits([&] { return call(worker.get(), message("await", queue.get()), -1); },
        [&] { EXPECT_STATUS(push(queue.get(), 0), BRIDGE_OK); });
  Hail hail;
  EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kLong), BRIDGE_OK);
}

TEST_F(Signals, DoNotEndTheJoinOfAWorker)
{
  Owned<bridge_worker> worker(start(kService, BRIDGE_DRIVE_THREAD));
  times_out([&](int ms) {
    return bridge_worker_join(worker.get(), ms, nullptr, nullptr);
  });
  waits([&] { return bridge_worker_join(worker.get(), -1, nullptr, nullptr); },
        [&] { EXPECT_STATUS(bridge_worker_stop(worker.get()), BRIDGE_OK); });
}

/* A script that only ends when it is cancelled gets its whole grace. */
TEST_F(Signals, DoNotHurryAClose)
{
  Owned<bridge_worker> worker(
      start("local b = require 'bridge' while not b.cancelled() do end "
            "b.sleep(0)",
            BRIDGE_DRIVE_THREAD));
  Hail hail;
  int64_t began = now_ms();
  EXPECT_STATUS(bridge_worker_close(worker.get(), kWait), BRIDGE_OK);
  EXPECT_GE(now_ms() - began, kWait - 1);
}

TEST_F(Signals, DoNotDisturbAWorkerOfTheHost)
{
  Owned<bridge_worker> worker(
      start("local b = require 'bridge' for i = 1, 20 do "
            "assert(b.sleep(0.003)) end return 'done'",
            BRIDGE_DRIVE_HOST));
  Hail hail;
  bridge_status status = BRIDGE_EEMPTY;
  int64_t began = now_ms();
  while (status != BRIDGE_ECLOSED) {
    status = bridge_worker_step(worker.get(), 0);
    int left = -1;
    ASSERT_STATUS(bridge_worker_timeout(worker.get(), &left), BRIDGE_OK);
    if (status == BRIDGE_EEMPTY && left > 0) {
      bridge_waker_wait(bridge_worker_waker(worker.get()), left);
    }
  }
  EXPECT_GE(now_ms() - began, 59);
  bridge_message *results = nullptr;
  EXPECT_STATUS(bridge_worker_join(worker.get(), 0, &results, nullptr),
                BRIDGE_OK);
  EXPECT_EQ(show(results), "'done'");
  bridge_message_release(results);
}

TEST_F(Signals, DoNotHurryTheCloseOfAWorkerOfTheHost)
{
  Owned<bridge_worker> worker(
      start("require 'bridge'.sleep(1e6)", BRIDGE_DRIVE_HOST));
  EXPECT_STATUS(bridge_worker_step(worker.get(), 0), BRIDGE_EEMPTY);
  Hail hail;
  int64_t began = now_ms();
  EXPECT_STATUS(bridge_worker_close(worker.get(), kWait), BRIDGE_OK);
  EXPECT_GE(now_ms() - began, kWait - 1);
}

/* The process's signals, not only those of a thread, leave workers alone. */
TEST_F(Signals, DoNotReachWorkers)
{
  Owned<bridge_worker> worker(start(kService, BRIDGE_DRIVE_THREAD));
  struct sigaction action = {};
  struct sigaction before;
  action.sa_handler = handle;
  sigaction(SIGVTALRM, &action, &before);
  hits = 0;
  bridge_message *request = message("sleep", 0.05);
  bridge_queue *made = make_queue(BRIDGE_WAKER_EVENTFD, 4);
  Owned<bridge_queue> answers(made);
  ASSERT_STATUS(bridge_worker_request(worker.get(), &request, -1, made, 1),
                BRIDGE_OK);
  for (int i = 0; i < 200; i++) {
    kill(getpid(), SIGVTALRM);
  }
  bridge_message *answer = nullptr;
  EXPECT_STATUS(bridge_queue_pop(made, &answer, kLong), BRIDGE_OK);
  EXPECT_STATUS(bridge_answer_error(answer, nullptr), BRIDGE_OK);
  bridge_message_release(answer);
  EXPECT_GT(hits, 0);
  sigaction(SIGVTALRM, &before, nullptr);
  EXPECT_STATUS(bridge_worker_close(worker.get(), kLong), BRIDGE_OK);
}

/* A chunk may be read from a pipe, which takes its time. */
TEST_F(Signals, DoNotSpoilAChunkThatComesThroughAPipe)
{
  std::string path =
      testing::TempDir() + "signal_fault" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  Hail hail;
  std::thread writer([&path] {
    EXPECT_TRUE(fault::soon([] { return hits > 20; }));
    std::ofstream file(path);
    file << "return " << std::flush;
    long now = hits;
    EXPECT_TRUE(fault::soon([now] { return hits > now + 20; }));
    file << "42";
  });
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.file = path.c_str();
  bridge_worker *worker = nullptr;
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_worker_create(&worker, &options, nullptr, &error),
                BRIDGE_OK)
      << bridge_error_text(error, nullptr);
  bridge_error_release(error);
  writer.join();
  bridge_message *results = nullptr;
  if (worker != nullptr) {
    EXPECT_STATUS(bridge_worker_join(worker, kLong, &results, nullptr),
                  BRIDGE_OK);
    EXPECT_EQ(show(results), "42");
  }
  bridge_message_release(results);
  bridge_worker_release(worker);
  std::remove(path.c_str());
}

} // namespace
