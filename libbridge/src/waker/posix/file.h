/* What the wakers that have a descriptor share on POSIX. */
#ifndef BRIDGE_WAKER_FILE_H
#define BRIDGE_WAKER_FILE_H

#include "waker/waker.h"

extern const bridge__waker_type bridge__waker_eventfd;
extern const bridge__waker_type bridge__waker_pipe;
extern const bridge__waker_type bridge__waker_udp;

/* For the tables: wait until the descriptor is readable. */
bridge_status bridge__file_wait(bridge_waker *waker, int64_t deadline);
/* For the tables: close the one descriptor, or the two. */
void bridge__file_close(bridge_waker *waker);

/* From the errno of a call that makes a descriptor, which stays as it is. */
bridge_status bridge__file_status(void);

#endif
