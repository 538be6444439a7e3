/* A function of Lua as Python has it: a reference into the registry of its state,
   which it keeps alive.  It holds no object of Python, so that no cycle of
   Python's goes through it. */
#include "state.h"

#include <lauxlib.h>
#include <stddef.h>
#include <structmember.h>

typedef struct function {
  PyObject base;
  vectorcallfunc vectorcall;
  bridge__py_state *state;
  bridge__py_reference *reference;
  PyObject *weak;
} function;

static PyTypeObject *type;

static PyObject *call(PyObject *object,
                      PyObject *const *arguments,
                      size_t count,
                      PyObject *names)
{
  function *self = (function *)object;
  if (names != NULL && PyTuple_GET_SIZE(names) > 0) {
    PyErr_SetString(PyExc_TypeError,
                    "a function of Lua has no keyword arguments");
    return NULL;
  }
  return bridge__py_call(self->state, self->reference->number, arguments,
                         PyVectorcall_NARGS(count));
}

static void dealloc(PyObject *object)
{
  function *self = (function *)object;
  PyTypeObject *of = Py_TYPE(object);
  if (self->weak != NULL) {
    PyObject_ClearWeakRefs(object);
  }
  bridge__py_state_drop(self->state, self->reference);
  bridge__py_state_release(self->state);
  of->tp_free(object);
  Py_DECREF(of);
}

static PyObject *refuse_new(PyTypeObject *of, PyObject *some, PyObject *others)
{
  (void)some;
  (void)others;
  PyErr_Format(PyExc_TypeError, "a %s comes out of a State", of->tp_name);
  return NULL;
}

static PyObject *show(PyObject *object)
{
  const function *self = (function *)object;
  return PyUnicode_FromFormat("<bridge.LuaFunction %d of the state at %p>",
                              self->reference->number, (void *)self->state);
}

PyDoc_STRVAR(
    doc,
    "A function of Lua, which `State.run` and other functions return.\n"
    "\n"
    "Call it like one of Python: arguments and results cross as those "
    "of\n`State.run` do.  It keeps its state alive, but not open.\n"
    "\n"
    "Each time it comes it is a new object: ``f(f) == f`` is False even if "
    "Lua's f\nreturns its argument, though Lua itself sees one function.\n"
    "\n"
    "It runs under the limits of its state, and Ctrl-C stops it, as with "
    "`State.run`.");

PyObject *bridge__py_function_type(void)
{
  static PyMemberDef members[] = {{"__vectorcalloffset__", T_PYSSIZET,
                                   offsetof(function, vectorcall), READONLY,
                                   NULL},
                                  {"__weaklistoffset__", T_PYSSIZET,
                                   offsetof(function, weak), READONLY, NULL},
                                  {NULL, 0, 0, 0, NULL}};
  /* ISO C has no function as void *, but POSIX and Windows do. */
  PyType_Slot slots[] = {
      {Py_tp_dealloc, (void *)(uintptr_t)dealloc},
      {Py_tp_new, (void *)(uintptr_t)refuse_new},
      {Py_tp_call, (void *)(uintptr_t)PyVectorcall_Call},
      {Py_tp_repr, (void *)(uintptr_t)show},
      {Py_tp_doc, (void *)(uintptr_t)doc},
      {Py_tp_members, members},
      {0, NULL},
  };
  PyType_Spec spec = {.name = "bridge.LuaFunction",
                      .basicsize = sizeof(function),
                      .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
                      .slots = slots};
  if (type == NULL) {
    type = (PyTypeObject *)PyType_FromSpec(&spec);
  }
  return Py_XNewRef((PyObject *)type);
}

PyObject *bridge__py_function(bridge__py_state *self,
                              bridge__py_reference *reference)
{
  function *made = PyObject_New(function, type);
  if (made == NULL) {
    bridge__py_state_drop(self, reference);
    return NULL;
  }
  made->vectorcall = call;
  made->state = bridge__py_state_retain(self);
  made->reference = reference;
  made->weak = NULL;
  return (PyObject *)made;
}

int bridge__py_function_number(PyObject *object, const bridge__py_state *self)
{
  if (Py_TYPE(object) != type || ((function *)object)->state != self) {
    return LUA_NOREF;
  }
  return ((function *)object)->reference->number;
}
