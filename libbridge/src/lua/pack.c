/* Pack: Lua values into a message, on their way out of a state.

   A table must not change while it is walked, so nothing of the script may run
   meanwhile, neither a metamethod nor a hook nor a finalizer: what could make one
   run is done before.  When the first object is met that packs itself, all is left
   as it was, all such objects are asked (objects.c), and all is packed again.  All but values that hold nothing is packed in a protected
   call, so that whatever raises is a failure here.  Nesting uses a stack of frames
   and not the C stack, so that no table is too deep for it. */
#include "lua/objects.h"
#include "lua/path.h"
#include "lua/values.h"

#include <bridge/buffer.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What was written already: the address of a table, a function or an upvalue,
   and its number in the message.  Few are found by looking at all of them, many
   by hashing. */
#define SEEN_FEW 16

/* Containers within each other that need no memory of the heap. */
#define FRAMES_FEW 8

/* Deeper than this a map is counted before it is written.  A count that is
   written afterwards makes all that is in the map move by a few bytes, which is
   cheaper, but not when each level does so. */
#define COUNTED_LATE 8

/* Stack slots that one container needs: for its key and value, and to look at a
   userdata. */
#define SLOTS 10

/* A dump that needs no memory of the heap: that of a function of some lines. */
#define DUMP_FEW ((size_t)512)

/* Elements that are taken from an array before the stack is cleared. */
#define TOGETHER 8

typedef struct entry {
  const void *key;
  size_t number;
} entry;

typedef struct seen {
  entry few[SEEN_FEW];
  entry *table;         /* NULL while there are few */
  bridge_buffer *block; /* that it stands in */
  size_t capacity;      /* of the table: a power of two */
  size_t used;
  size_t next; /* the number of the next one */
} seen;

/* How often objects are asked, which may change what there is to be packed. */
#define PLANS 8

/* A table that is marked as an array may have so many holes, and as many more as
   values. */
#define HOLES 64

/* Why it is packed once more. */
typedef enum again {
  ONCE,
  BY_COUNT,  /* a table was taken for an array and is none: look at all keys */
  PREPARED,  /* nothing is prepared to tell classes */
  WITH_PLAN, /* an object wants to be asked */
} again;

/* A container that is being written.  Its values stand on the Lua stack above
   `top`: an element; or a key and its value; or an upvalue. */
typedef struct frame {
  bridge_type kind;
  int object; /* stack index of the table or function, or row of the plan */
  int top;
  bool in_value; /* MAP: the key is written, its value comes next */
  bool begun;    /* MAP: the first pair is on the stack already */
  bool holes;    /* ARRAY: marked as one, nil is an element */
  lua_Integer at;
  lua_Integer count;    /* MAP: of no use */
  const char *upvalue;  /* FUNCTION: the name of the current one */
  const void *identity; /* OBJECT: whose values they are */
} frame;

typedef struct packer {
  lua_State *L;
  bridge_message *message;
  const char *noun; /* what the values are called */
  int first;        /* stack index of the first, were all of them copied */
  int count;
  int skipped; /* so many hold nothing: written already, not copied */
  int done;    /* values that are written */
  bool behind; /* the message had values before ours */
  size_t size; /* of the message, with those that were skipped */
  bridge_status status;
  const void *globals;
  const void *classless; /* a metatable that was asked and makes no class */
  seen containers;
  seen upvalues;
  frame few[FRAMES_FEW];
  frame *frames;
  bridge_buffer *frames_block; /* NULL for the few */
  size_t depth;
  size_t capacity;
  size_t objects; /* how many of the containers are of that kind */
  bool careful;   /* look at all keys before a table is taken for an array */
  again again;
  int plan;      /* its stack index, or 0 */
  size_t values; /* in containers, so far */
  bridge__value_limits limits;
  char *dump;
  bridge_buffer *dump_block;
  size_t dump_size;
  size_t dump_capacity;
  char dump_few[DUMP_FEW];
  const char *reason; /* why a value cannot cross */
  char text[80];      /* room for one that is put together */
} packer;

static bridge_status refuse(packer *p, const char *reason)
{
  p->reason = reason;
  return BRIDGE_ETYPE;
}

/* ---- Memory ----
   The library's, like that of the message.  The state's allocator knows of no
   collection that could make room when its limit is reached: only Lua does. */

/* Bytes, all zero; NULL if there are none. */
static void *allocate(bridge_buffer **block, size_t size)
{
  void *data = NULL;
  if (bridge_buffer_create(block, size) != BRIDGE_OK) {
    return NULL;
  }
  return bridge_buffer_begin_write(*block, &data) == BRIDGE_OK ? data : NULL;
}

static void replace(bridge_buffer **old, bridge_buffer *block)
{
  bridge_buffer_release(*old);
  *old = block;
}

/* ---- What was seen ---- */

