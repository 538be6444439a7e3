/* Tables and objects, when packing comes to them: an array, a map, what was seen
   already, or an object of a class. */
#include "lua/objects.h"
#include "lua/pack.h"

/* Deeper than this a map is counted before it is written.  A count that is
   written afterwards makes all that is in the map move by a few bytes, which is
   cheaper, but not when each level does so. */
#define COUNTED_LATE 8

/* A table that is marked as an array may have so many holes, and as many more as
   values. */
#define HOLES 64

/* ---- Tables ---- */

/* Whether the keys are exactly 1 to n, and how many there are. */
static bool is_array(lua_State *L, int table, lua_Unsigned n, size_t *count)
{
  bool array = true;
  *count = 0;
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_pop(L, 1);
    ++*count;
    /* Below 1 wraps around to more than any border. */
    array = array && lua_isinteger(L, -1) &&
            (lua_Unsigned)lua_tointeger(L, -1) - 1 < n;
  }
  return array && *count == n;
}

static size_t count_keys(lua_State *L, int table)
{
  size_t count = 0;
  int top = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    lua_settop(L, top + 1);
    count++;
  }
  return count;
}

/* Whether a table is written as an array, and its count.  If that is not known, the
   first pair is pushed.

   A table with n keys that has something under each of 1 to n is one.  So it is
   enough to count the keys here: that there is no nil among the elements is seen
   when they are written, and if there is one all is packed again, carefully. */
static bool as_array(bridge__packer *p, int index, size_t *count)
{
  lua_Unsigned border = lua_rawlen(p->L, index);
  if (p->careful) {
    return is_array(p->L, index, border, count);
  }
  if (border == 0 && p->depth < COUNTED_LATE) {
    lua_pushnil(p->L);
    bool empty = lua_next(p->L, index) == 0;
    *count = empty ? 0 : BRIDGE_COUNT_UNKNOWN;
    return empty; /* else the pair stays, to begin with */
  }
  *count = count_keys(p->L, index);
  return *count == border;
}

static bridge_status begin_array(bridge__packer *p, int index, size_t count)
{
  bridge_status status = bridge__pack_add(p, count);
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_array(p->message, count);
  }
  return status == BRIDGE_OK ? bridge__pack_begun(p, BRIDGE_TYPE_ARRAY, index,
                                                  (lua_Integer)count)
                             : status;
}

static bridge_status begin_map(bridge__packer *p, int index, size_t count)
{
  bridge_status status = bridge_message_begin_map(p->message, count);
  if (status == BRIDGE_OK) {
    status = bridge__pack_begun(p, BRIDGE_TYPE_MAP, index, 0);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  if (count == BRIDGE_COUNT_UNKNOWN) {
    bridge__frame *f = &p->frames[p->depth - 1];
    f->top -= 2;
    f->begun = true;
  } else {
    lua_pushnil(p->L); /* the key before the first */
  }
  return BRIDGE_OK;
}

bridge_status bridge__pack_begin_table(bridge__packer *p, int index)
{
  size_t count = 0;
  return as_array(p, index, &count) ? begin_array(p, index, count)
                                    : begin_map(p, index, count);
}

/* ---- Tables that are marked, and those of classes ---- */

static bool is_length(lua_State *L, int key)
{
  size_t size = 0;
  return lua_type(L, key) == LUA_TSTRING &&
         *lua_tolstring(L, key, &size) == 'n' && size == 1;
}

/* How long an array is that may have holes: up to its last element, or as long as
   its `n` says.  False if it has other keys. */
static bool length_of(lua_State *L,
                      int table,
                      lua_Integer *length,
                      lua_Integer *used)
{
  bool array = true;
  *length = 0;
  *used = 0;
  lua_pushnil(L);
  while (lua_next(L, table) != 0) {
    bool counted = is_length(L, -2) && lua_isinteger(L, -1);
    int place = counted ? -1 : -2;
    lua_Integer at = lua_isinteger(L, place) ? lua_tointeger(L, place) : -1;
    array = array && at >= (counted ? 0 : 1);
    *length = at > *length ? at : *length;
    *used += !counted;
    lua_pop(L, 1);
  }
  return array;
}

static bridge_status begin_marked_array(bridge__packer *p, int index)
{
  lua_Integer length = 0;
  lua_Integer used = 0;
  if (!length_of(p->L, index, &length, &used)) {
    return bridge__pack_refuse(
        p, "a table that is marked as an array has other keys");
  }
  if (length - used > used + HOLES) {
    return bridge__pack_refuse(
        p, "a table that is marked as an array is nearly empty");
  }
  bridge_status status = begin_array(p, index, (size_t)length);
  if (status == BRIDGE_OK) {
    p->frames[p->depth - 1].holes = true;
  }
  return status;
}

/* The name of a class and its module are on top of the stack. */
static bridge_status write_class(bridge__packer *p)
{
  lua_State *L = p->L;
  size_t size = 0;
  const char *name = lua_tolstring(L, -2, &size);
  bridge_status status = bridge_message_write_string(p->message, name, size);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    return bridge_message_write_nil(p->message);
  }
  const char *module = lua_tolstring(L, -1, &size);
  return bridge_message_write_string(p->message, module, size);
}

