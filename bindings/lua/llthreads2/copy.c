/* Copy: arguments and results of a thread, into a message. */
#include "copy.h"

#include "lua/values.h"

#include <lauxlib.h>

#include <limits.h>
#include <stdint.h>

/* Stack slots of one table: key, value, and to look something up. */
#define SLOTS 6

typedef struct copying {
  int first;
  int last;
  bridge_message *message;
  bool arguments;
  bool may_have_handles;
  const bridge__handles *handles; /* NULL if none may cross */
  lua_Integer tables;             /* that were begun */
  int at;                         /* stack index of what is refused */
  bridge__copied outcome;
} copying;

/* Under its address in the registry, while values are copied: the tables that were
   begun, and their numbers. */
static const char seen;

static bridge__copied copy_value(lua_State *L,
                                 copying *c,
                                 int index,
                                 int depth);

static bridge__copied check(bridge_status status)
{
  return status == BRIDGE_OK ? BRIDGE__COPIED : BRIDGE__COPY_FAILED;
}

/* ---- Values that hold nothing ---- */

static bool is_plain(int type)
{
  return type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER ||
         type == LUA_TSTRING || type == LUA_TLIGHTUSERDATA;
}

static bridge_status write_number(lua_State *L, copying *c, int index)
{
  if (lua_isinteger(L, index)) {
    return bridge_message_write_integer(c->message, lua_tointeger(L, index));
  }
  return bridge_message_write_float(c->message, lua_tonumber(L, index));
}

static bridge_status write_string(lua_State *L, copying *c, int index)
{
  size_t size = 0;
  const char *data = lua_tolstring(L, index, &size);
  return bridge_message_write_string(c->message, data, size);
}

static bridge__copied copy_plain(lua_State *L, copying *c, int index)
{
  switch (lua_type(L, index)) {
  case LUA_TBOOLEAN:
    return check(
        bridge_message_write_boolean(c->message, lua_toboolean(L, index) != 0));
  case LUA_TNUMBER:
    return check(write_number(L, c, index));
  case LUA_TSTRING:
    return check(write_string(L, c, index));
  case LUA_TLIGHTUSERDATA:
    return check(
        bridge_message_write_light(c->message, lua_touserdata(L, index)));
  default:
    return check(bridge_message_write_nil(c->message));
  }
}

/* ---- Others ---- */

static bridge__copied refuse(lua_State *L, copying *c, int index)
{
  if (c->arguments) {
    c->at = index;
    return BRIDGE__COPY_UNSUPPORTED;
  }
  size_t size = 0;
  lua_pushfstring(L, "Un-supported value: %s: %p",
                  lua_typename(L, lua_type(L, index)), lua_topointer(L, index));
  const char *text = lua_tolstring(L, -1, &size);
  bridge_status status = bridge_message_write_string(c->message, text, size);
  lua_pop(L, 1);
  return check(status);
}

/* What a C function keeps in its upvalues it would not find again. */
static bridge__copied copy_function(lua_State *L, copying *c, int index)
{
  if (!lua_iscfunction(L, index)) {
    return refuse(L, c, index);
  }
  if (lua_getupvalue(L, index, 1) != NULL) {
    lua_pop(L, 1);
    return refuse(L, c, index);
  }
  return check(bridge_message_write_cfunction(
      c->message, (bridge_function *)lua_tocfunction(L, index)));
}

static bridge__copied copy_userdata(lua_State *L, copying *c, int index)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  if (c->handles != NULL) {
    kind = c->handles->get(L, index, &handle);
  }
  if (kind == BRIDGE_HANDLE_NONE || handle == NULL ||
      bridge_message_write_handle(c->message, kind, handle) != BRIDGE_OK) {
    return refuse(L, c, index);
  }
  return BRIDGE__COPIED;
}

/* ---- Tables ---- */

/* The number of a table that was begun; or -1, and it has a number from now on. */
static lua_Integer number_of(lua_State *L, copying *c, const void *table)
{
  lua_Integer number = -1;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &seen) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &seen);
  }
  if (lua_rawgetp(L, -1, table) == LUA_TNUMBER) {
    number = lua_tointeger(L, -1);
  } else {
    lua_pushinteger(L, c->tables++);
    lua_rawsetp(L, -3, table);
  }
  lua_pop(L, 2);
  return number;
}

/* How many pairs a table has, and whether its keys are exactly 1 to n: then it is
   written as an array, and read as a table again that nobody marked. */
