/* Threads: starting, joining, letting go. */
#include "core_support.h"

#include <pthread.h>

#include <climits>
#include <csignal>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <vector>

extern "C" {
bool bridge__thread_join(bridge_thread *thread);
}

static const bridge_status installed = support::install();

namespace
{

/* A thread that stays until it is told to go. */
class Staying
{
public:
  explicit Staying(const bridge_thread_options *options = nullptr)
  {
    EXPECT_EQ(bridge_thread_create(&thread, stay, this, options), BRIDGE_OK);
    inside.get_future().wait();
  }
  ~Staying()
  {
    go();
    if (thread != nullptr) {
      if (bridge_thread_join(thread, -1) == BRIDGE_EDETACHED) {
        /* It uses this object to the end. */
        EXPECT_TRUE(
            support::soon([this] { return !bridge_thread_alive(thread); }));
      }
      bridge_thread_release(thread);
    }
  }
  void go()
  {
    if (!gone) {
      gone = true;
      leave.set_value();
    }
  }

  bridge_thread *thread = nullptr;

private:
  static void stay(void *user)
  {
    auto *self = static_cast<Staying *>(user);
    self->inside.set_value();
    self->leave.get_future().wait();
  }

  std::promise<void> inside;
  std::promise<void> leave;
  bool gone = false;
};

void nothing(void *)
{
}

/* Run `body` on a thread of ours, to its end. */
void on_thread(std::function<void()> body,
               const bridge_thread_options *options = nullptr)
{
  bridge_thread *thread = nullptr;
  ASSERT_EQ(
      bridge_thread_create(
          &thread,
          [](void *user) { (*static_cast<std::function<void()> *>(user))(); },
          &body, options),
      BRIDGE_OK);
  EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_OK);
  bridge_thread_release(thread);
}

} // namespace

