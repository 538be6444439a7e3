/* Unpack: the values of a message into a state.

   May raise an error for lack of memory at any call into Lua, so all that it owns
   stands on the Lua stack.  A message is first read in the belief that it is not
   deep and that nothing in it is named again.  If that turns out to be wrong it is
   read from its beginning once more, with two helpers below the values: a userdata
   that is the stack of open containers, and a table of what references name. */
#include "lua/path.h"
#include "lua/values.h"

#include <lauxlib.h>

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* How deep a message may be that is read without helpers. */
#define LEVELS_FEW 8

/* Stack slots for what a container holds while it is filled. */
#define SLOTS 8

/* Room on the stack is asked for once for so many values of the message. */
#define TOGETHER 8

/* A container that is being filled. */
typedef struct level {
  bridge_type kind;
  int object;    /* stack index */
  size_t next;   /* ARRAY: the index, FUNCTION: the upvalue, from 1 */
  size_t count;  /* ARRAY, FUNCTION: the last one; MAP: pairs left */
  bool in_value; /* MAP: the key is on the stack, its value comes next */
} level;

typedef struct unpacker {
  lua_State *L;
  const bridge_message *message;
  bridge_reader reader;
  int base;    /* helpers are above it */
  int helpers; /* 0 or HELPERS */
  bool again;  /* helpers are needed */
  level few[LEVELS_FEW];
  level *levels;
  size_t depth;
  size_t capacity;
  size_t containers; /* begun so far */
  size_t upvalues;   /* begun so far */
  size_t argument;   /* the current one, from 1 */
  const char *reason;
  char text[64]; /* room for one that is put together */
} unpacker;

#define LEVELS(u) ((u)->base + 1)
#define MADE(u)   ((u)->base + 2)
#define HELPERS   2

static bridge_status refuse(unpacker *u,
                            bridge_status status,
                            const char *reason)
{
  u->reason = reason;
  return status;
}

/* ---- What references name ----
   Containers stand in the table under 1, 2, ...; upvalue i is the upvalue number
   [-2i-2] of the function [-2i-1]. */

static void remember_container(unpacker *u)
{
  if (u->helpers == 0) {
    u->containers++;
    return;
  }
  if (lua_isnil(u->L, MADE(u))) {
    lua_newtable(u->L);
    lua_replace(u->L, MADE(u));
  }
  lua_pushvalue(u->L, -1);
  lua_rawseti(u->L, MADE(u), (lua_Integer)++u->containers);
}

static void remember_upvalue(unpacker *u, const level *l)
{
  lua_Integer key = -2 * (lua_Integer)u->upvalues++ - 1;
  if (u->helpers == 0) {
    return;
  }
  lua_pushvalue(u->L, l->object);
  lua_rawseti(u->L, MADE(u), key);
  lua_pushinteger(u->L, (lua_Integer)l->next);
  lua_rawseti(u->L, MADE(u), key - 1);
}

static bridge_status ask_for_helpers(unpacker *u)
{
  u->again = true;
  return BRIDGE_EBUSY;
}

/* ---- Levels ---- */

static void grow_levels(unpacker *u)
{
  size_t capacity = u->capacity * 2;
  level *levels = lua_newuserdatauv(u->L, capacity * sizeof *levels, 0);
  memcpy(levels, u->levels, u->depth * sizeof *levels);
  lua_replace(u->L, LEVELS(u));
  u->levels = levels;
  u->capacity = capacity;
}

/* The container on top of the stack is filled from now on. */
static bridge_status open_level(unpacker *u, bridge_type kind, size_t count)
{
  if (!lua_checkstack(u->L, SLOTS)) {
    return refuse(u, BRIDGE_ELIMIT, "more values than Lua's stack holds");
  }
  if (u->depth == u->capacity) {
    if (u->helpers == 0) {
      return ask_for_helpers(u);
    }
    grow_levels(u);
  }
  level *l = &u->levels[u->depth++];
  l->kind = kind;
  l->object = lua_gettop(u->L);
  l->next = 1;
  l->count = count;
  l->in_value = false;
  return BRIDGE_OK;
}

