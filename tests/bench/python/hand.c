/* What a careful C programmer would write for Python without SWIG, and without the
   bridge's rules: the lower limits of topics/python.py. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

/* ---- A function of one argument ---- */

static PyObject *status_name(PyObject *module, PyObject *argument)
{
  (void)module;
  long status = PyLong_AsLong(argument);
  if (status == -1 && PyErr_Occurred()) {
    return NULL;
  }
  return PyUnicode_FromString(bridge_status_name((bridge_status)status));
}

/* ---- A class ---- */

typedef struct queue {
  PyObject base;
  bridge_queue *queue;
} queue;

static PyObject *queue_new(PyTypeObject *type, PyObject *some, PyObject *others)
{
  (void)some;
  (void)others;
  queue *self = (queue *)type->tp_alloc(type, 0);
  if (self != NULL && bridge_queue_create(&self->queue, NULL) != BRIDGE_OK) {
    Py_DECREF(self);
    return PyErr_NoMemory();
  }
  return (PyObject *)self;
}

static void queue_dealloc(PyObject *self)
{
  bridge_queue_release(((queue *)self)->queue);
  Py_TYPE(self)->tp_free(self);
}

static PyObject *queue_count(PyObject *self, PyObject *nothing)
{
  (void)nothing;
  return PyLong_FromSize_t(bridge_queue_count(((queue *)self)->queue));
}

static PyMethodDef queue_methods[] = {{"count", queue_count, METH_NOARGS, NULL},
                                      {NULL, NULL, 0, NULL}};

static PyTypeObject queue_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "bench_hand.Queue",
    .tp_basicsize = sizeof(queue),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = queue_new,
    .tp_dealloc = queue_dealloc,
    .tp_methods = queue_methods,
};

/* ---- A function of Lua: the sum of two integers ---- */

static lua_State *state;
static int sum;

static int push_sum(PyObject *const *arguments, Py_ssize_t count)
{
  lua_rawgeti(state, LUA_REGISTRYINDEX, sum);
  for (Py_ssize_t i = 0; i < count; i++) {
    lua_pushinteger(state, PyLong_AsLongLong(arguments[i]));
  }
  return (int)count;
}

static PyObject *pop_sum(int code)
{
  PyObject *result = NULL;
  if (code == LUA_OK) {
    result = PyLong_FromLongLong(lua_tointeger(state, -1));
  } else {
    PyErr_SetString(PyExc_RuntimeError, lua_tostring(state, -1));
  }
  lua_settop(state, 0);
  return result;
}

static PyObject *lua_kept(PyObject *module,
                          PyObject *const *arguments,
                          Py_ssize_t count)
{
  (void)module;
  return pop_sum(lua_pcall(state, push_sum(arguments, count), 1, 0));
}

static PyObject *lua_released(PyObject *module,
                              PyObject *const *arguments,
                              Py_ssize_t count)
{
  (void)module;
  int pushed = push_sum(arguments, count);
  PyThreadState *thread = PyEval_SaveThread();
  int code = lua_pcall(state, pushed, 1, 0);
  PyEval_RestoreThread(thread);
  return pop_sum(code);
}

static bool open_lua(void)
{
  state = luaL_newstate();
  if (state == NULL) {
    return false;
  }
  luaL_openlibs(state);
  if (luaL_dostring(state, "return function(a, b) return a + b end") !=
      LUA_OK) {
    return false;
  }
  sum = luaL_ref(state, LUA_REGISTRYINDEX);
  return true;
}

/* ---- The module ---- */

static PyMethodDef functions[] = {
    {"status_name", status_name, METH_O, NULL},
    {"lua_kept", (PyCFunction)(void (*)(void))lua_kept, METH_FASTCALL, NULL},
    {"lua_released", (PyCFunction)(void (*)(void))lua_released, METH_FASTCALL,
     NULL},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                                        .m_name = "bench_hand", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit_bench_hand(void)
{
  if (PyType_Ready(&queue_type) < 0) {
    return NULL;
  }
  if (!open_lua()) {
    return PyErr_NoMemory();
  }
  PyObject *module = PyModule_Create(&definition);
  if (module != NULL &&
      PyModule_AddObjectRef(module, "Queue", (PyObject *)&queue_type) < 0) {
    Py_CLEAR(module);
  }
  return module;
}