static size_t slot_of(const void *key, size_t capacity)
{
  uint64_t bits = (uint64_t)(uintptr_t)key;
  bits = (bits ^ (bits >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(bits >> 32) & (capacity - 1);
}

static entry *probe(entry *table, size_t capacity, const void *key)
{
  size_t at = slot_of(key, capacity);
  while (table[at].key != NULL && table[at].key != key) {
    at = (at + 1) & (capacity - 1);
  }
  return &table[at];
}

static void seen_nothing(seen *s)
{
  s->table = NULL;
  s->block = NULL;
  s->capacity = 0;
  s->used = 0;
  s->next = 0;
}

static bool seen_find(const seen *s, const void *key, size_t *number)
{
  if (s->table != NULL) {
    const entry *found = probe(s->table, s->capacity, key);
    *number = found->number;
    return found->key != NULL;
  }
  for (size_t i = 0; i < s->used; i++) {
    if (s->few[i].key == key) {
      *number = s->few[i].number;
      return true;
    }
  }
  return false;
}

static bool seen_grow(seen *s)
{
  size_t capacity = s->table == NULL ? SEEN_FEW * 4 : s->capacity * 2;
  bridge_buffer *block = NULL;
  entry *table = allocate(&block, capacity * sizeof *table);
  if (table == NULL) {
    return false;
  }
  const entry *from = s->table == NULL ? s->few : s->table;
  size_t count = s->table == NULL ? s->used : s->capacity;
  for (size_t i = 0; i < count; i++) {
    if (from[i].key != NULL) {
      *probe(table, capacity, from[i].key) = from[i];
    }
  }
  replace(&s->block, block);
  s->table = table;
  s->capacity = capacity;
  return true;
}

/* Give the next number to `key`, which was not seen. */
static bridge_status seen_add(seen *s, const void *key)
{
  bool full =
      s->table == NULL ? s->used == SEEN_FEW : s->used * 2 > s->capacity;
  if (full && !seen_grow(s)) {
    return BRIDGE_ENOMEM;
  }
  entry *place =
      s->table == NULL ? &s->few[s->used] : probe(s->table, s->capacity, key);
  place->key = key;
  place->number = s->next++;
  s->used++;
  return BRIDGE_OK;
}

/* ---- Frames ---- */

static bool grow_frames(packer *p)
{
  size_t capacity = p->capacity * 2;
  bridge_buffer *block = NULL;
  frame *frames = allocate(&block, capacity * sizeof *frames);
  if (frames == NULL) {
    return false;
  }
  memcpy(frames, p->frames, p->depth * sizeof *frames);
  replace(&p->frames_block, block);
  p->frames = frames;
  p->capacity = capacity;
  return true;
}

static bridge_status push_frame(packer *p,
                                bridge_type kind,
                                int object,
                                lua_Integer count)
{
  if (!lua_checkstack(p->L, SLOTS + TOGETHER) ||
      (p->depth == p->capacity && !grow_frames(p))) {
    return BRIDGE_ENOMEM;
  }
  frame *f = &p->frames[p->depth++];
  f->kind = kind;
  f->object = object;
  f->top = lua_gettop(p->L);
  f->in_value = false;
  f->begun = false;
  f->holes = false;
  f->at = 0;
  f->count = count;
  f->upvalue = NULL;
  return BRIDGE_OK;
}

/* The message has begun a container for the object at a stack index. */
static bridge_status begun(packer *p,
                           bridge_type kind,
                           int object,
                           lua_Integer count)
{
  bridge_status status = seen_add(&p->containers, lua_topointer(p->L, object));
  return status == BRIDGE_OK ? push_frame(p, kind, object, count) : status;
}

static bridge_status limit(packer *p, const char *format, size_t number)
{
  snprintf(p->text, sizeof p->text, format, number);
  p->reason = p->text;
  return BRIDGE_ELIMIT;
}

static bridge_status go_deeper(packer *p)
{
  return p->depth < p->limits.depth
             ? BRIDGE_OK
             : limit(p, "nested deeper than %zu (depth_limit)",
                     p->limits.depth);
}

/* There are so many more values, at least. */
static bridge_status add_values(packer *p, size_t count)
{
  p->values += count;
  return p->values <= p->limits.values
             ? BRIDGE_OK
             : limit(p, "more than %zu values (value_limit)", p->limits.values);
}

/* All is packed once more. */
static bridge_status begin_again(packer *p, again why)
{
  p->again = why;
  return BRIDGE_ETYPE;
}

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
static bool as_array(packer *p, int index, size_t *count)
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

static bridge_status begin_array(packer *p, int index, size_t count)
{
  bridge_status status = add_values(p, count);
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_array(p->message, count);
  }
  return status == BRIDGE_OK
             ? begun(p, BRIDGE_TYPE_ARRAY, index, (lua_Integer)count)
             : status;
}

static bridge_status begin_map(packer *p, int index, size_t count)
{
  bridge_status status = bridge_message_begin_map(p->message, count);
  if (status == BRIDGE_OK) {
    status = begun(p, BRIDGE_TYPE_MAP, index, 0);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  if (count == BRIDGE_COUNT_UNKNOWN) {
    frame *f = &p->frames[p->depth - 1];
    f->top -= 2;
    f->begun = true;
  } else {
    lua_pushnil(p->L); /* the key before the first */
  }
  return BRIDGE_OK;
}

static bridge_status begin_table(packer *p, int index)
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

static bridge_status begin_marked_array(packer *p, int index)
{
  lua_Integer length = 0;
  lua_Integer used = 0;
  if (!length_of(p->L, index, &length, &used)) {
    return refuse(p, "a table that is marked as an array has other keys");
  }
  if (length - used > used + HOLES) {
    return refuse(p, "a table that is marked as an array is nearly empty");
  }
  bridge_status status = begin_array(p, index, (size_t)length);
  if (status == BRIDGE_OK) {
    p->frames[p->depth - 1].holes = true;
  }
  return status;
}

/* The name of a class and its module are on top of the stack. */
static bridge_status write_class(packer *p)
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
static bridge_status begin_instance(packer *p, int index)
{
  bridge_status status = add_values(p, 1);
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
  return push_frame(p, BRIDGE_TYPE_INSTANCE, index, 1);
}

/* Push what the plan has for the object. */
static bridge_status find_row(packer *p, int index)
{
  if (p->plan == 0) {
    return begin_again(p, WITH_PLAN);
  }
  lua_pushvalue(p->L, index);
  int type = lua_rawget(p->L, p->plan);
  if (type == LUA_TNIL) {
    return begin_again(p, WITH_PLAN);
  }
  return type == LUA_TSTRING ? refuse(p, lua_tostring(p->L, -1)) : BRIDGE_OK;
}

static bridge_status begin_object(packer *p, int index)
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
  status = add_values(p, (size_t)count);
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_object(p->message, BRIDGE_TYPE_OBJECT,
                                         (size_t)count);
  }
  if (status == BRIDGE_OK) {
    status = write_class(p);
  }
  lua_settop(L, row);
  if (status == BRIDGE_OK) {
    status = begun(p, BRIDGE_TYPE_OBJECT, index, count);
  }
  if (status == BRIDGE_OK) {
    p->frames[p->depth - 1].object = row;
    p->frames[p->depth - 1].identity = lua_topointer(L, index);
    p->objects++;
  }
  return status;
}

