/* What heap_support.h promises, with the library's internal headers. */
#include "heap_support.h"

#include "lua/heap.h"

#include <stdlib.h>

struct test_heap {
  bridge__heap heap;
};

void *pages_get(size_t pages)
{
  bridge__run *run = bridge__run_get(pages);
  return run == NULL ? NULL : bridge__run_start(run);
}

void pages_put(void *start)
{
  bridge__run_put(bridge__run_of(start));
}

void pages_cut(void *start, size_t pages)
{
  bridge__run_cut(bridge__run_of(start), pages);
}

void pages_trim(void)
{
  bridge__pages_trim();
}

pages_numbers pages_look(void)
{
  bridge__pages_numbers numbers = bridge__pages_look();
  return (pages_numbers){numbers.arenas, numbers.used, numbers.dirty};
}

test_heap *heap_create(bool pages, size_t expected)
{
  test_heap *heap = malloc(sizeof *heap);
  if (heap != NULL) {
    bridge__heap_init(&heap->heap, pages, expected);
  }
  return heap;
}

void heap_destroy(test_heap *heap)
{
  bridge__heap_close(&heap->heap);
  bridge__heap_destroy(&heap->heap);
  free(heap);
}

void heap_close(test_heap *heap)
{
  bridge__heap_close(&heap->heap);
}

void heap_limit(test_heap *heap, size_t limit)
{
  atomic_store(&heap->heap.limit, limit);
}

size_t heap_used(const test_heap *heap)
{
  return atomic_load(&heap->heap.used);
}

size_t heap_peak(const test_heap *heap)
{
  return atomic_load(&heap->heap.peak);
}

size_t heap_footprint(const test_heap *heap)
{
  return heap->heap.footprint;
}

void *heap_allocate(test_heap *heap, void *block, size_t old, size_t size)
{
  return bridge__heap_allocate(&heap->heap, block, old, size);
}

void heap_learn(test_heap *heap, void *block)
{
  bridge__census_learn(&heap->heap.census, block);
}

void heap_coroutines(const test_heap *heap,
                     void (*visit)(void *user, struct lua_State *block),
                     void *user)
{
  bridge__census_each(&heap->heap.census, visit, user);
}
