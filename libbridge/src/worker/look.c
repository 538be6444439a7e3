/* Look: the call stacks of a worker, taken by itself while it runs, and the watchdog,
   which does so when a script runs for too long. */
#include "worker/worker.h"

#include "message/error.h"

#include <lauxlib.h>

#include <stdio.h>

/* ---- One that waits: its coroutines, each with what it waits for ---- */

/* Coroutines that are shown. */
enum {
  TASKS_MAX = 32
};

static const char *waits_for(const bridge__task *task)
{
  switch (task->wait) {
  case BRIDGE__WAIT_ANSWER:
    return "waits for an answer";
  case BRIDGE__WAIT_TIME:
    return "sleeps";
  case BRIDGE__WAIT_STOP:
    return "serves";
  case BRIDGE__WAIT_NEXT:
    return "waits for bridge_worker_next";
  case BRIDGE__WAIT_NOTHING:
    break;
  }
  return "is ready to run";
}

typedef struct showing {
  const bridge__driver *driver;
  bridge_error *error;
} showing;

/* Protected. */
static int show_tasks(lua_State *L)
{
  const showing *job = lua_touserdata(L, 1);
  const bridge__driver *driver = job->driver;
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  int shown = 0;
  for (size_t i = 0; i < driver->task_capacity && shown < TASKS_MAX; i++) {
    const bridge__task *task = driver->tasks[i];
    if (task != NULL) {
      lua_pushfstring(L, "%s%s %s:", shown == 0 ? "" : "\n", task->label.text,
                      waits_for(task));
      luaL_traceback(L, task->L, lua_tostring(L, -1), 0);
      lua_remove(L, -2);
      luaL_addvalue(&text);
      shown++;
    }
  }
  luaL_pushresult(&text);
  bridge__error_set_traceback(job->error, lua_tostring(L, -1));
  return 0;
}

/* Wants the state held, while nothing runs. */
static bridge_error *look_at_waiting(bridge_worker *worker)
{
  lua_State *L = worker->state->main;
  const bridge__driver *driver = &worker->driver;
  bridge_error *error =
      driver->main == NULL ? NULL
                           : bridge__state_where(worker->state, driver->main->L,
                                                 BRIDGE_OK, "nothing runs");
  showing job = {driver, error};
  if (error == NULL || !lua_checkstack(L, 2)) {
    return error;
  }
  lua_pushcfunction(L, show_tasks);
  lua_pushlightuserdata(L, &job);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
  }
  return error;
}

/* ---- One that runs ---- */

typedef struct visiting {
  bridge_worker *worker;
  bridge_error *error;
} visiting;

/* On the thread that runs it, at a safe point. */
static void look_at_running(void *user, lua_State *L)
{
  visiting *job = user;
  bridge_worker *worker = job->worker;
  const bridge__task *task = worker->driver.running;
  char text[BRIDGE__LABEL + 8];
  snprintf(text, sizeof text, "%s runs",
           task == NULL ? "on_exit" : task->label.text);
  job->error = bridge__state_where(worker->state, L, BRIDGE_OK, text);
  if (task == NULL || task->L == L) {
    return;
  }
  /* A coroutine of the script's own: behind it the one that resumed it. */
  bridge_error *outer =
      bridge__state_where(worker->state, task->L, BRIDGE_OK, text);
  bridge__error_set_cause(job->error, outer);
}

/* Keep its state from being freed, if it is there still. */
static bool begin_visit(bridge_worker *worker)
{
  bridge__mutex_lock(&worker->mutex);
  bool open = !worker->closed;
  worker->visitors += open ? 1u : 0u;
  bridge__mutex_unlock(&worker->mutex);
  return open;
}

static void end_visit(bridge_worker *worker)
{
  bridge__mutex_lock(&worker->mutex);
  worker->visitors--;
  bool last = worker->visitors == 0 && worker->closed;
  bridge__mutex_unlock(&worker->mutex);
  if (last) {
    bridge__condition_broadcast(&worker->ended);
  }
}

static bridge_status visit(bridge_worker *worker,
                           int64_t deadline,
                           bridge_error **out)
{
  visiting job = {worker, NULL};
  if (!begin_visit(worker)) {
    return BRIDGE_EDEAD;
  }
  bridge_status status =
      bridge__guard_visit(&worker->state->guard, look_at_running, &job,
                          bridge__remaining(deadline));
  end_visit(worker);
  if (status != BRIDGE_OK) {
    bridge_error_release(job.error);
    return status;
  }
  *out = job.error;
  return job.error == NULL ? BRIDGE_ENOMEM : BRIDGE_OK;
}

