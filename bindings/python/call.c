/* Calling Lua: from the arguments of Python to the stack of a state, through Lua
   with the GIL released, and back.  What is plain (nil, booleans, numbers, text)
   and functions go straight; as soon as anything else is among them, all go as
   one message, so that what they share stays shared.

   While the GIL is held nothing here runs code of Lua, nor anything of Lua that
   may raise or collect garbage: finalizers may wait for other threads of Python. */
#include "state.h"

#include <lauxlib.h>

/* Bytes of an argument, which its caller keeps alive. */
typedef struct text {
  const char *data;
  size_t size;
  int index; /* where a nil stands in its place */
} text;

enum {
  TEXTS_MAX = 8,
  ROOM =
      10, /* arguments for which every stack has room, with that many texts */
  ARGUMENTS_MAX = 1000000 /* as many as Lua's stack has */
};

typedef struct chunk {
  PyObject *source; /* bytes */
  const char *name;
} chunk;

typedef struct call {
  bridge__py_state *self;
  lua_State *lua;
  const chunk *chunk;          /* what is called, or NULL */
  const bridge_limits *limits; /* of this call, or NULL */
  bridge__py_watch watch;
  int function; /* what is called, if it is no chunk */
  PyObject *const *arguments;
  int count;
  int text_count;
  text texts[TEXTS_MAX];
  bridge_message *message; /* of the arguments, or NULL if they are plain */
  int *numbers; /* of those arguments that are functions, else LUA_NOREF */

  int results;
  bool is_integer; /* the one result, which is `integer` */
  lua_Integer integer;
  bridge_error *error;
  bridge_message *packed; /* of the results, or NULL if they are plain */
  bridge__py_reference **functions; /* by result; NULL if there are none */
} call;

/* ---- Plain arguments, with the GIL ------------------------------------------ */

static bool add_text(call *self, const char *data, Py_ssize_t size)
{
  if (data == NULL) {
    PyErr_Clear(); /* no UTF-8: the message knows a way */
    return false;
  }
  if (self->text_count == TEXTS_MAX) {
    return false;
  }
  lua_pushnil(self->lua);
  self->texts[self->text_count++] =
      (text){data, (size_t)size, lua_gettop(self->lua)};
  return true;
}

static bool push_integer(call *self, PyObject *object)
{
  int overflow = 0;
  long long value = PyLong_AsLongLongAndOverflow(object, &overflow);
  lua_pushinteger(self->lua, value);
  return overflow == 0;
}

static bool push_text(call *self, PyObject *object)
{
  Py_ssize_t size = 0;
  const char *data = PyUnicode_AsUTF8AndSize(object, &size);
  return add_text(self, data, size);
}

static bool push_function(call *self, PyObject *object)
{
  int number = bridge__py_function_number(object, self->self);
  if (number != LUA_NOREF) {
    lua_rawgeti(self->lua, LUA_REGISTRYINDEX, number);
  }
  return number != LUA_NOREF;
}

static bool push_plain(call *self, PyObject *object)
{
  if (PyLong_CheckExact(object)) {
    return push_integer(self, object);
  }
  if (PyFloat_CheckExact(object)) {
    lua_pushnumber(self->lua, PyFloat_AS_DOUBLE(object));
    return true;
  }
  if (PyUnicode_CheckExact(object)) {
    return push_text(self, object);
  }
  if (object == Py_None) {
    lua_pushnil(self->lua);
    return true;
  }
  if (PyBool_Check(object)) {
    lua_pushboolean(self->lua, object == Py_True);
    return true;
  }
  if (PyBytes_CheckExact(object)) {
    return add_text(self, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object));
  }
  return push_function(self, object);
}

