/* Unpack: the values of a message into a state.

   May raise an error for lack of memory at any call into Lua, so all that it owns
   stands on the Lua stack.  A message is first read in the belief that it is not
   deep and that nothing in it is named again.  If that turns out to be wrong it is
   read from its beginning once more, with two helpers below the values: a userdata
   that is the stack of open containers, and a table of what references name.

   Objects are made by functions of the script, when all that they are made of is
   there; for that there are helpers, too, so that none is made twice. */
#include "lua/unpack.h"
#include "lua/objects.h"
#include "lua/path.h"

#include <lauxlib.h>

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Room on the stack is asked for once for so many values of the message. */
#define TOGETHER 8

#define LEVELS(u) ((u)->base + 1)
#define HELPERS   2

bridge_status bridge__unpack_refuse(bridge__unpacker *u,
                                    bridge_status status,
                                    const char *reason)
{
  u->reason = reason;
  return status;
}

static bridge_status limit(bridge__unpacker *u,
                           const char *format,
                           size_t number)
{
  snprintf(u->text, sizeof u->text, format, number);
  return bridge__unpack_refuse(u, BRIDGE_ELIMIT, u->text);
}

/* ---- What references name ---- */

void bridge__unpack_name_room(bridge__unpacker *u)
{
  if (lua_isnil(u->L, BRIDGE__MADE(u))) {
    lua_newtable(u->L);
    lua_replace(u->L, BRIDGE__MADE(u));
  }
}

void bridge__unpack_remember(bridge__unpacker *u)
{
  if (u->helpers == 0) {
    u->containers++;
    return;
  }
  bridge__unpack_name_room(u);
  lua_pushvalue(u->L, -1);
  lua_rawseti(u->L, BRIDGE__MADE(u), (lua_Integer)++u->containers);
}

static void remember_upvalue(bridge__unpacker *u, const bridge__level *l)
{
  lua_Integer key = -2 * (lua_Integer)u->upvalues++ - 1;
  if (u->helpers == 0) {
    return;
  }
  lua_pushvalue(u->L, l->object);
  lua_rawseti(u->L, BRIDGE__MADE(u), key);
  lua_pushinteger(u->L, (lua_Integer)l->next);
  lua_rawseti(u->L, BRIDGE__MADE(u), key - 1);
}

bridge_status bridge__unpack_again(bridge__unpacker *u)
{
  u->again = true;
  return BRIDGE_EBUSY;
}

/* ---- Levels ---- */

static void grow_levels(bridge__unpacker *u)
{
  size_t capacity = u->capacity * 2;
  bridge__level *levels = lua_newuserdatauv(u->L, capacity * sizeof *levels, 0);
  memcpy(levels, u->levels, u->depth * sizeof *levels);
  lua_replace(u->L, LEVELS(u));
  u->levels = levels;
  u->capacity = capacity;
}

/* The container on top of the stack is filled from now on. */
bridge_status bridge__unpack_open(bridge__unpacker *u,
                                  bridge_type kind,
                                  size_t count)
{
  if (u->depth >= u->limits.depth) {
    return limit(u, "nested deeper than %zu (depth_limit)", u->limits.depth);
  }
  if (!lua_checkstack(u->L, BRIDGE__SLOTS)) {
    return bridge__unpack_refuse(u, BRIDGE_ELIMIT,
                                 "more values than Lua's stack holds");
  }
  if (u->depth == u->capacity) {
    if (u->helpers == 0) {
      return bridge__unpack_again(u);
    }
    grow_levels(u);
  }
  bridge__level *l = &u->levels[u->depth++];
  l->kind = kind;
  l->object = lua_gettop(u->L);
  l->next = 1;
  l->count = count;
  l->pairs = count;
  l->in_value = false;
  l->listed = true;
  return BRIDGE_OK;
}

/* ---- Storing ---- */

/* Whether the key on top of the stack is one of 1 to n.  A map that has no others
   would be an array, had it not been marked: so it is again. */
static bool is_place(lua_State *L, size_t n)
{
  return lua_isinteger(L, -1) && (lua_Unsigned)lua_tointeger(L, -1) - 1 < n;
}

