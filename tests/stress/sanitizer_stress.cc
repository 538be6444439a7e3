/* Whether ThreadSanitizer sees what happens inside Lua.  A check that never
   complained could as well be blind: here it has to. */
#include <gtest/gtest.h>

#include <lua.hpp>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

namespace
{
/* What ThreadSanitizer ends a process with. */
constexpr int kRace = 66;

/* Lua's own code was one side of it, rather than what it called in libc. */
const char *const kInsideLua = "data race(.|\n)* #0 lua[A-Z]_";

/* What another thread still reads was freed by Lua's collector. */
const char *const kFreedByLua = "data race(.|\n)* #0 free(.|\n)* luaC_fullgc";

/* One thread after the other, so that nothing breaks; but whether the second
   may know what the first did is decided by the order alone. */
void take_turns(std::memory_order store,
                std::memory_order load,
                const std::function<void()> &first,
                const std::function<void()> &second)
{
  std::atomic<bool> turn{false};
  std::thread other([&] {
    while (!turn.load(load)) {
      std::this_thread::yield();
    }
    second();
  });
  first();
  turn.store(true, store);
  other.join();
}

void run(lua_State *L)
{
  if (luaL_dostring(L, "local t = {} t[1] = tostring(#t) return t[1]") !=
      LUA_OK) {
    std::abort();
  }
  lua_settop(L, 0);
}

/* Two threads in one state: the exit code is ThreadSanitizer's. */
void both_run(std::memory_order store, std::memory_order load)
{
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  take_turns(
      store, load, [L] { run(L); }, [L] { run(L); });
  lua_close(L);
  std::exit(0);
}

/* One thread collects a string that another one has just looked at. */
void one_frees(std::memory_order store, std::memory_order load)
{
  lua_State *L = luaL_newstate();
  const char *text =
      lua_pushfstring(L, "%s, %s", "long enough for a block of its own",
                      "which others do not share");
  const auto look = [text] {
    if (strlen(text) == 0) {
      std::abort();
    }
  };
  const auto forget = [L] {
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
  };
  take_turns(store, load, look, forget);
  std::exit(0);
}
} // namespace

class ThreadSanitizer : public testing::Test
{
protected:
  void SetUp() override
  {
    /* A process of its own, rather than a child of fork. */
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

TEST_F(ThreadSanitizer, SeesTwoThreadsInOneLuaState)
{
  EXPECT_EXIT(both_run(std::memory_order_relaxed, std::memory_order_relaxed),
              testing::ExitedWithCode(kRace), kInsideLua);
}

TEST_F(ThreadSanitizer, SaysNothingWhenOneThreadHandsTheStateToAnother)
{
  EXPECT_EXIT(both_run(std::memory_order_release, std::memory_order_acquire),
              testing::ExitedWithCode(0), "");
}

TEST_F(ThreadSanitizer, SeesALuaStringFreedUnderItsReader)
{
  EXPECT_EXIT(one_frees(std::memory_order_relaxed, std::memory_order_relaxed),
              testing::ExitedWithCode(kRace), kFreedByLua);
}
