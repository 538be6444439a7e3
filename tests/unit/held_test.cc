/* Workers that are paused, or cancelled, while they wait: what comes is for others. */
#include "../support.h"

extern "C" {
bool held_waits(bridge_worker *worker);
bool held_state_waits(bridge_state *state);
size_t held_watchers(bridge_channel *channel);
}

#include <string>
#include <thread>

namespace
{

const int kLong = 60000; /* longer than any machine needs */

class Held : public testing::Test
{
protected:
  void SetUp() override
  {
    bridge_channel *made = nullptr;
    ASSERT_STATUS(bridge_channel_create(&made, nullptr), BRIDGE_OK);
    channel.reset(made);
    bridge_queue *other = nullptr;
    ASSERT_STATUS(bridge_queue_create(&other, nullptr), BRIDGE_OK);
    queue.reset(other);
  }

  /* Run what waits for something. */
  void start(const std::string &source,
             bridge_stop_level level = BRIDGE_STOP_PROMPT)
  {
    const std::string chunk =
        "local b = require 'bridge' local c, q = ...\n" + source;
    bridge_state_options state;
    bridge_state_options_init(&state);
    state.stop = level;
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.source = chunk.c_str();
    options.state = &state;
    bridge_message *arguments = message(channel.get(), queue.get());
    bridge_worker *made = nullptr;
    ASSERT_STATUS(bridge_worker_create(&made, &options, &arguments, nullptr),
                  BRIDGE_OK);
    worker.reset(made);
    while (!held_waits(made)) {
      std::this_thread::yield();
    }
  }

  void pause()
  {
    ASSERT_STATUS(bridge_worker_pause(worker.get()), BRIDGE_OK);
  }

  void resume()
  {
    ASSERT_STATUS(bridge_worker_resume(worker.get()), BRIDGE_OK);
  }

  void send(const char *text)
  {
    bridge_message *sent = message(text);
    ASSERT_STATUS(bridge_channel_send(channel.get(), &sent), BRIDGE_OK);
  }

  void push(const char *text)
  {
    bridge_message *sent = message(text);
    ASSERT_STATUS(bridge_queue_push(queue.get(), &sent), BRIDGE_OK);
  }

  /* By somebody else. */
  std::string receive(int timeout_ms = kLong)
  {
    bridge_message *received = nullptr;
    bridge_status status =
        bridge_channel_receive(channel.get(), &received, timeout_ms);
    std::string text =
        status == BRIDGE_OK ? show(received) : bridge_status_name(status);
    bridge_message_release(received);
    return text;
  }

  /* It has come by a safe point twice since, so that it has looked what is there. */
  void visit()
  {
    for (int i = 0; i < 2; i++) {
      bridge_error *where = nullptr;
      ASSERT_STATUS(bridge_worker_traceback(worker.get(), kLong, &where),
                    BRIDGE_OK);
      bridge_error_release(where);
    }
  }

  std::string join(bridge_status wanted = BRIDGE_OK)
  {
    bridge_message *results = nullptr;
    EXPECT_STATUS(bridge_worker_join(worker.get(), kLong, &results, nullptr),
                  wanted);
    std::string text = show(results);
    bridge_message_release(results);
    return text;
  }

