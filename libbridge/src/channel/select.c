/* Select: one thread watches several queues and channels, and takes from the
   first that has something. */
#include "base/interrupt.h"
#include "base/memory.h"
#include "channel/channel.h"
#include "queue/queue.h"

#include <bridge/select.h>

/* Most sources that need no memory of their own. */
#define FEW ((size_t)8)

typedef struct source {
  bridge_handle_kind kind;
  union {
    bridge_queue *queue;
    bridge_channel *channel;
  } as;
  bridge__watch watch;
  uint64_t wakes; /* of a channel, as the select began */
} source;

typedef struct selection {
  source *sources;
  size_t count;
  size_t index;
  bridge_message *message;
  bridge__parking sleeper;
} selection;

/* ---- One source ---- */

static bridge_status check(const bridge_select_item *item)
{
  if (item->handle == NULL || (item->kind != BRIDGE_HANDLE_QUEUE &&
                               item->kind != BRIDGE_HANDLE_CHANNEL)) {
    return BRIDGE_EINVAL;
  }
  const bridge__object *object = item->handle;
  if (object->type->kind != item->kind) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(object) ? BRIDGE_EFORKED : BRIDGE_OK;
}

static bridge_status begin(source *each, const bridge_select_item *item)
{
  each->kind = item->kind;
  if (each->kind == BRIDGE_HANDLE_QUEUE) {
    each->as.queue = item->handle;
    return bridge__queue_occupy(each->as.queue);
  }
  each->as.channel = item->handle;
  each->wakes = bridge_channel_wakes(each->as.channel);
  return BRIDGE_OK;
}

static void end(source *each)
{
  if (each->kind == BRIDGE_HANDLE_QUEUE) {
    bridge__queue_vacate(each->as.queue);
  } else {
    bridge__channel_settle(each->as.channel);
  }
}

/* BRIDGE_EEMPTY: nothing yet.  A channel that was woken sets `*woken`. */
static bridge_status look(source *each, bridge_message **message, bool *woken)
{
  if (each->kind == BRIDGE_HANDLE_QUEUE) {
    return bridge__queue_look(each->as.queue, message);
  }
  bridge_channel *channel = each->as.channel;
  bridge__receiving wanted = {.channel = channel,
                              .messages = message,
                              .capacity = 1,
                              .wakes = each->wakes};
  bridge__mutex_lock(&channel->mutex);
  const bool over = bridge__channel_look(&wanted);
  bridge__watch_looked(&channel->receivers, &each->watch);
  bridge__mutex_unlock(&channel->mutex);
  *woken = over && wanted.status == BRIDGE_EEMPTY;
  return wanted.status;
}

/* Nothing is taken now. */
static void pass_on(source *each)
{
  if (each->kind == BRIDGE_HANDLE_CHANNEL) {
    bridge_channel *channel = each->as.channel;
    bridge__mutex_lock(&channel->mutex);
    bridge__watch_pass_on(&channel->receivers, &each->watch);
    bridge__mutex_unlock(&channel->mutex);
    bridge__channel_settle(channel);
  }
}

static void watch(source *each, bridge__parking *sleeper)
{
  if (each->kind == BRIDGE_HANDLE_QUEUE) {
    bridge__queue_watch(each->as.queue, sleeper);
    return;
  }
  bridge_channel *channel = each->as.channel;
  bridge__mutex_lock(&channel->mutex);
  bridge__watch_add(&channel->receivers, &each->watch, sleeper);
  bridge__mutex_unlock(&channel->mutex);
}

static void unwatch(source *each)
{
  if (each->kind == BRIDGE_HANDLE_QUEUE) {
    bridge__queue_watch(each->as.queue, NULL);
    return;
  }
  bridge_channel *channel = each->as.channel;
  bridge__mutex_lock(&channel->mutex);
  bridge__watch_remove(&channel->receivers, &each->watch);
  if (each->watch.told && channel->items > 0) {
    /* This one took another message: somebody else has to hear of it. */
    bridge__watch_tell_next(&channel->receivers);
  }
  bridge__mutex_unlock(&channel->mutex);
}

/* ---- All of them ---- */

/* BRIDGE_OK, BRIDGE_ECLOSED if that is so of all; else BRIDGE_EEMPTY, where
   `*woken` says to wait no longer. */
