/* Watch: how those sleep who wait for an object that many may wait for. */
#include "base/watch.h"

#include "base/interrupt.h"

static void append(bridge__watchers *list, bridge__watch *watch)
{
  watch->next = NULL;
  watch->previous = list->last;
  bridge__watch_looked(list, watch);
  if (list->last == NULL) {
    list->first = watch;
  } else {
    list->last->next = watch;
  }
  list->last = watch;
}

void bridge__watch_looked(const bridge__watchers *list, bridge__watch *watch)
{
  watch->told = false;
  watch->seen = list->changes;
}

void bridge__watch_add(bridge__watchers *list,
                       bridge__watch *watch,
                       bridge__parking *sleeper)
{
  watch->sleeper = sleeper;
  watch->hear = NULL;
  append(list, watch);
}

void bridge__watch_add_hearer(bridge__watchers *list,
                              bridge__watch *watch,
                              bool (*hear)(bridge__watch *watch))
{
  watch->sleeper = NULL;
  watch->hear = hear;
  append(list, watch);
}

void bridge__watch_remove(bridge__watchers *list, bridge__watch *watch)
{
  if (watch->previous == NULL) {
    list->first = watch->next;
  } else {
    watch->previous->next = watch->next;
  }
  if (watch->next == NULL) {
    list->last = watch->previous;
  } else {
    watch->next->previous = watch->previous;
  }
}

static void tell(bridge__watchers *list, bridge__watch *watch)
{
  watch->told = true;
  if (watch->sleeper != NULL) {
    bridge__parking_unpark(watch->sleeper);
    return;
  }
  bridge__watch_remove(list, watch);
  /* Takes nothing: the exchange checks it. */
  watch->next = atomic_load_explicit(&list->told, memory_order_relaxed);
  /* Publishes the watch to who settles. */
  while (!atomic_compare_exchange_weak_explicit(&list->told, &watch->next,
                                                watch, memory_order_release,
                                                memory_order_relaxed)) {
  }
}

void bridge__watch_tell_next(bridge__watchers *list)
{
  bridge__watch *watch = list->first;
  while (watch != NULL && (watch->told || watch->seen == list->changes)) {
    watch = watch->next;
  }
  if (watch != NULL) {
    tell(list, watch);
  }
}

void bridge__watch_tell_one(bridge__watchers *list)
{
  list->changes++; /* which nobody has seen */
  bridge__watch_tell_next(list);
}

void bridge__watch_tell_all(bridge__watchers *list)
{
  bridge__watch *next = NULL;
  list->changes++;
  for (bridge__watch *watch = list->first; watch != NULL; watch = next) {
    next = watch->next;
    tell(list, watch);
  }
}

/* How many nobody hears. */
static size_t hear_all(bridge__watchers *list)
{
  /* Takes the watches. */
  bridge__watch *told =
      atomic_exchange_explicit(&list->told, NULL, memory_order_acquire);
  bridge__watch *first = NULL;
  while (told != NULL) { /* in the order in which they were told */
    bridge__watch *next = told->next;
    told->next = first;
    first = told;
    told = next;
  }
  size_t unheard = 0;
  while (first != NULL) {
    bridge__watch *next = first->next;
    unheard += !first->hear(first);
    first = next;
  }
  return unheard;
}

void bridge__watch_settle(bridge__watchers *list, bridge__mutex *mutex)
{
  /* Takes nothing: who told somebody sees it, or that it was taken. */
  while (atomic_load_explicit(&list->told, memory_order_relaxed) != NULL) {
    size_t unheard = hear_all(list);
    if (unheard > 0) {
      bridge__mutex_lock(mutex);
      for (; unheard > 0; unheard--) {
        bridge__watch_tell_next(list);
      }
      bridge__mutex_unlock(mutex);
    }
  }
}

void bridge__watch_wake(void *parking)
{
  bridge__parking_unpark(parking);
}

void bridge__watch_pass_on(bridge__watchers *list, bridge__watch *watch)
{
  if (watch->told) {
    bridge__watch_tell_next(list);
  }
  watch->told = true;
}

/* Under the mutex, in the list.  Who is held takes nothing, and who is cancelled
   neither: what came is for others. */
static bridge_status sleep_until(bridge__mutex *mutex,
                                 bridge__watchers *list,
                                 bridge__watch *watch,
                                 bridge__look *look,
                                 void *request,
                                 int64_t deadline)
{
  bool in_time = true;
  for (;;) {
    const unsigned ticket = bridge__parking_prepare(watch->sleeper);
    const bool broken = bridge__interrupted();
    if (broken || bridge__held()) {
      bridge__watch_pass_on(list, watch);
    } else {
      const bool over = look(request, watch);
      bridge__watch_looked(list, watch);
      if (over) {
        return BRIDGE_OK;
      }
    }
    if (broken) {
      return BRIDGE_ECANCELLED;
    }
    if (!in_time) {
      return BRIDGE_ETIMEDOUT;
    }
    bridge__mutex_unlock(mutex);
    bridge__watch_settle(list, mutex);
    in_time = bridge__parking_park(watch->sleeper, ticket, deadline);
    bridge__mutex_lock(mutex);
  }
}

static bridge_status wait_sleeping(bridge__mutex *mutex,
                                   bridge__watchers *list,
                                   bridge__look *look,
                                   void *request,
                                   int64_t deadline)
{
  bridge__parking sleeper;
  bridge_status status = bridge__parking_init(&sleeper);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (bridge__wait_begin(bridge__watch_wake, &sleeper)) {
    bridge__watch watch;
    bridge__mutex_lock(mutex);
    bridge__watch_add(list, &watch, &sleeper);
    status = sleep_until(mutex, list, &watch, look, request, deadline);
    bridge__watch_remove(list, &watch);
    bridge__mutex_unlock(mutex);
    bridge__watch_settle(list, mutex); /* if it was passed on */
    bridge__wait_end();
  } else {
    status = BRIDGE_ECANCELLED;
  }
  bridge__parking_destroy(&sleeper, false);
  return status;
}

bridge_status bridge__watch_wait(bridge__mutex *mutex,
                                 bridge__watchers *list,
                                 bridge__look *look,
                                 void *request,
                                 int timeout_ms)
{
  bridge__mutex_lock(mutex);
  const bool over = look(request, NULL);
  bridge__mutex_unlock(mutex);
  if (over) {
    return BRIDGE_OK;
  }
  if (timeout_ms == 0) {
    return BRIDGE_EEMPTY;
  }
  return wait_sleeping(mutex, list, look, request,
                       bridge__wait_deadline(timeout_ms));
}

static bridge_status sleep_while_held(bridge__parking *sleeper,
                                      int64_t deadline)
{
  bool in_time = true;
  for (;;) {
    const unsigned ticket = bridge__parking_prepare(sleeper);
    if (bridge__interrupted()) {
      return BRIDGE_ECANCELLED;
    }
    if (!bridge__held()) {
      return BRIDGE_OK;
    }
    if (!in_time) {
      return BRIDGE_ETIMEDOUT;
    }
    in_time = bridge__parking_park(sleeper, ticket, deadline);
  }
}

bridge_status bridge__watch_held(int64_t deadline)
{
  if (!bridge__held()) {
    return BRIDGE_OK;
  }
  bridge__parking sleeper;
  bridge_status status = bridge__parking_init(&sleeper);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (bridge__wait_begin(bridge__watch_wake, &sleeper)) {
    status = sleep_while_held(&sleeper, deadline);
    bridge__wait_end();
  } else {
    status = BRIDGE_ECANCELLED;
  }
  bridge__parking_destroy(&sleeper, false);
  return status;
}
