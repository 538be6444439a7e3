/* Queues and channels, as Python sends to them and receives from them: what differs
   is at the top, the rest is the same for both.  Nothing is lost when Ctrl-C breaks a
   wait: a message that was received meanwhile goes back, and one that was not sent is
   freed here, since Python still has its values. */
#include "face.h"

enum {
  BATCH_MAX = 65536 /* a limit may be a way to say "all" */
};

/* ---- One of the two ---------------------------------------------------------------- */

static bool is_queue(bridge__py_line line)
{
  return line.kind == BRIDGE_HANDLE_QUEUE;
}

static bridge_status put(bridge__py_line line,
                         bridge_message **message,
                         int timeout_ms)
{
  return is_queue(line)
             ? bridge_queue_push_timeout(line.handle, message, timeout_ms)
             : bridge_channel_send_timeout(line.handle, message, timeout_ms);
}

static bridge_queue_policy policy_of(bridge__py_line line, int *timeout_ms)
{
  return is_queue(line) ? bridge_queue_policy_of(line.handle, timeout_ms)
                        : bridge_channel_policy_of(line.handle, timeout_ms);
}

static bridge_status take(bridge__py_line line,
                          bridge_message **out,
                          int timeout_ms)
{
  return is_queue(line) ? bridge_queue_pop(line.handle, out, timeout_ms)
                        : bridge_channel_receive(line.handle, out, timeout_ms);
}

static bridge_status take_batch(bridge__py_line line,
                                bridge_message **out,
                                size_t limit,
                                size_t *count,
                                int timeout_ms)
{
  return is_queue(line) ? bridge_queue_pop_batch(line.handle, out, limit, count,
                                                 timeout_ms)
                        : bridge_channel_receive_batch(line.handle, out, limit,
                                                       count, timeout_ms);
}

static bridge_status peek(bridge__py_line line, bridge_message **copy)
{
  return is_queue(line) ? bridge_queue_peek(line.handle, copy)
                        : bridge_channel_peek(line.handle, copy);
}

static uint64_t wakes_of(bridge__py_line line)
{
  return is_queue(line) ? 0 : bridge_channel_wakes(line.handle);
}

void bridge__py_put_back(bridge__py_line line, bridge_message *message)
{
  if (message == NULL) {
    return;
  }
  if (is_queue(line)) {
    bridge_queue_unpop(line.handle, &message);
  } else {
    bridge_channel_unreceive(line.handle, &message);
  }
  /* Refused where nobody can receive any more, or in the child of a fork. */
  bridge_message_release(message);
}

/* ---- Sending ------------------------------------------------------------------- */

typedef struct sending {
  bridge__py_line line;
  bridge_message *message;
} sending;

static bridge_status send_step(void *context, int timeout_ms)
{
  sending *self = context;
  return put(self->line, &self->message, timeout_ms);
}

static PyObject *send(bridge__py_line line,
                      PyObject *values,
                      int64_t timeout_ms)
{
  sending self = {.line = line, .message = bridge__py_pack(NULL, values)};
  if (self.message == NULL) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(send_step, &self, timeout_ms, &interrupted);
  bridge_message_release(self.message);
  return bridge__py_none_or_raise(status, interrupted);
}

PyObject *bridge__py_send(bridge__py_line line,
                          PyObject *values,
                          PyObject *timeout)
{
  int64_t timeout_ms = 0;
  return bridge__py_timeout(timeout, &timeout_ms)
             ? send(line, values, timeout_ms)
             : NULL;
}

int bridge__py_patience(bridge__py_line line)
{
  int timeout_ms = 0;
  bool waits = policy_of(line, &timeout_ms) == BRIDGE_QUEUE_BLOCK;
  return waits ? timeout_ms : 0;
}

PyObject *bridge__py_send_by_policy(bridge__py_line line, PyObject *values)
{
  return send(line, values, bridge__py_patience(line));
}

/* ---- Receiving ------------------------------------------------------------------ */

typedef struct receiving {
  bridge__py_line line;
  bridge_message *message;
  bridge_message **batch; /* or NULL */
  size_t limit;
  size_t count;
  bridge__py_wakes wakes;
} receiving;

bridge_status bridge__py_heed_wakes(bridge__py_wakes *self,
                                    bridge_status status,
                                    uint64_t wakes,
                                    int timeout_ms)
{
  if (timeout_ms != 0 &&
      (status == BRIDGE_EEMPTY ||
       (status == BRIDGE_ETIMEDOUT && wakes != self->before))) {
    self->woken = true;
    return BRIDGE_ECANCELLED;
  }
  return status;
}

