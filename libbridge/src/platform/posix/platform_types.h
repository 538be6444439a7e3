/* What the platform's types are made of: POSIX. */
#ifndef BRIDGE_PLATFORM_TYPES_H
#define BRIDGE_PLATFORM_TYPES_H

#include <pthread.h>

typedef pthread_mutex_t bridge__mutex;
typedef pthread_cond_t bridge__condition;
typedef pthread_t bridge__native_thread;

#define BRIDGE__MUTEX_INIT PTHREAD_MUTEX_INITIALIZER

#endif
