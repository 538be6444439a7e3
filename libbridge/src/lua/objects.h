/* Objects of classes, and what else pack.c and unpack.c find in the registry of a
   state: the classes by their names, the marks of arrays and maps, the limits. */
#ifndef BRIDGE_LUA_OBJECTS_H
#define BRIDGE_LUA_OBJECTS_H

#include "lua/values.h"

#include <stdbool.h>

/* What a table is by its metatable. */
typedef enum bridge__class {
  BRIDGE__CLASS_NONE, /* of no class: its metatable stays behind */
  BRIDGE__CLASS_ARRAY,
  BRIDGE__CLASS_MAP,
  BRIDGE__CLASS_INSTANCE, /* its contents cross, and the name of its class */
  BRIDGE__CLASS_OBJECT,   /* its `__bridge_pack` says what crosses */
  BRIDGE__CLASS_FINAL,    /* an instance whose class has a finalizer */
  BRIDGE__CLASS_UNKNOWN   /* nothing is prepared to tell */
} bridge__class;

/* Have all that is asked for below.  May raise, and run finalizers. */
void bridge__classes_prepare(lua_State *L);

/* What is there by its metatable, which is on top of the stack and is taken.
   Neither allocates nor raises.  Of an instance, the name and the module, or nil,
   are pushed. */
bridge__class bridge__class_of(lua_State *L);

/* A function of Lua: (name, module) gives the class, or raises. */
int bridge__class_find(lua_State *L);

/* What a class makes its objects of values with, in the place of the class on top
   of the stack; nil if it has nothing. */
void bridge__class_unpacker(lua_State *L);
bool bridge__class_has_finalizer(lua_State *L);

/* Push what the metatable has; `classes` is where bridge__classes_push has left its table.
   The name and the module are text, or nil where this is false. */
void bridge__classes_push(lua_State *L);
bool bridge__class_name(lua_State *L, int metatable, int classes);
bool bridge__class_module(lua_State *L, int metatable, int classes);
bool bridge__class_packer(lua_State *L, int metatable, int classes);

/* Give the mark of an array or a map to the table on top of the stack. */
void bridge__class_mark(lua_State *L, bridge__class mark);

/* A function of Lua: of any values it gives a table, from each object that has a
   `__bridge_pack`, at any depth, to what that gave: { name, module or false,
   values ..., [0] = how many } or, if it failed, to a text. */
int bridge__objects_plan(lua_State *L);

#endif
