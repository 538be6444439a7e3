/* Messages that were popped together and are read one by one, as an iterator.  What
   nobody read goes back to the queue, in order, when the batch goes. */
#include "face.h"

enum {
  MOST = 256 /* messages that are out of the queue at once */
};

typedef struct batch {
  PyObject base;
  bridge_queue *queue;
  size_t next;
  size_t count;
  bridge_message *messages[MOST];
} batch;

static PyTypeObject *type;

static void put_back(batch *self)
{
  while (self->count > self->next) {
    bridge_message **last = &self->messages[--self->count];
    if (bridge_queue_unpop(self->queue, last) != BRIDGE_OK) {
      bridge_message_release(*last); /* only a child of a fork comes here */
    }
  }
}

static PyObject *next(PyObject *object)
{
  batch *self = (batch *)object;
  if (self->next == self->count) {
    return NULL;
  }
  bridge_message *message = self->messages[self->next];
  PyObject *value = bridge__py_unpack(message);
  if (value == NULL) {
    put_back(self); /* that one is the oldest again */
    return NULL;
  }
  self->next++;
  bridge_message_release(message);
  return value;
}

static void dealloc(PyObject *object)
{
  batch *self = (batch *)object;
  PyTypeObject *of = Py_TYPE(object);
  put_back(self);
  bridge_queue_release(self->queue);
  of->tp_free(object);
  Py_DECREF(of);
}

static PyObject *refuse_new(PyTypeObject *of, PyObject *some, PyObject *others)
{
  (void)some;
  (void)others;
  PyErr_Format(PyExc_TypeError, "a %s comes out of a Queue", of->tp_name);
  return NULL;
}

static bool make_type(void)
{
  /* ISO C has no function as void *, but POSIX and Windows do. */
  PyType_Slot slots[] = {
      {Py_tp_doc, "Messages that were popped together."},
      {Py_tp_dealloc, (void *)(uintptr_t)dealloc},
      {Py_tp_new, (void *)(uintptr_t)refuse_new},
      {Py_tp_iter, (void *)(uintptr_t)PyObject_SelfIter},
      {Py_tp_iternext, (void *)(uintptr_t)next},
      {0, NULL},
  };
  PyType_Spec spec = {
      .name = "bridge.core.Batch",
      .basicsize = sizeof(batch),
      .flags = Py_TPFLAGS_DEFAULT,
      .slots = slots,
  };
  type = (PyTypeObject *)PyType_FromSpec(&spec);
  return type != NULL;
}

PyObject *bridge__py_queue_take(bridge_queue *queue)
{
  if (type == NULL && !make_type()) {
    return NULL;
  }
  batch *self = PyObject_New(batch, type);
  if (self == NULL) {
    return NULL;
  }
  self->queue = bridge_queue_retain(queue);
  self->next = 0;
  self->count = 0;
  bridge_status status =
      bridge_queue_pop_batch(queue, self->messages, MOST, &self->count, 0);
  if (status == BRIDGE_OK) {
    return (PyObject *)self;
  }
  Py_DECREF(self);
  if (status == BRIDGE_EEMPTY) {
    Py_RETURN_NONE;
  }
  bridge__py_raise(status, NULL);
  return NULL;
}
