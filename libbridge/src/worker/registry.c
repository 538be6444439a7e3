/* Registry: all workers that live, and what can be seen of each. */
#include "worker/worker.h"

#include "base/text.h"

static bridge__mutex mutex = BRIDGE__MUTEX_INIT;
static bridge_worker *first; /* guarded by mutex: the oldest */
static bridge_worker *last;  /* guarded by mutex */

static void lock(void)
{
  bridge__mutex_lock(&mutex);
}

static void unlock(void)
{
  bridge__mutex_unlock(&mutex);
}

void bridge__registry_add(bridge_worker *worker)
{
  bridge__at_fork(BRIDGE__FORK_REGISTRY, lock, unlock);
  lock();
  worker->older = last;
  worker->listed = true;
  if (last != NULL) {
    last->younger = worker;
  } else {
    first = worker;
  }
  last = worker;
  unlock();
}

void bridge__registry_admit(bridge_worker *worker)
{
  lock();
  worker->created = true;
  unlock();
  bridge__enlist(worker);
}

void bridge__registry_remove(bridge_worker *worker)
{
  lock();
  if (worker->listed) {
    bridge_worker **behind =
        worker->older == NULL ? &first : &worker->older->younger;
    bridge_worker **before =
        worker->younger == NULL ? &last : &worker->younger->older;
    *behind = worker->younger;
    *before = worker->older;
    worker->listed = false;
  }
  unlock();
}

/* ---- Finding ---- */

/* Wants the lock: while it is closed, nobody is freed. */
static bool lives(const bridge_worker *worker)
{
  bool known = worker->created || worker == bridge_worker_current();
  return known && !bridge__forked(worker) &&
         bridge_worker_phase_of(worker) != BRIDGE_WORKER_ENDED;
}

bridge_status bridge_workers(bridge_worker **out,
                             size_t capacity,
                             size_t *count)
{
  if (count == NULL || (out == NULL && capacity > 0)) {
    return BRIDGE_EINVAL;
  }
  *count = 0;
  lock();
  for (bridge_worker *next = first; next != NULL; next = next->younger) {
    bool fits = *count < capacity;
    if (!lives(next) || (fits && bridge__retain_living(next) == NULL)) {
      continue;
    }
    if (fits) {
      out[*count] = next;
    }
    ++*count;
  }
  unlock();
  return BRIDGE_OK;
}

size_t bridge__registry_running(bridge_worker **out,
                                size_t capacity,
                                uint64_t after)
{
  size_t count = 0;
  lock();
  for (bridge_worker *next = first; next != NULL && count < capacity;
       next = next->younger) {
    /* Takes nothing: whether something runs. */
    bool runs =
        atomic_load_explicit(&next->gauge.since, memory_order_relaxed) != 0;
    if (runs && next->id > after && lives(next) &&
        bridge__retain_living(next) != NULL) {
      out[count++] = next;
    }
  }
  unlock();
  return count;
}

/* By name, or by number if the name is NULL. */
static bridge_worker *find(const char *name, uint64_t id)
{
  bridge_worker *found = NULL;
  lock();
  for (bridge_worker *next = last; next != NULL && found == NULL;
       next = next->older) {
    bool wanted = name == NULL ? next->id == id : strcmp(next->name, name) == 0;
    if (wanted && lives(next)) {
      found = bridge__retain_living(next);
    }
  }
  unlock();
  return found;
}

bridge_worker *bridge_worker_find(const char *name)
{
  return name == NULL ? NULL : find(name, 0);
}

bridge_worker *bridge_worker_find_id(uint64_t id)
{
  return find(NULL, id);
}

/* ---- Looking ---- */

int64_t bridge__gauge_running(const bridge__gauge *gauge, bridge__label *out)
{
  uint64_t words[BRIDGE__LABEL / sizeof(uint64_t)];
  unsigned before = 0;
  unsigned after = 1;
  /* A script that begins meanwhile is as good as the one before it; many that do
     make the look take a little longer. */
  while (before != after || before % 2 != 0) {
    /* Takes the words of the version that it sees. */
    before = atomic_load_explicit(&gauge->version, memory_order_acquire);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
      /* Takes the odd version, of a later writing. */
      words[i] = atomic_load_explicit(&gauge->words[i], memory_order_acquire);
    }
    after = atomic_load_explicit(&gauge->version, memory_order_relaxed);
  }
  memcpy(out->text, words, sizeof words);
  out->text[BRIDGE__LABEL - 1] = '\0';
  /* Stands for itself. */
  return atomic_load_explicit(&gauge->since, memory_order_relaxed);
}