/* The metatable is on top of the stack. */
static bridge_status pack_by_class(packer *p, int index)
{
  const void *metatable = lua_topointer(p->L, -1);
  if (metatable == p->classless) { /* as that of the last table */
    lua_pop(p->L, 1);
    return begin_table(p, index);
  }
  switch (bridge__class_of(p->L)) {
  case BRIDGE__CLASS_ARRAY:
    return begin_marked_array(p, index);
  case BRIDGE__CLASS_MAP:
    return begin_map(p, index, count_keys(p->L, index));
  case BRIDGE__CLASS_INSTANCE:
    return begin_instance(p, index);
  case BRIDGE__CLASS_OBJECT:
    return begin_object(p, index);
  case BRIDGE__CLASS_FINAL:
    return refuse(p, "the class of this table has __gc: only by __bridge_pack "
                     "can it cross");
  case BRIDGE__CLASS_UNKNOWN:
    return begin_again(p, PREPARED);
  default:
    p->classless = metatable;
    return begin_table(p, index);
  }
}

/* Whether the object of that number is being written: it cannot be made of
   itself. */
static bool contains_itself(const packer *p, const void *identity)
{
  for (size_t i = 0; p->objects > 0 && i < p->depth; i++) {
    if (p->frames[i].kind == BRIDGE_TYPE_OBJECT &&
        p->frames[i].identity == identity) {
      return true;
    }
  }
  return false;
}

static bridge_status write_reference(packer *p,
                                     const void *identity,
                                     size_t number)
{
  return contains_itself(p, identity)
             ? refuse(p, "an object is among the values that its own "
                         "__bridge_pack gave")
             : bridge_message_write_reference(p->message, number);
}

static bridge_status pack_table(packer *p, int index)
{
  const void *identity = lua_topointer(p->L, index);
  if (identity == p->globals) {
    return bridge_message_write_globals(p->message);
  }
  size_t number = 0;
  if (seen_find(&p->containers, identity, &number)) {
    return write_reference(p, identity, number);
  }
  bridge_status status = go_deeper(p);
  if (status != BRIDGE_OK) {
    return status;
  }
  return lua_getmetatable(p->L, index) ? pack_by_class(p, index)
                                       : begin_table(p, index);
}

