/* A script that a host calls as a main program, and interrupts. */
#include "../support.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <cstring>
#include <string>
#include <thread>

namespace
{

class Call : public testing::Test
{
protected:
  void SetUp() override
  {
    bridge_state *made = nullptr;
    ASSERT_EQ(bridge_state_create(&made, nullptr, nullptr), BRIDGE_OK);
    state.reset(made);
    ASSERT_EQ(bridge_state_enter(made, -1, &main), BRIDGE_OK);
    L = lua_newthread(main);
  }
  void TearDown() override
  {
    EXPECT_EQ(bridge_state_leave(state.get()), BRIDGE_OK);
  }

  void load(const char *source)
  {
    ASSERT_EQ(bridge_state_load(state.get(), L, source, strlen(source), "=call",
                                nullptr),
              BRIDGE_OK);
  }

  bridge_status call(int arguments = 0)
  {
    bridge_error *raised = nullptr;
    bridge_status status =
        bridge_state_call(state.get(), L, arguments, &results, &raised);
    text = bridge_error_text(raised, nullptr);
    bridge_error_release(raised);
    return status;
  }

  bridge_status interrupt(bridge_interrupt how, const char *said = "stop it")
  {
    return bridge_state_interrupt(state.get(), how, said);
  }

  Owned<bridge_state> state;
  lua_State *main = nullptr;
  lua_State *L = nullptr; /* a coroutine */
  int results = -1;
  std::string text;
};

TEST_F(Call, GivesWhatTheFunctionReturned)
{
  load("return select('#', ...), ...");
  lua_pushinteger(L, 5);
  lua_pushnil(L);
  EXPECT_EQ(call(2), BRIDGE_OK);
  ASSERT_EQ(results, 3);
  EXPECT_EQ(lua_tointeger(L, 1), 2);
  EXPECT_EQ(lua_tointeger(L, 2), 5);
  EXPECT_TRUE(lua_isnil(L, 3));
}

TEST_F(Call, IsAMainProgramToItself)
{
  load("local _, main = coroutine.running() "
       "return main, coroutine.isyieldable()");
  EXPECT_EQ(call(), BRIDGE_OK);
  EXPECT_TRUE(lua_toboolean(L, 1));
  EXPECT_FALSE(lua_toboolean(L, 2));
}

TEST_F(Call, CannotYield)
{
  load("coroutine.yield(1)");
  EXPECT_EQ(call(), BRIDGE_ESCRIPT);
  EXPECT_EQ(text, "attempt to yield from outside a coroutine");
}

TEST_F(Call, RefusesWhatIsNone)
{
  load("return 1");
  EXPECT_EQ(bridge_state_call(nullptr, L, 0, nullptr, nullptr), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_state_call(state.get(), nullptr, 0, nullptr, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_state_call(state.get(), main, 0, nullptr, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_state_call(state.get(), L, -1, nullptr, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(bridge_state_call(state.get(), L, 2, nullptr, nullptr),
            BRIDGE_EINVAL);
  bridge_status elsewhere = BRIDGE_OK;
  std::thread([&] {
    elsewhere = bridge_state_call(state.get(), L, 0, nullptr, nullptr);
  }).join();
  EXPECT_EQ(elsewhere, BRIDGE_EINVAL);
  EXPECT_EQ(call(), BRIDGE_OK);
}

TEST_F(Call, IsInterruptedOnce)
{
  load("local ok, text = pcall(function() while true do os.time() end end) "
       "return text");
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_CLEAR, nullptr), BRIDGE_OK);
  std::thread other(
      [this] { EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_ONCE), BRIDGE_OK); });
  bridge_status status = call();
  other.join();
  /* It may come before the pcall. */
  if (status == BRIDGE_OK) {
    EXPECT_STREQ(lua_tostring(L, 1), "call:1: stop it");
  } else {
    EXPECT_EQ(status, BRIDGE_ESCRIPT);
    EXPECT_EQ(text, "call:1: stop it");
  }
}

TEST_F(Call, IsInterruptedBeforeItBegins)
{
  load("while true do end");
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_ONCE), BRIDGE_OK);
  EXPECT_EQ(call(), BRIDGE_ESCRIPT);
  EXPECT_EQ(text, "call:1: stop it");
}

TEST_F(Call, NoPcallHelpsAgainstAStickyInterrupt)
{
  load("while true do pcall(function() while true do end end) end");
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_STICKY), BRIDGE_OK);
  EXPECT_EQ(call(), BRIDGE_ESCRIPT);
  EXPECT_EQ(text, "call:1: stop it");
  /* It is still there for the next one, until it is cleared. */
  L = lua_newthread(main);
  load("return 1 + 1");
  EXPECT_EQ(call(), BRIDGE_ESCRIPT);
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_CLEAR, nullptr), BRIDGE_OK);
  L = lua_newthread(main);
  load("return 1 + 1");
  EXPECT_EQ(call(), BRIDGE_OK);
}

TEST_F(Call, AnInterruptThatIsClearedDoesNotCome)
{
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_STICKY), BRIDGE_OK);
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_CLEAR), BRIDGE_OK);
  load("for i = 1, 1000 do end return 1");
  EXPECT_EQ(call(), BRIDGE_OK);
}

TEST_F(Call, TheLastInterruptCounts)
{
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_STICKY, "first"), BRIDGE_OK);
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_ONCE, "second"), BRIDGE_OK);
  load("while true do end");
  EXPECT_EQ(call(), BRIDGE_ESCRIPT);
  EXPECT_EQ(text, "call:1: second");
  L = lua_newthread(main);
  load("return 1");
  EXPECT_EQ(call(), BRIDGE_OK);
}

TEST_F(Call, AnInterruptNeedsAText)
{
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_ONCE, nullptr), BRIDGE_EINVAL);
  const std::string fits(BRIDGE_INTERRUPT_TEXT, 'x');
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_ONCE, (fits + "x").c_str()),
            BRIDGE_EINVAL);
  EXPECT_EQ(interrupt((bridge_interrupt)3), BRIDGE_EINVAL);
  EXPECT_EQ(interrupt((bridge_interrupt)-1), BRIDGE_EINVAL);
  EXPECT_EQ(bridge_state_interrupt(nullptr, BRIDGE_INTERRUPT_CLEAR, nullptr),
            BRIDGE_EINVAL);
  EXPECT_EQ(interrupt(BRIDGE_INTERRUPT_ONCE, fits.c_str()), BRIDGE_OK);
  load("while true do end");
  EXPECT_EQ(call(), BRIDGE_ESCRIPT);
  EXPECT_EQ(text, "call:1: " + fits);
}

TEST_F(Call, AtTheCooperativeLevelNobodyInterrupts)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.stop = BRIDGE_STOP_COOPERATIVE;
  bridge_state *other = nullptr;
  ASSERT_EQ(bridge_state_create(&other, &options, nullptr), BRIDGE_OK);
  EXPECT_EQ(bridge_state_interrupt(other, BRIDGE_INTERRUPT_ONCE, "x"),
            BRIDGE_EUNSUPPORTED);
  EXPECT_EQ(bridge_state_interrupt(other, BRIDGE_INTERRUPT_CLEAR, nullptr),
            BRIDGE_OK);
  bridge_state_release(other);
}

} // namespace
