/* Channel: its life, its list, and what may be asked of it.  send.c and receive.c
   do the work, select.c waits for several. */
#include "channel/channel.h"

#include "base/memory.h"
#include "waker/waker.h"

#define ITEMS_DEFAULT ((size_t)65536)
#define BYTES_DEFAULT ((size_t)64 * 1024 * 1024)

/* ---- The list ---- */

static void count_in(bridge_channel *channel, const bridge_message *message)
{
  channel->items++;
  channel->bytes += message->size;
}

void bridge__channel_append(bridge_channel *channel, bridge_message *message)
{
  message->node.next = NULL;
  if (channel->newest == NULL) {
    channel->oldest = &message->node;
  } else {
    channel->newest->next = &message->node;
  }
  channel->newest = &message->node;
  count_in(channel, message);
}

void bridge__channel_put_front(bridge_channel *channel, bridge_message *message)
{
  message->node.next = channel->oldest;
  channel->oldest = &message->node;
  if (channel->newest == NULL) {
    channel->newest = &message->node;
  }
  count_in(channel, message);
}

bridge_message *bridge__channel_take(bridge_channel *channel)
{
  bridge_message *message =
      (bridge_message *)channel->oldest; /* first member */
  channel->oldest = message->node.next;
  if (channel->oldest == NULL) {
    channel->newest = NULL;
  }
  message->node.next = NULL;
  channel->items--;
  channel->bytes -= message->size;
  return message;
}

bridge_node *bridge__channel_take_all(bridge_channel *channel)
{
  bridge_node *oldest = channel->oldest;
  channel->oldest = NULL;
  channel->newest = NULL;
  channel->items = 0;
  channel->bytes = 0;
  return oldest;
}

void bridge__channel_free_list(bridge_node *oldest)
{
  while (oldest != NULL) {
    bridge_message *message = (bridge_message *)oldest; /* its first member */
    oldest = oldest->next;
    message->node.next = NULL;
    bridge_message_release(message);
  }
}

/* ---- Looking ---- */

/* A look at all the numbers; zeros in the child of a fork, whose parent may have
   held the mutex. */
typedef struct glance {
  size_t items;
  size_t bytes;
  size_t most_items;
  size_t most_bytes;
  uint64_t wakes;
  uint64_t dropped;
  bool sending_closed;
  bool receiving_closed;
} glance;

static glance look(bridge_channel *channel)
{
  if (bridge__channel_check(channel) != BRIDGE_OK) {
    return (glance){.sending_closed = true, .receiving_closed = true};
  }
  bridge__mutex_lock(&channel->mutex);
  const glance seen = {
      .items = channel->items,
      .bytes = channel->bytes,
      .most_items = channel->most_items,
      .most_bytes = channel->most_bytes,
      .wakes = channel->wakes,
      .dropped = channel->dropped,
      .sending_closed = channel->sending_closed,
      .receiving_closed = channel->receiving_closed,
  };
  bridge__mutex_unlock(&channel->mutex);
  return seen;
}

/* ---- Life ---- */

void bridge_channel_options_init(bridge_channel_options *options)
{
  if (options == NULL) {
    return;
  }
  *options = (bridge_channel_options){
      .version = BRIDGE_CHANNEL_OPTIONS_VERSION,
      .policy = BRIDGE_QUEUE_BLOCK,
      .timeout_ms = -1,
  };
}

static void destroy(void *object)
{
  bridge_channel *channel = object;
  /* In the child of a fork somebody may have been working on the list: then what
     is in it is lost, rather than freed twice. */
  if (!bridge__forked(channel)) {
    /* Nobody sleeps: who does has a reference. */
    bridge__watch_tell_all(&channel->senders);
    bridge__watch_tell_all(&channel->receivers);
    bridge__channel_settle(channel);
    bridge__channel_free_list(channel->oldest);
    bridge__mutex_destroy(&channel->mutex);
  }
  if (channel->waker != NULL) {
    bridge__waker_unclaim(channel->waker);
    bridge_waker_release(channel->waker);
  }
  bridge__free(channel);
}

static void look_at(void *object, bridge_object_info *info)
{
  const glance seen = look(object);
  info->closed = seen.sending_closed;
  info->items = seen.items;
  info->bytes = seen.bytes;
}

static bridge_status close_it(void *object)
{
  return bridge_channel_close(object, BRIDGE_CHANNEL_SENDING);
}

static const struct bridge__listing listing = {look_at, close_it};
static const bridge__type type = {BRIDGE_HANDLE_CHANNEL, "channel", destroy,
                                  &listing};

static bridge_status choose(bridge_channel_options *chosen,
                            const bridge_channel_options *options)
{
  bridge_channel_options_init(chosen);
  if (options != NULL) {
    if (options->version != BRIDGE_CHANNEL_OPTIONS_VERSION) {
      return BRIDGE_EVERSION;
    }
    *chosen = *options;
  }
  if (chosen->items == 0) {
    chosen->items = ITEMS_DEFAULT;
  }
  if (chosen->bytes == 0) {
    chosen->bytes = BYTES_DEFAULT;
  }
  const bool valid = (int)chosen->policy >= BRIDGE_QUEUE_BLOCK &&
                     (int)chosen->policy <= BRIDGE_QUEUE_DROP_OLDEST;
  return valid ? BRIDGE_OK : BRIDGE_EINVAL;
}

