/* Text only: Lua's own ways to load a chunk, without the precompiled ones, which
   can crash Lua.  Written anew, so that errors read as those of the originals. */
#include "lua/libraries.h"

#include "lua/feed.h"
#include "lua/guard.h"

#include <lauxlib.h>
#include <lualib.h>

#include <string.h>

/* The slot that keeps the current piece alive. */
#define PIECE 5

/* A caller who wants no text gets nothing. */
static const char *text_mode(lua_State *L, int index)
{
  const char *mode = luaL_optstring(L, index, "t");
  return strchr(mode, 't') != NULL ? "t" : "";
}

/* What the reader function returns; nil or an empty text is the end. */
static void call_reader(lua_State *L, bridge__feed *feed)
{
  luaL_checkstack(L, 2, "too many nested functions");
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  if (!lua_isstring(L, -1)) {
    luaL_error(L, "reader function must return a string");
  }
  lua_replace(L, PIECE);
  feed->text = lua_tolstring(L, PIECE, &feed->size);
}

/* What a poll raises is no error of the text: nobody is to hear of it as one. */
static int load_fed(lua_State *L,
                    bridge__feed *feed,
                    const char *name,
                    const char *mode)
{
  int code = bridge__feed_load(L, feed, name, mode);
  if (code != LUA_OK && feed->obeyed) {
    bridge__poll(L); /* a stop is raised as such again */
    lua_error(L);
  }
  return code;
}

/* What load and loadfile return, given what Lua returned. */
static int loaded(lua_State *L, int code, int environment)
{
  if (code != LUA_OK) {
    luaL_pushfail(L);
    lua_insert(L, -2);
    return 2;
  }
  if (environment != 0) {
    lua_pushvalue(L, environment);
    if (lua_setupvalue(L, -2, 1) == NULL) {
      lua_pop(L, 1);
    }
  }
  return 1;
}

static int text_load(lua_State *L)
{
  bridge__feed feed = {.text = NULL};
  feed.text = lua_tolstring(L, 1, &feed.size);
  const char *mode = text_mode(L, 3);
  int environment = lua_isnone(L, 4) ? 0 : 4;
  const char *name = luaL_optstring(L, 2, feed.text);
  if (feed.text == NULL) {
    name = name == NULL ? "=(load)" : name;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, PIECE);
    feed.more = call_reader;
  }
  return loaded(L, load_fed(L, &feed, name, mode), environment);
}

static int text_loadfile(lua_State *L)
{
  const char *file = luaL_optstring(L, 1, NULL);
  const char *mode = text_mode(L, 2);
  int environment = lua_isnone(L, 3) ? 0 : 3;
  return loaded(L, luaL_loadfilex(L, file, mode), environment);
}

static int results_of_file(lua_State *L, int code, lua_KContext context)
{
  (void)code;
  (void)context;
  return lua_gettop(L) - 1;
}

static int text_dofile(lua_State *L)
{
  const char *file = luaL_optstring(L, 1, NULL);
  lua_settop(L, 1);
  if (luaL_loadfilex(L, file, "t") != LUA_OK) {
    return lua_error(L);
  }
  lua_callk(L, 0, LUA_MULTRET, 0, results_of_file);
  return results_of_file(L, LUA_OK, 0);
}

/* The path of a Lua module, or nil and where it was sought. */
static void search_path(lua_State *L)
{
  lua_getfield(L, lua_upvalueindex(1), "searchpath");
  lua_pushvalue(L, 1);
  if (lua_getfield(L, lua_upvalueindex(1), "path") != LUA_TSTRING) {
    luaL_error(L, "'package.path' must be a string");
  }
  lua_call(L, 2, 2);
}

/* The second of package.searchers: the one that finds files of Lua. */
static int text_searcher(lua_State *L)
{
  const char *name = luaL_checkstring(L, 1);
  search_path(L);
  if (lua_isnil(L, -2)) {
    return 1; /* where it was sought */
  }
  const char *file = lua_tostring(L, -2);
  if (luaL_loadfilex(L, file, "t") != LUA_OK) {
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s",
                      name, file, lua_tostring(L, -1));
  }
  lua_pushstring(L, file);
  return 2;
}

static void replace_searcher(lua_State *L)
{
  if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE &&
      lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, text_searcher, 1);
    lua_rawseti(L, -2, 2);
  }
  lua_settop(L, 0);
}

void bridge__libraries_text_only(lua_State *L)
{
  static const luaL_Reg functions[] = {{"load", text_load},
                                       {"loadfile", text_loadfile},
                                       {"dofile", text_dofile},
                                       {NULL, NULL}};
  if (lua_getglobal(L, "load") == LUA_TFUNCTION) {
    lua_pushglobaltable(L);
    luaL_setfuncs(L, functions, 0);
  }
  lua_settop(L, 0);
  replace_searcher(L);
}
