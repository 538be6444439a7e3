/* Unpack: what its files share.

     unpack.c          the walk through a message, tables and scalars
     unpack_function.c functions, their upvalues, and C functions
     unpack_object.c   objects of classes
     unpack_path.c     where it has come to  */
#ifndef BRIDGE_LUA_UNPACK_H
#define BRIDGE_LUA_UNPACK_H

#include "lua/path.h"
#include "lua/values.h"

#include <stdbool.h>
#include <stddef.h>

/* How deep a message may be that is read without helpers. */
#define BRIDGE__LEVELS_FEW 8

/* Stack slots for what a container holds while it is filled. */
#define BRIDGE__SLOTS 8

/* A container that is being filled. */
typedef struct bridge__level {
  bridge_type kind;
  int object;  /* stack index; of an OBJECT what makes it, of an INSTANCE its
                    class */
  size_t next; /* ARRAY: the index, FUNCTION: the upvalue, OBJECT, INSTANCE: the
                    value; from 1 */
  size_t count;  /* the last one; MAP: pairs left */
  size_t pairs;  /* MAP: all of them */
  size_t number; /* OBJECT: of the container */
  bool in_value; /* MAP: the key is on the stack, its value comes next */
  bool listed;   /* MAP: all keys so far would be those of an array */
} bridge__level;

typedef struct bridge__unpacker {
  lua_State *L;
  const bridge_message *message;
  bridge_reader reader;
  int base;    /* helpers are above it */
  int helpers; /* how many, or 0 */
  bool named;  /* the first value is no argument */
  bool again;  /* helpers are needed */
  bridge__level few[BRIDGE__LEVELS_FEW];
  bridge__level *levels;
  size_t depth;
  size_t capacity;
  size_t containers; /* begun so far */
  size_t upvalues;   /* begun so far */
  size_t argument;   /* the current one, from 1 */
  size_t values;     /* so far */
  bridge__value_limits limits;
  const char *reason;
  char text[80]; /* room for one that is put together */
} bridge__unpacker;

static inline bool bridge__level_is_full(const bridge__level *l)
{
  return l->kind == BRIDGE_TYPE_MAP ? l->count == 0 : l->next > l->count;
}

/* Where the table of what references name is: containers stand in it under 1, 2, ...;
   upvalue i is the upvalue number [-2i-2] of the function [-2i-1]. */
#define BRIDGE__MADE(u) ((u)->base + 2)

/* ---- unpack.c ---- */
/* Why it fails. */
bridge_status bridge__unpack_refuse(bridge__unpacker *u,
                                    bridge_status status,
                                    const char *reason);
/* It has to be read once more, with helpers. */
bridge_status bridge__unpack_again(bridge__unpacker *u);
/* There is the table of what references name. */
void bridge__unpack_name_room(bridge__unpacker *u);
/* The container on top of the stack has the next number. */
void bridge__unpack_remember(bridge__unpacker *u);
/* And is filled from now on. */
bridge_status bridge__unpack_open(bridge__unpacker *u,
                                  bridge_type kind,
                                  size_t count);
/* Put the value on top of the stack where it belongs. */
bridge_status bridge__unpack_store(bridge__unpacker *u);

/* ---- unpack_function.c ---- */
bridge_status bridge__unpack_function(bridge__unpacker *u,
                                      const bridge_value *value);
/* The next upvalue of the innermost function is one that another has already. */
bridge_status bridge__unpack_upvalue(bridge__unpacker *u,
                                     const bridge_value *value);
bridge_status bridge__unpack_pointer(bridge__unpacker *u,
                                     const bridge_value *value);

/* ---- unpack_object.c ---- */
bridge_status bridge__unpack_object(bridge__unpacker *u,
                                    const bridge_value *value);
/* The function and its arguments become the object. */
bridge_status bridge__unpack_make_object(bridge__unpacker *u,
                                         const bridge__level *l);
/* The class and the table become the table. */
bridge_status bridge__unpack_make_instance(bridge__unpacker *u,
                                           const bridge__level *l);

/* ---- unpack_path.c ---- */
void bridge__unpack_describe(const bridge__unpacker *u, bridge__path *path);

#endif
