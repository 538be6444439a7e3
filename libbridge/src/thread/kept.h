/* Threads that are kept: one whose work is over waits a while for more, which is
   cheaper than its end and the beginning of another. */
#ifndef BRIDGE_THREAD_KEPT_H
#define BRIDGE_THREAD_KEPT_H

#include "platform/platform.h"

/* Run `job`, which is copied, on a thread that waits for work, or else on a new
   one; nobody can join it. */
bridge_status bridge__kept_start(const bridge__native_entry *job,
                                 size_t stack_size);

/* From a job on such a thread, as the last thing but a few instructions: let the
   next job have the thread.  Who is told of the end of this one, and starts
   another, finds the thread waiting. */
void bridge__kept_offer(void);

#endif
