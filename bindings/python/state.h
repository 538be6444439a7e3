/* A Lua state that Python holds, and the calls into it, for state.c, call.c and
   function.c.  All of it is guarded by the GIL, but what runs while a call has
   released it touches nothing but the Lua state, which the call holds. */
#ifndef BRIDGE_PYTHON_STATE_H
#define BRIDGE_PYTHON_STATE_H

#include "face.h"

#include <lua.h>

/* A function's place in the registry of its state. */
typedef struct bridge__py_reference {
  struct bridge__py_reference *next;
  int number;
} bridge__py_reference;

struct bridge__py_state {
  bridge_state *state;           /* NULL once it is closed and nobody uses it */
  lua_State *main;               /* to be used while the state is held */
  lua_State *lua;                /* a coroutine in it, in which all calls run;
                                    NULL if there was no memory for one */
  int anchor;                    /* its place in the registry */
  bridge_limits limits;          /* of its calls */
  size_t owners;                 /* the object of the face, and each function */
  size_t users;                  /* calls that run, or wait for their turn */
  bool closed;                   /* no further call begins */
  bool release_gil;              /* while Lua runs */
  bool measured;                 /* values have limits: all go as messages */
  bridge__py_reference *dropped; /* of functions that went during a call */
};

/* ---- state.c: who may use it --------------------------------------------- */

/* Wait for the state and hold it; false with an exception. */
bool bridge__py_state_begin_late(bridge__py_state *self, bridge_status status);
static inline bool bridge__py_state_begin(bridge__py_state *self)
{
  bridge_status status = BRIDGE_ECLOSED;
  if (self != NULL && !self->closed) {
    lua_State *main = NULL;
    status = bridge_state_enter(self->state, 0, &main);
    if (status == BRIDGE_OK) {
      self->users++;
      return true;
    }
  }
  return bridge__py_state_begin_late(self, status);
}

/* Let it go, with an empty stack. */
void bridge__py_state_finish_late(bridge__py_state *self);
static inline void bridge__py_state_finish(bridge__py_state *self)
{
  if (self->lua != NULL) {
    lua_settop(self->lua, 0);
  }
  if (self->dropped != NULL || self->closed) {
    bridge__py_state_finish_late(self);
    return;
  }
  bridge_state_leave(self->state);
  self->users--;
}

/* Have a new coroutine, after the last one was stopped; false for lack of memory. */
bool bridge__py_state_renew(bridge__py_state *self);

/* The function there is needed no more; takes the reference. */
void bridge__py_state_drop(bridge__py_state *self,
                           bridge__py_reference *reference);

/* ---- watch.c: Ctrl-C while Lua runs ------------------------------------------- */

/* A call of the main thread, while it lasts. */
typedef struct bridge__py_watch {
  bool watched;
  bridge_state *before;
} bridge__py_watch;

/* Both are called with the GIL; false with an exception, of a handler.  `chunk`: it
   takes long enough to look closely. */
bool bridge__py_watch_begin_main(bridge__py_watch *call, bool chunk);
void bridge__py_watch_end_main(bool failed);
static inline bool bridge__py_watch_begin(bridge__py_watch *call, bool chunk)
{
  call->watched = false;
  return !bridge__py_on_main_thread() ||
         bridge__py_watch_begin_main(call, chunk);
}
/* If the call failed, the exception of a handler takes the place of its own. */
static inline void bridge__py_watch_end(const bridge__py_watch *call,
                                        bool failed)
{
  if (call->watched) {
    bridge__py_watch_end_main(failed);
  }
}

/* Around what runs while the state is held; `call` is watched. */
void bridge__py_watch_run(bridge__py_watch *call, bridge_state *state);
void bridge__py_watch_ran(bridge__py_watch *call);

/* ---- call.c: values in, Lua, values out ------------------------------------ */

PyObject *bridge__py_call(bridge__py_state *self,
                          int function,
                          PyObject *const *arguments,
                          Py_ssize_t count);

/* ---- function.c: what Python calls ----------------------------------------- */

/* A new LuaFunction; takes the reference, also if it fails. */
PyObject *bridge__py_function(bridge__py_state *self,
                              bridge__py_reference *reference);

/* The place of a function of this state, or LUA_NOREF. */
int bridge__py_function_number(PyObject *object, const bridge__py_state *self);

#endif /* BRIDGE_PYTHON_STATE_H */