TEST(Thread, RefusesBadArguments)
{
  ASSERT_EQ(installed, BRIDGE_OK);
  int place = 0;
  auto *marker = reinterpret_cast<bridge_thread *>(&place);
  bridge_thread *thread = marker;
  EXPECT_EQ(bridge_thread_create(nullptr, nothing, nullptr, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_thread_create(&thread, nullptr, nullptr, nullptr),
            BRIDGE_EINVAL);
  bridge_thread_options options;
  bridge_thread_options_init(&options);
  EXPECT_EQ(options.version, BRIDGE_THREAD_OPTIONS_VERSION);
  for (unsigned version : {0u, BRIDGE_THREAD_OPTIONS_VERSION + 1u, UINT_MAX}) {
    options.version = version;
    EXPECT_EQ(bridge_thread_create(&thread, nothing, nullptr, &options),
              BRIDGE_EVERSION);
  }
  EXPECT_EQ(thread, marker);
  bridge_thread_options_init(nullptr);
}

TEST(Thread, NullIsNoThread)
{
  EXPECT_EQ(bridge_thread_join(nullptr, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_thread_detach(nullptr), BRIDGE_EINVAL);
  EXPECT_FALSE(bridge_thread_alive(nullptr));
  EXPECT_STREQ(bridge_thread_name(nullptr), "");
  EXPECT_EQ(bridge_thread_id(nullptr), 0u);
  EXPECT_EQ(bridge_thread_retain(nullptr), nullptr);
  bridge_thread_release(nullptr);
}

TEST(Thread, JoinSaysSoToOneCallerOnly)
{
  Staying staying;
  EXPECT_EQ(bridge_thread_join(staying.thread, 0), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(bridge_thread_join(staying.thread, 5), BRIDGE_ETIMEDOUT);
  EXPECT_TRUE(bridge_thread_alive(staying.thread));
  staying.go();
  EXPECT_EQ(bridge_thread_join(staying.thread, -1), BRIDGE_OK);
  EXPECT_FALSE(bridge_thread_alive(staying.thread));
  EXPECT_EQ(bridge_thread_join(staying.thread, -1), BRIDGE_EALREADY);
  EXPECT_EQ(bridge_thread_join(staying.thread, 0), BRIDGE_EALREADY);
  EXPECT_EQ(bridge_thread_detach(staying.thread), BRIDGE_EALREADY);
}

TEST(Thread, TheLongestTimeoutsAreNotOver)
{
  for (int timeout : {INT_MAX, INT_MIN}) {
    Staying staying;
    support::Blocked joiner(
        [&] { return bridge_thread_join(staying.thread, timeout); });
    EXPECT_FALSE(joiner.done);
    staying.go();
    EXPECT_EQ(joiner.finish(), BRIDGE_OK);
  }
}

TEST(Thread, OneOfManyJoinersGetsIt)
{
  Staying staying;
  std::vector<std::unique_ptr<support::Blocked>> joiners;
  for (int i = 0; i < 4; i++) {
    joiners.push_back(std::make_unique<support::Blocked>(
        [&] { return bridge_thread_join(staying.thread, -1); }));
  }
  staying.go();
  int first = 0;
  for (auto &joiner : joiners) {
    bridge_status status = joiner->finish();
    EXPECT_TRUE(status == BRIDGE_OK || status == BRIDGE_EALREADY);
    first += status == BRIDGE_OK ? 1 : 0;
  }
  EXPECT_EQ(first, 1);
}

TEST(Thread, CannotJoinItself)
{
  on_thread([] {
    bridge_thread *self = bridge_thread_current();
    EXPECT_EQ(bridge_thread_join(self, -1), BRIDGE_EDEADLOCK);
    EXPECT_EQ(bridge_thread_join(self, 0), BRIDGE_EDEADLOCK);
  });
}

TEST(Thread, DetachedCannotBeJoined)
{
  Staying staying;
  EXPECT_EQ(bridge_thread_detach(staying.thread), BRIDGE_OK);
  EXPECT_EQ(bridge_thread_detach(staying.thread), BRIDGE_EDETACHED);
  EXPECT_EQ(bridge_thread_join(staying.thread, -1), BRIDGE_EDETACHED);
  EXPECT_TRUE(bridge_thread_alive(staying.thread));
  staying.go();
  EXPECT_TRUE(
      support::soon([&] { return !bridge_thread_alive(staying.thread); }));
  EXPECT_EQ(bridge_thread_join(staying.thread, 0), BRIDGE_EDETACHED);
}

TEST(Thread, DetachingEndsTheWaitOfAJoiner)
{
  Staying staying;
  support::Blocked joiner(
      [&] { return bridge_thread_join(staying.thread, -1); });
  EXPECT_FALSE(joiner.done);
  EXPECT_EQ(bridge_thread_detach(staying.thread), BRIDGE_OK);
  EXPECT_EQ(joiner.finish(), BRIDGE_EDETACHED);
  staying.go();
}

TEST(Thread, JoinedByTheSystemAloneLetsOthersWaitForItsEnd)
{
  Staying staying;
  support::Blocked system([&] {
    return bridge__thread_join(staying.thread) ? BRIDGE_OK : BRIDGE_EALREADY;
  });
  EXPECT_FALSE(system.done);
  EXPECT_FALSE(bridge__thread_join(staying.thread));
  EXPECT_EQ(bridge_thread_detach(staying.thread), BRIDGE_EALREADY);
  EXPECT_EQ(bridge_thread_join(staying.thread, 0), BRIDGE_ETIMEDOUT);
  support::Blocked other(
      [&] { return bridge_thread_join(staying.thread, -1); });
  EXPECT_FALSE(other.done);
  staying.go();
  EXPECT_EQ(system.finish(), BRIDGE_OK);
  EXPECT_EQ(other.finish(), BRIDGE_EALREADY);
  EXPECT_EQ(bridge_thread_join(staying.thread, -1), BRIDGE_EALREADY);
}

TEST(Thread, DetachedIsNotJoinedByTheSystem)
{
  Staying staying;
  EXPECT_EQ(bridge_thread_detach(staying.thread), BRIDGE_OK);
  EXPECT_FALSE(bridge__thread_join(staying.thread));
  staying.go();
}

/* At most as before: a detached thread of another test may go meanwhile. */
TEST(Thread, ReleasedRunsOnAndCleansUpAfterItself)
{
  const long before = support::used();
  std::promise<void> released;
  std::promise<bool> ended;
  std::pair<std::promise<void> *, std::promise<bool> *> both{&released, &ended};
  bridge_thread *thread = nullptr;
  ASSERT_EQ(bridge_thread_create(
                &thread,
                [](void *user) {
                  auto *two = static_cast<decltype(both) *>(user);
                  two->first->get_future().wait();
                  two->second->set_value(
                      bridge_thread_alive(bridge_thread_current()));
                },
                &both, nullptr),
            BRIDGE_OK);
  bridge_thread_release(thread);
  released.set_value();
  EXPECT_TRUE(ended.get_future().get());
  EXPECT_TRUE(support::soon([&] { return support::used() <= before; }));
}

TEST(Thread, ReleasedAfterItsEndIsFreed)
{
  const long before = support::used();
  bridge_thread *thread = nullptr;
  ASSERT_EQ(bridge_thread_create(&thread, nothing, nullptr, nullptr),
            BRIDGE_OK);
  EXPECT_TRUE(support::soon([&] { return !bridge_thread_alive(thread); }));
  EXPECT_EQ(bridge_thread_retain(thread), thread);
  bridge_thread_release(thread);
  EXPECT_FALSE(bridge_thread_alive(thread));
  bridge_thread_release(thread);
  EXPECT_TRUE(support::soon([&] { return support::used() <= before; }));
}

TEST(Thread, KnowsItself)
{
  EXPECT_EQ(bridge_thread_current(), nullptr);
  on_thread([] {
    bridge_thread *self = bridge_thread_current();
    ASSERT_NE(self, nullptr);
    EXPECT_TRUE(bridge_thread_alive(self));
    const uint64_t id = bridge_thread_id(self);
    EXPECT_GT(id, 0u);
    std::thread([&] { EXPECT_EQ(bridge_thread_current(), nullptr); }).join();
    EXPECT_EQ(bridge_thread_id(self), id);
  });
}

TEST(Thread, NumbersAreNotUsedAgain)
{
  uint64_t last = 0;
  for (int i = 0; i < 10; i++) {
    on_thread([&] {
      const uint64_t id = bridge_thread_id(bridge_thread_current());
      EXPECT_GT(id, last);
      last = id;
    });
  }
}

TEST(Thread, TheSystemShowsWhatItHasRoomForOfTheName)
{
  struct {
    const char *given;
    const char *shown;
  } cases[] = {
      {"short", "short"},
      {"exactly fifteen", "exactly fifteen"},
      {"longer than fifteen bytes", "longer than fif"},
      {"fourteen bytes\xc3\xa4", "fourteen bytes"}, /* not half a letter */
  };
  for (const auto &one : cases) {
    bridge_thread_options options;
    bridge_thread_options_init(&options);
    char name[64];
    std::snprintf(name, sizeof name, "%s", one.given);
    options.name = name;
    on_thread(
        [&] {
          std::memset(name, 'x', 8); /* it was copied */
          EXPECT_STREQ(bridge_thread_name(bridge_thread_current()), one.given);
          char shown[16] = "";
          pthread_getname_np(pthread_self(), shown, sizeof shown);
          EXPECT_STREQ(shown, one.shown);
        },
        &options);
  }
  on_thread(
      [] { EXPECT_STREQ(bridge_thread_name(bridge_thread_current()), ""); });
}

static size_t stack_of_this_thread()
{
  pthread_attr_t attributes;
  void *base = nullptr;
  size_t size = 0;
  EXPECT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
  EXPECT_EQ(pthread_attr_getstack(&attributes, &base, &size), 0);
  pthread_attr_destroy(&attributes);
  return size;
}

TEST(Thread, HasTheStackThatLuaNeeds)
{
  struct {
    size_t wanted;
    size_t least;
  } cases[] = {{0, 1 << 20},
               {1, 512 * 1024},
               {512 * 1024 + 1, 512 * 1024 + 1},
               {4 << 20, 4 << 20}};
  for (const auto &one : cases) {
    bridge_thread_options options;
    bridge_thread_options_init(&options);
    options.stack_size = one.wanted;
    on_thread([&] { EXPECT_GE(stack_of_this_thread(), one.least); }, &options);
  }
}

TEST(Thread, AStackThatDoesNotExistIsRefused)
{
  const long before = support::used();
  bridge_thread_options options;
  bridge_thread_options_init(&options);
  for (size_t size : {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX - 4095}) {
    options.stack_size = size;
    bridge_thread *thread = nullptr;
    bridge_status status =
        bridge_thread_create(&thread, nothing, nullptr, &options);
    EXPECT_TRUE(status == BRIDGE_ESYSTEM || status == BRIDGE_ENOMEM) << status;
    EXPECT_EQ(thread, nullptr);
  }
  EXPECT_LE(support::used(), before);
}

TEST(Thread, TakesNoSignals)
{
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, nullptr, &before);
  on_thread([] {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    for (int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1,
                       SIGUSR2, SIGPIPE, SIGWINCH, SIGRTMIN, SIGRTMAX}) {
      EXPECT_EQ(sigismember(&mask, number), 1) << number;
    }
    for (int number :
         {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF}) {
      EXPECT_EQ(sigismember(&mask, number), 0) << number;
    }
  });
  sigset_t after;
  pthread_sigmask(SIG_BLOCK, nullptr, &after);
  for (int number = 1; number < 32; number++) {
    EXPECT_EQ(sigismember(&after, number), sigismember(&before, number));
  }
}

TEST(Thread, ACancelledWorkerDoesNotWait)
{
  Staying staying;
  support::Interrupt interrupt;
  support::Blocked joiner([&] {
    support::Bound bound(interrupt);
    bridge_status first = bridge_thread_join(staying.thread, -1);
    EXPECT_EQ(bridge_thread_join(staying.thread, -1), BRIDGE_ECANCELLED);
    EXPECT_EQ(bridge_thread_join(staying.thread, 0), BRIDGE_ETIMEDOUT);
    return first;
  });
  EXPECT_FALSE(joiner.done);
  interrupt.request();
  EXPECT_EQ(joiner.finish(), BRIDGE_ECANCELLED);
  staying.go();
  EXPECT_EQ(bridge_thread_join(staying.thread, -1), BRIDGE_OK);
}

TEST(Thread, WithoutMemoryThereIsNone)
{
  const long before = support::used();
  long failures = support::starve(
      [] {
        bridge_thread *thread = nullptr;
        bridge_status status =
            bridge_thread_create(&thread, nothing, nullptr, nullptr);
        support::left = -1;
        if (status == BRIDGE_OK) {
          EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_OK);
          bridge_thread_release(thread);
        } else {
          EXPECT_EQ(thread, nullptr);
        }
        return status;
      },
      [&] { EXPECT_LE(support::used(), before); });
  EXPECT_GE(failures, 2);
}

