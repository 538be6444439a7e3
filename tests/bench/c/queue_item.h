/* What the other queues move.  Where the queue has links in its items, `item_link`
   is defined before, and an item is written, sent and read.  The others carry the
   number itself instead of a pointer, since they can, and nobody reads through it;
   only what is fresh is a real item there, too. */
#ifndef BENCH_QUEUE_ITEM_H
#define BENCH_QUEUE_ITEM_H

#include "bench.h"

#include <stdbool.h>

#ifndef ITEM_IS_NUMBER
#define ITEM_IS_NUMBER 0
#endif

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

#if ITEM_IS_NUMBER

static inline item *item_again(item *what, int64_t value)
{
  (void)what;
  return (item *)(uintptr_t)(value + 1); /* not NULL */
}

static inline int64_t item_value(const item *what, bool fresh)
{
  return fresh ? what->value : (int64_t)(uintptr_t)what - 1;
}

#else

static inline item *item_again(item *what, int64_t value)
{
  what->value = value;
  return what;
}

static inline int64_t item_value(const item *what, bool fresh)
{
  (void)fresh;
  return what->value;
}

#endif

#endif
