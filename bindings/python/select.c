/* Select, as Python waits: for the first of several queues and channels. */
#include "face.h"

typedef struct selection {
  bridge_select_item *items;
  size_t count;
  size_t index;
  bridge_message *message;
  bridge__py_wakes wakes;
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
                                       &self->index, &self->message);
  return bridge__py_heed_wakes(&self->wakes, status, all_wakes(self),
                               timeout_ms);
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

static PyObject *choose(selection *self, int64_t timeout_ms)
{
  bool interrupted = false;
  self->wakes.before = all_wakes(self);
  bridge_status status =
      bridge__py_wait(select_step, self, timeout_ms, &interrupted);
  PyObject *value = NULL;
  if (!interrupted && status == BRIDGE_OK) {
    value = bridge__py_unpack(self->message);
  } else if (!interrupted && status == BRIDGE_EBUSY) {
    bridge__py_raise_format(status, "another thread is popping one of the "
                                    "queues, or one is there twice");
  } else if (!interrupted) {
    bridge__py_raise_receiving(status, self->wakes.woken);
  }
  if (value == NULL) {
    const bridge_select_item *from = &self->items[self->index];
    bridge__py_put_back((bridge__py_line){from->kind, from->handle},
                        self->message);
    return NULL;
  }
  bridge_message_release(self->message);
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