/* Push all arguments, if all of them are plain. */
static bool push_all_plain(call *self)
{
  self->text_count = 0;
  if (self->self->measured && self->count > 0) {
    return false;
  }
  if (self->count > ROOM &&
      !lua_checkstack(self->lua, self->count + TEXTS_MAX + 2)) {
    return false;
  }
  for (int i = 0; i < self->count; i++) {
    if (!push_plain(self, self->arguments[i])) {
      return false;
    }
  }
  return true;
}

/* ---- Any arguments ------------------------------------------------------------ */

/* A message of them; a nil stands for each function of this state. */
static bool pack_arguments(call *self)
{
  PyObject *values = PyTuple_New(self->count);
  self->numbers = PyMem_New(int, (size_t)self->count);
  if (values == NULL || self->numbers == NULL) {
    Py_XDECREF(values);
    PyErr_NoMemory();
    return false;
  }
  for (int i = 0; i < self->count; i++) {
    PyObject *value = self->arguments[i];
    self->numbers[i] = bridge__py_function_number(value, self->self);
    bool other = self->numbers[i] == LUA_NOREF;
    PyTuple_SET_ITEM(values, i, Py_NewRef(other ? value : Py_None));
  }
  self->message = bridge__py_pack(NULL, values);
  Py_DECREF(values);
  return self->message != NULL;
}

/* ---- Without the GIL ------------------------------------------------------------ */

static int push_texts_protected(lua_State *L)
{
  const call *self = lua_touserdata(L, 1);
  for (int i = 0; i < self->text_count; i++) {
    lua_pushlstring(L, self->texts[i].data, self->texts[i].size);
  }
  return self->text_count;
}

static bridge_status push_texts(call *self)
{
  lua_State *lua = self->lua;
  lua_pushcfunction(lua, push_texts_protected);
  lua_pushlightuserdata(lua, self);
  if (lua_pcall(lua, 1, self->text_count, 0) != LUA_OK) {
    return BRIDGE_ENOMEM;
  }
  for (int i = self->text_count; i > 0; i--) {
    lua_replace(lua, self->texts[i - 1].index);
  }
  return BRIDGE_OK;
}

/* The arguments of a message, and the functions among them.  It comes by way of
   another stack, where a finalizer may run that got hold of our coroutine. */
static bridge_status push_message(call *self)
{
  lua_State *lua = self->lua;
  int pushed = 0;
  bridge_status status = bridge_state_push(
      self->self->state, lua, self->message, &pushed, &self->error);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (lua_status(lua) != LUA_OK || lua_gettop(lua) != 1 + self->count) {
    lua_resetthread(lua);
    return BRIDGE_ESCRIPT;
  }
  for (int i = 0; i < self->count; i++) {
    if (self->numbers[i] != LUA_NOREF) {
      lua_rawgeti(lua, LUA_REGISTRYINDEX, self->numbers[i]);
      lua_replace(lua, 2 + i);
    }
  }
  return BRIDGE_OK;
}

/* The coroutine failed.  After a reset, which closes its variables, it is as new;
   but nothing goes on in one that was stopped. */
static void revive(call *self, bridge_status status)
{
  if (status == BRIDGE_ECANCELLED || status == BRIDGE_ETIMEDOUT) {
    bridge__py_state_renew(self->self);
    self->lua = self->self->lua;
  } else {
    lua_resetthread(self->lua);
  }
}