static bridge_status look_at_all(selection *chosen, bool *woken)
{
  bool all_closed = true;
  *woken = false;
  for (size_t i = 0; i < chosen->count; i++) {
    bool here = false;
    bridge_status status = look(&chosen->sources[i], &chosen->message, &here);
    if (status == BRIDGE_OK) {
      chosen->index = i;
      return BRIDGE_OK;
    }
    if (here && !*woken) {
      *woken = true;
      chosen->index = i;
    }
    all_closed = all_closed && status == BRIDGE_ECLOSED;
  }
  return all_closed ? BRIDGE_ECLOSED : BRIDGE_EEMPTY;
}

/* The same while the caller is held, which takes nothing. */
static bridge_status look_if_free(selection *chosen, bool *woken)
{
  if (!bridge__held()) {
    return look_at_all(chosen, woken);
  }
  for (size_t i = 0; i < chosen->count; i++) {
    pass_on(&chosen->sources[i]);
  }
  *woken = false;
  return BRIDGE_EEMPTY;
}

static bridge_status sleep_until(selection *chosen, int64_t deadline)
{
  bool in_time = true;
  for (;;) {
    bool woken = false;
    const unsigned ticket = bridge__parking_prepare(&chosen->sleeper);
    if (bridge__interrupted()) {
      return BRIDGE_ECANCELLED;
    }
    bridge_status status = look_if_free(chosen, &woken);
    if (status != BRIDGE_EEMPTY || woken) {
      return status;
    }
    if (!in_time) {
      return BRIDGE_ETIMEDOUT;
    }
    in_time = bridge__parking_park(&chosen->sleeper, ticket, deadline);
  }
}

static bridge_status wait_for_one(selection *chosen, int timeout_ms)
{
  const int64_t deadline = bridge__wait_deadline(timeout_ms);
  bridge_status status = bridge__parking_init(&chosen->sleeper);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (bridge__wait_begin(bridge__watch_wake, &chosen->sleeper)) {
    for (size_t i = 0; i < chosen->count; i++) {
      watch(&chosen->sources[i], &chosen->sleeper);
    }
    status = sleep_until(chosen, deadline);
    for (size_t i = 0; i < chosen->count; i++) {
      unwatch(&chosen->sources[i]);
    }
    bridge__wait_end();
  } else {
    status = BRIDGE_ECANCELLED;
  }
  bridge__parking_destroy(&chosen->sleeper, false);
  return status;
}

static bridge_status begin_all(selection *chosen,
                               const bridge_select_item *items)
{
  bridge_status status = BRIDGE_OK;
  size_t begun = 0;
  while (begun < chosen->count && status == BRIDGE_OK) {
    chosen->index = begun;
    status = begin(&chosen->sources[begun], &items[begun]);
    begun += status == BRIDGE_OK;
  }
  if (status != BRIDGE_OK) {
    while (begun > 0) {
      end(&chosen->sources[--begun]);
    }
  }
  return status;
}

static bridge_status choose(selection *chosen,
                            const bridge_select_item *items,
                            int timeout_ms)
{
  bridge_status status = begin_all(chosen, items);
  if (status != BRIDGE_OK) {
    return status;
  }
  bool woken = false;
  status = look_at_all(chosen, &woken);
  if (status == BRIDGE_EEMPTY && !woken && timeout_ms != 0) {
    status = wait_for_one(chosen, timeout_ms);
  }
  for (size_t i = 0; i < chosen->count; i++) {
    end(&chosen->sources[i]);
  }
  return status;
}

static bridge_status check_all(const bridge_select_item *items, size_t count)
{
  bridge_status status = BRIDGE_OK;
  for (size_t i = 0; i < count && status == BRIDGE_OK; i++) {
    status = check(&items[i]);
  }
  return status;
}

bridge_status bridge_select(const bridge_select_item *items,
                            size_t count,
                            int timeout_ms,
                            size_t *index,
                            bridge_message **out)
{
  if (items == NULL || count == 0 || index == NULL || out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = check_all(items, count);
  if (status != BRIDGE_OK) {
    return status;
  }
  source few[FEW];
  size_t size = 0;
  selection chosen = {.sources = few, .count = count};
  if (count > FEW) {
    chosen.sources = bridge__multiply(count, sizeof *few, &size)
                         ? bridge__allocate(size)
                         : NULL;
  }
  if (chosen.sources == NULL) {
    return BRIDGE_ENOMEM;
  }
  status = choose(&chosen, items, timeout_ms);
  *index = chosen.index;
  if (status == BRIDGE_OK) {
    *out = chosen.message;
  }
  if (chosen.sources != few) {
    bridge__free(chosen.sources);
  }
  return status;
}
