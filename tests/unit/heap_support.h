/* The page heap and the heap of a state, for tests in C++: their own headers have
   atomic members, which C++ does not read. */
#ifndef TESTS_HEAP_SUPPORT_H
#define TESTS_HEAP_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A run of pages as what lies at its beginning; NULL if there is none. */
void *pages_get(size_t pages);
void pages_put(void *start);
void pages_cut(void *start, size_t pages);
void pages_trim(void);

typedef struct pages_numbers {
  size_t arenas;
  size_t used;
  size_t dirty;
} pages_numbers;
pages_numbers pages_look(void);

typedef struct test_heap test_heap;
test_heap *heap_create(bool pages, size_t expected);
/* Closes it first. */
void heap_destroy(test_heap *heap);
void heap_close(test_heap *heap);
void heap_limit(test_heap *heap, size_t limit);
size_t heap_used(const test_heap *heap);
size_t heap_peak(const test_heap *heap);
size_t heap_footprint(const test_heap *heap);
void *heap_allocate(test_heap *heap, void *block, size_t old, size_t size);
/* From now on each block of a coroutine stands for it; the last one made is one. */
void heap_learn(test_heap *heap, void *block);
struct lua_State;
/* Call `visit` for each coroutine that a kick would find. */
void heap_coroutines(const test_heap *heap,
                     void (*visit)(void *user, struct lua_State *block),
                     void *user);

#ifdef __cplusplus
}
#endif

#endif