/* ---- Functions ---- */

static bool grow_dump(packer *p, size_t size)
{
  size_t capacity = (p->dump_size + size) * 2;
  bridge_buffer *block = NULL;
  char *dump = allocate(&block, capacity);
  if (dump == NULL) {
    return false;
  }
  if (p->dump_size > 0) {
    memcpy(dump, p->dump, p->dump_size);
  }
  replace(&p->dump_block, block);
  p->dump = dump;
  p->dump_capacity = capacity;
  return true;
}

static int write_dump(lua_State *L, const void *data, size_t size, void *user)
{
  (void)L;
  packer *p = user;
  if (size > BRIDGE_SIZE_MAX - p->dump_size) {
    return 1;
  }
  if (size > p->dump_capacity - p->dump_size && !grow_dump(p, size)) {
    return 1;
  }
  if (size > 0) {
    memcpy(p->dump + p->dump_size, data, size);
    p->dump_size += size;
  }
  return 0;
}

static bridge_status dump_function(packer *p, int index)
{
  p->dump_size = 0;
  lua_pushvalue(p->L, index);
  int failed = lua_dump(p->L, write_dump, p, 0);
  lua_pop(p->L, 1);
  return failed ? BRIDGE_ENOMEM : BRIDGE_OK;
}

static size_t count_upvalues(lua_State *L, int index)
{
  int count = 0;
  while (lua_getupvalue(L, index, count + 1) != NULL) {
    lua_pop(L, 1);
    count++;
  }
  return (size_t)count;
}

static bridge_status pack_c_function(packer *p, int index)
{
  if (count_upvalues(p->L, index) != 0) {
    return refuse(p, "a C function with upvalues cannot cross");
  }
  bridge_function *function = (bridge_function *)lua_tocfunction(p->L, index);
  return bridge_message_write_cfunction(p->message, function);
}

static bridge_status pack_function(packer *p, int index)
{
  if (lua_iscfunction(p->L, index)) {
    return pack_c_function(p, index);
  }
  size_t number = 0;
  if (seen_find(&p->containers, lua_topointer(p->L, index), &number)) {
    return bridge_message_write_reference(p->message, number);
  }
  bridge_status status = go_deeper(p);
  if (status != BRIDGE_OK) {
    return status;
  }
  size_t upvalues = count_upvalues(p->L, index);
  status = add_values(p, upvalues);
  if (status == BRIDGE_OK) {
    status = dump_function(p, index);
  }
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_function(p->message, upvalues);
  }
  if (status == BRIDGE_OK) {
    status = bridge_message_write_binary(p->message, p->dump, p->dump_size);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  return begun(p, BRIDGE_TYPE_FUNCTION, index, (lua_Integer)upvalues);
}

/* ---- Handles ---- */

/* A userdata of somebody else, which may be the object of a class. */
static bridge_status pack_foreign(packer *p, int index)
{
  const void *identity = lua_topointer(p->L, index);
  size_t number = 0;
  if (seen_find(&p->containers, identity, &number)) {
    return write_reference(p, identity, number);
  }
  if (!lua_getmetatable(p->L, index)) {
    return refuse(p, "a userdata cannot cross");
  }
  bridge__class class = bridge__class_of(p->L);
  if (class == BRIDGE__CLASS_UNKNOWN) {
    return begin_again(p, PREPARED);
  }
  if (class != BRIDGE__CLASS_OBJECT) {
    return refuse(p, "a userdata cannot cross");
  }
  bridge_status status = go_deeper(p);
  return status == BRIDGE_OK ? begin_object(p, index) : status;
}

static bridge_status pack_userdata(packer *p, int index)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  const bridge__handles *handles = bridge__get_handles(p->L);
  if (handles != NULL) {
    kind = handles->get(p->L, index, &handle);
  }
  if (kind == BRIDGE_HANDLE_NONE) {
    return pack_foreign(p, index);
  }
  if (handle == NULL) {
    return refuse(p, "a handle that was released cannot cross");
  }
  bridge_status status = bridge_message_write_handle(p->message, kind, handle);
  if (status == BRIDGE_EBUSY) {
    p->reason = "a buffer that is being written cannot cross";
  }
  return status;
}

/* ---- Values ---- */

static bridge_status pack_number(lua_State *L,
                                 int index,
                                 bridge_message *message)
{
  if (lua_isinteger(L, index)) {
    return bridge_message_write_integer(message, lua_tointeger(L, index));
  }
  return bridge_message_write_float(message, lua_tonumber(L, index));
}

static bridge_status pack_string(lua_State *L,
                                 int index,
                                 bridge_message *message)
{
  size_t size = 0;
  const char *data = lua_tolstring(L, index, &size);
  return bridge_message_write_string(message, data, size);
}

