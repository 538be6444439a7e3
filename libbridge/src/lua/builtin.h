/* The C modules that every state can require. */
#ifndef BRIDGE_LUA_BUILTIN_H
#define BRIDGE_LUA_BUILTIN_H

#include <bridge/state.h>

/* In the order in which they may be opened one after the other. */
extern const bridge_module bridge__builtin_modules[];
extern const size_t bridge__builtin_count;

#endif
