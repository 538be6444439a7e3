/* Limits: what one message may have in a state, and how the state shows handles: what a
   walk over values finds in the registry without allocating. */
#include "lua/values.h"

#include <lauxlib.h>

#include <stdatomic.h>
#include <stdint.h>

/* Their addresses are the keys in the registry. */
static const char handles_key;
static const char limits_key;

static void set_pointer(lua_State *L, const void *key, const void *pointer)
{
  lua_pushlightuserdata(L, (void *)(uintptr_t)pointer);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

static const void *get_pointer(lua_State *L, const void *key)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  const void *pointer = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return pointer;
}

void bridge__set_handles(lua_State *L, const bridge__handles *handles)
{
  set_pointer(L, &handles_key, handles);
  lua_pushlightuserdata(L, (void *)(uintptr_t)handles);
  lua_setfield(L, LUA_REGISTRYINDEX, BRIDGE__HANDLES);
}

const bridge__handles *bridge__get_handles(lua_State *L)
{
  return get_pointer(L, &handles_key);
}

const char *bridge__wrong_limits(const bridge__value_limits *limits)
{
  if (limits->depth > BRIDGE_DEPTH_MAX) {
    return "depth_limit is at most 1000";
  }
  return limits->bytes > BRIDGE_SIZE_MAX ? "message_limit is at most 1 GiB"
                                         : NULL;
}

/* Whether any state of the process ever had limits: the others do not look. */
static atomic_bool limits_used;

/* What stands in the registry. */
typedef struct limits {
  bridge__value_limits now; /* first: what is asked for */
  bridge__value_limits most;
} limits;

static limits *find_limits(lua_State *L)
{
  lua_rawgetp(L, LUA_REGISTRYINDEX, &limits_key);
  limits *found = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (found == NULL) {
    /* relaxed: as above, it comes with the state */
    atomic_store_explicit(&limits_used, true, memory_order_relaxed);
    found = lua_newuserdatauv(L, sizeof *found, 0);
    *found = (limits){{0, 0, 0}, {0, 0, 0}};
    lua_rawsetp(L, LUA_REGISTRYINDEX, &limits_key);
  }
  return found;
}

void bridge__set_limits(lua_State *L, const bridge__value_limits *given)
{
  if (given->depth > 0 || given->values > 0 || given->bytes > 0) {
    limits *all = find_limits(L);
    all->most = *given;
    all->now = *given;
  }
}

const bridge__value_limits *bridge__get_limits(lua_State *L)
{
  /* relaxed: who made a state with limits has handed it over since */
  return atomic_load_explicit(&limits_used, memory_order_relaxed)
             ? get_pointer(L, &limits_key)
             : NULL;
}

/* The lower one; 0 is none. */
static size_t lower(size_t wanted, size_t most)
{
  return most > 0 && (wanted == 0 || wanted > most) ? most : wanted;
}

static size_t check_limit(lua_State *L, int index)
{
  lua_Integer given = luaL_checkinteger(L, index);
  luaL_argcheck(L, given >= 0, index, "a limit is not negative");
  return (size_t)given;
}

int bridge__limits(lua_State *L)
{
  if (!lua_isnone(L, 1)) {
    bridge__value_limits wanted = {check_limit(L, 1), check_limit(L, 2),
                                   check_limit(L, 3)};
    const char *wrong = bridge__wrong_limits(&wanted);
    if (wrong != NULL) {
      return luaL_error(L, "%s", wrong);
    }
    limits *all = find_limits(L);
    all->now.depth = lower(wanted.depth, all->most.depth);
    all->now.values = lower(wanted.values, all->most.values);
    all->now.bytes = lower(wanted.bytes, all->most.bytes);
  }
  const bridge__value_limits *found = bridge__get_limits(L);
  lua_pushinteger(L, found == NULL ? 0 : (lua_Integer)found->depth);
  lua_pushinteger(L, found == NULL ? 0 : (lua_Integer)found->values);
  lua_pushinteger(L, found == NULL ? 0 : (lua_Integer)found->bytes);
  return 3;
}
