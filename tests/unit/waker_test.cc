/* Wakers: what is the same for every kind, and what only some have. */
#include "core_support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <future>
#include <memory>
#include <vector>

static const bridge_status installed = support::install();

namespace
{

const bridge_waker_kind all_kinds[] = {
    BRIDGE_WAKER_DEFAULT, BRIDGE_WAKER_EVENTFD, BRIDGE_WAKER_PIPE,
    BRIDGE_WAKER_UDP, BRIDGE_WAKER_CONDITION};

bool has_file(bridge_waker_kind kind)
{
  return kind != BRIDGE_WAKER_CONDITION;
}

class AnyWaker : public testing::TestWithParam<bridge_waker_kind>
{
protected:
  void SetUp() override
  {
    ASSERT_EQ(installed, BRIDGE_OK);
    ASSERT_EQ(bridge_waker_create(&waker, GetParam()), BRIDGE_OK);
  }
  void TearDown() override
  {
    bridge_waker_release(waker);
  }
  bool raised()
  {
    bridge_status status = bridge_waker_wait(waker, 0);
    EXPECT_TRUE(status == BRIDGE_OK || status == BRIDGE_ETIMEDOUT) << status;
    int file = -1;
    if (bridge_waker_fileno(waker, &file) == BRIDGE_OK) {
      EXPECT_EQ(support::readable(file), status == BRIDGE_OK);
    }
    return status == BRIDGE_OK;
  }

  bridge_waker *waker = nullptr;
};

using FileWaker = AnyWaker;

std::string name_of(const testing::TestParamInfo<bridge_waker_kind> &info)
{
  const char *names[] = {"Default", "Eventfd", "Pipe", "Udp", "Condition"};
  return names[info.param];
}

INSTANTIATE_TEST_SUITE_P(Each, AnyWaker, testing::ValuesIn(all_kinds), name_of);
INSTANTIATE_TEST_SUITE_P(Each,
                         FileWaker,
                         testing::Values(BRIDGE_WAKER_EVENTFD,
                                         BRIDGE_WAKER_PIPE,
                                         BRIDGE_WAKER_UDP),
                         name_of);

} // namespace

