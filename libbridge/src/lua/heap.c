/* Heap: every byte of a Lua state passes here, is counted, and may be refused.
   Nothing else knows where that memory comes from. */
#include "lua/heap.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

/* Only the holder of the state writes `used` and `peak`, so that loads and
   stores suffice; they are atomic for the threads that watch.  The numbers
   publish nothing but themselves. */
static void count(bridge__heap *heap, size_t old, size_t size)
{
  /* relaxed: the holder reads what the holder wrote */
  size_t used =
      atomic_load_explicit(&heap->used, memory_order_relaxed) - old + size;
  /* relaxed: a number to look at */
  atomic_store_explicit(&heap->used, used, memory_order_relaxed);
  /* relaxed: the holder reads what the holder wrote */
  if (used > atomic_load_explicit(&heap->peak, memory_order_relaxed)) {
    /* relaxed: a number to look at */
    atomic_store_explicit(&heap->peak, used, memory_order_relaxed);
  }
}

static bool allowed(const bridge__heap *heap, size_t growth)
{
  /* relaxed: set before the state has a second user */
  size_t limit = atomic_load_explicit(&heap->limit, memory_order_relaxed);
  if (limit == 0) {
    return true;
  }
  /* relaxed: the holder reads what the holder wrote */
  size_t used = atomic_load_explicit(&heap->used, memory_order_relaxed);
  return used <= limit && growth <= limit - used;
}

void *bridge__heap_allocate(void *user, void *block, size_t old, size_t size)
{
  bridge__heap *heap = user;
  if (block == NULL) {
    old = 0; /* Lua hands a type tag here */
  }
  if (size == 0) {
    bridge__free(block);
    count(heap, old, 0);
    return NULL;
  }
  if (size > old && !allowed(heap, size - old)) {
    return NULL; /* Lua collects its garbage and asks once more */
  }
  void *result = bridge__resize(block, size);
  if (result == NULL && size <= old) {
    result = block; /* Lua counts on it that shrinking works */
  }
  if (result != NULL) {
    count(heap, old, size);
  }
  return result;
}
