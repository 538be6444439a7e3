/* Counters, flags, mutexes and timers for Python: their waits release the GIL, and
   end on Ctrl-C. */
#include "face.h"

/* ---- Counter and flag ------------------------------------------------------- */

typedef struct counting {
  bridge_counter *counter;
  bridge_relation relation;
  int64_t value;
  int64_t seen;
} counting;

static bridge_status count_step(void *context, int timeout_ms)
{
  counting *self = context;
  return bridge_counter_wait(self->counter, self->relation, self->value,
                             timeout_ms, &self->seen);
}

PyObject *bridge__py_counter_wait(bridge_counter *counter,
                                  int relation,
                                  int64_t value,
                                  PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  counting self = {counter, (bridge_relation)relation, value, 0};
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(count_step, &self, timeout_ms, &interrupted);
  if (interrupted || status != BRIDGE_OK) {
    return bridge__py_none_or_raise(status, interrupted);
  }
  return PyLong_FromLongLong(self.seen);
}

PyObject *bridge__py_counter_exchange(bridge_counter *counter,
                                      int64_t expected,
                                      int64_t value)
{
  bridge_status status = bridge_counter_exchange(counter, &expected, value);
  if (status != BRIDGE_OK && status != BRIDGE_EBUSY) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  return Py_BuildValue("(NL)", PyBool_FromLong(status == BRIDGE_OK),
                       (long long)expected);
}

static bridge_status flag_step(void *context, int timeout_ms)
{
  return bridge_flag_wait(context, timeout_ms);
}

PyObject *bridge__py_flag_wait(bridge_flag *flag, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(flag_step, flag, timeout_ms, &interrupted);
  return bridge__py_none_or_raise(status, interrupted);
}

/* ---- Mutex ------------------------------------------------------------------ */

typedef struct locking {
  bridge_mutex *mutex;
  bool abandoned;
} locking;

/* That somebody has it is no reason to stop waiting. */
static bridge_status lock_step(void *context, int timeout_ms)
{
  locking *self = context;
  bridge_status status =
      bridge_mutex_lock(self->mutex, timeout_ms, &self->abandoned);
  return status == BRIDGE_EBUSY ? BRIDGE_ETIMEDOUT : status;
}

PyObject *bridge__py_mutex_lock(bridge_mutex *mutex, PyObject *timeout)
{
  int64_t timeout_ms = 0;
  if (!bridge__py_timeout(timeout, &timeout_ms)) {
    return NULL;
  }
  locking self = {.mutex = mutex};
  bool interrupted = false;
  bridge_status status =
      bridge__py_wait(lock_step, &self, timeout_ms, &interrupted);
  if (interrupted && status == BRIDGE_OK) {
    /* Nobody will ever know that it was locked. */
    (void)(self.abandoned ? bridge_mutex_abandon(mutex)
                          : bridge_mutex_unlock(mutex));
  }
  if (interrupted) {
    return NULL;
  }
  if (status != BRIDGE_OK) {
    const bool tried = status == BRIDGE_ETIMEDOUT && timeout_ms == 0;
    if (tried) {
      bridge__py_raise_format(BRIDGE_EBUSY, "somebody has the mutex");
    } else {
      bridge__py_raise(status, NULL);
    }
    return NULL;
  }
  return PyBool_FromLong(self.abandoned);
}

PyObject *bridge__py_mutex_unlock(bridge_mutex *mutex, bool abandoned)
{
  bridge_status status =
      abandoned ? bridge_mutex_abandon(mutex) : bridge_mutex_unlock(mutex);
  if (status == BRIDGE_EINVAL && mutex != NULL) {
    bridge__py_raise_format(status, "this thread does not have the mutex");
    return NULL;
  }
  return bridge__py_none_or_raise(status, false);
}

/* ---- Timer ------------------------------------------------------------------- */

static bool choose(bridge_timer_options *options, PyObject *target)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  int found = bridge__py_handle(target, &kind, &handle);
  if (found > 0 && kind == BRIDGE_HANDLE_QUEUE) {
    options->queue = handle;
  } else if (found > 0 && kind == BRIDGE_HANDLE_CHANNEL) {
    options->channel = handle;
  } else if (found >= 0) {
    PyErr_Format(PyExc_TypeError, "a Queue or a Channel, not %R", target);
    return false;
  }
  return found > 0;
}

PyObject *bridge__py_timer_create(PyObject *target,
                                  int clock,
                                  int64_t first,
                                  int64_t period,
                                  PyObject *values)
{
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  options.clock = (bridge_timer_clock)clock;
  options.first_ns = first;
  options.period_ns = period;
  if (!choose(&options, target)) {
    return NULL;
  }
  bridge_message *message = bridge__py_pack(NULL, values);
  if (message == NULL) {
    return NULL;
  }
  bridge_timer *timer = NULL;
  bridge_status status = bridge_timer_create(&timer, &options, &message);
  bridge_message_release(message);
  if (status != BRIDGE_OK) {
    bridge__py_raise(status, NULL);
    return NULL;
  }
  PyObject *face = bridge__py_wrap(BRIDGE_HANDLE_TIMER, timer);
  bridge_timer_release(timer);
  return face;
}
