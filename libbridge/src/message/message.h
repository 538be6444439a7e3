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

/* What a message is to a worker.  Plain data has kind 0. */
typedef struct bridge__envelope {
  int kind;
  uint64_t session;
  /* One reference, ours, or NULL.  Of a request it is what answers it: dropped
     without an answer, it answers BRIDGE_EDEAD by itself.  Of an answer it is
     the bridge_error. */
  void *attachment;
} bridge__envelope;

/* A container that has begun and not ended. */
typedef struct bridge__open bridge__open;

struct bridge_message {
  bridge_node node; /* first: the queue's link */
  size_t cost;      /* what it took from the bounds of its queue */
  unsigned char *data;
  size_t size;
  size_t capacity;
  size_t count;      /* values at the top level */
  size_t containers; /* begun so far */
  size_t upvalues;   /* written so far */
  bridge__slot *slots;
  size_t slot_count;
  size_t slot_capacity;
  bridge__open *open; /* stack of open containers */
  size_t depth;       /* how many are open */
  size_t open_capacity;
  bridge__envelope envelope;
};

/* Whether every container has ended. */
static inline bool bridge__message_finished(const bridge_message *message)
{
  return message->depth == 0;
}

/* Whether this handle stands in the message. */
bool bridge__message_holds(const bridge_message *message, const void *handle);

#endif
