/* Trace: what is known about an error, read from the coroutine that it killed,
   before anything else runs on it. */
#include "lua/state.h"

#include "base/memory.h"
#include "lua/cause.h"
#include "lua/traceback.h"
#include "lua/values.h"
#include "message/error.h"

#include <lauxlib.h>

#include <string.h>

/* Levels of the call stack that are kept. */
#define FRAMES_MAX 64
/* Instructions that a __tostring may take. */
#define PATIENCE 100000

/* ---- Text ---- */

/* Once the patience is over, every further instruction fails, so that a pcall in
   the script does not help it.  With exactly this text Lua raises its error for
   lack of memory, for which no handler of an xpcall is called: one that loops
   could not be stopped, since no hook runs inside of a hook. */
static void lose_patience(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  lua_sethook(L, lose_patience, LUA_MASKCOUNT, 1);
  lua_pushliteral(L, "not enough memory");
  lua_error(L);
}

/* As lua.c shows error values. */
static int describe(lua_State *L)
{
  if (lua_type(L, 1) == LUA_TNUMBER) {
    lua_tostring(L, 1);
    return 1;
  }
  if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) {
    return 1;
  }
  lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  return 1;
}

/* A text that is read from a state is none of its messages, but just as long. */
static bridge_error *create_within(bridge_state *state,
                                   const char *text,
                                   size_t size)
{
  const bridge__value_limits *limits = bridge__get_limits(state->main);
  if (limits != NULL && limits->bytes > 0 && size > limits->bytes) {
    size = limits->bytes;
  }
  return bridge__error_create(BRIDGE_ESCRIPT, text, size);
}

/* Let a coroutine of its own say what the value on top of `L` is, since that may
   run the script's code. */
static bridge_error *create_described(bridge_state *state, lua_State *L)
{
  static const char unknown[] = "(error object without a text)";
  lua_State *speaker = NULL;
  int anchor = LUA_NOREF;
  if (!lua_checkstack(L, 1) ||
      bridge__state_thread(state, &speaker, &anchor) != BRIDGE_OK) {
    return bridge__error_create(BRIDGE_ESCRIPT, unknown, sizeof unknown - 1);
  }
  lua_pushcfunction(speaker, describe);
  lua_pushvalue(L, -1);
  lua_xmove(L, speaker, 1);
  lua_sethook(speaker, lose_patience, LUA_MASKCOUNT, PATIENCE);
  int count = 0;
  const char *text = unknown;
  size_t size = sizeof unknown - 1;
  if (lua_resume(speaker, NULL, 1, &count) == LUA_OK && count == 1) {
    text = lua_tolstring(speaker, -1, &size);
  }
  bridge_error *error = create_within(state, text, size);
  bridge__state_drop_thread(state, NULL, speaker, anchor);
  return error;
}

static bridge_error *create(bridge_state *state, lua_State *L, int code)
{
  static const char no_memory[] = "not enough memory";
  static const char yielded[] = "the chunk yielded, but nobody resumes it";
  if (code == LUA_ERRMEM) {
    return bridge__error_create(BRIDGE_ENOMEM, no_memory, sizeof no_memory - 1);
  }
  if (code == LUA_YIELD) {
    return bridge__error_create(BRIDGE_ESCRIPT, yielded, sizeof yielded - 1);
  }
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t size = 0;
    const char *text = lua_tolstring(L, -1, &size);
    return create_within(state, text, size);
  }
  return create_described(state, L);
}

/* ---- Where ---- */

/* The beginning of a long one; `room` has BRIDGE__NAME_SHOWN + 1 bytes. */
static const char *shown_name(const char *name, char *room)
{
  if (name == NULL) {
    return "";
  }
  if (memchr(name, '\0', BRIDGE__NAME_SHOWN + 1) != NULL) {
    return name;
  }
  memcpy(room, name, BRIDGE__NAME_SHOWN);
  room[BRIDGE__NAME_SHOWN] = '\0';
  return room;
}

static void add_frames(bridge_error *error, lua_State *L)
{
  lua_Debug ar;
  char room[BRIDGE__NAME_SHOWN + 1];
  for (int level = 0; level < FRAMES_MAX && lua_getstack(L, level, &ar);
       level++) {
    lua_getinfo(L, "Slnt", &ar);
    const bridge_frame frame = {.source = ar.short_src,
                                .name = shown_name(ar.name, room),
                                .what = ar.what,
                                .line = ar.currentline};
    bridge__error_add_frame(error, &frame);
  }
}

static void add_traceback(bridge_error *error,
                          bridge_state *state,
                          lua_State *L)
{
  char *text = bridge__traceback(state->main, L, state->name);
  if (text != NULL) {
    bridge__error_set_traceback(error, text);
    bridge__free(text);
  }
}

/* No finalizer of the script runs meanwhile. */
static void add_traceback_quietly(bridge_error *error,
                                  bridge_state *state,
                                  lua_State *L)
{
  int collecting = lua_gc(L, LUA_GCISRUNNING);
  lua_gc(L, LUA_GCSTOP);
  add_traceback(error, state, L);
  if (collecting) {
    lua_gc(L, LUA_GCRESTART);
  }
}

/* ---- What ---- */

static void add_value(bridge_error *error, bridge_state *state, lua_State *L)
{
  bridge_message *value = NULL;
  /* The cause tells the rest of a failed call's table: with all of that in the
     value, too, each service on the way would double it. */
  if (bridge__state_cause_value(state, L, &value)) {
    bridge__error_set_value(error, &value);
    return;
  }
  if (bridge_message_create(&value, 0) != BRIDGE_OK) {
    return;
  }
  if (bridge__state_pack(state, L, -1, 1, value, NULL) == BRIDGE_OK) {
    bridge__error_set_value(error, &value);
  }
  bridge_message_release(value);
}

bridge_error *bridge__state_error(bridge_state *state, lua_State *L, int code)
{
  bridge_error *error = create(state, L, code);
  /* A __tostring of the script may have closed the dead coroutine. */
  if (error == NULL || lua_status(L) != code) {
    return error;
  }
  add_frames(error, L);
  if (code == LUA_ERRMEM) {
    /* The text is none of the state's memory; nothing else is asked of it. */
    if (state->tracebacks) {
      add_traceback_quietly(error, state, L);
    }
    return error;
  }
  if (code != LUA_YIELD) {
    add_value(error, state, L);
  }
  if (state->tracebacks) {
    add_traceback(error, state, L);
  }
  return error;
}

/* ---- Where a script is being stopped ---- */

bridge_error *bridge__state_where(bridge_state *state,
                                  lua_State *L,
                                  bridge_status status,
                                  const char *text)
{
  bridge_error *error = bridge__error_create(status, text, strlen(text));
  if (error != NULL) {
    add_frames(error, L);
    if (state->tracebacks) {
      add_traceback_quietly(error, state, L);
    }
  }
  return error;
}
