/* What queues of pointers move: a number, and whatever the queue wants to have
   embedded (ITEM_LINK).  Define `item_link` before. */
#ifndef BENCH_QUEUE_ITEM_H
#define BENCH_QUEUE_ITEM_H

#include "bench.h"

#include <stdbool.h>

typedef struct item {
  item_link link; /* first */
  int64_t value;
} item;

static inline item *item_make(int64_t value)
{
  /* A line of its own, as what another core reads should have. */
  item *made = (item *)aligned_alloc(64, 64);
  bench_check(made != NULL, "no memory");
  memset(made, 0, sizeof *made);
  made->value = value;
  return made;
}

static inline void item_free(item *what)
{
  free(what);
}

static inline void item_again(item *what, int64_t value)
{
  what->value = value;
}

static inline int64_t item_value(const item *what, bool fresh)
{
  (void)fresh;
  return what->value;
}

#endif
