/* Channels: order, bounds, both ends, looking inside, waiting, waking. */
#include "../channel.h"

#include <poll.h>

#include <atomic>
#include <thread>
#include <vector>

namespace
{

constexpr int kLong = 20000;

void limit_items(bridge_channel_options &options, size_t items)
{
  options.items = items;
}

TEST(Channel, GivesWhatWasSentInOrder)
{
  Numbers channel;
  for (int i = 0; i < 5; i++) {
    EXPECT_STATUS(channel.send(i), BRIDGE_OK);
  }
  EXPECT_EQ(bridge_channel_count(channel), 5u);
  EXPECT_EQ(bridge_channel_bytes(channel), 5u);
  for (int i = 0; i < 5; i++) {
    EXPECT_EQ(channel.receive(), i);
  }
  EXPECT_EQ(channel.receive(), BRIDGE_EEMPTY);
  EXPECT_EQ(channel.receive(1), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(bridge_channel_bytes(channel), 0u);
}

TEST(Channel, RefusesNull)
{
  Numbers channel;
  bridge_message *m = nullptr;
  size_t count = 7;
  EXPECT_STATUS(bridge_channel_create(nullptr, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_send(nullptr, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_send(channel, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_send(channel, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_send_timeout(channel, &m, 5), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_receive(nullptr, &m, 0), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_receive(channel, nullptr, 0), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_receive_batch(channel, &m, 0, &count, 0),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_receive_batch(channel, nullptr, 1, &count, 0),
                BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_receive_batch(nullptr, &m, 1, &count, 0),
                BRIDGE_EINVAL);
  EXPECT_EQ(count, 0u);
  EXPECT_STATUS(bridge_channel_unreceive(channel, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_peek(channel, nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_peek(nullptr, &m), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_clear(nullptr, &count), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_set_limit(nullptr, 1, 1), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_limit(nullptr, &count, &count), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_wake(nullptr), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_close(nullptr, BRIDGE_CHANNEL_SENDING),
                BRIDGE_EINVAL);
  EXPECT_STATUS(
      bridge_channel_close(channel, static_cast<bridge_channel_end>(3)),
      BRIDGE_EINVAL);
  EXPECT_TRUE(bridge_channel_closed(nullptr, BRIDGE_CHANNEL_SENDING));
  EXPECT_EQ(bridge_channel_count(nullptr), 0u);
  EXPECT_EQ(bridge_channel_bytes(nullptr), 0u);
  EXPECT_EQ(bridge_channel_dropped(nullptr), 0u);
  EXPECT_EQ(bridge_channel_wakes(nullptr), 0u);
  EXPECT_EQ(bridge_channel_waker(nullptr), nullptr);
  EXPECT_EQ(bridge_channel_policy_of(nullptr, nullptr), BRIDGE_QUEUE_FAIL);
  EXPECT_EQ(bridge_channel_retain(nullptr), nullptr);
  bridge_channel_release(nullptr);
  bridge_channel_options_init(nullptr);
}

TEST(Channel, RefusesOptionsThatMeanNothing)
{
  bridge_channel *channel = nullptr;
  bridge_channel_options options;
  bridge_channel_options_init(&options);
  options.version = 99;
  EXPECT_STATUS(bridge_channel_create(&channel, &options), BRIDGE_EVERSION);
  bridge_channel_options_init(&options);
  options.policy = static_cast<bridge_queue_policy>(3);
  EXPECT_STATUS(bridge_channel_create(&channel, &options), BRIDGE_EINVAL);
  EXPECT_EQ(channel, nullptr);
}

TEST(Channel, HasTheDefaultsOfAQueue)
{
  Numbers channel;
  size_t items = 0;
  size_t bytes = 0;
  int timeout_ms = 0;
  EXPECT_STATUS(bridge_channel_limit(channel, &items, &bytes), BRIDGE_OK);
  EXPECT_EQ(items, 65536u);
  EXPECT_EQ(bytes, 64u << 20);
  EXPECT_EQ(bridge_channel_policy_of(channel, &timeout_ms), BRIDGE_QUEUE_BLOCK);
  EXPECT_EQ(timeout_ms, -1);
}

TEST(Channel, IsFullByItemsAndByBytes)
{
  Numbers channel([](bridge_channel_options &o) {
    o.items = 2;
    o.bytes = 20;
  });
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  EXPECT_STATUS(channel.send(2), BRIDGE_OK);
  EXPECT_STATUS(channel.send(3), BRIDGE_EFULL);
  EXPECT_STATUS(channel.send(3, 1), BRIDGE_ETIMEDOUT);
  EXPECT_EQ(channel.receive(), 1);
  bridge_message *large = message("nineteen bytes long");
  EXPECT_STATUS(bridge_channel_send_timeout(channel, &large, 0), BRIDGE_EFULL);
  EXPECT_EQ(channel.receive(), 2);
  EXPECT_STATUS(bridge_channel_send_timeout(channel, &large, 0), BRIDGE_OK);
  bridge_message *larger = message("one that is a little longer");
  EXPECT_STATUS(bridge_channel_send_timeout(channel, &larger, -1),
                BRIDGE_ELIMIT);
  bridge_message_release(larger);
}

TEST(Channel, DropsTheOldestIfItIsMadeTo)
{
  Numbers channel([](bridge_channel_options &o) {
    o.items = 2;
    o.policy = BRIDGE_QUEUE_DROP_OLDEST;
  });
  for (int i = 0; i < 5; i++) {
    EXPECT_STATUS(channel.send(i), BRIDGE_OK);
  }
  EXPECT_EQ(bridge_channel_dropped(channel), 3u);
  EXPECT_EQ(channel.receive(), 3);
  EXPECT_EQ(channel.receive(), 4);
}

TEST(Channel, FollowsItsPolicyWhenItIsFull)
{
  for (int timeout_ms : {0, 1}) {
    Numbers channel([&](bridge_channel_options &o) {
      o.items = 1;
      o.timeout_ms = timeout_ms;
    });
    EXPECT_STATUS(channel.send(1), BRIDGE_OK);
    Owned<bridge_message> next(message(2));
    bridge_message *m = next.get();
    EXPECT_STATUS(bridge_channel_send(channel, &m),
                  timeout_ms == 0 ? BRIDGE_EFULL : BRIDGE_ETIMEDOUT);
  }
  Numbers failing([](bridge_channel_options &o) {
    o.items = 1;
    o.policy = BRIDGE_QUEUE_FAIL;
  });
  EXPECT_STATUS(failing.send(1), BRIDGE_OK);
  Owned<bridge_message> next(message(2));
  bridge_message *m = next.get();
  EXPECT_STATUS(bridge_channel_send(failing, &m), BRIDGE_EFULL);
}

TEST(Channel, TakesOtherLimitsWhileItIsUsed)
{
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 3); });
  for (int i = 0; i < 3; i++) {
    EXPECT_STATUS(channel.send(i), BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_channel_set_limit(channel, 1, 0), BRIDGE_OK);
  EXPECT_EQ(bridge_channel_count(channel), 3u);
  EXPECT_EQ(channel.receive(), 0);
  EXPECT_EQ(channel.receive(), 1);
  EXPECT_STATUS(channel.send(3), BRIDGE_EFULL);
  EXPECT_STATUS(bridge_channel_set_limit(channel, 2, 0), BRIDGE_OK);
  EXPECT_STATUS(channel.send(3), BRIDGE_OK);
  EXPECT_STATUS(bridge_channel_set_limit(channel, 0, 1), BRIDGE_OK);
  size_t items = 0;
  size_t bytes = 0;
  EXPECT_STATUS(bridge_channel_limit(channel, &items, &bytes), BRIDGE_OK);
  EXPECT_EQ(items, 2u);
  EXPECT_EQ(bytes, 1u);
}

TEST(Channel, ARaisedLimitLetsASenderGo)
{
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 1); });
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  std::thread sender([&] { EXPECT_STATUS(channel.send(2, kLong), BRIDGE_OK); });
  EXPECT_STATUS(bridge_channel_set_limit(channel, 2, 0), BRIDGE_OK);
  sender.join();
  EXPECT_EQ(bridge_channel_count(channel), 2u);
}

TEST(Channel, ASmallerLimitRefusesAMessageThatWaits)
{
  Numbers channel([](bridge_channel_options &o) { o.bytes = 20; });
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  std::atomic<int> status{1};
  std::thread sender([&] {
    bridge_message *large = message("just twenty bytes..");
    status = bridge_channel_send_timeout(channel, &large, kLong);
    bridge_message_release(large);
  });
  EXPECT_STATUS(bridge_channel_set_limit(channel, 0, 10), BRIDGE_OK);
  sender.join();
  EXPECT_EQ(status, BRIDGE_ELIMIT);
}

TEST(Channel, PeekLeavesTheMessage)
{
  Numbers channel;
  bridge_message *m = nullptr;
  EXPECT_STATUS(bridge_channel_peek(channel, &m), BRIDGE_EEMPTY);
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  EXPECT_STATUS(channel.send(2), BRIDGE_OK);
  for (int i = 0; i < 2; i++) {
    ASSERT_STATUS(bridge_channel_peek(channel, &m), BRIDGE_OK);
    EXPECT_EQ(Numbers::number_in(m), 1);
  }
  EXPECT_EQ(bridge_channel_count(channel), 2u);
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_RECEIVING),
                BRIDGE_OK);
  EXPECT_STATUS(bridge_channel_peek(channel, &m), BRIDGE_ECLOSED);
}

TEST(Channel, ClearFreesWhatIsInside)
{
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 2); });
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  EXPECT_STATUS(channel.send(2), BRIDGE_OK);
  std::thread sender([&] { EXPECT_STATUS(channel.send(3, kLong), BRIDGE_OK); });
  size_t count = 0;
  size_t all = 0;
  while (all < 3) { /* the third, too, once it was let in */
    EXPECT_STATUS(bridge_channel_clear(channel, &count), BRIDGE_OK);
    all += count;
  }
  sender.join();
  EXPECT_EQ(all, 3u);
  EXPECT_EQ(bridge_channel_bytes(channel), 0u);
  EXPECT_STATUS(bridge_channel_clear(channel, nullptr), BRIDGE_OK);
}

