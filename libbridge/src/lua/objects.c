/* Objects: what pack.c cannot ask while it walks tables, since it runs scripts: which of
   the values are objects, and of what they are made. */
#include "lua/objects.h"

#include "lua/collecting.h"

#include <lauxlib.h>

#include <stdint.h>

/* Stack of what follows: the plan, what was seen, and a queue of what is to be
   looked at.  It is a queue so that everything is met where it is nested least:
   what is too deep here is so in any order, and pack.c refuses it before it wants
   to know what its object gives. */

enum {
  PLAN = 1,
  SEEN,
  PENDING,
  OURS, /* the table of the registry */
  VALUE /* what is looked at */
};

typedef struct planner {
  lua_State *L;
  lua_Integer first; /* of the queue */
  lua_Integer last;
  lua_Integer level_end; /* the last that is nested as deep as the first */
  size_t depth;          /* of the first */
  size_t looked_at;
  bridge__value_limits limits;
  const void *globals;
  const bridge__handles *handles;
} planner;

/* Take the value on top of the stack into the queue, if there can be objects in
   it. */
static void add_pending(planner *p)
{
  int type = lua_type(p->L, -1);
  if (type == LUA_TTABLE || type == LUA_TUSERDATA || type == LUA_TFUNCTION) {
    lua_rawseti(p->L, PENDING, ++p->last);
  } else {
    lua_pop(p->L, 1);
  }
}

/* Whether it is looked at for the first time. */
static bool first_time(planner *p)
{
  lua_State *L = p->L;
  if (lua_topointer(L, VALUE) == p->globals) {
    return false;
  }
  lua_pushvalue(L, VALUE);
  bool first = lua_rawget(L, SEEN) == LUA_TNIL;
  lua_pop(L, 1);
  if (first) {
    lua_pushvalue(L, VALUE);
    lua_pushboolean(L, 1);
    lua_rawset(L, SEEN);
  }
  return first;
}

/* What `__bridge_pack` has left above an index, as a row of the plan, on top of
   the stack. */
static void make_row(planner *p, int above, int metatable)
{
  lua_State *L = p->L;
  int count = lua_gettop(L) - above;
  luaL_checkstack(L, 6, NULL);
  lua_createtable(L, count + 2, 1);
  lua_insert(L, above + 1);
  for (int i = count; i >= 1; i--) {
    lua_pushvalue(L, -1);
    add_pending(p);
    lua_rawseti(L, above + 1, i + 2);
  }
  lua_pushinteger(L, count + 2);
  lua_rawseti(L, above + 1, 0);
  bridge__class_name(L, metatable, OURS);
  lua_rawseti(L, above + 1, 1);
  if (!bridge__class_module(L, metatable, OURS)) {
    lua_pushboolean(L, 0);
    lua_replace(L, -2);
  }
  lua_rawseti(L, above + 1, 2);
}

/* Why it failed, which is on top of the stack, as text. */
static void explain(lua_State *L)
{
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pushliteral(L, "__bridge_pack failed: ");
    lua_insert(L, -2);
    lua_concat(L, 2);
  } else {
    lua_pushfstring(L, "__bridge_pack failed with a %s", luaL_typename(L, -1));
  }
}

/* Push what the plan has for the object.  Its metatable and the function are on
   top of the stack. */
static void ask(planner *p)
{
  lua_State *L = p->L;
  int metatable = lua_gettop(L) - 1;
  if (!bridge__class_name(L, metatable, OURS)) {
    lua_pushliteral(L, "its class has __bridge_pack and no name: "
                       "__bridge_name is missing");
    return;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, VALUE);
  int code = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (code == LUA_OK) {
    make_row(p, metatable, metatable);
  } else if (code == LUA_ERRMEM) {
    lua_error(L);
  } else {
    explain(L);
  }
}

