/* Leash: whether a script may go on, as the thread that runs it sees it. */
#include "lua/leash.h"

#include <stdio.h>

static const int64_t ns_per_ms = 1000000;

void bridge__leash_init(bridge__leash *leash,
                        bridge__leash *parent,
                        const bridge_limits *limits)
{
  leash->parent = parent;
  leash->last_use = 0;
  /* All relaxed: nobody else knows the leash yet. */
  atomic_init(&leash->use, 0);
  atomic_init(&leash->stopped, 0);
  atomic_init(&leash->graced, 0);
  atomic_init(&leash->until, INT64_MAX);
  bridge__leash_begin(leash, limits);
}

void bridge__leash_limit(bridge__leash *leash, const bridge_limits *limits)
{
  static const bridge_limits none = {0, 0};
  leash->limits = limits == NULL ? none : *limits;
  leash->deadline = INT64_MAX;
  leash->cpu_left = INT64_MAX;
  leash->cpu_end = INT64_MAX;
  if (leash->limits.timeout_ms > 0) {
    leash->deadline = bridge__deadline(leash->limits.timeout_ms);
  }
  if (leash->limits.cpu_ms > 0) {
    leash->cpu_left = ns_per_ms * leash->limits.cpu_ms;
  }
}

void bridge__leash_begin(bridge__leash *leash, const bridge_limits *limits)
{
  bridge__leash_limit(leash, limits);
  /* Takes nothing: this thread wrote it, or who had the state before. */
  unsigned last = atomic_load_explicit(&leash->stopped, memory_order_relaxed);
  unsigned graced = atomic_load_explicit(&leash->graced, memory_order_relaxed);
  unsigned use = leash->last_use + 1;
  while (use == 0 || use == last || use == graced) {
    use++; /* it has gone round */
  }
  leash->last_use = use;
  /* seq_cst: who stops it from now on finds this use. */
  atomic_store_explicit(&leash->use, use, memory_order_seq_cst);
}

void bridge__leash_end(bridge__leash *leash)
{
  /* seq_cst: as in bridge__leash_begin. */
  atomic_store_explicit(&leash->use, 0, memory_order_seq_cst);
}

void bridge__leash_shorten(bridge__leash *leash, int64_t deadline)
{
  if (deadline < leash->deadline) {
    leash->deadline = deadline;
    leash->limits.timeout_ms = 0; /* it is not that one any more */
  }
}

void bridge__leash_tell(bridge__leash *leash, unsigned use)
{
  /* seq_cst: see told_to_stop(). */
  atomic_store_explicit(&leash->stopped, use, memory_order_seq_cst);
}

/* The clock is what stops it at its next slice: nobody kicks for it. */
void bridge__leash_stop(bridge__leash *leash)
{
  /* Takes nothing: this thread wrote it. */
  bridge__leash_tell(leash,
                     atomic_load_explicit(&leash->use, memory_order_relaxed));
  leash->deadline = 0;
}

/* ---- Whether it is due ---- */

/* When a stop with a grace ends this use. */
static int64_t grace_end(const bridge__leash *leash)
{
  /* seq_cst: who stops it writes this, and then looks for the thread; a slice names
     its thread, and then looks here. */
  unsigned graced = atomic_load_explicit(&leash->graced, memory_order_seq_cst);
  /* Takes nothing: this thread wrote it. */
  if (graced == 0 ||
      graced != atomic_load_explicit(&leash->use, memory_order_relaxed)) {
    return INT64_MAX;
  }
  /* seq_cst: written before `graced`. */
  return atomic_load_explicit(&leash->until, memory_order_seq_cst);
}

static bool told_to_stop(const bridge__leash *leash)
{
  /* seq_cst: as in grace_end(). */
  unsigned told = atomic_load_explicit(&leash->stopped, memory_order_seq_cst);
  /* Takes nothing: this thread wrote it. */
  return told != 0 &&
         told == atomic_load_explicit(&leash->use, memory_order_relaxed);
}

