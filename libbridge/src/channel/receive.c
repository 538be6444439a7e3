/* Receive: what is there is taken at once; else wait to be told. */
#include "channel/channel.h"

#include "waker/waker.h"

static void take(bridge__receiving *wanted)
{
  bridge_channel *channel = wanted->channel;
  while (channel->items > 0 && wanted->count < wanted->capacity) {
    wanted->messages[wanted->count++] = bridge__channel_take(channel);
  }
  /* One: it tells the next, if there is room for more. */
  bridge__watch_tell_one(&channel->senders);
}

/* The waker is cleared while nothing is inside, and raised after something went
   in, so whatever raise comes later belongs to what is there, or to nothing. */
static void clear_if_empty(const bridge_channel *channel)
{
  if (channel->waker != NULL && channel->items == 0 &&
      !channel->sending_closed && bridge__waker_pending(channel->waker)) {
    bridge_waker_clear(channel->waker);
  }
}

bool bridge__channel_look(bridge__receiving *wanted)
{
  const bridge_channel *channel = wanted->channel;
  bool over = true;
  if (channel->items > 0) {
    take(wanted);
    wanted->status = BRIDGE_OK;
  } else if (channel->sending_closed) {
    wanted->status = BRIDGE_ECLOSED;
  } else {
    wanted->status = BRIDGE_EEMPTY;
    over = channel->wakes != wanted->wakes;
  }
  clear_if_empty(channel);
  return over;
}

static bool look(void *request, bridge__watch *watch)
{
  bridge__receiving *wanted = request;
  if (watch == NULL) {
    wanted->wakes = wanted->channel->wakes;
  }
  return bridge__channel_look(wanted);
}

static bridge_status receive(bridge__receiving *wanted, int timeout_ms)
{
  bridge_channel *channel = wanted->channel;
  bridge_status status = bridge__watch_wait(
      &channel->mutex, &channel->receivers, look, wanted, timeout_ms);
  bridge__channel_settle(channel);
  return status == BRIDGE_OK ? wanted->status : status;
}

bridge_status bridge_channel_receive(bridge_channel *channel,
                                     bridge_message **out,
                                     int timeout_ms)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_message *message = NULL;
  bridge__receiving wanted = {
      .channel = channel, .messages = &message, .capacity = 1};
  status = receive(&wanted, timeout_ms);
  if (status == BRIDGE_OK) {
    *out = message;
  }
  return status;
}

bridge_status bridge_channel_receive_batch(bridge_channel *channel,
                                           bridge_message **messages,
                                           size_t capacity,
                                           size_t *count,
                                           int timeout_ms)
{
  if (messages == NULL || capacity == 0 || count == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__receiving wanted = {
      .channel = channel, .messages = messages, .capacity = capacity};
  bridge_status status = bridge__channel_check(channel);
  if (status == BRIDGE_OK) {
    status = receive(&wanted, timeout_ms);
  }
  *count = wanted.count;
  return status;
}

/* Under the mutex: nobody may take the message while it is copied. */
static bridge_status copy_oldest(bridge_message **out,
                                 const bridge_channel *channel)
{
  if (channel->items == 0) {
    return channel->sending_closed ? BRIDGE_ECLOSED : BRIDGE_EEMPTY;
  }
  /* The node is the message's first member. */
  return bridge_message_clone(out, (const bridge_message *)channel->oldest);
}

bridge_status bridge_channel_peek(bridge_channel *channel, bridge_message **out)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__mutex_lock(&channel->mutex);
  status = copy_oldest(out, channel);
  bridge__mutex_unlock(&channel->mutex);
  return status;
}