TEST(Channel, UnreceivePutsInFrontWithoutRoom)
{
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 1); });
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  bridge_message *m = message(0);
  EXPECT_STATUS(bridge_channel_unreceive(channel, &m), BRIDGE_OK);
  EXPECT_EQ(m, nullptr);
  EXPECT_EQ(channel.receive(), 0);
  EXPECT_EQ(channel.receive(), 1);
  m = message(2);
  EXPECT_STATUS(bridge_channel_unreceive(channel, &m), BRIDGE_OK);
  EXPECT_EQ(channel.receive(), 2);
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_RECEIVING),
                BRIDGE_OK);
  m = message(3);
  EXPECT_STATUS(bridge_channel_unreceive(channel, &m), BRIDGE_ECLOSED);
  bridge_message_release(m);
}

TEST(Channel, TakesABatch)
{
  Numbers channel;
  for (int i = 0; i < 5; i++) {
    EXPECT_STATUS(channel.send(i), BRIDGE_OK);
  }
  bridge_message *batch[4] = {};
  size_t count = 0;
  ASSERT_STATUS(bridge_channel_receive_batch(channel, batch, 4, &count, 0),
                BRIDGE_OK);
  ASSERT_EQ(count, 4u);
  for (int i = 0; i < 4; i++) {
    EXPECT_EQ(Numbers::number_in(batch[i]), i);
  }
  ASSERT_STATUS(bridge_channel_receive_batch(channel, batch, 4, &count, 0),
                BRIDGE_OK);
  ASSERT_EQ(count, 1u);
  bridge_message_release(batch[0]);
  EXPECT_STATUS(bridge_channel_receive_batch(channel, batch, 4, &count, 0),
                BRIDGE_EEMPTY);
  EXPECT_EQ(count, 0u);
}