/* The name and the module are on top of the stack. */
static bridge_status begin_instance(bridge__packer *p, int index)
{
  bridge_status status = bridge__pack_add(p, 1);
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_object(p->message, BRIDGE_TYPE_INSTANCE, 1);
  }
  if (status == BRIDGE_OK) {
    status = write_class(p);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  lua_pop(p->L, 2);
  p->containers.next++; /* the table within has the next number */
  return bridge__pack_push(p, BRIDGE_TYPE_INSTANCE, index, 1);
}

/* Push what the plan has for the object. */
static bridge_status find_row(bridge__packer *p, int index)
{
  if (p->plan == 0) {
    return bridge__pack_again(p, WITH_PLAN);
  }
  lua_pushvalue(p->L, index);
  int type = lua_rawget(p->L, p->plan);
  if (type == LUA_TNIL) {
    return bridge__pack_again(p, WITH_PLAN);
  }
  return type == LUA_TSTRING ? bridge__pack_refuse(p, lua_tostring(p->L, -1))
                             : BRIDGE_OK;
}

bridge_status bridge__pack_begin_object(bridge__packer *p, int index)
{
  lua_State *L = p->L;
  bridge_status status = find_row(p, index);
  if (status != BRIDGE_OK) {
    return status;
  }
  int row = lua_gettop(L);
  lua_rawgeti(L, row, 0);
  lua_Integer count = lua_tointeger(L, -1) - 2;
  lua_rawgeti(L, row, 1);
  lua_rawgeti(L, row, 2);
  status = bridge__pack_add(p, (size_t)count);
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_object(p->message, BRIDGE_TYPE_OBJECT,
                                         (size_t)count);
  }
  if (status == BRIDGE_OK) {
    status = write_class(p);
  }
  lua_settop(L, row);
  if (status == BRIDGE_OK) {
    status = bridge__pack_begun(p, BRIDGE_TYPE_OBJECT, index, count);
  }
  if (status == BRIDGE_OK) {
    p->frames[p->depth - 1].object = row;
    p->frames[p->depth - 1].identity = lua_topointer(L, index);
    p->objects++;
  }
  return status;
}

/* The metatable is on top of the stack. */
static bridge_status pack_by_class(bridge__packer *p, int index)
{
  const void *metatable = lua_topointer(p->L, -1);
  if (metatable == p->classless) { /* as that of the last table */
    lua_pop(p->L, 1);
    return bridge__pack_begin_table(p, index);
  }
  switch (bridge__class_of(p->L)) {
  case BRIDGE__CLASS_ARRAY:
    return begin_marked_array(p, index);
  case BRIDGE__CLASS_MAP:
    return begin_map(p, index, count_keys(p->L, index));
  case BRIDGE__CLASS_INSTANCE:
    return begin_instance(p, index);
  case BRIDGE__CLASS_OBJECT:
    return bridge__pack_begin_object(p, index);
  case BRIDGE__CLASS_FINAL:
    return bridge__pack_refuse(
        p, "the class of this table has __gc: only by __bridge_pack "
           "can it cross");
  case BRIDGE__CLASS_UNKNOWN:
    return bridge__pack_again(p, PREPARED);
  default:
    p->classless = metatable;
    return bridge__pack_begin_table(p, index);
  }
}

/* Whether the object of that number is being written: it cannot be made of
   itself. */
static bool contains_itself(const bridge__packer *p, const void *identity)
{
  for (size_t i = 0; p->objects > 0 && i < p->depth; i++) {
    if (p->frames[i].kind == BRIDGE_TYPE_OBJECT &&
        p->frames[i].identity == identity) {
      return true;
    }
  }
  return false;
}

bridge_status bridge__pack_reference(bridge__packer *p,
                                     const void *identity,
                                     size_t number)
{
  return contains_itself(p, identity)
             ? bridge__pack_refuse(p,
                                   "an object is among the values that its own "
                                   "__bridge_pack gave")
             : bridge_message_write_reference(p->message, number);
}

bridge_status bridge__pack_table(bridge__packer *p, int index)
{
  const void *identity = lua_topointer(p->L, index);
  if (identity == p->globals) {
    return bridge_message_write_globals(p->message);
  }
  size_t number = 0;
  if (bridge__seen_find(&p->containers, identity, &number)) {
    return bridge__pack_reference(p, identity, number);
  }
  bridge_status status = bridge__pack_deeper(p);
  if (status != BRIDGE_OK) {
    return status;
  }
  return lua_getmetatable(p->L, index) ? pack_by_class(p, index)
                                       : bridge__pack_begin_table(p, index);
}
