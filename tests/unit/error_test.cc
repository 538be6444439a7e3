/* Errors: what a failed call tells beyond its status. */
#include "message_support.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

/* Errors are made inside of the library only. */
extern "C" {
bridge_error *bridge__error_create(bridge_status status,
                                   const char *text,
                                   size_t size);
bridge_error *bridge__error_format(bridge_status status,
                                   const char *format,
                                   ...) __attribute__((format(printf, 2, 3)));
void bridge__error_set_value(bridge_error *error, bridge_message **value);
void bridge__error_set_traceback(bridge_error *error, const char *traceback);
void bridge__error_add_frame(bridge_error *error, const bridge_frame *frame);
bridge_status bridge__error_give(bridge_error **out,
                                 bridge_error *error,
                                 bridge_status status);
}

namespace
{

class ErrorTest : public support::Balanced
{
};

TEST_F(ErrorTest, NullIsNoError)
{
  size_t size = 7;
  bridge_frame frame = {};
  EXPECT_EQ(nullptr, bridge_error_retain(nullptr));
  bridge_error_release(nullptr);
  EXPECT_EQ(BRIDGE_OK, bridge_error_status(nullptr));
  EXPECT_STREQ("", bridge_error_text(nullptr, &size));
  EXPECT_EQ(0u, size);
  EXPECT_STREQ("", bridge_error_text(nullptr, nullptr));
  EXPECT_STREQ("", bridge_error_traceback(nullptr));
  EXPECT_EQ(0u, bridge_error_frame_count(nullptr));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_error_frame(nullptr, 0, &frame));
  EXPECT_EQ(nullptr, bridge_error_value(nullptr));
}

TEST_F(ErrorTest, KeepsItsStatusAndItsText)
{
  char text[] = "a\0b";
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, text, 3);
  ASSERT_NE(nullptr, error);
  text[0] = 'x';
  EXPECT_EQ(BRIDGE_ESCRIPT, bridge_error_status(error));
  size_t size = 0;
  const char *found = bridge_error_text(error, &size);
  EXPECT_EQ(std::string("a\0b", 3), std::string(found, size));
  EXPECT_EQ('\0', found[3]);
  EXPECT_EQ(found, bridge_error_text(error, nullptr));
  EXPECT_STREQ("", bridge_error_traceback(error));
  EXPECT_EQ(0u, bridge_error_frame_count(error));
  EXPECT_EQ(nullptr, bridge_error_value(error));
  bridge_error_release(error);
}

TEST_F(ErrorTest, MayHaveNoText)
{
  bridge_error *error = bridge__error_create(BRIDGE_EDEAD, nullptr, 0);
  size_t size = 7;
  EXPECT_STREQ("", bridge_error_text(error, &size));
  EXPECT_EQ(0u, size);
  bridge_error_release(error);
}

TEST_F(ErrorTest, FormatsItsText)
{
  bridge_error *error =
      bridge__error_format(BRIDGE_ENOTFOUND, "no %s of %d", "handler", 42);
  size_t size = 0;
  EXPECT_STREQ("no handler of 42", bridge_error_text(error, &size));
  EXPECT_EQ(16u, size);
  bridge_error_release(error);
  std::string large(10000, 'l');
  error = bridge__error_format(BRIDGE_EDEAD, "<%s>", large.c_str());
  EXPECT_EQ("<" + large + ">", bridge_error_text(error, &size));
  EXPECT_EQ(10002u, size);
  bridge_error_release(error);
}

TEST_F(ErrorTest, CountsItsReferences)
{
  bridge_error *error = bridge__error_create(BRIDGE_EDEAD, "text", 4);
  EXPECT_EQ(error, bridge_error_retain(error));
  bridge_error_release(error);
  EXPECT_STREQ("text", bridge_error_text(error, nullptr));
  bridge_error_release(error);
}

TEST_F(ErrorTest, KeepsTheTraceback)
{
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, "text", 4);
  bridge__error_set_traceback(error, nullptr);
  EXPECT_STREQ("", bridge_error_traceback(error));
  char text[] = "stack traceback:\n\t[C]: in ?";
  bridge__error_set_traceback(error, text);
  text[0] = 'X';
  EXPECT_STREQ("stack traceback:\n\t[C]: in ?", bridge_error_traceback(error));
  bridge__error_set_traceback(error, "another");
  EXPECT_STREQ("another", bridge_error_traceback(error));
  bridge_error_release(error);
}

TEST_F(ErrorTest, KeepsItsFramesInOrder)
{
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, "text", 4);
  for (int i = 0; i < 30; i++) {
    std::string name = "function " + std::to_string(i);
    bridge_frame frame = {"script.lua", name.c_str(), "Lua", i};
    bridge__error_add_frame(error, &frame);
  }
  bridge_frame bare = {nullptr, nullptr, nullptr, -1};
  bridge__error_add_frame(error, &bare);
  bridge__error_add_frame(error, nullptr);
  ASSERT_EQ(31u, bridge_error_frame_count(error));
  bridge_frame frame = {};
  ASSERT_EQ(BRIDGE_OK, bridge_error_frame(error, 29, &frame));
  EXPECT_STREQ("script.lua", frame.source);
  EXPECT_STREQ("function 29", frame.name);
  EXPECT_STREQ("Lua", frame.what);
  EXPECT_EQ(29, frame.line);
  ASSERT_EQ(BRIDGE_OK, bridge_error_frame(error, 0, &frame));
  EXPECT_STREQ("function 0", frame.name);
  ASSERT_EQ(BRIDGE_OK, bridge_error_frame(error, 30, &frame));
  EXPECT_STREQ("", frame.source);
  EXPECT_STREQ("", frame.name);
  EXPECT_STREQ("", frame.what);
  EXPECT_EQ(-1, frame.line);
  EXPECT_EQ(BRIDGE_EINVAL, bridge_error_frame(error, 31, &frame));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_error_frame(error, SIZE_MAX, &frame));
  EXPECT_EQ(BRIDGE_EINVAL, bridge_error_frame(error, 0, nullptr));
  bridge_error_release(error);
}

