/* Runner: the threads that run scripts. */
#include "lua/runner.h"

#include "lua/supervisor.h"

/* A reading of the CPU clock is good for so long; it takes a system call. */
static const int64_t sample_is_good_ns = 20000;

enum {
  CHUNK = 64 * 1024 /* bytes of runners that are made together */
};

struct bridge__runners bridge__runners = {.mutex = BRIDGE__MUTEX_INIT,
                                          .look_at = INT64_MAX};

static BRIDGE__THREAD_LOCAL bridge__runner *mine;

/* ---- The lock ---- */

static void unlock_after_fork(void)
{
  bridge__mutex_unlock(&bridge__runners.mutex);
}

static void lock_before_fork(void)
{
  bridge__mutex_lock(&bridge__runners.mutex);
}

/* What the child of a fork has of its parent's is left alone: whoever it was about
   is not there. */
static void begin_afresh(void)
{
  bridge__runners.process = bridge__process();
  /* They fail only on systems without a monotonic clock. */
  bridge__runners.prepared =
      bridge__condition_init(&bridge__runners.changed) == BRIDGE_OK &&
      bridge__condition_init(&bridge__runners.settled) == BRIDGE_OK;
  bridge__runners.supervised = false;
  bridge__runners.roused = NULL;
  bridge__runners.all = NULL;
  bridge__runners.free = NULL;
  /* Publishes nothing: there is one thread, or the mutex does. */
  atomic_store_explicit(&bridge__runners.look_at, INT64_MAX,
                        memory_order_relaxed);
}

void bridge__runners_lock(void)
{
  bridge__at_fork(BRIDGE__FORK_RUNNERS, lock_before_fork, unlock_after_fork);
  bridge__mutex_lock(&bridge__runners.mutex);
  if (!bridge__runners.prepared ||
      bridge__runners.process != bridge__process()) {
    begin_afresh();
  }
}

void bridge__runners_unlock(void)
{
  bridge__mutex_unlock(&bridge__runners.mutex);
}

bool bridge__runners_wait(int64_t deadline)
{
  return bridge__condition_wait(&bridge__runners.settled,
                                &bridge__runners.mutex, deadline);
}

void bridge__runners_settle(void)
{
  bridge__condition_broadcast(&bridge__runners.settled);
}

/* ---- The calling thread's ---- */

/* With the lock. */
static bridge__runner *take_free(void)
{
  if (bridge__runners.free == NULL) {
    bridge__runner *chunk = bridge__map(CHUNK);
    size_t count = chunk == NULL ? 0 : CHUNK / sizeof *chunk;
    for (size_t i = 0; i < count; i++) {
      chunk[i].next = bridge__runners.free;
      bridge__runners.free = &chunk[i];
    }
  }
  bridge__runner *runner = bridge__runners.free;
  if (runner != NULL) {
    bridge__runners.free = runner->next;
  }
  return runner;
}

/* With the lock. */
static void link_runner(bridge__runner *runner)
{
  runner->previous = NULL;
  runner->next = bridge__runners.all;
  if (runner->next != NULL) {
    runner->next->previous = runner;
  }
  bridge__runners.all = runner;
}

/* With the lock. */
static void unlink_runner(bridge__runner *runner)
{
  if (runner->previous != NULL) {
    runner->previous->next = runner->next;
  } else {
    bridge__runners.all = runner->next;
  }
  if (runner->next != NULL) {
    runner->next->previous = runner->previous;
  }
  runner->next = bridge__runners.free;
  bridge__runners.free = runner;
}

static void leave_thread(void)
{
  bridge__runner *runner = mine;
  mine = NULL;
  bridge__post_bind(NULL);
  if (runner == NULL || runner->process != bridge__process()) {
    return;
  }
  bridge__runners_lock();
  bridge__kick_close(&runner->target);
  unlink_runner(runner);
  bridge__runners_unlock();
}

static void clear(bridge__runner *runner)
{
  runner->target.deliver = bridge__runner_deliver;
  runner->process = bridge__process();
  runner->sampled_at = INT64_MIN;
  runner->rousing = false;
  /* All relaxed: nobody looks at it before it is linked. */
  atomic_store_explicit(&runner->state, BRIDGE__RUNNER_IDLE,
                        memory_order_relaxed);
  atomic_store_explicit(&runner->asked, false, memory_order_relaxed);
  atomic_store_explicit(&runner->late, false, memory_order_relaxed);
  atomic_store_explicit(&runner->deaf, false, memory_order_relaxed);
  atomic_store_explicit(&runner->timed, false, memory_order_relaxed);
  atomic_store_explicit(&runner->period, INT64_MAX, memory_order_relaxed);
  atomic_store_explicit(&runner->deadline, INT64_MAX, memory_order_relaxed);
  atomic_store_explicit(&runner->cpu_end, INT64_MAX, memory_order_relaxed);
  atomic_store_explicit(&runner->cpu_look, INT64_MAX, memory_order_relaxed);
  atomic_store_explicit(&runner->top, NULL, memory_order_relaxed);
}

/* With the lock.  Once: the supervisor may still look at the wait of the thread that
   had it before. */
static bool prepare(bridge__runner *runner)
{
  if (!runner->prepared) {
    runner->prepared =
        bridge__post_init(&runner->post, bridge__runner_broken) == BRIDGE_OK;
  }
  return runner->prepared;
}

