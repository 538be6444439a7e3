/* The bytes of a buffer, as Lua reads and writes them: places count from 1, and
   from the end if they are negative, as in the string library. */
#include "face.h"

#include <string.h>

/* A place as string.sub takes it, from 1 on; 0 for one before the first byte. */
static size_t place(lua_Integer given, size_t size)
{
  if (given >= 0) {
    return (size_t)given;
  }
  size_t back = (size_t)0 - (size_t)given;
  return back > size ? 0 : size - back + 1;
}

static lua_Integer optional_place(lua_State *L,
                                  int index,
                                  lua_Integer otherwise)
{
  lua_Integer given = otherwise;
  if (!lua_isnoneornil(L, index) &&
      !bridge__face_integer(L, index, LUA_MININTEGER, LUA_MAXINTEGER, &given)) {
    lua_error(L);
  }
  return given;
}

/* buffer:string([i [, j]]) */
static int buffer_string(lua_State *L)
{
  const bridge_buffer *buffer = bridge__face_check(L, 1, BRIDGE_HANDLE_BUFFER);
  size_t size = bridge_buffer_size(buffer);
  size_t first = place(optional_place(L, 2, 1), size);
  size_t last = place(optional_place(L, 3, -1), size);
  first = first < 1 ? 1 : first;
  last = last > size ? size : last;
  if (first > last) {
    lua_pushliteral(L, "");
    return 1;
  }
  const char *data = bridge_buffer_data(buffer);
  lua_pushlstring(L, data + first - 1, last - first + 1);
  return 1;
}

/* buffer:byte([i]): a number, or nothing if there is no such byte. */
static int buffer_byte(lua_State *L)
{
  const bridge_buffer *buffer = bridge__face_check(L, 1, BRIDGE_HANDLE_BUFFER);
  size_t size = bridge_buffer_size(buffer);
  size_t where = place(optional_place(L, 2, 1), size);
  if (where < 1 || where > size) {
    return 0;
  }
  const unsigned char *data = bridge_buffer_data(buffer);
  lua_pushinteger(L, data[where - 1]);
  return 1;
}

/* buffer:write(i, string): true; or nil, text, code. */
static int buffer_write(lua_State *L)
{
  bridge_buffer *buffer = bridge__face_check(L, 1, BRIDGE_HANDLE_BUFFER);
  size_t size = bridge_buffer_size(buffer);
  const char *bytes = NULL;
  size_t count = 0;
  lua_Integer given = 0;
  if (!bridge__face_integer(L, 2, LUA_MININTEGER, LUA_MAXINTEGER, &given) ||
      !bridge__face_bytes(L, 3, false, &bytes, &count)) {
    return lua_error(L);
  }
  size_t where = place(given, size);
  if (where < 1 || where - 1 > size || count > size - (where - 1)) {
    const char *text = lua_pushfstring(L, "%I bytes at %I do not fit into %I",
                                       (LUAI_UACINT)count, (LUAI_UACINT)given,
                                       (LUAI_UACINT)size);
    bridge__face_wrong(L, 2, text);
    return lua_error(L);
  }
  void *data = NULL;
  bridge_status status = bridge_buffer_begin_write(buffer, &data);
  if (status == BRIDGE_OK) {
    if (count > 0) {
      memcpy((char *)data + where - 1, bytes, count);
    }
    status = bridge_buffer_end_write(buffer);
  }
  return bridge__face_status(L, status);
}

const luaL_Reg bridge__face_buffer_methods[] = {
    {"string", buffer_string},
    {"byte", buffer_byte},
    {"write", buffer_write},
    {NULL, NULL},
};
