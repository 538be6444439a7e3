/* A Lua state for Python: made here, held for the time of a call, and closed when
   Python says so or when nobody has it or a function of it any more. */
#include "state.h"

#include <lauxlib.h>
#include <limits.h>

/* Anchored until the next one is made. */
static int make_coroutine(lua_State *L)
{
  bridge__py_state *self = lua_touserdata(L, 1);
  lua_State *made = lua_newthread(L);
  self->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  self->lua = made;
  return 0;
}

/* In the state, which is held. */
static bool renew_in(bridge__py_state *self, lua_State *L)
{
  lua_pushcfunction(L, make_coroutine);
  lua_pushlightuserdata(L, self);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    return false;
  }
  return true;
}

static bridge_status open_state(bridge__py_state *self,
                                const bridge_state_options *options,
                                bridge_error **error)
{
  bridge_status status = bridge_state_create(&self->state, options, error);
  if (status != BRIDGE_OK) {
    return status;
  }
  status =
      bridge_state_enter(self->state, -1, &self->main); /* nobody else has it */
  if (status == BRIDGE_OK) {
    status = renew_in(self, self->main) ? BRIDGE_OK : BRIDGE_ENOMEM;
    bridge_state_leave(self->state);
  }
  if (status != BRIDGE_OK) {
    bridge_state_release(self->state);
  }
  return status;
}

bool bridge__py_state_renew(bridge__py_state *self)
{
  if (self->lua != NULL) {
    self->lua = NULL;
    luaL_unref(self->main, LUA_REGISTRYINDEX, self->anchor);
  }
  return renew_in(self, self->main);
}

