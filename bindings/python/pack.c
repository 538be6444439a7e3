/* From Python's values to a message.  Nothing here recurses: the containers that
   are being packed stand in a list of their own, which is also what the path in
   an error is read from. */
#include "face.h"

#include <stdint.h>
#include <string.h>

/* A list, tuple or dict whose values are being written. */
typedef struct level {
  PyObject *container;
  PyObject *key;       /* of a dict: what is being packed, or whose value is */
  PyObject *value;     /* of a dict: what comes after the key */
  Py_ssize_t size;     /* when it began */
  Py_ssize_t position; /* a list's next index, or the cursor of PyDict_Next */
} level;

/* A container that was met, and its number in the message.  Holds a reference,
   so that its address cannot become another container's. */
typedef struct met {
  PyObject *container;
  size_t index;
} met;

typedef struct packer {
  bridge_message *message;
  level *levels;
  size_t depth;
  size_t room;
  met *table; /* open addressing; NULL until a container is met */
  size_t table_size;
  size_t met_count;
  size_t containers;
  size_t argument; /* which top-level value is being packed, from 1 */
} packer;

/* ---- Where we are -------------------------------------------------------- */

enum {
  PATH_SHOWN = 12
};

/* "argument 1['items'][3]"; the middle of a very long path is left out. */
static PyObject *path_of(const packer *self)
{
  PyObject *path = PyUnicode_FromFormat("argument %zu", self->argument);
  for (size_t i = 0; i < self->depth && path != NULL; i++) {
    const level *at = &self->levels[i];
    PyObject *more = NULL;
    if (self->depth > PATH_SHOWN && i == PATH_SHOWN / 2) {
      i = self->depth - PATH_SHOWN / 2 - 1;
      more = PyUnicode_FromString("...");
    } else if (!PyDict_Check(at->container)) {
      more = PyUnicode_FromFormat("[%zd]", at->position - 1);
    } else if (at->value != NULL) {
      more = PyUnicode_FromFormat(", key %.80R", at->key);
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

static bool refuse(const packer *self, bridge_status status, PyObject *why)
{
  PyObject *path = why != NULL ? path_of(self) : NULL;
  if (path != NULL) {
    bridge__py_raise_format(status, "%U: %U", path, why);
  }
  Py_XDECREF(path);
  Py_XDECREF(why);
  return false;
}

static bool refuse_type(const packer *self, PyObject *object)
{
  const char *hint =
      PyObject_CheckBuffer(object) ? ": put it into a bridge.Buffer" : "";
  return refuse(self, BRIDGE_ETYPE,
                PyUnicode_FromFormat("a value of type '%s' cannot cross%s",
                                     Py_TYPE(object)->tp_name, hint));
}

/* Whether a write succeeded; raises if not. */
static bool written(const packer *self, bridge_status status)
{
  if (status == BRIDGE_OK) {
    return true;
  }
  if (status == BRIDGE_ENOMEM) {
    PyErr_NoMemory();
    return false;
  }
  if (status != BRIDGE_ELIMIT) {
    return refuse(self, status,
                  PyUnicode_FromString(bridge_status_text(status)));
  }
  if (self->depth >= BRIDGE_DEPTH_MAX) {
    return refuse(
        self, status,
        PyUnicode_FromFormat("nested deeper than %d levels", BRIDGE_DEPTH_MAX));
  }
  return refuse(self, status,
                PyUnicode_FromFormat("the message would have more than %zu "
                                     "bytes",
                                     BRIDGE_SIZE_MAX));
}

static bool changed(const packer *self)
{
  PyObject *path = path_of(self);
  if (path != NULL) {
    PyErr_Format(PyExc_RuntimeError, "%U: the container changed meanwhile",
                 path);
    Py_DECREF(path);
  }
  return false;
}

/* ---- Values without others in them ----------------------------------------- */

static bool pack_integer(packer *self, PyObject *object)
{
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) {
    return refuse(self, BRIDGE_EOVERFLOW,
                  PyUnicode_FromString("the integer does not fit a signed "
                                       "integer of 64 bits"));
  }
  if (value == -1 && PyErr_Occurred()) {
    return false;
  }
  return written(self, bridge_message_write_integer(self->message, value));
}

static bool pack_text(packer *self, PyObject *object)
{
  if (PyUnicode_READY(object) < 0) {
    return false;
  }
  if (PyUnicode_IS_COMPACT_ASCII(object)) {
    return written(self, bridge_message_write_string(
                             self->message,
                             (const char *)PyUnicode_1BYTE_DATA(object),
                             (size_t)PyUnicode_GET_LENGTH(object)));
  }
  PyObject *bytes = bridge__py_encode(object);
  if (bytes == NULL) {
    return false;
  }
  bridge_status status = bridge_message_write_string(
      self->message, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
  Py_DECREF(bytes);
  return written(self, status);
}

/* bytes, bytearray and memoryview. */
static bool pack_bytes(packer *self, PyObject *object)
{
  Py_buffer view;
  if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) {
    if (!PyErr_ExceptionMatches(PyExc_BufferError)) {
      return false;
    }
    PyErr_Clear();
    return refuse(self, BRIDGE_ETYPE,
                  PyUnicode_FromString("a memoryview that is not contiguous "
                                       "cannot cross: put it into a "
                                       "bridge.Buffer"));
  }
  bridge_status status =
      bridge_message_write_binary(self->message, view.buf, (size_t)view.len);
  PyBuffer_Release(&view);
  return written(self, status);
}

static bool pack_handle(packer *self, bridge_handle_kind kind, void *handle)
{
  bridge_status status =
      bridge_message_write_handle(self->message, kind, handle);
  if (status == BRIDGE_EBUSY) {
    bridge__py_raise_buffer(status);
    return false;
  }
  return written(self, status);
}

/* What is no value of Python itself: handles, and NumPy's scalars. */
static bool pack_other(packer *self, PyObject *object)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  int is_handle = bridge__py_handle(object, &kind, &handle);
  if (is_handle != 0) {
    return is_handle > 0 && pack_handle(self, kind, handle);
  }
  const char *type = Py_TYPE(object)->tp_name;
  if (strcmp(type, "numpy.bool_") == 0 || strcmp(type, "numpy.bool") == 0) {
    return written(self, bridge_message_write_boolean(
                             self->message, PyObject_IsTrue(object) == 1));
  }
  if (strcmp(type, "numpy.float32") == 0 ||
      strcmp(type, "numpy.float16") == 0) {
    double number = PyFloat_AsDouble(object);
    return (number != -1.0 || !PyErr_Occurred()) &&
           written(self, bridge_message_write_float(self->message, number));
  }
  PyObject *integer = PyIndex_Check(object) ? PyNumber_Index(object) : NULL;
  if (integer == NULL) {
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) {
      return false;
    }
    PyErr_Clear();
    return refuse_type(self, object);
  }
  bool done = pack_integer(self, integer);
  Py_DECREF(integer);
  return done;
}

