/* Sort: table.sort.

   As many elements as a stack may hold are merged on it, where to compare and to
   move them costs least.  Longer lists are first cut in two by a pivot, in place,
   until they are short enough; and what does not let itself be cut, or finds no
   room on the stack, is sorted in place as a heap.  An error of the comparator
   leaves the list with all its elements. */
#include "lua/strict/strict.h"

#include <limits.h>
#include <stdbool.h>

/* Most elements that are sorted on the stack, which holds them twice. */
#define BLOCK 32768
/* Elements of which the middle one becomes a pivot. */
#define SAMPLE 31
/* What the stack needs besides. */
#define ROOM 40

/* ---- Elements ---- */

/* Push the element at a place of the list, from 1 on. */
static void get(lua_State *L, int i)
{
  lua_geti(L, 1, i);
}

/* What is on top goes there. */
static void set(lua_State *L, int i)
{
  lua_seti(L, 1, i);
}

/* Two values of the stack, at absolute indexes, by the comparator or by "<". */
static bool less(lua_State *L, int a, int b)
{
  bridge__poll(L);
  if (lua_isnil(L, 2)) {
    return lua_compare(L, a, b, LUA_OPLT) != 0;
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a);
  lua_pushvalue(L, b);
  lua_call(L, 2, 1);
  bool is_less = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return is_less;
}

/* ---- On the stack ---- */

/* Merge two runs, [low, middle) and [middle, high), into slots from `to` on. */
static void merge(lua_State *L, int low, int middle, int high, int to)
{
  int a = low;
  int b = middle;
  while (a < middle && b < high) {
    int from = less(L, b, a) ? b++ : a++; /* equal ones stay in order */
    lua_copy(L, from, to++);
  }
  while (a < middle) {
    lua_copy(L, a++, to++);
  }
  while (b < high) {
    lua_copy(L, b++, to++);
  }
}

static int least(int a, int b)
{
  return a < b ? a : b;
}

/* Sort the topmost `count` values, and push them once more, as they were at some
   time before; returns the index of the first in order. */
static int sort_top(lua_State *L, int count)
{
  int from = lua_gettop(L) - count + 1;
  int to = from + count;
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, from + i);
  }
  for (int width = 1; width < count; width *= 2) {
    for (int low = 0; low < count; low += 2 * width) {
      int middle = least(low + width, count);
      int high = least(low + 2 * width, count);
      merge(L, from + low, from + middle, from + high, to + low);
    }
    int sorted = to;
    to = from;
    from = sorted;
  }
  return from;
}

static void sort_block(lua_State *L, int low, int high)
{
  int top = lua_gettop(L);
  int count = high - low + 1;
  for (int i = 0; i < count; i++) {
    get(L, low + i);
  }
  int first = sort_top(L, count);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, first + i);
    set(L, low + i);
  }
  lua_settop(L, top);
}

/* ---- As a heap ---- */

/* Push the greater child of place `root` (from 1 on) of a heap that begins at `low`;
   returns its place. */
static int greater_child(lua_State *L, int low, int root, int count)
{
  int child = 2 * root;
  get(L, low + child - 1);
  if (child < count) {
    get(L, low + child);
    int top = lua_gettop(L);
    if (less(L, top - 1, top)) {
      lua_remove(L, -2);
      return child + 1;
    }
    lua_pop(L, 1);
  }
  return child;
}

/* Let the element at place `root` change places with its greater child, as long as
   there is one. */
static void sink(lua_State *L, int low, int root, int count)
{
  while (root <= count / 2) {
    get(L, low + root - 1);
    int child = greater_child(L, low, root, count);
    int top = lua_gettop(L);
    if (!less(L, top - 1, top)) {
      lua_pop(L, 2);
      return;
    }
    set(L, low + root - 1);
    set(L, low + child - 1);
    root = child;
  }
}

static void sort_heap(lua_State *L, int low, int high)
{
  int count = high - low + 1;
  for (int root = count / 2; root >= 1; root--) {
    sink(L, low, root, count);
  }
  for (; count > 1; count--) {
    get(L, low);
    get(L, low + count - 1);
    set(L, low);
    set(L, low + count - 1);
    sink(L, low, 1, count - 1);
  }
}

/* ---- Long lists ---- */

/* Push an element that is probably near the middle. */
static void push_pivot(lua_State *L, int low, int high)
{
  int top = lua_gettop(L);
  int step = (high - low) / SAMPLE;
  for (int i = 0; i < SAMPLE; i++) {
    get(L, low + i * step);
  }
  int first = sort_top(L, SAMPLE);
  lua_pushvalue(L, first + SAMPLE / 2);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* Bring what is less than a pivot before the rest, and return where that begins. */
static int divide(lua_State *L, int low, int high)
{
  push_pivot(L, low, high);
  int pivot = lua_gettop(L);
  int rest = low;
  for (int i = low; i <= high; i++) {
    get(L, i);
    if (!less(L, pivot + 1, pivot)) {
      lua_pop(L, 1);
      continue;
    }
    get(L, rest);
    set(L, i);
    set(L, rest++);
  }
  lua_pop(L, 1);
  return rest;
}

static void sort_range(lua_State *L, int low, int high)
{
  while (high - low >= BLOCK) {
    int count = high - low;
    int rest = divide(L, low, high);
    int fewer = least(rest - low, high - rest + 1);
    if (fewer < count / 16) {
      sort_heap(L, low, high); /* most are equal, or somebody plays tricks */
      return;
    }
    if (rest - low == fewer) {
      sort_range(L, low, rest - 1);
      low = rest;
    } else {
      sort_range(L, rest, high);
      high = rest - 1;
    }
  }
  if (high > low) {
    sort_block(L, low, high);
  }
}

/* One that calls an element less than itself has no order: found where Lua's own
   function finds it too, with more than three elements. */
static void check_order(lua_State *L)
{
  get(L, 1);
  if (less(L, 3, 3)) {
    luaL_error(L, "invalid order function for sorting");
  }
  lua_pop(L, 1);
}

int bridge__strict_sort(lua_State *L)
{
  bridge__poll(L);
  lua_Integer size = bridge__strict_length(L);
  if (size < 2) {
    return 0;
  }
  luaL_argcheck(L, size < INT_MAX, 1, "array too big");
  if (!lua_isnoneornil(L, 2)) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
  }
  lua_settop(L, 2);
  int count = (int)size;
  if (count > 3 && !lua_isnil(L, 2)) {
    check_order(L);
  }
  if (lua_checkstack(L, 2 * least(count, BLOCK) + 2 * SAMPLE + ROOM)) {
    sort_range(L, 1, count);
  } else {
    sort_heap(L, 1, count); /* has enough in what every C function has */
  }
  return 0;
}