TEST(Waker, RefusesBadArguments)
{
  int file = -7;
  int place = 0;
  auto *marker = reinterpret_cast<bridge_waker *>(&place);
  bridge_waker *waker = marker;
  EXPECT_EQ(bridge_waker_create(nullptr, BRIDGE_WAKER_DEFAULT), BRIDGE_EINVAL);
  for (int kind : {-1, static_cast<int>(BRIDGE_WAKER_CALLBACK), 6, 1000}) {
    EXPECT_EQ(bridge_waker_create(&waker, static_cast<bridge_waker_kind>(kind)),
              BRIDGE_EINVAL);
  }
  EXPECT_EQ(bridge_waker_create_callback(&waker, nullptr, nullptr, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_waker_create_callback(
                nullptr, [](void *) {}, nullptr, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(waker, marker);
  EXPECT_EQ(bridge_waker_raise(nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_waker_clear(nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_waker_wait(nullptr, 0), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_waker_fileno(nullptr, &file), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_waker_close(nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(file, -7);
  EXPECT_EQ(bridge_waker_kind_of(nullptr), BRIDGE_WAKER_DEFAULT);
  EXPECT_EQ(bridge_waker_retain(nullptr), nullptr);
  bridge_waker_release(nullptr);
}

TEST(Waker, TheDefaultHasADescriptor)
{
  bridge_waker *waker = nullptr;
  int file = -1;
  ASSERT_EQ(bridge_waker_create(&waker, BRIDGE_WAKER_DEFAULT), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_kind_of(waker), BRIDGE_WAKER_EVENTFD);
  EXPECT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_fileno(waker, nullptr), BRIDGE_EINVAL);
  bridge_waker_release(waker);
}

TEST_P(AnyWaker, IsRaisedUntilItIsCleared)
{
  EXPECT_FALSE(raised());
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_TRUE(raised());
  EXPECT_TRUE(raised()); /* waiting does not clear it */
  EXPECT_EQ(bridge_waker_wait(waker, -1), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_wait(waker, 1000000), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  EXPECT_FALSE(raised());
}

TEST_P(AnyWaker, DoesNotCount)
{
  for (int i = 0; i < 1000; i++) {
    EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  }
  EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  EXPECT_FALSE(raised());
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_TRUE(raised());
}

TEST_P(AnyWaker, MayBeClearedWhenItIsNotRaised)
{
  EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  EXPECT_FALSE(raised());
}

TEST_P(AnyWaker, TimesOut)
{
  EXPECT_EQ(bridge_waker_wait(waker, 0), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(bridge_waker_wait(waker, 2), BRIDGE_ETIMEDOUT);
}

TEST_P(AnyWaker, WakesAllWhoWait)
{
  std::vector<std::unique_ptr<support::Blocked>> waiting;
  for (int timeout : {-1, 1000000, -5}) {
    waiting.push_back(std::make_unique<support::Blocked>(
        [this, timeout] { return bridge_waker_wait(waker, timeout); }));
    EXPECT_FALSE(waiting.back()->done);
  }
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  for (auto &one : waiting) {
    EXPECT_EQ(one->finish(), BRIDGE_OK);
  }
  EXPECT_TRUE(raised());
}

TEST_P(AnyWaker, ClosedRefusesEverything)
{
  int file = -7;
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_waker_wait(waker, 0), BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_waker_wait(waker, -1), BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_waker_fileno(waker, &file),
            has_file(GetParam()) ? BRIDGE_ECLOSED : BRIDGE_EUNSUPPORTED);
  EXPECT_EQ(file, -7);
}

TEST_P(AnyWaker, ClosingEndsTheWaits)
{
  support::Blocked first([this] { return bridge_waker_wait(waker, -1); });
  support::Blocked second([this] { return bridge_waker_wait(waker, -1); });
  EXPECT_FALSE(first.done);
  EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
  EXPECT_EQ(first.finish(), BRIDGE_ECLOSED);
  EXPECT_EQ(second.finish(), BRIDGE_ECLOSED);
}

TEST_P(AnyWaker, ACancelledWorkerDoesNotWait)
{
  support::Interrupt interrupt;
  support::Blocked waiting([&] {
    support::Bound bound(interrupt);
    bridge_status first = bridge_waker_wait(waker, -1);
    EXPECT_EQ(bridge_waker_wait(waker, -1), BRIDGE_ECANCELLED);
    EXPECT_EQ(bridge_waker_wait(waker, 1000000), BRIDGE_ECANCELLED);
    EXPECT_NE(bridge_waker_wait(waker, 0), BRIDGE_ECANCELLED);
    return first;
  });
  EXPECT_FALSE(waiting.done);
  interrupt.request();
  EXPECT_EQ(waiting.finish(), BRIDGE_ECANCELLED);
  EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
  EXPECT_FALSE(raised());
}

TEST_P(AnyWaker, PassesTheBallBackAndForth)
{
  bridge_waker *other = nullptr;
  ASSERT_EQ(bridge_waker_create(&other, GetParam()), BRIDGE_OK);
  constexpr int rounds = 2000;
  std::thread partner([&] {
    for (int i = 0; i < rounds; i++) {
      EXPECT_EQ(bridge_waker_wait(waker, -1), BRIDGE_OK);
      EXPECT_EQ(bridge_waker_clear(waker), BRIDGE_OK);
      EXPECT_EQ(bridge_waker_raise(other), BRIDGE_OK);
    }
  });
  for (int i = 0; i < rounds; i++) {
    EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
    EXPECT_EQ(bridge_waker_wait(other, -1), BRIDGE_OK);
    EXPECT_EQ(bridge_waker_clear(other), BRIDGE_OK);
  }
  partner.join();
  bridge_waker_release(other);
}

TEST_P(AnyWaker, WithoutMemoryThereIsNone)
{
  const long before = support::used();
  long failures = support::starve(
      [] {
        bridge_waker *made = nullptr;
        bridge_status status = bridge_waker_create(&made, GetParam());
        bridge_waker_release(made);
        return status;
      },
      [&] { EXPECT_EQ(support::used(), before); });
  EXPECT_EQ(failures, 1);
}

TEST_P(AnyWaker, BelongsToTheProcessThatMadeIt)
{
  EXPECT_EQ(
      support::in_child([this] {
        int file = -1;
        if (bridge_waker_raise(waker) != BRIDGE_EFORKED ||
            bridge_waker_clear(waker) != BRIDGE_EFORKED ||
            bridge_waker_wait(waker, 0) != BRIDGE_EFORKED ||
            bridge_waker_wait(waker, -1) != BRIDGE_EFORKED) {
          return 1;
        }
        if (bridge_waker_fileno(waker, &file) !=
            (has_file(GetParam()) ? BRIDGE_EFORKED : BRIDGE_EUNSUPPORTED)) {
          return 2;
        }
        bridge_waker *own = nullptr;
        if (bridge_waker_create(&own, GetParam()) != BRIDGE_OK ||
            bridge_waker_raise(own) != BRIDGE_OK ||
            bridge_waker_wait(own, -1) != BRIDGE_OK) {
          return 3;
        }
        bridge_waker_release(own);
        return bridge_waker_close(waker) == BRIDGE_OK ? 0 : 4;
      }),
      0);
  EXPECT_FALSE(raised());
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_TRUE(raised());
}

/* ---- Those with a descriptor ---- */

TEST_P(FileWaker, TheDescriptorIsNonBlockingAndCloseOnExec)
{
  int file = -1;
  ASSERT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  EXPECT_NE(fcntl(file, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(file, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(FileWaker, TheDescriptorIsClosedWithTheWaker)
{
  int file = -1;
  ASSERT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
  EXPECT_EQ(fcntl(file, F_GETFD), -1);
  int reused = open("/dev/null", O_RDONLY);
  EXPECT_EQ(reused, file); /* so the number is somebody else's now */
  bridge_waker_close(waker);
  bridge_waker_release(waker);
  waker = nullptr;
  EXPECT_NE(fcntl(file, F_GETFD), -1);
  close(reused);
}

TEST_P(FileWaker, ReleasingTheLastReferenceClosesIt)
{
  int file = -1;
  ASSERT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_retain(waker), waker);
  bridge_waker_release(waker);
  EXPECT_NE(fcntl(file, F_GETFD), -1);
  bridge_waker_release(waker);
  waker = nullptr;
  EXPECT_EQ(fcntl(file, F_GETFD), -1);
}

TEST_P(FileWaker, TheChildOfAForkClosesItsOwnCopyOnly)
{
  int file = -1;
  ASSERT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  EXPECT_EQ(support::in_child([&] {
              bridge_waker_release(waker);
              return fcntl(file, F_GETFD) == -1 ? 0 : 1;
            }),
            0);
  EXPECT_FALSE(support::readable(file));
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_TRUE(raised());
}

/* Also when somebody was inside at the time of the fork, who is not there. */
TEST_P(FileWaker, TheChildOfAForkClosesItWhileTheParentWaits)
{
  int file = -1;
  ASSERT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  support::Blocked waiting([this] { return bridge_waker_wait(waker, -1); });
  EXPECT_EQ(support::in_child([&] {
              bridge_waker_release(waker);
              return fcntl(file, F_GETFD) == -1 ? 0 : 1;
            }),
            0);
  EXPECT_FALSE(waiting.done);
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_EQ(waiting.finish(), BRIDGE_OK);
}

TEST_P(FileWaker, IsNotMadeWhenThereIsNoDescriptorLeft)
{
  EXPECT_EQ(support::in_child([] {
              struct rlimit none = {0, 0};
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) {
                return 1;
              }
              bridge_waker *made = nullptr;
              const long before = support::blocks;
              bridge_status status = bridge_waker_create(&made, GetParam());
              if (status != BRIDGE_ESYSTEM || errno != EMFILE) {
                return 2;
              }
              return made == nullptr && support::blocks == before ? 0 : 3;
            }),
            0);
}

static bridge_waker *to_raise;

TEST_P(FileWaker, MayBeRaisedInASignalHandler)
{
  to_raise = waker;
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) { bridge_waker_raise(to_raise); };
  sigaction(SIGUSR1, &action, &before);
  errno = 12345;
  raise(SIGUSR1);
  EXPECT_EQ(errno, 12345);
  EXPECT_TRUE(raised());
  sigaction(SIGUSR1, &before, nullptr);
}

/* A handler that interrupts poll is not what was waited for. */
TEST_P(FileWaker, ASignalDoesNotEndAWait)
{
  struct sigaction action = {};
  struct sigaction before = {};
  static std::atomic<int> seen;
  seen = 0;
  action.sa_handler = [](int) { seen++; };
  sigaction(SIGUSR1, &action, &before);
  std::atomic<pthread_t> thread{};
  support::Blocked waiting([&] {
    thread = pthread_self();
    return bridge_waker_wait(waker, -1);
  });
  pthread_kill(thread, SIGUSR1);
  EXPECT_TRUE(support::soon([] { return seen == 1; }));
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_EQ(waiting.finish(), BRIDGE_OK);
  sigaction(SIGUSR1, &before, nullptr);
}

/* ---- UDP ---- */

TEST(UdpWaker, ForeignPacketsDoNotWakeIt)
{
  bridge_waker *waker = nullptr;
  int file = -1;
  ASSERT_EQ(bridge_waker_create(&waker, BRIDGE_WAKER_UDP), BRIDGE_OK);
  ASSERT_EQ(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  struct sockaddr_in address = {};
  socklen_t size = sizeof address;
  auto *plain = reinterpret_cast<struct sockaddr *>(&address);
  ASSERT_EQ(getsockname(file, plain, &size), 0);
  EXPECT_EQ(address.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
  int foreign = socket(AF_INET, SOCK_DGRAM, 0);
  for (int i = 0; i < 100; i++) {
    sendto(foreign, "x", 1, 0, plain, size);
  }
  EXPECT_FALSE(support::readable(file));
  EXPECT_EQ(bridge_waker_wait(waker, 0), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  EXPECT_TRUE(support::readable(file));
  close(foreign);
  bridge_waker_release(waker);
}

/* ---- Callbacks ---- */

namespace
{

struct Calls {
  std::atomic<int> called{0};
  std::atomic<int> released{0};
  bridge_waker *waker = nullptr;

  static void call(void *user)
  {
    static_cast<Calls *>(user)->called++;
  }
  static void release(void *user)
  {
    static_cast<Calls *>(user)->released++;
  }
};

class CallbackWaker : public testing::Test
{
protected:
  void SetUp() override
  {
    ASSERT_EQ(bridge_waker_create_callback(&calls.waker, Calls::call, &calls,
                                           Calls::release),
              BRIDGE_OK);
  }
  void TearDown() override
  {
    bridge_waker_release(calls.waker);
  }

  Calls calls;
};

} // namespace

TEST_F(CallbackWaker, CallsOnceForEachTimeItBecomesRaised)
{
  EXPECT_EQ(bridge_waker_kind_of(calls.waker), BRIDGE_WAKER_CALLBACK);
  EXPECT_EQ(bridge_waker_raise(calls.waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_raise(calls.waker), BRIDGE_OK);
  EXPECT_EQ(calls.called, 1);
  EXPECT_EQ(bridge_waker_clear(calls.waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_clear(calls.waker), BRIDGE_OK);
  EXPECT_EQ(calls.called, 1);
  EXPECT_EQ(bridge_waker_raise(calls.waker), BRIDGE_OK);
  EXPECT_EQ(calls.called, 2);
}

TEST_F(CallbackWaker, CannotBeWaitedFor)
{
  int file = -1;
  EXPECT_EQ(bridge_waker_wait(calls.waker, 0), BRIDGE_EUNSUPPORTED);
  EXPECT_EQ(bridge_waker_wait(calls.waker, -1), BRIDGE_EUNSUPPORTED);
  EXPECT_EQ(bridge_waker_fileno(calls.waker, &file), BRIDGE_EUNSUPPORTED);
}

TEST_F(CallbackWaker, ReleasesItsUserOnceAndCallsNoMore)
{
  EXPECT_EQ(bridge_waker_close(calls.waker), BRIDGE_OK);
  EXPECT_EQ(calls.released, 1);
  EXPECT_EQ(bridge_waker_close(calls.waker), BRIDGE_OK);
  EXPECT_EQ(bridge_waker_raise(calls.waker), BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_waker_clear(calls.waker), BRIDGE_ECLOSED);
  bridge_waker_release(calls.waker);
  calls.waker = nullptr;
  EXPECT_EQ(calls.released, 1);
  EXPECT_EQ(calls.called, 0);
}

TEST_F(CallbackWaker, IsReleasedWithTheLastReference)
{
  bridge_waker_release(calls.waker);
  calls.waker = nullptr;
  EXPECT_EQ(calls.released, 1);
}

TEST(Waker, ACallbackWithoutAReleaseFunctionIsFine)
{
  std::atomic<int> count{0};
  bridge_waker *waker = nullptr;
  ASSERT_EQ(bridge_waker_create_callback(
                &waker,
                [](void *user) { ++*static_cast<std::atomic<int> *>(user); },
                &count, nullptr),
            BRIDGE_OK);
  EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK);
  bridge_waker_release(waker);
  EXPECT_EQ(count, 1);
}

TEST(Waker, ACallbackMayCloseItsOwnWaker)
{
  Calls calls;
  ASSERT_EQ(bridge_waker_create_callback(
                &calls.waker,
                [](void *user) {
                  auto *self = static_cast<Calls *>(user);
                  self->called++;
                  EXPECT_EQ(bridge_waker_close(self->waker), BRIDGE_OK);
                  EXPECT_EQ(self->released, 0); /* it is still being called */
                },
                &calls, Calls::release),
            BRIDGE_OK);
  EXPECT_EQ(bridge_waker_raise(calls.waker), BRIDGE_OK);
  EXPECT_EQ(calls.called, 1);
  EXPECT_EQ(calls.released, 1);
  bridge_waker_release(calls.waker);
}

TEST(Waker, ClosingDoesNotWaitForACallbackThatRuns)
{
  struct Slow {
    std::promise<void> inside;
    std::promise<void> leave;
    std::atomic<int> released{0};
  } slow;
  bridge_waker *waker = nullptr;
  ASSERT_EQ(bridge_waker_create_callback(
                &waker,
                [](void *user) {
                  auto *self = static_cast<Slow *>(user);
                  self->inside.set_value();
                  self->leave.get_future().wait();
                },
                &slow,
                [](void *user) { static_cast<Slow *>(user)->released++; }),
            BRIDGE_OK);
  std::thread raiser([&] { EXPECT_EQ(bridge_waker_raise(waker), BRIDGE_OK); });
  slow.inside.get_future().wait();
  EXPECT_EQ(bridge_waker_close(waker), BRIDGE_OK);
  EXPECT_EQ(slow.released, 0);
  slow.leave.set_value();
  raiser.join();
  EXPECT_EQ(slow.released, 1);
  bridge_waker_release(waker);
}

TEST(Waker, ACallbackWithoutMemoryIsNotReleased)
{
  Calls calls;
  support::left = 0;
  EXPECT_EQ(bridge_waker_create_callback(&calls.waker, Calls::call, &calls,
                                         Calls::release),
            BRIDGE_ENOMEM);
  support::left = -1;
  EXPECT_EQ(calls.released, 0);
  EXPECT_EQ(calls.waker, nullptr);
}
