/* Runner: the threads that run scripts, and the one that watches them. */
#include "lua/runner.h"

/* What is asked is asked again after so long at first, and at last. */
static const int64_t first_pause_ns = 1000000;
static const int64_t last_pause_ns = 128000000;
/* A reading of the CPU clock is good for so long; it takes a system call. */
static const int64_t sample_is_good_ns = 20000;

enum {
  IDLE = 0,
  BUSY = 1,
  KICKED = 2,
  CHUNK = 64 * 1024, /* bytes of runners that are made together */
  STACK = 256 * 1024
};

static struct {
  bridge__mutex mutex;
  /* Guarded by the mutex, all but `look_at`. */
  bridge__condition changed; /* the supervisor's */
  bridge__condition
      settled;      /* of those who wait for a script, and of scripts */
  unsigned process; /* to which this belongs */
  bool prepared;
  bool supervised;
  bridge__runner *all;
  bridge__runner *free;
  bridge__runner *roused; /* of the supervisor */
  int states;
  bridge__native_entry entry;
  /* When the supervisor looks next; INT64_MIN while it does.  Written with the
     mutex. */
  _Atomic(int64_t) look_at;
} runners = {.mutex = BRIDGE__MUTEX_INIT, .look_at = INT64_MAX};

static BRIDGE__THREAD_LOCAL bridge__runner *mine;

/* ---- The lock ---- */

static void unlock_after_fork(void)
{
  bridge__mutex_unlock(&runners.mutex);
}

static void lock_before_fork(void)
{
  bridge__mutex_lock(&runners.mutex);
}

/* What the child of a fork has of its parent's is left alone: whoever it was about
   is not there. */
static void begin_afresh(void)
{
  runners.process = bridge__process();
  /* They fail only on systems without a monotonic clock. */
  runners.prepared = bridge__condition_init(&runners.changed) == BRIDGE_OK &&
                     bridge__condition_init(&runners.settled) == BRIDGE_OK;
  runners.supervised = false;
  runners.roused = NULL;
  runners.all = NULL;
  runners.free = NULL;
  /* Publishes nothing: there is one thread, or the mutex does. */
  atomic_store_explicit(&runners.look_at, INT64_MAX, memory_order_relaxed);
}

void bridge__runners_lock(void)
{
  bridge__at_fork(BRIDGE__FORK_RUNNERS, lock_before_fork, unlock_after_fork);
  bridge__mutex_lock(&runners.mutex);
  if (!runners.prepared || runners.process != bridge__process()) {
    begin_afresh();
  }
}

void bridge__runners_unlock(void)
{
  bridge__mutex_unlock(&runners.mutex);
}

bool bridge__runners_wait(int64_t deadline)
{
  return bridge__condition_wait(&runners.settled, &runners.mutex, deadline);
}

void bridge__runners_settle(void)
{
  bridge__condition_broadcast(&runners.settled);
}

/* ---- The calling thread's ---- */

/* With the lock. */
static bridge__runner *take_free(void)
{
  if (runners.free == NULL) {
    bridge__runner *chunk = bridge__map(CHUNK);
    size_t count = chunk == NULL ? 0 : CHUNK / sizeof *chunk;
    for (size_t i = 0; i < count; i++) {
      chunk[i].next = runners.free;
      runners.free = &chunk[i];
    }
  }
  bridge__runner *runner = runners.free;
  if (runner != NULL) {
    runners.free = runner->next;
  }
  return runner;
}

/* With the lock. */
static void link_runner(bridge__runner *runner)
{
  runner->previous = NULL;
  runner->next = runners.all;
  if (runner->next != NULL) {
    runner->next->previous = runner;
  }
  runners.all = runner;
}

