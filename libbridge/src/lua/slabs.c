/* Slabs: where the blocks of a heap lie.

   A small state has mixed pages: blocks of all classes one behind the other, so
   that it needs no page for each class.  What is freed there is used again for its
   class, and its pages go when the state is closed.  A state that grows beyond them
   gets slabs, each of one class, and gives back those that become empty. */
#include "lua/slabs.h"

#include "base/memory.h"

#include <string.h>

enum {
  MIXED_PAGES = 16,
  /* From this footprint on, in pages, slabs are longer. */
  LARGE_PAGES = 128
};

/* ---- Sizes ---- */

#define TWICE(c)    c, c
#define TIMES_4(c)  TWICE(c), TWICE(c)
#define TIMES_8(c)  TIMES_4(c), TIMES_4(c)
#define TIMES_16(c) TIMES_8(c), TIMES_8(c)
#define TIMES_32(c) TIMES_16(c), TIMES_16(c)
#define TIMES_64(c) TIMES_32(c), TIMES_32(c)

const uint8_t bridge__size_class[BRIDGE__SMALL / 8 + 1] = {0,
                                                           0,
                                                           0,
                                                           1,
                                                           2,
                                                           3,
                                                           4,
                                                           5,
                                                           6,
                                                           TWICE(7),
                                                           TWICE(8),
                                                           TWICE(9),
                                                           TWICE(10),
                                                           TWICE(11),
                                                           TWICE(12),
                                                           TWICE(13),
                                                           TWICE(14),
                                                           TWICE(15),
                                                           TWICE(16),
                                                           TWICE(17),
                                                           TWICE(18),
                                                           TIMES_8(19),
                                                           TIMES_8(20),
                                                           TIMES_8(21),
                                                           TIMES_8(22),
                                                           TIMES_16(23),
                                                           TIMES_16(24),
                                                           TIMES_16(25),
                                                           TIMES_16(26),
                                                           TIMES_32(27),
                                                           TIMES_32(28),
                                                           TIMES_32(29),
                                                           TIMES_32(30),
                                                           TIMES_64(31),
                                                           TIMES_64(32),
                                                           TIMES_64(33),
                                                           TIMES_64(34)};

static const uint16_t sizes[BRIDGE__SIZE_CLASSES] = {
    16,  24,  32,   40,   48,   56,   64,   80,   96,   112,  128, 144,
    160, 176, 192,  208,  224,  240,  256,  320,  384,  448,  512, 640,
    768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096};

static size_t pages_for(size_t size)
{
  return (size + BRIDGE__PAGE - 1) / BRIDGE__PAGE;
}

/* ---- Runs ---- */

static bridge__run *add_run(bridge__heap *heap, size_t pages, unsigned kind)
{
  bridge__run *run = bridge__run_get(pages);
  if (run == NULL) {
    return NULL;
  }
  run->kind = (uint8_t)kind;
  run->previous = NULL;
  run->next = heap->runs;
  if (run->next != NULL) {
    run->next->previous = run;
  }
  heap->runs = run;
  heap->footprint += pages * BRIDGE__PAGE;
  if (heap->shed_below < heap->footprint / 2) {
    heap->shed_below = heap->footprint / 2;
  }
  return run;
}

static void drop_run(bridge__heap *heap, bridge__run *run)
{
  if (run->previous != NULL) {
    run->previous->next = run->next;
  } else {
    heap->runs = run->next;
  }
  if (run->next != NULL) {
    run->next->previous = run->previous;
  }
  heap->footprint -= run->pages * BRIDGE__PAGE;
  bridge__run_put(run);
}

void *bridge__run_block(bridge__heap *heap, size_t size)
{
  bridge__run *run = add_run(heap, pages_for(size), BRIDGE__RUN_BLOCK);
  return run == NULL ? NULL : bridge__run_start(run);
}

void bridge__run_block_free(bridge__heap *heap, bridge__run *run)
{
  drop_run(heap, run);
}

bool bridge__run_block_fit(bridge__heap *heap, bridge__run *run, size_t size)
{
  size_t pages = pages_for(size);
  if (pages > run->pages) {
    return false;
  }
  if (pages < run->pages) {
    heap->footprint -= (run->pages - pages) * BRIDGE__PAGE;
    bridge__run_cut(run, pages);
  }
  return true;
}