TEST(Channel, ClosedForSendingIsDrained)
{
  Numbers channel;
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  for (int i = 0; i < 2; i++) {
    EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING),
                  BRIDGE_OK);
  }
  EXPECT_TRUE(bridge_channel_closed(channel, BRIDGE_CHANNEL_SENDING));
  EXPECT_FALSE(bridge_channel_closed(channel, BRIDGE_CHANNEL_RECEIVING));
  EXPECT_STATUS(channel.send(2, -1), BRIDGE_ECLOSED);
  EXPECT_EQ(channel.receive(-1), 1);
  EXPECT_EQ(channel.receive(-1), BRIDGE_ECLOSED);
}

TEST(Channel, ClosedForReceivingIsEmpty)
{
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 1); });
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  std::atomic<int> status{1};
  std::thread sender([&] { status = channel.send(2, -1); });
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_RECEIVING),
                BRIDGE_OK);
  sender.join();
  EXPECT_EQ(status, BRIDGE_ECLOSED);
  EXPECT_EQ(bridge_channel_count(channel), 0u);
  EXPECT_TRUE(bridge_channel_closed(channel, BRIDGE_CHANNEL_SENDING));
  EXPECT_EQ(channel.receive(-1), BRIDGE_ECLOSED);
}

TEST(Channel, CloseEndsAllWaits)
{
  Numbers channel;
  std::vector<std::thread> receivers;
  std::atomic<int> closed{0};
  for (int i = 0; i < 4; i++) {
    receivers.emplace_back(
        [&] { closed += channel.receive(-1) == BRIDGE_ECLOSED; });
  }
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING),
                BRIDGE_OK);
  for (auto &each : receivers) {
    each.join();
  }
  EXPECT_EQ(closed, 4);
}

