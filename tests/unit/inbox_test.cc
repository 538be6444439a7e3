/* Inboxes that are full: who waits, who is refused, and what is dropped. */
#include "../support.h"

#include <string>
#include <vector>

namespace
{

constexpr int kLong = 20000;

/* A worker that its host drives, so that nothing leaves its inbox unasked. */
class Inbox : public testing::TestWithParam<bridge_queue_policy>
{
protected:
  void SetUp() override
  {
    bridge_worker_options options;
    bridge_worker_options_init(&options);
    options.source = "return require 'bridge'.serve {"
                     " echo = function(...) return ... end }";
    options.drive = BRIDGE_DRIVE_HOST;
    options.inbox_items = 2;
    options.inbox_full = GetParam();
    bridge_worker *made = nullptr;
    bridge_queue *queue = nullptr;
    ASSERT_STATUS(bridge_worker_create(&made, &options, nullptr, nullptr),
                  BRIDGE_OK);
    worker.reset(made);
    ASSERT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
    answers.reset(queue);
    step(); /* as far as bridge.serve */
  }

  void TearDown() override
  {
    EXPECT_STATUS(bridge_worker_close(worker.get(), kLong), BRIDGE_OK);
  }

  void step()
  {
    while (bridge_worker_step(worker.get(), 0) == BRIDGE_OK) {
    }
  }

  bridge_status ask(uint64_t session)
  {
    bridge_message *request = message("echo", static_cast<int64_t>(session));
    bridge_status status = bridge_worker_request(worker.get(), &request, 0,
                                                 answers.get(), session);
    bridge_message_release(request);
    return status;
  }

  /* "3" for a result, "3 BRIDGE_EFULL" for a failure. */
  std::vector<std::string> heard()
  {
    std::vector<std::string> all;
    bridge_message *answer = nullptr;
    while (bridge_queue_pop(answers.get(), &answer, 0) == BRIDGE_OK) {
      uint64_t session = 0;
      EXPECT_STATUS(bridge_answer_session(answer, &session), BRIDGE_OK);
      bridge_status status = bridge_answer_error(answer, nullptr);
      all.push_back(std::to_string(session) +
                    (status == BRIDGE_OK
                         ? ""
                         : std::string(" ") + bridge_status_name(status)));
      bridge_message_release(answer);
    }
    return all;
  }

  uint64_t dropped()
  {
    bridge_worker_info info;
    bridge_worker_info_init(&info);
    EXPECT_STATUS(bridge_worker_look(worker.get(), &info), BRIDGE_OK);
    return info.dropped;
  }

  Owned<bridge_worker> worker;
  Owned<bridge_queue> answers;
};

using Strings = std::vector<std::string>;

TEST_P(Inbox, AnswersAllThatWereAsked)
{
  const bool drops = GetParam() == BRIDGE_QUEUE_DROP_OLDEST;
  EXPECT_STATUS(ask(1), BRIDGE_OK);
  EXPECT_STATUS(ask(2), BRIDGE_OK);
  EXPECT_STATUS(ask(3), drops ? BRIDGE_OK : BRIDGE_EFULL);
  EXPECT_EQ(heard(), drops ? Strings{"1 BRIDGE_EFULL"} : Strings{});
  EXPECT_EQ(dropped(), 1u);
  step();
  EXPECT_EQ(heard(), drops ? (Strings{"2", "3"}) : (Strings{"1", "2"}));
}

TEST_P(Inbox, DropsWhatNobodyWaitsFor)
{
  const bool drops = GetParam() == BRIDGE_QUEUE_DROP_OLDEST;
  for (int i = 0; i < 5; i++) {
    bridge_message *request = message("echo", i);
    EXPECT_STATUS(bridge_worker_send(worker.get(), &request, 0),
                  drops || i < 2 ? BRIDGE_OK : BRIDGE_EFULL);
    bridge_message_release(request);
  }
  EXPECT_EQ(dropped(), 3u);
  step();
}

TEST_P(Inbox, NeverDropsTheStop)
{
  EXPECT_STATUS(ask(1), BRIDGE_OK);
  EXPECT_STATUS(ask(2), BRIDGE_OK);
  EXPECT_STATUS(bridge_worker_stop(worker.get()), BRIDGE_OK);
  EXPECT_STATUS(ask(3), BRIDGE_ECLOSED);
  step();
  EXPECT_EQ(heard(), (Strings{"1", "2"}));
  EXPECT_EQ(bridge_worker_phase_of(worker.get()), BRIDGE_WORKER_ENDED);
}

INSTANTIATE_TEST_SUITE_P(Policies,
                         Inbox,
                         testing::Values(BRIDGE_QUEUE_BLOCK,
                                         BRIDGE_QUEUE_FAIL,
                                         BRIDGE_QUEUE_DROP_OLDEST));

} // namespace
