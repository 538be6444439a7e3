/* What held_test.cc sees of the inside, which only C can include. */
#include "channel/channel.h"
#include "worker/worker.h"

bool held_waits(bridge_worker *worker);
bool held_state_waits(bridge_state *state);
size_t held_watchers(bridge_channel *channel);

bool held_waits(bridge_worker *worker)
{
  return bridge__interrupt_waits(&worker->interrupt);
}

bool held_state_waits(bridge_state *state)
{
  return bridge__interrupt_waits(&state->interrupt);
}

/* How many wait to receive. */
size_t held_watchers(bridge_channel *channel)
{
  size_t count = 0;
  bridge__mutex_lock(&channel->mutex);
  for (const bridge__watch *each = channel->receivers.first; each != NULL;
       each = each->next) {
    count++;
  }
  bridge__mutex_unlock(&channel->mutex);
  return count;
}
