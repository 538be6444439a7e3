/* Path: says which value pack.c and unpack.c could not move. */
#include "lua/path.h"

#include <stdio.h>
#include <string.h>

/* Bytes of a key that are shown. */
#define KEY_SHOWN 40
/* Kept free for the reason. */
#define REASON_SIZE 160

static void append(bridge__path *path, const char *text, size_t room)
{
  size_t size = strlen(text);
  if (path->full) {
    return;
  }
  if (size > room - path->size) {
    memcpy(path->text + path->size, "...", 4);
    path->size += 3;
    path->full = true;
    return;
  }
  memcpy(path->text + path->size, text, size + 1);
  path->size += size;
}

static void append_step(bridge__path *path, const char *text)
{
  append(path, text, sizeof path->text - REASON_SIZE);
}

void bridge__path_begin(bridge__path *path, const char *noun, size_t number)
{
  path->size = 0;
  path->full = false;
  char text[48];
  snprintf(text, sizeof text, "%s %zu", noun, number);
  append_step(path, text);
}

void bridge__path_index(bridge__path *path, lua_Integer index)
{
  char text[32];
  snprintf(text, sizeof text, "[%lld]", (long long)index);
  append_step(path, text);
}

/* By hand, for the locale must not decide what a name is. */
static bool is_name(const char *key, size_t size)
{
  static const char letters[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  return size > 0 && size <= KEY_SHOWN && (key[0] < '0' || key[0] > '9') &&
         memchr(key, '\0', size) == NULL && strspn(key, letters) == size;
}

static void append_quoted(bridge__path *path, const char *key, size_t size)
{
  char text[KEY_SHOWN * 4 + 12] = "[\"";
  size_t at = 2;
  for (size_t i = 0; i < size && i < KEY_SHOWN; i++) {
    unsigned char byte = (unsigned char)key[i];
    if (byte == '"' || byte == '\\') {
      text[at++] = '\\';
      text[at++] = (char)byte;
    } else if (byte < ' ' || byte == 127) {
      at += (size_t)snprintf(text + at, 5, "\\%03u", byte);
    } else {
      text[at++] = (char)byte;
    }
  }
  snprintf(text + at, sizeof text - at, "%s\"]", size > KEY_SHOWN ? "..." : "");
  append_step(path, text);
}

static void append_string_key(bridge__path *path, const char *key, size_t size)
{
  if (!is_name(key, size)) {
    append_quoted(path, key, size);
    return;
  }
  append_step(path, ".");
  append_step(path, key);
}

void bridge__path_key(bridge__path *path, lua_State *L, int index)
{
  char text[64];
  size_t size = 0;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: {
    /* It is a string already: nothing is converted. */
    const char *key = lua_tolstring(L, index, &size);
    append_string_key(path, key, size);
    return;
  }
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      bridge__path_index(path, lua_tointeger(L, index));
      return;
    }
    snprintf(text, sizeof text, "[%.14g]", lua_tonumber(L, index));
    break;
  case LUA_TBOOLEAN:
    snprintf(text, sizeof text, "[%s]",
             lua_toboolean(L, index) ? "true" : "false");
    break;
  default:
    snprintf(text, sizeof text, "[%s]", lua_typename(L, lua_type(L, index)));
    break;
  }
  append_step(path, text);
}

void bridge__path_in_key(bridge__path *path)
{
  append_step(path, " (key)");
}

void bridge__path_upvalue(bridge__path *path, const char *name)
{
  char text[KEY_SHOWN + 16];
  snprintf(text, sizeof text, " upvalue '%.*s'", KEY_SHOWN,
           name == NULL || name[0] == '\0' ? "?" : name);
  append_step(path, text);
}

void bridge__path_packed(bridge__path *path, size_t number)
{
  char text[40];
  snprintf(text, sizeof text, " (packed %zu)", number);
  append_step(path, text);
}

void bridge__path_end(bridge__path *path, const char *reason)
{
  path->full = false;
  append(path, ": ", sizeof path->text - 4);
  size_t room = sizeof path->text - 4 - path->size;
  size_t size = strlen(reason);
  if (size > room) { /* of a script's: as much as there is room for */
    memcpy(path->text + path->size, reason, room);
    path->size += room;
    path->full = false;
    append(path, "...", sizeof path->text - 1);
    return;
  }
  append(path, reason, sizeof path->text - 4);
}