TEST(Channel, WakeEndsAllWaitsOnce)
{
  Numbers channel;
  std::vector<std::thread> receivers;
  std::atomic<int> woken{0};
  std::atomic<int> left{0};
  for (int i = 0; i < 3; i++) {
    receivers.emplace_back([&] {
      woken += channel.receive(-1) == BRIDGE_EEMPTY;
      left++;
    });
  }
  uint64_t times = 0;
  while (left < 3) { /* who was not there yet waits for the next */
    EXPECT_STATUS(bridge_channel_wake(channel), BRIDGE_OK);
    times++;
    std::this_thread::yield();
  }
  for (auto &each : receivers) {
    each.join();
  }
  EXPECT_EQ(woken, 3);
  EXPECT_EQ(bridge_channel_wakes(channel), times);
  EXPECT_EQ(channel.receive(1), BRIDGE_ETIMEDOUT);
}

/* A queue in which a channel tells. */
class Notices
{
public:
  Notices()
  {
    EXPECT_STATUS(bridge_queue_create(&queue_, nullptr), BRIDGE_OK);
  }
  ~Notices()
  {
    bridge_queue_release(queue_);
  }
  operator bridge_queue *() const
  {
    return queue_;
  }
  /* The number of the next one, or -1. */
  int next(int timeout_ms = 0)
  {
    bridge_message *m = nullptr;
    if (bridge_queue_pop(queue_, &m, timeout_ms) != BRIDGE_OK) {
      return -1;
    }
    uint64_t session = 0;
    EXPECT_STATUS(bridge_answer_session(m, &session), BRIDGE_OK);
    EXPECT_STATUS(bridge_answer_error(m, nullptr), BRIDGE_OK);
    EXPECT_EQ(bridge_message_count(m), 0u);
    bridge_message_release(m);
    return (int)session;
  }

private:
  bridge_queue *queue_ = nullptr;
};