static bool is_full(const level *l)
{
  return l->kind == BRIDGE_TYPE_MAP ? l->count == 0 : l->next > l->count;
}

/* ---- Storing ---- */

static void store_in_map(unpacker *u, level *l)
{
  if (l->in_value) {
    lua_rawset(u->L, l->object);
    l->count--;
  }
  l->in_value = !l->in_value;
}

/* Only what has no identity can be no key. */
static bridge_status check_key(unpacker *u, const bridge_value *value)
{
  const level *l = u->depth > 0 ? &u->levels[u->depth - 1] : NULL;
  if (l == NULL || l->kind != BRIDGE_TYPE_MAP || l->in_value) {
    return BRIDGE_OK;
  }
  if (value->type == BRIDGE_TYPE_NIL) {
    return refuse(u, BRIDGE_ETYPE, "nil is no key");
  }
  if (value->type == BRIDGE_TYPE_FLOAT && isnan(value->as.number)) {
    return refuse(u, BRIDGE_ETYPE, "not-a-number is no key");
  }
  return BRIDGE_OK;
}

/* Put the value on top of the stack where it belongs. */
static bridge_status store(unpacker *u)
{
  if (u->depth == 0) {
    return BRIDGE_OK; /* where it is */
  }
  level *l = &u->levels[u->depth - 1];
  switch (l->kind) {
  case BRIDGE_TYPE_MAP:
    store_in_map(u, l);
    return BRIDGE_OK;
  case BRIDGE_TYPE_ARRAY:
    lua_rawseti(u->L, l->object, (lua_Integer)l->next++);
    return BRIDGE_OK;
  default:
    if (lua_setupvalue(u->L, l->object, (int)l->next++) == NULL) {
      return refuse(u, BRIDGE_ECORRUPT, "a function with too many upvalues");
    }
    return BRIDGE_OK;
  }
}

/* ---- Containers ---- */

/* How many elements to make room for.  Each takes a byte at least, so that a
   count beyond what is left lies. */
static int size_hint(const unpacker *u, size_t count, size_t bytes_each)
{
  size_t left = bridge_message_size(u->message) - u->reader.position;
  size_t most = left / bytes_each;
  size_t hint = count < most ? count : most;
  return hint < INT_MAX ? (int)hint : INT_MAX;
}

static bridge_status read_table(unpacker *u, const bridge_value *value)
{
  size_t count = value->as.count;
  bool array = value->type == BRIDGE_TYPE_ARRAY;
  lua_createtable(u->L, array ? size_hint(u, count, 1) : 0,
                  array ? 0 : size_hint(u, count, 2));
  remember_container(u);
  return open_level(u, value->type, count);
}

static bridge_status read_function(unpacker *u, const bridge_value *value)
{
  bridge_value dump;
  bridge_status status = bridge_reader_next(&u->reader, &dump);
  if (status != BRIDGE_OK || dump.type != BRIDGE_TYPE_BINARY ||
      value->as.count == 0) {
    return refuse(u, BRIDGE_ECORRUPT, "a function without its code");
  }
  /* Precompiled code that never left the process: no bytes from outside can
     hold a function. */
  int code = luaL_loadbufferx(u->L, dump.as.bytes.data, dump.as.bytes.size,
                              "=function", "b");
  if (code == LUA_ERRMEM) {
    lua_error(u->L);
  }
  if (code != LUA_OK) {
    return refuse(u, BRIDGE_ECORRUPT, "a function that does not load");
  }
  remember_container(u);
  return open_level(u, BRIDGE_TYPE_FUNCTION, value->as.count - 1);
}

static bridge_status read_reference(unpacker *u, const bridge_value *value)
{
  if (value->as.index >= u->containers) {
    return refuse(u, BRIDGE_ECORRUPT, "a reference to nothing");
  }
  if (u->helpers == 0) {
    return ask_for_helpers(u);
  }
  lua_rawgeti(u->L, MADE(u), (lua_Integer)value->as.index + 1);
  return store(u);
}

