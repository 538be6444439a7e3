/* Unpack: the values of a message into a state.

   May raise an error for lack of memory at any call into Lua, so all that it owns
   stands on the Lua stack.  A message is first read in the belief that it is not
   deep and that nothing in it is named again.  If that turns out to be wrong it is
   read from its beginning once more, with two helpers below the values: a userdata
   that is the stack of open containers, and a table of what references name.

   Objects are made by functions of the script, when all that they are made of is
   there; for that there are helpers, too, so that none is made twice. */
#include "lua/bind.h"
#include "lua/objects.h"
#include "lua/path.h"
#include "lua/sandbox.h"
#include "lua/values.h"

#include <lauxlib.h>

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
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
  int object;  /* stack index; of an OBJECT what makes it, of an INSTANCE its
                    class */
  size_t next; /* ARRAY: the index, FUNCTION: the upvalue, OBJECT, INSTANCE: the
                    value; from 1 */
  size_t count;  /* the last one; MAP: pairs left */
  size_t pairs;  /* MAP: all of them */
  size_t number; /* OBJECT: of the container */
  bool in_value; /* MAP: the key is on the stack, its value comes next */
  bool listed;   /* MAP: all keys so far would be those of an array */
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
  size_t values;     /* so far */
  bridge__value_limits limits;
  const char *reason;
  char text[80]; /* room for one that is put together */
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

static bridge_status limit(unpacker *u, const char *format, size_t number)
{
  snprintf(u->text, sizeof u->text, format, number);
  return refuse(u, BRIDGE_ELIMIT, u->text);
}

/* ---- What references name ----
   Containers stand in the table under 1, 2, ...; upvalue i is the upvalue number
   [-2i-2] of the function [-2i-1]. */

static void make_room_for_references(unpacker *u)
{
  if (lua_isnil(u->L, MADE(u))) {
    lua_newtable(u->L);
    lua_replace(u->L, MADE(u));
  }
}

static void remember_container(unpacker *u)
{
  if (u->helpers == 0) {
    u->containers++;
    return;
  }
  make_room_for_references(u);
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
  if (u->depth >= u->limits.depth) {
    return limit(u, "nested deeper than %zu (depth_limit)", u->limits.depth);
  }
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
  l->pairs = count;
  l->in_value = false;
  l->listed = true;
  return BRIDGE_OK;
}

static bool is_full(const level *l)
{
  return l->kind == BRIDGE_TYPE_MAP ? l->count == 0 : l->next > l->count;
}

/* ---- Storing ---- */

/* Whether the key on top of the stack is one of 1 to n.  A map that has no others
   would be an array, had it not been marked: so it is again. */
static bool is_place(lua_State *L, size_t n)
{
  return lua_isinteger(L, -1) && (lua_Unsigned)lua_tointeger(L, -1) - 1 < n;
}