/* What holds nothing else, and is no object. */
static bool is_plain(int type)
{
  return type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER ||
         type == LUA_TSTRING;
}

static bridge_status pack_plain(lua_State *L,
                                int index,
                                int type,
                                bridge_message *message)
{
  switch (type) {
  case LUA_TNUMBER:
    return pack_number(L, index, message);
  case LUA_TSTRING:
    return pack_string(L, index, message);
  case LUA_TBOOLEAN:
    return bridge_message_write_boolean(message, lua_toboolean(L, index) != 0);
  default:
    return bridge_message_write_nil(message);
  }
}

/* NULL is Lua's null.  Within tables nil can be nothing else. */
static bridge_status pack_light(packer *p, int index)
{
  void *pointer = lua_touserdata(p->L, index);
  if (pointer != NULL) {
    return bridge_message_write_light(p->message, pointer);
  }
  const frame *f = p->depth > 0 ? &p->frames[p->depth - 1] : NULL;
  bool within = f != NULL && (f->kind == BRIDGE_TYPE_ARRAY ||
                              (f->kind == BRIDGE_TYPE_MAP && !f->in_value));
  return within ? bridge_message_write_nil(p->message)
                : bridge_message_write_null(p->message);
}

/* Write the value at an absolute stack index.  Of a container only the beginning
   is written: its frame is on top then. */
static bridge_status pack_value(packer *p, int index, int type)
{
  if (is_plain(type)) {
    return pack_plain(p->L, index, type, p->message);
  }
  switch (type) {
  case LUA_TTABLE:
    return pack_table(p, index);
  case LUA_TFUNCTION:
    return pack_function(p, index);
  case LUA_TLIGHTUSERDATA:
    return pack_light(p, index);
  case LUA_TUSERDATA:
    return pack_userdata(p, index);
  default:
    return refuse(p, "a coroutine cannot cross");
  }
}

/* ---- One step through the innermost container ---- */

static bridge_status end(packer *p)
{
  const frame *f = &p->frames[--p->depth];
  bool object = f->kind == BRIDGE_TYPE_OBJECT;
  lua_settop(p->L, f->top - (object ? 1 : 0));
  p->objects -= object;
  return bridge_message_end(p->message);
}

/* Elements, up to the first that is a container itself. */
static bridge_status next_elements(packer *p, frame *f)
{
  lua_State *L = p->L;
  bridge_status status = BRIDGE_OK;
  int index = f->top + TOGETHER;
  while (status == BRIDGE_OK && f->at < f->count) {
    if (index == f->top + TOGETHER) {
      lua_settop(L, f->top);
      index = f->top;
    }
    index++;
    int type = lua_rawgeti(L, f->object, ++f->at);
    if (type == LUA_TNIL && !f->holes) {
      return begin_again(p, BY_COUNT);
    }
    if (!is_plain(type)) {
      return pack_value(p, index, type);
    }
    status = pack_plain(L, index, type, p->message);
  }
  return status == BRIDGE_OK ? end(p) : status;
}

/* One that is on the stack, with its pair. */
static bridge_status next_key_or_value(packer *p, frame *f)
{
  int index = f->top + (f->in_value ? 2 : 1);
  f->in_value = !f->in_value;
  if (++p->values > p->limits.values) {
    return add_values(p, 0);
  }
  int type = lua_type(p->L, index);
  return is_plain(type) ? pack_plain(p->L, index, type, p->message)
                        : pack_value(p, index, type);
}

/* Keys and values, up to the first that is a container itself.  A key stays on the
   stack for the one behind it. */
static bridge_status next_in_map(packer *p, frame *f)
{
  lua_State *L = p->L;
  size_t depth = p->depth;
  bridge_status status = BRIDGE_OK;
  lua_settop(L, f->top + (f->in_value || f->begun ? 2 : 1));
  while (status == BRIDGE_OK && p->depth == depth) {
    if (!f->in_value && !f->begun && lua_next(L, f->object) == 0) {
      return end(p);
    }
    f->begun = false;
    status = next_key_or_value(p, f);
    if (p->depth == depth && !f->in_value) { /* else the frame may be gone */
      lua_settop(L, f->top + 1);
    }
  }
  return status;
}

static bridge_status next_upvalue(packer *p, frame *f)
{
  lua_settop(p->L, f->top);
  if (f->at == f->count) {
    return end(p);
  }
  f->at++;
  const void *identity = lua_upvalueid(p->L, f->object, (int)f->at);
  size_t number = 0;
  if (seen_find(&p->upvalues, identity, &number)) {
    return bridge_message_write_upvalue(p->message, number);
  }
  bridge_status status = seen_add(&p->upvalues, identity);
  if (status != BRIDGE_OK) {
    return status;
  }
  f->upvalue = lua_getupvalue(p->L, f->object, (int)f->at);
  return pack_value(p, f->top + 1, lua_type(p->L, f->top + 1));
}

