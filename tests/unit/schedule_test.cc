/* Priority and processors of threads, and of workers; their names, as the system
   shows them. */
#include "../support.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace
{

const int kSoon = 20000; /* long enough for any machine, and never reached */

bridge_thread_options options()
{
  bridge_thread_options made;
  bridge_thread_options_init(&made);
  return made;
}

/* Run it on a thread, if that can be made. */
bridge_status on_thread(const bridge_thread_options &wanted,
                        std::function<void()> body)
{
  bridge_thread *thread = nullptr;
  bridge_status status = bridge_thread_create(
      &thread,
      [](void *user) { (*static_cast<std::function<void()> *>(user))(); },
      &body, &wanted);
  if (status == BRIDGE_OK) {
    EXPECT_STATUS(bridge_thread_join(thread, kSoon), BRIDGE_OK);
    bridge_thread_release(thread);
  }
  return status;
}

/* Those that this process may use. */
uint64_t allowed()
{
  cpu_set_t set;
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  uint64_t mask = 0;
  for (size_t i = 0; i < 64; i++) {
    mask |= CPU_ISSET(i, &set) ? UINT64_C(1) << i : 0;
  }
  return mask;
}

TEST(Schedule, IsTheSystemsOwnByDefault)
{
  int nice = getpriority(PRIO_PROCESS, 0);
  uint64_t mask = allowed();
  EXPECT_STATUS(on_thread(options(),
                          [&] {
                            EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice);
                            EXPECT_EQ(allowed(), mask);
                          }),
                BRIDGE_OK);
}

TEST(Schedule, ALowPriorityIsOfThisThreadOnly)
{
  bridge_thread_options wanted = options();
  wanted.priority = BRIDGE_PRIORITY_LOW;
  int nice = getpriority(PRIO_PROCESS, 0);
  EXPECT_STATUS(
      on_thread(wanted, [&] { EXPECT_GE(getpriority(PRIO_PROCESS, 0), 10); }),
      BRIDGE_OK);
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice);
}

TEST(Schedule, IdleRunsWhenNobodyElseWantsTo)
{
  bridge_thread_options wanted = options();
  wanted.priority = BRIDGE_PRIORITY_IDLE;
  wanted.keep = true; /* it is not kept: the system does not give it back */
  EXPECT_STATUS(
      on_thread(wanted, [] { EXPECT_EQ(sched_getscheduler(0), SCHED_IDLE); }),
      BRIDGE_OK);
  wanted.priority = BRIDGE_PRIORITY_NORMAL;
  EXPECT_STATUS(
      on_thread(wanted, [] { EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER); }),
      BRIDGE_OK);
}

TEST(Schedule, AHighPriorityIsGivenOrRefusedAndThenNothingRuns)
{
  bridge_thread_options wanted = options();
  wanted.priority = BRIDGE_PRIORITY_HIGH;
  bool ran = false;
  errno = 0;
  bridge_status status = on_thread(wanted, [&] {
    ran = true;
    EXPECT_LT(getpriority(PRIO_PROCESS, 0), 0);
  });
  int code = errno;
  if (status != BRIDGE_OK) {
    EXPECT_STATUS(status, BRIDGE_ESYSTEM);
    EXPECT_TRUE(code == EACCES || code == EPERM) << code;
  }
  EXPECT_EQ(ran, status == BRIDGE_OK);
}

TEST(Schedule, RefusesWhatIsNoPriority)
{
  bridge_thread_options wanted = options();
  for (int value : {-3, 2, 1000}) {
    wanted.priority = static_cast<bridge_priority>(value);
    EXPECT_STATUS(on_thread(wanted, [] {}), BRIDGE_EINVAL);
  }
}

