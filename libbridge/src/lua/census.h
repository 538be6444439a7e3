/* Census: all coroutines of a Lua state, whoever made them, as the state's allocator
   sees them come and go.  A kick reaches with it those that run unknown to our
   coroutine library: C functions of others resume them.

   Lua tells its allocator that a new block is for a coroutine, but not when the
   coroutine is ready.  A block is a newcomer until its stack, which comes next, was
   allocated, and counts from the allocation after that one on: there is one before it
   can run anything, for its first call.

   Only the thread that holds the state changes it, and a kick that looks at it has
   interrupted that thread: so each step leaves all coroutines in it, and nothing that
   is gone.  One that moves is twice in it for a moment. */
#ifndef BRIDGE_LUA_CENSUS_H
#define BRIDGE_LUA_CENSUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lua_State;

#define BRIDGE__CENSUS_FIRST 8

/* A hash table with places one behind the other. */
typedef struct bridge__census_table {
  size_t places; /* a power of two; at most half of them are taken */
  _Atomic(char *) *blocks;
} bridge__census_table;

typedef enum bridge__newcomer {
  BRIDGE__NOBODY,
  BRIDGE__WITHOUT_STACK,
  BRIDGE__WITH_STACK
} bridge__newcomer;

/* All of the holder, and of kicks while it stands. */
typedef struct bridge__census {
  _Atomic(bridge__census_table *) table;
  bridge__newcomer stage;
  char *newcomer;
  size_t count; /* without the newcomer */
  bool founded; /* the main thread's block, which is larger, has come */
  size_t size;  /* of a coroutine's block; 0 before the first one */
  /* From a block to its lua_State; it is known once `learned`. */
  atomic_size_t offset;
  atomic_bool learned;
  bridge__census_table first;
  _Atomic(char *) first_blocks[BRIDGE__CENSUS_FIRST];
} bridge__census;

void bridge__census_init(bridge__census *census);
void bridge__census_destroy(bridge__census *census);

/* ---- For the allocator ---- */
/* Before a block for a coroutine: false if there is no room for one more. */
bool bridge__census_reserve(bridge__census *census, size_t size);
/* It was allocated. */
void bridge__census_welcome(bridge__census *census, void *block, size_t size);
/* Before another allocation, when there is a newcomer with a stack. */
void bridge__census_settle(bridge__census *census);
/* Before a block of the size of a coroutine's is freed; it need not be one. */
void bridge__census_leave(bridge__census *census, void *block);

/* ---- For the state ---- */
/* The last coroutine that was made. */
void bridge__census_learn(bridge__census *census, const struct lua_State *L);
/* Async-signal-safe. */
void bridge__census_each(const bridge__census *census,
                         void (*visit)(void *user, struct lua_State *L),
                         void *user);

#endif