static void store_in_map(unpacker *u, level *l)
{
  if (l->in_value) {
    lua_rawset(u->L, l->object);
    l->count--;
  } else if (l->listed) {
    l->listed = is_place(u->L, l->pairs);
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
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    l->next++; /* it stays where it is */
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

static bridge_status too_many(unpacker *u)
{
  return limit(u, "more than %zu values (value_limit)", u->limits.values);
}

static bridge_status read_table(unpacker *u, const bridge_value *value)
{
  size_t count = value->as.count;
  bool array = value->type == BRIDGE_TYPE_ARRAY;
  if (count > u->limits.values) { /* before any room is made */
    return too_many(u);
  }
  lua_createtable(u->L, array ? size_hint(u, count, 1) : 0,
                  array ? 0 : size_hint(u, count, 2));
  remember_container(u);
  return open_level(u, value->type, count);
}

/* Into a sandbox comes what the host says by name, and no code. */
static bool takes_code(lua_State *L)
{
  bool sandbox =
      lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__SANDBOX) != LUA_TNIL;
  lua_pop(L, 1);
  return !sandbox;
}

static bridge_status refuse_code(unpacker *u)
{
  return refuse(u, BRIDGE_ETYPE, "a function cannot enter a sandbox");
}

static bridge_status read_function(unpacker *u, const bridge_value *value)
{
  if (!takes_code(u->L)) {
    return refuse_code(u);
  }
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
  if (lua_rawgeti(u->L, MADE(u), (lua_Integer)value->as.index + 1) ==
      LUA_TNIL) {
    return refuse(u, BRIDGE_ECORRUPT, "a reference to what is not made yet");
  }
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

/* ---- Objects ---- */

/* A call of ours has failed: with what is on top of the stack, which stays there. */
static bridge_status call_failed(unpacker *u, int code, const char *otherwise)
{
  if (code == LUA_ERRMEM) {
    lua_error(u->L);
  }
  bool text = lua_type(u->L, -1) == LUA_TSTRING;
  return refuse(u, BRIDGE_ETYPE, text ? lua_tostring(u->L, -1) : otherwise);
}

/* Push the class by the name and the module that come next. */
static bridge_status push_class(unpacker *u)
{
  lua_State *L = u->L;
  if (!lua_checkstack(L, SLOTS)) {
    return refuse(u, BRIDGE_ELIMIT, "more values than Lua's stack holds");
  }
  lua_pushcfunction(L, bridge__class_find);
  for (int i = 0; i < 2; i++) {
    bridge_value text;
    bridge_status status = bridge_reader_next(&u->reader, &text);
    if (status != BRIDGE_OK) {
      return status;
    }
    if (text.type == BRIDGE_TYPE_STRING) {
      lua_pushlstring(L, text.as.bytes.data, text.as.bytes.size);
    } else {
      lua_pushnil(L);
    }
  }
  int code = lua_pcall(L, 2, 1, 0);
  return code == LUA_OK ? BRIDGE_OK
                        : call_failed(u, code, "its class cannot be loaded");
}

static bridge_status open_object(unpacker *u, const bridge_value *value)
{
  bool instance = value->type == BRIDGE_TYPE_INSTANCE;
  if (instance && bridge__class_has_finalizer(u->L)) {
    return refuse(u, BRIDGE_ETYPE,
                  "its class has __gc: only by __bridge_pack can it cross");
  }
  if (!instance) {
    bridge__class_unpacker(u->L);
    if (lua_isnil(u->L, -1)) {
      return refuse(u, BRIDGE_ETYPE, "its class has no __bridge_unpack");
    }
  }
  /* All values of an object are on the stack together. */
  size_t count = value->as.count - 2;
  if (count > INT_MAX / 2 || !lua_checkstack(u->L, (int)count + SLOTS)) {
    return refuse(u, BRIDGE_ELIMIT, "more values than Lua's stack holds");
  }
  size_t number = u->containers++;
  bridge_status status = open_level(u, value->type, count);
  if (status == BRIDGE_OK) {
    u->levels[u->depth - 1].number = number;
  }
  return status;
}

static bridge_status read_object(unpacker *u, const bridge_value *value)
{
  if (u->helpers == 0) {
    return ask_for_helpers(u);
  }
  if (value->as.count < 2) {
    return refuse(u, BRIDGE_ECORRUPT, "an object without a class");
  }
  bridge_status status = push_class(u);
  return status == BRIDGE_OK ? open_object(u, value) : status;
}

/* What nothing can be under. */
static bool is_key(lua_State *L)
{
  return !lua_isnil(L, -1) && (lua_type(L, -1) != LUA_TNUMBER ||
                               lua_tonumber(L, -1) == lua_tonumber(L, -1));
}

/* The function and its arguments become the object. */
static bridge_status make_object(unpacker *u, const level *l)
{
  lua_State *L = u->L;
  int code = lua_pcall(L, lua_gettop(L) - l->object, 1, 0);
  if (code != LUA_OK) {
    return call_failed(u, code, "__bridge_unpack failed");
  }
  if (!is_key(L)) {
    return refuse(u, BRIDGE_ETYPE, "__bridge_unpack gave no object");
  }
  make_room_for_references(u);
  lua_pushvalue(L, -1);
  lua_rawseti(L, MADE(u), (lua_Integer)l->number + 1);
  return BRIDGE_OK;
}

/* The class and the table become the table. */
static bridge_status make_instance(unpacker *u, const level *l)
{
  lua_State *L = u->L;
  if (lua_type(L, -1) != LUA_TTABLE) {
    return refuse(u, BRIDGE_ECORRUPT, "an instance without its table");
  }
  lua_pushvalue(L, l->object);
  bridge__bind(L);
  lua_replace(L, l->object);
  return BRIDGE_OK;
}

/* What is left to be done with a container that is full. */
static bridge_status complete(unpacker *u, const level *l)
{
  switch (l->kind) {
  case BRIDGE_TYPE_MAP:
    if (l->listed) {
      bridge__class_mark(u->L, BRIDGE__CLASS_MAP);
    }
    return BRIDGE_OK;
  case BRIDGE_TYPE_OBJECT:
    return make_object(u, l);
  case BRIDGE_TYPE_INSTANCE:
    return make_instance(u, l);
  default:
    return BRIDGE_OK;
  }
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
  const bridge__handles *handles = bridge__get_handles(u->L);
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
    if (!takes_code(u->L)) {
      return refuse_code(u);
    }
    lua_pushcfunction(u->L, (lua_CFunction)value->as.function);
  } else {
    lua_pushlightuserdata(u->L, value->as.pointer);
  }
  return store(u);
}

static void push_scalar(lua_State *L, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_NULL:
    lua_pushlightuserdata(L, NULL);
    break;
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

static bool in_table(const unpacker *u)
{
  const level *l = u->depth > 0 ? &u->levels[u->depth - 1] : NULL;
  return l != NULL &&
         (l->kind == BRIDGE_TYPE_ARRAY || l->kind == BRIDGE_TYPE_MAP);
}

static bridge_status read_scalar(unpacker *u, const bridge_value *value)
{
  bridge_status status = check_key(u, value);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (value->type == BRIDGE_TYPE_NIL && in_table(u)) {
    lua_pushlightuserdata(u->L, NULL); /* a table can have null, but not nil */
  } else {
    push_scalar(u->L, value);
  }
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
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    return read_object(u, value);
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
    status = complete(u, &u->levels[u->depth - 1]);
    if (status == BRIDGE_OK) {
      u->depth--;
      status = store(u);
    }
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
  if (++u->values > u->limits.values) {
    return too_many(u);
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
    case BRIDGE_TYPE_OBJECT:
      if (!is_full(l)) {
        bridge__path_packed(path, l->next);
      }
      break;
    case BRIDGE_TYPE_INSTANCE:
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
  u->values = 0;
  bridge_status status = bridge_reader_init(&u->reader, u->message);
  while (status == BRIDGE_OK) {
    status = step(u);
  }
  if (status == BRIDGE_EEMPTY && u->depth > 0) {
    status = BRIDGE_ECORRUPT;
  }
  return status;
}

/* Whether the message is short enough for this state. */
static bridge_status check_size(unpacker *u)
{
  const bridge__value_limits *found = bridge__get_limits(u->L);
  bridge__value_limits l = {0};
  if (found != NULL) {
    l = *found;
  }
  u->limits.depth = l.depth == 0 ? BRIDGE_DEPTH_MAX : l.depth;
  u->limits.values = l.values == 0 ? SIZE_MAX : l.values;
  return l.bytes == 0 || bridge_message_size(u->message) <= l.bytes
             ? BRIDGE_OK
             : limit(u, "a message of more than %zu bytes (message_limit)",
                     l.bytes);
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
  u.argument = 0;
  u.depth = 0;
  bridge_status status = check_size(&u);
  if (status != BRIDGE_OK) {
    return fail(&u, status);
  }
  status = read_all(&u, 0);
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