/* Whether it is an object; then it has a place in the plan. */
static bool plan_object(planner *p)
{
  lua_State *L = p->L;
  void *handle = NULL;
  bool ours = lua_type(L, VALUE) == LUA_TUSERDATA && p->handles != NULL &&
              p->handles->get(L, VALUE, &handle) != BRIDGE_HANDLE_NONE;
  if (ours || !lua_getmetatable(L, VALUE)) {
    return false;
  }
  if (!bridge__class_packer(L, VALUE + 1, OURS)) {
    return false;
  }
  ask(p);
  lua_pushvalue(L, VALUE);
  lua_insert(L, -2);
  lua_rawset(L, PLAN);
  return true;
}

/* Nothing is collected meanwhile: a finalizer could change the table. */
static void look_into_table(planner *p)
{
  lua_State *L = p->L;
  bool collecting = bridge__collecting_rests(L);
  lua_settop(L, VALUE);
  lua_pushnil(L);
  while (lua_next(L, VALUE) != 0) {
    add_pending(p);
    lua_pushvalue(L, -1);
    add_pending(p);
  }
  bridge__collecting_goes_on(L, collecting);
}

static void look_into_function(planner *p)
{
  for (int i = 1; lua_getupvalue(p->L, VALUE, i) != NULL; i++) {
    add_pending(p);
  }
}

/* Without end, objects that give more than one new object each. */
static void count_value(planner *p)
{
  p->looked_at++;
  if (p->looked_at > p->limits.values) {
    luaL_error(p->L, "more than %I values (value_limit)",
               (LUAI_UACINT)p->limits.values);
  }
  if (p->looked_at > p->limits.bytes) {
    luaL_error(p->L, "the message would have more than %I bytes",
               (LUAI_UACINT)p->limits.bytes);
  }
}

static void look(planner *p)
{
  lua_State *L = p->L;
  if (!first_time(p)) {
    return;
  }
  count_value(p);
  if (plan_object(p)) {
    return;
  }
  lua_settop(L, VALUE);
  if (lua_type(L, VALUE) == LUA_TTABLE) {
    look_into_table(p);
  } else if (lua_type(L, VALUE) == LUA_TFUNCTION) {
    look_into_function(p);
  }
}

static void begin_plan(planner *p)
{
  lua_State *L = p->L;
  int values = lua_gettop(L);
  luaL_checkstack(L, 20, NULL);
  lua_newtable(L);         /* PLAN */
  lua_newtable(L);         /* SEEN */
  lua_newtable(L);         /* PENDING */
  bridge__classes_push(L); /* OURS */
  lua_rotate(L, 1, OURS);
  for (int i = 0; i < values; i++) {
    add_pending(p);
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  p->globals = lua_topointer(L, -1);
  lua_settop(L, OURS);
}

/* What one message may have.  Each value needs a byte of it at least. */
static void limit_plan(planner *p)
{
  const bridge__value_limits *found = bridge__get_limits(p->L);
  bridge__value_limits l = {0, 0, 0};
  if (found != NULL) {
    l = *found;
  }
  p->limits.depth = l.depth == 0 ? BRIDGE_DEPTH_MAX : l.depth;
  p->limits.bytes = l.bytes == 0 ? BRIDGE_SIZE_MAX : l.bytes;
  p->limits.values = l.values == 0 ? SIZE_MAX : l.values;
}

/* Push the next one. */
static bool next_value(planner *p)
{
  lua_settop(p->L, OURS);
  if (p->first > p->level_end) {
    p->level_end = p->last;
    p->depth++;
  }
  if (p->first > p->last || p->depth >= p->limits.depth) {
    return false;
  }
  lua_rawgeti(p->L, PENDING, p->first);
  lua_pushnil(p->L);
  lua_rawseti(p->L, PENDING, p->first++);
  return true;
}

int bridge__objects_plan(lua_State *L)
{
  planner p = {.L = L, .first = 1, .handles = bridge__get_handles(L)};
  limit_plan(&p);
  begin_plan(&p);
  p.level_end = p.last;
  while (next_value(&p)) {
    look(&p);
  }
  lua_settop(L, PLAN);
  return 1;
}
