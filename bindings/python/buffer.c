/* Buffers as Python sees them: bytes that NumPy and memoryview use in place. */
#include "face.h"

/* What a view that counts as writing has in `internal`. */
static char writing;

/* Whoever asks for all that there is (a memoryview, and through it NumPy) gets a
   view that can be written, as long as the buffer can.  Who wants to read bytes
   and no more gets just that. */
static bool wants_to_write(int flags)
{
  return (flags & PyBUF_WRITABLE) != 0 ||
         (flags & PyBUF_FULL_RO) == PyBUF_FULL_RO;
}

static int fill(PyObject *self, Py_buffer *view, void *data, int flags)
{
  static char nothing[1];
  bridge_buffer *buffer = bridge__py_buffer_of(self);
  int read_only = view->internal != &writing;
  return PyBuffer_FillInfo(view, self, data != NULL ? data : nothing,
                           (Py_ssize_t)bridge_buffer_size(buffer), read_only,
                           flags);
}

int bridge__py_buffer_get(PyObject *self, Py_buffer *view, int flags)
{
  bridge_buffer *buffer = bridge__py_buffer_of(self);
  void *data = NULL;
  bool must_write = (flags & PyBUF_WRITABLE) != 0;

  view->obj = NULL;
  if (buffer == NULL) {
    return -1;
  }
  bridge_status status = wants_to_write(flags)
                             ? bridge_buffer_begin_write(buffer, &data)
                             : BRIDGE_EFROZEN;
  if (status != BRIDGE_OK && must_write) {
    bridge__py_raise_buffer(status);
    return -1;
  }
  if (status == BRIDGE_OK) {
    view->internal = &writing;
    int failed = fill(self, view, data, flags);
    view->internal = &writing; /* PyBuffer_FillInfo forgets it */
    if (failed != 0) {
      bridge_buffer_end_write(buffer);
    }
    return failed;
  }
  view->internal = NULL;
  return fill(self, view, (void *)(uintptr_t)bridge_buffer_data(buffer), flags);
}

void bridge__py_buffer_drop(PyObject *self, Py_buffer *view)
{
  if (view->internal == &writing) {
    bridge_buffer_end_write(bridge__py_buffer_of(self));
  }
}

PyObject *bridge__py_buffer_freeze(bridge_buffer *buffer)
{
  bridge_status status = bridge_buffer_freeze(buffer);
  if (status != BRIDGE_OK) {
    bridge__py_raise_buffer(status);
    return NULL;
  }
  Py_RETURN_NONE;
}

static bridge_buffer *created(bridge_status status, bridge_buffer *buffer)
{
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  return buffer;
}

static bridge_buffer *of_size(PyObject *source)
{
  bridge_buffer *buffer = NULL;
  Py_ssize_t size = PyNumber_AsSsize_t(source, PyExc_OverflowError);
  if (size == -1 && PyErr_Occurred()) {
    return NULL;
  }
  if (size < 0) {
    bridge__py_raise_format(BRIDGE_EINVAL, "a buffer of %zd bytes", size);
    return NULL;
  }
  bridge_status status = bridge_buffer_create(&buffer, (size_t)size);
  return created(status, buffer);
}

/* A copy of whatever has bytes, also of every second element of an array. */
static bridge_buffer *of_bytes(PyObject *source)
{
  bridge_buffer *buffer = NULL;
  void *data = NULL;
  Py_buffer view;
  if (PyObject_GetBuffer(source, &view, PyBUF_STRIDED_RO) < 0) {
    return NULL;
  }
  bridge_status status = bridge_buffer_create(&buffer, (size_t)view.len);
  if (status == BRIDGE_OK) {
    status = bridge_buffer_begin_write(buffer, &data);
  }
  int failed = 0;
  if (status == BRIDGE_OK && view.len > 0) {
    failed = PyBuffer_ToContiguous(data, &view, view.len, 'C');
  }
  bridge_buffer_end_write(buffer);
  PyBuffer_Release(&view);
  if (failed != 0) {
    bridge_buffer_release(buffer);
    return NULL;
  }
  return created(status, buffer);
}

bridge_buffer *bridge__py_buffer_create(PyObject *source)
{
  if (bridge__py_is_plain_buffer(source)) {
    return bridge_buffer_retain(bridge__py_buffer_of(source));
  }
  if (PyIndex_Check(source) && !PyObject_CheckBuffer(source)) {
    return of_size(source);
  }
  if (!PyObject_CheckBuffer(source)) {
    PyErr_Format(PyExc_TypeError,
                 "a Buffer is made of a size or of bytes, not of %s",
                 Py_TYPE(source)->tp_name);
    return NULL;
  }
  return of_bytes(source);
}