/* ---- Mixed pages ---- */

static void free_mixed(bridge__heap *heap, void *block, unsigned size_class)
{
  bridge__free_block *free = block;
  free->next = heap->mixed[size_class];
  heap->mixed[size_class] = free;
}

/* What is left of the page is too short for now, but not for all. */
static void use_rest(bridge__heap *heap)
{
  size_t left = (size_t)(heap->bump_end - heap->bump);
  while (left >= sizes[0]) {
    unsigned size_class =
        bridge__class_of(left < BRIDGE__SMALL ? left : BRIDGE__SMALL);
    if (sizes[size_class] > left) {
      size_class--;
    }
    free_mixed(heap, heap->bump, size_class);
    heap->bump += sizes[size_class];
    left -= sizes[size_class];
  }
}

static bool add_mixed(bridge__heap *heap, size_t pages)
{
  bridge__run *run = add_run(heap, pages, BRIDGE__RUN_MIXED);
  if (run == NULL) {
    return false;
  }
  bridge__run_spread(run);
  heap->mixed_pages += pages;
  heap->bump = bridge__run_start(run);
  heap->bump_end = heap->bump + pages * BRIDGE__PAGE;
  return true;
}

static size_t growth(const bridge__heap *heap)
{
  size_t pages = heap->mixed_pages == 0 ? pages_for(heap->expected) : 1;
  return pages < 1 ? 1 : pages > MIXED_PAGES ? MIXED_PAGES : pages;
}

/* Go on in the largest block that was freed, where it has room for some of these:
   tables that grow, and buffers of a parser, leave such holes in a young state. */
static bool reuse_hole(bridge__heap *heap, unsigned size_class)
{
  enum {
    AT_LEAST = 19 /* the class of 320 bytes */
  };
  unsigned least = size_class + 1 > AT_LEAST ? size_class + 1 : AT_LEAST;
  for (unsigned i = BRIDGE__SIZE_CLASSES; i > least; i--) {
    bridge__free_block *hole = heap->mixed[i - 1];
    if (hole != NULL) {
      heap->mixed[i - 1] = hole->next;
      heap->bump = (char *)hole;
      heap->bump_end = heap->bump + sizes[i - 1];
      return true;
    }
  }
  return false;
}

/* A block of the mixed pages that was never used; NULL if there is none and they
   should not grow, or if there is no memory. */
static void *bump(bridge__heap *heap, unsigned size_class)
{
  /* What is no multiple of 16 long holds nothing that is aligned to more than 8; two
     at once keep the others where they belong. */
  bool odd = sizes[size_class] % 16 != 0;
  size_t size = (size_t)sizes[size_class] << odd;
  if ((size_t)(heap->bump_end - heap->bump) < size) {
    if (heap->mixed_pages >= MIXED_PAGES) {
      return NULL;
    }
    use_rest(heap);
    if (!reuse_hole(heap, size_class) && !add_mixed(heap, growth(heap))) {
      return NULL;
    }
  }
  char *bumped = heap->bump;
  heap->bump += size;
  if (odd) {
    free_mixed(heap, bumped + size / 2, size_class);
  }
  return bumped;
}

/* ---- Slabs ---- */

/* Make a page's worth of blocks that were never used ready, so that only pages
   that are needed are touched.  False if there are no more. */
static bool carve(bridge__run *slab)
{
  const size_t size = sizes[slab->size_class];
  char *end = (char *)bridge__run_start(slab) + slab->pages * BRIDGE__PAGE;
  size_t count = (size_t)(end - slab->carve) / size;
  size_t most = BRIDGE__PAGE / size;
  if (count > most) {
    count = most;
  }
  bridge__free_block *next = NULL;
  for (size_t i = count; i > 0; i--) {
    bridge__free_block *block = (void *)(slab->carve + (i - 1) * size);
    block->next = next;
    next = block;
  }
  slab->carve += count * size;
  slab->free = next;
  return count > 0;
}

static void *pop(bridge__run *slab)
{
  bridge__free_block *block = slab->free;
  slab->free = block->next;
  slab->used++;
  return block;
}

static void link_partial(bridge__heap *heap, bridge__run *slab)
{
  bridge__run **first = &heap->slabs->partial[slab->size_class];
  slab->previous_partial = NULL;
  slab->next_partial = *first;
  if (*first != NULL) {
    (*first)->previous_partial = slab;
  }
  *first = slab;
}

