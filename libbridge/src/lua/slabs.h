/* Blocks of a heap: small ones by their class, others as runs of pages. */
#ifndef BRIDGE_LUA_SLABS_H
#define BRIDGE_LUA_SLABS_H

#include "lua/heap.h"

/* What a run is for. */
enum {
  BRIDGE__RUN_MIXED, /* blocks of all classes */
  BRIDGE__RUN_SLAB,  /* blocks of one class */
  BRIDGE__RUN_BLOCK  /* one block */
};

/* By eighths of the size, rounded up. */
extern const uint8_t bridge__size_class[BRIDGE__SMALL / 8 + 1];

static inline unsigned bridge__class_of(size_t size)
{
  return bridge__size_class[(size + 7) / 8];
}

/* ---- The ways that are seldom gone ---- */

/* A small block where nothing was freed, and the current slab has none. */
void *bridge__slab_find(bridge__heap *heap, unsigned size_class);
/* A slab became empty, or was full until now. */
void bridge__slab_turn(bridge__heap *heap, bridge__run *slab);

/* A block of its own run; NULL if there is none. */
void *bridge__run_block(bridge__heap *heap, size_t size);
void bridge__run_block_free(bridge__heap *heap, bridge__run *run);
/* The same block with another size, if that is possible. */
bool bridge__run_block_fit(bridge__heap *heap, bridge__run *run, size_t size);

/* ---- The way that is often gone ---- */

static inline void *bridge__small_get(bridge__heap *heap, unsigned size_class)
{
  bridge__free_block *block = heap->mixed[size_class];
  if (block != NULL) {
    heap->mixed[size_class] = block->next;
    return block;
  }
  bridge__run *slab =
      heap->slabs == NULL ? NULL : heap->slabs->current[size_class];
  if (slab == NULL || slab->free == NULL) {
    return bridge__slab_find(heap, size_class);
  }
  block = slab->free;
  slab->free = block->next;
  slab->used++;
  return block;
}

/* `size_class` is what Lua takes it for: it has at least that one. */
static inline void bridge__small_put(bridge__heap *heap,
                                     void *block,
                                     unsigned size_class)
{
  if (heap->closing) {
    return; /* with its page */
  }
  bridge__run *run = bridge__run_of(block);
  bridge__free_block *free = block;
  if (run->kind == BRIDGE__RUN_MIXED) {
    free->next = heap->mixed[size_class];
    heap->mixed[size_class] = free;
  } else if (run->kind == BRIDGE__RUN_SLAB) {
    free->next = run->free;
    run->free = free;
    run->used--;
    if (run->used == 0 || run->full) {
      bridge__slab_turn(heap, run);
    }
  } else {
    bridge__run_block_free(heap, run); /* it could not be made smaller */
  }
}

#endif
