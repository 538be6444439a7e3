/* Looking at workers from Python: all that live, what each is doing, and where. */
#include "face.h"

/* ---- One of them ------------------------------------------------------------------ */

/* What Info of bridge.worker is made of, in its order. */
PyObject *bridge__py_worker_look(bridge_worker *worker)
{
  bridge_worker_info info;
  bridge_worker_info_init(&info);
  bridge_status status = bridge_worker_look(worker, &info);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  return Py_BuildValue(
      "KNiONdd(KKK)KKKKK", (unsigned long long)info.id,
      bridge__py_decode(info.name, strlen(info.name)), (int)info.phase,
      info.paused ? Py_True : Py_False,
      bridge__py_decode(info.running, strlen(info.running)),
      (double)info.running_ns / 1e9, (double)info.cpu_ns / 1e9,
      (unsigned long long)info.memory_used,
      (unsigned long long)info.memory_peak,
      (unsigned long long)info.memory_limit,
      (unsigned long long)info.inbox_items,
      (unsigned long long)info.inbox_bytes, (unsigned long long)info.messages,
      (unsigned long long)info.errors, (unsigned long long)info.dropped);
}

typedef struct sight {
  bridge_worker *worker;
  bridge_error *error;
} sight;

static bridge_status traceback_step(void *context, int timeout_ms)
{
  sight *self = context;
  return bridge_worker_traceback(self->worker, timeout_ms, &self->error);
}

/* As an exception that says where, which nobody raises. */
PyObject *bridge__py_worker_traceback(bridge_worker *worker, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  sight self = {worker, NULL};
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(traceback_step, &self, timeout_ms, &interrupted);
  PyObject *result = NULL;
  if (!interrupted && status == BRIDGE_OK) {
    result = bridge__py_exception(BRIDGE_ESCRIPT, self.error, worker);
  } else if (!interrupted) {
    bridge__py_raise(status, NULL);
  }
  bridge_error_release(self.error);
  return result;
}

/* ---- All of them -------------------------------------------------------------------- */

/* Takes the reference. */
static PyObject *face_of(bridge_worker *worker)
{
  if (worker == NULL) {
    Py_RETURN_NONE;
  }
  PyObject *face = bridge__py_wrap(BRIDGE_HANDLE_WORKER, worker);
  bridge_worker_release(worker);
  return face;
}

static PyObject *list_of(bridge_worker **workers, size_t count)
{
  PyObject *list = PyList_New(0);
  for (size_t i = 0; i < count; i++) {
    PyObject *face = face_of(workers[i]);
    if (list != NULL && (face == NULL || PyList_Append(list, face) < 0)) {
      Py_CLEAR(list);
    }
    Py_XDECREF(face);
  }
  return list;
}

/* Some may come between the two calls: then once more. */
PyObject *bridge__py_workers(void)
{
  bridge_worker **workers = NULL;
  size_t capacity = 0;
  size_t count = 0;
  bridge_status status = bridge_workers(NULL, 0, &count);
  while (status == BRIDGE_OK && count > capacity) {
    for (size_t i = 0; i < capacity; i++) {
      bridge_worker_release(workers[i]);
    }
    capacity = count + 8;
    bridge_worker **more = PyMem_Realloc(workers, capacity * sizeof *workers);
    if (more == NULL) {
      PyMem_Free(workers);
      return PyErr_NoMemory();
    }
    workers = more;
    status = bridge_workers(workers, capacity, &count);
  }
  if (status != BRIDGE_OK) {
    PyMem_Free(workers);
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *list = list_of(workers, count);
  PyMem_Free(workers);
  return list;
}

PyObject *bridge__py_find(PyObject *key)
{
  if (PyLong_Check(key)) {
    uint64_t id = PyLong_AsUnsignedLongLong(key);
    if (PyErr_Occurred()) { /* no worker has such a number */
      if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
        return NULL;
      }
      PyErr_Clear();
      Py_RETURN_NONE;
    }
    return face_of(bridge_worker_find_id(id));
  }
  PyObject *name = bridge__py_bytes_of(key, true);
  if (name == NULL) {
    return NULL;
  }
  bridge_worker *found = bridge_worker_find(PyBytes_AS_STRING(name));
  Py_DECREF(name);
  return face_of(found);
}