void bridge__py_raise_receiving(bridge_status status, bool woken)
{
  bridge__py_raise(woken ? BRIDGE_EEMPTY : status,
                   woken ? PyUnicode_FromString("the channel was woken")
                         : NULL);
}

static bridge_status receive_step(void *context, int timeout_ms)
{
  receiving *self = context;
  bridge_status status = self->batch == NULL
                             ? take(self->line, &self->message, timeout_ms)
                             : take_batch(self->line, self->batch, self->limit,
                                          &self->count, timeout_ms);
  return is_queue(self->line)
             ? status
             : bridge__py_heed_wakes(&self->wakes, status, wakes_of(self->line),
                                     timeout_ms);
}

/* Takes the message; one that cannot be read goes back. */
static PyObject *unpack_or_put_back(bridge__py_line line,
                                    bridge_message *message)
{
  PyObject *result = bridge__py_unpack(message);
  if (result == NULL) {
    bridge__py_put_back(line, message);
  } else {
    bridge_message_release(message);
  }
  return result;
}

PyObject *bridge__py_receive(bridge__py_line line, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  receiving self = {.line = line, .wakes.before = wakes_of(line)};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(receive_step, &self, timeout_ms, &interrupted);
  if (!interrupted && status == BRIDGE_OK) {
    return unpack_or_put_back(line, self.message);
  }
  if (!interrupted) {
    bridge__py_raise_receiving(status, self.wakes.woken);
  }
  bridge__py_put_back(line, self.message);
  return NULL;
}

PyObject *bridge__py_receive_or(bridge__py_line line, PyObject *empty)
{
  bridge_message *message = NULL;
  bridge_status status = take(line, &message, 0);
  if (status == BRIDGE_EEMPTY) {
    return Py_NewRef(empty);
  }
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  return unpack_or_put_back(line, message);
}

/* ---- Many at once ------------------------------------------------------------------ */

/* The values up to the first that cannot be read: that one is met first by the
   next call.  Other failures, such as Ctrl-C, end it all. */
static PyObject *unpack_list(const receiving *self)
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
static PyObject *finish_batch(receiving *self, PyObject *list)
{
  size_t known = list != NULL ? (size_t)PyList_GET_SIZE(list) : 0;
  while (self->count > known) {
    bridge__py_put_back(self->line, self->batch[--self->count]);
  }
  for (size_t i = 0; i < known; i++) {
    bridge_message_release(self->batch[i]);
  }
  return list;
}

static PyObject *receive_batch(receiving *self, int64_t timeout_ms)
{
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(receive_step, self, timeout_ms, &interrupted);
  if (!interrupted && status == BRIDGE_OK) {
    return finish_batch(self, unpack_list(self));
  }
  if (!interrupted) {
    bridge__py_raise_receiving(status, self->wakes.woken);
  }
  return finish_batch(self, NULL);
}

/* Messages in a batch, or 0 with an exception. */
static size_t limit_of(PyObject *limit)
{
  Py_ssize_t most = PyNumber_AsSsize_t(limit, PyExc_OverflowError);
  if (most == -1 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Format(PyExc_TypeError, "limit is a number of messages, not %R",
                   limit);
    }
    return 0;
  }
  if (most < 1) {
    bridge__py_raise_format(BRIDGE_EINVAL, "limit is 1 or more, not %R", limit);
    return 0;
  }
  return most > BATCH_MAX ? BATCH_MAX : (size_t)most;
}

PyObject *bridge__py_receive_batch(bridge__py_line line,
                                   PyObject *limit,
                                   PyObject *timeout)
{
  int64_t timeout_ms = 0;
  receiving self = {
      .line = line, .limit = limit_of(limit), .wakes.before = wakes_of(line)};
  if (self.limit == 0 || !bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  self.batch = PyMem_Calloc(self.limit, sizeof(bridge_message *));
  if (self.batch == NULL) {
    return PyErr_NoMemory();
  }
  PyObject *list = receive_batch(&self, timeout_ms);
  PyMem_Free(self.batch);
  return list;
}

/* ---- Looking --------------------------------------------------------------------- */

PyObject *bridge__py_peek(bridge__py_line line)
{
  bridge_message *copy = NULL;
  bridge_status status = peek(line, &copy);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *result = bridge__py_unpack(copy);
  bridge_message_release(copy);
  return result;
}

/* Nothing is read of it, so there is nothing that could be refused. */
PyObject *bridge__py_discard(bridge__py_line line)
{
  bridge_message *message = NULL;
  bridge_status status = take(line, &message, 0);
  bridge_message_release(message);
  if (status == BRIDGE_OK || status == BRIDGE_EEMPTY) {
    return PyBool_FromLong(status == BRIDGE_OK);
  }
  bridge__py_raise(status, NULL);
  return NULL;
}
