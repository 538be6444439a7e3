/* The system refuses: no descriptor, no thread, no memory, no port.  The calls
   that ask it for something are taken over by this program, whose names the
   library finds before those of libc. */
#include "fault.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

namespace
{

/* Which of the calls is to fail; the gate says when. */
enum Call {
  kEventfd,
  kPipe,
  kSocket,
  kBind,
  kGetsockname,
  kConnect,
  kMmap,
  kThread
};

fault::Gate gate;
std::atomic<int> failing{-1};
std::atomic<int> reason{0};

bool refused(Call call)
{
  if (failing != call || !gate.refuses()) {
    return false;
  }
  errno = reason;
  return true;
}

template <typename Function> Function *real(const char *name)
{
  return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

} // namespace

extern "C" {

int eventfd(unsigned count, int flags) noexcept
{
  static auto *next = real<int(unsigned, int)>("eventfd");
  return refused(kEventfd) ? -1 : next(count, flags);
}

int pipe2(int *files, int flags) noexcept
{
  static auto *next = real<int(int *, int)>("pipe2");
  return refused(kPipe) ? -1 : next(files, flags);
}

int socket(int domain, int type, int protocol) noexcept
{
  static auto *next = real<int(int, int, int)>("socket");
  return refused(kSocket) ? -1 : next(domain, type, protocol);
}

int bind(int file, const sockaddr *address, socklen_t size) noexcept
{
  static auto *next = real<int(int, const sockaddr *, socklen_t)>("bind");
  return refused(kBind) ? -1 : next(file, address, size);
}

int getsockname(int file, sockaddr *address, socklen_t *size) noexcept
{
  static auto *next = real<int(int, sockaddr *, socklen_t *)>("getsockname");
  return refused(kGetsockname) ? -1 : next(file, address, size);
}

int connect(int file, const sockaddr *address, socklen_t size)
{
  static auto *next = real<int(int, const sockaddr *, socklen_t)>("connect");
  return refused(kConnect) ? -1 : next(file, address, size);
}

void *mmap(void *place,
           size_t size,
           int access,
           int flags,
           int file,
           off_t at) noexcept
{
  static auto *next =
      real<void *(void *, size_t, int, int, int, off_t)>("mmap");
  return refused(kMmap) ? MAP_FAILED
                        : next(place, size, access, flags, file, at);
}

int pthread_create(pthread_t *thread,
                   const pthread_attr_t *attributes,
                   void *(*body)(void *),
                   void *user) noexcept
{
  static auto *next =
      real<int(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *)>(
          "pthread_create");
  return refused(kThread) ? reason.load()
                          : next(thread, attributes, body, user);
}
}

namespace
{

using fault::Held;

const int kLong = 20000;

int descriptors()
{
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (readdir(folder) != nullptr) {
    count++;
  }
  closedir(folder);
  return count;
}

/* ---- What is tried ---- */

void nothing(void *)
{
}

bridge_status make_thread()
{
  Held<bridge_thread> thread;
  TRY(bridge_thread_create(thread.out(), nothing, nullptr, nullptr));
  return bridge_thread_join(thread, kLong);
}

template <bridge_waker_kind kind> bridge_status make_waker()
{
  Held<bridge_waker> waker;
  TRY(bridge_waker_create(waker.out(), kind));
  TRY(bridge_waker_raise(waker));
  return bridge_waker_wait(waker, kLong);
}

template <bridge_waker_kind kind> bridge_status make_queue()
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker_kind = kind;
  Held<bridge_queue> queue;
  return bridge_queue_create(queue.out(), &options);
}

bridge_status make_state()
{
  Held<bridge_state> state;
  Held<bridge_message> results;
  const std::string source = "local t = {} for i = 1, 3000 do t[i] = { i } end "
                             "return ('x'):rep(1000000)";
  TRY(bridge_state_create(state.out(), nullptr, nullptr));
  return bridge_state_run(state, source.data(), source.size(), "=big", nullptr,
                          results.out(), nullptr);
}

bridge_status make_worker(bridge_drive drive, bridge_waker_kind kind)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "return require 'bridge'.serve {}";
  options.drive = drive;
  options.waker_kind = kind;
  Held<bridge_worker> worker;
  bridge_error *error = nullptr;
  bridge_status status =
      bridge_worker_create(worker.out(), &options, nullptr, &error);
  int code = errno;
  bridge_error_release(error);
  errno = code;
  TRY(status);
  return bridge_worker_close(worker, kLong);
}

bridge_status make_threaded()
{
  return make_worker(BRIDGE_DRIVE_THREAD, BRIDGE_WAKER_DEFAULT);
}

template <bridge_waker_kind kind> bridge_status make_hosted()
{
  return make_worker(BRIDGE_DRIVE_HOST, kind);
}