/* ---- Containers ------------------------------------------------------------- */

static met *slot_for(met *table, size_t size, const PyObject *container)
{
  /* Objects are aligned to 16 bytes, and neighbours are common. */
  size_t at = ((uintptr_t)container >> 4) * (size_t)0x9E3779B1U;
  at &= size - 1;
  while (table[at].container != NULL && table[at].container != container) {
    at = (at + 1) & (size - 1);
  }
  return &table[at];
}

static bool grow_table(packer *self)
{
  size_t size = self->table_size > 0 ? self->table_size * 2 : 16;
  met *table = PyMem_Calloc(size, sizeof(met));
  if (table == NULL) {
    PyErr_NoMemory();
    return false;
  }
  for (size_t i = 0; i < self->table_size; i++) {
    if (self->table[i].container != NULL) {
      *slot_for(table, size, self->table[i].container) = self->table[i];
    }
  }
  PyMem_Free(self->table);
  self->table = table;
  self->table_size = size;
  return true;
}

/* Whether this container was met before, and where it stands; else remember it
   under the next number. */
static bool meet(packer *self, PyObject *container, bool *again, size_t *index)
{
  if (self->met_count * 2 >= self->table_size && !grow_table(self)) {
    return false;
  }
  met *slot = slot_for(self->table, self->table_size, container);
  *again = slot->container != NULL;
  if (!*again) {
    slot->container = Py_NewRef(container);
    slot->index = self->containers;
    self->met_count++;
  }
  *index = slot->index;
  return true;
}

