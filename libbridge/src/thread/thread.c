/* Thread: an OS thread that can be joined with a timeout, on every system in the
   same way: by a mark of our own, and then by the system's join. */
#include "thread/thread.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "base/object.h"
#include "platform/platform.h"
#include "thread/kept.h"

#include <errno.h>
#include <string.h>

#define STACK_DEFAULT ((size_t)1024 * 1024)
#define STACK_LEAST   ((size_t)512 * 1024)

typedef enum fate {
  UNDECIDED,
  JOINED,
  DETACHED
} fate;

struct bridge_thread {
  bridge__object object;
  bridge__native_thread native; /* of one that is not kept */
  bridge__native_entry entry;
  bool kept;
  bridge_thread_main *body;
  void *user;
  char *name;
  uint64_t id;
  atomic_bool finished; /* written under mutex, read by anybody */
  bridge__mutex mutex;
  bridge__condition changed; /* finished or fate */
  fate fate;                 /* guarded by mutex */
  bridge_priority priority;
  uint64_t affinity;
  bool settled;           /* guarded by mutex: whether these are as wanted */
  bridge_status settling; /* guarded by mutex: how that went */
  int code;               /* guarded by mutex: errno of it */
};

static _Thread_local bridge_thread *current;
static _Atomic uint64_t last_id;

/* Perhaps on the thread itself, when it outlived all other references. */
static void destroy(void *object)
{
  bridge_thread *thread = object;
  /* In the child of a fork there is no such thread, and the system would wait for
     joiners that are not there either. */
  if (!bridge__forked(thread)) {
    if (thread->fate == UNDECIDED && !thread->kept) {
      bridge__native_detach(&thread->native);
    }
    bridge__condition_destroy(&thread->changed);
    bridge__mutex_destroy(&thread->mutex);
  }
  bridge__free(thread->name);
  bridge__free(thread);
}

static const bridge__type type = {BRIDGE_HANDLE_THREAD, "thread", destroy,
                                  NULL};

/* ---- Starting ---- */

void bridge_thread_options_init(bridge_thread_options *options)
{
  if (options == NULL) {
    return;
  }
  *options = (bridge_thread_options){.version = BRIDGE_THREAD_OPTIONS_VERSION};
}

static bool particular(const bridge_thread *thread)
{
  return thread->priority != BRIDGE_PRIORITY_NORMAL || thread->affinity != 0;
}

/* On the thread itself: have it scheduled as wanted, and tell the one who makes
   it. */
static bridge_status settle(bridge_thread *thread)
{
  bridge_status status = BRIDGE_OK;
  if (thread->affinity != 0) {
    status = bridge__native_affinity(thread->affinity);
  }
  if (status == BRIDGE_OK && thread->priority != BRIDGE_PRIORITY_NORMAL) {
    status = bridge__native_priority((int)thread->priority);
  }
  bridge__mutex_lock(&thread->mutex);
  thread->settled = true;
  thread->settling = status;
  thread->code = errno;
  bridge__condition_broadcast(&thread->changed);
  bridge__mutex_unlock(&thread->mutex);
  return status;
}

static bridge_status wait_settled(bridge_thread *thread)
{
  bridge__mutex_lock(&thread->mutex);
  while (!thread->settled) {
    bridge__condition_wait(&thread->changed, &thread->mutex, INT64_MAX);
  }
  bridge_status status = thread->settling;
  int code = thread->code;
  bridge__mutex_unlock(&thread->mutex);
  if (status != BRIDGE_OK) {
    bridge_thread_join(thread, -1); /* it has only to return */
    errno = code;
  }
  return status;
}

static void work(bridge_thread *thread)
{
  if (!particular(thread) || settle(thread) == BRIDGE_OK) {
    thread->body(thread->user);
  }
}

static void run(void *user)
{
  bridge_thread *thread = user;
  current = thread;
  if (thread->name[0] != '\0' || thread->kept) {
    bridge__native_name(thread->name);
  }
  work(thread);
  current = NULL;
  if (thread->kept) {
    bridge__kept_offer();
  }

  bridge__mutex_lock(&thread->mutex);
  /* Publishes what the thread did, to who only asks whether it lives. */
  atomic_store_explicit(&thread->finished, true, memory_order_release);
  bridge__mutex_unlock(&thread->mutex);
  /* Not before, or who is woken would wait once more. */
  bridge__condition_broadcast(&thread->changed);
  bridge__release(thread);
}

