/* Pages: hands out runs of pages of any length, and takes them back.

   A buddy system within arenas of 2 MiB.  A run that is no power of two long gives
   its end back at once, so that nothing is wasted but the order in the lists. */
#include "base/pages.h"

#include "platform/platform.h"

enum {
  PAGES = (int)(BRIDGE__ARENA / BRIDGE__PAGE),
  /* The first pages of an arena hold what is known of all of them. */
  TAKEN = (int)(PAGES * sizeof(bridge__run) / BRIDGE__PAGE),
  TAKEN_ORDER = 3, /* TAKEN is 2^TAKEN_ORDER */
  ORDERS = 9,      /* of 1 to 256 pages */
  /* Free pages that are kept: 32 MiB.  To take a page from the system costs a
     fault and clearing it. */
  KEPT_PAGES = 8192,
  KEPT_ARENAS = 16,
  /* Smaller blocks are not worth a call of the system. */
  DISCARD_ORDER = 4
};

_Static_assert(TAKEN == 1 << TAKEN_ORDER, "the head of an arena is one block");
_Static_assert(1 << (ORDERS - 1) == PAGES / 2, "the rest of it are blocks");

enum {
  USED = 0,
  DIRTY = 1, /* free */
  CLEAN = 2  /* free, and the system has its memory */
};

static bridge__mutex mutex = BRIDGE__MUTEX_INIT;
/* All guarded by mutex: */
static bridge__run *blocks[ORDERS]; /* free, by their order */
static bridge__pages_numbers numbers;
static size_t empty_arenas;

/* The head of an arena keeps its number of used pages, where a run would have its
   own. */
static bridge__run *arena_of(bridge__run *run)
{
  return (bridge__run *)((uintptr_t)run & ~(BRIDGE__ARENA - 1));
}

/* ---- Free blocks ---- */

static void push(bridge__run *block, unsigned order, uint8_t state)
{
  block->state = state;
  block->order = (uint8_t)order;
  block->previous = NULL;
  block->next = blocks[order];
  if (block->next != NULL) {
    block->next->previous = block;
  }
  blocks[order] = block;
  if (state == DIRTY) {
    numbers.dirty += (size_t)1 << order;
  }
}

static void take(bridge__run *block)
{
  if (block->previous != NULL) {
    block->previous->next = block->next;
  } else {
    blocks[block->order] = block->next;
  }
  if (block->next != NULL) {
    block->next->previous = block->previous;
  }
  if (block->state == DIRTY) {
    numbers.dirty -= (size_t)1 << block->order;
  }
  block->state = USED;
}

/* ---- Arenas ---- */

static bool add_arena(void)
{
  bridge__run *arena = bridge__map(BRIDGE__ARENA); /* full of zeros */
  if (arena == NULL) {
    return false;
  }
  for (unsigned order = TAKEN_ORDER; order < ORDERS; order++) {
    push(arena + ((size_t)1 << order), order, CLEAN);
  }
  numbers.arenas++;
  empty_arenas++;
  return true;
}

static void drop_arena(bridge__run *arena)
{
  for (unsigned order = TAKEN_ORDER; order < ORDERS; order++) {
    take(arena + ((size_t)1 << order));
  }
  numbers.arenas--;
  empty_arenas--;
  bridge__unmap(arena, BRIDGE__ARENA);
}

static void count_used(bridge__run *arena, size_t pages)
{
  if (arena->used == 0) {
    empty_arenas--;
  }
  arena->used += (uint32_t)pages;
  numbers.used += pages;
}

/* True if that was the last of them. */
static bool count_free(bridge__run *arena, size_t pages)
{
  arena->used -= (uint32_t)pages;
  numbers.used -= pages;
  if (arena->used == 0) {
    empty_arenas++;
  }
  return arena->used == 0;
}

/* ---- Giving back ---- */

static void discard(bridge__run *block, unsigned order)
{
  bridge__discard(bridge__run_start(block), BRIDGE__PAGE << order);
}

/* Put one block among the free ones, together with its neighbours. */
static void join(bridge__run *arena, size_t index, unsigned order)
{
  uint8_t state = DIRTY;
  while (order < ORDERS - 1) {
    size_t other = index ^ ((size_t)1 << order);
    bridge__run *buddy = arena + other;
    if (other < TAKEN || buddy->state == USED || buddy->order != order) {
      break;
    }
    take(buddy);
    index &= other;
    order++;
  }
  size_t dirty = numbers.dirty + ((size_t)1 << order);
  if (order >= DISCARD_ORDER && dirty > KEPT_PAGES) {
    discard(arena + index, order);
    state = CLEAN;
  }
  push(arena + index, order, state);
}