static bool enter(packer *self, PyObject *container, Py_ssize_t size)
{
  if (self->depth == self->room) {
    size_t room = self->room > 0 ? self->room * 2 : 8;
    level *levels = PyMem_Resize(self->levels, level, room);
    if (levels == NULL) {
      PyErr_NoMemory();
      return false;
    }
    self->levels = levels;
    self->room = room;
  }
  self->levels[self->depth++] =
      (level){Py_NewRef(container), NULL, NULL, size, 0};
  return true;
}

static void leave(packer *self)
{
  level *top = &self->levels[--self->depth];
  Py_CLEAR(top->container);
  Py_CLEAR(top->key);
  Py_CLEAR(top->value);
}

/* Begin a container, or refer to it if the message has it already. */
static bool pack_container(packer *self, PyObject *object)
{
  bool is_map = PyDict_Check(object);
  Py_ssize_t size = is_map ? PyDict_GET_SIZE(object) : Py_SIZE(object);
  bool again = false;
  size_t index = 0;
  /* Python has one empty tuple, which is not meant as one shared list. */
  bool shared = size > 0 || !PyTuple_Check(object);
  if (shared && !meet(self, object, &again, &index)) {
    return false;
  }
  if (again) {
    return written(self, bridge_message_write_reference(self->message, index));
  }
  bridge_status status =
      is_map ? bridge_message_begin_map(self->message, (size_t)size)
             : bridge_message_begin_array(self->message, (size_t)size);
  if (!written(self, status)) {
    return false;
  }
  self->containers++;
  return enter(self, object, size);
}

/* Begin an object of which only Lua has the class, or refer to it. */
static bool begin_object(packer *self,
                         PyObject *name,
                         PyObject *module,
                         size_t count)
{
  bool good =
      PyUnicode_Check(name) && (module == Py_None || PyUnicode_Check(module));
  if (!good) {
    return refuse(self, BRIDGE_ETYPE,
                  PyUnicode_FromString("an Object whose name or module is no "
                                       "text"));
  }
  if (!written(self, bridge_message_begin_object(self->message,
                                                 BRIDGE_TYPE_OBJECT, count))) {
    return false;
  }
  self->containers++;
  return pack_text(self, name) &&
         (module == Py_None
              ? written(self, bridge_message_write_nil(self->message))
              : pack_text(self, module));
}

static bool pack_parts(packer *self,
                       PyObject *name,
                       PyObject *module,
                       PyObject *values)
{
  if (!PyList_Check(values) && !PyTuple_Check(values)) {
    return refuse(self, BRIDGE_ETYPE,
                  PyUnicode_FromString("an Object whose values are no list"));
  }
  return begin_object(self, name, module, (size_t)Py_SIZE(values)) &&
         enter(self, values, Py_SIZE(values));
}

static bool pack_object(packer *self, PyObject *object)
{
  bool again = false;
  size_t index = 0;
  if (!meet(self, object, &again, &index)) {
    return false;
  }
  if (again) {
    return written(self, bridge_message_write_reference(self->message, index));
  }
  PyObject *name = bridge__py_attribute(object, "name");
  PyObject *module = bridge__py_attribute(object, "module");
  PyObject *values = bridge__py_attribute(object, "values");
  bool done = name != NULL && module != NULL && values != NULL &&
              pack_parts(self, name, module, values);
  Py_XDECREF(name);
  Py_XDECREF(module);
  Py_XDECREF(values);
  return done;
}

static bool is_object(PyObject *object)
{
  PyObject *type = bridge__py_object_class();
  return type != NULL &&
         PyType_IsSubtype(Py_TYPE(object), (PyTypeObject *)type);
}