/* The next upvalue of the innermost function is one that another has already. */
static bridge_status read_upvalue(unpacker *u, const bridge_value *value)
{
  level *l = u->depth > 0 ? &u->levels[u->depth - 1] : NULL;
  if (l == NULL || l->kind != BRIDGE_TYPE_FUNCTION ||
      value->as.index >= u->upvalues ||
      lua_upvalueid(u->L, l->object, (int)l->next) == NULL) {
    return refuse(u, BRIDGE_ECORRUPT, "an upvalue out of place");
  }
  if (u->helpers == 0) {
    return ask_for_helpers(u);
  }
  lua_Integer key = -2 * (lua_Integer)value->as.index - 1;
  lua_rawgeti(u->L, MADE(u), key);
  lua_rawgeti(u->L, MADE(u), key - 1);
  int number = (int)lua_tointeger(u->L, -1);
  lua_pop(u->L, 1);
  lua_upvaluejoin(u->L, l->object, (int)l->next++, -1, number);
  lua_pop(u->L, 1);
  return BRIDGE_OK;
}

/* ---- Scalars ---- */

static bridge_status read_unsigned(unpacker *u, const bridge_value *value)
{
  snprintf(u->text, sizeof u->text, "%llu does not fit Lua's integers",
           (unsigned long long)value->as.unsigned_integer);
  return refuse(u, BRIDGE_EOVERFLOW, u->text);
}

static bridge_status read_extension(unpacker *u, const bridge_value *value)
{
  snprintf(u->text, sizeof u->text, "extension type %d means nothing to Lua",
           value->kind);
  return refuse(u, BRIDGE_ETYPE, u->text);
}

static bridge_status read_handle(unpacker *u, const bridge_value *value)
{
  lua_getfield(u->L, LUA_REGISTRYINDEX, BRIDGE__HANDLES);
  const bridge__handles *handles = lua_touserdata(u->L, -1);
  lua_pop(u->L, 1);
  if (handles == NULL) {
    return refuse(u, BRIDGE_ETYPE,
                  "a handle needs the module \"bridge\" in this state");
  }
  handles->push(u->L, (bridge_handle_kind)value->kind, value->as.pointer);
  return store(u);
}

static bridge_status read_pointer(unpacker *u, const bridge_value *value)
{
  if (value->kind == BRIDGE_POINTER_CFUNCTION) {
    lua_pushcfunction(u->L, (lua_CFunction)value->as.function);
  } else {
    lua_pushlightuserdata(u->L, value->as.pointer);
  }
  return store(u);
}

static void push_scalar(lua_State *L, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_BOOLEAN:
    lua_pushboolean(L, value->as.boolean);
    break;
  case BRIDGE_TYPE_INTEGER:
    lua_pushinteger(L, value->as.integer);
    break;
  case BRIDGE_TYPE_FLOAT:
    lua_pushnumber(L, value->as.number);
    break;
  case BRIDGE_TYPE_STRING:
  case BRIDGE_TYPE_BINARY:
    lua_pushlstring(L, value->as.bytes.data, value->as.bytes.size);
    break;
  case BRIDGE_TYPE_GLOBALS:
    lua_pushglobaltable(L);
    break;
  default:
    lua_pushnil(L);
    break;
  }
}

static bridge_status read_scalar(unpacker *u, const bridge_value *value)
{
  bridge_status status = check_key(u, value);
  if (status != BRIDGE_OK) {
    return status;
  }
  push_scalar(u->L, value);
  return store(u);
}

static bridge_status read_value(unpacker *u, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_MAP:
    return read_table(u, value);
  case BRIDGE_TYPE_FUNCTION:
    return read_function(u, value);
  case BRIDGE_TYPE_REFERENCE:
    return read_reference(u, value);
  case BRIDGE_TYPE_UPVALUE:
    return read_upvalue(u, value);
  case BRIDGE_TYPE_UNSIGNED:
    return read_unsigned(u, value);
  case BRIDGE_TYPE_EXTENSION:
    return read_extension(u, value);
  case BRIDGE_TYPE_HANDLE:
    return read_handle(u, value);
  case BRIDGE_TYPE_POINTER:
    return read_pointer(u, value);
  default:
    return read_scalar(u, value);
  }
}

