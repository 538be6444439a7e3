/* Notify: who waits for a channel in an event loop. */
#include "channel/channel.h"
#include "queue/notice.h"

static bridge_status check(const bridge_channel *channel,
                           const bridge_queue *answers)
{
  bridge_status status = bridge__channel_check(channel);
  if (status == BRIDGE_OK && answers == NULL) {
    status = BRIDGE_EINVAL;
  }
  return status == BRIDGE_OK && bridge__forked(answers) ? BRIDGE_EFORKED
                                                        : status;
}

bridge_status bridge_channel_notify(bridge_channel *channel,
                                    bridge_channel_end end,
                                    bridge_queue *answers,
                                    uint64_t session)
{
  bridge_status status = check(channel, answers);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (end != BRIDGE_CHANNEL_SENDING && end != BRIDGE_CHANNEL_RECEIVING) {
    return BRIDGE_EINVAL;
  }
  bridge__notice *notice = NULL;
  status = bridge__notice_create(&notice, answers, session);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__watchers *list =
      end == BRIDGE_CHANNEL_SENDING ? &channel->senders : &channel->receivers;
  bridge__mutex_lock(&channel->mutex);
  bridge__notice_add(list, notice);
  bridge__mutex_unlock(&channel->mutex);
  return BRIDGE_OK;
}

/* Under the mutex.  Who is in no list any more was told, and may go without what it
   was told of: somebody else has to hear of that. */
static void pass_on(bridge_channel *channel,
                    const bridge__notice *receives,
                    const bridge__notice *sends)
{
  if (receives == NULL && channel->items > 0) {
    bridge__watch_tell_next(&channel->receivers);
  }
  if (sends == NULL) {
    bridge__channel_offer_room(channel);
  }
}

bridge_status bridge_channel_withdraw(bridge_channel *channel,
                                      const bridge_queue *answers,
                                      uint64_t session)
{
  bridge_status status = check(channel, answers);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&channel->mutex);
  bridge__notice *receives =
      bridge__notice_take(&channel->receivers, answers, session);
  bridge__notice *sends =
      bridge__notice_take(&channel->senders, answers, session);
  pass_on(channel, receives, sends);
  bridge__mutex_unlock(&channel->mutex);
  bridge__channel_settle(channel);
  if (receives != NULL) {
    bridge__notice_free(receives);
  }
  if (sends != NULL) {
    bridge__notice_free(sends);
  }
  return BRIDGE_OK;
}
