/* Channels and select, as Python waits for them: the GIL is released, and Ctrl-C
   is heard. */
#include "face.h"

enum {
  BATCH_MAX = 65536 /* a limit may be a way to say "all" */
};

typedef struct exchange {
  bridge_channel *channel;
  bridge_message *message;
  bridge_message **batch; /* or NULL */
  size_t limit;
  size_t count;
  uint64_t wakes; /* as the wait began: it is done in slices */
  bool woken;
} exchange;

/* ---- Sending ------------------------------------------------------------------- */

static bridge_status send_step(void *context, int timeout_ms)
{
  exchange *self = context;
  return bridge_channel_send_timeout(self->channel, &self->message, timeout_ms);
}

static PyObject *send(bridge_channel *channel,
                      PyObject *values,
                      int64_t timeout_ms)
{
  exchange self = {.channel = channel,
                   .message = bridge__py_pack(NULL, values)};
  if (self.message == NULL) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(send_step, &self, timeout_ms, &interrupted);
  bridge_message_release(self.message);
  return bridge__py_none_or_raise(status, interrupted);
}

PyObject *bridge__py_channel_send(bridge_channel *channel,
                                  PyObject *values,
                                  PyObject *timeout)
{
  int64_t timeout_ms = 0;
  return bridge__py_timeout(timeout, &timeout_ms)
             ? send(channel, values, timeout_ms)
             : NULL;
}

PyObject *bridge__py_channel_send_policy(bridge_channel *channel,
                                         PyObject *values)
{
  int timeout_ms = 0;
  bool waits =
      bridge_channel_policy_of(channel, &timeout_ms) == BRIDGE_QUEUE_BLOCK;
  return send(channel, values, waits ? timeout_ms : 0);
}

/* ---- Receiving ------------------------------------------------------------------ */

/* What is woken in a slice, or between two, is woken.  ECANCELLED ends the wait. */
static bridge_status heed_wakes(exchange *self,
                                bridge_status status,
                                uint64_t wakes,
                                int timeout_ms)
{
  if (timeout_ms != 0 &&
      (status == BRIDGE_EEMPTY ||
       (status == BRIDGE_ETIMEDOUT && wakes != self->wakes))) {
    self->woken = true;
    return BRIDGE_ECANCELLED;
  }
  return status;
}

static bridge_status receive_step(void *context, int timeout_ms)
{
  exchange *self = context;
  bridge_status status =
      self->batch == NULL
          ? bridge_channel_receive(self->channel, &self->message, timeout_ms)
          : bridge_channel_receive_batch(self->channel, self->batch,
                                         self->limit, &self->count, timeout_ms);
  return heed_wakes(self, status, bridge_channel_wakes(self->channel),
                    timeout_ms);
}

static void put_back(bridge_channel *channel, bridge_message *message)
{
  /* Refused where nobody can receive any more. */
  if (message != NULL) {
    bridge_channel_unreceive(channel, &message);
    bridge_message_release(message);
  }
}

static void raise_receiving(bridge_status status, bool woken)
{
  bridge__py_raise(woken ? BRIDGE_EEMPTY : status,
                   woken ? PyUnicode_FromString("the channel was woken")
                         : NULL);
}

PyObject *bridge__py_channel_receive(bridge_channel *channel, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  exchange self = {.channel = channel, .wakes = bridge_channel_wakes(channel)};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(receive_step, &self, timeout_ms, &interrupted);
  PyObject *result = NULL;
  if (!interrupted && status == BRIDGE_OK) {
    result = bridge__py_unpack(self.message);
  } else if (!interrupted) {
    raise_receiving(status, self.woken);
  }
  if (result == NULL) {
    put_back(channel, self.message);
  } else {
    bridge_message_release(self.message);
  }
  return result;
}

PyObject *bridge__py_channel_receive_or(bridge_channel *channel,
                                        PyObject *empty)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_channel_receive(channel, &message, 0);
  if (status == BRIDGE_EEMPTY) {
    return Py_NewRef(empty);
  }
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *result = bridge__py_unpack(message);
  if (result == NULL) {
    put_back(channel, message);
  } else {
    bridge_message_release(message);
  }
  return result;
}

/* The values up to the first that cannot be read: that one is met first by the
   next call.  Other failures end it all. */
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
static PyObject *finish_batch(exchange *self, PyObject *list)
{
  size_t read = list != NULL ? (size_t)PyList_GET_SIZE(list) : 0;
  while (self->count > read) {
    put_back(self->channel, self->batch[--self->count]);
  }
  for (size_t i = 0; i < read; i++) {
    bridge_message_release(self->batch[i]);
  }
  return list;
}

static PyObject *receive_batch(exchange *self, int64_t timeout_ms)
{
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(receive_step, self, timeout_ms, &interrupted);
  if (!interrupted && status == BRIDGE_OK) {
    return finish_batch(self, unpack_list(self));
  }
  if (!interrupted) {
    raise_receiving(status, self->woken);
  }
  return finish_batch(self, NULL);
}