/* Takes the function at 2. */
static int refer_protected(lua_State *L)
{
  bridge__py_reference *reference = lua_touserdata(L, 1);
  reference->number = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* A place in the registry for the function at `index`, where a nil is left. */
static bridge_status refer(call *self, int index)
{
  lua_State *lua = self->lua;
  bridge__py_reference *made = PyMem_RawCalloc(1, sizeof *made);
  if (made == NULL || !lua_checkstack(lua, 4)) {
    PyMem_RawFree(made);
    return BRIDGE_ENOMEM;
  }
  lua_pushcfunction(lua, refer_protected);
  lua_pushlightuserdata(lua, made);
  lua_pushvalue(lua, index);
  if (lua_pcall(lua, 2, 0, 0) != LUA_OK) {
    PyMem_RawFree(made);
    return BRIDGE_ENOMEM;
  }
  lua_pushnil(lua);
  lua_replace(lua, index);
  self->functions[index - 1] = made;
  return BRIDGE_OK;
}

static bridge_status refer_all(call *self)
{
  size_t count = (size_t)self->results;
  self->functions = PyMem_RawCalloc(count, sizeof *self->functions);
  if (self->functions == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = BRIDGE_OK;
  for (int i = 1; i <= self->results && status == BRIDGE_OK; i++) {
    if (lua_type(self->lua, i) == LUA_TFUNCTION) {
      status = refer(self, i);
    }
  }
  return status;
}

/* Under the limits of the call: classes of scripts have a say in it. */
static bridge_status pack_results(call *self)
{
  bridge_status status = bridge_message_create(&self->packed, 0);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge_state_pack(self->self->state, self->lua, 1, self->results,
                             self->packed, &self->error);
  if (status == BRIDGE_ECANCELLED || status == BRIDGE_ETIMEDOUT) {
    revive(self, status);
  }
  return status;
}

/* See to it that results can be read with the GIL. */
static bridge_status sort_results(call *self)
{
  self->is_integer = self->results == 1 && lua_isinteger(self->lua, 1);
  if (self->is_integer) { /* the most common, at once */
    self->integer = lua_tointeger(self->lua, 1);
    return BRIDGE_OK;
  }
  bool functions = false;
  bool others = self->self->measured && self->results > 0;
  for (int i = 1; i <= self->results; i++) {
    int type = lua_type(self->lua, i);
    bool plain = type <= LUA_TSTRING && type != LUA_TLIGHTUSERDATA;
    functions = functions || type == LUA_TFUNCTION;
    others = others || (!plain && type != LUA_TFUNCTION);
  }
  bridge_status status = BRIDGE_OK;
  if (functions) {
    status = refer_all(self);
  }
  if (functions && self->results == 1) {
    return status; /* there is nothing else */
  }
  return status == BRIDGE_OK && others ? pack_results(self) : status;
}

/* What stands on the stack is the function, and its arguments if they are plain. */
static bridge_status run(call *self)
{
  bridge_status status = BRIDGE_OK;
  if (self->message != NULL) {
    status = push_message(self);
  } else if (self->text_count > 0) {
    status = push_texts(self);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge_state_resume(self->self->state, self->lua, self->count,
                               &self->results, &self->error);
  if (status == BRIDGE_OK && lua_status(self->lua) == LUA_YIELD) {
    status = bridge_state_failure(self->self->state, self->lua, LUA_YIELD,
                                  &self->error);
  }
  if (status == BRIDGE_OK) {
    return sort_results(self);
  }
  self->results = 0;
  revive(self, status);
  return status;
}

static bridge_status run_limited(call *self)
{
  bridge_status status = BRIDGE_OK;
  if (self->limits != NULL) {
    status = bridge_state_set_limits(self->self->state, self->limits);
  }
  if (status == BRIDGE_OK) {
    status = run(self);
  }
  if (self->limits != NULL) {
    bridge_state_set_limits(self->self->state, NULL);
  }
  return status;
}

static bridge_status run_released(call *self)
{
  PyThreadState *thread = PyEval_SaveThread();
  bridge_status status = run_limited(self);
  PyEval_RestoreThread(thread);
  return status;
}

/* ---- Results, with the GIL ------------------------------------------------------ */

static PyObject *function_at(call *self, int index)
{
  bridge__py_reference *reference = self->functions[index - 1];
  self->functions[index - 1] = NULL;
  return bridge__py_function(self->self, reference);
}

/* It stands on the stack as it is. */
static PyObject *plain_at(lua_State *lua, int index)
{
  if (lua_isinteger(lua, index)) {
    return PyLong_FromLongLong(lua_tointeger(lua, index));
  }
  size_t size = 0;
  switch (lua_type(lua, index)) {
  case LUA_TNUMBER:
    return PyFloat_FromDouble(lua_tonumber(lua, index));
  case LUA_TSTRING: {
    const char *data = lua_tolstring(lua, index, &size);
    return bridge__py_decode(data, size);
  }
  case LUA_TBOOLEAN:
    return PyBool_FromLong(lua_toboolean(lua, index));
  default:
    Py_RETURN_NONE;
  }
}

static PyObject *result_at(call *self, int index)
{
  if (self->functions != NULL && self->functions[index - 1] != NULL) {
    return function_at(self, index);
  }
  return plain_at(self->lua, index);
}

/* A tuple in which only the functions are missing; nobody else has it yet. */
static PyObject *add_functions(call *self, PyObject *values)
{
  for (int i = 1; values != NULL && i <= self->results; i++) {
    if (self->functions == NULL || self->functions[i - 1] == NULL) {
      continue;
    }
    PyObject *made = function_at(self, i);
    if (made == NULL) {
      Py_CLEAR(values);
    } else if (PyTuple_SetItem(values, i - 1, made) < 0) {
      Py_CLEAR(values);
    }
  }
  return values;
}

static PyObject *results_of(call *self)
{
  if (self->is_integer) {
    return PyLong_FromLongLong(self->integer);
  }
  if (self->packed != NULL) {
    PyObject *values = bridge__py_unpack(self->packed);
    return self->results == 1 ? values : add_functions(self, values);
  }
  if (self->results == 1) {
    return result_at(self, 1);
  }
  PyObject *values = PyTuple_New(self->results);
  for (int i = 1; values != NULL && i <= self->results; i++) {
    PyObject *value = result_at(self, i);
    if (value == NULL) {
      Py_CLEAR(values);
    } else {
      PyTuple_SET_ITEM(values, i - 1, value);
    }
  }
  return values;
}

/* ---- All of it --------------------------------------------------------------------- */

static void clean(call *self)
{
  for (int i = 0; self->functions != NULL && i < self->results; i++) {
    if (self->functions[i] != NULL) {
      bridge__py_state_drop(self->self, self->functions[i]);
    }
  }
  PyMem_RawFree(self->functions);
  bridge_message_release(self->packed);
  bridge_message_release(self->message);
  PyMem_Free(self->numbers);
  bridge_error_release(self->error);
}

/* The state is held, and the function with its plain arguments is on the stack. */
static PyObject *finish(call *self)
{
  if (self->watch.watched) {
    bridge__py_watch_run(&self->watch, self->self->state);
  }
  bridge_status status =
      self->self->release_gil ? run_released(self) : run_limited(self);
  if (self->watch.watched) {
    bridge__py_watch_ran(&self->watch);
  }
  PyObject *result = status == BRIDGE_OK ? results_of(self) : NULL;
  bridge__py_state_finish(self->self);
  if (status != BRIDGE_OK) {
    bridge__py_raise_error(status, self->error, NULL);
  }
  if (self->functions != NULL || self->packed != NULL ||
      self->message != NULL || self->error != NULL) {
    clean(self);
  }
  return result;
}

/* Takes as long as a call may. */
static bridge_status load(call *self, bridge_error **error)
{
  bridge_state *state = self->self->state;
  const chunk *what = self->chunk;
  if (self->limits != NULL) {
    bridge_state_set_limits(state, self->limits);
  }
  bridge_status status = bridge_state_load(
      state, self->lua, PyBytes_AS_STRING(what->source),
      (size_t)PyBytes_GET_SIZE(what->source), what->name, error);
  if (self->limits != NULL) {
    bridge_state_set_limits(state, NULL);
  }
  return status;
}

/* Compiling may collect garbage. */
static bool push_chunk(call *self)
{
  bridge_error *error = NULL;
  bridge_status status = BRIDGE_OK;
  Py_BEGIN_ALLOW_THREADS status = load(self, &error);
  Py_END_ALLOW_THREADS if (status != BRIDGE_OK)
  {
    bridge__py_raise_error(status, error, NULL);
    bridge_error_release(error);
  }
  return status == BRIDGE_OK;
}

static bool renew(bridge__py_state *self)
{
  bool renewed = false;
  Py_BEGIN_ALLOW_THREADS renewed = bridge__py_state_renew(self);
  Py_END_ALLOW_THREADS return renewed;
}

/* Hold the state, and push what is called. */
static bool begin(call *self)
{
  if (!bridge__py_state_begin(self->self)) {
    return false;
  }
  if (self->self->lua == NULL && !renew(self->self)) {
    bridge__py_state_finish(self->self);
    bridge__py_raise(BRIDGE_ENOMEM, NULL);
    return false;
  }
  self->lua = self->self->lua;
  if (self->chunk == NULL) {
    lua_rawgeti(self->lua, LUA_REGISTRYINDEX, self->function);
    return true;
  }
  if (push_chunk(self)) {
    return true;
  }
  bridge__py_state_finish(self->self);
  return false;
}

static PyObject *call_packed(call *self)
{
  if (!pack_arguments(self) || !begin(self)) {
    clean(self);
    return NULL;
  }
  return finish(self);
}

static PyObject *call_any(call *self, Py_ssize_t count)
{
  if (count > ARGUMENTS_MAX) {
    bridge__py_raise_format(BRIDGE_ELIMIT, "more than %d arguments",
                            ARGUMENTS_MAX);
    return NULL;
  }
  self->count = (int)count;
  if (!begin(self)) {
    return NULL;
  }
  if (push_all_plain(self)) {
    return finish(self);
  }
  /* Packing may run code of Python, so that nothing is held meanwhile. */
  bridge__py_state_finish(self->self);
  return call_packed(self);
}

static PyObject *call_watched(call *self, Py_ssize_t count)
{
  if (!bridge__py_watch_begin(&self->watch, self->chunk != NULL)) {
    return NULL;
  }
  PyObject *result = call_any(self, count);
  bridge__py_watch_end(&self->watch, result == NULL);
  return result;
}

PyObject *bridge__py_call(bridge__py_state *self,
                          int function,
                          PyObject *const *arguments,
                          Py_ssize_t count)
{
  call job; /* not filled with zeros: this is the quick way in */
  job.self = self;
  job.chunk = NULL;
  job.limits = NULL;
  job.function = function;
  job.arguments = arguments;
  job.message = NULL;
  job.numbers = NULL;
  job.error = NULL;
  job.packed = NULL;
  job.functions = NULL;
  return call_watched(&job, count);
}

PyObject *bridge__py_state_run(bridge__py_state *self,
                               PyObject *source,
                               const char *name,
                               PyObject *arguments,
                               const bridge_limits *limits)
{
  if (!PyTuple_Check(arguments)) {
    PyErr_SetString(PyExc_TypeError, "the arguments must be a tuple");
    return NULL;
  }
  chunk what = {bridge__py_bytes_of(source, false), name};
  if (what.source == NULL) {
    return NULL;
  }
  bridge_limits own = *limits;
  bool limited = limits->timeout_ms >= 0 || limits->cpu_ms >= 0;
  if (limits->timeout_ms < 0 && self != NULL) {
    own.timeout_ms = self->limits.timeout_ms;
  }
  if (limits->cpu_ms < 0 && self != NULL) {
    own.cpu_ms = self->limits.cpu_ms;
  }
  call job = {.self = self,
              .chunk = &what,
              .limits = limited ? &own : NULL,
              .arguments = PySequence_Fast_ITEMS(arguments)};
  PyObject *result = call_watched(&job, PyTuple_GET_SIZE(arguments));
  Py_DECREF(what.source);
  return result;
}
