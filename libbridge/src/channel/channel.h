/* The body of a channel, for the files that make it up. */
#ifndef BRIDGE_CHANNEL_CHANNEL_H
#define BRIDGE_CHANNEL_CHANNEL_H

#include "base/registry.h"
#include "base/watch.h"
#include "message/message.h"

#include <bridge/channel.h>

struct bridge_channel {
  bridge__listed object;
  bridge_waker *waker; /* one reference, or NULL */
  bridge_queue_policy policy;
  int timeout_ms;

  bridge__mutex mutex;
  /* All that follows is guarded by it. */
  bridge_node *oldest; /* linked from the oldest to the newest */
  bridge_node *newest;
  size_t items;
  size_t bytes;
  size_t most_items;
  size_t most_bytes;
  bool sending_closed;
  bool receiving_closed;
  uint64_t wakes;
  uint64_t dropped;
  bridge__watchers senders;
  bridge__watchers receivers;
};

/* Whether it is there, ours, and not of a parent. */
static inline bridge_status bridge__channel_check(const bridge_channel *channel)
{
  if (channel == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(channel) ? BRIDGE_EFORKED : BRIDGE_OK;
}

/* ---- Under the mutex ---- */

void bridge__channel_append(bridge_channel *channel, bridge_message *message);
void bridge__channel_put_front(bridge_channel *channel,
                               bridge_message *message);
/* The oldest message; there is one. */
bridge_message *bridge__channel_take(bridge_channel *channel);
/* All messages, as a list. */
bridge_node *bridge__channel_take_all(bridge_channel *channel);

static inline bool bridge__channel_fits(const bridge_channel *channel,
                                        size_t size)
{
  return channel->items < channel->most_items &&
         channel->bytes <= channel->most_bytes &&
         size <= channel->most_bytes - channel->bytes;
}

/* By who goes without the room, or leaves some. */
static inline void bridge__channel_offer_room(bridge_channel *channel)
{
  if (bridge__channel_fits(channel, 0)) {
    bridge__watch_tell_next(&channel->senders);
  }
}

/* What a receiver asks for, and how it went. */
typedef struct bridge__receiving {
  bridge_channel *channel;
  bridge_message **messages;
  size_t capacity;
  size_t count;
  uint64_t wakes; /* of the channel as the wait began */
  bridge_status status;
} bridge__receiving;

/* Whether there is nothing to wait for any more: `status` says why. */
bool bridge__channel_look(bridge__receiving *wanted);

/* ---- Without the mutex ---- */

/* After each call that may have told somebody. */
static inline void bridge__channel_settle(bridge_channel *channel)
{
  bridge__watch_settle(&channel->receivers, &channel->mutex);
  bridge__watch_settle(&channel->senders, &channel->mutex);
}

/* Freeing runs code of others. */
void bridge__channel_free_list(bridge_node *oldest);
/* The event loop is told, if there is one; refused only if its waker was
   closed. */
static inline void bridge__channel_raise(bridge_channel *channel)
{
  if (channel->waker != NULL) {
    bridge_waker_raise(channel->waker);
  }
}

#endif