static bridge_status next_of_object(packer *p, frame *f)
{
  lua_settop(p->L, f->top);
  if (f->at == f->count) {
    return end(p);
  }
  /* Behind the name and the module. */
  int type = lua_rawgeti(p->L, f->object, ++f->at + 2);
  return pack_value(p, f->top + 1, type);
}

/* The table itself, and nothing else. */
static bridge_status next_of_instance(packer *p, frame *f)
{
  lua_settop(p->L, f->top);
  if (f->at == f->count) {
    return end(p);
  }
  f->at++;
  bridge_status status = go_deeper(p);
  return status == BRIDGE_OK ? begin_table(p, f->object) : status;
}

static bridge_status step(packer *p)
{
  frame *f = &p->frames[p->depth - 1];
  switch (f->kind) {
  case BRIDGE_TYPE_ARRAY:
    return next_elements(p, f);
  case BRIDGE_TYPE_MAP:
    return next_in_map(p, f);
  case BRIDGE_TYPE_OBJECT:
    return next_of_object(p, f);
  case BRIDGE_TYPE_INSTANCE:
    return next_of_instance(p, f);
  default:
    return next_upvalue(p, f);
  }
}

static bridge_status pack_all(packer *p)
{
  while (p->done < p->count) {
    int index = p->first + p->done;
    bridge_status status = pack_value(p, index, lua_type(p->L, index));
    while (status == BRIDGE_OK && p->depth > 0) {
      status = step(p);
    }
    if (status != BRIDGE_OK) {
      return status;
    }
    p->done++;
  }
  return BRIDGE_OK;
}

/* ---- What the message has already ----
   Numbers go on from those of the values before ours. */

static void count_value(packer *p, const bridge_value *value)
{
  p->containers.next +=
      value->type == BRIDGE_TYPE_ARRAY || value->type == BRIDGE_TYPE_MAP ||
      value->type == BRIDGE_TYPE_FUNCTION ||
      value->type == BRIDGE_TYPE_OBJECT || value->type == BRIDGE_TYPE_INSTANCE;
}

/* How many values follow that stand within `value`. */
static size_t inside(const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_FUNCTION:
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    return value->as.count;
  case BRIDGE_TYPE_MAP:
    return value->as.count * 2;
  default:
    return 0;
  }
}

/* Upvalues are the values right inside of a function, but for the dump and for
   those that were there before. */
static bridge_status count_written(packer *p)
{
  struct {
    size_t left;
    bool function;
  } open[BRIDGE_DEPTH_MAX + 1];
  open[0].left = 0;
  open[0].function = false;
  bridge_reader reader;
  bridge_status status = bridge_reader_init(&reader, p->message);
  bridge_value value;
  size_t depth = 0;
  while (status == BRIDGE_OK &&
         (status = bridge_reader_next(&reader, &value)) == BRIDGE_OK) {
    while (depth > 0 && open[depth].left == 0) {
      depth--;
    }
    open[depth].left -= depth > 0;
    p->upvalues.next +=
        open[depth].function && value.type != BRIDGE_TYPE_UPVALUE;
    count_value(p, &value);
    if (inside(&value) > 0 && depth < BRIDGE_DEPTH_MAX) {
      depth++;
      open[depth].left = inside(&value);
      open[depth].function = value.type == BRIDGE_TYPE_FUNCTION;
      if (open[depth].function) {
        status = bridge_reader_skip(&reader); /* the dump */
        open[depth].left--;
      }
    }
  }
  return status == BRIDGE_EEMPTY ? BRIDGE_OK : status;
}

/* ---- Failure ---- */

static void describe(packer *p, bridge__path *path)
{
  for (size_t i = 0; i < p->depth; i++) {
    const frame *f = &p->frames[i];
    switch (f->kind) {
    case BRIDGE_TYPE_ARRAY:
      bridge__path_index(path, f->at);
      break;
    case BRIDGE_TYPE_MAP:
      if (f->in_value) {
        bridge__path_in_key(path);
      } else {
        bridge__path_key(path, p->L, f->top + 1);
      }
      break;
    case BRIDGE_TYPE_OBJECT:
      bridge__path_packed(path, (size_t)f->at);
      break;
    case BRIDGE_TYPE_INSTANCE:
      break;
    default:
      bridge__path_upvalue(path, f->upvalue);
      break;
    }
  }
}

static const char *reason_of(packer *p, bridge_status status)
{
  if (p->reason != NULL) {
    return p->reason;
  }
  switch (status) {
  case BRIDGE_ENOMEM:
    return "not enough memory";
  case BRIDGE_ELIMIT:
    if (p->limits.bytes == BRIDGE_SIZE_MAX) {
      return "the message would be larger than 1 GiB";
    }
    limit(p, "the message would have more than %zu bytes (message_limit)",
          p->limits.bytes);
    return p->reason;
  default:
    return bridge_status_text(status);
  }
}

