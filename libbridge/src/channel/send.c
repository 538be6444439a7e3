/* Send: append where there is room; else wait, refuse, or free the oldest. */
#include "channel/channel.h"

typedef struct sending {
  bridge_channel *channel;
  bridge_message **message;
  bridge_status status;
  bridge_node *dropped; /* to be freed without the mutex */
  bool first;           /* the channel was empty */
} sending;

static void drop_until_fits(bridge_channel *channel, sending *wanted)
{
  const size_t size = (*wanted->message)->size;
  while (channel->items > 0 && !bridge__channel_fits(channel, size)) {
    bridge_message *oldest = bridge__channel_take(channel);
    oldest->node.next = wanted->dropped;
    wanted->dropped = &oldest->node;
    channel->dropped++;
  }
}

static void append(bridge_channel *channel, sending *wanted)
{
  wanted->first = channel->items == 0;
  bridge__channel_append(channel, *wanted->message);
  *wanted->message = NULL;
  bridge__watch_tell_one(&channel->receivers);
  bridge__channel_offer_room(channel);
}

/* Why the message can never go in, or BRIDGE_OK. */
static bridge_status refusal(const bridge_channel *channel, size_t size)
{
  if (channel->sending_closed) {
    return BRIDGE_ECLOSED;
  }
  return size > channel->most_bytes ? BRIDGE_ELIMIT : BRIDGE_OK;
}

static bool look(void *request, bridge__watch *watch)
{
  sending *wanted = request;
  bridge_channel *channel = wanted->channel;
  const size_t size = (*wanted->message)->size;
  wanted->status = refusal(channel, size);
  if (wanted->status == BRIDGE_OK &&
      channel->policy == BRIDGE_QUEUE_DROP_OLDEST) {
    drop_until_fits(channel, wanted);
  }
  const bool fitting =
      wanted->status == BRIDGE_OK && bridge__channel_fits(channel, size);
  if (fitting) {
    append(channel, wanted);
  } else if (watch == NULL || watch->told) {
    /* He may have been told of room that is for a smaller one.  Of who does not
       sleep it is not known. */
    bridge__channel_offer_room(channel);
  }
  return fitting || wanted->status != BRIDGE_OK;
}

static bridge_status admit(const bridge_channel *channel,
                           bridge_message *const *message)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (message == NULL || *message == NULL ||
      !bridge__message_finished(*message)) {
    return BRIDGE_EINVAL;
  }
  /* Else each would keep the other, for ever. */
  const bool cycle =
      (*message)->slot_count > 0 && bridge__message_holds(*message, channel);
  return cycle ? BRIDGE_ECYCLE : BRIDGE_OK;
}

bridge_status bridge_channel_send_timeout(bridge_channel *channel,
                                          bridge_message **message,
                                          int timeout_ms)
{
  bridge_status status = admit(channel, message);
  if (status != BRIDGE_OK) {
    return status;
  }
  sending wanted = {.channel = channel, .message = message};
  status = bridge__watch_wait(&channel->mutex, &channel->senders, look, &wanted,
                              timeout_ms);
  bridge__channel_settle(channel);
  if (wanted.first) {
    bridge__channel_raise(channel);
  }
  bridge__channel_free_list(wanted.dropped);
  if (status == BRIDGE_OK) {
    return wanted.status;
  }
  return status == BRIDGE_EEMPTY ? BRIDGE_EFULL : status;
}

bridge_status bridge_channel_send(bridge_channel *channel,
                                  bridge_message **message)
{
  const bool waits = channel != NULL && channel->policy == BRIDGE_QUEUE_BLOCK;
  return bridge_channel_send_timeout(channel, message,
                                     waits ? channel->timeout_ms : 0);
}

static bridge_status put_front(bridge_channel *channel,
                               bridge_message **message)
{
  if (channel->receiving_closed) {
    return BRIDGE_ECLOSED;
  }
  bridge__channel_put_front(channel, *message);
  *message = NULL;
  bridge__watch_tell_one(&channel->receivers);
  return BRIDGE_OK;
}

bridge_status bridge_channel_unreceive(bridge_channel *channel,
                                       bridge_message **message)
{
  bridge_status status = admit(channel, message);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&channel->mutex);
  status = put_front(channel, message);
  bridge__mutex_unlock(&channel->mutex);
  bridge__channel_settle(channel);
  if (status == BRIDGE_OK) {
    bridge__channel_raise(channel);
  }
  return status;
}
