/* From a dict of options to the structures of the library.  bridge.options has
   checked what they are, and names them in its errors; what is left out, or None,
   stays at its default. */
#include "face.h"

#include <stddef.h>
#include <string.h>

typedef enum option_type {
  TEXT, /* bytes, or str without NULs */
  SOURCE,
  SIZE,
  NUMBER, /* an int, or an enumeration */
  BITS,
  FLAG,
  QUEUE
} option_type;

typedef struct option {
  const char *name;
  option_type type;
  size_t offset;
} option;

#define STATE(name, type, field)                                               \
  {                                                                            \
    name, type, offsetof(bridge_state_options, field)                          \
  }
#define WORKER(name, type, field)                                              \
  {                                                                            \
    name, type, offsetof(bridge_worker_options, field)                         \
  }

static const option of_state[] = {
    STATE("name", TEXT, name),
    STATE("libraries", TEXT, libraries),
    STATE("path", TEXT, path),
    STATE("cpath", TEXT, cpath),
    STATE("memory_limit", SIZE, memory_limit),
    STATE("depth_limit", SIZE, depth_limit),
    STATE("value_limit", SIZE, value_limit),
    STATE("message_limit", SIZE, message_limit),
    STATE("binary_chunks", FLAG, binary_chunks),
    STATE("tracebacks", FLAG, tracebacks),
    STATE("stop", NUMBER, stop),
    STATE("sandbox", FLAG, sandbox),
    STATE("run_timeout", NUMBER, run.timeout_ms),
    STATE("run_cpu", NUMBER, run.cpu_ms),
};

static const option of_worker[] = {
    WORKER("name", TEXT, name),
    WORKER("source", SOURCE, source),
    WORKER("file", TEXT, file),
    WORKER("drive", NUMBER, drive),
    WORKER("waker", NUMBER, waker_kind),
    WORKER("inbox_items", SIZE, inbox_items),
    WORKER("inbox_bytes", SIZE, inbox_bytes),
    WORKER("inbox_full", NUMBER, inbox_full),
    WORKER("stack_size", SIZE, stack_size),
    WORKER("life_timeout", NUMBER, life.timeout_ms),
    WORKER("life_cpu", NUMBER, life.cpu_ms),
    WORKER("call_timeout", NUMBER, request.timeout_ms),
    WORKER("call_cpu", NUMBER, request.cpu_ms),
    WORKER("log", QUEUE, log),
    WORKER("priority", NUMBER, priority),
    WORKER("affinity", BITS, affinity),
};

/* Texts live as long as `kept`. */
typedef struct filling {
  PyObject *values;
  PyObject *kept;
  size_t source_size;
} filling;

static bool fill_text(filling *self, PyObject *value, bool whole, void *field)
{
  PyObject *bytes = bridge__py_bytes_of(value, whole);
  if (bytes == NULL) {
    return false;
  }
  int failed = PyList_Append(self->kept, bytes);
  Py_DECREF(bytes); /* the list has it */
  if (failed != 0) {
    return false;
  }
  *(const char **)field = PyBytes_AS_STRING(bytes);
  if (!whole) {
    self->source_size = (size_t)PyBytes_GET_SIZE(bytes);
  }
  return true;
}

static bool fill_number(PyObject *value, void *field)
{
  long number = PyLong_AsLong(value);
  if (number == -1 && PyErr_Occurred()) {
    return false;
  }
  if (number < INT32_MIN || number > INT32_MAX) {
    bridge__py_raise(BRIDGE_EOVERFLOW, NULL);
    return false;
  }
  *(int *)field = (int)number; /* an enumeration is as large as an int */
  return true;
}

static bool fill_queue(PyObject *value, void *field)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  int found = bridge__py_handle(value, &kind, &handle);
  if (found > 0 && kind == BRIDGE_HANDLE_QUEUE) {
    *(bridge_queue **)field = handle;
    return true;
  }
  if (found >= 0) {
    PyErr_Format(PyExc_TypeError, "a Queue is expected, not %R", value);
  }
  return false;
}

static bool fill(filling *self,
                 const option *what,
                 PyObject *value,
                 void *field)
{
  switch (what->type) {
  case TEXT:
  case SOURCE:
    return fill_text(self, value, what->type == TEXT, field);
  case NUMBER:
    return fill_number(value, field);
  case FLAG:
    *(bool *)field = value == Py_True;
    return true;
  case QUEUE:
    return fill_queue(value, field);
  case SIZE:
    *(size_t *)field = PyLong_AsSize_t(value);
    break;
  case BITS:
    *(uint64_t *)field = PyLong_AsUnsignedLongLong(value);
    break;
  }
  return !PyErr_Occurred();
}

/* Borrowed, NULL if it is not there, or with an exception. */
static PyObject *look_up(PyObject *values, const char *name)
{
  PyObject *key = PyUnicode_FromString(name);
  if (key == NULL) {
    return NULL;
  }
  PyObject *value = PyDict_GetItemWithError(values, key);
  Py_DECREF(key);
  return value;
}

static bool fill_all(filling *self,
                     const option *options,
                     size_t count,
                     void *structure)
{
  for (size_t i = 0; i < count; i++) {
    PyObject *value = look_up(self->values, options[i].name);
    if (value == NULL && PyErr_Occurred()) {
      return false;
    }
    if (value == NULL || value == Py_None) {
      continue;
    }
    void *field = (char *)structure + options[i].offset;
    if (!fill(self, &options[i], value, field)) {
      return false;
    }
  }
  return true;
}

static bool begin(filling *self, PyObject *values)
{
  if (!PyDict_Check(values)) {
    PyErr_SetString(PyExc_TypeError, "options are a dict");
    return false;
  }
  self->values = values;
  self->kept = PyList_New(0);
  return self->kept != NULL;
}

static bool fill_state(filling *self, bridge_state_options *options)
{
  bridge_state_options_init(options);
  return fill_all(self, of_state, sizeof of_state / sizeof *of_state, options);
}

bridge_status bridge__py_worker_create(bridge_worker **out,
                                       PyObject *values,
                                       bridge_message **arguments,
                                       bridge_error **error)
{
  filling self = {0};
  if (!begin(&self, values)) {
    return BRIDGE_EINVAL;
  }
  bridge_state_options state;
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  bridge_status status = BRIDGE_EINVAL;
  if (fill_state(&self, &state) &&
      fill_all(&self, of_worker, sizeof of_worker / sizeof *of_worker,
               &options)) {
    options.state = &state;
    options.source_size = self.source_size;
    status = bridge_worker_create(out, &options, arguments, error);
  }
  Py_DECREF(self.kept);
  return status;
}

bridge_status bridge__py_state_make(bridge__py_state **out,
                                    PyObject *values,
                                    bridge_error **error)
{
  filling self = {0};
  if (!begin(&self, values)) {
    return BRIDGE_EINVAL;
  }
  bridge_state_options options;
  bridge_status status = BRIDGE_EINVAL;
  PyObject *release = look_up(values, "release_gil");
  if (!PyErr_Occurred() && fill_state(&self, &options)) {
    status = bridge__py_state_create(out, &options, release != Py_False, error);
  }
  Py_DECREF(self.kept);
  return status;
}
