/* Gauge: what anybody may see of a worker while it works.  Written by who holds its
   state, without a lock; each number stands for itself. */
#ifndef BRIDGE_WORKER_GAUGE_H
#define BRIDGE_WORKER_GAUGE_H

#include "base/text.h"
#include "platform/platform.h"

#include <stdatomic.h>
#include <string.h>

/* Bytes of a label, with the NUL. */
#define BRIDGE__LABEL ((size_t)48)

/* What a task is called: zeros behind the text. */
typedef struct bridge__label {
  char text[BRIDGE__LABEL];
} bridge__label;

typedef struct bridge__gauge {
  /* The label of what runs.  Odd while it is written: who reads sees the same even
     number before and after. */
  atomic_uint version;
  _Atomic(uint64_t) words[BRIDGE__LABEL / sizeof(uint64_t)];
  _Atomic(int64_t) since; /* when it began; 0: nothing runs */
  _Atomic(uint64_t) messages;
  _Atomic(uint64_t) errors;
  _Atomic(uint64_t) refused; /* of many writers */
  atomic_int cpu_clock;      /* of the thread that it has now; 0 for none */
  _Atomic(int64_t) cpu_base; /* what was on that clock before */
  _Atomic(int64_t) cpu_spent;
} bridge__gauge;

/* Text that does not fit is cut. */
static inline void bridge__label_set(bridge__label *label,
                                     const char *text,
                                     size_t size)
{
  size_t fit = bridge__text_fit(text, size, BRIDGE__LABEL - 1);
  memset(label, 0, sizeof *label);
  memcpy(label->text, text, fit);
}

static inline void bridge__gauge_begin(bridge__gauge *gauge,
                                       const bridge__label *label)
{
  uint64_t words[BRIDGE__LABEL / sizeof(uint64_t)];
  memcpy(words, label->text, sizeof words);
  /* Takes nothing: there is one writer. */
  unsigned version =
      atomic_load_explicit(&gauge->version, memory_order_relaxed);
  atomic_store_explicit(&gauge->version, version + 1, memory_order_relaxed);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    /* Publishes that the version is odd, to who sees the word. */
    atomic_store_explicit(&gauge->words[i], words[i], memory_order_release);
  }
  /* Publishes the words. */
  atomic_store_explicit(&gauge->version, version + 2, memory_order_release);
  /* Stands for itself. */
  atomic_store_explicit(&gauge->since, bridge__now_roughly(),
                        memory_order_relaxed);
}

static inline void bridge__gauge_end(bridge__gauge *gauge)
{
  /* Stands for itself. */
  atomic_store_explicit(&gauge->since, 0, memory_order_relaxed);
}

/* For the one writer of a number. */
static inline void bridge__gauge_count(_Atomic(uint64_t) *number)
{
  /* Neither takes nor publishes anything. */
  uint64_t before = atomic_load_explicit(number, memory_order_relaxed);
  atomic_store_explicit(number, before + 1, memory_order_relaxed);
}

/* What runs, and since when, 0 for nothing. */
int64_t bridge__gauge_running(const bridge__gauge *gauge, bridge__label *out);

/* Around the work of the calling thread. */
void bridge__gauge_arrive(bridge__gauge *gauge);
void bridge__gauge_depart(bridge__gauge *gauge);
int64_t bridge__gauge_cpu(const bridge__gauge *gauge);

#endif