/* With the lock. */
static void unlink_runner(bridge__runner *runner)
{
  if (runner->previous != NULL) {
    runner->previous->next = runner->next;
  } else {
    runners.all = runner->next;
  }
  if (runner->next != NULL) {
    runner->next->previous = runner->previous;
  }
  runner->next = runners.free;
  runners.free = runner;
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
  atomic_store_explicit(&runner->state, IDLE, memory_order_relaxed);
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

/* ---- The supervisor ---- */

/* With the lock, which lets one kick at a time.  A slice does not end meanwhile, so
   that the thread lives, and what it runs is there. */
static bool hold_slice(bridge__runner *runner)
{
  int busy = BUSY;
  /* Takes nothing: what the kick reads it reads on that thread. */
  return atomic_compare_exchange_strong_explicit(&runner->state, &busy, KICKED,
                                                 memory_order_acquire,
                                                 memory_order_relaxed);
}

static void release_slice(bridge__runner *runner)
{
  /* Publishes that the kick was sent, to the thread that ends the slice. */
  atomic_store_explicit(&runner->state, BUSY, memory_order_release);
}

static void kick(bridge__runner *runner)
{
  if (hold_slice(runner)) {
    bridge__kick(&runner->target);
    release_slice(runner);
  }
}

/* The last kick has not come for so long that it may be lost. */
static void kick_again(bridge__runner *runner)
{
  if (hold_slice(runner)) {
    bool lost = bridge__kick_is_under_way(&runner->target);
    if (lost) {
      bridge__kick_again(&runner->target);
      /* Publishes nothing but itself. */
      atomic_store_explicit(&runner->deaf, true, memory_order_relaxed);
    } else {
      bridge__kick(&runner->target);
    }
    release_slice(runner);
  }
}

static bool busy(const bridge__runner *runner)
{
  /* Takes nothing: a slice that begins now looks itself what is asked. */
  return atomic_load_explicit(&runner->state, memory_order_relaxed) != IDLE;
}

static void ask_from(bridge__runner *runner, int64_t now)
{
  /* seq_cst: who says that he is satisfied, and then looks, sees what is asked, or
     this comes after it. */
  atomic_store_explicit(&runner->asked, true, memory_order_seq_cst);
  runner->pause = first_pause_ns;
  runner->again = now + runner->pause;
  kick(runner);
}

/* Its wait is roused once the lock is free. */
static void list_roused(bridge__runner *runner)
{
  if (!runner->listed) {
    runner->listed = true;
    runner->next_roused = runners.roused;
    runners.roused = runner;
  }
}

/* A deadline that was seen to be over is taken away, but not one that was set in
   between. */
static void tell_late(bridge__runner *runner,
                      _Atomic(int64_t) *deadline,
                      int64_t seen,
                      int64_t now)
{
  /* seq_cst: as all that the two threads do with deadlines. */
  if (atomic_compare_exchange_strong_explicit(deadline, &seen, INT64_MAX,
                                              memory_order_seq_cst,
                                              memory_order_seq_cst)) {
    /* Publishes nothing but itself. */
    atomic_store_explicit(&runner->late, true, memory_order_seq_cst);
    runner->rousing = true;
    ask_from(runner, now);
    list_roused(runner);
  }
}

/* What is left of its CPU time may be over no sooner than this. */
static void look_at_cpu(bridge__runner *runner, int64_t look, int64_t now)
{
  int64_t used = 0;
  if (!hold_slice(runner)) {
    return;
  }
  /* Takes nothing: a number, which belongs to this slice. */
  int64_t end = atomic_load_explicit(&runner->cpu_end, memory_order_relaxed);
  bool known = bridge__cpu_time_of(&runner->target, &used);
  bool over = known && used >= end;
  int64_t next = known && end < INT64_MAX ? now + (end - used) : INT64_MAX;
  if (!over) {
    /* seq_cst: as in tell_late(). */
    atomic_compare_exchange_strong_explicit(&runner->cpu_look, &look, next,
                                            memory_order_seq_cst,
                                            memory_order_seq_cst);
  }
  release_slice(runner);
  if (over) {
    tell_late(runner, &runner->cpu_look, look, now);
  }
}

static int64_t earlier(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

/* When somebody must look at its clocks. */
static int64_t clocks(bridge__runner *runner)
{
  /* seq_cst: a thread sets a deadline, and then looks when the supervisor will look;
     that one says when, and then looks here. */
  return earlier(atomic_load_explicit(&runner->deadline, memory_order_seq_cst),
                 atomic_load_explicit(&runner->cpu_look, memory_order_seq_cst));
}

/* What a thread that runs needs now; returns when it needs something again. */
static int64_t attend(bridge__runner *runner, int64_t now)
{
  /* seq_cst: see clocks(). */
  int64_t deadline =
      atomic_load_explicit(&runner->deadline, memory_order_seq_cst);
  if (deadline <= now) {
    tell_late(runner, &runner->deadline, deadline, now);
  }
  int64_t look = atomic_load_explicit(&runner->cpu_look, memory_order_seq_cst);
  if (look <= now) {
    look_at_cpu(runner, look, now);
  }
  /* Takes nothing: it only says that somebody asks. */
  if (!atomic_load_explicit(&runner->asked, memory_order_relaxed)) {
    runner->rousing = false;
    return clocks(runner);
  }
  if (runner->again <= now) {
    if (runner->pause < last_pause_ns) {
      kick(runner);
    } else {
      kick_again(runner);
    }
    if (runner->rousing) {
      list_roused(runner);
    }
    runner->pause = earlier(runner->pause * 2, last_pause_ns);
    runner->again = now + runner->pause;
  }
  return earlier(clocks(runner), runner->again);
}

/* Threads that set one deadline after the other do not wake the supervisor for each:
   it comes back by itself as long as somebody does. */
static int64_t come_back(bridge__runner *runner, int64_t now)
{
  /* Takes nothing: it only says that there was one. */
  if (!atomic_exchange_explicit(&runner->timed, false, memory_order_relaxed)) {
    return INT64_MAX;
  }
  /* Takes nothing: about how long they are. */
  int64_t period = atomic_load_explicit(&runner->period, memory_order_relaxed);
  if (period < first_pause_ns) {
    period = first_pause_ns;
  }
  return period > INT64_MAX - now ? INT64_MAX : now + period;
}

static int64_t look_at_all(void)
{
  int64_t now = bridge__now();
  int64_t next = INT64_MAX;
  for (bridge__runner *each = runners.all; each != NULL; each = each->next) {
    if (busy(each)) {
      next = earlier(next, attend(each, now));
    }
    next = earlier(next, come_back(each, now));
  }
  return next;
}

/* Say when the next look is, and then see whether that is early enough: see
   clocks(). */
static int64_t announce(int64_t next)
{
  atomic_store_explicit(&runners.look_at, next, memory_order_seq_cst);
  for (bridge__runner *each = runners.all; each != NULL; each = each->next) {
    if (busy(each)) {
      next = earlier(next, clocks(each));
    }
  }
  /* Publishes nothing: who sees an older and later time wakes the supervisor. */
  atomic_store_explicit(&runners.look_at, next, memory_order_seq_cst);
  return next;
}

/* Wants the lock, and gives it up for a while: what was asked meanwhile has woken
   nobody.  A wait that began since, even of another thread that has the runner now,
   looks for nothing.  False if there was none. */
static bool rouse_waits(void)
{
  bridge__runner *each = runners.roused;
  if (each == NULL) {
    return false;
  }
  runners.roused = NULL;
  bridge__mutex_unlock(&runners.mutex);
  while (each != NULL) {
    bridge__runner *next = each->next_roused;
    each->listed = false;
    bridge__post_rouse(&each->post);
    each = next;
  }
  bridge__mutex_lock(&runners.mutex);
  return true;
}

static void supervise(void *user)
{
  (void)user;
  bridge__native_name("bridge-watch");
  bridge__mutex_lock(&runners.mutex);
  for (;;) {
    atomic_store_explicit(&runners.look_at, INT64_MIN, memory_order_seq_cst);
    int64_t next = announce(look_at_all());
    if (!rouse_waits() && next > bridge__now()) {
      bridge__condition_wait(&runners.changed, &runners.mutex, next);
    }
  }
}

/* With the lock: have it look at this moment at the latest. */
static bridge_status supervise_at(int64_t moment)
{
  bridge_status status = BRIDGE_OK;
  if (!runners.supervised) {
    bridge__native_thread thread;
    runners.entry = (bridge__native_entry){supervise, NULL};
    status = bridge__native_start(&thread, &runners.entry, STACK);
    if (status != BRIDGE_OK) {
      return status;
    }
    bridge__native_detach(&thread);
    runners.supervised = true;
  }
  /* Takes nothing: it is written with the mutex. */
  if (atomic_load_explicit(&runners.look_at, memory_order_relaxed) > moment) {
    /* seq_cst: see clocks(). */
    atomic_store_explicit(&runners.look_at, moment, memory_order_seq_cst);
    bridge__condition_signal(&runners.changed);
  }
  return status;
}

/* ---- Asking ---- */

bridge_status bridge__runner_ask(bridge__runner *runner, bool rousing)
{
  runner->rousing = runner->rousing || rousing;
  int64_t now = bridge__now();
  ask_from(runner, now);
  return supervise_at(now + first_pause_ns);
}

bridge_status bridge__runner_hasten(bridge__runner *runner, int64_t deadline)
{
  /* seq_cst: see clocks(). */
  int64_t seen = atomic_load_explicit(&runner->deadline, memory_order_seq_cst);
  while (seen > deadline && !atomic_compare_exchange_weak_explicit(
                                &runner->deadline, &seen, deadline,
                                memory_order_seq_cst, memory_order_seq_cst)) {
  }
  return supervise_at(deadline);
}

/* ---- On its own thread ---- */

void bridge__runner_begin(bridge__runner *runner)
{
  runner->post.manned = true;
  /* seq_cst: who asks sees that it runs, or the slice sees what is asked. */
  atomic_store_explicit(&runner->state, BUSY, memory_order_seq_cst);
  /* Takes nothing: it only says that kicks did not come. */
  if (atomic_load_explicit(&runner->deaf, memory_order_relaxed)) {
    atomic_store_explicit(&runner->deaf, false, memory_order_relaxed);
    bridge__kick_unblock();
  }
}

void bridge__runner_end(bridge__runner *runner)
{
  runner->post.manned = false;
  int busy = BUSY;
  /* Takes that no kick is being sent any more. */
  while (!atomic_compare_exchange_weak_explicit(&runner->state, &busy, IDLE,
                                                memory_order_acq_rel,
                                                memory_order_relaxed)) {
    if (busy == KICKED) {
      bridge__yield();
    }
    busy = BUSY;
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
  int64_t first = earlier(deadline, look);
  if (first == INT64_MAX) {
    return BRIDGE_OK;
  }
  remember_period(runner, first - now);
  /* seq_cst: see clocks(). */
  if (atomic_load_explicit(&runners.look_at, memory_order_seq_cst) <= first) {
    return BRIDGE_OK;
  }
  bridge__runners_lock();
  bridge_status status = supervise_at(first);
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
  for (bridge__runner *each = runners.all; each != NULL; each = each->next) {
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
  runners.states += change;
  if (runners.states == 0 && !kicks_fly()) {
    bridge__kick_retire();
  }
  bridge__runners_unlock();
}

bool bridge__runners_used(void)
{
  return runners.states > 0;
}