static bridge_status init_waiting(bridge_thread *thread)
{
  bridge_status status = bridge__mutex_init(&thread->mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__condition_init(&thread->changed);
  if (status != BRIDGE_OK) {
    bridge__mutex_destroy(&thread->mutex);
  }
  return status;
}

static bridge_status make(bridge_thread **out, const char *name)
{
  bridge_thread *thread = bridge__allocate_zero(sizeof *thread);
  if (thread == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = BRIDGE_ENOMEM;
  thread->name = bridge__copy_text(name, name == NULL ? 0 : strlen(name));
  if (thread->name != NULL) {
    status = init_waiting(thread);
  }
  if (status != BRIDGE_OK) {
    bridge__free(thread->name);
    bridge__free(thread);
    return status;
  }
  bridge__object_init(thread, &type);
  atomic_init(&thread->finished, false);
  /* Only has to differ from all others. */
  thread->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
  *out = thread;
  return BRIDGE_OK;
}

static bridge_status start(bridge_thread *thread, size_t stack_size)
{
  if (stack_size == 0) {
    stack_size = STACK_DEFAULT;
  } else if (stack_size < STACK_LEAST) {
    stack_size = STACK_LEAST;
  }
  thread->entry = (bridge__native_entry){run, thread};
  bridge__retain(thread); /* the thread's own */
  bridge_status status =
      thread->kept
          ? bridge__kept_start(&thread->entry, stack_size)
          : bridge__native_start(&thread->native, &thread->entry, stack_size);
  if (status != BRIDGE_OK) {
    thread->fate = DETACHED; /* there is nothing to detach */
    bridge__release(thread);
    bridge__release(thread);
  }
  return status;
}

/* Keeps errno, which says why the system refused. */
static bridge_status settled_or_gone(bridge_thread *thread)
{
  bridge__interrupt *interrupt = bridge__interrupt_bind(NULL);
  bridge_status status = wait_settled(thread);
  bridge__interrupt_bind(interrupt);
  if (status != BRIDGE_OK) {
    int code = errno;
    bridge__release(thread);
    errno = code;
  }
  return status;
}

static bool known(bridge_priority priority)
{
  return priority >= BRIDGE_PRIORITY_IDLE && priority <= BRIDGE_PRIORITY_HIGH;
}

bridge_status bridge_thread_create(bridge_thread **out,
                                   bridge_thread_main *body,
                                   void *user,
                                   const bridge_thread_options *options)
{
  if (out == NULL || body == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_thread_options chosen;
  bridge_thread_options_init(&chosen);
  if (options != NULL) {
    if (options->version != BRIDGE_THREAD_OPTIONS_VERSION) {
      return BRIDGE_EVERSION;
    }
    chosen = *options;
  }
  if (!known(chosen.priority)) {
    return BRIDGE_EINVAL;
  }
  bridge_thread *thread = NULL;
  bridge_status status = make(&thread, chosen.name);
  if (status != BRIDGE_OK) {
    return status;
  }
  thread->body = body;
  thread->user = user;
  thread->priority = chosen.priority;
  thread->affinity = chosen.affinity;
  /* A system that lowers a priority does not give it back. */
  thread->kept = chosen.keep && !particular(thread);
  status = start(thread, chosen.stack_size);
  if (status == BRIDGE_OK && particular(thread)) {
    status = settled_or_gone(thread);
  }
  if (status == BRIDGE_OK) {
    *out = thread;
  }
  return status;
}

bridge_thread *bridge_thread_retain(bridge_thread *thread)
{
  return bridge__retain(thread);
}

void bridge_thread_release(bridge_thread *thread)
{
  bridge__release(thread);
}

/* ---- Joining ---- */

static bool finished(const bridge_thread *thread)
{
  /* Takes what the thread did. */
  return atomic_load_explicit(&thread->finished, memory_order_acquire);
}

/* Wants the mutex. */
static bridge_status fate_of(const bridge_thread *thread)
{
  switch (thread->fate) {
  case JOINED:
    /* Perhaps before its end: see bridge__thread_join. */
    return finished(thread) ? BRIDGE_EALREADY : BRIDGE_ETIMEDOUT;
  case DETACHED:
    return BRIDGE_EDETACHED;
  case UNDECIDED:
    break;
  }
  return finished(thread) ? BRIDGE_OK : BRIDGE_ETIMEDOUT;
}

static void wake(void *object)
{
  bridge_thread *thread = object;
  bridge__mutex_lock(&thread->mutex);
  bridge__condition_broadcast(&thread->changed);
  bridge__mutex_unlock(&thread->mutex);
}

/* Wants the mutex; the join is the caller's if this says BRIDGE_OK. */
static bridge_status wait_for_end(bridge_thread *thread, int64_t deadline)
{
  bool in_time = true;
  for (;;) {
    bridge_status status = fate_of(thread);
    if (status != BRIDGE_ETIMEDOUT || !in_time) {
      return status;
    }
    if (bridge__interrupted()) {
      return BRIDGE_ECANCELLED;
    }
    in_time =
        bridge__condition_wait(&thread->changed, &thread->mutex, deadline);
  }
}

static bridge_status claim(bridge_thread *thread, int timeout_ms)
{
  const bool waits = timeout_ms != 0;
  const int64_t deadline = bridge__wait_deadline(timeout_ms);
  if (waits && !bridge__wait_begin(wake, thread)) {
    return BRIDGE_ECANCELLED;
  }
  bridge__mutex_lock(&thread->mutex);
  bridge_status status =
      waits ? wait_for_end(thread, deadline) : fate_of(thread);
  if (status == BRIDGE_OK) {
    thread->fate = JOINED;
  }
  bridge__mutex_unlock(&thread->mutex);
  if (waits) {
    bridge__wait_end();
  }
  return status;
}

bridge_status bridge_thread_join(bridge_thread *thread, int timeout_ms)
{
  if (thread == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(thread)) {
    return BRIDGE_EFORKED;
  }
  if (thread == current) {
    return BRIDGE_EDEADLOCK;
  }
  bridge_status status = claim(thread, timeout_ms);
  if (status == BRIDGE_OK && !thread->kept) {
    bridge__native_join(&thread->native); /* it is on its last steps */
  }
  return status;
}

static void join_simply(bridge_thread *thread)
{
  if (!thread->kept) {
    bridge__native_join(&thread->native);
    return;
  }
  bridge__mutex_lock(&thread->mutex);
  while (!finished(thread)) {
    bridge__condition_wait(&thread->changed, &thread->mutex, INT64_MAX);
  }
  bridge__mutex_unlock(&thread->mutex);
}

bool bridge__thread_join(bridge_thread *thread)
{
  bridge__mutex_lock(&thread->mutex);
  bool mine = thread->fate == UNDECIDED;
  if (mine) {
    thread->fate = JOINED;
  }
  bridge__mutex_unlock(&thread->mutex);
  if (mine) {
    join_simply(thread);
  }
  return mine;
}

bridge_status bridge_thread_detach(bridge_thread *thread)
{
  if (thread == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(thread)) {
    return BRIDGE_EFORKED;
  }
  bridge__mutex_lock(&thread->mutex);
  bridge_status status =
      thread->fate == JOINED ? BRIDGE_EALREADY : BRIDGE_EDETACHED;
  if (thread->fate == UNDECIDED) {
    thread->fate = DETACHED;
    status = BRIDGE_OK;
    if (!thread->kept) {
      bridge__native_detach(&thread->native);
    }
    bridge__condition_broadcast(&thread->changed); /* joiners give up */
  }
  bridge__mutex_unlock(&thread->mutex);
  return status;
}

/* ---- Asking ---- */

bool bridge_thread_alive(const bridge_thread *thread)
{
  return thread != NULL && !bridge__forked(thread) && !finished(thread);
}

const char *bridge_thread_name(const bridge_thread *thread)
{
  return thread == NULL ? "" : thread->name;
}

uint64_t bridge_thread_id(const bridge_thread *thread)
{
  return thread == NULL ? 0 : thread->id;
}

bridge_thread *bridge_thread_current(void)
{
  return current;
}

unsigned bridge_thread_cores(void)
{
  return bridge__native_cores();
}