static size_t count_pairs(lua_State *L, int table, bool *array)
{
  lua_Unsigned border = lua_rawlen(L, table);
  size_t count = 0;
  *array = true;
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1);
    count++;
    /* Below 1 wraps around to more than any border. */
    *array = *array && lua_isinteger(L, -1) &&
             (lua_Unsigned)lua_tointeger(L, -1) - 1 < border;
  }
  *array = *array && count == border;
  return count;
}

/* Key and value stand on the stack meanwhile, as in the walk through a map. */
static bridge__copied copy_elements(
    lua_State *L, copying *c, int index, size_t count, int depth)
{
  bridge__copied outcome = check(bridge_message_begin_array(c->message, count));
  for (size_t i = 1; outcome == BRIDGE__COPIED && i <= count; i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawgeti(L, index, (lua_Integer)i);
    outcome = copy_value(L, c, lua_gettop(L), depth);
    lua_pop(L, 2);
  }
  return outcome;
}

static bridge__copied copy_pairs(
    lua_State *L, copying *c, int index, size_t count, int depth)
{
  bridge__copied outcome = check(bridge_message_begin_map(c->message, count));
  lua_pushnil(L);
  while (outcome == BRIDGE__COPIED && lua_next(L, index) != 0) {
    int value = lua_gettop(L);
    outcome = copy_value(L, c, value - 1, depth);
    if (outcome == BRIDGE__COPIED) {
      outcome = copy_value(L, c, value, depth);
    }
    lua_settop(L, value - 1);
  }
  return outcome;
}

static bridge__copied copy_contents(lua_State *L,
                                    copying *c,
                                    int index,
                                    int depth)
{
  bool array = false;
  size_t count = count_pairs(L, index, &array);
  bridge__copied outcome = array ? copy_elements(L, c, index, count, depth)
                                 : copy_pairs(L, c, index, count, depth);
  return outcome == BRIDGE__COPIED ? check(bridge_message_end(c->message))
                                   : outcome;
}

static bridge__copied copy_table(lua_State *L, copying *c, int index, int depth)
{
  if (depth >= BRIDGE__COPY_DEPTH) {
    return BRIDGE__COPY_TOO_DEEP;
  }
  if (!lua_checkstack(L, SLOTS)) {
    return BRIDGE__COPY_FAILED;
  }
  lua_Integer number = number_of(L, c, lua_topointer(L, index));
  if (number >= 0) {
    return check(bridge_message_write_reference(c->message, (size_t)number));
  }
  return copy_contents(L, c, index, depth + 1);
}

static bridge__copied copy_value(lua_State *L, copying *c, int index, int depth)
{
  switch (lua_type(L, index)) {
  case LUA_TTABLE:
    return copy_table(L, c, index, depth);
  case LUA_TFUNCTION:
    return copy_function(L, c, index);
  case LUA_TUSERDATA:
    return copy_userdata(L, c, index);
  case LUA_TTHREAD:
    return refuse(L, c, index);
  default:
    return copy_plain(L, c, index);
  }
}

/* ---- All of them ---- */

/* How the module "bridge" of this state shows handles. */
static const bridge__handles *find_handles(lua_State *L)
{
  lua_pushstring(L, BRIDGE__HANDLES);
  lua_rawget(L, LUA_REGISTRYINDEX);
  const bridge__handles *handles = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return handles;
}

/* On a stack that is like the caller's, so that an index means the same there. */
static int copy_protected(lua_State *L)
{
  copying *c = lua_touserdata(L, -1);
  lua_pop(L, 1);
  c->handles = c->may_have_handles ? find_handles(L) : NULL;
  c->outcome = BRIDGE__COPIED;
  for (int index = c->first; c->outcome == BRIDGE__COPIED && index <= c->last;
       index++) {
    c->outcome = copy_value(L, c, index, 0);
  }
  return 0;
}

/* No finalizer runs meanwhile: it might change a table that is walked. */
static bridge__copied copy_undisturbed(lua_State *L, copying *c)
{
  if (!lua_checkstack(L, c->last + 4)) {
    return BRIDGE__COPY_FAILED;
  }
  bool collecting = lua_gc(L, LUA_GCISRUNNING) == 1;
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, copy_protected);
  for (int index = 1; index <= c->last; index++) {
    lua_pushvalue(L, index);
  }
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, c->last + 1, 0, 0) != LUA_OK) {
    c->outcome = BRIDGE__COPY_RAISED;
  }
  if (c->tables > 0) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &seen); /* is there: takes no memory */
  }
  if (collecting) {
    lua_gc(L, LUA_GCRESTART);
  }
  return c->outcome;
}

