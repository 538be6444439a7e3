/* Kept threads: between a thread's start and the system's. */
#include "thread/kept.h"

#include "base/memory.h"

#include <stdbool.h>

enum {
  KEPT_MAX = 64 /* each has a stack; those beyond end at once */
};

static const int64_t kept_ns = 1000000000;

/* One thread.  Guarded by the mutex, but for what only the thread uses. */
typedef struct keeper {
  struct keeper *next; /* in the list of those that wait */
  bridge__native_entry entry;
  bridge__native_entry job; /* no body: none */
  bridge__condition given;
  size_t stack_size;
  bool waits; /* in that list */
  bool full;  /* the thread's: there was no room in it */
} keeper;

static bridge__mutex mutex = BRIDGE__MUTEX_INIT;
static keeper *first;    /* guarded by mutex: who came last */
static unsigned waiting; /* guarded by mutex */
static unsigned process; /* guarded by mutex: whose threads these are */

static _Thread_local keeper *mine;

static void lock_kept(void)
{
  bridge__mutex_lock(&mutex);
}

static void unlock_kept(void)
{
  bridge__mutex_unlock(&mutex);
}

/* Lock; in the child of a fork the threads of the parent are not there. */
static void enter(void)
{
  bridge__at_fork(BRIDGE__FORK_KEPT, lock_kept, unlock_kept);
  lock_kept();
  if (process != bridge__process()) {
    process = bridge__process();
    first = NULL;
    waiting = 0;
  }
}

static void end_waiting(void);

/* Wants the mutex. */
static void offer(keeper *self)
{
  self->full = waiting == KEPT_MAX;
  if (!self->full) {
    self->next = first;
    self->waits = true;
    first = self;
    waiting++;
    bridge__at_trim(end_waiting);
  }
}

/* Wants the mutex.  `link` leads to one that waits. */
static keeper *take(keeper **link)
{
  keeper *taken = *link;
  *link = taken->next;
  taken->waits = false;
  waiting--;
  return taken;
}

/* For bridge_trim. */
static void end_waiting(void)
{
  enter();
  while (first != NULL) {
    bridge__condition_signal(&take(&first)->given);
  }
  unlock_kept();
}

static void withdraw(keeper *self)
{
  keeper **link = &first;
  while (*link != self) {
    link = &(*link)->next;
  }
  take(link);
}

/* Whether there is another job, which is in its place then. */
static bool wait_for_job(keeper *self)
{
  const int64_t deadline = bridge__now() + kept_ns;
  bool in_time = true;
  enter();
  if (!self->waits && self->job.body == NULL && !self->full) {
    offer(self);
  }
  while (self->waits && in_time) {
    in_time = bridge__condition_wait(&self->given, &mutex, deadline);
  }
  if (self->waits) {
    withdraw(self);
  }
  bool given = self->job.body != NULL;
  unlock_kept();
  return given;
}

static void serve(void *user)
{
  keeper *self = user;
  mine = self;
  do {
    const bridge__native_entry job = self->job;
    self->job = (bridge__native_entry){NULL, NULL};
    job.body(job.user);
  } while (wait_for_job(self));
  mine = NULL;
  bridge__condition_destroy(&self->given);
  bridge__free(self);
}

void bridge__kept_offer(void)
{
  keeper *self = mine;
  enter();
  offer(self);
  unlock_kept();
}

static bool give(const bridge__native_entry *job, size_t stack_size)
{
  enter();
  keeper **link = &first;
  while (*link != NULL && (*link)->stack_size != stack_size) {
    link = &(*link)->next;
  }
  bool found = *link != NULL;
  if (found) {
    keeper *chosen = take(link);
    chosen->job = *job;
    bridge__condition_signal(&chosen->given);
  }
  unlock_kept();
  return found;
}

static bridge_status start(keeper *self)
{
  bridge__native_thread native;
  bridge_status status =
      bridge__native_start(&native, &self->entry, self->stack_size);
  if (status == BRIDGE_OK) {
    bridge__native_detach(&native);
  }
  return status;
}

bridge_status bridge__kept_start(const bridge__native_entry *job,
                                 size_t stack_size)
{
  if (give(job, stack_size)) {
    return BRIDGE_OK;
  }
  keeper *new = bridge__allocate_zero(sizeof *new);
  if (new == NULL) {
    return BRIDGE_ENOMEM;
  }
  new->job = *job;
  new->entry = (bridge__native_entry){serve, new};
  new->stack_size = stack_size;
  bridge_status status = bridge__condition_init(&new->given);
  if (status == BRIDGE_OK) {
    status = start(new);
    if (status != BRIDGE_OK) {
      bridge__condition_destroy(&new->given);
    }
  }
  if (status != BRIDGE_OK) {
    bridge__free(new);
  }
  return status;
}