TEST(Thread, BelongsToTheProcessThatMadeIt)
{
  Staying staying;
  bridge_thread *thread = bridge_thread_retain(staying.thread);
  EXPECT_EQ(support::in_child([&] {
              if (bridge_thread_join(thread, 0) != BRIDGE_EFORKED ||
                  bridge_thread_detach(thread) != BRIDGE_EFORKED) {
                return 1;
              }
              if (bridge_thread_alive(thread)) {
                return 2;
              }
              bridge_thread_release(thread);
              return 0;
            }),
            0);
  EXPECT_TRUE(bridge_thread_alive(thread));
  bridge_thread_release(thread);
}

TEST(Thread, TheChildOfAForkMakesItsOwn)
{
  EXPECT_EQ(support::in_child([] {
              bridge_thread *thread = nullptr;
              if (bridge_thread_create(&thread, nothing, nullptr, nullptr) !=
                  BRIDGE_OK) {
                return 1;
              }
              if (bridge_thread_join(thread, -1) != BRIDGE_OK) {
                return 2;
              }
              bridge_thread_release(thread);
              return 0;
            }),
            0);
}

TEST(Thread, CountsProcessors)
{
  EXPECT_GE(bridge_thread_cores(), 1u);
  EXPECT_LE(bridge_thread_cores(),
            static_cast<unsigned>(sysconf(_SC_NPROCESSORS_CONF)));
}

