/* Lua values to messages and back.

   pack.c and unpack.c with the files beside them, limits.c, classes.c, objects.c and
   path.c are compiled into libbridge, for the states that it makes, and into the Lua
   module, for the state of a Lua host: so each works on the copy of Lua that it was linked to, and no host's
   lua_State enters libbridge.  For that it uses nothing but the public API of the
   bridge. */
#ifndef BRIDGE_LUA_VALUES_H
#define BRIDGE_LUA_VALUES_H

#include <bridge/message.h>

#include <lua.h>

/* How the module "bridge" of a state shows handles.  Its address stands in the
   registry, as light userdata, under BRIDGE__HANDLES. */
typedef struct bridge__handles {
  /* Push an object for a handle, and take a reference of its own.  May raise. */
  void (*push)(lua_State *L, bridge_handle_kind kind, void *handle);
  /* The handle of the object at a stack index, borrowed; BRIDGE_HANDLE_NONE if
     it is no object of the bridge.  `*handle` is NULL if it was released.  Never
     raises. */
  bridge_handle_kind (*get)(lua_State *L, int index, void **handle);
} bridge__handles;

#define BRIDGE__HANDLES "bridge.handles"

/* Put it there.  May raise. */
void bridge__set_handles(lua_State *L, const bridge__handles *handles);
/* NULL if there is none.  Neither raises nor allocates. */
const bridge__handles *bridge__get_handles(lua_State *L);

/* What one message may have, in and out; 0 for the library's own limits. */
typedef struct bridge__value_limits {
  size_t depth;
  size_t values;
  size_t bytes;
} bridge__value_limits;

/* NULL if they are possible; else what is wrong. */
const char *bridge__wrong_limits(const bridge__value_limits *limits);
/* For good: a script can only lower them.  May raise. */
void bridge__set_limits(lua_State *L, const bridge__value_limits *limits);
/* NULL if there are none, which takes no time where nobody has any.  Neither raises
   nor allocates. */
const bridge__value_limits *bridge__get_limits(lua_State *L);

/* A function of Lua, limits([depth, values, bytes]): sets those of this state from
   now on, 0 for none, and returns the three that there are. */
int bridge__limits(lua_State *L);

/* A function of Lua, register(name, class): objects of the class are known by that
   name from now on, in both directions; without a class, no more. */
int bridge__register(lua_State *L);
/* A function of Lua, mark(table, map): the table crosses as an array, or as a
   map, and is returned; nothing if it has another metatable. */
int bridge__mark(lua_State *L);

/* Whether the state closes: a bool that stands in the registry under this name,
   as light userdata.  What finalizers make then is never finalized, so that no
   object is made any more.  Only states of libbridge have it. */
#define BRIDGE__CLOSING "bridge.closing"

/* Append the `count` values from stack index `first` on.  Never raises, and calls
   no metamethod but `__bridge_pack`.  On failure the message is as it was, and a string is pushed that
   says which value cannot cross, by its path: "argument 2.items[3].callback: a
   coroutine cannot cross". */
bridge_status bridge__pack(lua_State *L,
                           int first,
                           int count,
                           bridge_message *message);
/* The same for values that are not called "argument" but, say, "result". */
bridge_status bridge__pack_as(lua_State *L,
                              int first,
                              int count,
                              bridge_message *message,
                              const char *noun);

/* The same for a request, whose first value is no argument but the handler's name. */
extern const char bridge__argument_of_request[];

/* Push all values of the message.  On failure one string is pushed in their
   place.  May raise an error for lack of memory: call it protected, while
   somebody else owns the message. */
bridge_status bridge__unpack(lua_State *L,
                             const bridge_message *message,
                             int *count);
/* The same for a request. */
bridge_status bridge__unpack_request(lua_State *L,
                                     const bridge_message *message,
                                     int *count);

#endif
