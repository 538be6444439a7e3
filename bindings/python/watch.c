/* Ctrl-C while the main thread runs Lua.  Python's own handler of the signal only
   makes a note, so ours stands before it: during a call it also writes to a pipe.  A
   thread of ours, which calls nothing of Python, reads there and cancels the script;
   then the main thread asks Python, which runs its handlers and raises.

   `signal.signal` takes our handler away.  To look whether it is still there is a
   system call, so that this is done once in each tick of the coarse clock: what
   changes handlers and calls a function that never ends within the same 4 ms has to
   press Ctrl-C again. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum {
  NONE = -1
};

static struct {
  int reads;             /* guarded by the GIL, like `thread` and `checked` */
  bridge_thread *thread; /* NULL until it is there */
  struct timespec checked;
  struct sigaction python; /* the handler before ours, while that is set */
  atomic_int writes;       /* of our handler, or NONE */
  _Atomic(bridge_state *) running; /* what the main thread runs, or NULL */
  atomic_uint_fast64_t calls; /* begun and ended: tells one from the next */
  atomic_int depth;           /* calls under way, each in a handler within the
                                      one before */
  atomic_bool busy;           /* `running` is in use by the thread */
} watch = {.reads = NONE, .writes = NONE};

/* ---- The thread ---------------------------------------------------------------- */

static bridge_status cancel_running(uint_fast64_t call)
{
  bridge_status status = BRIDGE_EEMPTY;
  /* Sequentially consistent, as what the main thread does at the end of a call: it
     sees that we are busy, or we see that it runs nothing. */
  atomic_store_explicit(&watch.busy, true, memory_order_seq_cst);
  bridge_state *state =
      atomic_load_explicit(&watch.running, memory_order_seq_cst);
  /* Takes nothing; what was stored before `running` is not older than that. */
  if (call != atomic_load_explicit(&watch.calls, memory_order_relaxed)) {
    status = BRIDGE_OK; /* too late */
  } else if (state != NULL) {
    status = bridge_state_cancel(state, BRIDGE_STOP_DEFAULT, 0);
  }
  /* Publishes that we are done with the state. */
  atomic_store_explicit(&watch.busy, false, memory_order_release);
  return status;
}

/* A call that has begun runs nothing yet while it waits for the state, or while its
   chunk is compiled. */
static void watch_main(void *user)
{
  const struct timespec pause = {0, 1000000};
  int descriptor = (int)(intptr_t)user;
  uint_fast64_t call = 0;
  for (;;) {
    ssize_t got = read(descriptor, &call, sizeof call);
    if (got != sizeof call && !(got < 0 && errno == EINTR)) {
      return;
    }
    while (got == sizeof call && cancel_running(call) == BRIDGE_EEMPTY) {
      nanosleep(&pause, NULL);
    }
  }
}

/* ---- The handler ----------------------------------------------------------------- */

static void tell(void)
{
  /* These take nothing: numbers. */
  int descriptor = atomic_load_explicit(&watch.writes, memory_order_relaxed);
  if (descriptor != NONE &&
      atomic_load_explicit(&watch.depth, memory_order_relaxed) > 0) {
    uint_fast64_t call =
        atomic_load_explicit(&watch.calls, memory_order_relaxed);
    ssize_t written = write(descriptor, &call, sizeof call);
    (void)written; /* a full pipe has enough to wake its reader */
  }
}

static void on_interrupt(int number, siginfo_t *information, void *context)
{
  int before = errno;
  if ((watch.python.sa_flags & SA_SIGINFO) != 0) {
    watch.python.sa_sigaction(number, information, context);
  } else {
    watch.python.sa_handler(number);
  }
  tell();
  errno = before;
}

static bool is_ours(const struct sigaction *action)
{
  return (action->sa_flags & SA_SIGINFO) != 0 &&
         action->sa_sigaction == on_interrupt;
}

