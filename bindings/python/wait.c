/* How calls wait: the only ones that release the GIL, and all of them can be broken by
   Ctrl-C. */
#include "face.h"

#include <limits.h>
#include <math.h>
#include <time.h>

/* How long the main thread waits without looking for signals. */
enum {
  SLICE_MS = 100
};

/* ---- Time --------------------------------------------------------------------- */

static const int64_t ns_in_ms = 1000000;

/* 31 years are for ever, and leave room in 64 bits of nanoseconds. */
static const double longest_s = 1e9;

static int64_t now_ns(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 * ns_in_ms + time.tv_nsec;
}

bool bridge__py_timeout(PyObject *seconds, int64_t *milliseconds)
{
  *milliseconds = -1;
  if (seconds == Py_None) {
    return true;
  }
  double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Format(PyExc_TypeError, "a time-out is None or seconds, not %R",
                   seconds);
    }
    return false;
  }
  if (!(value >= 0)) { /* also what is no number */
    bridge__py_raise_format(
        BRIDGE_EINVAL, "a time-out is None or seconds from 0, not %R", seconds);
    return false;
  }
  /* Never sooner than asked. */
  *milliseconds = value < longest_s ? (int64_t)ceil(value * 1000) : -1;
  return true;
}

/* The thread that Python handles signals on; 0 while nobody has told.  Asking
   Python each time would run its code, in which a signal could be lost. */
static unsigned long main_thread;

void bridge__py_set_main_thread(unsigned long ident)
{
  if (main_thread != 0) {
    bridge__py_watch_forked();
  }
  main_thread = ident;
}

bool bridge__py_on_main_thread(void)
{
  return main_thread == 0 || main_thread == PyThread_get_thread_ident();
}

/* ---- Waiting -------------------------------------------------------------------- */

static bool is_not_yet(bridge_status status)
{
  return status == BRIDGE_EEMPTY || status == BRIDGE_EFULL ||
         status == BRIDGE_ETIMEDOUT;
}

/* The next slice of a wait until `deadline`, which is negative for none. */
static int slice_until(int64_t deadline, bool sliced)
{
  int64_t most = sliced ? SLICE_MS : INT_MAX;
  if (deadline < 0) {
    return sliced ? SLICE_MS : -1;
  }
  int64_t left = (deadline - now_ns() + ns_in_ms - 1) / ns_in_ms;
  if (left < 0) {
    left = 0;
  }
  return (int)(left < most ? left : most);
}

static bridge_status released(bridge__py_step *step,
                              void *context,
                              int timeout_ms)
{
  bridge_status status = BRIDGE_OK;
  Py_BEGIN_ALLOW_THREADS status = step(context, timeout_ms);
  Py_END_ALLOW_THREADS return status;
}

int64_t bridge__py_deadline(int64_t timeout_ms)
{
  return timeout_ms < 0 ? -1 : now_ns() + timeout_ms * ns_in_ms;
}

int bridge__py_left(int64_t deadline)
{
  return slice_until(deadline, false);
}

bridge_status bridge__py_wait(bridge__py_step *step,
                              void *context,
                              int64_t timeout_ms,
                              bool *interrupted)
{
  *interrupted = false;
  bridge_status status = step(context, 0); /* does not block: keep the GIL */
  if (timeout_ms == 0 || !is_not_yet(status)) {
    return status;
  }
  return bridge__py_wait_released(step, context, timeout_ms, interrupted);
}

bridge_status bridge__py_wait_released(bridge__py_step *step,
                                       void *context,
                                       int64_t timeout_ms,
                                       bool *interrupted)
{
  *interrupted = false;
  bridge_status status = BRIDGE_OK;
  int64_t deadline = bridge__py_deadline(timeout_ms);
  bool sliced = bridge__py_on_main_thread();
  for (;;) {
    int slice = slice_until(deadline, sliced);
    status = released(step, context, slice);
    if (PyErr_CheckSignals() < 0) {
      break;
    }
    bool never = status == BRIDGE_EFULL && slice != 0; /* an inbox that fails */
    if (!is_not_yet(status) || never) {
      return status;
    }
    if (deadline >= 0 && now_ns() >= deadline) {
      return BRIDGE_ETIMEDOUT;
    }
  }
  *interrupted = true;
  return status;
}

PyObject *bridge__py_none_or_raise(bridge_status status, bool interrupted)
{
  if (interrupted) {
    return NULL;
  }
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  Py_RETURN_NONE;
}

/* ---- Waker ------------------------------------------------------------------------- */

static bridge_status waker_step(void *context, int timeout_ms)
{
  return bridge_waker_wait(context, timeout_ms);
}

PyObject *bridge__py_waker_wait(bridge_waker *waker, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(waker_step, waker, timeout_ms, &interrupted);
  return bridge__py_none_or_raise(status, interrupted);
}
