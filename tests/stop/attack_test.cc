/* Each attack of attacks.lua, at each level: that it ends as is said there, that the
   state is of use afterwards, and that a thread which nothing stops is given up. */
#include "../support.h"
#include "attack.h"

extern "C" {
#include <lua.h>
}

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace
{

const int kSoon = 30000; /* long enough for any machine, and never reached */
const int kAMoment = 50; /* in which what goes on would show that it does not */
const int kGrace = 20;   /* of a close that is to find that a script is lost */

/* What hangs cannot be joined, and would hide what is wrong. */
[[noreturn]] void hangs(const char *what)
{
  fprintf(stderr, "%s hangs\n", what);
  std::_Exit(EXIT_FAILURE);
}

struct Case {
  const attack *one;
  bridge_stop_level level;

  attack_end expected() const
  {
    return attack_expected(one, level);
  }
  /* A wait is over, and the script ends because it does. */
  bool only_told() const
  {
    return level == BRIDGE_STOP_COOPERATIVE && expected() == ATTACK_STOPPED;
  }
  /* What the state is made with: something that stops what a flag does not. */
  bridge_stop_level own_level() const
  {
    return level == BRIDGE_STOP_COOPERATIVE ? BRIDGE_STOP_PROMPT : level;
  }
};

void PrintTo(const Case &c, std::ostream *out)
{
  *out << c.one->name;
}

/* ---- In a state --------------------------------------------------------------- */

/* An attack in a state, on a thread of its own. */
class Run
{
public:
  explicit Run(const Case &c)
  {
    bridge_state_options options;
    attack_options(&options, c.own_level());
    bridge_state *made = nullptr;
    EXPECT_STATUS(bridge_state_create(&made, &options, nullptr), BRIDGE_OK);
    state.reset(made);
    attack_prepare();
    thread_ = std::thread([this, c] { run(*c.one); });
    if (!attack_wait(kSoon)) {
      hangs("the beginning");
    }
  }

  ~Run()
  {
    if (!ended_within(kSoon)) {
      hangs("the script");
    }
    thread_.join();
  }

  bool ended_within(int milliseconds)
  {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(milliseconds),
                             [this] { return ended_; });
  }

  bridge_status status = BRIDGE_OK; /* for whom it has ended */
  Owned<bridge_error> error;
  Owned<bridge_state> state;

private:
  void run(const attack &one)
  {
    bridge_error *raised = nullptr;
    std::string name = std::string("=") + one.name;
    bridge_status end =
        bridge_state_run(state.get(), one.source, strlen(one.source),
                         name.c_str(), nullptr, nullptr, &raised);
    attack_ended();
    std::lock_guard<std::mutex> lock(mutex_);
    status = end;
    error.reset(raised);
    ended_ = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

/* What was left behind harms nobody. */
void expect_useful(bridge_state *state)
{
  static const char script[] = "local sum = 0 "
                               "for i = 1, 1000 do sum = sum + #('x' .. i) end "
                               "return sum";
  for (int i = 0; i < 2; i++) {
    bridge_message *results = nullptr;
    bridge_error *error = nullptr;
    EXPECT_STATUS(bridge_state_run(state, script, sizeof script - 1, "=again",
                                   nullptr, &results, &error),
                  BRIDGE_OK)
        << bridge_error_text(error, nullptr);
    EXPECT_EQ(show(results), "3893");
    bridge_message_release(results);
    bridge_error_release(error);
    lua_State *L = nullptr;
    ASSERT_STATUS(bridge_state_enter(state, kSoon, &L), BRIDGE_OK);
    lua_gc(L, LUA_GCCOLLECT);
    EXPECT_STATUS(bridge_state_leave(state), BRIDGE_OK);
  }
}

void expect_cancelled(const Run &run)
{
  EXPECT_STATUS(run.status, BRIDGE_ECANCELLED);
  ASSERT_NE(run.error, nullptr);
  EXPECT_STREQ(bridge_error_text(run.error.get(), nullptr), "cancelled");
  EXPECT_STRNE(bridge_error_traceback(run.error.get()), "");
}

/* A cancel some time after the script has come to where it wants to be. */
void cancel_in_a_state(const Case &c, int after_ms)
{
  Run run(c);
  run.ended_within(after_ms);
  const attack_end expected = c.expected();
  if (expected == ATTACK_ENDS || expected == ATTACK_REFUSED) {
    ASSERT_TRUE(run.ended_within(kSoon));
    EXPECT_STATUS(run.status, BRIDGE_ESCRIPT);
    EXPECT_EQ(attack_begun(), false);
    expect_useful(run.state.get());
    return;
  }
  EXPECT_FALSE(run.ended_within(0))
      << bridge_error_text(run.error.get(), nullptr);
  EXPECT_STATUS(bridge_state_cancel(run.state.get(), c.level, 0), BRIDGE_OK);
  if (expected == ATTACK_RUNS) {
    EXPECT_FALSE(run.ended_within(kAMoment));
    EXPECT_STATUS(bridge_state_cancel(run.state.get(), BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
  }
  if (!run.ended_within(kSoon)) {
    hangs("the script");
  }
  if (c.only_told()) {
    EXPECT_STATUS(run.status, BRIDGE_OK);
  } else {
    expect_cancelled(run);
  }
  expect_useful(run.state.get());
}

class InAState : public testing::TestWithParam<Case>
{
};

TEST_P(InAState, Ends)
{
  for (int after_ms : {0, 1, 5}) {
    SCOPED_TRACE(after_ms);
    cancel_in_a_state(GetParam(), after_ms);
  }
}

/* ---- In a worker ---------------------------------------------------------------- */

Owned<bridge_worker> start(const Case &c)
{
  bridge_state_options state;
  attack_options(&state, c.own_level());
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = c.one->source;
  options.state = &state;
  bridge_worker *worker = nullptr;
  attack_prepare();
  EXPECT_STATUS(bridge_worker_create(&worker, &options, nullptr, nullptr),
                BRIDGE_OK);
  return Owned<bridge_worker>(worker);
}

void expect_lost(bridge_worker *worker)
{
  EXPECT_STATUS(bridge_worker_close(worker, kGrace), BRIDGE_ELOST);
  EXPECT_EQ(bridge_worker_phase_of(worker), BRIDGE_WORKER_LOST);
  /* Nobody waits for it any more. */
  EXPECT_STATUS(bridge_worker_join(worker, -1, nullptr, nullptr), BRIDGE_ELOST);
  bridge_message *request = message("anything");
  EXPECT_STATUS(bridge_worker_call(worker, &request, -1, nullptr, nullptr),
                BRIDGE_ELOST);
  EXPECT_NE(request, nullptr);
  bridge_message_release(request);
  EXPECT_STATUS(bridge_worker_close(worker, kGrace), BRIDGE_ELOST);
}

/* Wait until it has begun or ended. */
void wait_until_begun(bridge_worker *worker)
{
  for (int waited = 0; !attack_wait(10); waited += 10) {
    if (bridge_worker_phase_of(worker) == BRIDGE_WORKER_ENDED) {
      return;
    }
    if (waited >= kSoon) {
      hangs("the beginning");
    }
  }
}

class InAWorker : public testing::TestWithParam<Case>
{
};

/* The cancel must not come before the script is where nothing reaches it: between
   its beginning there and the call are some instructions. */
void lose(const Case &c)
{
  for (int settle_ms = 20; settle_ms < kSoon; settle_ms *= 2) {
    Owned<bridge_worker> worker = start(c);
    ASSERT_NE(worker, nullptr);
    wait_until_begun(worker.get());
    ASSERT_STATUS(bridge_worker_join(worker.get(), settle_ms, nullptr, nullptr),
                  BRIDGE_ETIMEDOUT);
    ASSERT_STATUS(bridge_worker_cancel(worker.get(), c.level, 0), BRIDGE_OK);
    if (bridge_worker_join(worker.get(), kAMoment, nullptr, nullptr) ==
        BRIDGE_ETIMEDOUT) {
      expect_lost(worker.get());
      return; /* and the process ends, although that thread does not */
    }
  }
  ADD_FAILURE() << "it was stopped again and again";
}

TEST_P(InAWorker, Ends)
{
  const Case &c = GetParam();
  if (c.expected() == ATTACK_LOST) {
    lose(c);
    return;
  }
  Owned<bridge_worker> worker = start(c);
  ASSERT_NE(worker, nullptr);
  wait_until_begun(worker.get());
  const attack_end expected = c.expected();
  if (expected != ATTACK_ENDS && expected != ATTACK_REFUSED) {
    EXPECT_STATUS(bridge_worker_cancel(worker.get(), c.level, 0), BRIDGE_OK);
  }
  if (expected == ATTACK_RUNS) {
    EXPECT_STATUS(bridge_worker_join(worker.get(), kAMoment, nullptr, nullptr),
                  BRIDGE_ETIMEDOUT);
    EXPECT_STATUS(bridge_worker_cancel(worker.get(), BRIDGE_STOP_DEFAULT, 0),
                  BRIDGE_OK);
  }
  bridge_status status =
      bridge_worker_join(worker.get(), kSoon, nullptr, nullptr);
  if (status == BRIDGE_ETIMEDOUT) {
    hangs("the script");
  }
  const bool own = expected == ATTACK_ENDS || expected == ATTACK_REFUSED;
  if (!c.only_told() || status != BRIDGE_OK) {
    EXPECT_STATUS(status, own ? BRIDGE_ESCRIPT : BRIDGE_ECANCELLED);
  }
  EXPECT_EQ(bridge_worker_phase_of(worker.get()), BRIDGE_WORKER_ENDED);
}

/* ---- All of them ------------------------------------------------------------------ */

const bridge_stop_level kLevels[] = {BRIDGE_STOP_COOPERATIVE,
                                     BRIDGE_STOP_PROMPT, BRIDGE_STOP_STRICT};

const std::vector<attack> &attacks()
{
  static const std::vector<attack> all = [] {
    size_t count = 0;
    /* Kept: the texts are in it. */
    static const attack *const read = attacks_read(ATTACKS, &count);
    return std::vector<attack>(read, read + count);
  }();
  return all;
}

/* ThreadSanitizer makes minutes of what one C function does without a look. */
bool runs_here(const Case &c)
{
#ifdef __SANITIZE_THREAD__
  return c.one->name != std::string("rep_of_hundred_million") ||
         c.level == BRIDGE_STOP_STRICT;
#else
  return c.one != nullptr;
#endif
}

std::vector<Case> cases(bool lost)
{
  std::vector<Case> all;
  for (const attack &one : attacks()) {
    for (bridge_stop_level level : kLevels) {
      const Case c = {&one, level};
      if (runs_here(c) && (lost || c.expected() != ATTACK_LOST)) {
        all.push_back(c);
      }
    }
  }
  return all;
}

std::string name_of(const testing::TestParamInfo<Case> &info)
{
  static const char *const names[] = {"", "_cooperative", "_prompt", "_strict"};
  return std::string(info.param.one->name) + names[info.param.level];
}

INSTANTIATE_TEST_SUITE_P(Attack,
                         InAState,
                         testing::ValuesIn(cases(false)),
                         name_of);
/* What nothing stops would keep a state's thread for ever. */
INSTANTIATE_TEST_SUITE_P(Attack,
                         InAWorker,
                         testing::ValuesIn(cases(true)),
                         name_of);

TEST(Attacks, AreManyAndHaveNamesOfTheirOwn)
{
  const attack *all = attacks().data();
  const size_t count = attacks().size();
  EXPECT_GE(count, 100U);
  for (size_t i = 0; i < count; i++) {
    EXPECT_EQ(attack_find(all, count, all[i].name), &all[i]) << all[i].name;
  }
}

} /* namespace */