/* Numbers, text and bytes are tried first: they are most of what crosses. */
static bool pack_value(packer *self, PyObject *object)
{
  if (object == Py_None) {
    return written(self, bridge_message_write_nil(self->message));
  }
  if (PyBool_Check(object)) {
    return written(
        self, bridge_message_write_boolean(self->message, object == Py_True));
  }
  if (PyLong_Check(object)) {
    return pack_integer(self, object);
  }
  if (PyFloat_Check(object)) {
    return written(self, bridge_message_write_float(self->message,
                                                    PyFloat_AS_DOUBLE(object)));
  }
  if (PyUnicode_Check(object)) {
    return pack_text(self, object);
  }
  if (PyBytes_Check(object) || PyByteArray_Check(object) ||
      PyMemoryView_Check(object)) {
    return pack_bytes(self, object);
  }
  if (PyList_Check(object) || PyTuple_Check(object) || PyDict_Check(object)) {
    return pack_container(self, object);
  }
  if (is_object(object)) {
    return pack_object(self, object);
  }
  return pack_other(self, object);
}

/* ---- One step at a time ----------------------------------------------------- */

static bool end(packer *self)
{
  if (bridge_message_end(self->message) != BRIDGE_OK) {
    return changed(self);
  }
  leave(self);
  return true;
}

static bool step_row(packer *self, level *top)
{
  PyObject *row = top->container;
  if (Py_SIZE(row) != top->size) {
    return changed(self);
  }
  if (top->position == top->size) {
    return end(self);
  }
  Py_ssize_t at = top->position++;
  PyObject *item =
      PyList_Check(row) ? PyList_GET_ITEM(row, at) : PyTuple_GET_ITEM(row, at);
  Py_INCREF(item); /* an __index__ may take it out of the list */
  bool done = pack_value(self, item);
  Py_DECREF(item);
  return done;
}

static bool step_map(packer *self, level *top)
{
  if (top->value != NULL) { /* its key has been packed */
    PyObject *value = top->value;
    top->value = NULL;
    bool packed = pack_value(self, value);
    Py_DECREF(value);
    return packed;
  }
  if (PyDict_GET_SIZE(top->container) != top->size) {
    return changed(self);
  }
  PyObject *key = NULL;
  PyObject *value = NULL;
  if (!PyDict_Next(top->container, &top->position, &key, &value)) {
    return end(self);
  }
  Py_XSETREF(top->key, Py_NewRef(key));
  top->value = Py_NewRef(value);
  return pack_value(self, key);
}

static bool pack_all(packer *self, PyObject *object)
{
  self->argument++;
  if (!pack_value(self, object)) {
    return false;
  }
  while (self->depth > 0) {
    level *top = &self->levels[self->depth - 1];
    bool done = PyDict_Check(top->container) ? step_map(self, top)
                                             : step_row(self, top);
    if (!done) {
      return false;
    }
  }
  return true;
}

static void clean(packer *self)
{
  while (self->depth > 0) {
    leave(self);
  }
  for (size_t i = 0; i < self->table_size; i++) {
    Py_XDECREF(self->table[i].container);
  }
  PyMem_Free(self->table);
  PyMem_Free(self->levels);
}

static bool pack_first(packer *self, PyObject *first)
{
  if (first == NULL) {
    return true;
  }
  if (!PyUnicode_Check(first)) {
    PyErr_Format(PyExc_TypeError, "the handler's name must be str, not %s",
                 Py_TYPE(first)->tp_name);
    return false;
  }
  return pack_text(self, first);
}

bridge_message *bridge__py_pack(PyObject *first, PyObject *values)
{
  packer self = {0};
  if (!PyTuple_Check(values)) {
    PyErr_SetString(PyExc_TypeError, "the values must be a tuple");
    return NULL;
  }
  if (bridge_message_create(&self.message, 0) != BRIDGE_OK) {
    PyErr_NoMemory();
    return NULL;
  }
  bool done = pack_first(&self, first);
  for (Py_ssize_t i = 0; done && i < PyTuple_GET_SIZE(values); i++) {
    done = pack_all(&self, PyTuple_GET_ITEM(values, i));
  }
  clean(&self);
  if (!done) {
    bridge_message_release(self.message);
    return NULL;
  }
  return self.message;
}