/* ---- Calls that fail ---- */

struct Refusal {
  const char *name;
  Call call;
  int code;
  bridge_status (*make)();
};

void PrintTo(const Refusal &refusal, std::ostream *out)
{
  *out << refusal.name;
}

const Refusal kRefusals[] = {
    {"EventfdWaker", kEventfd, EMFILE, make_waker<BRIDGE_WAKER_EVENTFD>},
    {"EventfdWakerOfTheSystem", kEventfd, ENFILE,
     make_waker<BRIDGE_WAKER_DEFAULT>},
    {"EventfdWithoutMemory", kEventfd, ENOMEM,
     make_waker<BRIDGE_WAKER_EVENTFD>},
    {"PipeWaker", kPipe, EMFILE, make_waker<BRIDGE_WAKER_PIPE>},
    {"UdpWakerSocket", kSocket, EMFILE, make_waker<BRIDGE_WAKER_UDP>},
    {"UdpWakerBuffer", kSocket, ENOBUFS, make_waker<BRIDGE_WAKER_UDP>},
    {"UdpWakerBind", kBind, EADDRINUSE, make_waker<BRIDGE_WAKER_UDP>},
    {"UdpWakerName", kGetsockname, ENOBUFS, make_waker<BRIDGE_WAKER_UDP>},
    {"UdpWakerConnect", kConnect, ENETUNREACH, make_waker<BRIDGE_WAKER_UDP>},
    {"EventfdQueue", kEventfd, EMFILE, make_queue<BRIDGE_WAKER_EVENTFD>},
    {"PipeQueue", kPipe, ENFILE, make_queue<BRIDGE_WAKER_PIPE>},
    {"UdpQueue", kConnect, ENETUNREACH, make_queue<BRIDGE_WAKER_UDP>},
    {"Thread", kThread, EAGAIN, make_thread},
    {"ThreadWithoutRights", kThread, EPERM, make_thread},
    {"ThreadWithoutMemory", kThread, ENOMEM, make_thread},
    {"Worker", kThread, EAGAIN, make_threaded},
    {"HostWorker", kEventfd, EMFILE, make_hosted<BRIDGE_WAKER_DEFAULT>},
    {"HostWorkerPipe", kPipe, EMFILE, make_hosted<BRIDGE_WAKER_PIPE>},
    {"HostWorkerUdp", kBind, EADDRINUSE, make_hosted<BRIDGE_WAKER_UDP>},
};

class Kernel : public testing::TestWithParam<Refusal>
{
protected:
  void SetUp() override
  {
    alarm(100);
  }
  void TearDown() override
  {
    failing = -1;
    alarm(0);
  }
};

TEST_P(Kernel, IsBelievedWhenItRefuses)
{
  const Refusal &given = GetParam();
  int before = descriptors();
  bridge_status wanted = given.code == ENOMEM ? BRIDGE_ENOMEM : BRIDGE_ESYSTEM;
  reason = given.code;
  failing = given.call;
  int failures = 0;
  for (long number = 1;; number++) {
    gate.arm(number, number % 2 == 0);
    errno = 0;
    bridge_status status = given.make();
    int code = errno;
    if (!gate.disarm()) {
      EXPECT_STATUS(status, BRIDGE_OK);
      break;
    }
    failures++;
    EXPECT_STATUS(status, wanted);
    EXPECT_EQ(code, given.code) << "errno says more";
    EXPECT_EQ(descriptors(), before);
    EXPECT_STATUS(given.make(), BRIDGE_OK) << "afterwards";
  }
  EXPECT_GE(failures, 1) << "it is not called any more";
  EXPECT_EQ(descriptors(), before);
}

INSTANTIATE_TEST_SUITE_P(Every,
                         Kernel,
                         testing::ValuesIn(kRefusals),
                         [](const auto &each) {
                           return std::string(each.param.name);
                         });

/* Whether or not Lua's memory comes from there. */
TEST_F(Kernel, GivesNoPages)
{
  reason = ENOMEM;
  failing = kMmap;
  for (bool ever : {false, true}) {
    for (long number = 1; number < 300; number++) {
      gate.arm(number, ever);
      bridge_status status = make_state();
      bool failed = gate.disarm();
      if (status != BRIDGE_OK) {
        EXPECT_STATUS(status, BRIDGE_ENOMEM);
        EXPECT_TRUE(failed);
      }
      EXPECT_STATUS(make_state(), BRIDGE_OK) << "after " << number;
      if (!failed) {
        break;
      }
    }
  }
}

/* ---- No descriptor left ---- */

class Descriptors : public fault::Bounded
{
protected:
  void SetUp() override
  {
    Bounded::SetUp();
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  }
  void TearDown() override
  {
    setrlimit(RLIMIT_NOFILE, &usual);
    Bounded::TearDown();
  }

