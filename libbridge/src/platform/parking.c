/* Parking, for platforms that have no better way: a mutex and a condition. */
#include "platform/parking.h"

bridge_status bridge__parking_init(bridge__parking *parking)
{
  atomic_init(&parking->word, 0);
  bridge_status status = bridge__mutex_init(&parking->mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__condition_init(&parking->condition);
  if (status != BRIDGE_OK) {
    bridge__mutex_destroy(&parking->mutex);
  }
  return status;
}

void bridge__parking_destroy(bridge__parking *parking, bool forked)
{
  if (forked) {
    return; /* the system would wait for sleepers who are not there */
  }
  bridge__condition_destroy(&parking->condition);
  bridge__mutex_destroy(&parking->mutex);
}

bool bridge__parking_park(bridge__parking *parking,
                          unsigned ticket,
                          int64_t deadline)
{
  bool in_time = true;
  bridge__mutex_lock(&parking->mutex);
  /* Takes what was changed before the unpark.  Not in a loop: a sleeper that was
     woken may find that another one has prepared meanwhile. */
  if (atomic_load_explicit(&parking->word, memory_order_acquire) == ticket) {
    in_time =
        bridge__condition_wait(&parking->condition, &parking->mutex, deadline);
  }
  bridge__mutex_unlock(&parking->mutex);
  return in_time;
}

/* The mutex keeps this out of the moment between a sleeper's look at the word
   and its sleep. */
void bridge__parking_wake(bridge__parking *parking)
{
  bridge__mutex_lock(&parking->mutex);
  bridge__condition_broadcast(&parking->condition);
  bridge__mutex_unlock(&parking->mutex);
}
