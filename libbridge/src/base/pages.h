/* Runs of pages, for what needs memory in larger pieces than the allocator's: the
   heaps of Lua states.  They come from arenas that the system gives, and what is
   free beyond a bound goes back to it. */
#ifndef BRIDGE_BASE_PAGES_H
#define BRIDGE_BASE_PAGES_H

#include <stddef.h>
#include <stdint.h>

#define BRIDGE__PAGE  ((size_t)4096)
#define BRIDGE__ARENA ((size_t)2 * 1024 * 1024)

/* Most pages of one run: 1 MiB. */
#define BRIDGE__RUN_PAGES ((size_t)256)

/* One for each page, at the beginning of its arena; that of its first page stands
   for a run. */
typedef struct bridge__run {
  _Alignas(64) struct bridge__run *next; /* the owner's, while a run is used */
  struct bridge__run *previous;
  uint16_t pages; /* of a run that is used */
  uint16_t place; /* of a page within a run that was spread */
  uint8_t order;  /* of a free block: it has 2^order pages */
  uint8_t state;  /* whether it is free */
  /* All the rest is the owner's (lua/slabs.c). */
  uint8_t kind;
  uint8_t size_class;
  uint32_t used;
  uint32_t full;
  void *free;
  char *carve;
  struct bridge__run *next_partial;
  struct bridge__run *previous_partial;
} bridge__run;

_Static_assert(sizeof(bridge__run) == 64, "a line of the processor's cache");

/* Their contents are whatever was there before; NULL when there is none, or if it
   would be too long. */
bridge__run *bridge__run_get(size_t pages);
/* Any thread may give back what another one got. */
void bridge__run_put(bridge__run *run);
/* All that hang together by `next`. */
void bridge__run_put_all(bridge__run *first);
/* Give back all but the first pages. */
void bridge__run_cut(bridge__run *run, size_t pages);
/* Let bridge__run_of find the run from any of its pages. */
void bridge__run_spread(bridge__run *run);

/* Give to the system what is free now. */
void bridge__pages_trim(void);

typedef struct bridge__pages_numbers {
  size_t arenas; /* mapped now */
  size_t used;   /* pages that somebody has */
  size_t dirty;  /* pages that nobody has, but which still take memory */
} bridge__pages_numbers;
bridge__pages_numbers bridge__pages_look(void);

/* The run in which a block lies: from its first page, or from any after
   bridge__run_spread. */
static inline bridge__run *bridge__run_of(const void *block)
{
  uintptr_t address = (uintptr_t)block;
  bridge__run *arena = (bridge__run *)(address & ~(BRIDGE__ARENA - 1));
  bridge__run *page = arena + (address & (BRIDGE__ARENA - 1)) / BRIDGE__PAGE;
  return page - page->place;
}

static inline void *bridge__run_start(const bridge__run *run)
{
  uintptr_t address = (uintptr_t)run;
  uintptr_t arena = address & ~(BRIDGE__ARENA - 1);
  return (void *)(arena + (address - arena) / sizeof *run * BRIDGE__PAGE);
}

#endif
