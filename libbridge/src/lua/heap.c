/* Heap: every byte of a Lua state passes here, is counted, and may be refused.
   slabs.c has the blocks. */
#include "lua/heap.h"

#include "base/memory.h"
#include "lua/slabs.h"

#include <lua.h>

#include <stdint.h>
#include <string.h>

/* ---- Counting ---- */

/* Only the holder of the state writes `used` and `peak`, so that loads and
   stores suffice; they are atomic for the threads that watch.  The numbers
   publish nothing but themselves. */
static inline void count(bridge__heap *heap, size_t old, size_t size)
{
  /* relaxed: the holder reads what the holder wrote */
  size_t used =
      atomic_load_explicit(&heap->used, memory_order_relaxed) - old + size;
  /* relaxed: a number to look at */
  atomic_store_explicit(&heap->used, used, memory_order_relaxed);
  /* relaxed: the holder reads what the holder wrote */
  if (size > old &&
      used > atomic_load_explicit(&heap->peak, memory_order_relaxed)) {
    /* relaxed: a number to look at */
    atomic_store_explicit(&heap->peak, used, memory_order_relaxed);
  }
}

/* What a C function may still allocate at once while its script is being stopped. */
static const size_t small_growth = 64 * 1024;

static bool allowed(bridge__heap *heap, size_t growth)
{
  /* Takes nothing: a signal of this thread wrote it. */
  if (growth > small_growth &&
      atomic_load_explicit(&heap->refusing, memory_order_relaxed)) {
    heap->refused = true;
    return false;
  }
  /* relaxed: set before the state has a second user */
  size_t limit = atomic_load_explicit(&heap->limit, memory_order_relaxed);
  if (limit == 0) {
    return true;
  }
  /* relaxed: the holder reads what the holder wrote */
  size_t used = atomic_load_explicit(&heap->used, memory_order_relaxed);
  return used <= limit && growth <= limit - used;
}

/* ---- Blocks of all sizes ---- */

/* Of the library's allocator.  To make one smaller always works. */
static void *resize_singly(void *block, size_t old, size_t size)
{
  void *result = bridge__resize(block, size);
  return result == NULL && size <= old ? block : result;
}

static inline void *get(bridge__heap *heap, size_t size)
{
  if (size <= BRIDGE__SMALL) {
    return bridge__small_get(heap, bridge__class_of(size));
  }
  if (size <= BRIDGE__MIDDLE) {
    return bridge__run_block(heap, size);
  }
  void *block = bridge__allocate(size);
  if (block != NULL) {
    heap->footprint += size;
  }
  return block;
}

static inline void put(bridge__heap *heap, void *block, size_t size)
{
  if (size <= BRIDGE__SMALL) {
    bridge__small_put(heap, block, bridge__class_of(size));
  } else if (size <= BRIDGE__MIDDLE) {
    bridge__run_block_free(heap, bridge__run_of(block));
  } else {
    heap->footprint -= size;
    bridge__free(block);
  }
}

/* Whether a block can stay where it is. */
static bool fits(bridge__heap *heap, void *block, size_t old, size_t size)
{
  if (size <= BRIDGE__SMALL) {
    return old <= BRIDGE__SMALL &&
           bridge__class_of(old) == bridge__class_of(size);
  }
  return old > BRIDGE__SMALL && old <= BRIDGE__MIDDLE &&
         size <= BRIDGE__MIDDLE &&
         bridge__run_block_fit(heap, bridge__run_of(block), size);
}

static void *resize_large(bridge__heap *heap,
                          void *block,
                          size_t old,
                          size_t size)
{
  heap->footprint = heap->footprint - old;
  void *result = resize_singly(block, old, size);
  heap->footprint += result == NULL ? old : size;
  return result;
}

static void *resize(bridge__heap *heap, void *block, size_t old, size_t size)
{
  if (fits(heap, block, old, size)) {
    return block;
  }
  if (old > BRIDGE__MIDDLE && size > BRIDGE__MIDDLE) {
    return resize_large(heap, block, old, size);
  }
  void *result = get(heap, size);
  if (result == NULL) {
    /* One that should shrink may stay, as its run knows what it is; but the
       library's allocator has to be told the size that it was given. */
    return size <= old && old <= BRIDGE__MIDDLE ? block : NULL;
  }
  memcpy(result, block, old < size ? old : size);
  put(heap, block, old);
  return result;
}

/* ---- For Lua ---- */

static void *begin(bridge__heap *heap, size_t size)
{
  if (!allowed(heap, size)) {
    return NULL; /* Lua collects its garbage and asks once more */
  }
  void *block = heap->pages ? get(heap, size) : bridge__allocate(size);
  if (block != NULL) {
    count(heap, 0, size);
  }
  return block;
}

/* The same for a coroutine, and for what comes next. */
static void *begin_coroutine(bridge__heap *heap, size_t kind, size_t size)
{
  bridge__census *census = &heap->census;
  bool coroutine = kind == LUA_TTHREAD;
  if (coroutine && !bridge__census_reserve(census, size)) {
    return NULL;
  }
  if (census->stage == BRIDGE__WITH_STACK) {
    bridge__census_settle(census);
  }
  void *block = begin(heap, size);
  if (block != NULL && coroutine) {
    bridge__census_welcome(census, block, size);
  } else if (block != NULL && census->stage == BRIDGE__WITHOUT_STACK) {
    census->stage = BRIDGE__WITH_STACK;
  }
  return block;
}

static void *change(bridge__heap *heap, void *block, size_t old, size_t size)
{
  if (size > old && !allowed(heap, size - old)) {
    return NULL;
  }
  void *result = heap->pages ? resize(heap, block, old, size)
                             : resize_singly(block, old, size);
  if (result != NULL) {
    count(heap, old, size);
  }
  return result;
}

static void end(bridge__heap *heap, void *block, size_t size)
{
  count(heap, size, 0);
  if (heap->pages) {
    put(heap, block, size);
  } else {
    bridge__free(block);
  }
}

void *bridge__heap_allocate(void *user, void *block, size_t old, size_t size)
{
  bridge__heap *heap = user;
  if (block == NULL) { /* then `old` is a type */
    if (size == 0) {
      return NULL;
    }
    return old == LUA_TTHREAD || heap->census.stage != BRIDGE__NOBODY
               ? begin_coroutine(heap, old, size)
               : begin(heap, size);
  }
  if (size > 0) {
    return change(heap, block, old, size);
  }
  if (old == heap->census.size) {
    bridge__census_leave(&heap->census, block);
  }
  end(heap, block, old);
  return NULL;
}

/* ---- Beginning and end ---- */

void bridge__heap_init(bridge__heap *heap, bool pages, size_t expected)
{
  memset(heap, 0, sizeof *heap);
  heap->pages = pages;
  heap->expected = expected;
  bridge__census_init(&heap->census);
}

void bridge__heap_close(bridge__heap *heap)
{
  heap->closing = true;
}

void bridge__heap_destroy(bridge__heap *heap)
{
  bridge__run_put_all(heap->runs);
  bridge__free(heap->slabs);
  bridge__census_destroy(&heap->census);
  heap->runs = NULL;
  heap->slabs = NULL;
}