static bool is_handler(const struct sigaction *action)
{
  return (action->sa_flags & SA_SIGINFO) != 0 ||
         (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void stand_before(void)
{
  struct sigaction action;
  if (sigaction(SIGINT, NULL, &action) == 0 && !is_ours(&action) &&
      is_handler(&action)) {
    watch.python = action;
    action.sa_flags |= SA_SIGINFO;
    action.sa_sigaction = on_interrupt;
    sigaction(SIGINT, &action, NULL);
  }
}

static void look(bool again)
{
  struct timespec now;
#ifdef CLOCK_MONOTONIC_COARSE
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
#else
  clock_gettime(CLOCK_MONOTONIC, &now);
#endif
  if (again || now.tv_nsec != watch.checked.tv_nsec ||
      now.tv_sec != watch.checked.tv_sec) {
    watch.checked = now;
    stand_before();
  }
}

/* ---- Its beginning, and a fork --------------------------------------------------- */

static bool start(void)
{
  int ends[2];
  if (pipe(ends) != 0) {
    return false;
  }
  fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  fcntl(ends[1], F_SETFL, O_NONBLOCK); /* the handler must not wait */
  bridge_thread_options options;
  bridge_thread_options_init(&options);
  options.name = "bridge-ctrl-c";
  if (bridge_thread_create(&watch.thread, watch_main, (void *)(intptr_t)ends[0],
                           &options) != BRIDGE_OK) {
    close(ends[0]);
    close(ends[1]);
    return false;
  }
  watch.reads = ends[0];
  /* Publishes a number to the handler. */
  atomic_store_explicit(&watch.writes, ends[1], memory_order_relaxed);
  return true;
}

void bridge__py_watch_forked(void)
{
  if (watch.thread == NULL) {
    return;
  }
  /* Nobody else is in this process, so that these publish nothing. */
  int writes =
      atomic_exchange_explicit(&watch.writes, NONE, memory_order_relaxed);
  atomic_store_explicit(&watch.depth, 0, memory_order_relaxed);
  atomic_store_explicit(&watch.busy, false, memory_order_relaxed);
  atomic_store_explicit(&watch.running, NULL, memory_order_relaxed);
  close(watch.reads); /* the parent and its thread have their own */
  close(writes);
  bridge_thread_release(watch.thread);
  watch.thread = NULL;
}

/* ---- A call ------------------------------------------------------------------------ */

/* Only this thread writes them; what reads them takes nothing: numbers. */
static void count(int change)
{
  uint_fast64_t calls =
      atomic_load_explicit(&watch.calls, memory_order_relaxed);
  int depth = atomic_load_explicit(&watch.depth, memory_order_relaxed);
  atomic_store_explicit(&watch.calls, calls + 1, memory_order_relaxed);
  atomic_store_explicit(&watch.depth, depth + change, memory_order_relaxed);
}

bool bridge__py_watch_begin_main(bridge__py_watch *call, bool chunk)
{
  call->watched = watch.thread != NULL || start();
  if (!call->watched) {
    return true; /* Ctrl-C is heard at its end */
  }
  look(chunk);
  count(1);
  /* What came before is not for the thread. */
  if (PyErr_CheckSignals() < 0) {
    count(-1);
    call->watched = false;
    return false;
  }
  return true;
}

void bridge__py_watch_run(bridge__py_watch *call, bridge_state *state)
{
  /* Takes nothing: only this thread writes it. */
  call->before = atomic_load_explicit(&watch.running, memory_order_relaxed);
  /* Publishes the state, and the number of its call, to the thread. */
  atomic_store_explicit(&watch.running, state, memory_order_release);
}

void bridge__py_watch_ran(bridge__py_watch *call)
{
  /* See cancel_running. */
  atomic_store_explicit(&watch.running, call->before, memory_order_seq_cst);
  while (atomic_load_explicit(&watch.busy, memory_order_seq_cst)) {
    sched_yield(); /* for the time of a bridge_state_cancel */
  }
}

void bridge__py_watch_end_main(bool failed)
{
  count(-1);
  if (!failed) {
    return; /* Python runs its handlers when the caller has the result */
  }
  PyObject *type = NULL;
  PyObject *value = NULL;
  PyObject *trace = NULL;
  PyErr_Fetch(&type, &value, &trace); /* handlers run as if nothing failed */
  if (PyErr_CheckSignals() == 0) {
    PyErr_Restore(type, value, trace);
    return;
  }
  Py_XDECREF(type);
  Py_XDECREF(value);
  Py_XDECREF(trace);
}