static void store_in_map(bridge__unpacker *u, bridge__level *l)
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
static bridge_status check_key(bridge__unpacker *u, const bridge_value *value)
{
  const bridge__level *l = u->depth > 0 ? &u->levels[u->depth - 1] : NULL;
  if (l == NULL || l->kind != BRIDGE_TYPE_MAP || l->in_value) {
    return BRIDGE_OK;
  }
  if (value->type == BRIDGE_TYPE_NIL) {
    return bridge__unpack_refuse(u, BRIDGE_ETYPE, "nil is no key");
  }
  if (value->type == BRIDGE_TYPE_FLOAT && isnan(value->as.number)) {
    return bridge__unpack_refuse(u, BRIDGE_ETYPE, "not-a-number is no key");
  }
  return BRIDGE_OK;
}

/* Put the value on top of the stack where it belongs. */
bridge_status bridge__unpack_store(bridge__unpacker *u)
{
  if (u->depth == 0) {
    return BRIDGE_OK; /* where it is */
  }
  bridge__level *l = &u->levels[u->depth - 1];
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
      return bridge__unpack_refuse(u, BRIDGE_ECORRUPT,
                                   "a function with too many upvalues");
    }
    return BRIDGE_OK;
  }
}

/* ---- Containers ---- */

/* How many elements to make room for.  Each takes a byte at least, so that a
   count beyond what is left lies. */
static int size_hint(const bridge__unpacker *u, size_t count, size_t bytes_each)
{
  size_t left = bridge_message_size(u->message) - u->reader.position;
  size_t most = left / bytes_each;
  size_t hint = count < most ? count : most;
  return hint < INT_MAX ? (int)hint : INT_MAX;
}

static bridge_status too_many(bridge__unpacker *u)
{
  return limit(u, "more than %zu values (value_limit)", u->limits.values);
}

static bridge_status read_table(bridge__unpacker *u, const bridge_value *value)
{
  size_t count = value->as.count;
  bool array = value->type == BRIDGE_TYPE_ARRAY;
  if (count > u->limits.values) { /* before any room is made */
    return too_many(u);
  }
  lua_createtable(u->L, array ? size_hint(u, count, 1) : 0,
                  array ? 0 : size_hint(u, count, 2));
  bridge__unpack_remember(u);
  return bridge__unpack_open(u, value->type, count);
}

static bridge_status read_reference(bridge__unpacker *u,
                                    const bridge_value *value)
{
  if (value->as.index >= u->containers) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT, "a reference to nothing");
  }
  if (u->helpers == 0) {
    return bridge__unpack_again(u);
  }
  if (lua_rawgeti(u->L, BRIDGE__MADE(u), (lua_Integer)value->as.index + 1) ==
      LUA_TNIL) {
    return bridge__unpack_refuse(u, BRIDGE_ECORRUPT,
                                 "a reference to what is not made yet");
  }
  return bridge__unpack_store(u);
}

/* What is left to be done with a container that is full. */
static bridge_status complete(bridge__unpacker *u, const bridge__level *l)
{
  switch (l->kind) {
  case BRIDGE_TYPE_MAP:
    if (l->listed) {
      bridge__class_mark(u->L, BRIDGE__CLASS_MAP);
    }
    return BRIDGE_OK;
  case BRIDGE_TYPE_OBJECT:
    return bridge__unpack_make_object(u, l);
  case BRIDGE_TYPE_INSTANCE:
    return bridge__unpack_make_instance(u, l);
  default:
    return BRIDGE_OK;
  }
}

/* ---- Scalars ---- */

static bridge_status read_unsigned(bridge__unpacker *u,
                                   const bridge_value *value)
{
  snprintf(u->text, sizeof u->text, "%llu does not fit Lua's integers",
           (unsigned long long)value->as.unsigned_integer);
  return bridge__unpack_refuse(u, BRIDGE_EOVERFLOW, u->text);
}

static bridge_status read_extension(bridge__unpacker *u,
                                    const bridge_value *value)
{
  snprintf(u->text, sizeof u->text, "extension type %d means nothing to Lua",
           value->kind);
  return bridge__unpack_refuse(u, BRIDGE_ETYPE, u->text);
}

