/* What a host asks of a state that it has entered. */
#include "../support.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
}

#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

namespace
{

class Host : public ::testing::Test
{
protected:
  void SetUp() override
  {
    open(0);
  }

  void TearDown() override
  {
    bridge_state_leave(state_.get());
  }

  void open(size_t memory_limit)
  {
    if (state_ != nullptr) {
      bridge_state_leave(state_.get());
    }
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.name = "host";
    options.memory_limit = memory_limit;
    bridge_state *state = nullptr;
    ASSERT_STATUS(bridge_state_create(&state, &options, nullptr), BRIDGE_OK);
    state_.reset(state);
    ASSERT_STATUS(bridge_state_enter(state, -1, &lua_), BRIDGE_OK);
  }

  bridge_status load(const std::string &source, bridge_error **error = nullptr)
  {
    return bridge_state_load(state_.get(), lua_, source.data(), source.size(),
                             "=part", error);
  }

  /* A coroutine, below which its function stands. */
  lua_State *coroutine(const std::string &source)
  {
    lua_State *L = lua_newthread(lua_);
    EXPECT_STATUS(bridge_state_load(state_.get(), L, source.data(),
                                    source.size(), "=part", nullptr),
                  BRIDGE_OK);
    return L;
  }

  Owned<bridge_state> state_;
  lua_State *lua_ = nullptr;
};

template <typename... Values> Owned<bridge_message> message_of(Values... values)
{
  return Owned<bridge_message>(message(values...));
}

std::string text_of(const bridge_error *error)
{
  size_t size = 0;
  const char *text = bridge_error_text(error, &size);
  return std::string(text, size);
}

/* ---- Load ---- */

TEST_F(Host, LoadPushesAFunction)
{
  ASSERT_STATUS(load("return ..."), BRIDGE_OK);
  ASSERT_EQ(lua_gettop(lua_), 1);
  EXPECT_TRUE(lua_isfunction(lua_, 1));
  lua_pushinteger(lua_, 7);
  ASSERT_EQ(lua_pcall(lua_, 1, 1, 0), LUA_OK);
  EXPECT_EQ(lua_tointeger(lua_, 1), 7);
}

TEST_F(Host, LoadTakesAnEmptySource)
{
  ASSERT_STATUS(
      bridge_state_load(state_.get(), lua_, nullptr, 0, nullptr, nullptr),
      BRIDGE_OK);
  EXPECT_TRUE(lua_isfunction(lua_, 1));
}

TEST_F(Host, LoadTellsOfSyntax)
{
  bridge_error *error = nullptr;
  EXPECT_STATUS(load("return +", &error), BRIDGE_ESYNTAX);
  Owned<bridge_error> owned(error);
  EXPECT_EQ(text_of(error).rfind("part:1:", 0), 0U) << text_of(error);
  EXPECT_EQ(lua_gettop(lua_), 0);
  EXPECT_STATUS(load("return +"), BRIDGE_ESYNTAX);
}

TEST_F(Host, LoadRefusesCode)
{
  EXPECT_STATUS(load("\x1bLua"), BRIDGE_ESYNTAX);
}

TEST_F(Host, LoadNeedsASource)
{
  EXPECT_STATUS(
      bridge_state_load(state_.get(), lua_, nullptr, 1, nullptr, nullptr),
      BRIDGE_EINVAL);
}

TEST_F(Host, LoadReportsThatMemoryIsMissing)
{
  open(1024);
  std::string big = "return '" + std::string(4096, 'x') + "'";
  EXPECT_STATUS(load(big), BRIDGE_ENOMEM);
  EXPECT_EQ(lua_gettop(lua_), 0);
}

/* ---- Push ---- */

TEST_F(Host, PushPutsTheValuesOnTop)
{
  lua_pushboolean(lua_, 1);
  Owned<bridge_message> message = message_of(1, "two");
  int count = -1;
  ASSERT_STATUS(
      bridge_state_push(state_.get(), lua_, message.get(), &count, nullptr),
      BRIDGE_OK);
  EXPECT_EQ(count, 2);
  ASSERT_EQ(lua_gettop(lua_), 3);
  EXPECT_EQ(lua_tointeger(lua_, 2), 1);
  EXPECT_STREQ(lua_tostring(lua_, 3), "two");
  EXPECT_EQ(bridge_message_count(message.get()), 2U); /* it stays */
}

TEST_F(Host, PushWorksOnACoroutineToo)
{
  lua_State *L = lua_newthread(lua_);
  Owned<bridge_message> message = message_of(1, "two");
  ASSERT_STATUS(
      bridge_state_push(state_.get(), L, message.get(), nullptr, nullptr),
      BRIDGE_OK);
  EXPECT_EQ(lua_gettop(L), 2);
  EXPECT_EQ(lua_gettop(lua_), 1);
}

TEST_F(Host, PushBringsHandles)
{
  bridge_queue *queue = nullptr;
  ASSERT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
  Owned<bridge_queue> owned(queue);
  bridge_message *message = nullptr;
  ASSERT_STATUS(bridge_message_create(&message, 0), BRIDGE_OK);
  Owned<bridge_message> kept(message);
  ASSERT_STATUS(
      bridge_message_write_handle(message, BRIDGE_HANDLE_QUEUE, queue),
      BRIDGE_OK);
  ASSERT_STATUS(
      bridge_state_push(state_.get(), lua_, message, nullptr, nullptr),
      BRIDGE_OK);
  EXPECT_EQ(lua_gettop(lua_), 1);
  EXPECT_TRUE(lua_isuserdata(lua_, 1));
}

TEST_F(Host, PushRefusesWhatDoesNotFit)
{
  const unsigned char huge[] = {0xcf, 0xff, 0xff, 0xff, 0xff,
                                0xff, 0xff, 0xff, 0xff};
  bridge_message *message = nullptr;
  ASSERT_STATUS(bridge_message_from_bytes(&message, huge, sizeof huge),
                BRIDGE_OK);
  Owned<bridge_message> kept(message);
  bridge_error *error = nullptr;
  int count = -1;
  EXPECT_STATUS(bridge_state_push(state_.get(), lua_, message, &count, &error),
                BRIDGE_EOVERFLOW);
  bridge_error_release(error);
  EXPECT_EQ(count, 0);
  EXPECT_EQ(lua_gettop(lua_), 0);
}

TEST_F(Host, PushReportsThatMemoryIsMissing)
{
  open(1024);
  Owned<bridge_message> message = message_of(std::string(4096, 'x').c_str());
  EXPECT_STATUS(
      bridge_state_push(state_.get(), lua_, message.get(), nullptr, nullptr),
      BRIDGE_ENOMEM);
  EXPECT_EQ(lua_gettop(lua_), 0);
}

/* ---- Pack ---- */

TEST_F(Host, PackAppendsAndLeavesTheStack)
{
  lua_pushinteger(lua_, 5);
  lua_pushliteral(lua_, "x");
  lua_pushboolean(lua_, 1);
  Owned<bridge_message> message = message_of(1);
  ASSERT_STATUS(
      bridge_state_pack(state_.get(), lua_, 2, 2, message.get(), nullptr),
      BRIDGE_OK);
  EXPECT_EQ(bridge_message_count(message.get()), 3U);
  EXPECT_EQ(lua_gettop(lua_), 3);
  ASSERT_STATUS(
      bridge_state_pack(state_.get(), lua_, 4, 0, message.get(), nullptr),
      BRIDGE_OK);
  EXPECT_EQ(bridge_message_count(message.get()), 3U);
}

TEST_F(Host, PackTakesValuesThatAreThere)
{
  lua_pushinteger(lua_, 5);
  Owned<bridge_message> message = message_of(1);
  const int places[][2] = {{0, 1},  {-1, 1}, {1, 2},         {2, 1},
                           {1, -1}, {3, 0},  {1, 2147483647}};
  for (const auto &place : places) {
    EXPECT_STATUS(bridge_state_pack(state_.get(), lua_, place[0], place[1],
                                    message.get(), nullptr),
                  BRIDGE_EINVAL)
        << place[0] << ", " << place[1];
  }
  EXPECT_EQ(bridge_message_count(message.get()), 1U);
}

TEST_F(Host, PackNamesWhatCannotCross)
{
  lua_pushinteger(lua_, 5);
  lua_newthread(lua_);
  Owned<bridge_message> message = message_of(1);
  bridge_error *error = nullptr;
  EXPECT_STATUS(
      bridge_state_pack(state_.get(), lua_, 1, 2, message.get(), &error),
      BRIDGE_ETYPE);
  Owned<bridge_error> owned(error);
  EXPECT_EQ(text_of(error), "result 2: a coroutine cannot cross");
  EXPECT_EQ(bridge_message_count(message.get()), 1U);
  EXPECT_EQ(lua_gettop(lua_), 2);
}

TEST_F(Host, PackRefusesWhatIsTooDeep)
{
  ASSERT_STATUS(load("local t = {} for _ = 1, 2000 do t = {t} end return t"),
                BRIDGE_OK);
  ASSERT_EQ(lua_pcall(lua_, 0, 1, 0), LUA_OK);
  Owned<bridge_message> message = message_of(1);
  EXPECT_STATUS(
      bridge_state_pack(state_.get(), lua_, 1, 1, message.get(), nullptr),
      BRIDGE_ELIMIT);
}

/* ---- Failure ---- */

TEST_F(Host, FailureTellsWhatACoroutineDiedOf)
{
  lua_State *L = coroutine("local t = ...\nerror(t)");
  lua_createtable(L, 0, 0);
  int count = 0;
  int code = lua_resume(L, lua_, 1, &count);
  ASSERT_EQ(code, LUA_ERRRUN);
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_failure(state_.get(), L, code, &error),
                BRIDGE_ESCRIPT);
  Owned<bridge_error> owned(error);
  EXPECT_STATUS(bridge_error_status(error), BRIDGE_ESCRIPT);
  EXPECT_NE(bridge_error_value(error), nullptr);
  ASSERT_GE(bridge_error_frame_count(error), 2U);
  bridge_frame frame;
  ASSERT_STATUS(bridge_error_frame(error, 1, &frame), BRIDGE_OK);
  EXPECT_EQ(frame.line, 2);
  std::string traceback = bridge_error_traceback(error);
  EXPECT_NE(traceback.find("in host:"), std::string::npos) << traceback;
}

