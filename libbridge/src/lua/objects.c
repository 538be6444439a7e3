/* Objects: what pack.c cannot ask while it walks tables, since it runs scripts, and
   what scripts have said beforehand: the names of their classes.

   Everything stands in one table of the registry, so that whoever walks finds it
   without allocating: the names of metamethods, too. */
#include "lua/objects.h"

#include "lua/bind.h"

#include <lauxlib.h>

#include <stdatomic.h>
#include <stdint.h>

/* Their addresses are the keys in the registry. */
static const char handles_key;
static const char limits_key;
static const char classes_key;

/* What stands in our table. */
enum {
  CLASSES = 1, /* from a metatable to a name, or to a mark */
  NAMES,       /* from a name to a class */
  ARRAY_MARK,
  MAP_MARK,
  PACK,
  NAME,
  MODULE,
  LUA_NAME,
  FINALIZER,
  UNPACK
};

/* ---- Handles and limits ---- */

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

/* ---- Classes ---- */

static void set_text(lua_State *L, int place, const char *text)
{
  lua_pushstring(L, text);
  lua_rawseti(L, -2, place);
}

/* The metatable of a mark; our table is on top of the stack. */
static void make_mark(lua_State *L, int place, const char *name)
{
  lua_createtable(L, 0, 1);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_rawgeti(L, -2, CLASSES);
  lua_pushvalue(L, -2);
  lua_pushinteger(L, place);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_rawseti(L, -2, place);
}

static void make_classes(lua_State *L)
{
  lua_createtable(L, UNPACK, 0);
  lua_newtable(L);
  lua_rawseti(L, -2, CLASSES);
  lua_newtable(L);
  lua_rawseti(L, -2, NAMES);
  make_mark(L, ARRAY_MARK, "bridge.array");
  make_mark(L, MAP_MARK, "bridge.map");
  set_text(L, PACK, "__bridge_pack");
  set_text(L, NAME, "__bridge_name");
  set_text(L, MODULE, "__bridge_module");
  set_text(L, LUA_NAME, "__name");
  set_text(L, FINALIZER, "__gc");
  set_text(L, UNPACK, "__bridge_unpack");
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &classes_key);
}

static void push_classes(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    make_classes(L);
  }
}

void bridge__classes_prepare(lua_State *L)
{
  luaL_checkstack(L, 8, NULL);
  push_classes(L);
  lua_pop(L, 1);
}

/* Push what a table has under a name of ours. */
static int get_raw(lua_State *L, int table, int classes, int name)
{
  lua_rawgeti(L, classes, name);
  return lua_rawget(L, table);
}

static bool has(lua_State *L, int table, int classes, int name)
{
  int type = get_raw(L, table, classes, name);
  lua_pop(L, 1);
  return type != LUA_TNIL;
}

/* Push the text that it has there, or nil. */
static bool get_text(lua_State *L, int table, int classes, int name)
{
  if (get_raw(L, table, classes, name) == LUA_TSTRING) {
    return true;
  }
  lua_pop(L, 1);
  lua_pushnil(L);
  return false;
}

/* Push under which name the metatable was registered, or its mark. */
static int get_registered(lua_State *L, int metatable, int classes)
{
  lua_rawgeti(L, classes, CLASSES);
  lua_pushvalue(L, metatable);
  int type = lua_rawget(L, -2);
  lua_remove(L, -2);
  return type;
}

/* By its name, which is on top of the stack; the module is pushed. */
static bridge__class instance(lua_State *L, int metatable, int classes)
{
  if (has(L, metatable, classes, FINALIZER)) {
    return BRIDGE__CLASS_FINAL;
  }
  get_text(L, metatable, classes, MODULE);
  return BRIDGE__CLASS_INSTANCE;
}

