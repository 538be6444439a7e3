/* Strict: puts the functions of this folder into the place of Lua's own, when a
   state is opened. */
#include "lua/strict/strict.h"

#include <lualib.h>

#include <stdbool.h>
#include <stdint.h>

/* ---- Lua's own functions, which poll when they are called ----
   The original is called in the same frame, so that its errors read as ever: it
   may have no upvalues. */

static lua_CFunction original(lua_State *L)
{
  return (lua_CFunction)(uintptr_t)lua_touserdata(L, lua_upvalueindex(1));
}

static int polled(lua_State *L)
{
  bridge__poll(L);
  return original(L)(L);
}

/* The same for functions that make long texts of few arguments. */
static int capped(lua_State *L)
{
  bridge__poll(L);
  int count = original(L)(L);
  size_t most = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  bridge__strict_check(L, lua_rawlen(L, -1), most);
  return count;
}

/* What __gc would name runs where no hook can stop it, so that it is refused; one
   that is put into the metatable later is never looked at by Lua. */
static int strict_setmetatable(lua_State *L)
{
  bridge__poll(L);
  if (lua_type(L, 1) == LUA_TTABLE && lua_type(L, 2) == LUA_TTABLE) {
    lua_pushvalue(L, lua_upvalueindex(2)); /* "__gc" */
    if (lua_rawget(L, 2) != LUA_TNIL) {
      return luaL_error(L, "__gc is not allowed in this state");
    }
    lua_pop(L, 1);
  }
  return original(L)(L);
}

/* The metatable of an object that C made, and that is finalized, would let a script
   have a finalizer of its own. */
static int strict_getmetatable(lua_State *L)
{
  bridge__poll(L);
  if (lua_type(L, 1) == LUA_TUSERDATA &&
      luaL_getmetafield(L, 1, "__gc") != LUA_TNIL) {
    if (luaL_getmetafield(L, 1, "__metatable") == LUA_TNIL) {
      lua_pushboolean(L, 0);
    }
    return 1;
  }
  return original(L)(L);
}

/* As the original; written anew, since it is what loops call. */
static int strict_next(lua_State *L)
{
  bridge__poll(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  if (lua_next(L, 1) != 0) {
    return 2;
  }
  lua_pushnil(L);
  return 1;
}

/* Lua's own hands out its own `next`. */
static int strict_pairs(lua_State *L)
{
  bridge__poll(L);
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__pairs") == LUA_TNIL) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
  }
  return original(L)(L);
}

/* ---- Opening ---- */

/* Replace a field of the table on top of the stack; the original is the first
   upvalue, and there may be one more on top of the stack. */
static void wrap(lua_State *L, const char *name, lua_CFunction by, int more)
{
  if (lua_getfield(L, -1 - more, name) != LUA_TFUNCTION) {
    lua_pop(L, 1 + more);
    return;
  }
  lua_CFunction function = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)function);
  if (more == 1) {
    lua_insert(L, -2);
  }
  lua_pushcclosure(L, by, 1 + more);
  lua_setfield(L, -2, name);
}

/* Wrap all functions of the table on top of the stack, none of which has
   upvalues. */
static void wrap_all(lua_State *L)
{
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    bool function = lua_iscfunction(L, -1) != 0;
    lua_pop(L, 1);
    if (function) {
      const char *name = lua_tostring(L, -1); /* which was no number */
      lua_pushvalue(L, -2);
      wrap(L, name, polled, 0); /* a field that is there */
      lua_pop(L, 1);
    }
  }
}

/* Let a function that was wrapped also look at what it made. */
static void cap(lua_State *L, const char *name, size_t most)
{
  lua_getfield(L, -1, name);
  lua_getupvalue(L, -1, 1);
  lua_pushinteger(L, (lua_Integer)most);
  lua_pushcclosure(L, capped, 2);
  lua_setfield(L, -3, name);
  lua_pop(L, 1);
}

/* The table of a library, if the state has it. */
static bool push_library(lua_State *L, const char *name)
{
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  bool there = lua_getfield(L, -1, name) == LUA_TTABLE;
  lua_remove(L, -2);
  if (!there) {
    lua_pop(L, 1);
  }
  return there;
}

static void replace_base(lua_State *L)
{
  lua_pushliteral(L, "__gc");
  wrap(L, "setmetatable", strict_setmetatable, 1);
  wrap(L, "getmetatable", strict_getmetatable, 0);
  wrap(L, "collectgarbage", polled, 0);
  wrap(L, "next", strict_next, 0);
  wrap(L, "print", polled, 0);
  wrap(L, "tonumber", polled, 0);
  wrap(L, "tostring", polled, 0);
  lua_getfield(L, -1, "next");
  wrap(L, "pairs", strict_pairs, 1);
}

static void replace(lua_State *L, const luaL_Reg *functions, size_t most)
{
  wrap_all(L);
  lua_pushinteger(L, (lua_Integer)most);
  luaL_setfuncs(L, functions, 1);
}

void bridge__strict_open(lua_State *L, size_t most)
{
  if (push_library(L, LUA_GNAME)) {
    replace_base(L);
    lua_pop(L, 1);
  }
  if (push_library(L, LUA_STRLIBNAME)) {
    replace(L, bridge__strict_string, most);
    if (most != 0) {
      cap(L, "format", most);
      cap(L, "pack", most);
    }
    lua_pop(L, 1);
  }
  if (push_library(L, LUA_TABLIBNAME)) {
    replace(L, bridge__strict_table, most);
    lua_pop(L, 1);
  }
  if (push_library(L, LUA_UTF8LIBNAME)) {
    wrap_all(L);
    lua_pop(L, 1);
  }
}
