/* Between Python's text and Lua's bytes: UTF-8, and whatever is no UTF-8. */
#include "face.h"

#include <string.h>

static PyObject *decode_any(const char *data, size_t size);
static PyObject *encode_any(PyObject *text);

PyObject *bridge__py_decode(const char *data, size_t size)
{
  PyObject *text = PyUnicode_DecodeUTF8(data, (Py_ssize_t)size, NULL);
  if (text != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
    return text;
  }
  PyErr_Clear();
  return decode_any(data, size);
}

PyObject *bridge__py_encode(PyObject *text)
{
  PyObject *bytes = PyUnicode_AsUTF8String(text);
  if (bytes != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
    return bytes;
  }
  PyErr_Clear();
  return encode_any(text);
}

/* How many continuation bytes follow this first byte; 0 if none may. */
static size_t tail_of(unsigned char first)
{
  if (first >= 0xC2 && first <= 0xDF) {
    return 1;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    return 2;
  }
  return first >= 0xF0 && first <= 0xF4 ? 3 : 0;
}

/* The code point that begins here and how long it is; 0 long if there is
   none.  Surrogates count as code points, except those that stand for bytes. */
static Py_UCS4 code_at(const unsigned char *at, size_t left, size_t *length)
{
  static const Py_UCS4 smallest[] = {0, 0x80, 0x800, 0x10000};
  static const unsigned char mask[] = {0x7F, 0x1F, 0x0F, 0x07};
  size_t tail = tail_of(at[0]);
  Py_UCS4 code = at[0] & mask[tail];

  *length = 0;
  if (left <= tail || (tail == 0 && at[0] > 0x7F)) {
    return 0;
  }
  for (size_t i = 1; i <= tail; i++) {
    if ((at[i] & 0xC0) != 0x80) {
      return 0;
    }
    code = (code << 6) | (at[i] & 0x3F);
  }
  if (code < smallest[tail] || code > 0x10FFFF ||
      (code >= 0xDC80 && code <= 0xDCFF)) {
    return 0;
  }
  *length = tail + 1;
  return code;
}

static PyObject *decode_any(const char *data, size_t size)
{
  const unsigned char *bytes = (const unsigned char *)data;
  Py_UCS4 *codes = PyMem_New(Py_UCS4, size); /* not more codes than bytes */
  if (codes == NULL) {
    return PyErr_NoMemory();
  }
  size_t count = 0;
  for (size_t at = 0; at < size;) {
    size_t length = 0;
    Py_UCS4 code = code_at(bytes + at, size - at, &length);
    codes[count++] = length > 0 ? code : (Py_UCS4)(0xDC00 + bytes[at]);
    at += length > 0 ? length : 1;
  }
  PyObject *text =
      PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, codes, (Py_ssize_t)count);
  PyMem_Free(codes);
  return text;
}

/* Write one code point; returns behind it. */
static char *put(char *out, Py_UCS4 code)
{
  if (code >= 0xDC80 && code <= 0xDCFF) {
    *out++ = (char)(code & 0xFF);
  } else if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xC0 | (code >> 6));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out++ = (char)(0xE0 | (code >> 12));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  } else {
    *out++ = (char)(0xF0 | (code >> 18));
    *out++ = (char)(0x80 | ((code >> 12) & 0x3F));
    *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
    *out++ = (char)(0x80 | (code & 0x3F));
  }
  return out;
}

static PyObject *encode_any(PyObject *text)
{
  Py_ssize_t length = PyUnicode_GET_LENGTH(text);
  if (length > PY_SSIZE_T_MAX / 4) {
    return PyErr_NoMemory();
  }
  char *bytes = PyMem_Malloc((size_t)length * 4 + 1);
  if (bytes == NULL) {
    return PyErr_NoMemory();
  }
  char *end = bytes;
  for (Py_ssize_t i = 0; i < length; i++) {
    end = put(end, PyUnicode_READ_CHAR(text, i));
  }
  PyObject *result = PyBytes_FromStringAndSize(bytes, end - bytes);
  PyMem_Free(bytes);
  return result;
}

PyObject *bridge__py_bytes_of(PyObject *object, bool whole)
{
  PyObject *bytes = NULL;
  if (PyUnicode_Check(object)) {
    bytes = bridge__py_encode(object);
  } else if (PyBytes_Check(object)) {
    bytes = Py_NewRef(object);
  } else {
    PyErr_Format(PyExc_TypeError, "expected str or bytes, not %s",
                 Py_TYPE(object)->tp_name);
  }
  if (bytes != NULL && whole &&
      strlen(PyBytes_AS_STRING(bytes)) != (size_t)PyBytes_GET_SIZE(bytes)) {
    Py_CLEAR(bytes);
    bridge__py_raise_format(BRIDGE_EINVAL, "%R has a NUL within", object);
  }
  return bytes;
}

PyObject *bridge__py_attribute(PyObject *object, const char *name)
{
  PyObject *interned = PyUnicode_InternFromString(name);
  PyObject *value =
      interned != NULL ? PyObject_GetAttr(object, interned) : NULL;
  Py_XDECREF(interned);
  return value;
}
