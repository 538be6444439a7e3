/* Table: the functions of `table` that go through a list, whose length a script
   may make up.  All of them respect metamethods, as Lua's own do. */
#include "lua/strict/strict.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* What a function does with its list. */
enum {
  READS = 1,
  WRITES = 2,
  MEASURES = 4
};

/* Elements that are looked at between two polls. */
#define ELEMENTS 256

/* Called for each element. */
static inline void count_element(lua_State *L, unsigned *count)
{
  if (++*count % ELEMENTS == 0) {
    bridge__poll(L);
  }
}

static bool has_metamethod(lua_State *L, int metatable, const char *name)
{
  lua_pushstring(L, name);
  bool has = lua_rawget(L, metatable) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* A table, or what behaves like one as far as it is needed. */
static void check_list(lua_State *L, int index, int use)
{
  if (lua_type(L, index) == LUA_TTABLE) {
    return;
  }
  bool good = lua_getmetatable(L, index) != 0;
  if (good) {
    int metatable = lua_gettop(L);
    good =
        ((use & READS) == 0 || has_metamethod(L, metatable, "__index")) &&
        ((use & WRITES) == 0 || has_metamethod(L, metatable, "__newindex")) &&
        ((use & MEASURES) == 0 || has_metamethod(L, metatable, "__len"));
    lua_pop(L, 1);
  }
  if (!good) {
    luaL_checktype(L, index, LUA_TTABLE);
  }
}

static lua_Integer length(lua_State *L, int use)
{
  check_list(L, 1, use | MEASURES);
  return luaL_len(L, 1);
}

lua_Integer bridge__strict_length(lua_State *L)
{
  return length(L, READS | WRITES);
}

/* Numbers that may wrap around, as a script's lengths do. */
static lua_Integer next_of(lua_Integer i)
{
  return (lua_Integer)((lua_Unsigned)i + 1);
}

/* Whether 1 <= i <= most, where `most` may have wrapped around. */
static bool within(lua_Integer i, lua_Integer most)
{
  return (lua_Unsigned)i - 1U < (lua_Unsigned)most;
}

static int strict_insert(lua_State *L)
{
  bridge__poll(L);
  lua_Integer behind = next_of(bridge__strict_length(L));
  lua_Integer place = behind;
  int given = lua_gettop(L);
  if (given != 2 && given != 3) {
    return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  if (given == 3) {
    place = luaL_checkinteger(L, 2);
    luaL_argcheck(L, within(place, behind), 2, "position out of bounds");
    unsigned count = 0;
    for (lua_Integer i = behind; i > place; i--) {
      count_element(L, &count);
      lua_geti(L, 1, i - 1);
      lua_seti(L, 1, i);
    }
  }
  lua_seti(L, 1, place);
  return 0;
}

static int strict_remove(lua_State *L)
{
  bridge__poll(L);
  lua_Integer size = bridge__strict_length(L);
  lua_Integer place = luaL_optinteger(L, 2, size);
  if (place != size) {
    luaL_argcheck(L, within(place, next_of(size)), 1, "position out of bounds");
  }
  lua_geti(L, 1, place);
  unsigned count = 0;
  for (; place < size; place++) {
    count_element(L, &count);
    lua_geti(L, 1, place + 1);
    lua_seti(L, 1, place);
  }
  lua_pushnil(L);
  lua_seti(L, 1, place);
  return 1;
}

/* Whether a move has to begin at the end, so as not to overwrite what it has yet to
   read. */
static bool overlaps(lua_State *L,
                     int to,
                     lua_Integer first,
                     lua_Integer last,
                     lua_Integer place)
{
  bool same = to == 1 || lua_compare(L, 1, to, LUA_OPEQ);
  return place > first && place <= last && same;
}

static int strict_move(lua_State *L)
{
  bridge__poll(L);
  lua_Integer first = luaL_checkinteger(L, 2);
  lua_Integer last = luaL_checkinteger(L, 3);
  lua_Integer place = luaL_checkinteger(L, 4);
  int to = lua_isnoneornil(L, 5) ? 1 : 5;
  check_list(L, 1, READS);
  check_list(L, to, WRITES);
  if (last < first) {
    lua_pushvalue(L, to);
    return 1;
  }
  luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3,
                "too many elements to move");
  lua_Integer size = last - first + 1;
  luaL_argcheck(L, place <= LUA_MAXINTEGER - size + 1, 4,
                "destination wrap around");
  bool backwards = overlaps(L, to, first, last, place);
  unsigned count = 0;
  for (lua_Integer done = 0; done < size; done++) {
    lua_Integer i = backwards ? size - 1 - done : done;
    count_element(L, &count);
    lua_geti(L, 1, first + i);
    lua_seti(L, to, place + i);
  }
  lua_pushvalue(L, to);
  return 1;
}

/* Append element `i` to the buffer; returns its size. */
static size_t add_element(lua_State *L, luaL_Buffer *buffer, lua_Integer i)
{
  lua_geti(L, 1, i);
  size_t size = 0;
  if (lua_type(L, -1) == LUA_TSTRING) {
    size = lua_rawlen(L, -1);
  } else if (!lua_isnumber(L, -1)) {
    luaL_error(L, "invalid value (%s) at index %I in table for 'concat'",
               luaL_typename(L, -1), (LUAI_UACINT)i);
  }
  luaL_addvalue(buffer);
  return size;
}

/* Append elements `i` to `last`, with a separator between them. */
static void add_all(lua_State *L,
                    luaL_Buffer *buffer,
                    lua_Integer i,
                    lua_Integer last)
{
  size_t between = 0;
  const char *separator = lua_tolstring(L, 2, &between);
  size_t most = bridge__strict_most(L);
  size_t made = 0;
  unsigned count = 0;
  for (;; i++) {
    count_element(L, &count);
    made += add_element(L, buffer, i);
    bridge__strict_check(L, made, most);
    if (i == last) { /* it may be the largest number that there is */
      return;
    }
    bridge__strict_add(buffer, separator, between);
    made += between;
  }
}

static int strict_concat(lua_State *L)
{
  bridge__poll(L);
  lua_Integer last = length(L, READS);
  if (lua_isnoneornil(L, 2)) {
    lua_settop(L, lua_gettop(L) < 2 ? 2 : lua_gettop(L));
    lua_pushliteral(L, "");
    lua_replace(L, 2);
  }
  luaL_checkstring(L, 2);
  lua_Integer i = luaL_optinteger(L, 3, 1);
  last = luaL_optinteger(L, 4, last);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  if (i <= last) {
    add_all(L, &buffer, i, last);
  }
  luaL_pushresult(&buffer);
  return 1;
}

static int strict_unpack(lua_State *L)
{
  bridge__poll(L);
  lua_Integer first = luaL_optinteger(L, 2, 1);
  lua_Integer last =
      lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
  if (first > last) {
    return 0;
  }
  lua_Unsigned more = (lua_Unsigned)last - (lua_Unsigned)first;
  if (more >= (lua_Unsigned)INT_MAX || !lua_checkstack(L, (int)more + 1)) {
    return luaL_error(L, "too many results to unpack");
  }
  unsigned count = 0;
  for (lua_Unsigned i = 0; i <= more; i++) {
    count_element(L, &count);
    lua_geti(L, 1, first + (lua_Integer)i);
  }
  return (int)more + 1;
}

const luaL_Reg bridge__strict_table[] = {{"concat", strict_concat},
                                         {"insert", strict_insert},
                                         {"move", strict_move},
                                         {"remove", strict_remove},
                                         {"sort", bridge__strict_sort},
                                         {"unpack", strict_unpack},
                                         {NULL, NULL}};
