/* Timers: once, again and again, at a moment; full, closed and dropped targets. */
#include "../channel.h"

#include <atomic>
#include <thread>
#include <vector>

namespace
{

constexpr int kLong = 20000;
constexpr int64_t kMs = 1000000;

bridge_timer_options to(bridge_channel *channel)
{
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  options.channel = channel;
  return options;
}

Owned<bridge_timer> start(const bridge_timer_options &options, int64_t value)
{
  bridge_timer *timer = nullptr;
  bridge_message *m = message(value);
  EXPECT_STATUS(bridge_timer_create(&timer, &options, &m), BRIDGE_OK);
  EXPECT_EQ(m, nullptr);
  bridge_message_release(m);
  return Owned<bridge_timer>(timer);
}

/* Until it has ended. */
void await_end(const bridge_timer *timer)
{
  while (bridge_timer_active(timer)) {
    std::this_thread::yield();
  }
}

TEST(Timer, PostsOnce)
{
  Numbers channel;
  auto options = to(channel);
  options.first_ns = kMs;
  const int64_t before = bridge_timer_now(BRIDGE_TIMER_STEADY);
  auto timer = start(options, 7);
  EXPECT_EQ(channel.receive(kLong), 7);
  EXPECT_GE(bridge_timer_now(BRIDGE_TIMER_STEADY) - before, kMs);
  await_end(timer.get());
  EXPECT_EQ(bridge_timer_posted(timer.get()), 1u);
  EXPECT_EQ(bridge_timer_missed(timer.get()), 0u);
  EXPECT_STATUS(bridge_timer_cancel(timer.get()), BRIDGE_EALREADY);
}

TEST(Timer, PostsToAQueue)
{
  bridge_queue *queue = nullptr;
  ASSERT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  options.queue = queue;
  auto timer = start(options, 8);
  bridge_message *m = nullptr;
  ASSERT_STATUS(bridge_queue_pop(queue, &m, kLong), BRIDGE_OK);
  EXPECT_EQ(Numbers::number_in(m), 8);
  bridge_queue_release(queue);
}

TEST(Timer, PostsAgainAndAgainWithoutDrift)
{
  Numbers channel;
  auto options = to(channel);
  options.clock = BRIDGE_TIMER_STEADY;
  options.first_ns = bridge_timer_now(BRIDGE_TIMER_STEADY);
  options.period_ns = kMs;
  auto timer = start(options, 1);
  for (int i = 0; i < 20; i++) {
    ASSERT_EQ(channel.receive(kLong), 1);
  }
  EXPECT_STATUS(bridge_timer_cancel(timer.get()), BRIDGE_OK);
  const int64_t passed =
      bridge_timer_now(BRIDGE_TIMER_STEADY) - options.first_ns;
  const uint64_t moments =
      bridge_timer_posted(timer.get()) + bridge_timer_missed(timer.get());
  /* Never more than the clock allows, and none was put off. */
  EXPECT_LE(moments, static_cast<uint64_t>(passed / kMs) + 1);
  EXPECT_GE(moments, 20u);
}

TEST(Timer, CountsWhatFindsNoRoom)
{
  Numbers channel([](bridge_channel_options &o) { o.items = 1; });
  auto options = to(channel);
  options.period_ns = kMs;
  auto timer = start(options, 1);
  while (bridge_timer_missed(timer.get()) < 3) {
    std::this_thread::yield();
  }
  EXPECT_EQ(bridge_channel_count(channel), 1u);
  EXPECT_EQ(bridge_timer_posted(timer.get()), 1u);
  EXPECT_EQ(channel.receive(), 1);
  EXPECT_EQ(channel.receive(kLong), 1);
}

TEST(Timer, OfOneMomentTriesUntilThereIsRoom)
{
  Numbers channel([](bridge_channel_options &o) { o.items = 1; });
  ASSERT_STATUS(channel.send(1), BRIDGE_OK);
  auto options = to(channel);
  auto probe = start(options, 2);
  Numbers other;
  auto later = start(to(other), 3);
  EXPECT_EQ(other.receive(kLong), 3); /* so the first was tried */
  EXPECT_TRUE(bridge_timer_active(probe.get()));
  EXPECT_EQ(channel.receive(), 1);
  EXPECT_EQ(channel.receive(kLong), 2);
}

TEST(Timer, OfAMomentThatIsOverPostsNow)
{
  for (auto clock : {BRIDGE_TIMER_STEADY, BRIDGE_TIMER_WALL}) {
    Numbers channel;
    auto options = to(channel);
    options.clock = clock;
    options.first_ns = 1;
    auto timer = start(options, 1);
    EXPECT_EQ(channel.receive(kLong), 1);
  }
}

TEST(Timer, OfManyMomentsThatAreOverGoesOnInStep)
{
  Numbers channel;
  auto options = to(channel);
  options.clock = BRIDGE_TIMER_WALL;
  options.first_ns = 1;
  options.period_ns = 2 * kMs;
  auto timer = start(options, 1);
  EXPECT_EQ(channel.receive(kLong), 1);
  EXPECT_EQ(channel.receive(kLong), 1);
  EXPECT_STATUS(bridge_timer_cancel(timer.get()), BRIDGE_OK);
  EXPECT_LT(bridge_timer_missed(timer.get()), 1000000u);
}

TEST(Timer, GoesByTheClockOnTheWall)
{
  Numbers channel;
  auto options = to(channel);
  options.clock = BRIDGE_TIMER_WALL;
  options.first_ns = bridge_timer_now(BRIDGE_TIMER_WALL) + 2 * kMs;
  auto timer = start(options, 1);
  EXPECT_EQ(channel.receive(kLong), 1);
  EXPECT_GE(bridge_timer_now(BRIDGE_TIMER_WALL), options.first_ns);
}

TEST(Timer, PostsNothingOnceItIsCancelled)
{
  Numbers channel;
  auto options = to(channel);
  options.first_ns = 3600 * 1000 * kMs;
  auto timer = start(options, 1);
  EXPECT_TRUE(bridge_timer_active(timer.get()));
  EXPECT_STATUS(bridge_timer_cancel(timer.get()), BRIDGE_OK);
  EXPECT_FALSE(bridge_timer_active(timer.get()));
  EXPECT_STATUS(bridge_timer_cancel(timer.get()), BRIDGE_EALREADY);
  for (int i = 0; i < 200; i++) {
    options.first_ns = 0;
    options.period_ns = BRIDGE_TIMER_PERIOD_MIN;
    auto quick = start(options, 2);
    ASSERT_EQ(channel.receive(kLong), 2);
    ASSERT_STATUS(bridge_timer_cancel(quick.get()), BRIDGE_OK);
    ASSERT_STATUS(bridge_channel_clear(channel, nullptr), BRIDGE_OK);
    ASSERT_EQ(bridge_channel_count(channel), 0u);
  }
}

TEST(Timer, GoesOnWithoutItsHandle)
{
  Numbers channel;
  auto options = to(channel);
  options.first_ns = kMs;
  options.period_ns = kMs;
  start(options, 5).reset();
  EXPECT_EQ(channel.receive(kLong), 5);
  EXPECT_EQ(channel.receive(kLong), 5);
}

TEST(Timer, EndsWithItsTarget)
{
  Owned<bridge_timer> closed;
  Owned<bridge_timer> dropped;
  Numbers channel;
  auto options = to(channel);
  options.period_ns = kMs;
  closed = start(options, 1);
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_RECEIVING),
                BRIDGE_OK);
  await_end(closed.get());
  {
    Numbers other;
    options.channel = other;
    dropped = start(options, 1);
  }
  await_end(dropped.get());
}