static bridge__runner *make_mine(void)
{
  bridge__runners_lock();
  bridge__runner *runner = take_free();
  bool usable = runner != NULL;
  if (usable) {
    clear(runner);
    usable = prepare(runner) && bridge__kick_open(&runner->target);
    link_runner(runner);
  }
  if (runner != NULL && !usable) {
    unlink_runner(runner);
  }
  bridge__runners_unlock();
  if (!usable) {
    return NULL;
  }
  mine = runner;
  bridge__post_bind(&runner->post);
  bridge__at_thread_exit(BRIDGE__EXIT_RUNNER, leave_thread);
  return runner;
}

bridge__runner *bridge__runner_mine(void)
{
  if (mine != NULL && mine->process == bridge__process()) {
    return mine;
  }
  return make_mine();
}

/* ---- On its own thread ---- */

void bridge__runner_begin(bridge__runner *runner)
{
  runner->post.manned = true;
  /* seq_cst: who asks sees that it runs, or the slice sees what is asked. */
  atomic_store_explicit(&runner->state, BRIDGE__RUNNER_BUSY,
                        memory_order_seq_cst);
  /* Takes nothing: it only says that kicks did not come. */
  if (atomic_load_explicit(&runner->deaf, memory_order_relaxed)) {
    atomic_store_explicit(&runner->deaf, false, memory_order_relaxed);
    bridge__kick_unblock();
  }
}

void bridge__runner_end(bridge__runner *runner)
{
  runner->post.manned = false;
  int busy = BRIDGE__RUNNER_BUSY;
  /* Takes that no kick is being sent any more. */
  while (!atomic_compare_exchange_weak_explicit(
      &runner->state, &busy, BRIDGE__RUNNER_IDLE, memory_order_acq_rel,
      memory_order_relaxed)) {
    if (busy == BRIDGE__RUNNER_KICKED) {
      bridge__yield();
    }
    busy = BRIDGE__RUNNER_BUSY;
  }
  /* Publishes nothing: it only ends the kicks. */
  atomic_store_explicit(&runner->asked, false, memory_order_relaxed);
}

void bridge__runner_satisfied(bridge__runner *runner)
{
  /* seq_cst: see ask_from(). */
  atomic_store_explicit(&runner->asked, false, memory_order_seq_cst);
}

void bridge__runner_repeat(bridge__runner *runner)
{
  /* seq_cst: see ask_from(). */
  atomic_store_explicit(&runner->asked, true, memory_order_seq_cst);
}

static void remember_period(bridge__runner *runner, int64_t period)
{
  /* All relaxed: hints for the supervisor. */
  if (atomic_load_explicit(&runner->period, memory_order_relaxed) != period) {
    atomic_store_explicit(&runner->period, period, memory_order_relaxed);
  }
  if (!atomic_load_explicit(&runner->timed, memory_order_relaxed)) {
    atomic_store_explicit(&runner->timed, true, memory_order_relaxed);
  }
}

static void set_clock(_Atomic(int64_t) *clock, int64_t value)
{
  /* Takes nothing, and mostly there is nothing to write: no clock is set. */
  if (atomic_load_explicit(clock, memory_order_relaxed) != value) {
    atomic_store_explicit(clock, value,
                          memory_order_seq_cst); /* see clocks() */
  }
}

bridge_status bridge__runner_watch(bridge__runner *runner,
                                   int64_t now,
                                   int64_t deadline,
                                   int64_t cpu_end)
{
  int64_t look = INT64_MAX;
  if (cpu_end != INT64_MAX) {
    int64_t left = cpu_end - bridge__runner_cpu(runner, now);
    look = now + (left > 0 ? left : 0);
  }
  set_clock(&runner->cpu_end, cpu_end);
  set_clock(&runner->cpu_look, look);
  set_clock(&runner->deadline, deadline);
  int64_t first = bridge__earlier(deadline, look);
  if (first == INT64_MAX) {
    return BRIDGE_OK;
  }
  remember_period(runner, first - now);
  /* seq_cst: see clocks(). */
  if (atomic_load_explicit(&bridge__runners.look_at, memory_order_seq_cst) <=
      first) {
    return BRIDGE_OK;
  }
  bridge__runners_lock();
  bridge_status status = bridge__supervise_at(first);
  bridge__runners_unlock();
  return status;
}

void bridge__runner_rewind(bridge__runner *runner,
                           int64_t deadline,
                           int64_t cpu_end)
{
  set_clock(&runner->cpu_end, cpu_end);
  set_clock(&runner->cpu_look,
            cpu_end == INT64_MAX ? INT64_MAX : bridge__now());
  set_clock(&runner->deadline, deadline);
}

int64_t bridge__runner_cpu(bridge__runner *runner, int64_t now)
{
  bool sampled = runner->sampled_at != INT64_MIN;
  int64_t age = sampled ? now - runner->sampled_at : INT64_MAX;
  if (age < 0 || age > sample_is_good_ns) {
    runner->sampled = bridge__cpu_time();
    runner->sampled_at = now;
    age = 0;
  }
  return runner->sampled + age;
}

/* ---- States ---- */

/* With the lock: whether a kick is on its way to somebody. */
static bool kicks_fly(void)
{
  for (bridge__runner *each = bridge__runners.all; each != NULL;
       each = each->next) {
    /* Both relaxed: written with the lock, or later than it matters. */
    if (atomic_load_explicit(&each->target.sent, memory_order_relaxed) !=
        atomic_load_explicit(&each->target.delivered, memory_order_relaxed)) {
      return true;
    }
  }
  return false;
}

void bridge__runners_count(int change)
{
  bridge__runners_lock();
  bridge__runners.states += change;
  if (bridge__runners.states == 0 && !kicks_fly()) {
    bridge__kick_retire();
  }
  bridge__runners_unlock();
}

bool bridge__runners_used(void)
{
  return bridge__runners.states > 0;
}
