/* What the library itself asks of a thread. */
#ifndef BRIDGE_THREAD_THREAD_H
#define BRIDGE_THREAD_THREAD_H

#include <bridge/thread.h>

/* Join by nothing but the system's own join, which takes one wait where
   bridge_thread_join takes two, but cannot be broken.  False, and at once, if the
   thread was joined or detached.  Others who join meanwhile still wait for its
   end. */
bool bridge__thread_join(bridge_thread *thread);

#endif
