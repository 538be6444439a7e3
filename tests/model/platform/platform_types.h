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

/* In a section that the engine exchanges when another thread looks into it. */
#define BRIDGE__THREAD_LOCAL __attribute__((section("model_tls")))

#endif