static void unlink_partial(bridge__heap *heap, bridge__run *slab)
{
  if (slab->previous_partial != NULL) {
    slab->previous_partial->next_partial = slab->next_partial;
  } else {
    heap->slabs->partial[slab->size_class] = slab->next_partial;
  }
  if (slab->next_partial != NULL) {
    slab->next_partial->previous_partial = slab->previous_partial;
  }
}

static bool is_large(const bridge__heap *heap)
{
  return heap->footprint >= LARGE_PAGES * BRIDGE__PAGE;
}

/* A small state does not hold much that is empty, a large one does not come for
   pages all the time. */
static size_t slab_pages(const bridge__heap *heap, unsigned size_class)
{
  const size_t size = sizes[size_class];
  if (is_large(heap)) {
    return size <= 512 ? 4 : 16;
  }
  return size <= 512 ? 1 : size <= 1024 ? 2 : 4;
}

static bridge__run *add_slab(bridge__heap *heap, unsigned size_class)
{
  bridge__run *slab =
      add_run(heap, slab_pages(heap, size_class), BRIDGE__RUN_SLAB);
  if (slab == NULL) {
    return NULL;
  }
  bridge__run_spread(slab);
  slab->size_class = (uint8_t)size_class;
  slab->used = 0;
  slab->full = 0;
  slab->free = NULL;
  slab->carve = bridge__run_start(slab);
  carve(slab);
  return slab;
}

static bool begin_slabs(bridge__heap *heap)
{
  heap->slabs = bridge__allocate_zero(sizeof *heap->slabs);
  if (heap->slabs != NULL) {
    heap->footprint += sizeof *heap->slabs;
  }
  return heap->slabs != NULL;
}

/* The current slab has no block: make another one current. */
static void *next_slab(bridge__heap *heap, unsigned size_class)
{
  bridge__run **current = &heap->slabs->current[size_class];
  if (*current != NULL && carve(*current)) {
    return pop(*current);
  }
  bridge__run *slab = heap->slabs->partial[size_class];
  if (slab != NULL) {
    unlink_partial(heap, slab);
  } else {
    slab = add_slab(heap, size_class);
  }
  if (slab == NULL) {
    return NULL;
  }
  if (*current != NULL) {
    (*current)->full = 1;
  }
  *current = slab;
  return pop(slab);
}

void *bridge__slab_find(bridge__heap *heap, unsigned size_class)
{
  void *block = bump(heap, size_class);
  if (block != NULL) {
    return block;
  }
  if (heap->mixed_pages < MIXED_PAGES) {
    return NULL; /* the system has no page */
  }
  if (heap->slabs == NULL && !begin_slabs(heap)) {
    return NULL;
  }
  return next_slab(heap, size_class);
}

/* Whether an empty slab may stay for the next block of its class: it is little
   beside the rest. */
static bool may_stay(const bridge__heap *heap, const bridge__run *slab)
{
  return slab->pages == 1 || slab->pages * BRIDGE__PAGE * 32 <= heap->footprint;
}

/* After a peak: slabs that were kept when they were little beside the rest. */
static void shed(bridge__heap *heap)
{
  heap->shed_below = 0; /* not again meanwhile */
  for (unsigned i = 0; i < BRIDGE__SIZE_CLASSES; i++) {
    bridge__run *slab = heap->slabs->current[i];
    if (slab != NULL && slab->used == 0 && !may_stay(heap, slab)) {
      heap->slabs->current[i] = NULL;
      drop_run(heap, slab);
    }
  }
  heap->shed_below = heap->footprint / 2;
}

void bridge__slab_turn(bridge__heap *heap, bridge__run *slab)
{
  if (slab->used > 0) {
    slab->full = 0;
    link_partial(heap, slab);
    return;
  }
  if (slab == heap->slabs->current[slab->size_class]) {
    if (may_stay(heap, slab)) {
      return;
    }
    heap->slabs->current[slab->size_class] = NULL;
  } else if (!slab->full) {
    unlink_partial(heap, slab);
  }
  drop_run(heap, slab);
  if (heap->footprint < heap->shed_below) {
    shed(heap);
  }
}