TEST(Schedule, UsesTheProcessorsThatItIsGiven)
{
  bridge_thread_options wanted = options();
  uint64_t all = allowed();
  for (int i = 0; i < 64; i++) {
    wanted.affinity = UINT64_C(1) << i;
    bool there = (all & wanted.affinity) != 0;
    errno = 0;
    bridge_status status =
        on_thread(wanted, [&] { EXPECT_EQ(allowed(), wanted.affinity); });
    int code = errno;
    /* A system with more processors than the process may use gives them, too. */
    if (there || status == BRIDGE_OK) {
      EXPECT_STATUS(status, BRIDGE_OK);
    } else {
      EXPECT_STATUS(status, BRIDGE_ESYSTEM);
      EXPECT_EQ(code, EINVAL);
    }
  }
  EXPECT_EQ(allowed(), all);
}

struct Options {
  bridge_worker_options worker;
  explicit Options(const char *source)
  {
    bridge_worker_options_init(&worker);
    worker.source = source;
  }
  bridge_status make(Owned<bridge_worker> *out, std::string *text = nullptr)
  {
    bridge_worker *made = nullptr;
    bridge_error *error = nullptr;
    bridge_status status =
        bridge_worker_create(&made, &worker, nullptr, &error);
    out->reset(made);
    if (text != nullptr) {
      *text = bridge_error_text(error, nullptr);
    }
    bridge_error_release(error);
    return status;
  }
};

TEST(Schedule, AWorkerThatIsRefusedItsProcessorsSaysSo)
{
  Options options("return 1");
  Owned<bridge_worker> worker;
  std::string text;
  options.worker.affinity = UINT64_C(1) << 63;
  bridge_status status = options.make(&worker, &text);
  if (status != BRIDGE_OK) {
    EXPECT_STATUS(status, BRIDGE_ESYSTEM);
    EXPECT_NE(text.find("refuses"), std::string::npos) << text;
    EXPECT_EQ(worker, nullptr);
  }
  options.worker.affinity = allowed();
  options.worker.priority = BRIDGE_PRIORITY_LOW;
  EXPECT_STATUS(options.make(&worker), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_join(worker.get(), kSoon, nullptr, nullptr),
                BRIDGE_OK);
}

TEST(Schedule, AHostsWorkerHasNoThreadForIt)
{
  Options options("return 1");
  Owned<bridge_worker> worker;
  options.worker.drive = BRIDGE_DRIVE_HOST;
  options.worker.priority = BRIDGE_PRIORITY_LOW;
  EXPECT_STATUS(options.make(&worker), BRIDGE_EINVAL);
  options.worker.priority = BRIDGE_PRIORITY_NORMAL;
  options.worker.affinity = 1;
  EXPECT_STATUS(options.make(&worker), BRIDGE_EINVAL);
}

TEST(Schedule, AnInboxHasAPolicyThatThereIs)
{
  Options options("return 1");
  Owned<bridge_worker> worker;
  options.worker.inbox_full = static_cast<bridge_queue_policy>(7);
  EXPECT_STATUS(options.make(&worker), BRIDGE_EINVAL);
}

/* What the system shows of all threads of this process. */
bool shown(const std::string &name)
{
  std::error_code gone;
  for (const auto &task :
       std::filesystem::directory_iterator("/proc/self/task", gone)) {
    std::ifstream file(task.path() / "comm");
    std::string line;
    if (std::getline(file, line) && line == name) {
      return true;
    }
  }
  return false;
}

TEST(Schedule, TheSystemShowsTheNamesOfWorkers)
{
  Options options("local b = require 'bridge' b.serve { x = function() end }");
  Owned<bridge_worker> worker;
  options.worker.name = "shown to the system";
  ASSERT_STATUS(options.make(&worker), BRIDGE_OK);
  bridge_message *request = message("x");
  EXPECT_STATUS(
      bridge_worker_call(worker.get(), &request, kSoon, nullptr, nullptr),
      BRIDGE_OK);
  EXPECT_TRUE(shown("shown to the sy"));
  EXPECT_STATUS(bridge_worker_close(worker.get(), kSoon), BRIDGE_OK);
}

} // namespace
