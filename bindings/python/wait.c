/* The calls that block: the only ones that release the GIL, and all of them can
   be broken by Ctrl-C.  Nothing is lost when that happens: a message that was
   popped meanwhile goes back, and one that was not pushed is freed here, since
   Python still has its values. */
#include "face.h"

#include <limits.h>
#include <math.h>
#include <time.h>

/* How long the main thread waits without looking for signals. */
enum {
  SLICE_MS = 100
};

/* ---- Time --------------------------------------------------------------------- */

static const int64_t ns_in_ms = 1000000;

/* 31 years are for ever, and leave room in 64 bits of nanoseconds. */
static const double longest_s = 1e9;

static int64_t now_ns(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 * ns_in_ms + time.tv_nsec;
}

bool bridge__py_timeout(PyObject *seconds, int64_t *milliseconds)
{
  *milliseconds = -1;
  if (seconds == Py_None) {
    return true;
  }
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Format(PyExc_TypeError, "a time-out is None or seconds, not %R",
                   seconds);
    }
    return false;
  }
  if (!(value >= 0)) { /* also what is no number */
    bridge__py_raise_format(
        BRIDGE_EINVAL, "a time-out is None or seconds from 0, not %R", seconds);
    return false;
  }
  /* Never sooner than asked. */
  *milliseconds = value < longest_s ? (int64_t)ceil(value * 1000) : -1;
  return true;
}

/* The thread that Python handles signals on; 0 while nobody has told.  Asking
   Python each time would run its code, in which a signal could be lost. */
static unsigned long main_thread;

void bridge__py_set_main_thread(unsigned long ident)
{
  if (main_thread != 0) {
    bridge__py_watch_forked();
  }
  main_thread = ident;
}

bool bridge__py_on_main_thread(void)
{
  return main_thread == 0 || main_thread == PyThread_get_thread_ident();
}

/* ---- Waiting -------------------------------------------------------------------- */

static bool is_not_yet(bridge_status status)
{
  return status == BRIDGE_EEMPTY || status == BRIDGE_EFULL ||
         status == BRIDGE_ETIMEDOUT;
}

/* The next slice of a wait until `deadline`, which is negative for none. */
static int slice_until(int64_t deadline, bool sliced)
{
  int64_t most = sliced ? SLICE_MS : INT_MAX;
  if (deadline < 0) {
    return sliced ? SLICE_MS : -1;
  }
  int64_t left = (deadline - now_ns() + ns_in_ms - 1) / ns_in_ms;
  if (left < 0) {
    left = 0;
  }
  return (int)(left < most ? left : most);
}

static bridge_status released(bridge__py_step *step,
                              void *context,
                              int timeout_ms)
{
  bridge_status status = BRIDGE_OK;
  Py_BEGIN_ALLOW_THREADS status = step(context, timeout_ms);
  Py_END_ALLOW_THREADS return status;
}

int64_t bridge__py_deadline(int64_t timeout_ms)
{
  return timeout_ms < 0 ? -1 : now_ns() + timeout_ms * ns_in_ms;
}

int bridge__py_left(int64_t deadline)
{
  return slice_until(deadline, false);
}

bridge_status bridge__py_wait(bridge__py_step *step,
                              void *context,
                              int64_t timeout_ms,
                              bool *interrupted)
{
  *interrupted = false;
  bridge_status status = step(context, 0); /* does not block: keep the GIL */
  if (timeout_ms == 0 || !is_not_yet(status)) {
    return status;
  }
  return bridge__py_wait_released(step, context, timeout_ms, interrupted);
}

bridge_status bridge__py_wait_released(bridge__py_step *step,
                                       void *context,
                                       int64_t timeout_ms,
                                       bool *interrupted)
{
  *interrupted = false;
  bridge_status status = BRIDGE_OK;
  int64_t deadline = bridge__py_deadline(timeout_ms);
  bool sliced = bridge__py_on_main_thread();
  for (;;) {
    int slice = slice_until(deadline, sliced);
    status = released(step, context, slice);
    if (PyErr_CheckSignals() < 0) {
      break;
    }
    bool never = status == BRIDGE_EFULL && slice != 0; /* an inbox that fails */
    if (!is_not_yet(status) || never) {
      return status;
    }
    if (deadline >= 0 && now_ns() >= deadline) {
      return BRIDGE_ETIMEDOUT;
    }
  }
  *interrupted = true;
  return status;
}

PyObject *bridge__py_none_or_raise(bridge_status status, bool interrupted)
{
  if (interrupted) {
    return NULL;
  }
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  Py_RETURN_NONE;
}

/* ---- Queue ------------------------------------------------------------------------ */

typedef struct exchange {
  bridge_queue *queue;
  bridge_message *message;
  size_t count; /* of a batch */
  size_t limit;
  bridge_message **batch;
} exchange;

static bridge_status push_step(void *context, int timeout_ms)
{
  exchange *self = context;
  return bridge_queue_push_timeout(self->queue, &self->message, timeout_ms);
}

static PyObject *push(bridge_queue *queue, PyObject *values, int64_t timeout_ms)
{
  exchange self = {.queue = queue, .message = bridge__py_pack(NULL, values)};
  if (self.message == NULL) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(push_step, &self, timeout_ms, &interrupted);
  bridge_message_release(self.message);
  return bridge__py_none_or_raise(status, interrupted);
}

