/* Where in its message an unpacking has come to, for who is told that it failed. */
#include "lua/unpack.h"

void bridge__unpack_describe(const bridge__unpacker *u, bridge__path *path)
{
  for (size_t i = 0; i < u->depth; i++) {
    const bridge__level *l = &u->levels[i];
    switch (l->kind) {
    case BRIDGE_TYPE_ARRAY:
      bridge__path_index(path, (lua_Integer)l->next);
      break;
    case BRIDGE_TYPE_MAP:
      if (l->in_value) {
        bridge__path_key(path, u->L, l->object + 1);
      } else {
        bridge__path_in_key(path);
      }
      break;
    case BRIDGE_TYPE_OBJECT:
      if (!bridge__level_is_full(l)) {
        bridge__path_packed(path, l->next);
      }
      break;
    case BRIDGE_TYPE_INSTANCE:
      break;
    default: {
      const char *name = lua_getupvalue(u->L, l->object, (int)l->next);
      bridge__path_upvalue(path, name);
      break;
    }
    }
  }
}