/* ---- Kept threads ---- */

namespace
{

bridge_thread_options keeping(size_t stack_size = 0)
{
  bridge_thread_options options;
  bridge_thread_options_init(&options);
  options.keep = true;
  options.stack_size = stack_size;
  return options;
}

/* The system's number of the thread that served. */
pid_t serve_once(const bridge_thread_options &options)
{
  pid_t served = 0;
  bridge_thread *thread = nullptr;
  EXPECT_EQ(bridge_thread_create(
                &thread,
                [](void *user) { *static_cast<pid_t *>(user) = gettid(); },
                &served, &options),
            BRIDGE_OK);
  EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_OK);
  EXPECT_FALSE(bridge_thread_alive(thread));
  EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_EALREADY);
  bridge_thread_release(thread);
  return served;
}

/* Once there was one: a sanitizer has a thread of its own from then on. */
size_t living_threads()
{
  static const pid_t first = [] {
    bridge_thread_options options;
    bridge_thread_options_init(&options);
    return serve_once(options);
  }();
  EXPECT_NE(first, 0);
  size_t count = 0;
  for ([[maybe_unused]] const auto &each :
       std::filesystem::directory_iterator("/proc/self/task")) {
    count++;
  }
  return count;
}

} // namespace

TEST(KeptThread, ServesTheNextOneAndThenEnds)
{
  EXPECT_TRUE(support::soon([] { return living_threads() <= 2; }));
  const size_t before = living_threads();
  const pid_t served = serve_once(keeping());
  EXPECT_EQ(serve_once(keeping()), served);
  EXPECT_NE(serve_once(keeping(size_t{4} << 20)), served)
      << "its stack is smaller than asked for";
  EXPECT_TRUE(support::soon([&] { return living_threads() <= before; }));
}

