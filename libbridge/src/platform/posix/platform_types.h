/* What the platform's types are made of: POSIX. */
#ifndef BRIDGE_PLATFORM_TYPES_H
#define BRIDGE_PLATFORM_TYPES_H

#include <limits.h> /* tells which C library this is */
#include <pthread.h>

typedef pthread_mutex_t bridge__mutex;
typedef pthread_cond_t bridge__condition;
typedef pthread_t bridge__native_thread;

#define BRIDGE__MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

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
