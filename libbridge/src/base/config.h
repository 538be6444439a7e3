/* What the build decides about the library itself. */
#ifndef BRIDGE_BASE_CONFIG_H
#define BRIDGE_BASE_CONFIG_H

#include <limits.h> /* tells which C library this is */

/* Whether small blocks are kept for the next message.  Builds with a sanitizer
   say 0, so that it sees a block that is used after it was freed. */
#ifndef BRIDGE_RECYCLE
#define BRIDGE_RECYCLE 1
#endif

/* A variable of each thread, found without a call: its place is settled when the
   library is loaded.  Only the C library that says so keeps some room for
   libraries that are loaded later; others ask for each access. */
#ifdef __GLIBC__
#define BRIDGE__THREAD_LOCAL                                                   \
  _Thread_local __attribute__((tls_model("initial-exec")))
#else
#define BRIDGE__THREAD_LOCAL _Thread_local
#endif

#endif
