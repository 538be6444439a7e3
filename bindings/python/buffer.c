/* Buffers as Python sees them: bytes that NumPy and memoryview use in place. */
#include "face.h"

#include <string.h>

/* Whoever asks for all that there is (a memoryview, and through it NumPy) gets a
   view that can be written, as long as the buffer can.  Who wants to read bytes
   and no more gets just that. */
static bool wants_to_write(int flags)
{
  return (flags & PyBUF_WRITABLE) != 0 ||
         (flags & PyBUF_FULL_RO) == PyBUF_FULL_RO;
}

/* A view keeps the bytes itself, and knows whether it counts as writing: a
   reference in `internal`, whose lowest bit, which no address has, says so. */
static const uintptr_t writing = 1;

static int fill(PyObject *self,
                bridge_buffer *buffer,
                Py_buffer *view,
                void *data,
                int flags,
                bool writes)
{
  static char nothing[1];
  int failed =
      PyBuffer_FillInfo(view, self, data != NULL ? data : nothing,
                        (Py_ssize_t)bridge_buffer_size(buffer), !writes, flags);
  if (failed != 0) {
    if (writes) {
      bridge_buffer_end_write(buffer);
    }
    return failed;
  }
  uintptr_t kept = (uintptr_t)bridge_buffer_retain(buffer);
  view->internal = (void *)(writes ? kept | writing : kept);
  return 0;
}

static int get_view(PyObject *self, Py_buffer *view, int flags)
{
  void *data = NULL;
  bool must_write = (flags & PyBUF_WRITABLE) != 0;

  view->obj = NULL;
  bridge_buffer *buffer = bridge__py_buffer_of(self);
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
    return fill(self, buffer, view, data, flags, true);
  }
  data = (void *)(uintptr_t)bridge_buffer_data(buffer);
  return fill(self, buffer, view, data, flags, false);
}

static void drop_view(PyObject *self, Py_buffer *view)
{
  (void)self;
  uintptr_t kept = (uintptr_t)view->internal;
  bridge_buffer *buffer = (bridge_buffer *)(kept & ~writing);
  if ((kept & writing) != 0) {
    bridge_buffer_end_write(buffer);
  }
  bridge_buffer_release(buffer);
}

PyObject *bridge__py_buffer_exporter(void)
{
  /* ISO C has no function as void *, but POSIX and Windows do. */
  PyType_Slot slots[] = {
      {Py_tp_doc, "Has the bytes of a buffer."},
      {Py_bf_getbuffer, (void *)(uintptr_t)get_view},
      {Py_bf_releasebuffer, (void *)(uintptr_t)drop_view},
      {0, NULL},
  };
  PyType_Spec spec = {
      .name = "bridge.core.Exporter",
      .basicsize = sizeof(PyObject),
      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
      .slots = slots,
  };
  return PyType_FromSpec(&spec);
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

PyObject *bridge__py_buffer_part(const bridge_buffer *buffer,
                                 size_t start,
                                 size_t size)
{
  size_t most = bridge_buffer_size(buffer);
  if (start > most || size > most - start) {
    PyErr_SetString(PyExc_IndexError, "the index is out of the buffer's range");
    return NULL;
  }
  const char *data = bridge_buffer_data(buffer);
  return PyBytes_FromStringAndSize(size > 0 ? data + start : "",
                                   (Py_ssize_t)size);
}

PyObject *bridge__py_buffer_equals(const bridge_buffer *buffer, PyObject *other)
{
  Py_buffer view;
  if (PyObject_GetBuffer(other, &view, PyBUF_SIMPLE) < 0) {
    if (!PyErr_ExceptionMatches(PyExc_BufferError)) {
      return NULL;
    }
    PyErr_Clear(); /* a memoryview with gaps */
    Py_RETURN_NOTIMPLEMENTED;
  }
  size_t size = bridge_buffer_size(buffer);
  bool equal =
      size == (size_t)view.len &&
      (size == 0 || memcmp(bridge_buffer_data(buffer), view.buf, size) == 0);
  PyBuffer_Release(&view);
  return PyBool_FromLong(equal);
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
  if (size == -1 && PyErr_ExceptionMatches(PyExc_OverflowError)) {
    PyErr_Clear();
    bridge__py_raise_format(BRIDGE_EOVERFLOW, "a Buffer cannot have %R bytes",
                            source);
    return NULL;
  }
  if (size == -1 && PyErr_Occurred()) {
    return NULL;
  }
  if (size < 0) {
    bridge__py_raise_format(BRIDGE_EINVAL,
                            "a Buffer has 0 or more bytes, not %zd", size);
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
  bool is_size = PyIndex_Check(source) && !PyBool_Check(source);
  if (is_size && !PyObject_CheckBuffer(source)) {
    return of_size(source);
  }
  if (!PyObject_CheckBuffer(source)) {
    PyErr_Format(PyExc_TypeError,
                 "a Buffer is made of a size or of bytes, not of %R", source);
    return NULL;
  }
  return of_bytes(source);
}