static bridge_status read_handle(bridge__unpacker *u, const bridge_value *value)
{
  const bridge__handles *handles = bridge__get_handles(u->L);
  if (handles == NULL) {
    return bridge__unpack_refuse(
        u, BRIDGE_ETYPE, "a handle needs the module \"bridge\" in this state");
  }
  handles->push(u->L, (bridge_handle_kind)value->kind, value->as.pointer);
  return bridge__unpack_store(u);
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

static bool in_table(const bridge__unpacker *u)
{
  const bridge__level *l = u->depth > 0 ? &u->levels[u->depth - 1] : NULL;
  return l != NULL &&
         (l->kind == BRIDGE_TYPE_ARRAY || l->kind == BRIDGE_TYPE_MAP);
}

static bridge_status read_scalar(bridge__unpacker *u, const bridge_value *value)
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
  return bridge__unpack_store(u);
}

static bridge_status read_value(bridge__unpacker *u, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_MAP:
    return read_table(u, value);
  case BRIDGE_TYPE_FUNCTION:
    return bridge__unpack_function(u, value);
  case BRIDGE_TYPE_REFERENCE:
    return read_reference(u, value);
  case BRIDGE_TYPE_UPVALUE:
    return bridge__unpack_upvalue(u, value);
  case BRIDGE_TYPE_UNSIGNED:
    return read_unsigned(u, value);
  case BRIDGE_TYPE_EXTENSION:
    return read_extension(u, value);
  case BRIDGE_TYPE_HANDLE:
    return read_handle(u, value);
  case BRIDGE_TYPE_POINTER:
    return bridge__unpack_pointer(u, value);
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    return bridge__unpack_object(u, value);
  default:
    return read_scalar(u, value);
  }
}

/* Containers that are full become values of those around them. */
static bridge_status close_levels(bridge__unpacker *u)
{
  bridge_status status = BRIDGE_OK;
  while (status == BRIDGE_OK && u->depth > 0 &&
         bridge__level_is_full(&u->levels[u->depth - 1])) {
    status = complete(u, &u->levels[u->depth - 1]);
    if (status == BRIDGE_OK) {
      u->depth--;
      status = bridge__unpack_store(u);
    }
  }
  return status;
}

static bridge_status step(bridge__unpacker *u)
{
  if (u->depth == 0) {
    bool room = u->argument % TOGETHER != 0 ||
                lua_checkstack(u->L, BRIDGE__SLOTS + TOGETHER);
    u->argument++;
    if (!room) {
      return bridge__unpack_refuse(u, BRIDGE_ELIMIT,
                                   "more values than Lua's stack holds");
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
    const bridge__level *l = &u->levels[u->depth - 1];
    if (l->kind == BRIDGE_TYPE_FUNCTION) {
      remember_upvalue(u, l);
    }
  }
  status = read_value(u, &value);
  return status == BRIDGE_OK ? close_levels(u) : status;
}

static bridge_status fail(bridge__unpacker *u, bridge_status status)
{
  bridge__path path;
  const size_t number = u->argument - (u->named && u->argument > 0 ? 1 : 0);
  bridge__path_begin(&path, "argument", number == 0 ? 1 : number);
  bridge__unpack_describe(u, &path);
  bridge__path_end(&path,
                   u->reason == NULL ? bridge_status_text(status) : u->reason);
  lua_settop(u->L, u->base);
  lua_pushlstring(u->L, path.text, path.size);
  return status;
}

/* All values of the message; BRIDGE_EEMPTY behind the last one. */
static bridge_status read_all(bridge__unpacker *u, int helpers)
{
  if (helpers > 0) {
    lua_settop(u->L, u->base + helpers);
  }
  u->helpers = helpers;
  u->again = false;
  u->levels = u->few;
  u->depth = 0;
  u->capacity = BRIDGE__LEVELS_FEW;
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
static bridge_status check_size(bridge__unpacker *u)
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

static bridge_status unpack(lua_State *L,
                            const bridge_message *message,
                            bool named,
                            int *count)
{
  *count = 0;
  bridge__unpacker u;
  u.named = named;
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

bridge_status bridge__unpack(lua_State *L,
                             const bridge_message *message,
                             int *count)
{
  return unpack(L, message, false, count);
}

bridge_status bridge__unpack_request(lua_State *L,
                                     const bridge_message *message,
                                     int *count)
{
  return unpack(L, message, true, count);
}
