/* What scripts hand to the bridge, checked before anything is called. */
#include "face.h"

#include <limits.h>
#include <math.h>
#include <string.h>

const char *const bridge__face_waker_kinds[] = {
    "default", "eventfd", "pipe", "udp", "condition", "callback", NULL};
const char *const bridge__face_policies[] = {"block", "fail", "drop_oldest",
                                             NULL};
const char *const bridge__face_log_levels[] = {"debug", "info", "warning",
                                               "error", NULL};
const char *const bridge__face_priorities[] = {"idle", "low", "normal", "high",
                                               NULL};
const char *const bridge__face_levels[] = {"cooperative", "prompt", "strict",
                                           NULL};
const char *const bridge__face_ends[] = {"sending", "receiving", NULL};
const char *const bridge__face_drives[] = {"thread", "host", NULL};
const char *const bridge__face_phases[] = {"running", "serving", "stopping",
                                           "ended",   "lost",    NULL};

/* Where it says which file is ours; see bridge__face_is_mine. */
#define MINE "bridge.init.source"

void bridge__face_is_mine(lua_State *L, int level)
{
  lua_Debug call;
  /* Only once: a script may call this, too. */
  if (lua_getfield(L, LUA_REGISTRYINDEX, MINE) == LUA_TNIL &&
      lua_getstack(L, level, &call) && lua_getinfo(L, "S", &call)) {
    lua_pushstring(L, call.source);
    lua_setfield(L, LUA_REGISTRYINDEX, MINE);
  }
  lua_pop(L, 1);
}

/* The level of the function that the script called: that of C, or one of init.lua
   which called that. */
static int called_level(lua_State *L)
{
  int level = 0;
  lua_Debug caller;
  lua_getfield(L, LUA_REGISTRYINDEX, MINE);
  const char *mine = lua_tostring(L, -1);
  while (mine != NULL && lua_getstack(L, level + 1, &caller) &&
         lua_getinfo(L, "S", &caller) && strcmp(caller.source, mine) == 0) {
    level++;
  }
  lua_pop(L, 1);
  return level;
}

void bridge__face_where(lua_State *L)
{
  luaL_where(L, called_level(L) + 1);
}

void bridge__face_wrong(lua_State *L, int index, const char *text)
{
  lua_Debug call;
  const char *name = NULL;
  const int level = called_level(L);
  if (lua_getstack(L, level, &call)) {
    lua_getinfo(L, "n", &call);
    name = call.name;
  }
  luaL_where(L, level + 1);
  if (name != NULL && strcmp(call.namewhat, "method") == 0) {
    index--; /* nobody counts the object before the colon */
  }
  if (name == NULL) {
    lua_pushfstring(L, "bad argument #%d (%s)", index, text);
  } else if (index == 0) {
    lua_pushfstring(L, "calling '%s' on bad self (%s)", name, text);
  } else {
    lua_pushfstring(L, "bad argument #%d to '%s' (%s)", index, name, text);
  }
  lua_concat(L, 2);
}

static bool expected(lua_State *L, int index, const char *what)
{
  const char *text =
      lua_pushfstring(L, "%s expected, got %s", what, luaL_typename(L, index));
  bridge__face_wrong(L, index, text);
  return false;
}

bool bridge__face_no_more(lua_State *L, int most)
{
  /* What is missing is told by the check of its type. */
  return lua_gettop(L) <= most || expected(L, most + 1, "no argument");
}

bool bridge__face_seconds(lua_State *L, int index, int *out)
{
  if (lua_isnoneornil(L, index)) {
    *out = -1;
    return true;
  }
  if (lua_type(L, index) != LUA_TNUMBER) {
    return expected(L, index, "seconds or nil");
  }
  double milliseconds = ceil(lua_tonumber(L, index) * 1000.0);
  if (isnan(milliseconds)) {
    bridge__face_wrong(L, index, "seconds expected, got not-a-number");
    return false;
  }
  if (milliseconds > INT_MAX) {
    *out = -1; /* 24 days: for ever */
  } else {
    /* A time that is over is no reason to wait for ever. */
    *out = milliseconds > 0.0 ? (int)milliseconds : 0;
  }
  return true;
}

bool bridge__face_integer(lua_State *L,
                          int index,
                          lua_Integer least,
                          lua_Integer most,
                          lua_Integer *out)
{
  if (lua_type(L, index) != LUA_TNUMBER) {
    return expected(L, index, "a whole number");
  }
  int is_integer = 0;
  lua_Integer value = lua_tointegerx(L, index, &is_integer);
  if (!is_integer) {
    bridge__face_wrong(L, index, "a whole number expected, got a fraction");
    return false;
  }
  if (value < least || value > most) {
    const char *text =
        lua_pushfstring(L, "%I is not from %I to %I", (LUAI_UACINT)value,
                        (LUAI_UACINT)least, (LUAI_UACINT)most);
    bridge__face_wrong(L, index, text);
    return false;
  }
  *out = value;
  return true;
}

bool bridge__face_boolean(lua_State *L, int index, bool *out)
{
  if (lua_type(L, index) != LUA_TBOOLEAN) {
    return expected(L, index, "true or false");
  }
  *out = lua_toboolean(L, index) != 0;
  return true;
}

bool bridge__face_choice(lua_State *L,
                         int index,
                         const char *const *names,
                         int *out)
{
  if (lua_type(L, index) != LUA_TSTRING) {
    return expected(L, index, "a name");
  }
  const char *given = lua_tostring(L, index);
  for (int i = 0; names[i] != NULL; i++) {
    if (strcmp(names[i], given) == 0) {
      *out = i;
      return true;
    }
  }
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addstring(&text, "one of");
  for (int i = 0; names[i] != NULL; i++) {
    luaL_addstring(&text, i == 0 ? " \"" : ", \"");
    luaL_addstring(&text, names[i]);
    luaL_addstring(&text, "\"");
  }
  luaL_addstring(&text, " expected");
  luaL_pushresult(&text);
  bridge__face_wrong(L, index, lua_tostring(L, -1));
  return false;
}

bool bridge__face_text(lua_State *L, int index, const char **out)
{
  size_t size = 0;
  if (!bridge__face_bytes(L, index, true, out, &size)) {
    return false;
  }
  if (*out != NULL && strlen(*out) != size) {
    bridge__face_wrong(L, index, "the text contains a NUL");
    return false;
  }
  return true;
}

bool bridge__face_bytes(
    lua_State *L, int index, bool optional, const char **data, size_t *size)
{
  if (optional && lua_isnoneornil(L, index)) {
    *data = NULL;
    *size = 0;
    return true;
  }
  /* No numbers: converting them would change the script's own value. */
  if (lua_type(L, index) != LUA_TSTRING) {
    return expected(L, index, optional ? "a string or nil" : "a string");
  }
  *data = lua_tolstring(L, index, size);
  return true;
}
