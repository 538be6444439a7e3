/* What the C files of the Python module share.  All of it is called with the
   GIL held, by threads of Python; what fails sets an exception. */
#ifndef BRIDGE_PYTHON_FACE_H
#define BRIDGE_PYTHON_FACE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <bridge/bridge.h>

/* ---- text.c: str <-> bytes --------------------------------------------- */

/* Lua's strings are bytes.  Bytes that are no UTF-8 become U+DC80 to U+DCFF, and
   other lone surrogates are kept, so that every byte string survives the way to
   Python and back. */
PyObject *bridge__py_decode(const char *data, size_t size);

/* A new bytes object. */
PyObject *bridge__py_encode(PyObject *text);

/* ---- raise.c: statuses -> exceptions ------------------------------------ */

/* Name the three functions of bridge.errors that make exceptions. */
PyObject *bridge__py_set_makers(PyObject *plain,
                                PyObject *of_buffer,
                                PyObject *of_script);

/* Raise what the status means.  `text` is taken; NULL for the status's own. */
void bridge__py_raise(bridge_status status, PyObject *text);
void bridge__py_raise_format(bridge_status status, const char *format, ...);

/* Raise a buffer's EBUSY or EFROZEN: a BufferError. */
void bridge__py_raise_buffer(bridge_status status);

/* Raise with what the error knows; `worker` is where it happened, or NULL. */
void bridge__py_raise_error(bridge_status status,
                            const bridge_error *error,
                            const bridge_worker *worker);

/* The exception itself; a new reference. */
PyObject *bridge__py_exception(bridge_status status,
                               const bridge_error *error,
                               const bridge_worker *worker);

/* ---- pack.c, unpack.c: values <-> messages ------------------------------- */

/* A message of the values of a tuple, after `first` if that is not NULL.  NULL
   on failure. */
bridge_message *bridge__py_pack(PyObject *first, PyObject *values);

/* One value as itself, any other number as a tuple. */
PyObject *bridge__py_unpack(const bridge_message *message);

/* ---- text.c: arguments and attributes ------------------------------------- */

/* New bytes of a str or bytes; `whole` refuses a NUL within. */
PyObject *bridge__py_bytes_of(PyObject *object, bool whole);

/* Like PyObject_GetAttrString, by a name that Python's caches know already. */
PyObject *bridge__py_attribute(PyObject *object, const char *name);

/* ---- wait.c: calls that block -------------------------------------------- */

typedef bridge_status bridge__py_step(void *context, int timeout_ms);

/* Where signals are looked for. */
void bridge__py_set_main_thread(unsigned long ident);
bool bridge__py_on_main_thread(void);
/* watch.c: the process is a child, with one thread. */
void bridge__py_watch_forked(void);

/* Milliseconds of a time-out in seconds; None is -1, for ever. */
bool bridge__py_timeout(PyObject *seconds, int64_t *milliseconds);

/* Call `step` until it has something to say or the time is over.  The GIL is
   released while it waits, and Ctrl-C is looked for on the main thread: then an
   exception is set and `interrupted` is true. */
bridge_status bridge__py_wait(bridge__py_step *step,
                              void *context,
                              int64_t timeout_ms,
                              bool *interrupted);

/* The same for what may run Lua: never while the GIL is held. */
bridge_status bridge__py_wait_released(bridge__py_step *step,
                                       void *context,
                                       int64_t timeout_ms,
                                       bool *interrupted);

/* When a wait is over, which is negative for never, and the milliseconds until
   then. */
int64_t bridge__py_deadline(int64_t timeout_ms);
int bridge__py_left(int64_t deadline);

/* What a call that gives nothing returns. */
PyObject *bridge__py_none_or_raise(bridge_status status, bool interrupted);

/* What the methods of the classes do; see python.swg. */
PyObject *bridge__py_waker_wait(bridge_waker *waker, PyObject *timeout);
PyObject *bridge__py_worker_join(bridge_worker *worker, PyObject *timeout);
PyObject *bridge__py_worker_call(bridge_worker *worker,
                                 PyObject *name,
                                 PyObject *values,
                                 PyObject *timeout);
