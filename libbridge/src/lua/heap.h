/* The memory of one Lua state: counted, and capped. */
#ifndef BRIDGE_LUA_HEAP_H
#define BRIDGE_LUA_HEAP_H

#include <stdatomic.h>
#include <stddef.h>

/* Written by the holder of the state, read by anybody. */
typedef struct bridge__heap {
  atomic_size_t used;
  atomic_size_t peak;
  atomic_size_t limit; /* 0 for none; set once the libraries are open */
} bridge__heap;

/* A lua_Alloc; `user` is the heap. */
void *bridge__heap_allocate(void *user, void *block, size_t old, size_t size);

#endif