PyObject *bridge__py_channel_receive_batch(bridge_channel *channel,
                                           PyObject *limit,
                                           PyObject *timeout)
{
  int64_t timeout_ms = 0;
  Py_ssize_t most = PyNumber_AsSsize_t(limit, PyExc_OverflowError);
  if ((most == -1 && PyErr_Occurred()) ||
      !bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  if (most < 1) {
    bridge__py_raise_format(BRIDGE_EINVAL, "limit is 1 or more, not %R", limit);
    return NULL;
  }
  exchange self = {.channel = channel,
                   .limit = most > BATCH_MAX ? BATCH_MAX : (size_t)most,
                   .wakes = bridge_channel_wakes(channel)};
  self.batch = PyMem_Calloc(self.limit, sizeof(bridge_message *));
  if (self.batch == NULL) {
    return PyErr_NoMemory();
  }
  PyObject *list = receive_batch(&self, timeout_ms);
  PyMem_Free(self.batch);
  return list;
}

/* ---- Looking --------------------------------------------------------------------- */

/* Takes the copy. */
static PyObject *read_copy(bridge_status status, bridge_message *copy)
{
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *result = bridge__py_unpack(copy);
  bridge_message_release(copy);
  return result;
}

PyObject *bridge__py_channel_peek(bridge_channel *channel)
{
  bridge_message *copy = NULL;
  bridge_status status = bridge_channel_peek(channel, &copy);
  return read_copy(status, copy);
}

PyObject *bridge__py_queue_peek(bridge_queue *queue)
{
  bridge_message *copy = NULL;
  bridge_status status = bridge_queue_peek(queue, &copy);
  return read_copy(status, copy);
}

PyObject *bridge__py_channel_discard(bridge_channel *channel)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_channel_receive(channel, &message, 0);
  bridge_message_release(message);
  if (status == BRIDGE_OK || status == BRIDGE_EEMPTY) {
    return PyBool_FromLong(status == BRIDGE_OK);
  }
  bridge__py_raise(status, NULL);
  return NULL;
}

/* ---- Select ----------------------------------------------------------------------- */

typedef struct selection {
  bridge_select_item *items;
  size_t count;
  size_t index;
  exchange got; /* its message, and whether it was woken */
} selection;

static uint64_t all_wakes(const selection *self)
{
  uint64_t sum = 0;
  for (size_t i = 0; i < self->count; i++) {
    if (self->items[i].kind == BRIDGE_HANDLE_CHANNEL) {
      sum += bridge_channel_wakes(self->items[i].handle);
    }
  }
  return sum;
}

static bridge_status select_step(void *context, int timeout_ms)
{
  selection *self = context;
  bridge_status status = bridge_select(self->items, self->count, timeout_ms,
                                       &self->index, &self->got.message);
  return heed_wakes(&self->got, status, all_wakes(self), timeout_ms);
}

static bool fill(selection *self, PyObject *sources)
{
  for (size_t i = 0; i < self->count; i++) {
    bridge_select_item *item = &self->items[i];
    PyObject *each = PyTuple_GET_ITEM(sources, (Py_ssize_t)i);
    int found = bridge__py_handle(each, &item->kind, &item->handle);
    if (found < 0) {
      return false;
    }
    if (found == 0 || (item->kind != BRIDGE_HANDLE_QUEUE &&
                       item->kind != BRIDGE_HANDLE_CHANNEL)) {
      PyErr_Format(PyExc_TypeError, "a Queue or a Channel, not %R", each);
      return false;
    }
  }
  return true;
}

static void give_back(const selection *self)
{
  bridge_message *message = self->got.message;
  const bridge_select_item *item = &self->items[self->index];
  if (message != NULL && item->kind == BRIDGE_HANDLE_QUEUE) {
    bridge_queue_unpop(item->handle, &message);
    bridge_message_release(message);
  } else {
    put_back(item->handle, message);
  }
}

static PyObject *choose(selection *self, int64_t timeout_ms)
{
  bool interrupted = false;
  self->got.wakes = all_wakes(self);
  bridge_status status =
      bridge__py_wait(select_step, self, timeout_ms, &interrupted);
  PyObject *value = NULL;
  if (!interrupted && status == BRIDGE_OK) {
    value = bridge__py_unpack(self->got.message);
  } else if (!interrupted && status == BRIDGE_EBUSY) {
    bridge__py_raise_format(status, "another thread is popping one of the "
                                    "queues, or one is there twice");
  } else if (!interrupted) {
    raise_receiving(status, self->got.woken);
  }
  if (value == NULL) {
    give_back(self);
    return NULL;
  }
  bridge_message_release(self->got.message);
  return Py_BuildValue("(nN)", (Py_ssize_t)self->index, value);
}

PyObject *bridge__py_select(PyObject *sources, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  PyObject *tuple = PySequence_Tuple(sources); /* nobody else changes it */
  if (tuple == NULL) {
    return NULL;
  }
  selection self = {.count = (size_t)PyTuple_GET_SIZE(tuple)};
  self.items = PyMem_Calloc(self.count + 1, sizeof *self.items);
  PyObject *result = NULL;
  if (self.items == NULL) {
    PyErr_NoMemory();
  } else if (fill(&self, tuple)) {
    result = choose(&self, timeout_ms);
  }
  PyMem_Free(self.items);
  Py_DECREF(tuple);
  return result;
}
