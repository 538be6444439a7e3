/* Where a value stands within the values that cross, for people. */
#ifndef BRIDGE_LUA_PATH_H
#define BRIDGE_LUA_PATH_H

#include <lua.h>

#include <stdbool.h>
#include <stddef.h>

#define BRIDGE__PATH_SIZE 512

/* Text that never overflows: what does not fit is left out, and three dots say
   so. */
typedef struct bridge__path {
  char text[BRIDGE__PATH_SIZE];
  size_t size;
  bool full;
} bridge__path;

/* "argument 2" */
void bridge__path_begin(bridge__path *path, const char *noun, size_t number);
/* "[3]" */
void bridge__path_index(bridge__path *path, lua_Integer index);
/* ".name", "[3]", "[\"a b\"]" or "[table]" for the key at a stack index. */
void bridge__path_key(bridge__path *path, lua_State *L, int index);
/* " (key)": the value stands inside of a key. */
void bridge__path_in_key(bridge__path *path);
/* " upvalue 'name'" */
void bridge__path_upvalue(bridge__path *path, const char *name);
/* " (packed 2)": the second of the values that an object is made of. */
void bridge__path_packed(bridge__path *path, size_t number);
/* ": " and the reason, for which room is kept. */
void bridge__path_end(bridge__path *path, const char *reason);

#endif