static void push_failure(packer *p, int top)
{
  bridge__path path;
  bridge__path_begin(&path, p->noun, (size_t)p->done + 1);
  describe(p, &path);
  bridge__path_end(&path, reason_of(p, p->status));
  lua_settop(p->L, top);
  lua_pushlstring(p->L, path.text, path.size);
}

static void finish(packer *p)
{
  bridge_buffer_release(p->containers.block);
  bridge_buffer_release(p->upvalues.block);
  bridge_buffer_release(p->frames_block);
  bridge_buffer_release(p->dump_block);
}

/* The values that hold nothing, up to the first that does.  Most messages have no
   others, and need none of what follows. */
static bridge_status pack_plain_ones(
    lua_State *L, int first, int count, bridge_message *message, int *done)
{
  for (*done = 0; *done < count; ++*done) {
    int type = lua_type(L, first + *done);
    if (!is_plain(type)) {
      return BRIDGE_OK;
    }
    bridge_status status = pack_plain(L, first + *done, type, message);
    if (status != BRIDGE_OK) {
      return status;
    }
  }
  return BRIDGE_OK;
}

/* Whether values can be appended, and taken back: not within a container. */
static bridge_status behind(const bridge_message *message, size_t size)
{
  bridge_reader reader;
  return size == 0 ? BRIDGE_OK : bridge_reader_init(&reader, message);
}

/* Not set to zero as a whole, for it is large. */
static void prepare(packer *p)
{
  seen_nothing(&p->containers);
  seen_nothing(&p->upvalues);
  p->frames = p->few;
  p->frames_block = NULL;
  p->depth = 0;
  p->capacity = FRAMES_FEW;
  p->objects = 0;
  p->values = (size_t)p->count;
  p->again = ONCE;
  p->classless = NULL;
  p->dump = p->dump_few;
  p->dump_block = NULL;
  p->dump_size = 0;
  p->dump_capacity = DUMP_FEW;
  p->reason = NULL;
  p->done = p->skipped;
}

/* What one message of this state may have. */
static void find_limits(packer *p)
{
  const bridge__value_limits *found = bridge__get_limits(p->L);
  bridge__value_limits l = {0};
  if (found != NULL) {
    l = *found;
  }
  p->limits.depth = l.depth == 0 ? BRIDGE_DEPTH_MAX : l.depth;
  p->limits.values = l.values == 0 ? SIZE_MAX : l.values;
  p->limits.bytes = l.bytes == 0 ? BRIDGE_SIZE_MAX : l.bytes;
}

/* The values that were not skipped. */
static bridge_status pack_rest(packer *p)
{
  bridge_status status = p->behind ? count_written(p) : BRIDGE_OK;
  if (status == BRIDGE_OK) {
    status = add_values(p, 0);
  }
  return status == BRIDGE_OK ? pack_all(p) : status;
}

static bridge_status start_again(packer *p, int top)
{
  p->careful = p->careful || p->again == BY_COUNT;
  if (p->again == PREPARED) {
    bridge__classes_prepare(p->L);
  }
  finish(p);
  lua_settop(p->L, top);
  bridge_message_truncate(p->message, p->size);
  prepare(p);
  return pack_rest(p);
}

/* The packer and copies of the values, and the plan, if there is one; the text of
   a failure. */
static int pack_protected(lua_State *L)
{
  packer *p = lua_touserdata(L, 1);
  int top = lua_gettop(L);
  if (p->status == BRIDGE_OK) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    p->globals = lua_topointer(L, -1);
    lua_pop(L, 1);
    p->status = pack_rest(p);
  }
  while (p->again == BY_COUNT || p->again == PREPARED) {
    p->status = BRIDGE_OK; /* until it is known, for what raises */
    p->status = start_again(p, top);
  }
  if (p->status == BRIDGE_OK || p->again == WITH_PLAN) {
    return 0;
  }
  push_failure(p, top);
  return 1;
}

/* Without hooks of calls, which the script may have set: of what C does no other
   hook learns. */
static int call_quietly(lua_State *L, int arguments)
{
  int mask = lua_gethookmask(L);
  if ((mask & (LUA_MASKCALL | LUA_MASKRET)) == 0) {
    return lua_pcall(L, arguments, LUA_MULTRET, 0);
  }
  lua_Hook hook = lua_gethook(L);
  int count = lua_gethookcount(L);
  lua_sethook(L, NULL, 0, 0);
  int code = lua_pcall(L, arguments, LUA_MULTRET, 0);
  lua_sethook(L, hook, mask, count);
  return code;
}

