/* Failures on their way into a script: nil, message, code, error. */
#include "lua/failure.h"

#include "lua/bind.h"
#include "lua/values.h"

#include <lauxlib.h>

#include <string.h>

/* "EFULL": the name without the prefix that C needs. */
static void push_code(lua_State *L, bridge_status status)
{
  const char *name = bridge_status_name(status);
  const char *prefix = "BRIDGE_";
  if (strncmp(name, prefix, strlen(prefix)) == 0) {
    name += strlen(prefix);
  }
  lua_pushstring(L, name);
}

static void add_frame(lua_State *L,
                      const bridge_frame *frame,
                      lua_Integer place)
{
  lua_createtable(L, 0, 4);
  lua_pushstring(L, frame->source);
  lua_setfield(L, -2, "source");
  if (frame->line >= 0) {
    lua_pushinteger(L, frame->line);
    lua_setfield(L, -2, "line");
  }
  lua_pushstring(L, frame->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, frame->what);
  lua_setfield(L, -2, "what");
  lua_rawseti(L, -2, place);
}

static void add_frames(lua_State *L, const bridge_error *error)
{
  size_t count = bridge_error_frame_count(error);
  lua_createtable(L, count < 64 ? (int)count : 64, 0);
  for (size_t i = 0; i < count; i++) {
    bridge_frame frame;
    if (bridge_error_frame(error, i, &frame) == BRIDGE_OK) {
      add_frame(L, &frame, (lua_Integer)i + 1);
    }
  }
  lua_setfield(L, -2, "frames");
}

/* The value as the script raised it, if it can be read here. */
static void add_value(lua_State *L, const bridge_error *error)
{
  const bridge_message *value = bridge_error_value(error);
  int count = 0;
  if (value == NULL) {
    return;
  }
  if (bridge__unpack(L, value, &count) != BRIDGE_OK) {
    lua_pop(L, 1);
  } else if (count == 1) {
    lua_setfield(L, -2, "value");
  } else {
    lua_pop(L, count);
  }
}

/* Causes of causes that are shown. */
enum {
  CAUSES_MAX = 16
};

typedef struct failure {
  bridge_status status;
  const bridge_error *error;
  const char *worker;
  int level; /* of the function of ours that was called, seen from describe */
} failure;

static void set_text(lua_State *L, const char *name, const char *text)
{
  if (text[0] != '\0') {
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
  }
}

static void push_cause(lua_State *L, const bridge_error *error, int depth);

static void add_cause(lua_State *L, const bridge_error *error, int depth)
{
  const bridge_error *cause = bridge_error_cause(error);
  if (cause == NULL || depth > CAUSES_MAX) {
    return;
  }
  push_cause(L, cause, depth);
  lua_setfield(L, -2, "cause");
}

static void push_cause(lua_State *L, const bridge_error *error, int depth)
{
  size_t size = 0;
  const char *text = bridge_error_text(error, &size);
  luaL_checkstack(L, 10, NULL);
  lua_createtable(L, 0, 8);
  lua_pushlstring(L, text, size);
  lua_setfield(L, -2, "message");
  push_code(L, bridge_error_status(error));
  lua_setfield(L, -2, "code");
  set_text(L, "traceback", bridge_error_traceback(error));
  set_text(L, "caller", bridge_error_caller(error));
  set_text(L, "worker", bridge_error_worker(error));
  add_frames(L, error);
  add_value(L, error);
  add_cause(L, error, depth + 1);
  luaL_getmetatable(L, BRIDGE__ERROR);
  bridge__bind(L);
}

/* Levels of the caller's stack that are shown. */
enum {
  LEVELS_MAX = 20
};

static void add_level(luaL_Buffer *text, lua_State *L, lua_Debug *ar)
{
  lua_getinfo(L, "Sln", ar);
  if (ar->currentline > 0) {
    lua_pushfstring(L, "\n\t%s:%d: in ", ar->short_src, ar->currentline);
  } else {
    lua_pushfstring(L, "\n\t%s: in ", ar->short_src);
  }
  luaL_addvalue(text);
  if (*ar->what == 'm') {
    lua_pushliteral(L, "main chunk");
  } else if (ar->name != NULL) {
    lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
  } else if (*ar->what == 'C') {
    lua_pushliteral(L, "?");
  } else {
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  }
  luaL_addvalue(text);
}

/* As luaL_traceback, but for the names of library functions, which it looks for in
   all that is loaded: that would take most of what a failed call takes. */
static void push_caller(lua_State *L, int level)
{
  lua_Debug ar;
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addstring(&text, "stack traceback:");
  for (int i = 0; i < LEVELS_MAX && lua_getstack(L, level + i, &ar); i++) {
    add_level(&text, L, &ar);
  }
  if (lua_getstack(L, level + LEVELS_MAX, &ar)) {
    luaL_addstring(&text, "\n\t...");
  }
  luaL_pushresult(&text);
}

/* Protected: pushes text, code, table. */
static int describe(lua_State *L)
{
  const failure *made = lua_touserdata(L, 1);
  size_t size = 0;
  const char *text = bridge_error_text(made->error, &size);
  luaL_checkstack(L, 10, NULL);
  lua_pushlstring(L, text, size);
  push_code(L, made->status);
  lua_createtable(L, 0, 6);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "code");
  if (made->worker != NULL) {
    lua_pushstring(L, made->worker);
    lua_setfield(L, -2, "worker");
  }
  lua_pushstring(L, bridge_error_traceback(made->error));
  lua_setfield(L, -2, "traceback");
  push_caller(L, made->level);
  lua_setfield(L, -2, "caller");
  add_frames(L, made->error);
  add_value(L, made->error);
  add_cause(L, made->error, 0);
  luaL_getmetatable(L, BRIDGE__ERROR);
  bridge__bind(L);
  return 3;
}

static int push_failure(lua_State *L,
                        bridge_status status,
                        const bridge_error *error,
                        const char *worker,
                        int level)
{
  luaL_checkstack(L, 6, NULL);
  lua_pushnil(L);
  if (error != NULL) {
    failure made = {status, error, worker, level};
    lua_pushcfunction(L, describe);
    lua_pushlightuserdata(L, &made);
    if (lua_pcall(L, 1, 3, 0) == LUA_OK) {
      return 4;
    }
    lua_pop(L, 1); /* no memory for the details: the status remains */
  }
  lua_pushstring(L, bridge_status_text(status));
  push_code(L, status);
  return 3;
}

int bridge__push_failure(lua_State *L,
                         bridge_status status,
                         const bridge_error *error,
                         const char *worker)
{
  return push_failure(L, status, error, worker, 1);
}

typedef struct giving {
  failure made;
  int count;
} giving;

/* Protected. */
static int give(lua_State *L)
{
  giving *given = lua_touserdata(L, 1);
  const failure *made = &given->made;
  given->count =
      push_failure(L, made->status, made->error, made->worker, made->level);
  return given->count;
}

int bridge__give_failure(lua_State *L,
                         bridge_status status,
                         bridge_error *error,
                         const char *worker)
{
  if (error == NULL) {
    return bridge__push_failure(L, status, NULL, worker);
  }
  giving given = {{status, error, worker, 2}, 0};
  lua_pushcfunction(L, give);
  lua_pushlightuserdata(L, &given);
  int code = lua_pcall(L, 1, LUA_MULTRET, 0);
  bridge_error_release(error);
  return code == LUA_OK ? given.count : lua_error(L);
}