static bridge__copied copy_all(lua_State *L, copying *c)
{
  for (int index = c->first; index <= c->last; index++) {
    if (!is_plain(lua_type(L, index))) {
      return bridge_message_truncate(c->message, 0) == BRIDGE_OK
                 ? copy_undisturbed(L, c)
                 : BRIDGE__COPY_FAILED;
    }
    if (copy_plain(L, c, index) != BRIDGE__COPIED) {
      return BRIDGE__COPY_FAILED;
    }
  }
  return BRIDGE__COPIED;
}

bridge__copied bridge__copy_arguments(
    lua_State *L, int first, int last, bridge_message *message, int *at)
{
  copying c = {.first = first,
               .last = last,
               .message = message,
               .arguments = true,
               .may_have_handles = true};
  bridge__copied outcome = copy_all(L, &c);
  *at = c.at;
  return outcome;
}

bridge__copied bridge__copy_results(
    lua_State *L, int first, int last, bridge_message *message, bool handles)
{
  /* A coroutine returns more values than a frame has room for by itself; this tells
     Lua that they are meant. */
  if (!lua_checkstack(L, 1)) {
    return BRIDGE__COPY_FAILED;
  }
  copying c = {.first = first,
               .last = last,
               .message = message,
               .may_have_handles = handles};
  return copy_all(L, &c);
}

/* ---- Reading ---- */

typedef struct pushing {
  bridge_reader reader;
  int made; /* stack index of a table: those that were begun, in order */
  lua_Integer tables; /* begun so far */
} pushing;

static void push_value(lua_State *L, pushing *p);

/* An empty table, which has its number from now on. */
static void begin_table(lua_State *L, pushing *p, int elements, int pairs)
{
  luaL_checkstack(L, SLOTS, NULL);
  lua_createtable(L, elements, pairs);
  lua_pushvalue(L, -1);
  lua_rawseti(L, p->made, ++p->tables);
}

static void push_array(lua_State *L, pushing *p, size_t count)
{
  begin_table(L, p, count < INT_MAX ? (int)count : 0, 0);
  for (size_t i = 1; i <= count; i++) {
    push_value(L, p);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
}

static void push_map(lua_State *L, pushing *p, size_t count)
{
  begin_table(L, p, 0, count < INT_MAX ? (int)count : 0);
  for (size_t i = 0; i < count; i++) {
    push_value(L, p); /* never nil, as it was a key */
    push_value(L, p);
    lua_rawset(L, -3);
  }
}

static void push_handle(lua_State *L, const bridge_value *value)
{
  const bridge__handles *handles = find_handles(L);
  handles->push(L, (bridge_handle_kind)value->kind, value->as.pointer);
}

static void push_pointer(lua_State *L, const bridge_value *value)
{
  if (value->kind == BRIDGE_POINTER_CFUNCTION) {
    lua_pushcfunction(L, (lua_CFunction)value->as.function);
  } else {
    lua_pushlightuserdata(L, value->as.pointer);
  }
}

static void push_value(lua_State *L, pushing *p)
{
  bridge_value value = {.type = BRIDGE_TYPE_NIL};
  bridge_reader_next(&p->reader, &value); /* there is one: we wrote it */
  switch (value.type) {
  case BRIDGE_TYPE_BOOLEAN:
    lua_pushboolean(L, value.as.boolean);
    break;
  case BRIDGE_TYPE_INTEGER:
    lua_pushinteger(L, value.as.integer);
    break;
  case BRIDGE_TYPE_FLOAT:
    lua_pushnumber(L, value.as.number);
    break;
  case BRIDGE_TYPE_STRING:
    lua_pushlstring(L, value.as.bytes.data, value.as.bytes.size);
    break;
  case BRIDGE_TYPE_ARRAY:
    push_array(L, p, value.as.count);
    break;
  case BRIDGE_TYPE_MAP:
    push_map(L, p, value.as.count);
    break;
  case BRIDGE_TYPE_REFERENCE:
    lua_rawgeti(L, p->made, (lua_Integer)value.as.index + 1);
    break;
  case BRIDGE_TYPE_HANDLE:
    push_handle(L, &value);
    break;
  case BRIDGE_TYPE_POINTER:
    push_pointer(L, &value);
    break;
  default:
    lua_pushnil(L);
    break;
  }
}

bool bridge__copy_push(lua_State *L, const bridge_message *message, int *count)
{
  size_t values = bridge_message_count(message);
  pushing p = {.made = lua_gettop(L) + 1};
  if (values > INT_MAX - SLOTS || !lua_checkstack(L, (int)values + SLOTS)) {
    return false;
  }
  bridge_reader_init(&p.reader, message);
  lua_newtable(L);
  for (size_t i = 0; i < values; i++) {
    push_value(L, &p);
  }
  lua_remove(L, p.made);
  *count = (int)values;
  return true;
}