/* Containers that are full become values of those around them. */
static bridge_status close_levels(unpacker *u)
{
  bridge_status status = BRIDGE_OK;
  while (status == BRIDGE_OK && u->depth > 0 &&
         is_full(&u->levels[u->depth - 1])) {
    u->depth--;
    status = store(u);
  }
  return status;
}

static bridge_status step(unpacker *u)
{
  if (u->depth == 0) {
    bool room =
        u->argument % TOGETHER != 0 || lua_checkstack(u->L, SLOTS + TOGETHER);
    u->argument++;
    if (!room) {
      return refuse(u, BRIDGE_ELIMIT, "more values than Lua's stack holds");
    }
  }
  bridge_value value;
  bridge_status status = bridge_reader_next(&u->reader, &value);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (u->depth > 0 && value.type != BRIDGE_TYPE_UPVALUE) {
    const level *l = &u->levels[u->depth - 1];
    if (l->kind == BRIDGE_TYPE_FUNCTION) {
      remember_upvalue(u, l);
    }
  }
  status = read_value(u, &value);
  return status == BRIDGE_OK ? close_levels(u) : status;
}

/* ---- Failure ---- */

static void describe(const unpacker *u, bridge__path *path)
{
  for (size_t i = 0; i < u->depth; i++) {
    const level *l = &u->levels[i];
    switch (l->kind) {
    case BRIDGE_TYPE_ARRAY:
      bridge__path_index(path, (lua_Integer)l->next);
      break;
    case BRIDGE_TYPE_MAP:
      if (l->in_value) {
        bridge__path_key(path, u->L, l->object + 1);
      } else {
        bridge__path_in_key(path);
      }
      break;
    default: {
      const char *name = lua_getupvalue(u->L, l->object, (int)l->next);
      bridge__path_upvalue(path, name);
      break;
    }
    }
  }
}

static bridge_status fail(unpacker *u, bridge_status status)
{
  bridge__path path;
  bridge__path_begin(&path, "argument", u->argument == 0 ? 1 : u->argument);
  describe(u, &path);
  bridge__path_end(&path,
                   u->reason == NULL ? bridge_status_text(status) : u->reason);
  lua_settop(u->L, u->base);
  lua_pushlstring(u->L, path.text, path.size);
  return status;
}

/* All values of the message; BRIDGE_EEMPTY behind the last one. */
static bridge_status read_all(unpacker *u, int helpers)
{
  if (helpers > 0) {
    lua_settop(u->L, u->base + helpers);
  }
  u->helpers = helpers;
  u->again = false;
  u->levels = u->few;
  u->depth = 0;
  u->capacity = LEVELS_FEW;
  u->containers = 0;
  u->upvalues = 0;
  u->argument = 0;
  bridge_status status = bridge_reader_init(&u->reader, u->message);
  while (status == BRIDGE_OK) {
    status = step(u);
  }
  if (status == BRIDGE_EEMPTY && u->depth > 0) {
    status = BRIDGE_ECORRUPT;
  }
  return status;
}

bridge_status bridge__unpack(lua_State *L,
                             const bridge_message *message,
                             int *count)
{
  *count = 0;
  unpacker u;
  u.L = L;
  u.message = message;
  u.base = lua_gettop(L);
  u.reason = NULL;
  bridge_status status = read_all(&u, 0);
  if (u.again) {
    lua_settop(L, u.base);
    status = read_all(&u, HELPERS);
  }
  if (status != BRIDGE_EEMPTY) {
    return fail(&u, status);
  }
  if (u.helpers > 0) {
    lua_rotate(L, u.base + 1, -HELPERS);
    lua_pop(L, HELPERS);
  }
  *count = lua_gettop(L) - u.base;
  return BRIDGE_OK;
}
