/* Text only: Lua's own ways to load a chunk, without the precompiled ones, which
   can crash Lua, unless the host wants them.  Written anew, so that they poll, and so
   that errors read as those of the originals. */
#include "lua/libraries.h"

#include "lua/feed.h"
#include "lua/guard.h"

#include <lauxlib.h>
#include <lualib.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The slot that keeps the current piece alive. */
#define PIECE 5

/* What is loaded where nobody says what he wants: the first upvalue says whether
   chunks may be precompiled. */
static const char *usual_mode(lua_State *L)
{
  return lua_toboolean(L, lua_upvalueindex(1)) ? "bt" : "t";
}

/* A caller who wants nothing that is allowed gets nothing. */
static const char *check_mode(lua_State *L, int index)
{
  const char *usual = usual_mode(L);
  const char *mode = luaL_optstring(L, index, usual);
  if (usual[0] == 'b') {
    return mode;
  }
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
static int raise_again(lua_State *L)
{
  bridge__poll(L); /* a stop, as such */
  return lua_error(L);
}

static int load_fed(lua_State *L,
                    bridge__feed *feed,
                    const char *name,
                    const char *mode)
{
  int code = bridge__feed_load(L, feed, name, mode);
  return code != LUA_OK && feed->obeyed ? raise_again(L) : code;
}

/* ---- Files ---- */

typedef struct source {
  bridge__feed feed; /* the first, so that a feed is its source */
  FILE *file;
  char bytes[4096];
} source;

static void read_block(lua_State *L, bridge__feed *feed)
{
  (void)L;
  source *from = (source *)(void *)feed;
  feed->size = fread(from->bytes, 1, sizeof from->bytes, from->file);
  feed->text = from->bytes;
}

static void skip(bridge__feed *feed, size_t size)
{
  feed->text += size;
  feed->size -= size;
}

/* Byte order mark and first line of a script for a shell, but for its end, so that
   lines keep their numbers. */
static void skip_beginning(bridge__feed *feed)
{
  read_block(NULL, feed);
  if (feed->size >= 3 && memcmp(feed->text, "\xEF\xBB\xBF", 3) == 0) {
    skip(feed, 3);
  }
  if (feed->size == 0 || feed->text[0] != '#') {
    return;
  }
  const char *end = memchr(feed->text, '\n', feed->size);
  while (end == NULL && feed->size > 0) {
    read_block(NULL, feed);
    end = memchr(feed->text, '\n', feed->size);
  }
  if (feed->size > 0) {
    skip(feed, (size_t)(end - feed->text));
  }
  if (feed->size > 1 && feed->text[1] == LUA_SIGNATURE[0]) {
    skip(feed, 1); /* to be refused as what it is */
  }
}

/* In the place of all from the name on. */
static int give_file_error(lua_State *L, int place, const char *what)
{
  const char *text = strerror(errno);
  lua_settop(L, place);
  lua_pushfstring(L, "cannot %s %s: %s", what, lua_tostring(L, place) + 1,
                  text);
  lua_remove(L, place);
  return LUA_ERRFILE;
}

static void close_file(FILE *file)
{
  if (file != stdin) {
    fclose(file);
  }
}

/* As luaL_loadfilex; NULL is what the process reads. */
static int load_file(lua_State *L, const char *path, const char *mode)
{
  source from = {.feed = {.more = read_block}, .file = stdin};
  const int place = lua_gettop(L) + 1;
  if (path == NULL) {
    lua_pushliteral(L, "=stdin");
  } else {
    lua_pushfstring(L, "@%s", path);
    from.file = fopen(path, "rb");
  }
  if (from.file == NULL) {
    return give_file_error(L, place, "open");
  }
  skip_beginning(&from.feed);
  int code = bridge__feed_load(L, &from.feed, lua_tostring(L, place), mode);
  bool unread = ferror(from.file) != 0;
  int error = errno;
  close_file(from.file);
  if (code != LUA_OK && from.feed.obeyed) {
    return raise_again(L);
  }
  if (unread) {
    errno = error;
    return give_file_error(L, place, "read");
  }
  lua_remove(L, place);
  return code;
}

/* ---- Functions ---- */

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
  const char *mode = check_mode(L, 3);
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
  const char *mode = check_mode(L, 2);
  int environment = lua_isnone(L, 3) ? 0 : 3;
  return loaded(L, load_file(L, file, mode), environment);
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
  if (load_file(L, file, usual_mode(L)) != LUA_OK) {
    return lua_error(L);
  }
  lua_callk(L, 0, LUA_MULTRET, 0, results_of_file);
  return results_of_file(L, LUA_OK, 0);
}

/* The path of a Lua module, or nil and where it was sought. */
static void search_path(lua_State *L)
{
  lua_getfield(L, lua_upvalueindex(2), "searchpath");
  lua_pushvalue(L, 1);
  if (lua_getfield(L, lua_upvalueindex(2), "path") != LUA_TSTRING) {
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
  if (load_file(L, file, usual_mode(L)) != LUA_OK) {
    return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s",
                      name, file, lua_tostring(L, -1));
  }
  lua_pushstring(L, file);
  return 2;
}

static void replace_searcher(lua_State *L, bool binary)
{
  if (lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE &&
      lua_getfield(L, -1, "searchers") == LUA_TTABLE) {
    lua_pushboolean(L, binary);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, text_searcher, 2);
    lua_rawseti(L, -2, 2);
  }
  lua_settop(L, 0);
}

void bridge__libraries_loaders(lua_State *L, bool binary)
{
  static const luaL_Reg functions[] = {{"load", text_load},
                                       {"loadfile", text_loadfile},
                                       {"dofile", text_dofile},
                                       {NULL, NULL}};
  if (lua_getglobal(L, "load") == LUA_TFUNCTION) {
    lua_pushglobaltable(L);
    lua_pushboolean(L, binary);
    luaL_setfuncs(L, functions, 1);
  }
  lua_settop(L, 0);
  replace_searcher(L, binary);
}
