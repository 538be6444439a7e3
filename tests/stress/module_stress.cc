/* The module is opened by many threads, and in the middle of a fork.  What the
   whole process shares, if there is anything, is made the first time, so each
   round is a process of its own. */
#include <bridge/bridge.h>

#include <gtest/gtest.h>

#include <lua.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace
{
constexpr int kThreads = 8;

/* Without a sanitizer a race is only seen where it does harm, which is rare. */
#if defined(__SANITIZE_THREAD__)
constexpr int kOften = 20;
constexpr int kSometimes = 5;
#else
constexpr int kOften = 200;
constexpr int kSometimes = 50;
#endif

const char *const kScript = R"(
local bridge = require "bridge"
local q <close> = bridge.queue { waker = "condition" }
local b <close> = bridge.buffer "bytes"
for i = 1, 10 do
  assert(q:push(i, b, q:waker()))
  local first, buffer, waker = q:pop(0)
  assert(first == i and buffer == b and waker == q:waker())
end
assert(swig_type == nil and swig_equals == nil)
assert(not pcall(q.push, io.stdout))
)";

/* All get ready first, so that they open the module at the same moment. */
struct Barrier {
  std::atomic<int> ready{0};

  void wait()
  {
    ready++;
    while (ready < kThreads) {
      std::this_thread::yield();
    }
  }
};

/* As a host with a Lua of its own does it: bridge/core.so, which is loaded here
   already, and opened later. */
bool run_as_host(Barrier *barrier, std::string *text)
{
  const std::string setup = std::string("package.path = '") + LUA_TREE +
                            "/?/init.lua' package.cpath = '" + LUA_TREE +
                            "/?.so' assert(package.loadlib('" + LUA_TREE +
                            "/bridge/core.so', '*'))";
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  bool good = luaL_dostring(L, setup.c_str()) == LUA_OK;
  barrier->wait();
  good = good && luaL_dostring(L, kScript) == LUA_OK;
  if (!good) {
    *text = lua_tostring(L, -1);
  }
  lua_close(L);
  return good;
}

/* As a state of the library does it: the copy inside. */
bool run_as_state(Barrier *barrier, std::string *text)
{
  bridge_state *state = nullptr;
  bridge_error *error = nullptr;
  bridge_status status = bridge_state_create(&state, nullptr, &error);
  barrier->wait();
  if (status == BRIDGE_OK) {
    status = bridge_state_run(state, kScript, strlen(kScript), "=script",
                              nullptr, nullptr, &error);
  }
  *text = bridge_error_text(error, nullptr);
  bridge_error_release(error);
  bridge_state_release(state);
  return status == BRIDGE_OK;
}

using Runner = bool (*)(Barrier *, std::string *);

/* Whether all threads of one process could open the module at once. */
bool open_at_once(const std::vector<Runner> &runners)
{
  Barrier barrier;
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++) {
    Runner run = runners[static_cast<size_t>(i) % runners.size()];
    threads.emplace_back([&barrier, &good, run] {
      std::string text;
      if (run(&barrier, &text)) {
        good++;
      } else {
        std::fprintf(stderr, "%s\n", text.c_str());
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  return good == kThreads;
}

/* ---- A fork in the middle ---- */

/* Stops at one allocation of the state, until it may go on. */
struct Stopper {
  int allocations = 0; /* still to come before it */
  std::atomic<bool> stopped{false};
  std::atomic<bool> go{false};
};

void *allocate(void *user, void *block, size_t, size_t size)
{
  auto *stopper = static_cast<Stopper *>(user);
  if (size == 0) {
    std::free(block);
    return nullptr;
  }
  if (stopper->allocations > 0 && --stopper->allocations == 0) {
    stopper->stopped = true;
    while (!stopper->go) {
      std::this_thread::yield();
    }
  }
  return std::realloc(block, size);
}

/* Opens the module in a state whose allocations from then on are counted. */
bool open_stopping(Stopper *stopper, int allocations)
{
  lua_State *L = lua_newstate(allocate, stopper);
  luaL_openlibs(L);
  luaL_loadstring(L, "return assert(package.loadlib(... .. '/bridge/core.so',"
                     " 'luaopen_bridge_core'))");
  lua_pushstring(L, LUA_TREE);
  bool good = lua_pcall(L, 1, 1, 0) == LUA_OK;
  stopper->allocations = allocations;
  good = good && lua_pcall(L, 0, 1, 0) == LUA_OK;
  bool reached = stopper->allocations == 0;
  stopper->allocations = 0;
  lua_close(L);
  return good && reached;
}

/* Whether a child can open the module that a thread of its parent was opening. */
bool open_in_child()
{
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    alarm(30);
    Barrier barrier;
    barrier.ready = kThreads;
    std::string text;
    _exit(run_as_host(&barrier, &text) ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

/* In a process that never opened it: the exit code. */
int fork_while_opening(int allocations)
{
  Stopper stopper;
  std::atomic<bool> opened{false};
  std::atomic<bool> done{false};
  std::thread thread([&] {
    opened = open_stopping(&stopper, allocations);
    done = true;
  });
  while (!stopper.stopped && !done) {
    std::this_thread::yield();
  }
  /* A thread that ended has nothing in the middle, and one that is not joined
     is a leak to the child's ThreadSanitizer. */
  bool good = !stopper.stopped || open_in_child();
  stopper.go = true;
  thread.join();
  return good ? (opened ? 0 : 2) : 1;
}

void rounds(int count, const std::vector<Runner> &runners)
{
  for (int round = 0; round < count; round++) {
    std::fflush(nullptr); /* or the child writes it again */
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(60); /* one that hangs has failed */
      /* Not _exit: sanitizers give their verdict now. */
      std::exit(open_at_once(runners) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status))
        << "round " << round << ": signal " << WTERMSIG(status);
    ASSERT_EQ(WEXITSTATUS(status), 0) << "round " << round;
  }
}
} // namespace

TEST(Module, OpensInManyHostStatesAtOnce)
{
  rounds(kOften, {run_as_host});
}

TEST(Module, OpensInManyOfOurStatesAtOnce)
{
  rounds(kSometimes, {run_as_state});
}

TEST(Module, OpensInBothKindsOfStatesAtOnce)
{
  rounds(kSometimes, {run_as_host, run_as_state});
}

TEST(Module, OpensInAChildOfAForkThatCameInTheMiddle)
{
  int code = 0;
  for (int allocations = 1; code == 0; allocations += 7) {
    std::fflush(nullptr);
    pid_t process = fork();
    ASSERT_GE(process, 0);
    if (process == 0) {
      alarm(120);
      _exit(fork_while_opening(allocations));
    }
    int status = 0;
    ASSERT_EQ(waitpid(process, &status, 0), process);
    ASSERT_TRUE(WIFEXITED(status)) << "at allocation " << allocations;
    code = WEXITSTATUS(status);
    ASSERT_NE(code, 1) << "at allocation " << allocations;
    ASSERT_TRUE(code == 0 || allocations > 50); /* 2: so many there are not */
  }
}

TEST(Module, OpensAgainAfterTheLastStateClosed)
{
  for (int round = 0; round < 30; round++) {
    ASSERT_TRUE(open_at_once({run_as_host}));
  }
}