/* The registered name or the mark is on top of the stack. */
static bridge__class class_by(lua_State *L, int metatable, int classes)
{
  if (lua_type(L, -1) == LUA_TNUMBER) {
    return lua_tointeger(L, -1) == ARRAY_MARK ? BRIDGE__CLASS_ARRAY
                                              : BRIDGE__CLASS_MAP;
  }
  if (lua_type(L, -1) == LUA_TSTRING) {
    return instance(L, metatable, classes);
  }
  lua_pop(L, 1);
  return get_text(L, metatable, classes, NAME) ? instance(L, metatable, classes)
                                               : BRIDGE__CLASS_NONE;
}

bridge__class bridge__class_of(lua_State *L)
{
  int metatable = lua_gettop(L);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key) != LUA_TTABLE) {
    lua_settop(L, metatable - 1);
    return BRIDGE__CLASS_UNKNOWN;
  }
  int classes = metatable + 1;
  if (has(L, metatable, classes, PACK)) {
    lua_settop(L, metatable - 1);
    return BRIDGE__CLASS_OBJECT;
  }
  get_registered(L, metatable, classes);
  bridge__class found = class_by(L, metatable, classes);
  if (found != BRIDGE__CLASS_INSTANCE) {
    lua_settop(L, metatable - 1);
    return found;
  }
  lua_replace(L, classes); /* the module */
  lua_replace(L, metatable);
  return found;
}

/* ---- By name ---- */

/* The class of a name, if it was registered. */
static bool find_registered(lua_State *L, int name)
{
  push_classes(L);
  lua_rawgeti(L, -1, NAMES);
  lua_pushvalue(L, name);
  lua_rawget(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
  if (!lua_isnil(L, -1)) {
    return true;
  }
  lua_pop(L, 1);
  return false;
}

/* Whether the table on top of the stack says that it is the class of that name. */
static bool is_called(lua_State *L, int name)
{
  if (!lua_istable(L, -1)) {
    return false;
  }
  int table = lua_gettop(L);
  push_classes(L);
  bool called =
      get_text(L, table, table + 1, NAME) && lua_rawequal(L, -1, name);
  called = called || (get_text(L, table, table + 1, LUA_NAME) &&
                      lua_rawequal(L, -1, name));
  lua_settop(L, table);
  return called;
}

int bridge__class_find(lua_State *L)
{
  enum {
    CLASS = 1, /* its name */
    OF = 2     /* a module, or nil */
  };
  lua_settop(L, 2);
  if (find_registered(L, CLASS)) {
    return 1;
  }
  const char *name = lua_tostring(L, CLASS);
  if (lua_isnil(L, OF)) {
    return luaL_error(L, "no class is registered as '%s' in this state", name);
  }
  const char *module = lua_tostring(L, OF);
  if (lua_getglobal(L, "require") != LUA_TFUNCTION) {
    return luaL_error(
        L,
        "the class '%s' is in the module '%s', and this state has "
        "no 'require'",
        name, module);
  }
  lua_pushvalue(L, OF);
  lua_call(L, 1, 1);
  if (is_called(L, CLASS) || find_registered(L, CLASS)) {
    return 1;
  }
  return luaL_error(L, "the module '%s' did not register the class '%s'",
                    module, name);
}

void bridge__class_unpacker(lua_State *L)
{
  int class = lua_gettop(L);
  push_classes(L);
  get_raw(L, class, class + 1, UNPACK);
  lua_replace(L, class);
  lua_settop(L, class);
}

bool bridge__class_has_finalizer(lua_State *L)
{
  int class = lua_gettop(L);
  push_classes(L);
  bool found = has(L, class, class + 1, FINALIZER);
  lua_settop(L, class);
  return found;
}

int bridge__register(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    luaL_checktype(L, 2, LUA_TTABLE);
  }
  bool known = find_registered(L, 1);
  push_classes(L);
  lua_rawgeti(L, -1, CLASSES);
  if (known) { /* the one before has that name no more */
    lua_pushvalue(L, 3);
    lua_pushnil(L);
    lua_rawset(L, -3);
  }
  if (!lua_isnil(L, 2)) {
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    lua_rawset(L, -3);
  }
  lua_rawgeti(L, -2, NAMES);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_rawset(L, -3);
  return 0;
}

