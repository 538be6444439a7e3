/* What the tests of channels, selects and timers share. */
#ifndef BRIDGE_TESTS_CHANNEL_H
#define BRIDGE_TESTS_CHANNEL_H

#include "support.h"

#include <functional>

/* A channel, or a queue, that frees itself and deals in numbers. */
class Numbers
{
public:
  explicit Numbers(
      const std::function<void(bridge_channel_options &)> &choose = nullptr)
  {
    bridge_channel_options options;
    bridge_channel_options_init(&options);
    if (choose) {
      choose(options);
    }
    EXPECT_STATUS(bridge_channel_create(&channel, &options), BRIDGE_OK);
  }
  Numbers(const Numbers &) = delete;
  Numbers &operator=(const Numbers &) = delete;
  ~Numbers()
  {
    bridge_channel_release(channel);
  }
  operator bridge_channel *() const
  {
    return channel;
  }
  bridge_status send(int64_t value, int timeout_ms = 0)
  {
    bridge_message *m = message(value);
    bridge_status status = bridge_channel_send_timeout(channel, &m, timeout_ms);
    EXPECT_EQ(m == nullptr, status == BRIDGE_OK);
    bridge_message_release(m);
    return status;
  }
  /* The number, or the status, which is negative. */
  int64_t receive(int timeout_ms = 0)
  {
    bridge_message *m = nullptr;
    bridge_status status = bridge_channel_receive(channel, &m, timeout_ms);
    EXPECT_EQ(m != nullptr, status == BRIDGE_OK);
    return status == BRIDGE_OK ? number_in(m) : int64_t{status};
  }
  static int64_t number_in(bridge_message *m)
  {
    bridge_reader reader;
    int64_t value = INT64_MIN;
    EXPECT_STATUS(bridge_reader_init(&reader, m), BRIDGE_OK);
    EXPECT_STATUS(bridge_reader_integer(&reader, &value), BRIDGE_OK);
    bridge_message_release(m);
    return value;
  }

private:
  bridge_channel *channel = nullptr;
};

#endif
