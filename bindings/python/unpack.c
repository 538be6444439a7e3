/* From a message to Python's values.  Nothing here recurses, like in pack.c. */
#include "face.h"

/* A list or dict that is being filled. */
typedef struct level {
  PyObject *container; /* borrowed: `made` has it */
  PyObject *key;       /* of a dict: the last one */
  bool keyed;          /* of a dict: the value of `key` comes next */
  size_t count;
  size_t done;
} level;

typedef struct unpacker {
  bridge_reader reader;
  level *levels;
  size_t depth;
  size_t room;
  PyObject *made; /* a list of the containers, by number */
  PyObject *result;
  size_t argument; /* which top-level value, from 1 */
} unpacker;

/* Kept here, since modules cannot be imported while Python shuts down. */
static PyObject *object_class;

PyObject *bridge__py_set_object_class(PyObject *type)
{
  Py_XSETREF(object_class, Py_NewRef(type));
  Py_RETURN_NONE;
}

PyObject *bridge__py_object_class(void)
{
  return object_class;
}

/* ---- Where we are ---------------------------------------------------------- */

enum {
  PATH_SHOWN = 12
};

static PyObject *path_of(const unpacker *self)
{
  PyObject *path = PyUnicode_FromFormat("value %zu", self->argument);
  for (size_t i = 0; i < self->depth && path != NULL; i++) {
    const level *at = &self->levels[i];
    PyObject *more = NULL;
    if (self->depth > PATH_SHOWN && i == PATH_SHOWN / 2) {
      i = self->depth - PATH_SHOWN / 2 - 1;
      more = PyUnicode_FromString("...");
    } else if (PyList_Check(at->container)) {
      /* The inner ones have been counted already. */
      more = PyUnicode_FromFormat("[%zu]",
                                  at->done - (i + 1 < self->depth ? 1 : 0));
    } else if (!at->keyed && i + 1 == self->depth) {
      more = PyUnicode_FromString(", a key");
    } else {
      more = PyUnicode_FromFormat("[%.80R]", at->key);
    }
    if (more == NULL) {
      Py_CLEAR(path);
    } else {
      PyUnicode_AppendAndDel(&path, more);
    }
  }
  return path;
}

static PyObject *refuse(const unpacker *self, const char *what)
{
  PyObject *path = path_of(self);
  if (path != NULL) {
    bridge__py_raise_format(BRIDGE_ETYPE, "%U: %s", path, what);
    Py_DECREF(path);
  }
  return NULL;
}

static PyObject *refuse_kind(const unpacker *self, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_FUNCTION:
    return refuse(self, "a function of Lua comes to Python only as a result of "
                        "a State itself, not within a table or a message");
  case BRIDGE_TYPE_POINTER:
    return refuse(self, value->kind == BRIDGE_POINTER_CFUNCTION
                            ? "a C function of Lua cannot come to Python"
                            : "a light userdata cannot come to Python");
  case BRIDGE_TYPE_GLOBALS:
    return refuse(self, "a table of globals cannot come to Python");
  case BRIDGE_TYPE_EXTENSION:
    return refuse(self, "an extension of MessagePack has no value in Python");
  default:
    return refuse(self, "this handle has no class in Python");
  }
}

/* ---- Containers -------------------------------------------------------------- */

/* Under the next number. */
static bool remember(unpacker *self, PyObject *object)
{
  if (self->made == NULL) {
    self->made = PyList_New(0);
  }
  return self->made != NULL && PyList_Append(self->made, object) == 0;
}

/* Begin to fill a container, which is the whole, or a part of it that the whole
   holds.  Both are taken; the whole is returned. */
static PyObject *enter_part(unpacker *self,
                            PyObject *whole,
                            PyObject *container,
                            size_t count)
{
  Py_XDECREF(container);
  if (whole == NULL || container == NULL) {
    Py_XDECREF(whole);
    return NULL;
  }
  if (self->depth == self->room) {
    size_t room = self->room > 0 ? self->room * 2 : 8;
    level *levels = PyMem_Resize(self->levels, level, room);
    if (levels == NULL) {
      Py_DECREF(whole);
      return PyErr_NoMemory();
    }
    self->levels = levels;
    self->room = room;
  }
  if (!remember(self, whole)) {
    Py_DECREF(whole);
    return NULL;
  }
  self->levels[self->depth++] = (level){container, NULL, false, count, 0};
  return whole;
}

