/* Supervisor: the thread that watches those that run scripts: it repeats kicks, and looks
   at their clocks. */
#include "lua/supervisor.h"

/* What is asked is asked again after so long at first, and at last. */
static const int64_t first_pause_ns = 1000000;
static const int64_t last_pause_ns = 128000000;

enum {
  STACK = 256 * 1024
};

/* With the lock, which lets one kick at a time.  A slice does not end meanwhile, so
   that the thread lives, and what it runs is there. */
static bool hold_slice(bridge__runner *runner)
{
  int busy = BRIDGE__RUNNER_BUSY;
  /* Takes nothing: what the kick reads it reads on that thread. */
  return atomic_compare_exchange_strong_explicit(
      &runner->state, &busy, BRIDGE__RUNNER_KICKED, memory_order_acquire,
      memory_order_relaxed);
}

static void release_slice(bridge__runner *runner)
{
  /* Publishes that the kick was sent, to the thread that ends the slice. */
  atomic_store_explicit(&runner->state, BRIDGE__RUNNER_BUSY,
                        memory_order_release);
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
  return atomic_load_explicit(&runner->state, memory_order_relaxed) !=
         BRIDGE__RUNNER_IDLE;
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
    runner->next_roused = bridge__runners.roused;
    bridge__runners.roused = runner;
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

/* When somebody must look at its clocks. */
static int64_t clocks(bridge__runner *runner)
{
  /* seq_cst: a thread sets a deadline, and then looks when the supervisor will look;
     that one says when, and then looks here. */
  return bridge__earlier(
      atomic_load_explicit(&runner->deadline, memory_order_seq_cst),
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
    runner->pause = bridge__earlier(runner->pause * 2, last_pause_ns);
    runner->again = now + runner->pause;
  }
  return bridge__earlier(clocks(runner), runner->again);
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
  for (bridge__runner *each = bridge__runners.all; each != NULL;
       each = each->next) {
    if (busy(each)) {
      next = bridge__earlier(next, attend(each, now));
    }
    next = bridge__earlier(next, come_back(each, now));
  }
  return next;
}

/* Say when the next look is, and then see whether that is early enough: see
   clocks(). */
static int64_t announce(int64_t next)
{
  atomic_store_explicit(&bridge__runners.look_at, next, memory_order_seq_cst);
  for (bridge__runner *each = bridge__runners.all; each != NULL;
       each = each->next) {
    if (busy(each)) {
      next = bridge__earlier(next, clocks(each));
    }
  }
  /* Publishes nothing: who sees an older and later time wakes the supervisor. */
  atomic_store_explicit(&bridge__runners.look_at, next, memory_order_seq_cst);
  return next;
}

/* Wants the lock, and gives it up for a while: what was asked meanwhile has woken
   nobody.  A wait that began since, even of another thread that has the runner now,
   looks for nothing.  False if there was none. */
static bool rouse_waits(void)
{
  bridge__runner *each = bridge__runners.roused;
  if (each == NULL) {
    return false;
  }
  bridge__runners.roused = NULL;
  bridge__mutex_unlock(&bridge__runners.mutex);
  while (each != NULL) {
    bridge__runner *next = each->next_roused;
    each->listed = false;
    bridge__post_rouse(&each->post);
    each = next;
  }
  bridge__mutex_lock(&bridge__runners.mutex);
  return true;
}

static void supervise(void *user)
{
  (void)user;
  bridge__native_name("bridge-watch");
  bridge__mutex_lock(&bridge__runners.mutex);
  for (;;) {
    atomic_store_explicit(&bridge__runners.look_at, INT64_MIN,
                          memory_order_seq_cst);
    int64_t next = announce(look_at_all());
    if (!rouse_waits() && next > bridge__now()) {
      bridge__condition_wait(&bridge__runners.changed, &bridge__runners.mutex,
                             next);
    }
  }
}

bridge_status bridge__supervise_at(int64_t moment)
{
  bridge_status status = BRIDGE_OK;
  if (!bridge__runners.supervised) {
    bridge__native_thread thread;
    bridge__runners.entry = (bridge__native_entry){supervise, NULL};
    status = bridge__native_start(&thread, &bridge__runners.entry, STACK);
    if (status != BRIDGE_OK) {
      return status;
    }
    bridge__native_detach(&thread);
    bridge__runners.supervised = true;
  }
  /* Takes nothing: it is written with the mutex. */
  if (atomic_load_explicit(&bridge__runners.look_at, memory_order_relaxed) >
      moment) {
    /* seq_cst: see clocks(). */
    atomic_store_explicit(&bridge__runners.look_at, moment,
                          memory_order_seq_cst);
    bridge__condition_signal(&bridge__runners.changed);
  }
  return status;
}

/* ---- Asking ---- */

bridge_status bridge__runner_ask(bridge__runner *runner, bool rousing)
{
  runner->rousing = runner->rousing || rousing;
  int64_t now = bridge__now();
  ask_from(runner, now);
  return bridge__supervise_at(now + first_pause_ns);
}

bridge_status bridge__runner_hasten(bridge__runner *runner, int64_t deadline)
{
  /* seq_cst: see clocks(). */
  int64_t seen = atomic_load_explicit(&runner->deadline, memory_order_seq_cst);
  while (seen > deadline && !atomic_compare_exchange_weak_explicit(
                                &runner->deadline, &seen, deadline,
                                memory_order_seq_cst, memory_order_seq_cst)) {
  }
  return bridge__supervise_at(deadline);
}
