/* Mutex: a lock as a handle, whose owner may be a worker. */
#include "sync/mutex.h"

#include "base/memory.h"
#include "base/registry.h"
#include "base/watch.h"

struct bridge_mutex {
  bridge__listed object;
  bridge__mutex guard;
  uint64_t owner; /* guarded by guard; 0 for nobody */
  bool abandoned; /* guarded by guard */
  bool closed;    /* guarded by guard: nobody gets it any more */
  bridge__watchers waiting;
  /* In the list of the worker that has it; only that one touches them. */
  bridge_mutex *next;
  bridge_mutex *previous;
};

static void destroy(void *object)
{
  bridge_mutex *mutex = object;
  if (!bridge__forked(mutex)) {
    bridge__mutex_destroy(&mutex->guard);
  }
  bridge__free(mutex);
}

static void look_at(void *object, bridge_object_info *info)
{
  info->closed = bridge_mutex_closed(object);
  info->value = bridge_mutex_locked(object);
}

static bridge_status close_it(void *object)
{
  return bridge_mutex_close(object);
}

static const struct bridge__listing listing = {look_at, close_it};
static const bridge__type type = {BRIDGE_HANDLE_MUTEX, "mutex", destroy,
                                  &listing};

bridge_status bridge_mutex_create(bridge_mutex **out)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_mutex *mutex = bridge__allocate_zero(sizeof *mutex);
  if (mutex == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge__mutex_init(&mutex->guard);
  if (status != BRIDGE_OK) {
    bridge__free(mutex);
    return status;
  }
  bridge__object_init(mutex, &type);
  bridge__enlist(mutex);
  *out = mutex;
  return BRIDGE_OK;
}

bridge_mutex *bridge_mutex_retain(bridge_mutex *mutex)
{
  return bridge__retain(mutex);
}

void bridge_mutex_release(bridge_mutex *mutex)
{
  bridge__release(mutex);
}

static bridge_status check(const bridge_mutex *mutex)
{
  if (mutex == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(mutex) ? BRIDGE_EFORKED : BRIDGE_OK;
}

/* ---- The list of a worker ---- */

static void enlist(bridge_mutex *mutex, bridge__owner *owner)
{
  bridge__retain(mutex);
  mutex->previous = NULL;
  mutex->next = owner->locked;
  if (mutex->next != NULL) {
    mutex->next->previous = mutex;
  }
  owner->locked = mutex;
}

static void strike(bridge_mutex *mutex, bridge__owner *owner)
{
  if (mutex->previous == NULL) {
    owner->locked = mutex->next;
  } else {
    mutex->previous->next = mutex->next;
  }
  if (mutex->next != NULL) {
    mutex->next->previous = mutex->previous;
  }
}

/* ---- Locking ---- */

typedef struct locking {
  bridge_mutex *mutex;
  uint64_t owner;
  bool abandoned;
  bridge_status status;
} locking;

static bool look(void *request, bridge__watch *watch)
{
  (void)watch;
  locking *wanted = request;
  bridge_mutex *mutex = wanted->mutex;
  if (mutex->closed) {
    wanted->status = BRIDGE_ECLOSED;
    return true;
  }
  if (mutex->owner == wanted->owner) {
    wanted->status = BRIDGE_EDEADLOCK;
    return true;
  }
  if (mutex->owner != 0) {
    return false;
  }
  mutex->owner = wanted->owner;
  wanted->abandoned = mutex->abandoned;
  mutex->abandoned = false;
  wanted->status = BRIDGE_OK;
  return true;
}

bridge_status bridge_mutex_lock(bridge_mutex *mutex,
                                int timeout_ms,
                                bool *abandoned)
{
  bridge_status status = check(mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  locking wanted = {.mutex = mutex, .owner = bridge__owner_number()};
  status = bridge__watch_wait(&mutex->guard, &mutex->waiting, look, &wanted,
                              timeout_ms);
  if (status != BRIDGE_OK) {
    return status == BRIDGE_EEMPTY ? BRIDGE_EBUSY : status;
  }
  if (wanted.status != BRIDGE_OK) {
    return wanted.status;
  }
  bridge__owner *owner = bridge__owner_current();
  if (owner != NULL) {
    enlist(mutex, owner);
  }
  if (abandoned != NULL) {
    *abandoned = wanted.abandoned;
  }
  return BRIDGE_OK;
}

/* ---- Unlocking ---- */

static void open_for_next(bridge_mutex *mutex, bool abandoned)
{
  bridge__mutex_lock(&mutex->guard);
  mutex->owner = 0;
  mutex->abandoned = abandoned;
  bridge__watch_tell_one(&mutex->waiting);
  bridge__mutex_unlock(&mutex->guard);
}

static bool has(bridge_mutex *mutex, uint64_t owner)
{
  bridge__mutex_lock(&mutex->guard);
  const bool his = mutex->owner == owner;
  bridge__mutex_unlock(&mutex->guard);
  return his;
}

static bridge_status unlock(bridge_mutex *mutex, bool abandoned)
{
  bridge_status status = check(mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (!has(mutex, bridge__owner_number())) {
    return BRIDGE_EINVAL;
  }
  bridge__owner *owner = bridge__owner_current();
  if (owner != NULL) {
    strike(mutex, owner); /* before it is another's */
  }
  open_for_next(mutex, abandoned);
  if (owner != NULL) {
    bridge__release(mutex);
  }
  return BRIDGE_OK;
}

bridge_status bridge_mutex_unlock(bridge_mutex *mutex)
{
  return unlock(mutex, false);
}

bridge_status bridge_mutex_abandon(bridge_mutex *mutex)
{
  return unlock(mutex, true);
}

void bridge__mutex_abandon_for(bridge_mutex *mutex, bridge__owner *owner)
{
  strike(mutex, owner);
  open_for_next(mutex, true);
  bridge__release(mutex);
}

bool bridge_mutex_locked(bridge_mutex *mutex)
{
  return check(mutex) == BRIDGE_OK && !has(mutex, 0);
}

/* ---- Closing ---- */

bridge_status bridge_mutex_close(bridge_mutex *mutex)
{
  bridge_status status = check(mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__mutex_lock(&mutex->guard);
  mutex->closed = true;
  bridge__watch_tell_all(&mutex->waiting);
  bridge__mutex_unlock(&mutex->guard);
  return BRIDGE_OK;
}

/* In the child of a fork the guard may be locked for ever. */
bool bridge_mutex_closed(bridge_mutex *mutex)
{
  if (check(mutex) != BRIDGE_OK) {
    return true;
  }
  bridge__mutex_lock(&mutex->guard);
  const bool closed = mutex->closed;
  bridge__mutex_unlock(&mutex->guard);
  return closed;
}
