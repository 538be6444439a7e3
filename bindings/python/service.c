/* What Python asks of workers: calls, joining and closing. */
#include "face.h"

#include <limits.h>
#include <stdatomic.h>

/* ---- Sending ------------------------------------------------------------------- */

typedef struct request {
  bridge_worker *worker;
  bridge_message *message;
  bridge_queue *answers; /* NULL: nobody waits for an answer */
  uint64_t session;
  int64_t deadline; /* of the answer */
} request;

static bridge_status send_step(void *context, int timeout_ms)
{
  request *self = context;
  if (self->answers == NULL) {
    return bridge_worker_send(self->worker, &self->message, timeout_ms);
  }
  return bridge_worker_request_within(self->worker, &self->message, timeout_ms,
                                      bridge__py_left(self->deadline),
                                      self->answers, self->session);
}

PyObject *bridge__py_worker_send(bridge_worker *worker,
                                 PyObject *name,
                                 PyObject *values,
                                 PyObject *timeout)
{
  int64_t timeout_ms = 0;
  request self = {.worker = worker};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  self.message = bridge__py_pack(name, values);
  if (self.message == NULL) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(send_step, &self, timeout_ms, &interrupted);
  bridge_message_release(self.message);
  return bridge__py_none_or_raise(status, interrupted);
}

static const char *const capsule_name = "bridge.request";

static void free_capsule(PyObject *capsule)
{
  bridge_message_release(PyCapsule_GetPointer(capsule, capsule_name));
}

/* It is a thing of its own since one that finds no room is tried again: the worker
   counts it once. */
PyObject *bridge__py_request_of(PyObject *name, PyObject *values)
{
  bridge_message *message = bridge__py_pack(name, values);
  if (message == NULL) {
    return NULL;
  }
  PyObject *capsule = PyCapsule_New(message, capsule_name, free_capsule);
  if (capsule == NULL) {
    bridge_message_release(message);
  }
  return capsule;
}

/* An inbox that refuses at once does so too if there is a little time. */
static bridge_status probe_room(request *self)
{
  bridge_status status = BRIDGE_OK;
  Py_BEGIN_ALLOW_THREADS status = send_step(self, 1);
  Py_END_ALLOW_THREADS return status;
}