/* ---- Marks ---- */

void bridge__class_mark(lua_State *L, bridge__class mark)
{
  push_classes(L);
  lua_rawgeti(L, -1, mark == BRIDGE__CLASS_ARRAY ? ARRAY_MARK : MAP_MARK);
  lua_remove(L, -2);
  bridge__bind(L);
}

/* Whether the metatable on top of the stack is one of ours. */
static bool is_mark(lua_State *L)
{
  int metatable = lua_gettop(L);
  push_classes(L);
  bool mark = get_registered(L, metatable, metatable + 1) == LUA_TNUMBER;
  lua_settop(L, metatable);
  return mark;
}

/* A metatable that is there stays: it may be locked, and it may be a class. */
int bridge__mark(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  bool map = lua_toboolean(L, 2);
  lua_settop(L, 1);
  if (lua_getmetatable(L, 1) && !is_mark(L)) {
    return 0;
  }
  lua_settop(L, 1);
  bridge__class_mark(L, map ? BRIDGE__CLASS_MAP : BRIDGE__CLASS_ARRAY);
  return 1;
}

/* ---- The plan ----
   Stack of what follows: the plan, what was seen, and a queue of what is to be
   looked at.  It is a queue so that everything is met where it is nested least:
   what is too deep here is so in any order, and pack.c refuses it before it wants
   to know what its object gives. */

enum {
  PLAN = 1,
  SEEN,
  TODO,
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
static void add_todo(planner *p)
{
  int type = lua_type(p->L, -1);
  if (type == LUA_TTABLE || type == LUA_TUSERDATA || type == LUA_TFUNCTION) {
    lua_rawseti(p->L, TODO, ++p->last);
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

/* The name of a class that packs its objects itself, by its metatable. */
static bool push_name(lua_State *L, int metatable)
{
  if (get_text(L, metatable, OURS, NAME)) {
    return true;
  }
  lua_pop(L, 1);
  if (get_registered(L, metatable, OURS) == LUA_TSTRING) {
    return true;
  }
  lua_pop(L, 1);
  return get_text(L, metatable, OURS, LUA_NAME);
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
    add_todo(p);
    lua_rawseti(L, above + 1, i + 2);
  }
  lua_pushinteger(L, count + 2);
  lua_rawseti(L, above + 1, 0);
  push_name(L, metatable);
  lua_rawseti(L, above + 1, 1);
  if (!get_text(L, metatable, OURS, MODULE)) {
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
  if (!push_name(L, metatable)) {
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
  if (get_raw(L, VALUE + 1, OURS, PACK) == LUA_TNIL) {
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
  bool collecting = lua_gc(L, LUA_GCISRUNNING) > 0;
  lua_gc(L, LUA_GCSTOP);
  lua_settop(L, VALUE);
  lua_pushnil(L);
  while (lua_next(L, VALUE) != 0) {
    add_todo(p);
    lua_pushvalue(L, -1);
    add_todo(p);
  }
  if (collecting) {
    lua_gc(L, LUA_GCRESTART);
  }
}

static void look_into_function(planner *p)
{
  for (int i = 1; lua_getupvalue(p->L, VALUE, i) != NULL; i++) {
    add_todo(p);
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
  lua_newtable(L); /* PLAN */
  lua_newtable(L); /* SEEN */
  lua_newtable(L); /* TODO */
  push_classes(L); /* OURS */
  lua_rotate(L, 1, OURS);
  for (int i = 0; i < values; i++) {
    add_todo(p);
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
  lua_rawgeti(p->L, TODO, p->first);
  lua_pushnil(p->L);
  lua_rawseti(p->L, TODO, p->first++);
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