/* Once, now.  BRIDGE_EEMPTY if it began or ended to run meanwhile. */
static bridge_status try_look(bridge_worker *worker,
                              int64_t deadline,
                              bridge_error **out)
{
  bridge_status status = bridge__worker_enter(worker);
  if (status == BRIDGE_EBUSY) {
    return visit(worker, deadline, out);
  }
  if (status != BRIDGE_OK) {
    return status == BRIDGE_ECLOSED ? BRIDGE_EDEAD : status;
  }
  *out = look_at_waiting(worker);
  bool over = worker->driver.main == NULL;
  bridge__hold_leave(&worker->state->hold);
  if (*out == NULL) {
    return over ? BRIDGE_EDEAD : BRIDGE_ENOMEM;
  }
  return BRIDGE_OK;
}

bridge_status bridge_worker_traceback(bridge_worker *worker,
                                      int timeout_ms,
                                      bridge_error **out)
{
  if (worker == NULL || out == NULL) {
    return BRIDGE_EINVAL;
  }
  *out = NULL;
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  int64_t deadline = bridge__deadline(timeout_ms);
  bridge_status status = try_look(worker, deadline, out);
  while (status == BRIDGE_EEMPTY && bridge__remaining(deadline) != 0) {
    bridge__yield();
    status = try_look(worker, deadline, out);
  }
  return status == BRIDGE_EEMPTY ? BRIDGE_ETIMEDOUT : status;
}

/* ---- The watchdog ---- */

/* Guarded by the mutex. */
static struct {
  bridge__mutex mutex;
  int limit_ms; /* 0: off */
  unsigned process;
  bridge_thread *thread;
  bridge_waker *changed; /* raised when it has to end, or looks differently */
} watchdog = {.mutex = BRIDGE__MUTEX_INIT};

enum {
  LOOK_MS = 50,          /* how long the script gets to come to a safe point */
  JUDGED_NS = 100000000, /* shorter limits do not tell who waits */
  WAITS_NS = 200000      /* CPU time of one that waits, to be woken and look */
};

static void lock_watchdog(void)
{
  bridge__mutex_lock(&watchdog.mutex);
}

static void unlock_watchdog(void)
{
  bridge__mutex_unlock(&watchdog.mutex);
}

/* Whether the thread has hardly run since the last look: then a C function of its
   script waits, which the signal of a visit would break off. */
static bool waits(bridge_worker *worker)
{
  /* Takes nothing: 0 is one whose time cannot be read. */
  bool known =
      atomic_load_explicit(&worker->gauge.cpu_clock, memory_order_relaxed) != 0;
  int64_t before = worker->watched_cpu;
  worker->watched_cpu = bridge__gauge_cpu(&worker->gauge);
  return known && before >= 0 && worker->watched_cpu - before < WAITS_NS;
}

/* The first line of Lua in a call stack. */
static void name_place(const bridge_error *where, char *out, size_t size)
{
  bridge_frame frame = {.line = -1};
  const size_t count = bridge_error_frame_count(where);
  for (size_t i = 0; i < count && frame.line < 0; i++) {
    bridge_error_frame(where, i, &frame);
  }
  if (frame.line < 0) {
    snprintf(out, size, "within C");
  } else {
    snprintf(out, size, "at %s:%d", frame.source, frame.line);
  }
}

/* The text says where in short, the error has the call stack. */
static void bark(bridge_worker *worker, const char *what, int64_t ran_ns)
{
  bridge_error *where = NULL;
  char place[128] = "within a C function that waits";
  if (!waits(worker)) {
    if (bridge_worker_traceback(worker, LOOK_MS, &where) == BRIDGE_OK) {
      name_place(where, place, sizeof place);
    } else {
      snprintf(place, sizeof place, "within a C function that does not return");
    }
  }
  bridge__log_format(&worker->log, BRIDGE_LOG_WARNING, where,
                     "%s has run for %lld ms without a break, %s", what,
                     (long long)(ran_ns / 1000000), place);
  bridge_error_release(where);
}

