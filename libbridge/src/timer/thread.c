/* The timers' thread: sleeps until the next timer is due, and posts. */
#include "base/memory.h"
#include "timer/timer.h"

/* How often the clock on the wall is looked at while a timer goes by it. */
#define LOOK_EVERY INT64_C(500000000)

enum {
  STEADY,
  WALL,
  HEAPS
};

/* All but the mutex is guarded by it. */
static struct {
  bridge__mutex mutex;
  bridge__condition changed; /* from the first timer on */
  bool running;              /* there is a thread ... */
  unsigned process;          /* ... in this process */
  bridge__timer_heap heaps[HEAPS];
  bridge_timer *posting; /* out of its heap */
} all = {.mutex = BRIDGE__MUTEX_INIT};

static BRIDGE__THREAD_LOCAL bool is_thread;

static bridge__timer_heap *heap_of(const bridge_timer *timer)
{
  return &all.heaps[timer->wall ? WALL : STEADY];
}

/* ---- The thread ---- */

static bridge_timer *top(int heap)
{
  return all.heaps[heap].count > 0 ? all.heaps[heap].timers[0] : NULL;
}

static bridge_timer *due_now(int64_t now)
{
  bridge_timer *steady = top(STEADY);
  if (steady != NULL && steady->due <= now) {
    return steady;
  }
  bridge_timer *wall = top(WALL);
  return wall != NULL && wall->due <= bridge__wall_now() ? wall : NULL;
}

static int64_t next_look(int64_t now)
{
  const bridge_timer *steady = top(STEADY);
  const bridge_timer *wall = top(WALL);
  int64_t until = steady != NULL ? steady->due : INT64_MAX;
  if (wall != NULL) {
    const int64_t left = wall->due - bridge__wall_now();
    const int64_t look = now + (left < LOOK_EVERY ? left : LOOK_EVERY);
    until = look < until ? look : until;
  }
  return until;
}

/* Without the mutex while it posts and frees: both run code of others. */
static void go_off(bridge_timer *timer)
{
  bridge__timer_heap_remove(heap_of(timer), timer);
  all.posting = timer;
  bridge__mutex_unlock(&all.mutex);
  bool again = bridge__timer_go_off(timer);
  bridge__mutex_lock(&all.mutex);
  all.posting = NULL;
  again = again && !timer->cancelled;
  if (again) {
    bridge__timer_heap_insert(heap_of(timer), timer);
    bridge__condition_broadcast(&all.changed);
    return;
  }
  bridge__timer_heap_unreserve(heap_of(timer));
  bridge__timer_end(timer);
  bridge__condition_broadcast(&all.changed);
  bridge__mutex_unlock(&all.mutex);
  bridge__release(timer);
  bridge__mutex_lock(&all.mutex);
}

static void run(void *user)
{
  (void)user;
  is_thread = true;
  bridge__native_name("bridge-timer");
  bridge__mutex_lock(&all.mutex);
  for (;;) {
    const int64_t now = bridge__now();
    bridge_timer *timer = due_now(now);
    if (timer != NULL) {
      go_off(timer);
    } else {
      bridge__condition_wait(&all.changed, &all.mutex, next_look(now));
    }
  }
}

/* ---- Its beginning, also in the child of a fork ---- */

static void before_fork(void)
{
  bridge__mutex_lock(&all.mutex);
}

static void after_fork(void)
{
  bridge__mutex_unlock(&all.mutex);
}

/* What the child of a fork has of its parent's timers, to be dropped without the
   mutex. */
static void forget(bridge__timer_heap *heaps)
{
  for (int i = 0; i < HEAPS; i++) {
    for (size_t j = 0; j < heaps[i].count; j++) {
      bridge__release(heaps[i].timers[j]);
    }
    bridge__free(heaps[i].timers);
  }
}

static bridge_status start(void)
{
  static bridge__native_entry entry = {.body = run};
  bridge__native_thread thread;
  bridge_status status = bridge__condition_init(&all.changed);
  if (status != BRIDGE_OK) {
    return status;
  }
  all.posting = NULL;
  status = bridge__native_start(&thread, &entry, 0);
  if (status != BRIDGE_OK) {
    bridge__condition_destroy(&all.changed);
    return status;
  }
  bridge__native_detach(&thread);
  all.running = true;
  all.process = bridge__process();
  return BRIDGE_OK;
}

/* Under the mutex.  What is to be forgotten goes to `left`. */
static bridge_status make_ready(bridge__timer_heap *left)
{
  if (all.running && all.process == bridge__process()) {
    return BRIDGE_OK;
  }
  for (int i = 0; i < HEAPS; i++) {
    left[i] = all.heaps[i];
    all.heaps[i] = (bridge__timer_heap){.timers = NULL};
  }
  all.running = false;
  return start();
}

/* ---- In and out ---- */

static bridge_status schedule(bridge_timer *timer)
{
  if (!bridge__timer_heap_reserve(heap_of(timer))) {
    return BRIDGE_ENOMEM;
  }
  bridge__retain(timer);
  bridge__timer_heap_insert(heap_of(timer), timer);
  if (timer->place == 1) {
    bridge__condition_broadcast(&all.changed);
  }
  return BRIDGE_OK;
}

bridge_status bridge__timer_schedule(bridge_timer *timer)
{
  bridge__timer_heap left[HEAPS] = {{.timers = NULL}, {.timers = NULL}};
  bridge__at_fork(BRIDGE__FORK_TIMERS, before_fork, after_fork);
  bridge__mutex_lock(&all.mutex);
  bridge_status status = make_ready(left);
  if (status == BRIDGE_OK) {
    status = schedule(timer);
  }
  bridge__mutex_unlock(&all.mutex);
  forget(left);
  return status;
}

/* Under the mutex.  Whether it was in its heap, so that its reference is the
   caller's to drop. */
static bool take_out(bridge_timer *timer)
{
  timer->cancelled = true;
  if (timer->place > 0) {
    bridge__timer_heap_remove(heap_of(timer), timer);
    bridge__timer_heap_unreserve(heap_of(timer));
    bridge__timer_end(timer);
    return true;
  }
  /* A callback that is called by the post would wait for itself. */
  while (all.posting == timer && !is_thread) {
    bridge__condition_wait(&all.changed, &all.mutex, INT64_MAX);
  }
  return false;
}

bridge_status bridge__timer_unschedule(bridge_timer *timer)
{
  bool ours = false;
  bridge_status status = BRIDGE_EALREADY;
  bridge__mutex_lock(&all.mutex);
  if (!timer->cancelled && bridge_timer_active(timer)) {
    ours = take_out(timer);
    status = BRIDGE_OK;
  }
  bridge__mutex_unlock(&all.mutex);
  if (ours) {
    bridge__release(timer);
  }
  return status;
}