PyObject *bridge__py_worker_send(bridge_worker *worker,
                                 PyObject *name,
                                 PyObject *values,
                                 PyObject *timeout);

/* A request of these values, for bridge__py_worker_request. */
PyObject *bridge__py_request_of(PyObject *name, PyObject *values);

/* Ask, with that time for the answer: whether there was room.  With `probe` it fails
   where there never will be, since the inbox refuses at once. */
PyObject *bridge__py_worker_request(bridge_worker *worker,
                                    PyObject *request,
                                    bridge_queue *answers,
                                    PyObject *session,
                                    PyObject *timeout,
                                    bool probe);

/* What the chunk yields next.  `kept` is a list of what came while Ctrl-C did. */
PyObject *bridge__py_worker_next(bridge_worker *worker,
                                 PyObject *values,
                                 PyObject *timeout,
                                 PyObject *kept);
PyObject *bridge__py_worker_step(bridge_worker *worker, size_t budget);
PyObject *bridge__py_worker_close(bridge_worker *worker, PyObject *grace);
PyObject *bridge__py_queue_pop_answers(bridge_queue *answers);

/* ---- registry.c: looking at workers ---------------------------------------- */

PyObject *bridge__py_worker_look(bridge_worker *worker);
PyObject *bridge__py_worker_traceback(bridge_worker *worker, PyObject *timeout);

/* A list of the objects of the face. */
PyObject *bridge__py_workers(void);

/* By name or number; None if there is none. */
PyObject *bridge__py_find(PyObject *key);

/* The same of objects of any kind; 0 wants any. */
PyObject *bridge__py_objects(void);
PyObject *bridge__py_find_object(PyObject *key, int wanted);
PyObject *bridge__py_object_look(PyObject *face);
PyObject *bridge__py_object_set_name(PyObject *face, PyObject *name);

/* ---- exchange.c: queues and channels --------------------------------------- */

/* A queue or a channel. */
typedef struct bridge__py_line {
  bridge_handle_kind kind;
  void *handle;
} bridge__py_line;

PyObject *bridge__py_send(bridge__py_line line,
                          PyObject *values,
                          PyObject *timeout);
/* As long as it was made to wait, of which these are the milliseconds. */
PyObject *bridge__py_send_by_policy(bridge__py_line line, PyObject *values);
int bridge__py_patience(bridge__py_line line);
PyObject *bridge__py_receive(bridge__py_line line, PyObject *timeout);
/* Never waits; gives `empty` where there is nothing. */
PyObject *bridge__py_receive_or(bridge__py_line line, PyObject *empty);
PyObject *bridge__py_receive_batch(bridge__py_line line,
                                   PyObject *limit,
                                   PyObject *timeout);
PyObject *bridge__py_peek(bridge__py_line line);
PyObject *bridge__py_discard(bridge__py_line line);

/* What was received, and cannot be given to the caller, is the oldest again.  Takes
   the message, or NULL; the exception that says why stays set. */
void bridge__py_put_back(bridge__py_line line, bridge_message *message);

/* A wait is done in slices; who is woken in one, or between two, is woken. */
typedef struct bridge__py_wakes {
  uint64_t before; /* as the wait began */
  bool woken;
} bridge__py_wakes;

/* The status of a slice of so many milliseconds; ECANCELLED ends the wait. */
bridge_status bridge__py_heed_wakes(bridge__py_wakes *self,
                                    bridge_status status,
                                    uint64_t wakes,
                                    int timeout_ms);
void bridge__py_raise_receiving(bridge_status status, bool woken);

/* ---- select.c, sync.c: select, counters, flags, mutexes, timers -------------- */

/* A place in the sequence, and the value. */
PyObject *bridge__py_select(PyObject *sources, PyObject *timeout);

PyObject *bridge__py_counter_wait(bridge_counter *counter,
                                  int relation,
                                  int64_t value,
                                  PyObject *timeout);
/* Whether it was as expected, and what it was. */
PyObject *bridge__py_counter_exchange(bridge_counter *counter,
                                      int64_t expected,
                                      int64_t value);
