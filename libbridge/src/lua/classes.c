/* Classes: what scripts have said of the objects that cross: by what name a class is known,
   and which tables are arrays or maps.

   Everything stands in one table of the registry, so that whoever walks finds it
   without allocating: the names of metamethods, too. */
#include "lua/objects.h"

#include "lua/bind.h"

#include <lauxlib.h>

/* Its address is the key in the registry. */
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

void bridge__classes_push(lua_State *L)
{
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &classes_key) != LUA_TTABLE) {
    lua_pop(L, 1);
    make_classes(L);
  }
}

void bridge__classes_prepare(lua_State *L)
{
  luaL_checkstack(L, 8, NULL);
  bridge__classes_push(L);
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
  bridge__classes_push(L);
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
  bridge__classes_push(L);
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
  bridge__classes_push(L);
  get_raw(L, class, class + 1, UNPACK);
  lua_replace(L, class);
  lua_settop(L, class);
}

bool bridge__class_has_finalizer(lua_State *L)
{
  int class = lua_gettop(L);
  bridge__classes_push(L);
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
  bridge__classes_push(L);
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
  bridge__classes_push(L);
  lua_rawgeti(L, -1, mark == BRIDGE__CLASS_ARRAY ? ARRAY_MARK : MAP_MARK);
  lua_remove(L, -2);
  bridge__bind(L);
}

/* Whether the metatable on top of the stack is one of ours. */
static bool is_mark(lua_State *L)
{
  int metatable = lua_gettop(L);
  bridge__classes_push(L);
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

/* ---- For the plan ---- */

bool bridge__class_name(lua_State *L, int metatable, int classes)
{
  if (get_text(L, metatable, classes, NAME)) {
    return true;
  }
  lua_pop(L, 1);
  if (get_registered(L, metatable, classes) == LUA_TSTRING) {
    return true;
  }
  lua_pop(L, 1);
  return get_text(L, metatable, classes, LUA_NAME);
}

bool bridge__class_module(lua_State *L, int metatable, int classes)
{
  return get_text(L, metatable, classes, MODULE);
}

bool bridge__class_packer(lua_State *L, int metatable, int classes)
{
  return get_raw(L, metatable, classes, PACK) != LUA_TNIL;
}