TEST_F(Host, FailureNeedsNoPlaceForTheError)
{
  lua_State *L = coroutine("error('x')");
  int count = 0;
  int code = lua_resume(L, lua_, 0, &count);
  EXPECT_STATUS(bridge_state_failure(state_.get(), L, code, nullptr),
                BRIDGE_ESCRIPT);
}

TEST_F(Host, FailureTellsOfAYield)
{
  lua_State *L = coroutine("coroutine.yield()");
  int count = 0;
  int code = lua_resume(L, lua_, 0, &count);
  ASSERT_EQ(code, LUA_YIELD);
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_failure(state_.get(), L, code, &error),
                BRIDGE_ESCRIPT);
  Owned<bridge_error> owned(error);
  EXPECT_NE(text_of(error).find("yielded"), std::string::npos);
}

TEST_F(Host, FailureTellsThatMemoryIsMissing)
{
  open(16 * 1024);
  lua_State *L = coroutine("local t = {} for i = 1, 1e9 do t[i] = i end");
  int count = 0;
  int code = lua_resume(L, lua_, 0, &count);
  ASSERT_EQ(code, LUA_ERRMEM);
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_failure(state_.get(), L, code, &error),
                BRIDGE_ENOMEM);
  Owned<bridge_error> owned(error);
  EXPECT_STATUS(bridge_error_status(error), BRIDGE_ENOMEM);
}

