/* What the platform's types are made of: the model checker. */
#ifndef BRIDGE_PLATFORM_TYPES_H
#define BRIDGE_PLATFORM_TYPES_H

typedef struct bridge__mutex {
  void *body;
} bridge__mutex;

typedef struct bridge__condition {
  void *body;
} bridge__condition;

typedef int bridge__native_thread;

#endif