static PyObject *enter(unpacker *self, PyObject *container, size_t count)
{
  return enter_part(self, container, Py_XNewRef(container), count);
}

static PyObject *made_before(const unpacker *self, size_t index)
{
  if (self->made == NULL || index >= (size_t)PyList_GET_SIZE(self->made)) {
    return refuse(self, "a reference to nothing");
  }
  return Py_NewRef(PyList_GET_ITEM(self->made, (Py_ssize_t)index));
}

/* The next value, which is a text or nothing. */
static PyObject *next_text(unpacker *self)
{
  bridge_value value;
  bridge_status status = bridge_reader_next(&self->reader, &value);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  if (value.type != BRIDGE_TYPE_STRING) {
    Py_RETURN_NONE;
  }
  return bridge__py_decode(value.as.bytes.data, value.as.bytes.size);
}

/* An object of which Python has no class: what it is made of. */
static PyObject *make_object(unpacker *self, size_t count)
{
  PyObject *name = next_text(self);
  PyObject *module = name == NULL ? NULL : next_text(self);
  PyObject *values = module == NULL ? NULL : PyList_New(0);
  PyObject *object = NULL;
  if (values != NULL && object_class != NULL) {
    object =
        PyObject_CallFunctionObjArgs(object_class, name, values, module, NULL);
  } else if (values != NULL) {
    refuse(self, "the package bridge is not imported");
  }
  Py_XDECREF(name);
  Py_XDECREF(module);
  return enter_part(self, object, values, count);
}

/* A table of a class that Python has not: the table. */
static bool skip_class(unpacker *self, bridge_value *table)
{
  PyObject *name = next_text(self);
  PyObject *module = name == NULL ? NULL : next_text(self);
  Py_XDECREF(name);
  Py_XDECREF(module);
  if (module == NULL || !remember(self, Py_None)) {
    return false;
  }
  bridge_status status = bridge_reader_next(&self->reader, table);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
  }
  return status == BRIDGE_OK;
}

/* The value; a container is returned empty, and entered. */
static PyObject *make_value(unpacker *self, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_NIL:
  case BRIDGE_TYPE_NULL:
    Py_RETURN_NONE;
  case BRIDGE_TYPE_BOOLEAN:
    return PyBool_FromLong(value->as.boolean);
  case BRIDGE_TYPE_INTEGER:
    return PyLong_FromLongLong(value->as.integer);
  case BRIDGE_TYPE_UNSIGNED:
    return PyLong_FromUnsignedLongLong(value->as.unsigned_integer);
  case BRIDGE_TYPE_FLOAT:
    return PyFloat_FromDouble(value->as.number);
  case BRIDGE_TYPE_STRING:
    return bridge__py_decode(value->as.bytes.data, value->as.bytes.size);
  case BRIDGE_TYPE_BINARY:
    return PyBytes_FromStringAndSize(value->as.bytes.data,
                                     (Py_ssize_t)value->as.bytes.size);
  case BRIDGE_TYPE_ARRAY:
    return enter(self, PyList_New(0), value->as.count);
  case BRIDGE_TYPE_MAP:
    return enter(self, PyDict_New(), value->as.count);
  case BRIDGE_TYPE_OBJECT:
    return make_object(self, value->as.count - 2);
  case BRIDGE_TYPE_REFERENCE:
    return made_before(self, value->as.index);
  case BRIDGE_TYPE_HANDLE:
    if (bridge__py_has_class((bridge_handle_kind)value->kind)) {
      return bridge__py_wrap((bridge_handle_kind)value->kind,
                             value->as.pointer);
    }
    return refuse_kind(self, value);
  default:
    return refuse_kind(self, value);
  }
}

/* ---- Putting values where they belong --------------------------------------- */

