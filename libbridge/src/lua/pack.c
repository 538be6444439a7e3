/* Pack: Lua values into a message, on their way out of a state.

   A table must not change while it is walked, so nothing of the script may run
   meanwhile, neither a metamethod nor a hook nor a finalizer: what could make one
   run is done before.  When the first object is met that packs itself, all is left
   as it was, all such objects are asked (objects.c), and all is packed again.  All
   but values that hold nothing is packed in a protected call, so that whatever
   raises is a failure here.  Nesting uses a stack of frames and not the C stack, so
   that no table is too deep for it. */
#include "lua/pack.h"
#include "lua/objects.h"

/* How often objects are asked, which may change what there is to be packed. */
#define PLANS 8

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
static bridge_status pack_light(bridge__packer *p, int index)
{
  void *pointer = lua_touserdata(p->L, index);
  if (pointer != NULL) {
    return bridge_message_write_light(p->message, pointer);
  }
  const bridge__frame *f = p->depth > 0 ? &p->frames[p->depth - 1] : NULL;
  bool within = f != NULL && (f->kind == BRIDGE_TYPE_ARRAY ||
                              (f->kind == BRIDGE_TYPE_MAP && !f->in_value));
  return within ? bridge_message_write_nil(p->message)
                : bridge_message_write_null(p->message);
}

/* Write the value at an absolute stack index.  Of a container only the beginning
   is written: its frame is on top then. */
static bridge_status pack_value(bridge__packer *p, int index, int type)
{
  if (is_plain(type)) {
    return pack_plain(p->L, index, type, p->message);
  }
  switch (type) {
  case LUA_TTABLE:
    return bridge__pack_table(p, index);
  case LUA_TFUNCTION:
    return bridge__pack_function(p, index);
  case LUA_TLIGHTUSERDATA:
    return pack_light(p, index);
  case LUA_TUSERDATA:
    return bridge__pack_userdata(p, index);
  default:
    return bridge__pack_refuse(p, "a coroutine cannot cross");
  }
}

/* ---- One step through the innermost container ---- */

static bridge_status end(bridge__packer *p)
{
  const bridge__frame *f = &p->frames[--p->depth];
  bool object = f->kind == BRIDGE_TYPE_OBJECT;
  lua_settop(p->L, f->top - (object ? 1 : 0));
  p->objects -= object;
  return bridge_message_end(p->message);
}

/* Elements, up to the first that is a container itself. */
static bridge_status next_elements(bridge__packer *p, bridge__frame *f)
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
      return bridge__pack_again(p, BY_COUNT);
    }
    if (!is_plain(type)) {
      return pack_value(p, index, type);
    }
    status = pack_plain(L, index, type, p->message);
  }
  return status == BRIDGE_OK ? end(p) : status;
}

/* One that is on the stack, with its pair. */
static bridge_status next_key_or_value(bridge__packer *p, bridge__frame *f)
{
  int index = f->top + (f->in_value ? 2 : 1);
  f->in_value = !f->in_value;
  if (++p->values > p->limits.values) {
    return bridge__pack_add(p, 0);
  }
  int type = lua_type(p->L, index);
  return is_plain(type) ? pack_plain(p->L, index, type, p->message)
                        : pack_value(p, index, type);
}

/* Keys and values, up to the first that is a container itself.  A key stays on the
   stack for the one behind it. */
static bridge_status next_in_map(bridge__packer *p, bridge__frame *f)
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

static bridge_status next_upvalue(bridge__packer *p, bridge__frame *f)
{
  lua_settop(p->L, f->top);
  if (f->at == f->count) {
    return end(p);
  }
  f->at++;
  const void *identity = lua_upvalueid(p->L, f->object, (int)f->at);
  size_t number = 0;
  if (bridge__seen_find(&p->upvalues, identity, &number)) {
    return bridge_message_write_upvalue(p->message, number);
  }
  bridge_status status = bridge__seen_add(&p->upvalues, identity);
  if (status != BRIDGE_OK) {
    return status;
  }
  f->upvalue = lua_getupvalue(p->L, f->object, (int)f->at);
  return pack_value(p, f->top + 1, lua_type(p->L, f->top + 1));
}

static bridge_status next_of_object(bridge__packer *p, bridge__frame *f)
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
static bridge_status next_of_instance(bridge__packer *p, bridge__frame *f)
{
  lua_settop(p->L, f->top);
  if (f->at == f->count) {
    return end(p);
  }
  f->at++;
  bridge_status status = bridge__pack_deeper(p);
  return status == BRIDGE_OK ? bridge__pack_begin_table(p, f->object) : status;
}

static bridge_status step(bridge__packer *p)
{
  bridge__frame *f = &p->frames[p->depth - 1];
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

static bridge_status pack_all(bridge__packer *p)
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

static void finish(bridge__packer *p)
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
static void prepare(bridge__packer *p)
{
  bridge__seen_nothing(&p->containers);
  bridge__seen_nothing(&p->upvalues);
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
static void find_limits(bridge__packer *p)
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
static bridge_status pack_rest(bridge__packer *p)
{
  bridge_status status = p->behind ? bridge__pack_count_written(p) : BRIDGE_OK;
  if (status == BRIDGE_OK) {
    status = bridge__pack_add(p, 0);
  }
  return status == BRIDGE_OK ? pack_all(p) : status;
}

static bridge_status start_again(bridge__packer *p, int top)
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
  bridge__packer *p = lua_touserdata(L, 1);
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
  bridge__pack_push_failure(p, top);
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
static void failed(bridge__packer *p, int code)
{
  if (code != LUA_OK && p->status == BRIDGE_OK) {
    /* What else raises is Lua's limit of calls within each other. */
    p->status = code == LUA_ERRMEM ? BRIDGE_ENOMEM : BRIDGE_ELIMIT;
  }
}

static void push_rest(bridge__packer *p, int first, int rest)
{
  for (int i = 0; i < rest; i++) {
    lua_pushvalue(p->L, first + p->skipped + i);
  }
}

/* With the plan on top of the stack, which is taken; or without, if 0. */
static void pack_quietly(bridge__packer *p, int first, int plan)
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
static void make_plan(bridge__packer *p, int first)
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
static void pack_others(bridge__packer *p, int first)
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
static bridge_status check_plain(bridge__packer *p)
{
  p->status = BRIDGE_OK;
  if ((size_t)p->count > p->limits.values) {
    p->done = (int)p->limits.values;
    p->status = bridge__pack_add(p, 0);
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
  bridge__packer p;
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
