/* Scripts that say how Lua behaves give the same in stock Lua as in a state of ours
   whose thread is kicked every 100 us, looked at, held, and preempted. */
#include "../support.h"
#include "../unit/stop_support.h"
#include "conform_support.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>

namespace
{

const int kRounds = TESTS_SANITIZED ? 1 : 3;
const int kEnough = TESTS_SANITIZED ? 10 : 50; /* kicks that came */
const auto kPeriod = std::chrono::microseconds(100);
/* What takes the script off its thread leaves it time to get somewhere: at each kick
   the stack is walked, which is 200,000 calls deep in one of them. */
const auto kLongPeriod = std::chrono::milliseconds(2);

std::string read_script(const std::string &name)
{
  std::ifstream file(std::string(CONFORM "/") + name + ".lua");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(file.good());
  return text.str();
}

/* ---- What a script says ---- */

int say(lua_State *L)
{
  auto *said =
      static_cast<std::string *>(lua_touserdata(L, lua_upvalueindex(1)));
  said->append(luaL_checkstring(L, 1)).append("\n");
  return 0;
}

void set_say(lua_State *L, std::string *said)
{
  lua_pushlightuserdata(L, said);
  lua_pushcclosure(L, say, 1);
  lua_setglobal(L, "say");
}

std::string stock(const std::string &name)
{
  std::string said;
  std::string text = read_script(name);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushstring(L, CONFORM "/?.lua");
  lua_setfield(L, -2, "path");
  lua_settop(L, 0);
  set_say(L, &said);
  int code = luaL_loadbuffer(L, text.data(), text.size(),
                             ("@" + name + ".lua").c_str());
  if (code == LUA_OK) {
    code = lua_pcall(L, 0, 0, 0);
  }
  if (code != LUA_OK) {
    said = luaL_tolstring(L, -1, nullptr);
  }
  lua_close(L);
  return said;
}

/* ---- The same in a state of ours ---- */

class Script
{
public:
  explicit Script(const std::string &name)
      : name_("@" + name + ".lua"), text_(read_script(name))
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.path = CONFORM "/?.lua";
    options.binary_chunks = true; /* as in stock Lua */
    bridge_state *made = nullptr;
    EXPECT_STATUS(bridge_state_create(&made, &options, nullptr), BRIDGE_OK);
    state.reset(made);
    lua_State *L = nullptr;
    EXPECT_STATUS(bridge_state_enter(made, -1, &L), BRIDGE_OK);
    set_say(L, &said);
    EXPECT_STATUS(bridge_state_leave(made), BRIDGE_OK);
  }

  void run()
  {
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_state_run(state.get(), text_.data(), text_.size(),
                                   name_.c_str(), nullptr, nullptr, &error),
                  BRIDGE_OK)
        << bridge_error_text(error, nullptr) << "\n"
        << bridge_error_traceback(error);
    bridge_error_release(error);
  }

  /* As a driver does that goes on with it later, on whichever thread; returns how
     often it was preempted. */
  int drive()
  {
    lua_State *L = nullptr;
    lua_State *co = nullptr;
    EXPECT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
    co = lua_newthread(L);
    EXPECT_STATUS(bridge_state_load(state.get(), co, text_.data(), text_.size(),
                                    name_.c_str(), nullptr),
                  BRIDGE_OK);
    EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
    int preempted = 0;
    for (bool goes_on = true; goes_on; preempted += goes_on) {
      if (preempted % 4 == 0) {
        std::thread([&] { goes_on = step(co); }).join();
      } else {
        goes_on = step(co);
      }
    }
    return preempted;
  }

  std::string said;
  Owned<bridge_state> state;

private:
  bool step(lua_State *co)
  {
    lua_State *L = nullptr;
    int code = LUA_OK;
    bridge_status status = BRIDGE_OK;
    EXPECT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
    int ended = stop_drive(state.get(), co, 0, &code, &status);
    if (ended != 2) {
      EXPECT_EQ(ended, 0);
      EXPECT_EQ(code, LUA_OK) << luaL_tolstring(co, -1, nullptr);
    }
    EXPECT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
    return ended == 2;
  }

  std::string name_;
  std::string text_;
};

/* Does something every 100 us, until it is gone. */
class Kicker
{
public:
  explicit Kicker(std::function<void()> kick,
                  std::chrono::microseconds period = kPeriod)
      : thread_([this, kick, period] {
          while (!over_.load()) {
            kick();
            std::this_thread::sleep_for(period);
          }
        })
  {
  }
  ~Kicker()
  {
    over_ = true;
    thread_.join();
  }

private:
  std::atomic<bool> over_{false};
  std::thread thread_;
};

class Conform : public testing::TestWithParam<const char *>
{
protected:
  /* Whether it tries how deep calls can be nested. */
  bool is_deep()
  {
    return GetParam() == std::string("calls") ||
           GetParam() == std::string("errors");
  }

  /* Run it again and again, each time in a new state, until enough kicks came. */
  void again_and_again(const std::function<int(Script &)> &once)
  {
    const std::string wanted = stock(GetParam());
    ASSERT_NE(wanted.find(" checks\n"), std::string::npos) << wanted;
    int came = 0;
    for (int round = 0; round < kRounds || came < kEnough; round++) {
      Script script(GetParam());
      came += once(script);
      ASSERT_EQ(script.said, wanted);
      ASSERT_FALSE(HasFailure());
    }
  }
};

TEST_P(Conform, InAState)
{
  again_and_again([](Script &script) {
    script.run();
    return kEnough;
  });
}

TEST_P(Conform, WhileItIsKicked)
{
  again_and_again([](Script &script) {
    std::atomic<int> kicks{0};
    Kicker kicker([&] { kicks += conform_kick(script.state.get()); });
    script.run();
    return kicks.load();
  });
}

TEST_P(Conform, WhileItIsLookedAt)
{
  if (is_deep()) {
    GTEST_SKIP() << "at each kick a stack of 200,000 calls is walked";
  }
  again_and_again([](Script &script) {
    std::atomic<int> looks{0};
    auto look = [](void *user, lua_State *L) {
      lua_Debug ar;
      *static_cast<std::atomic<int> *>(user) += lua_getstack(L, 0, &ar);
    };
    Kicker kicker(
        [&] { stop_visit(script.state.get(), look, &looks, kPeriod.count()); });
    script.run();
    return looks.load();
  });
}

TEST_P(Conform, WhileItIsHeld)
{
  if (is_deep()) {
    GTEST_SKIP() << "at each kick a stack of 200,000 calls is walked";
  }
  again_and_again([](Script &script) {
    std::atomic<int> holds{0};
    Kicker kicker(
        [&] {
          if (stop_pause(script.state.get()) == BRIDGE_OK) {
            std::this_thread::sleep_for(kPeriod);
            stop_unpause(script.state.get());
            holds++;
          }
        },
        kLongPeriod);
    script.run();
    return holds.load();
  });
}

TEST_P(Conform, WhileItIsPreempted)
{
  if (is_deep()) {
    GTEST_SKIP() << "at each kick a stack of 200,000 calls is walked";
  }
  again_and_again([](Script &script) {
    Kicker kicker([&] { stop_preempt(script.state.get()); }, kLongPeriod);
    return script.drive();
  });
}

std::string name_of(const testing::TestParamInfo<const char *> &one)
{
  return one.param;
}

INSTANTIATE_TEST_SUITE_P(Script,
                         Conform,
                         testing::Values("calls",
                                         "coroutines",
                                         "errors",
                                         "metamethods",
                                         "strings",
                                         "tables",
                                         "hooks",
                                         "work"),
                         name_of);

} /* namespace */