TEST_F(Host, FailureIsNotSuccess)
{
  bridge_error *error = nullptr;
  EXPECT_STATUS(bridge_state_failure(state_.get(), lua_, LUA_OK, &error),
                BRIDGE_EINVAL);
  EXPECT_EQ(error, nullptr);
}

/* ---- Who may ask ---- */

/* Each call, with what it wants; and what it says. */
void each_call(bridge_state *state,
               lua_State *lua,
               const bridge_message *in,
               bridge_message *out,
               bridge_status expected)
{
  /* Whatever stands there is overwritten. */
  auto *error = reinterpret_cast<bridge_error *>(&expected);
  bridge_error *const before = error;
  EXPECT_STATUS(bridge_state_load(state, lua, "", 0, "=x", &error), expected);
  EXPECT_EQ(error, nullptr);
  error = before;
  EXPECT_STATUS(bridge_state_push(state, lua, in, nullptr, &error), expected);
  EXPECT_EQ(error, nullptr);
  error = before;
  EXPECT_STATUS(bridge_state_pack(state, lua, 1, 0, out, &error), expected);
  EXPECT_EQ(error, nullptr);
  error = before;
  EXPECT_STATUS(bridge_state_failure(state, lua, LUA_ERRRUN, &error), expected);
  EXPECT_EQ(error, nullptr);
}

TEST_F(Host, NothingWorksWithoutAStateOrAStack)
{
  Owned<bridge_message> message = message_of(1);
  each_call(nullptr, lua_, message.get(), message.get(), BRIDGE_EINVAL);
  each_call(state_.get(), nullptr, message.get(), message.get(), BRIDGE_EINVAL);
  EXPECT_STATUS(
      bridge_state_push(state_.get(), lua_, nullptr, nullptr, nullptr),
      BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_state_pack(state_.get(), lua_, 1, 0, nullptr, nullptr),
                BRIDGE_EINVAL);
}

TEST_F(Host, NothingWorksForAThreadThatDoesNotHoldTheState)
{
  Owned<bridge_message> message = message_of(1);
  std::thread other([&] {
    each_call(state_.get(), lua_, message.get(), message.get(), BRIDGE_EINVAL);
  });
  other.join();
  ASSERT_STATUS(bridge_state_leave(state_.get()), BRIDGE_OK);
  each_call(state_.get(), lua_, message.get(), message.get(), BRIDGE_EINVAL);
}

TEST_F(Host, NothingWorksInAChildOfAFork)
{
  Owned<bridge_message> message = message_of(1);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    each_call(state_.get(), lua_, message.get(), message.get(), BRIDGE_EFORKED);
    _exit(HasFailure() ? 1 : 0);
  }
  int result = -1;
  ASSERT_EQ(waitpid(child, &result, 0), child);
  EXPECT_EQ(result, 0);
}

} // namespace