TEST_F(ErrorTest, OwnsItsValue)
{
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, "text", 4);
  for (int64_t i = 1; i <= 2; i++) { /* the second one replaces the first */
    bridge_message *value = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&value, 0));
    ASSERT_EQ(BRIDGE_OK, bridge_message_write_integer(value, i));
    bridge__error_set_value(error, &value);
    EXPECT_EQ(nullptr, value);
  }
  bridge_reader reader;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, bridge_error_value(error)));
  int64_t number = 0;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_integer(&reader, &number));
  EXPECT_EQ(2, number);
  bridge_error_release(error);
}

TEST_F(ErrorTest, AnErrorThatIsNotThereTakesEverythingAndKeepsNothing)
{
  bridge_message *value = nullptr;
  ASSERT_EQ(BRIDGE_OK, bridge_message_create(&value, 0));
  bridge__error_set_value(nullptr, &value);
  EXPECT_EQ(nullptr, value);
  bridge__error_set_traceback(nullptr, "traceback");
  bridge_frame frame = {"", "", "", 1};
  bridge__error_add_frame(nullptr, &frame);
}

TEST_F(ErrorTest, CrossesAsAHandle)
{
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, "text", 4);
  support::Message m;
  ASSERT_EQ(BRIDGE_OK,
            bridge_message_write_handle(m, BRIDGE_HANDLE_ERROR, error));
  bridge_error_release(error);
  bridge_reader reader;
  ASSERT_EQ(BRIDGE_OK, bridge_reader_init(&reader, m));
  void *found = nullptr;
  ASSERT_EQ(BRIDGE_OK,
            bridge_reader_handle(&reader, BRIDGE_HANDLE_ERROR, &found));
  EXPECT_STREQ("text",
               bridge_error_text(static_cast<bridge_error *>(found), nullptr));
}

TEST_F(ErrorTest, IsGivenToWhoeverWantsIt)
{
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, "text", 4);
  bridge_error *out = nullptr;
  EXPECT_EQ(BRIDGE_ESCRIPT, bridge__error_give(&out, error, BRIDGE_EDEAD));
  EXPECT_EQ(error, out);
  EXPECT_EQ(BRIDGE_ESCRIPT, bridge__error_give(nullptr, error, BRIDGE_EDEAD));
  EXPECT_EQ(BRIDGE_EDEAD, bridge__error_give(&out, nullptr, BRIDGE_EDEAD));
  EXPECT_EQ(nullptr, out);
  EXPECT_EQ(BRIDGE_EDEAD, bridge__error_give(nullptr, nullptr, BRIDGE_EDEAD));
}

/* What is lost without memory is text, never the process or a reference. */
TEST_F(ErrorTest, LosesOnlyItsTextWithoutMemory)
{
  for (long allowed = 0; allowed < 2; allowed++) {
    support::left = allowed;
    EXPECT_EQ(nullptr, bridge__error_create(BRIDGE_EDEAD, "text", 4));
    support::left = allowed;
    EXPECT_EQ(nullptr, bridge__error_format(BRIDGE_EDEAD, "%d", 1));
    support::left = -1;
  }
  bridge_error *error = bridge__error_create(BRIDGE_EDEAD, "text", 4);
  bridge_frame frame = {"source", "name", "Lua", 1};
  for (long allowed = 0; allowed < 2; allowed++) {
    support::left = allowed; /* the table, then the texts */
    bridge__error_add_frame(error, &frame);
    EXPECT_EQ(0u, bridge_error_frame_count(error));
  }
  support::left = 0;
  bridge__error_set_traceback(error, "traceback");
  support::left = -1;
  EXPECT_STREQ("", bridge_error_traceback(error));
  bridge__error_add_frame(error, &frame);
  EXPECT_EQ(1u, bridge_error_frame_count(error));
  bridge_error_release(error);
}

TEST_F(ErrorTest, LongChainsAreFreedWithoutDeepStacks)
{
  bridge_error *chain = nullptr;
  for (int i = 0; i < 100000; i++) {
    bridge_message *value = nullptr;
    ASSERT_EQ(BRIDGE_OK, bridge_message_create(&value, 0));
    if (chain == nullptr) {
      ASSERT_EQ(BRIDGE_OK, bridge_message_write_nil(value));
    } else {
      ASSERT_EQ(BRIDGE_OK,
                bridge_message_write_handle(value, BRIDGE_HANDLE_ERROR, chain));
      bridge_error_release(chain);
    }
    chain = bridge__error_create(BRIDGE_ESCRIPT, "link", 4);
    bridge__error_set_value(chain, &value);
  }
  bridge_error_release(chain);
}

TEST_F(ErrorTest, ThreadsShareIt)
{
  bridge_error *error = bridge__error_create(BRIDGE_ESCRIPT, "text", 4);
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 4; i++) {
    bridge_error_retain(error);
    threads.emplace_back([&right, error] {
      right += std::string("text") == bridge_error_text(error, nullptr);
      bridge_error_release(error);
    });
  }
  bridge_error_release(error);
  for (std::thread &thread : threads) {
    thread.join();
  }
  EXPECT_EQ(4, right);
}

} // namespace