PyObject *bridge__py_worker_request(bridge_worker *worker,
                                    PyObject *capsule,
                                    bridge_queue *answers,
                                    PyObject *session,
                                    PyObject *timeout,
                                    bool probe)
{
  int64_t timeout_ms = 0;
  request self = {.worker = worker, .answers = answers};
  self.message = PyCapsule_GetPointer(capsule, capsule_name);
  if (self.message == NULL || !bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  self.session = PyLong_AsUnsignedLongLong(session);
  if (self.session == UINT64_MAX && PyErr_Occurred()) {
    return NULL;
  }
  self.deadline = bridge__py_deadline(timeout_ms);
  bridge_status status = send_step(&self, 0);
  if (status == BRIDGE_EFULL) {
    status = probe ? probe_room(&self) : BRIDGE_ETIMEDOUT;
  }
  if (self.message == NULL) { /* taken */
    PyCapsule_SetDestructor(capsule, NULL);
    PyCapsule_SetName(capsule, "bridge.request, which was sent");
  }
  if (status == BRIDGE_OK || status == BRIDGE_ETIMEDOUT) {
    return PyBool_FromLong(status == BRIDGE_OK);
  }
  bridge__py_raise(status, NULL);
  return NULL;
}

/* ---- Answers -------------------------------------------------------------------- */

/* The results, or NULL with what the handler raised. */
static PyObject *answer_of(const bridge_message *answer,
                           const bridge_worker *worker)
{
  const bridge_error *error = NULL;
  bridge_status status = bridge_answer_error(answer, &error);
  if (status != BRIDGE_OK) {
    bridge__py_raise_error(status, error, worker);
    return NULL;
  }
  return bridge__py_unpack(answer);
}

/* (session, True, results) or (session, False, exception). */
static PyObject *session_of(const bridge_message *answer)
{
  uint64_t session = 0;
  bridge_status status = bridge_answer_session(answer, &session);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *results = answer_of(answer, NULL);
  if (results != NULL) {
    return Py_BuildValue("KON", (unsigned long long)session, Py_True, results);
  }
  PyObject *type = NULL;
  PyObject *value = NULL;
  PyObject *trace = NULL;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return Py_BuildValue("KON", (unsigned long long)session, Py_False, value);
}

PyObject *bridge__py_queue_pop_answers(bridge_queue *answers)
{
  enum {
    MOST = 64
  };
  PyObject *list = PyList_New(0);
  bridge_message *message = NULL;
  bridge_status status = BRIDGE_OK;

  for (int i = 0; list != NULL && i < MOST; i++) {
    status = bridge_queue_pop(answers, &message, 0);
    if (status != BRIDGE_OK) {
      break;
    }
    PyObject *item = session_of(message);
    bridge_message_release(message);
    if (item == NULL || PyList_Append(list, item) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(item);
  }
  if (list != NULL && status != BRIDGE_OK && status != BRIDGE_EEMPTY) {
    Py_CLEAR(list);
    bridge__py_raise(status, NULL);
  }
  return list;
}

/* ---- Calling -------------------------------------------------------------------- */

/* Queues for answers that are not used now; guarded by the GIL. */
enum {
  SPARE_MAX = 8
};
static bridge_queue *spare[SPARE_MAX];
static int spare_count;

static bridge_status take_answers(bridge_queue **out)
{
  while (spare_count > 0) {
    bridge_queue *queue = spare[--spare_count];
    bridge_message *message = NULL;
    if (bridge_queue_pop(queue, &message, 0) == BRIDGE_EEMPTY) {
      *out = queue;
      return BRIDGE_OK;
    }
    bridge_message_release(message); /* NULL: a queue of before a fork */
    bridge_queue_release(queue);
  }
  bridge_status status = bridge_queue_create(out, NULL);
  if (status == BRIDGE_OK) {
    bridge_object_hide(*out);
  }
  return status;
}

/* A queue to which an answer may still come is closed: who answers sees it. */
static void give_answers(bridge_queue *queue, bool clean)
{
  if (clean && spare_count < SPARE_MAX) {
    spare[spare_count++] = queue;
    return;
  }
  bridge_queue_close(queue);
  bridge_queue_release(queue);
}

typedef struct call {
  request request;
  bridge_message *answer;
} call;

/* First until the request is in the inbox, then until the answer is here. */
static bridge_status call_step(void *context, int timeout_ms)
{
  call *self = context;
  if (self->request.message != NULL) {
    bridge_status status = send_step(&self->request, timeout_ms);
    if (status != BRIDGE_OK) {
      return status;
    }
  }
  return bridge_queue_pop(self->request.answers, &self->answer, timeout_ms);
}

/* Of a worker that has ended: with what ended it. */
static void raise_with_cause(bridge_status status, bridge_worker *worker)
{
  bridge_error *cause = NULL;
  if (status == BRIDGE_EDEAD) {
    bridge_worker_join(worker, 0, NULL, &cause);
  }
  bridge__py_raise_error(status, cause, worker);
  bridge_error_release(cause);
}

static PyObject *run_call(call *self, int64_t timeout_ms)
{
  bool interrupted = false;
  bool asked_once = timeout_ms == 0;
  bridge_status status =
      bridge__py_wait(call_step, self, timeout_ms, &interrupted);
  if (interrupted) {
    return NULL;
  }
  if (asked_once && status == BRIDGE_EEMPTY) {
    status = BRIDGE_ETIMEDOUT; /* it was sent, so it is not full either */
  }
  if (status != BRIDGE_OK) {
    raise_with_cause(status, self->request.worker);
    return NULL;
  }
  return answer_of(self->answer, self->request.worker);
}

PyObject *bridge__py_worker_call(bridge_worker *worker,
                                 PyObject *name,
                                 PyObject *values,
                                 PyObject *timeout)
{
  int64_t timeout_ms = 0;
  call self = {.request = {.worker = worker}};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  self.request.message = bridge__py_pack(name, values);
  if (self.request.message == NULL) {
    return NULL;
  }
  bridge_status status = take_answers(&self.request.answers);
  if (status != BRIDGE_OK) {
    bridge_message_release(self.request.message);
    bridge__py_raise(status, NULL);
    return NULL;
  }
  self.request.deadline = bridge__py_deadline(timeout_ms);
  PyObject *result = run_call(&self, timeout_ms);
  bool clean = self.answer != NULL || self.request.message != NULL;
  if (!clean) { /* sent, and given up: nobody waits for it */
    bridge_worker_withdraw(worker, self.request.answers, self.request.session);
  }
  give_answers(self.request.answers, clean);
  bridge_message_release(self.request.message);
  bridge_message_release(self.answer);
  return result;
}

/* ---- Yielding ------------------------------------------------------------------- */

typedef struct turn {
  bridge_worker *worker;
  bridge_message *values; /* NULL once they are on their way */
  bridge_message *yielded;
} turn;

/* What is yielded after a slice stays for the next one. */
static bridge_status next_step(void *context, int timeout_ms)
{
  turn *self = context;
  return bridge_worker_next(self->worker, &self->values, timeout_ms,
                            &self->yielded, NULL);
}

/* Keep what nobody can be given, under the exception that says why. */
static void keep(PyObject *kept, const bridge_message *yielded)
{
  PyObject *type = NULL;
  PyObject *value = NULL;
  PyObject *trace = NULL;
  PyErr_Fetch(&type, &value, &trace);
  PyObject *row = bridge__py_unpack(yielded);
  if (row == NULL || PyList_Append(kept, row) < 0) {
    PyErr_WriteUnraisable(kept);
  }
  Py_XDECREF(row);
  PyErr_Restore(type, value, trace);
}

PyObject *bridge__py_worker_next(bridge_worker *worker,
                                 PyObject *values,
                                 PyObject *timeout,
                                 PyObject *kept)
{
  int64_t timeout_ms = 0;
  turn self = {.worker = worker};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  self.values = bridge__py_pack(NULL, values);
  if (self.values == NULL) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait_released(next_step, &self, timeout_ms, &interrupted);
  PyObject *result = NULL;
  if (interrupted && self.yielded != NULL) {
    keep(kept, self.yielded);
  } else if (!interrupted && status == BRIDGE_OK) {
    result = bridge__py_unpack(self.yielded);
  } else if (!interrupted) {
    bridge__py_raise(status, NULL);
  }
  bridge_message_release(self.values);
  bridge_message_release(self.yielded);
  return result;
}

/* ---- Driving -------------------------------------------------------------------- */

PyObject *bridge__py_worker_step(bridge_worker *worker, size_t budget)
{
  bridge_status status = BRIDGE_OK;
  Py_BEGIN_ALLOW_THREADS status = bridge_worker_step(worker, budget);
  Py_END_ALLOW_THREADS if (status == BRIDGE_OK || status == BRIDGE_EEMPTY)
  {
    return PyBool_FromLong(status == BRIDGE_OK);
  }
  if (status == BRIDGE_EUNSUPPORTED) {
    bridge__py_raise_format(status,
                            "this worker has a thread of its own, which "
                            "steps it");
    return NULL;
  }
  bridge__py_raise(status, NULL);
  return NULL;
}

/* ---- Ending --------------------------------------------------------------------- */

typedef struct ending {
  bridge_worker *worker;
  bridge_message *results;
  bridge_error *error;
} ending;

/* A join has ended, and the worker as one whose time was over: no reason to wait. */
static const bridge_status OVER = BRIDGE_ECLOSED;

static bridge_status join_step(void *context, int timeout_ms)
{
  ending *self = context;
  bridge_status status = bridge_worker_join(self->worker, timeout_ms,
                                            &self->results, &self->error);
  if (status != BRIDGE_ETIMEDOUT ||
      bridge_worker_phase_of(self->worker) != BRIDGE_WORKER_ENDED) {
    return status;
  }
  /* Either the worker's time is over, or it has ended right now. */
  bridge_error_release(self->error);
  status = bridge_worker_join(self->worker, 0, &self->results, &self->error);
  return status == BRIDGE_ETIMEDOUT ? OVER : status;
}

PyObject *bridge__py_worker_join(bridge_worker *worker, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  ending self = {.worker = worker};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(join_step, &self, timeout_ms, &interrupted);
  if (status == OVER) {
    status = BRIDGE_ETIMEDOUT;
  }
  PyObject *result = NULL;
  if (!interrupted && status == BRIDGE_OK) {
    result = bridge__py_unpack(self.results);
  } else if (!interrupted && status == BRIDGE_EUNSUPPORTED) {
    bridge__py_raise_format(status, "you drive this worker: step it until that "
                                    "raises Closed, then join it");
  } else if (!interrupted) {
    bridge__py_raise_error(status, self.error, worker);
  }
  bridge_message_release(self.results);
  bridge_error_release(self.error);
  return result;
}

/* Closing waits in stages, and runs the Lua of a worker of which we are the host, so
   it is done on a thread that Python does not see: who asked can hear Ctrl-C
   meanwhile, and go. */
typedef struct closing {
  bridge_worker *worker;
  int grace_ms;
  bridge_status status; /* read by who has joined the thread */
  atomic_int owners;    /* the thread, and who asked */
} closing;

static void drop_closing(closing *self)
{
  /* Publishes our use of it to the last owner, and takes the other's. */
  if (atomic_fetch_sub_explicit(&self->owners, 1, memory_order_acq_rel) == 1) {
    bridge_worker_release(self->worker);
    PyMem_RawFree(self);
  }
}

static void closing_main(void *user)
{
  closing *self = user;
  self->status = bridge_worker_close(self->worker, self->grace_ms);
  drop_closing(self);
}

static bridge_status closed_step(void *context, int timeout_ms)
{
  return bridge_thread_join(context, timeout_ms);
}

static bridge_status start_closing(closing **out,
                                   bridge_thread **thread,
                                   bridge_worker *worker,
                                   int64_t grace_ms)
{
  closing *self = PyMem_RawCalloc(1, sizeof(closing));
  if (self == NULL) {
    return BRIDGE_ENOMEM;
  }
  self->worker = bridge_worker_retain(worker);
  self->grace_ms = grace_ms < 0 || grace_ms > INT_MAX ? INT_MAX : (int)grace_ms;
  atomic_init(&self->owners, 2);
  bridge_status status = bridge_thread_create(thread, closing_main, self, NULL);
  if (status != BRIDGE_OK) {
    bridge_worker_release(self->worker);
    PyMem_RawFree(self);
    return status;
  }
  *out = self;
  return BRIDGE_OK;
}

static bridge_status close_apart(bridge_worker *worker,
                                 int64_t grace_ms,
                                 bool *interrupted)
{
  closing *self = NULL;
  bridge_thread *thread = NULL;
  bridge_status status = start_closing(&self, &thread, worker, grace_ms);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__py_wait(closed_step, thread, -1, interrupted);
  if (*interrupted) {
    /* The thread is done the sooner. */
    bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, 0);
  } else if (status == BRIDGE_OK) {
    status = self->status;
  }
  bridge_thread_release(thread);
  drop_closing(self);
  return status;
}

PyObject *bridge__py_worker_close(bridge_worker *worker, PyObject *grace)
{
  int64_t grace_ms = 0;
  bool interrupted = false;

  if (!bridge__py_timeout(grace, &grace_ms)) {
    return NULL;
  }
  bool ended = bridge_worker_phase_of(worker) == BRIDGE_WORKER_ENDED;
  bridge_status status = ended ? bridge_worker_close(worker, 0)
                               : close_apart(worker, grace_ms, &interrupted);
  return bridge__py_none_or_raise(status, interrupted);
}