static bridge_status make(bridge_channel **out,
                          const bridge_channel_options *chosen)
{
  bridge_channel *channel = bridge__allocate_zero(sizeof *channel);
  if (channel == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge__mutex_init(&channel->mutex);
  if (status != BRIDGE_OK) {
    bridge__free(channel);
    return status;
  }
  bridge__object_init(channel, &type);
  channel->waker = bridge_waker_retain(chosen->waker);
  channel->policy = chosen->policy;
  channel->timeout_ms = chosen->timeout_ms;
  channel->most_items = chosen->items;
  channel->most_bytes = chosen->bytes;
  *out = channel;
  return BRIDGE_OK;
}

bridge_status bridge_channel_create(bridge_channel **out,
                                    const bridge_channel_options *options)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_channel_options chosen;
  bridge_status status = choose(&chosen, options);
  if (status == BRIDGE_OK && chosen.waker != NULL) {
    status = bridge__forked(chosen.waker) ? BRIDGE_EFORKED
                                          : bridge__waker_claim(chosen.waker);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  status = make(out, &chosen);
  if (status == BRIDGE_OK) {
    bridge__enlist(*out);
  } else if (chosen.waker != NULL) {
    bridge__waker_unclaim(chosen.waker);
  }
  return status;
}

bridge_channel *bridge_channel_retain(bridge_channel *channel)
{
  return bridge__retain(channel);
}

void bridge_channel_release(bridge_channel *channel)
{
  bridge__release(channel);
}

/* ---- Changing ---- */

static bool known(bridge_channel_end end)
{
  return end == BRIDGE_CHANNEL_SENDING || end == BRIDGE_CHANNEL_RECEIVING;
}

bridge_status bridge_channel_close(bridge_channel *channel,
                                   bridge_channel_end end)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (!known(end)) {
    return BRIDGE_EINVAL;
  }
  bridge_node *left = NULL;
  bridge__mutex_lock(&channel->mutex);
  channel->sending_closed = true;
  if (end == BRIDGE_CHANNEL_RECEIVING) {
    channel->receiving_closed = true;
    left = bridge__channel_take_all(channel);
  }
  bridge__watch_tell_all(&channel->senders);
  bridge__watch_tell_all(&channel->receivers);
  bridge__mutex_unlock(&channel->mutex);
  bridge__channel_settle(channel);
  bridge__channel_raise(channel);
  bridge__channel_free_list(left);
  return BRIDGE_OK;
}

bridge_status bridge_channel_clear(bridge_channel *channel, size_t *count)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&channel->mutex);
  const size_t items = channel->items;
  bridge_node *oldest = bridge__channel_take_all(channel);
  bridge__watch_tell_all(&channel->senders);
  bridge__mutex_unlock(&channel->mutex);
  bridge__channel_settle(channel);
  bridge__channel_free_list(oldest);
  if (count != NULL) {
    *count = items;
  }
  return BRIDGE_OK;
}

bridge_status bridge_channel_set_limit(bridge_channel *channel,
                                       size_t items,
                                       size_t bytes)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&channel->mutex);
  channel->most_items = items == 0 ? channel->most_items : items;
  channel->most_bytes = bytes == 0 ? channel->most_bytes : bytes;
  /* There may be room now; or a message that waits has become too large. */
  bridge__watch_tell_all(&channel->senders);
  bridge__mutex_unlock(&channel->mutex);
  bridge__channel_settle(channel);
  return BRIDGE_OK;
}

bridge_status bridge_channel_wake(bridge_channel *channel)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&channel->mutex);
  channel->wakes++;
  bridge__watch_tell_all(&channel->receivers);
  bridge__mutex_unlock(&channel->mutex);
  bridge__channel_settle(channel);
  return BRIDGE_OK;
}

/* ---- Asking ---- */

bridge_status bridge_channel_limit(bridge_channel *channel,
                                   size_t *items,
                                   size_t *bytes)
{
  bridge_status status = bridge__channel_check(channel);
  if (status != BRIDGE_OK) {
    return status;
  }
  const glance seen = look(channel);
  if (items != NULL) {
    *items = seen.most_items;
  }
  if (bytes != NULL) {
    *bytes = seen.most_bytes;
  }
  return BRIDGE_OK;
}

bool bridge_channel_closed(bridge_channel *channel, bridge_channel_end end)
{
  const glance seen = look(channel);
  return end == BRIDGE_CHANNEL_RECEIVING ? seen.receiving_closed
                                         : seen.sending_closed;
}

size_t bridge_channel_count(bridge_channel *channel)
{
  return look(channel).items;
}

size_t bridge_channel_bytes(bridge_channel *channel)
{
  return look(channel).bytes;
}

uint64_t bridge_channel_dropped(bridge_channel *channel)
{
  return look(channel).dropped;
}

uint64_t bridge_channel_wakes(bridge_channel *channel)
{
  return look(channel).wakes;
}

bridge_queue_policy bridge_channel_policy_of(const bridge_channel *channel,
                                             int *timeout_ms)
{
  if (timeout_ms != NULL) {
    *timeout_ms = channel == NULL ? 0 : channel->timeout_ms;
  }
  return channel == NULL ? BRIDGE_QUEUE_FAIL : channel->policy;
}

bridge_waker *bridge_channel_waker(const bridge_channel *channel)
{
  return channel == NULL ? NULL : channel->waker;
}
