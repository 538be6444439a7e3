/* What the platform's types are made of: Windows. */
#ifndef BRIDGE_PLATFORM_TYPES_H
#define BRIDGE_PLATFORM_TYPES_H

/* winsock2.h has to come before windows.h. */
#include <winsock2.h>

#include <windows.h>

typedef SRWLOCK bridge__mutex;
typedef CONDITION_VARIABLE bridge__condition;
typedef HANDLE bridge__native_thread;

#define BRIDGE__MUTEX_INIT SRWLOCK_INIT

#define BRIDGE__THREAD_LOCAL _Thread_local

#endif
