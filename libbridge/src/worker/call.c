/* Asking a worker, from outside: a request goes into its inbox, and the answer
   comes back through the queue that the request names. */
#include "worker/worker.h"

#include "base/memory.h"
#include "message/error.h"
#include "queue/queue.h"

static void reply_destroy(void *object)
{
  bridge__reply *reply = object;
  if (reply->answer != NULL) {
    bridge__reply *self = reply;
    bridge__retain(reply); /* the failure drops it again */
    bridge__reply_failure(&self, BRIDGE_EDEAD, NULL);
    return;
  }
  bridge_queue_release(reply->answers);
  bridge__block_put(reply);
}

static const bridge__type reply_type = {BRIDGE_HANDLE_NONE, "reply",
                                        reply_destroy, NULL};

static bridge_status reply_create(bridge__reply **out,
                                  bridge_queue *answers,
                                  uint64_t session)
{
  _Static_assert(sizeof(bridge__reply) <= BRIDGE__BLOCK_SIZE, "one block");
  bridge__reply *reply = bridge__block_get();
  if (reply == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge_message_create(&reply->answer, 0);
  if (status != BRIDGE_OK) {
    bridge__block_put(reply);
    return status;
  }
  bridge__object_init(reply, &reply_type);
  reply->answers = bridge_queue_retain(answers);
  reply->session = session;
  reply->deadline = INT64_MAX;
  *out = reply;
  return BRIDGE_OK;
}

/* Forget that somebody waits: the request never left. */
static void reply_discard(bridge__reply *reply)
{
  bridge_message_release(reply->answer);
  reply->answer = NULL;
  bridge__release(reply);
}

static void address(bridge_message *answer,
                    const bridge__reply *reply,
                    bridge_status status,
                    bridge_error *error)
{
  answer->envelope = (bridge__envelope){
      .kind = BRIDGE__ANSWER,
      .status = status,
      .session = reply->session,
      .attachment = error,
  };
}

void bridge__call_unheard(bridge_message *answer)
{
  if (answer->envelope.kind == BRIDGE__ANSWER &&
      answer->envelope.status != BRIDGE_OK &&
      answer->envelope.status != BRIDGE_ETIMEDOUT) {
    bridge__worker_report(bridge_worker_current(),
                          "a request whose asker had given up",
                          answer->envelope.status, answer->envelope.attachment);
  }
  bridge_message_release(answer);
}

/* Whether nobody but the reply has the queue: then nobody will pop there. */
static bool alone(bridge_queue *answers)
{
  bridge__object *object = (bridge__object *)answers;
  /* Takes nothing: who has no reference cannot get one. */
  return atomic_load_explicit(&object->references, memory_order_relaxed) == 1;
}

static void reply_send(bridge__reply **reply,
                       bridge_status status,
                       bridge_error *error)
{
  bridge_message *answer = (*reply)->answer;
  bridge_queue *answers = (*reply)->answers;
  (*reply)->answer = NULL;
  address(answer, *reply, status, error);
  if (status != BRIDGE_OK) {
    bridge__queue_on_unheard(answers, bridge__call_unheard);
  }
  status = alone(answers) ? BRIDGE_ECLOSED
                          : bridge__queue_push_forced(answers, &answer);
  if (status != BRIDGE_OK && status != BRIDGE_ECLOSED) {
    /* Results that hold the queue they go to, say. */
    bridge_error_release(error);
    answer->envelope = (bridge__envelope){.kind = BRIDGE__DATA};
    bridge_message_truncate(answer, 0);
    address(answer, *reply, status, NULL);
    status = bridge__queue_push_forced(answers, &answer);
  }
  if (status != BRIDGE_OK) {
    bridge__call_unheard(answer); /* closed: nobody waits for it any more */
  }
  bridge__release(*reply);
  *reply = NULL;
}

void bridge__reply_results(bridge__reply **reply)
{
  reply_send(reply, BRIDGE_OK, NULL);
}

void bridge__reply_values(bridge__reply **reply, bridge_message **values)
{
  address(*values, *reply, BRIDGE_OK, NULL);
  bridge_status status = bridge__queue_push_forced((*reply)->answers, values);
  if (status == BRIDGE_ECLOSED) {
    (*values)->envelope = (bridge__envelope){.kind = BRIDGE__DATA};
  } else if (status != BRIDGE_OK) {
    bridge_message_release(*values);
    *values = NULL;
    bridge__reply_failure(reply, status, NULL);
    return;
  }
  reply_discard(*reply);
  *reply = NULL;
}

void bridge__reply_failure(bridge__reply **reply,
                           bridge_status status,
                           bridge_error *error)
{
  bridge_message_truncate((*reply)->answer, 0);
  reply_send(reply, status, error);
}

/* Why a worker that no longer takes requests refuses this one. */
static bridge_status refusal(const bridge_worker *worker)
{
  switch (bridge_worker_phase_of(worker)) {
  case BRIDGE_WORKER_ENDED:
    return BRIDGE_EDEAD;
  case BRIDGE_WORKER_LOST:
    return BRIDGE_ELOST;
  default:
    return BRIDGE_ECLOSED;
  }
}

static bridge_status check(bridge_worker *worker,
                           bridge_message *const *request)
{
  if (worker == NULL || request == NULL || *request == NULL ||
      bridge_message_count(*request) == 0 ||
      !bridge__message_finished(*request)) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  if (worker->drive == BRIDGE_DRIVE_HOST &&
      bridge__message_holds(*request, worker)) {
    return BRIDGE_ECYCLE; /* dropped by its host it would keep itself */
  }
  return bridge__worker_stop_asked(worker) ? refusal(worker) : BRIDGE_OK;
}

/* Only requests: what else is in an inbox has nobody who would send it again.  The
   reference of who pushes keeps the worker. */
bool bridge__request_dropped(void *user, bridge_message *message)
{
  bridge_worker *worker = user;
  if (message->envelope.kind != BRIDGE__REQUEST) {
    if (bridge__queue_push_forced(worker->inbox, &message) != BRIDGE_OK) {
      bridge_message_release(message); /* closed: nobody will read it */
    }
    return false;
  }
  bridge__reply *reply = message->envelope.attachment;
  message->envelope.attachment = NULL;
  bridge_message_release(message);
  if (reply != NULL) {
    bridge__reply_failure(&reply, BRIDGE_EFULL, NULL);
  }
  /* Publishes nothing: a number for people. */
  atomic_fetch_add_explicit(&worker->gauge.refused, 1, memory_order_relaxed);
  return true;
}

/* Whether the request counts already as one that found no room. */
static bool is_counted(const bridge__envelope *envelope)
{
  return envelope->kind == BRIDGE__DATA && envelope->status == BRIDGE_EFULL;
}

/* A request counts once, however often it is tried, and no more once it is in.  The
   gauges publish nothing: they are numbers for people. */
static void count_admission(bridge_worker *worker, bool counted)
{
  if (counted) {
    atomic_fetch_sub_explicit(&worker->gauge.refused, 1, memory_order_relaxed);
  }
}

static void count_refusal(bridge_worker *worker, bridge_message *message)
{
  if (!is_counted(&message->envelope)) {
    atomic_fetch_add_explicit(&worker->gauge.refused, 1, memory_order_relaxed);
  }
  if (message->envelope.kind == BRIDGE__DATA) {
    message->envelope.status = BRIDGE_EFULL;
  }
}

/* `reply` NULL: nobody waits for the result.  Takes the reply. */
static bridge_status post(bridge_worker *worker,
                          int kind,
                          bridge_message **request,
                          int timeout_ms,
                          bridge__reply *reply)
{
  bridge_message *message = *request;
  bridge__envelope before = message->envelope;
  if (worker == bridge_worker_current() || worker->inbox_fails ||
      bridge__worker_stepped_here(worker)) {
    timeout_ms = 0; /* nobody else would ever make room */
  }
  message->envelope = (bridge__envelope){
      .kind = kind,
      .attachment = reply,
  };
  bridge_status status =
      bridge_queue_push_timeout(worker->inbox, request, timeout_ms);
  if (status == BRIDGE_OK) {
    count_admission(worker, is_counted(&before));
    bridge__release(before.attachment);
    return BRIDGE_OK;
  }
  message->envelope = before;
  if (kind == BRIDGE__REQUEST &&
      (status == BRIDGE_EFULL || status == BRIDGE_ETIMEDOUT)) {
    count_refusal(worker, message);
  }
  if (reply != NULL) {
    reply_discard(reply);
  }
  return status == BRIDGE_ECLOSED ? BRIDGE_EDEAD : status;
}

bridge_status bridge_worker_send(bridge_worker *worker,
                                 bridge_message **request,
                                 int timeout_ms)
{
  bridge_status status = check(worker, request);
  return status == BRIDGE_OK
             ? post(worker, BRIDGE__REQUEST, request, timeout_ms, NULL)
             : status;
}

bridge_status bridge__worker_post(bridge_worker *worker,
                                  int kind,
                                  bridge_message **message,
                                  int timeout_ms,
                                  bridge_queue *answers,
                                  uint64_t session)
{
  bridge__reply *reply = NULL;
  bridge_status status =
      answers == NULL ? BRIDGE_OK : reply_create(&reply, answers, session);
  return status == BRIDGE_OK ? post(worker, kind, message, timeout_ms, reply)
                             : status;
}

bridge_status bridge__worker_ask(bridge_worker *worker,
                                 bridge_message **request,
                                 int timeout_ms,
                                 bridge_queue *answers,
                                 uint64_t session,
                                 int64_t deadline)
{
  bridge_status status = check(worker, request);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (answers == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__reply *reply = NULL;
  status = reply_create(&reply, answers, session);
  if (status != BRIDGE_OK) {
    return status;
  }
  reply->deadline = deadline;
  return post(worker, BRIDGE__REQUEST, request, timeout_ms, reply);
}

bridge_status bridge_worker_request(bridge_worker *worker,
                                    bridge_message **request,
                                    int timeout_ms,
                                    bridge_queue *answers,
                                    uint64_t session)
{
  return bridge__worker_ask(worker, request, timeout_ms, answers, session,
                            INT64_MAX);
}

bridge_status bridge_worker_request_within(bridge_worker *worker,
                                           bridge_message **request,
                                           int timeout_ms,
                                           int answer_ms,
                                           bridge_queue *answers,
                                           uint64_t session)
{
  return bridge__worker_ask(worker, request, timeout_ms, answers, session,
                            bridge__deadline(answer_ms));
}

bridge_status bridge__call_take_answer(bridge_message **message,
                                       bridge_message **answer,
                                       bridge_error **error)
{
  const bridge_error *failure = NULL;
  bridge_status status = bridge_answer_error(*message, &failure);
  if (status == BRIDGE_OK && answer != NULL) {
    (*message)->envelope = (bridge__envelope){.kind = BRIDGE__DATA};
    *answer = *message;
    *message = NULL;
  }
  if (status != BRIDGE_OK && error != NULL) {
    *error = bridge__retain((bridge_error *)(uintptr_t)failure);
  }
  bridge_message_release(*message);
  return status;
}

/* ---- Queues that callers wait at ----
   One that is left after its answer has come is as good as new, and has learned
   how long an answer takes: so it is kept for the next call. */

static bridge_status borrow_queue(bridge_worker *worker, bridge_queue **out)
{
  bridge_queue *idle = NULL;
  bridge__mutex_lock(&worker->mutex);
  if (worker->idle_count > 0) {
    idle = worker->idle[--worker->idle_count];
  }
  bridge__mutex_unlock(&worker->mutex);
  if (idle == NULL) {
    return bridge__queue_make(out, NULL);
  }
  *out = idle;
  return BRIDGE_OK;
}

static void give_queue_back(bridge_worker *worker, bridge_queue *queue)
{
  bridge__mutex_lock(&worker->mutex);
  if (worker->idle_count < BRIDGE__IDLE_QUEUES) {
    worker->idle[worker->idle_count++] = queue;
    queue = NULL;
  }
  bridge__mutex_unlock(&worker->mutex);
  bridge_queue_release(queue);
}

void bridge__calls_free(bridge_worker *worker)
{
  while (worker->idle_count > 0) {
    bridge_queue_release(worker->idle[--worker->idle_count]);
  }
}

/* Takes the queue. */
static bridge_status wait_for_answer(bridge_worker *worker,
                                     bridge_queue *answers,
                                     int64_t deadline,
                                     bridge_message **answer,
                                     bridge_error **error)
{
  bridge_message *message = NULL;
  bridge_status status =
      bridge_queue_pop(answers, &message, bridge__remaining(deadline));
  if (status == BRIDGE_OK) {
    give_queue_back(worker, answers);
    return bridge__call_take_answer(&message, answer, error);
  }
  /* An answer that comes from now on finds the queue closed. */
  bridge_queue_close(answers);
  bridge_queue_release(answers);
  return status == BRIDGE_EEMPTY ? BRIDGE_ETIMEDOUT : status;
}

bridge_error *bridge__worker_obituary(const bridge_worker *worker)
{
  const bridge_error *cause = worker->error;
  if (cause == NULL) {
    return NULL;
  }
  bridge_error *error = bridge__error_format(
      BRIDGE_EDEAD, "the worker has ended: %s", bridge_error_text(cause, NULL));
  bridge__error_set_traceback(error, bridge_error_traceback(cause));
  bridge__error_set_cause(
      error, bridge_error_retain((bridge_error *)(uintptr_t)cause));
  for (size_t i = 0; error != NULL && i < bridge_error_frame_count(cause);
       i++) {
    bridge_frame frame;
    bridge_error_frame(cause, i, &frame);
    bridge__error_add_frame(error, &frame);
  }
  return error;
}

/* Tell the caller of a worker that has ended what ended it. */
static bridge_status explain(const bridge_worker *worker,
                             bridge_status status,
                             bridge_error **error)
{
  if (status == BRIDGE_EDEAD && error != NULL && *error == NULL &&
      bridge_worker_phase_of(worker) == BRIDGE_WORKER_ENDED) {
    *error = bridge__worker_obituary(worker);
    /* Publishes nothing: see bridge__worker_report_end. */
    atomic_store_explicit(&((bridge_worker *)(uintptr_t)worker)->told, true,
                          memory_order_relaxed);
  }
  return status;
}

bridge_status bridge_worker_call(bridge_worker *worker,
                                 bridge_message **request,
                                 int timeout_ms,
                                 bridge_message **answer,
                                 bridge_error **error)
{
  if (answer != NULL) {
    *answer = NULL;
  }
  if (error != NULL) {
    *error = NULL;
  }
  bridge_status status = check(worker, request);
  if (status != BRIDGE_OK) {
    return explain(worker, status, error);
  }
  if (bridge_worker_phase_of(worker) == BRIDGE_WORKER_ENDED) {
    return explain(worker, BRIDGE_EDEAD, error);
  }
  if (worker == bridge_worker_current() ||
      bridge__worker_stepped_here(worker)) {
    return BRIDGE_EDEADLOCK;
  }
  int64_t deadline = bridge__wait_deadline(timeout_ms);
  bridge_queue *answers;
  status = borrow_queue(worker, &answers);
  if (status != BRIDGE_OK) {
    return status;
  }
  status =
      bridge__worker_ask(worker, request, timeout_ms, answers, 0, deadline);
  if (status == BRIDGE_OK) {
    status = wait_for_answer(worker, answers, deadline, answer, error);
  } else {
    give_queue_back(worker, answers);
  }
  return explain(worker, status, error);
}

bridge_status bridge_answer_session(const bridge_message *message,
                                    uint64_t *session)
{
  if (message == NULL || session == NULL) {
    return BRIDGE_EINVAL;
  }
  if (message->envelope.kind != BRIDGE__ANSWER) {
    return BRIDGE_ETYPE;
  }
  *session = message->envelope.session;
  return BRIDGE_OK;
}

bridge_status bridge_answer_error(const bridge_message *message,
                                  const bridge_error **error)
{
  if (error != NULL) {
    *error = NULL;
  }
  if (message == NULL) {
    return BRIDGE_EINVAL;
  }
  if (message->envelope.kind != BRIDGE__ANSWER) {
    return BRIDGE_ETYPE;
  }
  if (error != NULL) {
    *error = message->envelope.attachment;
  }
  return message->envelope.status;
}