/* The largest block that begins at `index` and is not longer than `pages`. */
static unsigned largest(size_t index, size_t pages)
{
  unsigned order = 0;
  while (order < ORDERS - 1 && (index & ((size_t)1 << order)) == 0 &&
         (size_t)2 << order <= pages) {
    order++;
  }
  return order;
}

static void give(bridge__run *arena, size_t index, size_t pages)
{
  while (pages > 0) {
    unsigned order = largest(index, pages);
    size_t size = (size_t)1 << order;
    join(arena, index, order);
    index += size;
    pages -= size;
  }
}

static void put(bridge__run *run, size_t first, size_t pages)
{
  bridge__run *arena = arena_of(run);
  give(arena, (size_t)(run - arena) + first, pages);
  if (count_free(arena, pages) &&
      (numbers.dirty > KEPT_PAGES || empty_arenas > KEPT_ARENAS)) {
    drop_arena(arena);
  }
}

void bridge__run_put(bridge__run *run)
{
  bridge__mutex_lock(&mutex);
  put(run, 0, run->pages);
  bridge__mutex_unlock(&mutex);
}

void bridge__run_put_all(bridge__run *first)
{
  bridge__mutex_lock(&mutex);
  while (first != NULL) {
    bridge__run *next = first->next;
    put(first, 0, first->pages);
    first = next;
  }
  bridge__mutex_unlock(&mutex);
}

void bridge__run_cut(bridge__run *run, size_t pages)
{
  bridge__mutex_lock(&mutex);
  put(run, pages, run->pages - pages);
  run->pages = (uint16_t)pages;
  bridge__mutex_unlock(&mutex);
}

/* ---- Taking ---- */

static unsigned order_of(size_t pages)
{
  unsigned order = 0;
  while ((size_t)1 << order < pages) {
    order++;
  }
  return order;
}

/* A block of at least that order. */
static bridge__run *find(unsigned order)
{
  while (order < ORDERS) {
    if (blocks[order] != NULL) {
      return blocks[order];
    }
    order++;
  }
  return NULL;
}

/* Halve a block until it has the order; the other halves are free. */
static void split(bridge__run *block,
                  unsigned from,
                  unsigned order,
                  uint8_t state)
{
  while (from > order) {
    from--;
    push(block + ((size_t)1 << from), from, state);
  }
}

static bridge__run *get(size_t pages)
{
  unsigned order = order_of(pages);
  bridge__run *run = find(order);
  if (run == NULL && add_arena()) {
    run = find(order);
  }
  if (run == NULL) {
    return NULL;
  }
  uint8_t state = run->state;
  unsigned found = run->order;
  take(run);
  split(run, found, order, state);
  bridge__run *arena = arena_of(run);
  size_t size = (size_t)1 << order;
  count_used(arena, size);
  if (pages < size) {
    put(run, pages, size - pages);
  }
  return run;
}

static void lock_pages(void)
{
  bridge__mutex_lock(&mutex);
}

static void unlock_pages(void)
{
  bridge__mutex_unlock(&mutex);
}

bridge__run *bridge__run_get(size_t pages)
{
  if (pages == 0 || pages > BRIDGE__RUN_PAGES) {
    return NULL;
  }
  bridge__at_fork(BRIDGE__FORK_PAGES, lock_pages, unlock_pages);
  bridge__mutex_lock(&mutex);
  bridge__run *run = get(pages);
  bridge__mutex_unlock(&mutex);
  if (run != NULL) {
    run->pages = (uint16_t)pages;
    run->place = 0;
  }
  return run;
}

void bridge__run_spread(bridge__run *run)
{
  for (uint16_t i = 1; i < run->pages; i++) {
    run[i].place = i;
  }
}

/* ---- Looking ---- */

static void trim_blocks(void)
{
  for (unsigned order = 0; order < ORDERS; order++) {
    for (bridge__run *each = blocks[order]; each != NULL; each = each->next) {
      if (each->state == DIRTY) {
        discard(each, order);
        each->state = CLEAN;
        numbers.dirty -= (size_t)1 << order;
      }
    }
  }
}

void bridge__pages_trim(void)
{
  bridge__mutex_lock(&mutex);
  bridge__run *block = blocks[ORDERS - 1]; /* each empty arena has one */
  while (block != NULL) {
    bridge__run *next = block->next;
    bridge__run *arena = arena_of(block);
    if (arena->used == 0) {
      drop_arena(arena);
    }
    block = next;
  }
  trim_blocks();
  bridge__mutex_unlock(&mutex);
}

bridge__pages_numbers bridge__pages_look(void)
{
  bridge__mutex_lock(&mutex);
  bridge__pages_numbers now = numbers;
  bridge__mutex_unlock(&mutex);
  return now;
}