bridge_status notify(bridge_channel *channel,
                     const Notices &notices,
                     uint64_t session,
                     bridge_channel_end end = BRIDGE_CHANNEL_RECEIVING)
{
  return bridge_channel_notify(channel, end, notices, session);
}

TEST(Channel, TellsOneReceiverForEachMessageInTheirOrderAndOnce)
{
  Numbers channel;
  Notices notices;
  for (uint64_t i = 1; i <= 3; i++) {
    EXPECT_STATUS(notify(channel, notices, i), BRIDGE_OK);
  }
  EXPECT_EQ(notices.next(), -1);
  EXPECT_STATUS(channel.send(7), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 1);
  EXPECT_EQ(notices.next(), -1);
  EXPECT_STATUS(channel.send(8), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 2);
  EXPECT_EQ(channel.receive(), 7);
  EXPECT_EQ(channel.receive(), 8);
  EXPECT_EQ(channel.receive(), BRIDGE_EEMPTY);
  EXPECT_STATUS(bridge_channel_wake(channel), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 3);
  EXPECT_STATUS(channel.send(9), BRIDGE_OK);
  EXPECT_EQ(notices.next(), -1);
}

TEST(Channel, TellsSendersOfRoom)
{
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 1); });
  Notices notices;
  EXPECT_STATUS(channel.send(1), BRIDGE_OK);
  EXPECT_STATUS(notify(channel, notices, 1, BRIDGE_CHANNEL_SENDING), BRIDGE_OK);
  EXPECT_EQ(notices.next(), -1);
  EXPECT_EQ(channel.receive(), 1);
  EXPECT_EQ(notices.next(), 1);
  for (int i = 0; i < 2; i++) {
    EXPECT_STATUS(notify(channel, notices, 2, BRIDGE_CHANNEL_SENDING),
                  BRIDGE_OK);
    if (i == 0) {
      EXPECT_STATUS(bridge_channel_set_limit(channel, 2, 0), BRIDGE_OK);
    } else {
      EXPECT_STATUS(bridge_channel_clear(channel, nullptr), BRIDGE_OK);
    }
    EXPECT_EQ(notices.next(), 2);
  }
}

TEST(Channel, WhoWithdrawsAfterHeWasToldPassesItOn)
{
  Numbers channel;
  Notices notices;
  EXPECT_STATUS(notify(channel, notices, 1), BRIDGE_OK);
  EXPECT_STATUS(notify(channel, notices, 2), BRIDGE_OK);
  EXPECT_STATUS(channel.send(7), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 1);
  EXPECT_STATUS(bridge_channel_withdraw(channel, notices, 1), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 2);
  EXPECT_EQ(channel.receive(), 7);
  /* And one who was not told is told no more. */
  EXPECT_STATUS(notify(channel, notices, 3), BRIDGE_OK);
  EXPECT_STATUS(notify(channel, notices, 4), BRIDGE_OK);
  EXPECT_STATUS(bridge_channel_withdraw(channel, notices, 3), BRIDGE_OK);
  EXPECT_EQ(notices.next(), -1);
  EXPECT_STATUS(channel.send(8), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 4);
}

/* As many bytes as make it too large for what is left, or not. */
bridge_message *blob(size_t size)
{
  bridge_message *m = nullptr;
  const std::string text(size, 'x');
  EXPECT_STATUS(bridge_message_create(&m, 0), BRIDGE_OK);
  EXPECT_STATUS(bridge_message_write_string(m, text.data(), size), BRIDGE_OK);
  return m;
}

bridge_status send_blob(bridge_channel *channel, size_t size, int timeout_ms)
{
  bridge_message *m = blob(size);
  bridge_status status = bridge_channel_send_timeout(channel, &m, timeout_ms);
  bridge_message_release(m);
  return status;
}

