/* Looking at workers and all other objects from Python: which there are, what each is
   doing, and where. */
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
static PyObject *face_of(bridge_handle_kind kind, void *handle)
{
  if (handle == NULL) {
    Py_RETURN_NONE;
  }
  PyObject *face = bridge__py_wrap(kind, handle);
  bridge_handle_release(handle);
  return face;
}

typedef union slot {
  void *object;
  bridge_worker *worker;
} slot;

typedef bridge_status lister(slot *slots, size_t capacity, size_t *count);

static bridge_status fill_workers(slot *slots, size_t capacity, size_t *count)
{
  return bridge_workers(slots == NULL ? NULL : &slots->worker, capacity, count);
}

static bridge_status fill_objects(slot *slots, size_t capacity, size_t *count)
{
  return bridge_objects(slots == NULL ? NULL : &slots->object, capacity, count);
}

static bridge_handle_kind kind_of(void *object)
{
  bridge_object_info info;
  bridge_object_info_init(&info);
  bridge_object_look(object, &info);
  return info.kind;
}

static PyObject *list_of(slot *slots, size_t count)
{
  PyObject *list = PyList_New(0);
  for (size_t i = 0; i < count; i++) {
    PyObject *face = face_of(kind_of(slots[i].object), slots[i].object);
    if (list != NULL && (face == NULL || PyList_Append(list, face) < 0)) {
      Py_CLEAR(list);
    }
    Py_XDECREF(face);
  }
  return list;
}

/* Some may come between the two calls: then once more. */
static PyObject *collect(lister *fill)
{
  slot *slots = NULL;
  size_t capacity = 0;
  size_t count = 0;
  bridge_status status = fill(NULL, 0, &count);
  while (status == BRIDGE_OK && count > capacity) {
    for (size_t i = 0; i < capacity; i++) {
      bridge_handle_release(slots[i].object);
    }
    capacity = count + 8;
    slot *more = PyMem_Realloc(slots, capacity * sizeof *slots);
    if (more == NULL) {
      PyMem_Free(slots);
      return PyErr_NoMemory();
    }
    slots = more;
    status = fill(slots, capacity, &count);
  }
  if (status != BRIDGE_OK) {
    PyMem_Free(slots);
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *list = list_of(slots, count);
  PyMem_Free(slots);
  return list;
}

PyObject *bridge__py_workers(void)
{
  return collect(fill_workers);
}

PyObject *bridge__py_objects(void)
{
  return collect(fill_objects);
}

/* False if no object has such a number, or with an exception. */
static bool number_of(PyObject *key, uint64_t *out)
{
  *out = PyLong_AsUnsignedLongLong(key);
  if (!PyErr_Occurred()) {
    return true;
  }
  if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear();
  }
  return false;
}

static PyObject *none_unless_raised(void)
{
  if (PyErr_Occurred()) {
    return NULL;
  }
  Py_RETURN_NONE;
}

PyObject *bridge__py_find(PyObject *key)
{
  if (PyLong_Check(key)) {
    uint64_t id = 0;
    return number_of(key, &id)
               ? face_of(BRIDGE_HANDLE_WORKER, bridge_worker_find_id(id))
               : none_unless_raised();
  }
  PyObject *name = bridge__py_bytes_of(key, true);
  if (name == NULL) {
    return NULL;
  }
  bridge_worker *found = bridge_worker_find(PyBytes_AS_STRING(name));
  Py_DECREF(name);
  return face_of(BRIDGE_HANDLE_WORKER, found);
}

/* ---- Objects of any kind ------------------------------------------------------------- */

/* Takes the reference. */
static PyObject *face_if(void *found, bridge_handle_kind wanted)
{
  const bridge_handle_kind kind =
      found == NULL ? BRIDGE_HANDLE_NONE : kind_of(found);
  if (wanted != BRIDGE_HANDLE_NONE && wanted != kind) {
    bridge_handle_release(found);
    Py_RETURN_NONE;
  }
  return face_of(kind, found);
}

PyObject *bridge__py_find_object(PyObject *key, int wanted)
{
  const bridge_handle_kind kind = (bridge_handle_kind)wanted;
  if (PyLong_Check(key)) {
    uint64_t id = 0;
    return number_of(key, &id) ? face_if(bridge_object_find_id(id), kind)
                               : none_unless_raised();
  }
  PyObject *name = bridge__py_bytes_of(key, true);
  if (name == NULL) {
    return NULL;
  }
  void *found = bridge_object_find(kind, PyBytes_AS_STRING(name));
  Py_DECREF(name);
  return face_if(found, kind);
}

static void *object_of(PyObject *face)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  if (bridge__py_handle(face, &kind, &handle) == 0) {
    PyErr_Format(PyExc_TypeError, "an object of the bridge, not %R", face);
  }
  return handle;
}

/* What ObjectInfo of bridge.listed is made of.  One reference is the face's. */
PyObject *bridge__py_object_look(PyObject *face)
{
  void *object = object_of(face);
  if (object == NULL) {
    return NULL;
  }
  bridge_object_info info;
  bridge_object_info_init(&info);
  bridge_status status = bridge_object_look(object, &info);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  return Py_BuildValue(
      "iKNnOKKLK", (int)info.kind, (unsigned long long)info.id,
      bridge__py_decode(info.name, strlen(info.name)),
      (Py_ssize_t)info.references - 1, info.closed ? Py_True : Py_False,
      (unsigned long long)info.items, (unsigned long long)info.bytes,
      (long long)info.value, (unsigned long long)info.target);
}

PyObject *bridge__py_object_set_name(PyObject *face, PyObject *name)
{
  void *object = object_of(face);
  if (object == NULL) {
    return NULL;
  }
  PyObject *bytes = name == Py_None ? NULL : bridge__py_bytes_of(name, true);
  if (bytes == NULL && name != Py_None) {
    return NULL;
  }
  bridge_status status = bridge_object_set_name(
      object, bytes == NULL ? NULL : PyBytes_AS_STRING(bytes));
  Py_XDECREF(bytes);
  return bridge__py_none_or_raise(status, false);
}
