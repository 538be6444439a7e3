/* Census: the heap tells it of coroutines (heap.c), and kicks go through them
   (kicked.c). */
#include "lua/census.h"

#include "base/memory.h"

#include <lua.h>

#include <string.h>

enum {
  MANY = 1024 /* places, from which on the table becomes smaller again */
};

/* All accesses to places are relaxed: of one thread, and of the kicks that interrupt
   it, for which a fence keeps the order. */
static char *look(const bridge__census_table *table, size_t place)
{
  return atomic_load_explicit(&table->blocks[place], memory_order_relaxed);
}

static void put(bridge__census_table *table, size_t place, char *block)
{
  atomic_store_explicit(&table->blocks[place], block, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
}

static bridge__census_table *table_of(const bridge__census *census)
{
  /* Takes nothing: this thread wrote it. */
  return atomic_load_explicit(&census->table, memory_order_relaxed);
}

static void set_table(bridge__census *census, bridge__census_table *table)
{
  atomic_signal_fence(memory_order_seq_cst);
  /* Publishes the table to kicks of this thread only: the fences do. */
  atomic_store_explicit(&census->table, table, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
}

/* Where a block would like to be. */
static size_t home(const bridge__census_table *table, const char *block)
{
  uint64_t mixed = ((uint64_t)(uintptr_t)block >> 4) * 0x9e3779b97f4a7c15U;
  return (size_t)(mixed >> 32) & (table->places - 1);
}

static size_t next(const bridge__census_table *table, size_t place)
{
  return (place + 1) & (table->places - 1);
}

/* Where it is, or the free place where it would come. */
static size_t find(const bridge__census_table *table, const char *block)
{
  size_t place = home(table, block);
  for (char *there = look(table, place); there != NULL && there != block;
       there = look(table, place)) {
    place = next(table, place);
  }
  return place;
}

void bridge__census_init(bridge__census *census)
{
  memset(census, 0, sizeof *census);
  census->first.places = BRIDGE__CENSUS_FIRST;
  census->first.blocks = census->first_blocks;
  set_table(census, &census->first);
}

static void drop_table(bridge__census *census, bridge__census_table *table)
{
  if (table != &census->first) {
    bridge__free(table);
  }
}

void bridge__census_destroy(bridge__census *census)
{
  bridge__census_table *table = table_of(census);
  set_table(census, &census->first);
  drop_table(census, table);
}

/* ---- Coming ---- */

static bridge__census_table *make_table(size_t places)
{
  size_t bytes = places * sizeof(_Atomic(char *));
  bridge__census_table *table = bridge__allocate_zero(sizeof *table + bytes);
  if (table != NULL) {
    table->places = places;
    table->blocks = (_Atomic(char *) *)(table + 1);
  }
  return table;
}

/* False for lack of memory. */
static bool move(bridge__census *census, size_t places)
{
  bridge__census_table *old = table_of(census);
  bridge__census_table *table = make_table(places);
  if (table == NULL) {
    return false;
  }
  for (size_t i = 0; i < old->places; i++) {
    char *block = look(old, i);
    if (block != NULL) {
      put(table, find(table, block), block);
    }
  }
  set_table(census, table);
  drop_table(census, old);
  return true;
}

void bridge__census_settle(bridge__census *census)
{
  bridge__census_table *table = table_of(census);
  char *block = census->newcomer;
  census->stage = BRIDGE__NOBODY;
  census->newcomer = NULL;
  put(table, find(table, block), block);
  census->count++;
}

bool bridge__census_reserve(bridge__census *census, size_t size)
{
  if (!census->founded) {
    census->founded = true;
    return true;
  }
  census->size = size;
  if (census->stage != BRIDGE__NOBODY) {
    bridge__census_settle(
        census); /* it is ready, or there was no stack for it */
  }
  size_t places = table_of(census)->places;
  if ((census->count + 1) * 2 > places) {
    return move(census, places * 2);
  }
  if (places > MANY && (census->count + 1) * 16 < places) {
    move(census, places / 2); /* if not, it goes on in this one */
  }
  return true;
}

void bridge__census_welcome(bridge__census *census, void *block, size_t size)
{
  if (size == census->size) {
    census->newcomer = block;
    census->stage = BRIDGE__WITHOUT_STACK;
  }
}

/* ---- Going ---- */

/* Close the gap: whoever follows and would like to be at it, or before, moves there,
   and leaves the next one. */
static void close_gap(bridge__census_table *table, size_t gap)
{
  size_t mask = table->places - 1;
  for (size_t place = next(table, gap);; place = next(table, place)) {
    char *block = look(table, place);
    if (block == NULL) {
      break;
    }
    if (((place - home(table, block)) & mask) >= ((place - gap) & mask)) {
      put(table, gap, block);
      gap = place;
    }
  }
  put(table, gap, NULL);
}

void bridge__census_leave(bridge__census *census, void *block)
{
  if (census->stage != BRIDGE__NOBODY && census->newcomer == block) {
    census->stage = BRIDGE__NOBODY;
    census->newcomer = NULL;
    return;
  }
  bridge__census_table *table = table_of(census);
  size_t place = find(table, block);
  if (look(table, place) != NULL) {
    close_gap(table, place);
    census->count--;
  }
}

/* ---- Looking ---- */

void bridge__census_learn(bridge__census *census, const lua_State *L)
{
  if (census->stage == BRIDGE__NOBODY) {
    return; /* not the last one */
  }
  /* Both relaxed: only this thread and its kicks touch them. */
  atomic_store_explicit(&census->offset,
                        (size_t)((const char *)L - census->newcomer),
                        memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  atomic_store_explicit(&census->learned, true, memory_order_relaxed);
}

void bridge__census_each(const bridge__census *census,
                         void (*visit)(void *user, lua_State *L),
                         void *user)
{
  /* Both relaxed: see bridge__census_learn. */
  if (!atomic_load_explicit(&census->learned, memory_order_relaxed)) {
    return;
  }
  size_t offset = atomic_load_explicit(&census->offset, memory_order_relaxed);
  const bridge__census_table *table = table_of(census);
  for (size_t i = 0; i < table->places; i++) {
    char *block = look(table, i);
    if (block != NULL) {
      visit(user, (lua_State *)(void *)(block + offset));
    }
  }
}
