/* A worker as a coroutine: its chunk hands values out by `bridge.yield`, one row for
   each bridge_worker_next, whose values are what the yield returns. */
#include "worker/worker.h"

#include "message/error.h"
#include "queue/queue.h"

/* How long to wait at most for another thread that steps the worker. */
enum {
  OTHER_MS = 10
};

/* ---- In the worker ---- */

static bridge_message *take_pending(bridge__driver *driver)
{
  bridge_message *message = (bridge_message *)(void *)driver->next_first;
  driver->next_first = message->node.next;
  if (driver->next_first == NULL) {
    driver->next_last = NULL;
  }
  return message;
}

static bridge__reply *detach_reply(bridge_message *message)
{
  bridge__reply *reply = message->envelope.attachment;
  message->envelope = (bridge__envelope){.kind = BRIDGE__DATA};
  return reply;
}

/* Hand out what the chunk has yielded; it stays if the asker has given up. */
static void hand_out(bridge__driver *driver, bridge__reply *reply)
{
  bridge__reply_values(&reply, &driver->offered);
}

static bool may_go_on(const bridge__driver *driver)
{
  return driver->next_first != NULL && driver->main != NULL &&
         driver->main->wait == BRIDGE__WAIT_NEXT;
}

void bridge__next_proceed(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  while (may_go_on(driver)) {
    bridge_message *message = take_pending(driver);
    bridge__reply *reply = detach_reply(message);
    if (driver->offered != NULL) {
      hand_out(driver, reply);
      bridge_message_release(message);
    } else { /* also if the asker has given up: its values were on their way */
      driver->asking = reply;
      driver->main->answer = message;
      bridge__task_wake(worker, driver->main, BRIDGE_OK);
    }
  }
}

void bridge__next_receive(bridge_worker *worker, bridge_message *message)
{
  bridge__driver *driver = &worker->driver;
  message->node.next = NULL;
  if (driver->next_last != NULL) {
    driver->next_last->next = &message->node;
  } else {
    driver->next_first = &message->node;
  }
  driver->next_last = &message->node;
  bridge__next_proceed(worker);
}

void bridge__next_offer(bridge_worker *worker, bridge_message *values)
{
  bridge__driver *driver = &worker->driver;
  bridge__reply *asking = driver->asking;
  driver->asking = NULL;
  driver->offered = values;
  if (asking != NULL) {
    hand_out(driver, asking);
  }
}

void bridge__next_end(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  /* Dropped without an answer they say that nothing comes any more. */
  while (driver->next_first != NULL) {
    bridge_message_release(take_pending(driver));
  }
  bridge__release(driver->asking);
  bridge_message_release(driver->offered);
  driver->asking = NULL;
  driver->offered = NULL;
}

/* ---- Outside ---- */

/* Takes what has come, or nothing. */
static bridge_status look(bridge_queue *answers,
                          int timeout_ms,
                          bridge_message **out,
                          bridge_error **error)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_queue_pop(answers, &message, timeout_ms);
  return status == BRIDGE_OK ? bridge__call_take_answer(&message, out, error)
                             : status;
}

/* Until what a host's worker waits for may be there. */
static bridge_status wait_to_step(bridge_worker *worker,
                                  bridge_queue *answers,
                                  bridge_status stepped,
                                  int64_t deadline)
{
  int left = bridge__remaining(deadline);
  int wanted = -1;
  bridge_worker_timeout(worker, &wanted);
  if (wanted >= 0 && (left < 0 || wanted < left)) {
    left = wanted;
  }
  bridge_status status = BRIDGE_EUNSUPPORTED;
  if (stepped == BRIDGE_EEMPTY) {
    status = bridge_waker_wait(bridge_worker_waker(worker), left);
  }
  if (status == BRIDGE_EUNSUPPORTED || status == BRIDGE_ECLOSED) {
    bridge_waker *come = bridge_queue_waker(answers);
    status =
        bridge_waker_wait(come, left < 0 || left > OTHER_MS ? OTHER_MS : left);
  }
  return status == BRIDGE_ETIMEDOUT ? BRIDGE_OK : status;
}

/* As look, and step the worker meanwhile. */
static bridge_status step_until_answer(bridge_worker *worker,
                                       bridge_queue *answers,
                                       int64_t deadline,
                                       bridge_message **out,
                                       bridge_error **error)
{
  for (;;) {
    bridge_status stepped = bridge_worker_step(worker, 0);
    bridge_status status = look(answers, 0, out, error);
    if (status != BRIDGE_EEMPTY) {
      return status;
    }
    if (stepped != BRIDGE_OK && stepped != BRIDGE_EEMPTY &&
        stepped != BRIDGE_EBUSY) {
      return stepped;
    }
    if (bridge__remaining(deadline) == 0) {
      return BRIDGE_ETIMEDOUT;
    }
    if (stepped != BRIDGE_OK) {
      status = wait_to_step(worker, answers, stepped, deadline);
    }
    if (stepped != BRIDGE_OK && status != BRIDGE_OK) {
      return status;
    }
  }
}

static bridge_status wait_for_values(bridge_worker *worker,
                                     bridge_queue *answers,
                                     int64_t deadline,
                                     bridge_message **out,
                                     bridge_error **error)
{
  bridge_status status =
      worker->drive == BRIDGE_DRIVE_HOST
          ? step_until_answer(worker, answers, deadline, out, error)
          : look(answers, bridge__remaining(deadline), out, error);
  if (status != BRIDGE_ETIMEDOUT && status != BRIDGE_EEMPTY &&
      status != BRIDGE_ECANCELLED) {
    return status;
  }
  /* What is yielded from now on finds the queue closed, and stays for the next
     one; what came before that is ours. */
  bridge_queue_close(answers);
  bridge_status late = look(answers, 0, out, error);
  if (late != BRIDGE_ECLOSED) {
    return late;
  }
  return status == BRIDGE_EEMPTY ? BRIDGE_ETIMEDOUT : status;
}

static bridge_status next(bridge_worker *worker,
                          bridge_message **values,
                          int timeout_ms,
                          bridge_message **out,
                          bridge_error **error)
{
  int64_t deadline = bridge__wait_deadline(timeout_ms);
  bridge_queue *answers = NULL;
  bridge_status status = bridge__queue_make(&answers, NULL);
  if (status != BRIDGE_OK) {
    return status;
  }
  status =
      bridge__worker_post(worker, BRIDGE__NEXT, values, timeout_ms, answers, 0);
  if (status == BRIDGE_OK) {
    status = wait_for_values(worker, answers, deadline, out, error);
  }
  bridge_queue_release(answers);
  return status == BRIDGE_EDEAD ? BRIDGE_ECLOSED : status;
}

bridge_status bridge_worker_next(bridge_worker *worker,
                                 bridge_message **values,
                                 int timeout_ms,
                                 bridge_message **out,
                                 bridge_error **error)
{
  if (out != NULL) {
    *out = NULL;
  }
  if (error != NULL) {
    *error = NULL;
  }
  bridge_message *none = NULL;
  bridge_message *given = values == NULL ? NULL : *values;
  if (worker == NULL || (given != NULL && !bridge__message_finished(given))) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  if (worker == bridge_worker_current()) {
    return BRIDGE_EDEADLOCK;
  }
  if (worker->drive == BRIDGE_DRIVE_HOST && given != NULL &&
      bridge__message_holds(given, worker)) {
    return BRIDGE_ECYCLE;
  }
  if (given == NULL && bridge_message_create(&none, 0) != BRIDGE_OK) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status =
      next(worker, given == NULL ? &none : values, timeout_ms, out, error);
  bridge_message_release(none);
  return status;
}