  /* So many more than there are. */
  void allow(rlim_t more)
  {
    int next = eventfd(0, EFD_CLOEXEC);
    close(next);
    struct rlimit limit = usual;
    limit.rlim_cur = rlim_t(next) + more;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }

  struct rlimit usual;
};

TEST_F(Descriptors, AreMissedOnlyByWhatNeedsThem)
{
  int before = descriptors();
  allow(0);
  bridge_status (*const need[])() = {
      make_waker<BRIDGE_WAKER_DEFAULT>,  make_waker<BRIDGE_WAKER_EVENTFD>,
      make_waker<BRIDGE_WAKER_PIPE>,     make_waker<BRIDGE_WAKER_UDP>,
      make_queue<BRIDGE_WAKER_EVENTFD>,  make_queue<BRIDGE_WAKER_PIPE>,
      make_queue<BRIDGE_WAKER_UDP>,      make_hosted<BRIDGE_WAKER_DEFAULT>,
      make_hosted<BRIDGE_WAKER_EVENTFD>, make_hosted<BRIDGE_WAKER_PIPE>,
      make_hosted<BRIDGE_WAKER_UDP>};
  for (auto *make : need) {
    errno = 0;
    bridge_status status = make();
    EXPECT_EQ(errno, EMFILE);
    EXPECT_STATUS(status, BRIDGE_ESYSTEM);
  }
  bridge_status (*const content[])() = {make_waker<BRIDGE_WAKER_CONDITION>,
                                        make_queue<BRIDGE_WAKER_CONDITION>,
                                        make_hosted<BRIDGE_WAKER_CONDITION>,
                                        make_threaded,
                                        make_thread,
                                        make_state};
  for (auto *make : content) {
    EXPECT_STATUS(make(), BRIDGE_OK);
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_EQ(descriptors(), before);
  for (auto *make : need) {
    EXPECT_STATUS(make(), BRIDGE_OK);
  }
  EXPECT_EQ(descriptors(), before);
}

TEST_F(Descriptors, AreNotLostByAPipeThatGetsOnlyOne)
{
  int before = descriptors();
  allow(1);
  for (int i = 0; i < 10; i++) {
    EXPECT_STATUS(make_waker<BRIDGE_WAKER_PIPE>(), BRIDGE_ESYSTEM);
    EXPECT_STATUS(make_waker<BRIDGE_WAKER_UDP>(), BRIDGE_OK);
    EXPECT_STATUS(make_hosted<BRIDGE_WAKER_EVENTFD>(), BRIDGE_OK);
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_EQ(descriptors(), before);
}

/* Until there are no more; then all of them go, and all can be had again. */
TEST_F(Descriptors, CanBeUsedUp)
{
  int before = descriptors();
  allow(64);
  for (int round = 0; round < 3; round++) {
    std::vector<std::unique_ptr<Held<bridge_queue>>> queues;
    bridge_queue_options options;
    bridge_queue_options_init(&options);
    bridge_status status = BRIDGE_OK;
    while (status == BRIDGE_OK) {
      options.waker_kind =
          queues.size() % 2 == 0 ? BRIDGE_WAKER_EVENTFD : BRIDGE_WAKER_UDP;
      queues.push_back(std::make_unique<Held<bridge_queue>>());
      status = bridge_queue_create(queues.back()->out(), &options);
    }
    EXPECT_STATUS(status, BRIDGE_ESYSTEM);
    EXPECT_GT(queues.size(), 32u);
    Held<bridge_message> sent;
    *sent.out() = message(round);
    EXPECT_STATUS(bridge_queue_push(*queues[0], sent.out()), BRIDGE_OK);
    EXPECT_STATUS(bridge_waker_wait(bridge_queue_waker(*queues[0]), kLong),
                  BRIDGE_OK);
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  EXPECT_EQ(descriptors(), before);
}

/* A worker that is refused its thread has not run, and its arguments are still
   the caller's. */
TEST_F(Kernel, ThatGivesNoThreadTakesNothing)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "error 'it ran'";
  reason = EAGAIN;
  failing = kThread;
  gate.arm(1, true);
  Held<bridge_message> arguments;
  *arguments.out() = message(1, "two");
  Held<bridge_worker> worker;
  Held<bridge_error> error;
  EXPECT_STATUS(bridge_worker_create(worker.out(), &options, arguments.out(),
                                     error.out()),
                BRIDGE_ESYSTEM);
  gate.disarm();
  EXPECT_EQ(worker, nullptr);
  ASSERT_NE(arguments, nullptr);
  EXPECT_EQ(show(arguments), "1 'two'");
}

} // namespace