PyObject *bridge__py_queue_push(bridge_queue *queue,
                                PyObject *values,
                                PyObject *timeout)
{
  int64_t timeout_ms = 0;
  return bridge__py_timeout(timeout, &timeout_ms)
             ? push(queue, values, timeout_ms)
             : NULL;
}

PyObject *bridge__py_queue_push_policy(bridge_queue *queue, PyObject *values)
{
  int timeout_ms = 0;
  bool waits = bridge_queue_policy_of(queue, &timeout_ms) == BRIDGE_QUEUE_BLOCK;
  return push(queue, values, waits ? timeout_ms : 0);
}

static bridge_status pop_step(void *context, int timeout_ms)
{
  exchange *self = context;
  return bridge_queue_pop(self->queue, &self->message, timeout_ms);
}

/* Put back what cannot be given to the caller.  The exception that says why stays
   set. */
static void put_back(bridge_queue *queue, bridge_message **message)
{
  if (*message != NULL && bridge_queue_unpop(queue, message) != BRIDGE_OK) {
    bridge_message_release(*message); /* only a child of a fork comes here */
    *message = NULL;
  }
}

PyObject *bridge__py_queue_pop(bridge_queue *queue, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  exchange self = {.queue = queue};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(pop_step, &self, timeout_ms, &interrupted);
  PyObject *result = NULL;
  if (!interrupted && status == BRIDGE_OK) {
    result = bridge__py_unpack(self.message);
  } else if (!interrupted) {
    bridge__py_raise(status, NULL);
  }
  if (result == NULL) {
    put_back(queue, &self.message);
  }
  bridge_message_release(self.message);
  return result;
}

/* Never waits; gives `empty` where there is nothing. */
PyObject *bridge__py_queue_pop_or(bridge_queue *queue, PyObject *empty)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_queue_pop(queue, &message, 0);
  if (status == BRIDGE_EEMPTY) {
    return Py_NewRef(empty);
  }
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *result = bridge__py_unpack(message);
  if (result == NULL) {
    put_back(queue, &message);
  }
  bridge_message_release(message);
  return result;
}

/* Nothing is read of it, so there is nothing that could be refused. */
PyObject *bridge__py_queue_discard(bridge_queue *queue)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_queue_pop(queue, &message, 0);
  bridge_message_release(message);
  if (status == BRIDGE_OK || status == BRIDGE_EEMPTY) {
    return PyBool_FromLong(status == BRIDGE_OK);
  }
  bridge__py_raise(status, NULL);
  return NULL;
}

static bridge_status batch_step(void *context, int timeout_ms)
{
  exchange *self = context;
  return bridge_queue_pop_batch(self->queue, self->batch, self->limit,
                                &self->count, timeout_ms);
}

/* The values of the messages up to the first that cannot be read: that one is
   met first by the next call.  Other failures, such as Ctrl-C, end it all. */
static PyObject *unpack_list(const exchange *self)
{
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list != NULL && i < self->count; i++) {
    PyObject *value = bridge__py_unpack(self->batch[i]);
    if (value == NULL && i > 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Clear();
      break;
    }
    if (value == NULL || PyList_Append(list, value) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(value);
  }
  return list;
}

/* What was not read goes back, in order. */
static PyObject *unpack_batch(exchange *self)
{
  PyObject *list = unpack_list(self);
  size_t read = list != NULL ? (size_t)PyList_GET_SIZE(list) : 0;
  while (self->count > read) {
    put_back(self->queue, &self->batch[--self->count]);
  }
  for (size_t i = 0; i < read; i++) {
    bridge_message_release(self->batch[i]);
  }
  return list;
}

static PyObject *pop_batch(exchange *self, int64_t timeout_ms)
{
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(batch_step, self, timeout_ms, &interrupted);
  if (interrupted) {
    size_t count = status == BRIDGE_OK ? self->count : 0;
    while (count > 0) {
      put_back(self->queue, &self->batch[--count]);
    }
    return NULL;
  }
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  return unpack_batch(self);
}

PyObject *bridge__py_queue_pop_batch(bridge_queue *queue,
                                     PyObject *limit,
                                     PyObject *timeout)
{
  int64_t timeout_ms = 0;
  Py_ssize_t most = PyNumber_AsSsize_t(limit, PyExc_OverflowError);
  if (most == -1 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Format(PyExc_TypeError, "limit is a number of messages, not %R",
                   limit);
    }
    return NULL;
  }
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  if (most < 1) {
    bridge__py_raise_format(BRIDGE_EINVAL, "limit is 1 or more, not %R", limit);
    return NULL;
  }
  /* A limit may be a way to say "all"; the next call takes the rest. */
  exchange self = {.queue = queue,
                   .limit = most > 65536 ? 65536 : (size_t)most};
  self.batch = PyMem_Calloc(self.limit, sizeof(bridge_message *));
  if (self.batch == NULL) {
    return PyErr_NoMemory();
  }
  PyObject *list = pop_batch(&self, timeout_ms);
  PyMem_Free(self.batch);
  return list;
}

/* ---- Waker ------------------------------------------------------------------------- */

static bridge_status waker_step(void *context, int timeout_ms)
{
  return bridge_waker_wait(context, timeout_ms);
}

PyObject *bridge__py_waker_wait(bridge_waker *waker, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(waker_step, waker, timeout_ms, &interrupted);
  return bridge__py_none_or_raise(status, interrupted);
}
