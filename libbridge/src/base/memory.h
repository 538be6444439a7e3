/* The library's allocator, sizes that cannot overflow, and recycled blocks. */
#ifndef BRIDGE_BASE_MEMORY_H
#define BRIDGE_BASE_MEMORY_H

#include <bridge/memory.h>

#include <stdbool.h>
#include <stddef.h>

/* NULL when there is none; a size of 0 is treated as 1. */
void *bridge__allocate(size_t size);
void *bridge__allocate_zero(size_t size);
/* `block` may be NULL; on failure it stays as it was. */
void *bridge__resize(void *block, size_t size);
/* `block` may be NULL. */
void bridge__free(void *block);
/* A copy with a NUL behind it; NULL when there is no memory.  `text` may be NULL
   if `size` is 0. */
char *bridge__copy_text(const char *text, size_t size);

/* Whether it is malloc, and no allocator of the host's. */
bool bridge__allocator_is_standard(void);

/* False, and `*out` untouched, if the result does not fit. */
bool bridge__add(size_t a, size_t b, size_t *out);
bool bridge__multiply(size_t a, size_t b, size_t *out);

/* Blocks of one size, for small messages.  Each thread keeps a magazine of them;
   full magazines move between threads through a depot (Bonwick and Adams,
   "Magazines and Vmem", USENIX 2001), since the thread that frees a message is
   seldom the one that made it. */
#define BRIDGE__BLOCK_SIZE ((size_t)256)
void *bridge__block_get(void);
void bridge__block_put(void *block);
/* The calling thread is about to sleep: others may have what it keeps, as thousands
   that sleep would keep a lot. */
void bridge__blocks_rest(void);

/* Have bridge_trim call this, too; the same hook for all. */
void bridge__at_trim(void (*hook)(void));

#endif