TEST(Timer, ManyComeInOrder)
{
  Numbers channel;
  const int64_t now = bridge_timer_now(BRIDGE_TIMER_STEADY);
  std::vector<Owned<bridge_timer>> timers;
  for (int64_t i = 0; i < 200; i++) {
    const int64_t place = i * 73 % 200;
    auto options = to(channel);
    options.clock = BRIDGE_TIMER_STEADY;
    options.first_ns = now + 30 * kMs + place * 1000;
    timers.push_back(start(options, place));
  }
  for (size_t i = 0; i < timers.size(); i += 2) {
    EXPECT_STATUS(bridge_timer_cancel(timers[i].get()), BRIDGE_OK);
  }
  int64_t last = -1;
  for (int i = 0; i < 100; i++) {
    const int64_t next = channel.receive(kLong);
    EXPECT_GT(next, last);
    last = next;
  }
  EXPECT_EQ(channel.receive(), BRIDGE_EEMPTY);
}

TEST(Timer, RefusesWhatMeansNothing)
{
  Numbers channel;
  bridge_queue *queue = nullptr;
  ASSERT_STATUS(bridge_queue_create(&queue, nullptr), BRIDGE_OK);
  bridge_timer *timer = nullptr;
  Owned<bridge_message> owned(message(1));
  bridge_message *m = owned.get();
  const auto refuses = [&](bridge_timer_options options, bridge_status status) {
    EXPECT_STATUS(bridge_timer_create(&timer, &options, &m), status);
    EXPECT_NE(m, nullptr);
  };
  auto options = to(channel);
  EXPECT_STATUS(bridge_timer_create(nullptr, &options, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_timer_create(&timer, nullptr, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_timer_create(&timer, &options, nullptr), BRIDGE_EINVAL);
  options.version = 9;
  refuses(options, BRIDGE_EVERSION);
  refuses(to(nullptr), BRIDGE_EINVAL);
  options = to(channel);
  options.queue = queue;
  refuses(options, BRIDGE_EINVAL);
  options = to(channel);
  options.first_ns = -1;
  refuses(options, BRIDGE_EINVAL);
  options = to(channel);
  options.period_ns = BRIDGE_TIMER_PERIOD_MIN - 1;
  refuses(options, BRIDGE_EINVAL);
  options.period_ns = -kMs;
  refuses(options, BRIDGE_EINVAL);
  options = to(channel);
  options.clock = static_cast<bridge_timer_clock>(3);
  refuses(options, BRIDGE_EINVAL);
  Owned<bridge_message> own(message(static_cast<bridge_channel *>(channel)));
  m = own.get();
  refuses(to(channel), BRIDGE_ECYCLE);
  EXPECT_STATUS(bridge_timer_cancel(nullptr), BRIDGE_EINVAL);
  EXPECT_FALSE(bridge_timer_active(nullptr));
  EXPECT_EQ(bridge_timer_posted(nullptr), 0u);
  EXPECT_EQ(bridge_timer_missed(nullptr), 0u);
  EXPECT_EQ(bridge_timer_now(BRIDGE_TIMER_AFTER), 0);
  EXPECT_EQ(bridge_timer_retain(nullptr), nullptr);
  bridge_timer_release(nullptr);
  bridge_timer_options_init(nullptr);
  bridge_queue_release(queue);
}

} // namespace
