/* Counter: a number, and an event count for those who wait for it.  Who changes
   it pays two atomic operations while nobody waits. */
#include "sync/counter.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/registry.h"
#include "base/watch.h"

struct bridge_counter {
  bridge__listed object;
  atomic_int_fast64_t value;
  atomic_bool closed;
  bridge__parking parking;
};

static void destroy(void *object)
{
  bridge_counter *counter = object;
  bridge__parking_destroy(&counter->parking, bridge__forked(counter));
  bridge__free(counter);
}

static void look_at(void *object, bridge_object_info *info)
{
  info->closed = bridge_counter_closed(object);
  info->value = bridge_counter_get(object);
}

static bridge_status close_it(void *object)
{
  return bridge_counter_close(object);
}

static const struct bridge__listing listing = {look_at, close_it};
static const bridge__type type = {BRIDGE_HANDLE_COUNTER, "counter", destroy,
                                  &listing};

bridge_status bridge__counter_make(bridge_counter **out, int64_t value)
{
  bridge_counter *counter = bridge__allocate_zero(sizeof *counter);
  if (counter == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge__parking_init(&counter->parking);
  if (status != BRIDGE_OK) {
    bridge__free(counter);
    return status;
  }
  bridge__object_init(counter, &type);
  atomic_init(&counter->value, value);
  atomic_init(&counter->closed, false);
  *out = counter;
  return BRIDGE_OK;
}

bridge_status bridge_counter_create(bridge_counter **out, int64_t value)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = bridge__counter_make(out, value);
  if (status == BRIDGE_OK) {
    bridge__enlist(*out);
  }
  return status;
}

bridge_counter *bridge_counter_retain(bridge_counter *counter)
{
  return bridge__retain(counter);
}

void bridge_counter_release(bridge_counter *counter)
{
  bridge__release(counter);
}