static bool out_of_cpu(const bridge__leash *leash,
                       const bridge__kick_target *target)
{
  if (leash->cpu_end == INT64_MAX) {
    return leash->cpu_left <= 0;
  }
  int64_t used = 0;
  if (target == NULL || !bridge__cpu_time_of(target, &used)) {
    used = bridge__cpu_time();
  }
  return used >= leash->cpu_end;
}

bridge__due bridge__leash_due(const bridge__leash *leash,
                              const bridge__kick_target *target)
{
  if (told_to_stop(leash)) {
    return BRIDGE__DUE_STOP;
  }
  int64_t grace = grace_end(leash);
  if (grace != INT64_MAX || leash->deadline != INT64_MAX) {
    int64_t now = bridge__now();
    if (now >= grace) {
      return BRIDGE__DUE_STOP;
    }
    if (now >= leash->deadline) {
      return BRIDGE__DUE_TIME;
    }
  }
  return out_of_cpu(leash, target) ? BRIDGE__DUE_CPU : BRIDGE__DUE_NOT;
}

bridge__leash *bridge__leash_find_due(bridge__leash *leash,
                                      const bridge__kick_target *target)
{
  bridge__leash *due = NULL;
  for (; leash != NULL; leash = leash->parent) {
    if (bridge__leash_due(leash, target) != BRIDGE__DUE_NOT) {
      due = leash;
    }
  }
  return due;
}

int64_t bridge__leash_deadline(const bridge__leash *leash)
{
  int64_t first = INT64_MAX;
  for (; leash != NULL; leash = leash->parent) {
    int64_t grace = grace_end(leash);
    first = leash->deadline < first ? leash->deadline : first;
    first = grace < first ? grace : first;
  }
  return first;
}

bool bridge__leash_told(const bridge__leash *leash)
{
  while (leash != NULL && !told_to_stop(leash) &&
         grace_end(leash) == INT64_MAX) {
    leash = leash->parent;
  }
  return leash != NULL;
}

int64_t bridge__leash_cpu_end(const bridge__leash *leash)
{
  int64_t first = INT64_MAX;
  for (; leash != NULL; leash = leash->parent) {
    first = leash->cpu_end < first ? leash->cpu_end : first;
  }
  return first;
}

bridge_status bridge__leash_reason(const bridge__leash *leash, char *text)
{
  switch (bridge__leash_due(leash, NULL)) {
  case BRIDGE__DUE_TIME:
    if (leash->limits.timeout_ms > 0) {
      snprintf(text, BRIDGE__REASON, "the script ran for more than %d ms",
               leash->limits.timeout_ms);
    } else {
      snprintf(text, BRIDGE__REASON, "the time that the caller gave is over");
    }
    return BRIDGE_ETIMEDOUT;
  case BRIDGE__DUE_CPU:
    snprintf(text, BRIDGE__REASON,
             "the script ran for more than %d ms of CPU time",
             leash->limits.cpu_ms);
    return BRIDGE_ETIMEDOUT;
  default:
    snprintf(text, BRIDGE__REASON, "cancelled");
    return BRIDGE_ECANCELLED;
  }
}

/* ---- CPU time ---- */

bool bridge__leash_counts_cpu(const bridge__leash *leash)
{
  while (leash != NULL && leash->cpu_left == INT64_MAX) {
    leash = leash->parent;
  }
  return leash != NULL;
}

int64_t bridge__leash_start_cpu(bridge__leash *leash, int64_t cpu)
{
  int64_t first = INT64_MAX;
  for (; leash != NULL; leash = leash->parent) {
    if (leash->cpu_left != INT64_MAX) {
      leash->cpu_end = cpu + leash->cpu_left;
      first = leash->cpu_end < first ? leash->cpu_end : first;
    }
  }
  return first;
}

void bridge__leash_stop_cpu(bridge__leash *leash, int64_t cpu)
{
  for (; leash != NULL; leash = leash->parent) {
    if (leash->cpu_end != INT64_MAX) {
      leash->cpu_left = leash->cpu_end - cpu;
      leash->cpu_end = INT64_MAX;
    }
  }
}