TEST(KeptThread, EndsWhenMemoryIsTrimmed)
{
  EXPECT_TRUE(support::soon([] { return living_threads() <= 2; }));
  const size_t before = living_threads();
  const pid_t served = serve_once(keeping());
  bridge_trim();
  EXPECT_NE(serve_once(keeping()), served);
  bridge_trim();
  EXPECT_TRUE(support::soon([&] { return living_threads() <= before; }));
}

TEST(KeptThread, ServesOneAtATime)
{
  const bridge_thread_options options = keeping();
  Staying first(&options);
  Staying second(&options);
  EXPECT_EQ(bridge_thread_join(first.thread, 0), BRIDGE_ETIMEDOUT);
  EXPECT_NE(serve_once(options), 0);
}

TEST(KeptThread, CanBeDetachedOrLetGo)
{
  const bridge_thread_options options = keeping();
  {
    Staying detached(&options);
    EXPECT_EQ(bridge_thread_detach(detached.thread), BRIDGE_OK);
    EXPECT_EQ(bridge_thread_join(detached.thread, -1), BRIDGE_EDETACHED);
  }
  Staying simply(&options);
  simply.go();
  EXPECT_TRUE(bridge__thread_join(simply.thread));
  EXPECT_FALSE(bridge_thread_alive(simply.thread));
}

TEST(KeptThread, HasTheNameOfTheOneItServes)
{
  bridge_thread_options options = keeping();
  options.name = "first";
  serve_once(options);
  options.name = "second";
  static std::string shown;
  bridge_thread *thread = nullptr;
  ASSERT_EQ(bridge_thread_create(
                &thread,
                [](void *) {
                  char name[16] = "";
                  pthread_getname_np(pthread_self(), name, sizeof name);
                  shown = name;
                },
                nullptr, &options),
            BRIDGE_OK);
  EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_OK);
  bridge_thread_release(thread);
  EXPECT_EQ(shown, "second");
}

TEST(KeptThread, ManyServeManyAtOnce)
{
  constexpr int at_once = 100; /* more than are kept */
  for (int round = 0; round < 3; round++) {
    const bridge_thread_options options = keeping();
    std::vector<std::unique_ptr<Staying>> all;
    for (int i = 0; i < at_once; i++) {
      all.push_back(std::make_unique<Staying>(&options));
    }
  }
}

TEST(KeptThread, TheChildOfAForkMakesItsOwn)
{
  serve_once(keeping()); /* one waits here, and not in the child */
  EXPECT_EQ(support::in_child([] {
              const pid_t served = serve_once(keeping());
              return served != 0 && serve_once(keeping()) == served ? 0 : 1;
            }),
            0);
}

TEST(KeptThread, WithoutMemoryThereIsNone)
{
  EXPECT_TRUE(support::soon([] { return living_threads() <= 2; }));
  const long before = support::used();
  size_t stack_size = size_t{1} << 20;
  long failures = support::starve(
      [&] {
        bridge_thread *thread = nullptr;
        /* No thread that waits has a stack of this size. */
        const bridge_thread_options options = keeping(stack_size += 4096);
        bridge_status status =
            bridge_thread_create(&thread, nothing, nullptr, &options);
        support::left = -1;
        if (status == BRIDGE_OK) {
          EXPECT_EQ(bridge_thread_join(thread, -1), BRIDGE_OK);
          bridge_thread_release(thread);
        } else {
          EXPECT_EQ(thread, nullptr);
        }
        return status;
      },
      [&] {
        EXPECT_TRUE(support::soon([&] { return support::used() <= before; }));
      });
  EXPECT_GE(failures, 3);
}