static bridge_status check(const bridge_counter *counter)
{
  if (counter == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(counter) ? BRIDGE_EFORKED : BRIDGE_OK;
}

static bool is_closed(const bridge_counter *counter)
{
  /* Takes what was done before it was closed. */
  return atomic_load_explicit(&counter->closed, memory_order_acquire);
}

/* For who wants to change it. */
static bridge_status check_open(const bridge_counter *counter)
{
  bridge_status status = check(counter);
  return status == BRIDGE_OK && is_closed(counter) ? BRIDGE_ECLOSED : status;
}

bridge_status bridge_counter_close(bridge_counter *counter)
{
  bridge_status status = check(counter);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Publishes what was done before, the last number too. */
  atomic_store_explicit(&counter->closed, true, memory_order_release);
  bridge__parking_unpark(&counter->parking);
  return BRIDGE_OK;
}

bool bridge_counter_closed(const bridge_counter *counter)
{
  return counter == NULL || is_closed(counter);
}

int64_t bridge_counter_get(const bridge_counter *counter)
{
  if (counter == NULL) {
    return 0;
  }
  /* Takes what was done before the number became so. */
  return atomic_load_explicit(&counter->value, memory_order_acquire);
}

bridge_status bridge_counter_set(bridge_counter *counter,
                                 int64_t value,
                                 int64_t *before)
{
  bridge_status status = check_open(counter);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Publishes what was done before; takes the same of who set it before. */
  int64_t old =
      atomic_exchange_explicit(&counter->value, value, memory_order_acq_rel);
  bridge__parking_unpark(&counter->parking);
  if (before != NULL) {
    *before = old;
  }
  return BRIDGE_OK;
}

static bool sum_of(int64_t a, int64_t b, int64_t *out)
{
  if ((b > 0 && a > INT64_MAX - b) || (b < 0 && a < INT64_MIN - b)) {
    return false;
  }
  *out = a + b;
  return true;
}

bridge_status bridge_counter_add(bridge_counter *counter,
                                 int64_t change,
                                 int64_t *after)
{
  bridge_status status = check_open(counter);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* Takes nothing: the exchange does. */
  int_fast64_t old =
      atomic_load_explicit(&counter->value, memory_order_relaxed);
  int64_t sum = 0;
  do {
    if (!sum_of(old, change, &sum)) {
      return BRIDGE_EOVERFLOW;
    }
    /* Publishes what was done before, and takes it. */
  } while (!atomic_compare_exchange_weak_explicit(
      &counter->value, &old, sum, memory_order_acq_rel, memory_order_relaxed));
  bridge__parking_unpark(&counter->parking);
  if (after != NULL) {
    *after = sum;
  }
  return BRIDGE_OK;
}

bridge_status bridge_counter_exchange(bridge_counter *counter,
                                      int64_t *expected,
                                      int64_t value)
{
  bridge_status status = check_open(counter);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (expected == NULL) {
    return BRIDGE_EINVAL;
  }
  int_fast64_t seen = *expected;
  /* Publishes what was done before, and takes it, also where it fails. */
  if (!atomic_compare_exchange_strong_explicit(&counter->value, &seen, value,
                                               memory_order_acq_rel,
                                               memory_order_acquire)) {
    *expected = seen;
    return BRIDGE_EBUSY;
  }
  bridge__parking_unpark(&counter->parking);
  return BRIDGE_OK;
}

static bool stands(int64_t number, bridge_relation relation, int64_t value)
{
  switch (relation) {
  case BRIDGE_AT_LEAST:
    return number >= value;
  case BRIDGE_AT_MOST:
    return number <= value;
  case BRIDGE_EQUAL:
    return number == value;
  default:
    return number != value;
  }
}

/* BRIDGE_OK, BRIDGE_ECLOSED, or BRIDGE_EEMPTY while there is something to wait for.
   Whether it is closed comes first: so the last number before that is seen. */
static bridge_status look(const bridge_counter *counter,
                          bridge_relation relation,
                          int64_t value,
                          int64_t *seen)
{
  const bool closed = is_closed(counter);
  *seen = bridge_counter_get(counter);
  if (stands(*seen, relation, value)) {
    return BRIDGE_OK;
  }
  return closed ? BRIDGE_ECLOSED : BRIDGE_EEMPTY;
}

static bridge_status wait_for(bridge_counter *counter,
                              bridge_relation relation,
                              int64_t value,
                              int64_t deadline,
                              int64_t *seen)
{
  if (!bridge__wait_begin(bridge__watch_wake, &counter->parking)) {
    return BRIDGE_ECANCELLED;
  }
  bridge_status status = BRIDGE_EEMPTY;
  bool in_time = true;
  while (status == BRIDGE_EEMPTY) {
    const unsigned ticket = bridge__parking_prepare(&counter->parking);
    status = look(counter, relation, value, seen);
    if (status != BRIDGE_EEMPTY) {
      break;
    }
    if (bridge__interrupted()) {
      status = BRIDGE_ECANCELLED;
    } else if (!in_time) {
      status = BRIDGE_ETIMEDOUT;
    } else {
      in_time = bridge__parking_park(&counter->parking, ticket, deadline);
    }
  }
  bridge__wait_end();
  return status;
}

bridge_status bridge_counter_wait(bridge_counter *counter,
                                  bridge_relation relation,
                                  int64_t value,
                                  int timeout_ms,
                                  int64_t *seen)
{
  bridge_status status = check(counter);
  if (status != BRIDGE_OK) {
    return status;
  }
  if ((int)relation < BRIDGE_AT_LEAST || (int)relation > BRIDGE_NOT_EQUAL) {
    return BRIDGE_EINVAL;
  }
  int64_t number = 0;
  status = look(counter, relation, value, &number);
  if (status == BRIDGE_EEMPTY) {
    status = timeout_ms == 0
                 ? BRIDGE_ETIMEDOUT
                 : wait_for(counter, relation, value,
                            bridge__wait_deadline(timeout_ms), &number);
  }
  if (status == BRIDGE_OK && seen != NULL) {
    *seen = number;
  }
  return status;
}