static bool put_key(unpacker *self, level *top, PyObject *key)
{
  if (PyObject_Hash(key) == -1) { /* a list or a dict, which was entered */
    self->depth = (size_t)(top - self->levels) + 1;
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Clear();
      refuse(self, "a table cannot be a key in Python");
    }
    Py_DECREF(key);
    return false;
  }
  Py_XSETREF(top->key, key);
  top->keyed = true;
  return true;
}

/* 1 and True are one key in Python, but two in a message. */
static bool put_pair(unpacker *self, level *top, PyObject *value)
{
  Py_ssize_t size = PyDict_GET_SIZE(top->container);
  int failed = PyDict_SetItem(top->container, top->key, value);
  if (failed == 0 && PyDict_GET_SIZE(top->container) == size) {
    refuse(self, "two keys that are equal in Python");
    failed = -1;
  }
  Py_DECREF(value);
  top->keyed = false;
  top->done++;
  return failed == 0;
}

/* Into the container at `depth`, or the result; takes the value. */
static bool put(unpacker *self, size_t depth, PyObject *value)
{
  if (depth == 0) {
    int failed = PyList_Append(self->result, value);
    Py_DECREF(value);
    return failed == 0;
  }
  level *top = &self->levels[depth - 1];
  if (PyDict_Check(top->container)) {
    return top->keyed ? put_pair(self, top, value) : put_key(self, top, value);
  }
  int failed = PyList_Append(top->container, value);
  Py_DECREF(value);
  top->done++;
  return failed == 0;
}

static bool step(unpacker *self)
{
  if (self->depth > 0) {
    level *top = &self->levels[self->depth - 1];
    if (top->done == top->count) {
      Py_CLEAR(top->key);
      self->depth--;
      return true;
    }
  }
  bridge_value value;
  bridge_status status = bridge_reader_next(&self->reader, &value);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return false;
  }
  if (value.type == BRIDGE_TYPE_INSTANCE && !skip_class(self, &value)) {
    return false;
  }
  size_t depth = self->depth;
  PyObject *object = make_value(self, &value);
  return object != NULL && put(self, depth, object);
}

static bool unpack_all(unpacker *self, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    self->argument = i + 1;
    do {
      if (!step(self)) {
        return false;
      }
    } while (self->depth > 0);
  }
  return true;
}

static void clean(unpacker *self)
{
  for (size_t i = 0; i < self->depth; i++) {
    Py_XDECREF(self->levels[i].key);
  }
  PyMem_Free(self->levels);
  Py_XDECREF(self->made);
}

/* One value as itself, which is most messages. */
static PyObject *result_of(PyObject *list)
{
  if (PyList_GET_SIZE(list) == 1) {
    return Py_NewRef(PyList_GET_ITEM(list, 0));
  }
  return PyList_AsTuple(list);
}

/* Most messages are one number or one text, which needs none of the above.  NULL
   without an exception if it is something else. */
static PyObject *unpack_simple(const bridge_reader *begin)
{
  bridge_reader reader = *begin;
  bridge_value value;
  if (bridge_reader_next(&reader, &value) != BRIDGE_OK) {
    return NULL;
  }
  switch (value.type) {
  case BRIDGE_TYPE_INTEGER:
    return PyLong_FromLongLong(value.as.integer);
  case BRIDGE_TYPE_FLOAT:
    return PyFloat_FromDouble(value.as.number);
  case BRIDGE_TYPE_STRING:
    return bridge__py_decode(value.as.bytes.data, value.as.bytes.size);
  default:
    return NULL;
  }
}

PyObject *bridge__py_unpack(const bridge_message *message)
{
  unpacker self = {0};
  bridge_status status = bridge_reader_init(&self.reader, message);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  if (bridge_message_count(message) == 1) {
    PyObject *value = unpack_simple(&self.reader);
    if (value != NULL || PyErr_Occurred()) {
      return value;
    }
  }
  self.result = PyList_New(0);
  if (self.result == NULL) {
    return NULL;
  }
  bool done = unpack_all(&self, bridge_message_count(message));
  PyObject *result = done ? result_of(self.result) : NULL;
  clean(&self);
  Py_DECREF(self.result);
  return result;
}