/* Of each run once, and again each time that it has taken twice as long. */
static void watch(bridge_worker *worker, int64_t limit_ns)
{
  bridge__label label;
  int64_t since = bridge__gauge_running(&worker->gauge, &label);
  if (since == 0 || bridge__worker_paused(worker)) {
    return;
  }
  int64_t now = bridge__now_roughly();
  if (bridge__interrupt_waits(&worker->interrupt)) {
    worker->watched_from = now; /* a break, in a wait of ours */
    worker->watched_since = 0;
    return;
  }
  since = since > worker->watched_from ? since : worker->watched_from;
  if (since != worker->watched_since) {
    worker->watched_since = since;
    worker->watched_limit = limit_ns;
    worker->watched_cpu = -1;
  }
  int64_t ran = now - since;
  /* In half of a short time one that runs may get no processor, either. */
  if (limit_ns >= JUDGED_NS && ran < worker->watched_limit - limit_ns / 2) {
    worker->watched_cpu = bridge__gauge_cpu(&worker->gauge);
  }
  if (ran > worker->watched_limit) {
    while (worker->watched_limit < ran) {
      worker->watched_limit *= 2;
    }
    bark(worker, label.text, ran);
  }
}

static void watch_all(int64_t limit_ns)
{
  bridge_worker *workers[64];
  size_t count = 0;
  uint64_t after = 0;
  do {
    count = bridge__registry_running(workers,
                                     sizeof workers / sizeof workers[0], after);
    for (size_t i = 0; i < count; i++) {
      watch(workers[i], limit_ns);
      after = workers[i]->id;
      bridge_worker_release(workers[i]);
    }
  } while (count == sizeof workers / sizeof workers[0]);
}

static void watch_over(void *user)
{
  bridge_waker *changed = user;
  for (;;) {
    lock_watchdog();
    int limit_ms = watchdog.limit_ms;
    bool mine = watchdog.changed == changed;
    unlock_watchdog();
    if (!mine || limit_ms == 0) {
      break;
    }
    watch_all((int64_t)limit_ms * 1000000);
    bridge_waker_wait(changed, limit_ms / 4 + 1);
    bridge_waker_clear(changed);
  }
  bridge_waker_release(changed);
}

/* Wants the lock. */
static bridge_status start_watching(void)
{
  bridge_thread_options options;
  bridge_thread_options_init(&options);
  options.name = "bridge-watchdog";
  bridge_status status =
      bridge_waker_create(&watchdog.changed, BRIDGE_WAKER_CONDITION);
  if (status != BRIDGE_OK) {
    return status;
  }
  status =
      bridge_thread_create(&watchdog.thread, watch_over,
                           bridge_waker_retain(watchdog.changed), &options);
  if (status != BRIDGE_OK) {
    bridge_waker_release(watchdog.changed);
    bridge_waker_release(watchdog.changed);
    watchdog.changed = NULL;
  }
  return status;
}

/* Wants the lock.  In the child of a fork the thread is not there. */
static void forget_parents(void)
{
  if (watchdog.process != bridge__process()) {
    watchdog.process = bridge__process();
    bridge_thread_release(watchdog.thread);
    bridge_waker_release(watchdog.changed);
    watchdog.thread = NULL;
    watchdog.changed = NULL;
  }
}

bridge_status bridge_set_watchdog(int limit_ms)
{
  if (limit_ms < 0) {
    return BRIDGE_EINVAL;
  }
  bridge__at_fork(BRIDGE__FORK_WATCHDOG, lock_watchdog, unlock_watchdog);
  bridge_thread *over = NULL;
  bridge_waker *changed = NULL;
  bridge_status status = BRIDGE_OK;
  lock_watchdog();
  forget_parents();
  watchdog.limit_ms = limit_ms;
  if (limit_ms == 0) {
    over = watchdog.thread;
    changed = watchdog.changed;
    watchdog.thread = NULL;
    watchdog.changed = NULL;
  } else if (watchdog.thread == NULL) {
    status = start_watching();
    watchdog.limit_ms = status == BRIDGE_OK ? limit_ms : 0;
  } else {
    changed = bridge_waker_retain(watchdog.changed);
  }
  unlock_watchdog();
  bridge_waker_raise(changed);
  bridge_waker_release(changed);
  if (over != NULL) {
    /* Not in it: then it ends by itself, soon. */
    bridge__interrupt *interrupt = bridge__interrupt_bind(NULL);
    bridge_thread_join(over, -1);
    bridge__interrupt_bind(interrupt);
    bridge_thread_release(over);
  }
  return status;
}
