/* Failures on their way into a script: nil, message, code, error. */
#include "lua/failure.h"

#include "lua/values.h"

#include <lauxlib.h>

#include <string.h>

static const char *code_of(bridge_status status)
{
  return bridge_status_name(status) + strlen("BRIDGE_");
}

static void push_text(lua_State *L,
                      bridge_status status,
                      const bridge_error *error)
{
  size_t size = 0;
  const char *text = bridge_error_text(error, &size);
  if (size > 0) {
    lua_pushlstring(L, text, size);
  } else {
    lua_pushstring(L, bridge_status_text(status));
  }
}

static void push_frame(lua_State *L, const bridge_frame *frame)
{
  lua_createtable(L, 0, 4);
  lua_pushstring(L, frame->source);
  lua_setfield(L, -2, "source");
  lua_pushinteger(L, frame->line);
  lua_setfield(L, -2, "line");
  lua_pushstring(L, frame->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, frame->what);
  lua_setfield(L, -2, "what");
}

static void push_frames(lua_State *L, const bridge_error *error)
{
  size_t count = bridge_error_frame_count(error);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    bridge_frame frame;
    if (bridge_error_frame(error, i, &frame) == BRIDGE_OK) {
      push_frame(L, &frame);
      lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
  }
}

/* The value as it was raised; nil if it could not cross. */
static void push_value(lua_State *L, const bridge_error *error)
{
  const bridge_message *value = bridge_error_value(error);
  int count = 0;
  if (value == NULL || bridge_message_count(value) != 1) {
    lua_pushnil(L);
  } else if (bridge__unpack(L, value, &count) != BRIDGE_OK) {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

int bridge__push_failure(lua_State *L,
                         bridge_status status,
                         const bridge_error *error,
                         const char *worker)
{
  luaL_checkstack(L, 10, NULL);
  lua_pushnil(L);
  push_text(L, status, error);
  lua_pushstring(L, code_of(status));
  lua_createtable(L, 0, 6);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "message");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "code");
  push_value(L, error);
  lua_setfield(L, -2, "value");
  lua_pushstring(L, bridge_error_traceback(error));
  lua_setfield(L, -2, "traceback");
  push_frames(L, error);
  lua_setfield(L, -2, "frames");
  lua_pushstring(L, worker);
  lua_setfield(L, -2, "worker");
  luaL_setmetatable(L, BRIDGE__ERROR);
  return 4;
}
