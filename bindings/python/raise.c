/* From the statuses and errors of the library to the exceptions of
   bridge.errors, which decides what class each one has. */
#include "face.h"

#include <stdarg.h>
#include <string.h>

/* What makes exceptions, by how much there is to tell.  Kept here, since modules
   cannot be imported while Python shuts down. */
enum {
  PLAIN,
  OF_BUFFER,
  OF_SCRIPT,
  MAKERS
};
static PyObject *makers[MAKERS];

PyObject *bridge__py_set_makers(PyObject *plain,
                                PyObject *of_buffer,
                                PyObject *of_script)
{
  Py_XSETREF(makers[PLAIN], Py_NewRef(plain));
  Py_XSETREF(makers[OF_BUFFER], Py_NewRef(of_buffer));
  Py_XSETREF(makers[OF_SCRIPT], Py_NewRef(of_script));
  Py_RETURN_NONE;
}

/* Call one of them; the arguments are taken. */
static PyObject *make(int which, PyObject *arguments)
{
  PyObject *result = NULL;
  if (arguments != NULL && makers[which] != NULL) {
    result = PyObject_CallObject(makers[which], arguments);
  } else if (arguments != NULL) {
    PyErr_SetString(PyExc_RuntimeError, "the package bridge is not imported");
  }
  Py_XDECREF(arguments);
  return result;
}

static void raise_it(PyObject *exception)
{
  if (exception != NULL) {
    PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    Py_DECREF(exception);
  }
}

/* The name as scripts see it: without BRIDGE_. */
static const char *short_name(bridge_status status)
{
  const char *name = bridge_status_name(status);
  return strncmp(name, "BRIDGE_", 7) == 0 ? name + 7 : name;
}

static PyObject *text_or_status(PyObject *text, bridge_status status)
{
  if (text != NULL || PyErr_Occurred()) {
    return text;
  }
  return PyUnicode_FromString(bridge_status_text(status));
}

void bridge__py_raise(bridge_status status, PyObject *text)
{
  PyObject *message = text_or_status(text, status);
  if (message != NULL) {
    raise_it(make(
        PLAIN, Py_BuildValue("isN", (int)status, short_name(status), message)));
  }
}

void bridge__py_raise_format(bridge_status status, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  PyObject *text = PyUnicode_FromFormatV(format, arguments);
  va_end(arguments);
  if (text != NULL) {
    bridge__py_raise(status, text);
  }
}

void bridge__py_raise_buffer(bridge_status status)
{
  raise_it(make(OF_BUFFER, Py_BuildValue("iss", (int)status, short_name(status),
                                         bridge_status_text(status))));
}

/* A list of (source, line, name, what). */
static PyObject *frames_of(const bridge_error *error)
{
  size_t count = bridge_error_frame_count(error);
  PyObject *frames = PyList_New(0);
  for (size_t i = 0; frames != NULL && i < count; i++) {
    bridge_frame frame;
    if (bridge_error_frame(error, i, &frame) != BRIDGE_OK) {
      break;
    }
    PyObject *item = Py_BuildValue(
        "NiNs", bridge__py_decode(frame.source, strlen(frame.source)),
        frame.line, bridge__py_decode(frame.name, strlen(frame.name)),
        frame.what);
    if (item == NULL || PyList_Append(frames, item) < 0) {
      Py_CLEAR(frames);
    }
    Py_XDECREF(item);
  }
  return frames;
}

/* The value as it was raised; the text where it cannot be a value of Python. */
static PyObject *value_of(const bridge_error *error, PyObject *text)
{
  const bridge_message *message = bridge_error_value(error);
  if (message == NULL) {
    return Py_NewRef(text);
  }
  PyObject *value = bridge__py_unpack(message);
  if (value == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    value = Py_NewRef(text);
  }
  return value;
}

/* The exception for one error of a chain; `cause` is taken. */
static PyObject *exception_of(bridge_status status,
                              const bridge_error *error,
                              const char *worker,
                              PyObject *cause)
{
  size_t size = 0;
  const char *data = bridge_error_text(error, &size);
  PyObject *text =
      size > 0 ? bridge__py_decode(data, size) : text_or_status(NULL, status);
  PyObject *value = text == NULL ? NULL : value_of(error, text);
  if (value == NULL) {
    Py_XDECREF(text);
    Py_DECREF(cause);
    return NULL;
  }
  const char *trace = bridge_error_traceback(error);
  const char *caller = bridge_error_caller(error);
  return make(OF_SCRIPT,
              Py_BuildValue("isNNNNNNN", (int)status, short_name(status), text,
                            value, bridge__py_decode(trace, strlen(trace)),
                            frames_of(error),
                            bridge__py_decode(worker, strlen(worker)),
                            bridge__py_decode(caller, strlen(caller)), cause));
}

/* Causes of causes that are shown. */
enum {
  CAUSES_MAX = 32
};

PyObject *bridge__py_exception(bridge_status status,
                               const bridge_error *error,
                               const bridge_worker *worker)
{
  const bridge_error *chain[CAUSES_MAX];
  size_t count = 0;
  const bridge_error *next = bridge_error_cause(error);
  while (next != NULL && count < CAUSES_MAX) {
    chain[count++] = next;
    next = bridge_error_cause(next);
  }
  PyObject *cause = Py_NewRef(Py_None);
  while (count > 0 && cause != NULL) {
    const bridge_error *inner = chain[--count];
    cause = exception_of(bridge_error_status(inner), inner,
                         bridge_error_worker(inner), cause);
  }
  return cause == NULL
             ? NULL
             : exception_of(status, error, bridge_worker_name(worker), cause);
}

void bridge__py_raise_error(bridge_status status,
                            const bridge_error *error,
                            const bridge_worker *worker)
{
  raise_it(bridge__py_exception(status, error, worker));
}
