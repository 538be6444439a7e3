/* Cause: the table that a failed call gave a script is an error again, when the
   script raises it. */
#include "lua/cause.h"

#include "lua/failure.h"
#include "lua/values.h"
#include "message/error.h"

#include <lauxlib.h>

#include <stdio.h>
#include <string.h>

/* Causes of causes that are followed. */
enum {
  DEPTH_MAX = 16,
  FRAMES_MAX = 64
};

typedef struct reading {
  bridge_error *error; /* what was made so far */
} reading;

static int raw_field(lua_State *L, int index, const char *name)
{
  index = lua_absindex(L, index);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

/* "" if it is no string; stays on the stack. */
static const char *text_field(lua_State *L,
                              int index,
                              const char *name,
                              size_t *size)
{
  if (raw_field(L, index, name) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
  }
  return lua_tolstring(L, -1, size);
}

static bridge_status status_of(const char *code)
{
  char wanted[40];
  snprintf(wanted, sizeof wanted, "BRIDGE_%s", code);
  for (int status = -1; status > -100; status--) {
    if (strcmp(bridge_status_name((bridge_status)status), wanted) == 0) {
      return (bridge_status)status;
    }
  }
  return BRIDGE_ESCRIPT;
}

static void read_frame(lua_State *L, bridge_error *error)
{
  int table = lua_gettop(L);
  bridge_frame frame = {.line = -1};
  frame.source = text_field(L, table, "source", NULL);
  frame.name = text_field(L, table, "name", NULL);
  frame.what = text_field(L, table, "what", NULL);
  if (raw_field(L, table, "line") == LUA_TNUMBER) {
    frame.line = (int)lua_tointeger(L, -1);
  }
  bridge__error_add_frame(error, &frame);
  lua_settop(L, table);
}

static void read_frames(lua_State *L, int index, bridge_error *error)
{
  if (raw_field(L, index, "frames") == LUA_TTABLE) {
    for (lua_Integer i = 1; i <= FRAMES_MAX; i++) {
      bool there = lua_rawgeti(L, -1, i) == LUA_TTABLE;
      if (there) {
        read_frame(L, error);
      }
      lua_pop(L, 1);
      if (!there) {
        break;
      }
    }
  }
  lua_pop(L, 1);
}

static bool is_error(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) {
    return false;
  }
  luaL_getmetatable(L, BRIDGE__ERROR);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

/* Not the error that it came from: that is its cause, which crosses once. */
static void read_value(lua_State *L, int index, bridge_error *error)
{
  bridge_message *value = NULL;
  if (raw_field(L, index, "value") != LUA_TNIL && !is_error(L, -1) &&
      bridge_message_create(&value, 0) == BRIDGE_OK) {
    if (bridge__pack(L, lua_gettop(L), 1, value) == BRIDGE_OK) {
      bridge__error_set_value(error, &value);
    } else {
      lua_pop(L, 1);
    }
    bridge_message_release(value);
  }
  lua_pop(L, 1);
}

/* May raise for lack of memory: each error belongs to one that has an owner. */
static void read_error(lua_State *L, int index, reading *job)
{
  bridge_error *outer = NULL;
  luaL_checkstack(L, 20, NULL);
  lua_pushvalue(L, index);
  for (int depth = 0; depth < DEPTH_MAX && is_error(L, -1); depth++) {
    int table = lua_gettop(L);
    size_t size = 0;
    const char *text = text_field(L, table, "message", &size);
    const char *code = text_field(L, table, "code", NULL);
    bridge_error *error = bridge__error_create(status_of(code), text, size);
    if (error == NULL) {
      return;
    }
    if (outer == NULL) {
      job->error = error;
    } else {
      bridge__error_set_cause(outer, error);
    }
    bridge__error_set_traceback(error, text_field(L, table, "traceback", NULL));
    bridge__error_set_caller(error, text_field(L, table, "caller", NULL));
    bridge__error_set_worker(error, text_field(L, table, "worker", NULL));
    lua_settop(L, table);
    read_frames(L, table, error);
    read_value(L, table, error);
    outer = error;
    raw_field(L, table, "cause");
    lua_replace(L, table);
  }
}

/* Protected: the value, and where to put the error. */
static int read_protected(lua_State *L)
{
  reading *job = lua_touserdata(L, 2);
  if (is_error(L, 1)) {
    read_error(L, 1, job);
  }
  return 0;
}

bridge_error *bridge__state_cause(bridge_state *state, lua_State *L)
{
  lua_State *main = state->main;
  if (lua_gettop(L) == 0 || lua_type(L, -1) != LUA_TTABLE ||
      !lua_checkstack(L, 1) || !lua_checkstack(main, 4)) {
    return NULL;
  }
  reading job = {NULL};
  lua_pushcfunction(main, read_protected);
  lua_pushvalue(L, -1);
  lua_xmove(L, main, 1);
  lua_pushlightuserdata(main, &job);
  if (lua_pcall(main, 2, 0, 0) != LUA_OK) {
    lua_pop(main, 1);
  }
  return job.error;
}

/* ---- The value of one ---- */

typedef struct valuing {
  bool ours;
  bridge_message *value;
} valuing;

/* Protected. */
static int value_protected(lua_State *L)
{
  valuing *job = lua_touserdata(L, 2);
  job->ours = is_error(L, 1);
  if (!job->ours || raw_field(L, 1, "value") == LUA_TNIL ||
      bridge_message_create(&job->value, 0) != BRIDGE_OK) {
    return 0;
  }
  if (bridge__pack(L, lua_gettop(L), 1, job->value) != BRIDGE_OK) {
    bridge_message_release(job->value);
    job->value = NULL;
  }
  return 0;
}

bool bridge__state_cause_value(bridge_state *state,
                               lua_State *L,
                               bridge_message **out)
{
  lua_State *main = state->main;
  *out = NULL;
  if (lua_type(L, -1) != LUA_TTABLE || !lua_checkstack(L, 1) ||
      !lua_checkstack(main, 4)) {
    return false;
  }
  valuing job = {false, NULL};
  lua_pushcfunction(main, value_protected);
  lua_pushvalue(L, -1);
  lua_xmove(L, main, 1);
  lua_pushlightuserdata(main, &job);
  if (lua_pcall(main, 2, 0, 0) != LUA_OK) {
    lua_pop(main, 1);
    bridge_message_release(job.value);
    job.value = NULL;
  }
  *out = job.value;
  return job.ours;
}

/* ---- The text of one, raised again ---- */

void bridge__cause_remember(lua_State *L, const void *key)
{
  luaL_checkstack(L, 1, NULL);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void bridge__cause_forget(lua_State *L, const void *key)
{
  if (!lua_checkstack(L, 2)) {
    return;
  }
  bool there = lua_rawgetp(L, LUA_REGISTRYINDEX, key) != LUA_TNIL;
  lua_pop(L, 1);
  if (there) { /* so that nothing is added, and no memory needed */
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
}

typedef struct again {
  reading reading; /* first */
  const void *key;
  const bridge_error *raised;
} again;

/* Protected. */
static int again_protected(lua_State *L)
{
  again *job = lua_touserdata(L, 1);
  size_t size = 0;
  size_t tail = 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, job->key);
  if (!is_error(L, 2)) {
    return 0;
  }
  const char *text = bridge_error_text(job->raised, &size);
  const char *end = text_field(L, 2, "message", &tail);
  if (tail > 0 && tail <= size && memcmp(text + size - tail, end, tail) == 0) {
    read_error(L, 2, &job->reading);
  }
  return 0;
}

bridge_error *bridge__state_cause_again(bridge_state *state,
                                        const void *key,
                                        const bridge_error *raised)
{
  lua_State *main = state->main;
  if (!lua_checkstack(main, 4)) {
    return NULL;
  }
  again job = {{NULL}, key, raised};
  lua_pushcfunction(main, again_protected);
  lua_pushlightuserdata(main, &job);
  if (lua_pcall(main, 1, 0, 0) != LUA_OK) {
    lua_pop(main, 1);
  }
  return job.reading.error;
}