class ChannelRoom : public ::testing::Test
{
protected:
  ChannelRoom()
      : channel([](bridge_channel_options &o) {
          o.items = 10;
          o.bytes = 1000;
        })
  {
    EXPECT_STATUS(send_blob(channel, 300, 0), BRIDGE_OK);
    EXPECT_STATUS(send_blob(channel, 500, 0), BRIDGE_OK);
  }
  void free_some()
  {
    bridge_message *m = nullptr;
    EXPECT_STATUS(bridge_channel_receive(channel, &m, 0), BRIDGE_OK);
    bridge_message_release(m);
  }
  bridge_status ask(uint64_t session)
  {
    return notify(channel, notices, session, BRIDGE_CHANNEL_SENDING);
  }
  Numbers channel;
  Notices notices;
};

TEST_F(ChannelRoom, IsOfferedToEachOnceWhomItIsTooSmallFor)
{
  EXPECT_STATUS(ask(1), BRIDGE_OK);
  EXPECT_STATUS(ask(2), BRIDGE_OK);
  free_some();
  EXPECT_EQ(notices.next(), 1);
  for (uint64_t i = 1; i <= 2; i++) { /* each as an event loop does it */
    EXPECT_STATUS(send_blob(channel, 800, 0), BRIDGE_EFULL);
    EXPECT_STATUS(bridge_channel_withdraw(channel, notices, i), BRIDGE_OK);
    EXPECT_STATUS(ask(i + 2), BRIDGE_OK);
    EXPECT_STATUS(send_blob(channel, 800, 0), BRIDGE_EFULL);
    EXPECT_EQ(notices.next(), i == 1 ? 2 : -1);
  }
  free_some(); /* once there is more the first of them is told again */
  EXPECT_EQ(notices.next(), 3);
}

TEST_F(ChannelRoom, IsOfferedToTheNextAsSoonAsItWasTooSmallForOne)
{
  EXPECT_STATUS(ask(1), BRIDGE_OK);
  EXPECT_STATUS(ask(2), BRIDGE_OK);
  free_some();
  EXPECT_EQ(notices.next(), 1);
  EXPECT_STATUS(ask(3), BRIDGE_OK);
  EXPECT_EQ(notices.next(), -1);
  EXPECT_STATUS(send_blob(channel, 800, 0), BRIDGE_EFULL);
  EXPECT_EQ(notices.next(), 2);
  EXPECT_STATUS(send_blob(channel, 200, 0), BRIDGE_OK);
}

TEST_F(ChannelRoom, OfNoBytesIsPassedOnToo)
{
  bridge_message *empty = nullptr;
  EXPECT_STATUS(bridge_message_create(&empty, 0), BRIDGE_OK);
  EXPECT_STATUS(bridge_channel_unreceive(channel, &empty), BRIDGE_OK);
  EXPECT_STATUS(
      bridge_channel_set_limit(channel, 3, bridge_channel_bytes(channel)),
      BRIDGE_OK);
  EXPECT_STATUS(ask(1), BRIDGE_OK);
  EXPECT_STATUS(ask(2), BRIDGE_OK);
  free_some();
  EXPECT_EQ(notices.next(), 1);
  EXPECT_STATUS(bridge_channel_withdraw(channel, notices, 1), BRIDGE_OK);
  EXPECT_EQ(notices.next(), 2);
}

/* Where it was told of it, another one hears. */
TEST(Channel, TellsTheNextWhereNobodyHears)
{
  for (bool closed : {true, false}) {
    Numbers channel;
    Notices notices;
    auto gone = std::make_unique<Notices>();
    EXPECT_STATUS(notify(channel, *gone, 1), BRIDGE_OK);
    EXPECT_STATUS(notify(channel, *gone, 2), BRIDGE_OK);
    EXPECT_STATUS(notify(channel, notices, 3), BRIDGE_OK);
    EXPECT_STATUS(notify(channel, notices, 4), BRIDGE_OK);
    if (closed) {
      EXPECT_STATUS(bridge_queue_close(*gone), BRIDGE_OK);
    } else {
      gone.reset();
    }
    EXPECT_STATUS(channel.send(7), BRIDGE_OK);
    EXPECT_EQ(notices.next(), 3);
    EXPECT_EQ(notices.next(), -1);
    EXPECT_STATUS(channel.send(8), BRIDGE_OK);
    EXPECT_EQ(notices.next(), 4);
  }
}

