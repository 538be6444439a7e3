/* The body of a message, for the layers that move it. */
#ifndef BRIDGE_MESSAGE_MESSAGE_H
#define BRIDGE_MESSAGE_MESSAGE_H

#include "base/object.h"

#include <bridge/message.h>
#include <bridge/mpsc.h>

/* One entry of the table beside the bytes. */
typedef struct bridge__slot {
  bridge_type type; /* BRIDGE_TYPE_HANDLE or BRIDGE_TYPE_POINTER */
  int kind;
  union {
    void *pointer;             /* HANDLE: one reference, ours */
    bridge_function *function; /* POINTER, BRIDGE_POINTER_CFUNCTION */
  } as;
} bridge__slot;

/* What a message in an inbox, or in a queue of answers, is. */
enum {
  BRIDGE__DATA = 0,
  BRIDGE__REQUEST,
  BRIDGE__ANSWER,
  BRIDGE__STOP,
  BRIDGE__NEXT,
  BRIDGE__WITHDRAW
};

/* What a message is to a worker.  Plain data has kind 0; a message of any other
   kind can no longer be written, so pack first and address it then. */
typedef struct bridge__envelope {
  int kind;
  bridge_status status; /* of an answer */
  uint64_t session;
  /* One reference, ours, or NULL.  Of a request it is what answers it: dropped
     without an answer, it answers BRIDGE_EDEAD by itself.  Of an answer it is
     the bridge_error. */
  void *attachment;
} bridge__envelope;

/* A container that has begun and not ended.  32 bits are enough, since every
   value has a byte and BRIDGE_SIZE_MAX has 31 bits. */
typedef struct bridge__open {
  bridge_type type;
  uint32_t start;    /* where its header stands */
  uint32_t expected; /* values announced, UINT32_MAX for unknown */
  uint32_t written;  /* values so far; of a map twice the pairs */
} bridge__open;

/* How many of them fit into a message itself. */
#define BRIDGE__OPEN_INLINE ((size_t)2)

/* Bytes that fit into the block itself. */
#define BRIDGE__INLINE_SIZE ((size_t)78)

/* A recycled block, in the order of who touches what: the first cache line is
   all that a queue needs, the second has the bytes of a small message, and the
   rest only who writes it and who has handles in it.  So a small message moves
   two lines from one core to another. */
struct bridge_message {
  bridge_node node; /* first: the queue's link */
  uintptr_t hint;   /* the queue's: what to fetch, may be stale */
  unsigned char *data;
  size_t size;  /* in a queue also what it takes from the bounds */
  size_t count; /* values at the top level */
  bridge__envelope envelope;

  bool outside; /* `slots` or `open` have memory of their own */
  bool objects; /* who reads it runs functions of a script, maybe */
  unsigned char bytes[BRIDGE__INLINE_SIZE];

  size_t capacity;
  size_t limit;      /* of the size */
  size_t containers; /* begun so far */
  size_t upvalues;   /* written so far */
  bridge__slot *slots;
  size_t slot_count;
  size_t slot_capacity;
  bridge__open *open; /* stack of open containers */
  size_t depth;       /* how many are open */
  size_t open_capacity;
  bridge__open open_inline[BRIDGE__OPEN_INLINE];
};

/* Whether every container has ended. */
static inline bool bridge__message_finished(const bridge_message *message)
{
  return message->depth == 0;
}

/* Whether this handle stands in the message. */
bool bridge__message_holds(const bridge_message *message, const void *handle);

#endif
