/* The memory of one Lua state: counted, capped, and in one piece.

   Small blocks come from pages that belong to the state alone.  One thread at a
   time holds a state, so that nothing here locks; and who closes it gives whole
   pages back, not blocks.  Where the host has an allocator of its own, and where a
   sanitizer looks, every block comes from the library's allocator instead. */
#ifndef BRIDGE_LUA_HEAP_H
#define BRIDGE_LUA_HEAP_H

#include "base/pages.h"
#include "lua/census.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Sizes of small blocks: by 8 bytes up to 64, as most of Lua's are strings, tables
   and nodes of that size, by 16 up to 256, then four for each doubling. */
#define BRIDGE__SIZE_CLASSES 35
/* Up to here a block has a size class, */
#define BRIDGE__SMALL ((size_t)4096)
/* up to here a run of pages, and above it comes from the library's allocator. */
#define BRIDGE__MIDDLE ((size_t)256 * 1024)

typedef struct bridge__free_block {
  struct bridge__free_block *next;
} bridge__free_block;

/* Slabs are runs of pages with blocks of one class. */
typedef struct bridge__slabs {
  bridge__run *current[BRIDGE__SIZE_CLASSES]; /* where blocks come from */
  bridge__run *partial[BRIDGE__SIZE_CLASSES]; /* others with free blocks */
} bridge__slabs;

/* Used by the holder of the state only, but for the numbers. */
typedef struct bridge__heap {
  atomic_size_t used; /* written by the holder, read by anybody; so is peak */
  atomic_size_t peak;
  atomic_size_t limit; /* 0 for none; set once the libraries are open */
  /* Set while its script is being stopped: blocks do not grow by much any more.  By
     the holder and by signals of its thread. */
  atomic_bool refusing;
  bool refused;         /* and one did not, since somebody looked */
  bool pages;           /* whether blocks come from pages of its own */
  bool closing;         /* small blocks need not be freed any more */
  size_t footprint;     /* bytes of all pages and large blocks */
  size_t shed_below;    /* when to look for slabs that are not needed */
  bridge__run *runs;    /* all of them */
  bridge__slabs *slabs; /* NULL while the state is small; see slabs.c */
  size_t expected;      /* bytes of the first mixed pages */
  size_t mixed_pages;
  char *bump; /* what was never used of the mixed page */
  char *bump_end;
  bridge__free_block *mixed[BRIDGE__SIZE_CLASSES]; /* freed in mixed pages */
  bridge__census census; /* the coroutines; its tables are not counted */
} bridge__heap;

/* `expected` is what it will need at least, in bytes. */
void bridge__heap_init(bridge__heap *heap, bool pages, size_t expected);
/* What is freed from now on is not reused: all goes away soon. */
void bridge__heap_close(bridge__heap *heap);
/* Gives back all pages.  Large blocks have to be freed before. */
void bridge__heap_destroy(bridge__heap *heap);

/* A lua_Alloc; `user` is the heap. */
void *bridge__heap_allocate(void *user, void *block, size_t old, size_t size);

#endif