void bridge__gauge_arrive(bridge__gauge *gauge)
{
  int clock = bridge__cpu_clock();
  int64_t now = 0;
  bridge__cpu_clock_read(clock, &now);
  /* Publishes nothing; before the clock, so that who sees the clock is not far
     off. */
  atomic_store_explicit(&gauge->cpu_base, now, memory_order_relaxed);
  atomic_store_explicit(&gauge->cpu_clock, clock, memory_order_release);
}

int64_t bridge__gauge_cpu(const bridge__gauge *gauge)
{
  /* Takes the base. */
  int clock = atomic_load_explicit(&gauge->cpu_clock, memory_order_acquire);
  /* Stand for themselves. */
  int64_t spent = atomic_load_explicit(&gauge->cpu_spent, memory_order_relaxed);
  int64_t base = atomic_load_explicit(&gauge->cpu_base, memory_order_relaxed);
  int64_t now = 0;
  bool known = bridge__cpu_clock_read(clock, &now);
  return known && now > base ? spent + now - base : spent;
}

void bridge__gauge_depart(bridge__gauge *gauge)
{
  int64_t spent = bridge__gauge_cpu(gauge);
  /* Publish nothing: numbers for people. */
  atomic_store_explicit(&gauge->cpu_clock, 0, memory_order_relaxed);
  atomic_store_explicit(&gauge->cpu_spent, spent, memory_order_relaxed);
}

void bridge_worker_info_init(bridge_worker_info *info)
{
  if (info != NULL) {
    *info = (bridge_worker_info){.version = BRIDGE_WORKER_INFO_VERSION};
  }
}

static uint64_t read_number(const _Atomic(uint64_t) *number)
{
  /* Takes nothing: a number to look at. */
  return atomic_load_explicit(number, memory_order_relaxed);
}

static void look_at_running(const bridge_worker *worker,
                            bridge_worker_info *info)
{
  bridge__label label;
  int64_t since = bridge__gauge_running(&worker->gauge, &label);
  bridge__interrupt *interrupt =
      (bridge__interrupt *)(uintptr_t)&worker->interrupt;
  if (since == 0 || bridge__interrupt_waits(interrupt)) {
    return;
  }
  int64_t now = bridge__now_roughly();
  bridge__text_copy(info->running, sizeof info->running, label.text);
  info->running_ns = now > since ? now - since : 0;
}

bridge_status bridge_worker_look(const bridge_worker *worker,
                                 bridge_worker_info *info)
{
  if (worker == NULL || info == NULL) {
    return BRIDGE_EINVAL;
  }
  if (info->version != BRIDGE_WORKER_INFO_VERSION) {
    return BRIDGE_EVERSION;
  }
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  bridge_worker_info_init(info);
  info->phase = bridge_worker_phase_of(worker);
  info->id = worker->id;
  bridge__text_copy(info->name, sizeof info->name, worker->name);
  look_at_running(worker, info);
  info->paused = bridge__worker_paused(worker);
  info->cpu_ns = bridge__gauge_cpu(&worker->gauge);
  bridge_worker_memory(worker, &info->memory_used, &info->memory_peak,
                       &info->memory_limit);
  info->inbox_items = bridge_queue_count(worker->inbox);
  info->inbox_bytes = bridge_queue_bytes(worker->inbox);
  info->messages = read_number(&worker->gauge.messages);
  info->errors = read_number(&worker->gauge.errors);
  info->dropped = read_number(&worker->gauge.refused);
  return BRIDGE_OK;
}

/* ---- As one of all objects ---- */

static void look_at(void *object, bridge_object_info *info)
{
  const bridge_worker *worker = object;
  const bridge_worker_phase phase = bridge_worker_phase_of(worker);
  info->closed = phase == BRIDGE_WORKER_ENDED || phase == BRIDGE_WORKER_LOST;
  info->items = bridge_queue_count(worker->inbox);
  info->bytes = bridge_queue_bytes(worker->inbox);
}

static bridge_status close_it(void *object)
{
  return bridge_worker_stop(object);
}

const struct bridge__listing bridge__worker_listing = {look_at, close_it};