PyObject *bridge__py_flag_wait(bridge_flag *flag, PyObject *timeout);
/* Whether it was abandoned. */
PyObject *bridge__py_mutex_lock(bridge_mutex *mutex, PyObject *timeout);
PyObject *bridge__py_mutex_unlock(bridge_mutex *mutex, bool abandoned);
PyObject *bridge__py_timer_create(PyObject *target,
                                  int clock,
                                  int64_t first,
                                  int64_t period,
                                  PyObject *values);

/* ---- buffer.c: the buffer protocol ---------------------------------------- */

/* A new class with nothing but the protocol, for the face's Buffer. */
PyObject *bridge__py_buffer_exporter(void);

/* A copy of some bytes. */
PyObject *bridge__py_buffer_part(const bridge_buffer *buffer,
                                 size_t start,
                                 size_t size);

/* Whether the bytes are those of anything that has bytes. */
PyObject *bridge__py_buffer_equals(const bridge_buffer *buffer,
                                   PyObject *other);
PyObject *bridge__py_buffer_freeze(bridge_buffer *buffer);
bridge_buffer *bridge__py_buffer_create(PyObject *source);

/* ---- batch.c: messages that were popped together --------------------------- */

/* An iterator over what is in the queue now; None if nothing is. */
PyObject *bridge__py_queue_take(bridge_queue *queue);

/* ---- state.c, call.c, function.c: Lua on a thread of Python ---------------- */

/* A Lua state, the calls in it, and the functions that came out of it. */
typedef struct bridge__py_state bridge__py_state;

bridge_status bridge__py_state_create(bridge__py_state **out,
                                      const bridge_state_options *options,
                                      bool release_gil,
                                      bridge_error **error);
bridge__py_state *bridge__py_state_retain(bridge__py_state *self);
void bridge__py_state_release(bridge__py_state *self);

/* Run a chunk; the name is as Lua wants it, or NULL.  Limits that are negative are
   those of the state. */
PyObject *bridge__py_state_run(bridge__py_state *self,
                               PyObject *source,
                               const char *name,
                               PyObject *arguments,
                               const bridge_limits *limits);

/* Stop what runs in it: whether anything did. */
PyObject *bridge__py_state_cancel(bridge__py_state *self,
                                  bridge_stop_level level,
                                  PyObject *grace);

/* Wait until nobody is in the state, and close it. */
PyObject *bridge__py_state_close(bridge__py_state *self, PyObject *timeout);
bool bridge__py_state_closed(const bridge__py_state *self);
PyObject *bridge__py_state_memory(const bridge__py_state *self);

/* A new reference to the class of Lua's functions. */
PyObject *bridge__py_function_type(void);

/* The class Object of the face, whose parts are name, module and values. */
PyObject *bridge__py_set_object_class(PyObject *type);
/* Borrowed; NULL until it is known. */
PyObject *bridge__py_object_class(void);

/* ---- options.c: dicts of options ------------------------------------------- */

/* Make one of them; fails perhaps with an exception that says more. */
bridge_status bridge__py_worker_create(bridge_worker **out,
                                       PyObject *options,
                                       bridge_message **arguments,
                                       bridge_error **error);
bridge_status bridge__py_state_make(bridge__py_state **out,
                                    PyObject *options,
                                    bridge_error **error);

/* ---- supplied by the generated wrapper, which knows the classes ------------ */

/* Whether the object is a handle of the bridge: 1 and a borrowed pointer, 0, or
   -1 with an exception. */
int bridge__py_handle(PyObject *object, bridge_handle_kind *kind, void **out);

/* The object of the face for a handle; takes a reference of its own. */
PyObject *bridge__py_wrap(bridge_handle_kind kind, void *handle);
/* Whether it can. */
bool bridge__py_has_class(bridge_handle_kind kind);

/* The buffer within a Buffer, borrowed; NULL with an exception. */
bridge_buffer *bridge__py_buffer_of(PyObject *self);

#endif /* BRIDGE_PYTHON_FACE_H */
