/* What the wakers that have a socket share on Windows. */
#ifndef BRIDGE_WAKER_SOCKET_H
#define BRIDGE_WAKER_SOCKET_H

#include "waker/waker.h"

extern const bridge__waker_type bridge__waker_udp;

/* For the tables: wait until the socket is readable, and close it. */
bridge_status bridge__socket_wait(bridge_waker *waker, int64_t deadline);
void bridge__socket_close(bridge_waker *waker);

/* Socket numbers have 32 bits that matter, also where SOCKET has 64. */
static inline SOCKET bridge__socket_of(const bridge_waker *waker)
{
  return (SOCKET)(unsigned)waker->as.file.reading;
}

#endif