  Owned<bridge_channel> channel;
  Owned<bridge_queue> queue;
  Owned<bridge_worker> worker;
};

TEST_F(Held, ReceivesNothingUntilItIsResumed)
{
  for (const char *script : {"return c:receive()", "return c:receive(1000)",
                             "return c:receive_batch(2)[1][1]",
                             "return select(2, b.select{q, c})"}) {
    SCOPED_TRACE(script);
    start(script);
    pause();
    send("for others");
    EXPECT_EQ(receive(), "'for others'");
    send("also");
    visit();
    EXPECT_EQ(receive(), "'also'");
    resume();
    send("mine");
    EXPECT_EQ(join(), "'mine'");
  }
}

TEST_F(Held, LetsOthersHearWhoWait)
{
  start("return c:receive()");
  pause();
  std::string heard;
  std::thread thread([&] { heard = receive(); }); /* stands behind it */
  while (held_watchers(channel.get()) < 2) {
    std::this_thread::yield();
  }
  send("for who waits");
  thread.join();
  EXPECT_EQ(heard, "'for who waits'");
  resume();
  send("mine");
  EXPECT_EQ(join(), "'mine'");
}

TEST_F(Held, FindsWhatCameMeanwhile)
{
  start("return c:receive()");
  pause();
  send("came");
  visit();
  EXPECT_EQ(bridge_channel_count(channel.get()), 1u);
  resume();
  EXPECT_EQ(join(), "'came'");
}

TEST_F(Held, PopsNothingUntilItIsResumed)
{
  for (const char *script :
       {"return q:pop()", "return q:pop(1000)", "return q:pop_batch(2)[1][1]",
        "return select(2, b.select{c, q})"}) {
    SCOPED_TRACE(script);
    start(script);
    pause();
    push("first");
    visit();
    EXPECT_EQ(bridge_queue_count(queue.get()), 1u);
    resume();
    EXPECT_EQ(join(), "'first'");
  }
}

TEST_F(Held, IsCancelledAndTakesNothing)
{
  for (bridge_stop_level level :
       {BRIDGE_STOP_PROMPT, BRIDGE_STOP_COOPERATIVE}) {
    for (const char *script :
         {"assert(c:receive())", "assert(c:receive_batch(2))",
          "assert(b.select{q, c})", "assert(q:pop())",
          "assert(q:pop_batch(2))"}) {
      SCOPED_TRACE(script);
      start(script, level);
      pause();
      send("for others");
      push("for others");
      ASSERT_STATUS(bridge_worker_cancel(worker.get(), level, 0), BRIDGE_OK);
      join(BRIDGE_ECANCELLED);
      EXPECT_EQ(receive(0), "'for others'");
      bridge_message *popped = nullptr;
      EXPECT_STATUS(bridge_queue_pop(queue.get(), &popped, 0), BRIDGE_OK);
      bridge_message_release(popped);
    }
  }
}

/* An interrupt is an error of the script's, and ends no wait: it comes behind it. */
TEST_F(Held, InterruptedStatesWaitOn)
{
  const std::string source = "local q = ...\n"
                             "local ok, why = pcall(function()\n"
                             "  q:pop() for i = 1, 1000 do end end)\n"
                             "return ok, why";
  bridge_state *state = nullptr;
  ASSERT_STATUS(bridge_state_create(&state, nullptr, nullptr), BRIDGE_OK);
  Owned<bridge_state> owned(state);
  for (bridge_interrupt how :
       {BRIDGE_INTERRUPT_ONCE, BRIDGE_INTERRUPT_STICKY}) {
    bridge_message *results = nullptr;
    bridge_error *error = nullptr;
    bridge_status status = BRIDGE_OK;
    std::thread thread([&] {
      bridge_message *arguments = message(queue.get());
      status = bridge_state_run(state, source.data(), source.size(), "=script",
                                &arguments, &results, &error);
      bridge_message_release(arguments);
    });
    while (!held_state_waits(state)) {
      std::this_thread::yield();
    }
    EXPECT_STATUS(bridge_state_interrupt(state, how, "enough"), BRIDGE_OK);
    EXPECT_TRUE(held_state_waits(state));
    push("it was waited for");
    thread.join();
    EXPECT_EQ(bridge_queue_count(queue.get()), 0u);
    const bool once = how == BRIDGE_INTERRUPT_ONCE;
    EXPECT_STATUS(status, once ? BRIDGE_OK : BRIDGE_ESCRIPT);
    const std::string said =
        once ? show(results) : bridge_error_text(error, nullptr);
    EXPECT_NE(said.find(": enough"), std::string::npos) << said;
    bridge_message_release(results);
    bridge_error_release(error);
  }
}

} // namespace