/* What a protected call of ours has failed with; its text is on top. */
static void failed(packer *p, int code)
{
  if (code != LUA_OK && p->status == BRIDGE_OK) {
    /* What else raises is Lua's limit of calls within each other. */
    p->status = code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ELIMIT;
  }
}

static void push_rest(packer *p, int first, int rest)
{
  for (int i = 0; i < rest; i++) {
    lua_pushvalue(p->L, first + p->skipped + i);
  }
}

/* With the plan on top of the stack, which is taken; or without, if 0. */
static void pack_quietly(packer *p, int first, int plan)
{
  int rest = p->status == BRIDGE_OK ? p->count - p->skipped : 0;
  if (!lua_checkstack(p->L, rest + SLOTS)) {
    p->status = BRIDGE_ENOMEM;
    rest = 0;
  }
  lua_pushcfunction(p->L, pack_protected);
  lua_pushlightuserdata(p->L, p);
  push_rest(p, first, rest);
  p->plan = 0;
  if (plan != 0) {
    lua_rotate(p->L, plan, -1);
    p->plan = rest + 2; /* behind the packer and the values */
  }
  failed(p, call_quietly(p->L, rest + (plan != 0 ? 2 : 1)));
}

/* Ask the objects among the values, with hooks and all: leaves the plan, or the
   text of a failure, on top of the stack. */
static void make_plan(packer *p, int first)
{
  lua_State *L = p->L;
  int rest = p->count - p->skipped;
  bool collecting = lua_gc(L, LUA_GCISRUNNING) > 0;
  p->status = BRIDGE_OK;
  if (!lua_checkstack(L, rest + SLOTS)) {
    p->status = BRIDGE_ENOMEM;
    lua_pushliteral(L, "not enough memory");
    return;
  }
  lua_pushcfunction(L, bridge__objects_plan);
  push_rest(p, first, rest);
  int code = lua_pcall(L, rest, 1, 0);
  if (code != LUA_OK && collecting) {
    lua_gc(L,
           LUA_GCRESTART); /* it may have failed where nothing is collected */
  }
  failed(p, code);
}

/* Values that hold others.  A failure leaves its text on the stack. */
static void pack_others(packer *p, int first)
{
  pack_quietly(p, first, 0);
  for (int i = 0; p->again == WITH_PLAN; i++) {
    finish(p);
    bridge_message_truncate(p->message, p->size);
    prepare(p);
    if (i == PLANS) {
      p->status = BRIDGE_ETYPE;
      lua_pushliteral(p->L, "the values changed while they were packed");
      return;
    }
    make_plan(p, first);
    if (p->status != BRIDGE_OK) {
      return;
    }
    pack_quietly(p, first, lua_gettop(p->L));
  }
}

/* Whether values that hold nothing are within the limits; if not, the text is
   pushed. */
static bridge_status check_plain(packer *p)
{
  p->status = BRIDGE_OK;
  if ((size_t)p->count > p->limits.values) {
    p->done = (int)p->limits.values;
    p->status = add_values(p, 0);
  } else if (bridge_message_size(p->message) > p->limits.bytes) {
    p->done = p->count - 1;
    p->status = BRIDGE_ELIMIT;
  }
  if (p->status != BRIDGE_OK && lua_checkstack(p->L, SLOTS)) {
    lua_pushcfunction(p->L, pack_protected);
    lua_pushlightuserdata(p->L, p);
    call_quietly(p->L, 1);
  }
  return p->status;
}

bridge_status bridge__pack(lua_State *L,
                           int first,
                           int count,
                           bridge_message *message)
{
  return bridge__pack_as(L, first, count, message, "argument");
}

bridge_status bridge__pack_as(lua_State *L,
                              int first,
                              int count,
                              bridge_message *message,
                              const char *noun)
{
  size_t size = bridge_message_size(message);
  first = first > 0 ? first : lua_absindex(L, first);
  int done = 0;
  bridge_status status = behind(message, size);
  if (status == BRIDGE_OK) {
    status = pack_plain_ones(L, first, count, message, &done);
  }
  bool plain = status == BRIDGE_OK && done == count;
  if (plain && bridge__get_limits(L) == NULL) {
    return BRIDGE_OK;
  }
  packer p;
  p.L = L;
  p.message = message;
  p.noun = noun;
  p.first = 2 - done; /* behind the packer */
  p.count = count;
  p.skipped = done;
  p.behind = size > 0;
  p.size = bridge_message_size(message);
  p.status = status;
  p.careful = false;
  prepare(&p);
  find_limits(&p);
  if (plain) {
    status = check_plain(&p);
  } else {
    if (p.limits.bytes < BRIDGE_SIZE_MAX) {
      bridge_message_set_limit(message, p.limits.bytes);
    }
    pack_others(&p, first);
    status = p.status;
  }
  finish(&p);
  if (status != BRIDGE_OK) {
    bridge_message_truncate(message, size);
  }
  return status;
}