TEST(Channel, TellsWhenItIsClosedAndWhenItGoes)
{
  Notices notices;
  Notices unheard;
  {
    Numbers channel;
    EXPECT_STATUS(notify(channel, notices, 1), BRIDGE_OK);
    EXPECT_STATUS(notify(channel, notices, 2, BRIDGE_CHANNEL_SENDING),
                  BRIDGE_OK);
    EXPECT_STATUS(notify(channel, unheard, 3), BRIDGE_OK);
    EXPECT_STATUS(bridge_queue_close(unheard), BRIDGE_OK);
    EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING),
                  BRIDGE_OK);
    EXPECT_EQ(notices.next() + notices.next(), 3);
    EXPECT_STATUS(notify(channel, notices, 4), BRIDGE_OK);
    EXPECT_EQ(notices.next(), -1);
  }
  EXPECT_EQ(notices.next(), 4);
}

TEST(Channel, NotifyRefusesWhatMakesNoSense)
{
  Numbers channel;
  Notices notices;
  EXPECT_STATUS(notify(nullptr, notices, 1), BRIDGE_EINVAL);
  EXPECT_STATUS(notify(channel, notices, 1, (bridge_channel_end)7),
                BRIDGE_EINVAL);
  EXPECT_STATUS(
      bridge_channel_notify(channel, BRIDGE_CHANNEL_SENDING, nullptr, 1),
      BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_withdraw(nullptr, notices, 1), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_withdraw(channel, nullptr, 1), BRIDGE_EINVAL);
  EXPECT_STATUS(bridge_channel_withdraw(channel, notices, 1), BRIDGE_OK);
}

/* Sleepers, one who is told, and a select: all that is sent is received. */
TEST(Channel, WhoIsToldAndWhoSleepsShareTheMessages)
{
  constexpr int kMessages = 3000;
  Numbers channel([](bridge_channel_options &o) { limit_items(o, 2); });
  std::atomic<int> received{0};
  auto sleeps = [&] {
    int got = 0;
    while ((got = (int)channel.receive(-1)) >= 0) {
      received++;
    }
    EXPECT_EQ(got, BRIDGE_ECLOSED);
  };
  auto is_told = [&] {
    Notices notices;
    for (uint64_t i = 1;; i++) {
      EXPECT_STATUS(notify(channel, notices, i), BRIDGE_OK);
      int got = (int)channel.receive(0);
      if (got == BRIDGE_EEMPTY) {
        int told = 0; /* or one of before, which was told as it withdrew */
        while ((told = notices.next(-1)) < (int)i) {
        }
        EXPECT_EQ(told, (int)i);
        got = (int)channel.receive(0);
      }
      EXPECT_STATUS(bridge_channel_withdraw(channel, notices, i), BRIDGE_OK);
      received += got >= 0;
      if (got == BRIDGE_ECLOSED) {
        return;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; i++) {
    threads.emplace_back(sleeps);
    threads.emplace_back(is_told);
  }
  for (int i = 0; i < kMessages; i++) {
    bridge_message *m = message(i);
    ASSERT_STATUS(bridge_channel_send_timeout(channel, &m, kLong), BRIDGE_OK);
  }
  EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING),
                BRIDGE_OK);
  for (auto &each : threads) {
    each.join();
  }
  EXPECT_EQ(received, kMessages);
}

TEST(Channel, ASmallMessagePassesALargeOneThatWaits)
{
  Numbers channel([](bridge_channel_options &o) {
    o.items = 3;
    o.bytes = 20;
  });
  for (int i = 0; i < 3; i++) {
    EXPECT_STATUS(channel.send(i), BRIDGE_OK);
  }
  std::thread large([&] {
    bridge_message *m = message("nineteen bytes long");
    EXPECT_STATUS(bridge_channel_send_timeout(channel, &m, kLong), BRIDGE_OK);
  });
  std::thread small([&] { EXPECT_STATUS(channel.send(3, kLong), BRIDGE_OK); });
  EXPECT_EQ(channel.receive(), 0);
  small.join(); /* whichever came first */
  EXPECT_EQ(channel.receive(), 1);
  EXPECT_EQ(channel.receive(), 2);
  EXPECT_EQ(channel.receive(), 3);
  large.join();
}

