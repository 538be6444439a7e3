/* Our channel, with messages that are made, written, read and freed. */
#include <bridge/bridge.h>

#include "bench.h"

static bridge_channel *channel;

static void channel_open(size_t room)
{
  bridge_channel_options options;
  bridge_channel_options_init(&options);
  options.items = room;
  bench_check(bridge_channel_create(&channel, &options) == BRIDGE_OK,
              "no channel");
}

static inline void channel_send(int64_t value)
{
  bridge_message *message = NULL;
  bench_check(bridge_message_create(&message, 0) == BRIDGE_OK &&
                  bridge_message_write_integer(message, value) == BRIDGE_OK &&
                  bridge_channel_send(channel, &message) == BRIDGE_OK,
              "cannot send");
}

static inline int64_t channel_take(void)
{
  bridge_message *message = NULL;
  bridge_reader reader;
  int64_t value = -1;
  bench_check(bridge_channel_receive(channel, &message, -1) == BRIDGE_OK &&
                  bridge_reader_init(&reader, message) == BRIDGE_OK &&
                  bridge_reader_integer(&reader, &value) == BRIDGE_OK,
              "cannot receive");
  bridge_message_release(message);
  return value;
}

#include "channel_traffic.h"
