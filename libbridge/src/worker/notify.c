/* Notify: who waits for a worker's end in an event loop. */
#include "worker/worker.h"

#include "queue/notice.h"

bridge_status bridge_worker_notify(bridge_worker *worker,
                                   bridge_queue *answers,
                                   uint64_t session)
{
  if (worker == NULL || answers == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(worker) || bridge__forked(answers)) {
    return BRIDGE_EFORKED;
  }
  bridge__notice *notice = NULL;
  bridge_status status = bridge__notice_create(&notice, answers, session);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&worker->mutex);
  bridge__notice_add(&worker->notices, notice);
  /* Its phase becomes one of these under the mutex, before it tells. */
  if (bridge_worker_phase_of(worker) == BRIDGE_WORKER_ENDED ||
      bridge__worker_lost(worker)) {
    bridge__watch_tell_all(&worker->notices);
  }
  bridge__mutex_unlock(&worker->mutex);
  bridge__watch_settle(&worker->notices, &worker->mutex);
  return BRIDGE_OK;
}

bool bridge__notify_withdraw(bridge_worker *worker,
                             const bridge_queue *answers,
                             uint64_t session)
{
  bridge__mutex_lock(&worker->mutex);
  bridge__notice *notice =
      bridge__notice_take(&worker->notices, answers, session);
  bridge__mutex_unlock(&worker->mutex);
  if (notice != NULL) {
    bridge__notice_free(notice);
  }
  return notice != NULL;
}

void bridge__notify_end(bridge_worker *worker)
{
  bridge__mutex_lock(&worker->mutex);
  bridge__watch_tell_all(&worker->notices);
  bridge__mutex_unlock(&worker->mutex);
  bridge__watch_settle(&worker->notices, &worker->mutex);
}