bridge_status bridge__py_state_create(bridge__py_state **out,
                                      const bridge_state_options *options,
                                      bool release_gil,
                                      bridge_error **error)
{
  bridge__py_state *self = PyMem_Calloc(1, sizeof *self);
  if (self == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = open_state(self, options, error);
  if (status != BRIDGE_OK) {
    PyMem_Free(self);
    return status;
  }
  self->owners = 1;
  self->release_gil = release_gil;
  self->measured = options->sandbox || options->message_limit > 0 ||
                   options->value_limit > 0 || options->depth_limit > 0;
  self->limits = options->run;
  *out = self;
  return BRIDGE_OK;
}

/* ---- Its end ------------------------------------------------------------------ */

/* Finalizers of Lua run now, and they may wait. */
static void close_state(bridge__py_state *self)
{
  bridge_state *state = self->state;
  self->state = NULL;
  self->closed = true;
  while (self->dropped != NULL) {
    bridge__py_reference *first = self->dropped;
    self->dropped = first->next;
    PyMem_RawFree(first);
  }
  Py_BEGIN_ALLOW_THREADS bridge_state_release(state);
  Py_END_ALLOW_THREADS
}

bridge__py_state *bridge__py_state_retain(bridge__py_state *self)
{
  self->owners++;
  return self;
}

void bridge__py_state_release(bridge__py_state *self)
{
  if (self == NULL || --self->owners > 0) {
    return;
  }
  if (self->state != NULL) {
    close_state(self);
  }
  PyMem_Free(self);
}

static void end_use(bridge__py_state *self)
{
  if (--self->users == 0 && self->closed && self->state != NULL) {
    close_state(self);
  }
}

/* ---- Who uses it --------------------------------------------------------------- */

typedef struct entering {
  bridge_state *state;
  lua_State *main;
} entering;

static bridge_status enter_step(void *context, int timeout_ms)
{
  entering *self = context;
  return bridge_state_enter(self->state, timeout_ms, &self->main);
}

static void refuse(bridge_status status)
{
  switch (status) {
  case BRIDGE_ECLOSED:
    bridge__py_raise_format(status, "the state was closed");
    break;
  case BRIDGE_EDEADLOCK:
    bridge__py_raise_format(status, "this thread is in a call of the state: a "
                                    "finalizer cannot use it");
    break;
  default:
    bridge__py_raise(status, NULL);
  }
}

/* Another thread is in the state: wait for it, and for Ctrl-C. */
static bridge_status stand_in_line(entering *job,
                                   int64_t timeout_ms,
                                   bool *interrupted)
{
  bridge_status status =
      bridge__py_wait(enter_step, job, timeout_ms, interrupted);
  if (*interrupted && status == BRIDGE_OK) {
    bridge_state_leave(job->state);
  }
  return status;
}

/* After another thread.  It may have closed the state meanwhile. */
static bridge_status begin_later(bridge__py_state *self, bool *interrupted)
{
  entering job = {self->state, NULL};
  bridge_status status = stand_in_line(&job, -1, interrupted);
  if (!*interrupted && status == BRIDGE_OK && self->closed) {
    bridge_state_leave(self->state);
    status = BRIDGE_ECLOSED;
  }
  return status;
}

bool bridge__py_state_begin_late(bridge__py_state *self, bridge_status status)
{
  bool interrupted = false;
  if (status == BRIDGE_ETIMEDOUT) {
    self->users++;
    status = begin_later(self, &interrupted);
    if (!interrupted && status == BRIDGE_OK) {
      return true;
    }
    end_use(self);
  }
  if (!interrupted) {
    refuse(self == NULL ? BRIDGE_EINVAL : status);
  }
  return false;
}

/* Sets fields that are there, so that it needs no memory. */
static void forget(bridge__py_state *self)
{
  while (self->dropped != NULL) {
    bridge__py_reference *first = self->dropped;
    self->dropped = first->next;
    luaL_unref(self->main, LUA_REGISTRYINDEX, first->number);
    PyMem_RawFree(first);
  }
}

void bridge__py_state_finish_late(bridge__py_state *self)
{
  forget(self);
  bridge_state_leave(self->state);
  end_use(self);
}

void bridge__py_state_drop(bridge__py_state *self,
                           bridge__py_reference *reference)
{
  if (self->state == NULL) {
    PyMem_RawFree(reference);
    return;
  }
  reference->next = self->dropped;
  self->dropped = reference;
  /* During a call this comes later: when that call is over. */
  lua_State *main = NULL;
  if (bridge_state_enter(self->state, 0, &main) == BRIDGE_OK) {
    forget(self);
    bridge_state_leave(self->state);
  }
}

PyObject *bridge__py_state_close(bridge__py_state *self, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  if (self == NULL) {
    refuse(BRIDGE_EINVAL);
    return NULL;
  }
  if (self->state == NULL) {
    Py_RETURN_NONE;
  }
  bool before = self->closed;
  self->closed = true;
  self->users++;
  bool interrupted = false;
  entering job = {self->state, NULL};
  bridge_status status = stand_in_line(&job, timeout_ms, &interrupted);
  if (!interrupted && status == BRIDGE_OK) {
    bridge_state_leave(self->state);
  } else if (status == BRIDGE_EDEADLOCK) {
    self->closed = before;
  }
  end_use(self);
  if (interrupted || status == BRIDGE_OK) {
    return interrupted ? NULL : Py_NewRef(Py_None);
  }
  refuse(status);
  return NULL;
}

/* While we have the GIL nobody can close it. */
PyObject *bridge__py_state_cancel(bridge__py_state *self,
                                  bridge_stop_level level,
                                  PyObject *grace)
{
  int64_t grace_ms = 0;
  if (!bridge__py_timeout(grace, &grace_ms)) {
    return NULL;
  }
  if (self == NULL) {
    refuse(BRIDGE_EINVAL);
    return NULL;
  }
  if (self->state == NULL) {
    Py_RETURN_FALSE;
  }
  bool long_time = grace_ms < 0 || grace_ms > INT_MAX;
  bridge_status status = bridge_state_cancel(
      self->state, level, long_time ? INT_MAX : (int)grace_ms);
  if (status == BRIDGE_OK || status == BRIDGE_EEMPTY) {
    return PyBool_FromLong(status == BRIDGE_OK);
  }
  refuse(status);
  return NULL;
}

bool bridge__py_state_closed(const bridge__py_state *self)
{
  return self == NULL || self->closed;
}

/* (used, peak, limit) */
PyObject *bridge__py_state_memory(const bridge__py_state *self)
{
  if (self == NULL || self->state == NULL) {
    refuse(self == NULL ? BRIDGE_EINVAL : BRIDGE_ECLOSED);
    return NULL;
  }
  size_t used = 0;
  size_t peak = 0;
  size_t limit = 0;
  bridge_state_memory(self->state, &used, &peak, &limit);
  return Py_BuildValue("nnn", (Py_ssize_t)used, (Py_ssize_t)peak,
                       (Py_ssize_t)limit);
}