TEST(Channel, DoesNotHoldItself)
{
  Numbers channel;
  bridge_message *m = message(static_cast<bridge_channel *>(channel));
  EXPECT_STATUS(bridge_channel_send(channel, &m), BRIDGE_ECYCLE);
  EXPECT_STATUS(bridge_channel_unreceive(channel, &m), BRIDGE_ECYCLE);
  Numbers other;
  EXPECT_STATUS(bridge_channel_send(other, &m), BRIDGE_OK);
}

TEST(Channel, RefusesAMessageThatIsNotFinished)
{
  Numbers channel;
  Owned<bridge_message> open(message());
  ASSERT_STATUS(bridge_message_begin_array(open.get(), 1), BRIDGE_OK);
  bridge_message *m = open.get();
  EXPECT_STATUS(bridge_channel_send(channel, &m), BRIDGE_EINVAL);
}

TEST(Channel, CrossesInAMessage)
{
  Numbers channel;
  Numbers carrier;
  bridge_message *m = message(static_cast<bridge_channel *>(channel));
  ASSERT_STATUS(bridge_channel_send(carrier, &m), BRIDGE_OK);
  ASSERT_STATUS(bridge_channel_receive(carrier, &m, 0), BRIDGE_OK);
  bridge_reader reader;
  void *handle = nullptr;
  ASSERT_STATUS(bridge_reader_init(&reader, m), BRIDGE_OK);
  EXPECT_STATUS(bridge_reader_handle(&reader, BRIDGE_HANDLE_QUEUE, &handle),
                BRIDGE_ETYPE);
  EXPECT_STATUS(bridge_reader_handle(&reader, BRIDGE_HANDLE_CHANNEL, &handle),
                BRIDGE_OK);
  EXPECT_EQ(handle, static_cast<bridge_channel *>(channel));
  bridge_message_release(m);
}

bool readable(int file)
{
  struct pollfd entry = {file, POLLIN, 0};
  return poll(&entry, 1, 0) == 1;
}

TEST(Channel, ItsWakerIsRaisedWhileSomethingIsInside)
{
  bridge_waker *waker = nullptr;
  int file = -1;
  ASSERT_STATUS(bridge_waker_create(&waker, BRIDGE_WAKER_DEFAULT), BRIDGE_OK);
  ASSERT_STATUS(bridge_waker_fileno(waker, &file), BRIDGE_OK);
  {
    Numbers channel([&](bridge_channel_options &o) { o.waker = waker; });
    bridge_channel_options again;
    bridge_channel_options_init(&again);
    again.waker = waker;
    bridge_channel *none = nullptr;
    EXPECT_STATUS(bridge_channel_create(&none, &again), BRIDGE_EBUSY);
    EXPECT_EQ(bridge_channel_waker(channel), waker);
    EXPECT_STATUS(channel.send(1), BRIDGE_OK);
    EXPECT_STATUS(channel.send(2), BRIDGE_OK);
    EXPECT_TRUE(readable(file));
    EXPECT_EQ(channel.receive(), 1);
    EXPECT_TRUE(readable(file));
    EXPECT_EQ(channel.receive(), 2);
    EXPECT_FALSE(readable(file));
    EXPECT_STATUS(bridge_channel_close(channel, BRIDGE_CHANNEL_SENDING),
                  BRIDGE_OK);
    EXPECT_EQ(channel.receive(), BRIDGE_ECLOSED);
    EXPECT_TRUE(readable(file)); /* so that the loop finds out */
  }
  bridge_waker_release(waker);
}

} // namespace
