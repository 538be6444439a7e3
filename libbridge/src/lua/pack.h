/* What the files of packing share: pack.c walks, pack_table.c begins tables and
   objects, pack_function.c functions and handles, pack_parts.c keeps what was seen
   and what is open, and pack_path.c says what the message had before and which
   value cannot cross. */
#ifndef BRIDGE_LUA_PACK_H
#define BRIDGE_LUA_PACK_H

#include "lua/values.h"

#include <bridge/buffer.h>

#include <stdbool.h>
#include <stdint.h>

/* What was written already: the address of a table, a function or an upvalue,
   and its number in the message.  Few are found by looking at all of them, many
   by hashing. */
#define SEEN_FEW 16

/* Containers within each other that need no memory of the heap. */
#define FRAMES_FEW 8

/* Stack slots that one container needs: for its key and value, and to look at a
   userdata. */
#define SLOTS 10

/* A dump that needs no memory of the heap: that of a function of some lines. */
#define DUMP_FEW ((size_t)512)

/* Elements that are taken from an array before the stack is cleared. */
#define TOGETHER 8

typedef struct bridge__entry {
  const void *key;
  size_t number;
} bridge__entry;

typedef struct bridge__seen {
  bridge__entry few[SEEN_FEW];
  bridge__entry *table; /* NULL while there are few */
  bridge_buffer *block; /* that it stands in */
  size_t capacity;      /* of the table: a power of two */
  size_t used;
  size_t next; /* the number of the next one */
} bridge__seen;

/* Why it is packed once more. */
typedef enum bridge__again {
  ONCE,
  BY_COUNT,  /* a table was taken for an array and is none: look at all keys */
  PREPARED,  /* nothing is prepared to tell classes */
  WITH_PLAN, /* an object wants to be asked */
} bridge__again;

/* A container that is being written.  Its values stand on the Lua stack above
   `top`: an element; or a key and its value; or an upvalue. */
typedef struct bridge__frame {
  bridge_type kind;
  int object; /* stack index of the table or function, or row of the plan */
  int top;
  bool in_value; /* MAP: the key is written, its value comes next */
  bool begun;    /* MAP: the first pair is on the stack already */
  bool holes;    /* ARRAY: marked as one, nil is an element */
  lua_Integer at;
  lua_Integer count;    /* MAP: of no use */
  const char *upvalue;  /* FUNCTION: the name of the current one */
  const void *identity; /* OBJECT: whose values they are */
} bridge__frame;

typedef struct bridge__packer {
  lua_State *L;
  bridge_message *message;
  const char *noun; /* what the values are called */
  int first;        /* stack index of the first, were all of them copied */
  int count;
  int skipped; /* so many hold nothing: written already, not copied */
  int done;    /* values that are written */
  bool behind; /* the message had values before ours */
  size_t size; /* of the message, with those that were skipped */
  bridge_status status;
  const void *globals;
  const void *classless; /* a metatable that was asked and makes no class */
  bridge__seen containers;
  bridge__seen upvalues;
  bridge__frame few[FRAMES_FEW];
  bridge__frame *frames;
  bridge_buffer *frames_block; /* NULL for the few */
  size_t depth;
  size_t capacity;
  size_t objects; /* how many of the containers are of that kind */
  bool careful;   /* look at all keys before a table is taken for an array */
  bridge__again again;
  int plan;      /* its stack index, or 0 */
  size_t values; /* in containers, so far */
  bridge__value_limits limits;
  char *dump;
  bridge_buffer *dump_block;
  size_t dump_size;
  size_t dump_capacity;
  char dump_few[DUMP_FEW];
  const char *reason; /* why a value cannot cross */
  char text[80];      /* room for one that is put together */
} bridge__packer;

/* ---- pack_parts.c ---- */

/* The reason why a value cannot cross: BRIDGE_ETYPE. */
bridge_status bridge__pack_refuse(bridge__packer *p, const char *reason);
/* Bytes of the library, all zero; NULL if there are none. */
void *bridge__pack_allocate(bridge_buffer **block, size_t size);
void bridge__pack_replace(bridge_buffer **old, bridge_buffer *block);

void bridge__seen_nothing(bridge__seen *s);
bool bridge__seen_find(const bridge__seen *s, const void *key, size_t *number);
/* Give the next number to `key`, which was not seen. */
bridge_status bridge__seen_add(bridge__seen *s, const void *key);

bridge_status bridge__pack_push(bridge__packer *p,
                                bridge_type kind,
                                int object,
                                lua_Integer count);
/* The message has begun a container for the object at a stack index. */
bridge_status bridge__pack_begun(bridge__packer *p,
                                 bridge_type kind,
                                 int object,
                                 lua_Integer count);
bridge_status bridge__pack_limit(bridge__packer *p,
                                 const char *format,
                                 size_t number);
/* Whether one more container may be within those that are open. */
bridge_status bridge__pack_deeper(bridge__packer *p);
/* There are so many more values, at least. */
bridge_status bridge__pack_add(bridge__packer *p, size_t count);
/* All is packed once more. */
bridge_status bridge__pack_again(bridge__packer *p, bridge__again why);

/* ---- pack_table.c: each leaves the frame of what it has begun ---- */

bridge_status bridge__pack_begin_table(bridge__packer *p, int index);
bridge_status bridge__pack_begin_object(bridge__packer *p, int index);
/* To what was written already. */
bridge_status bridge__pack_reference(bridge__packer *p,
                                     const void *identity,
                                     size_t number);
bridge_status bridge__pack_table(bridge__packer *p, int index);

/* ---- pack_function.c ---- */

bridge_status bridge__pack_function(bridge__packer *p, int index);
bridge_status bridge__pack_userdata(bridge__packer *p, int index);

/* ---- pack_path.c ---- */

/* Go on with the numbers of the values that the message has already. */
bridge_status bridge__pack_count_written(bridge__packer *p);
/* The text of a failure, above `top`. */
void bridge__pack_push_failure(bridge__packer *p, int top);

#endif
