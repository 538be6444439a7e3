/* Kick: runs a function on another thread, between two of its instructions.

   That function can do what a signal handler can: read and write what only that
   thread and its own kicks touch, and atomics.  POSIX sends a signal, Windows stops
   the thread meanwhile.  Twins of the platform's folder. */
#ifndef BRIDGE_PLATFORM_KICK_H
#define BRIDGE_PLATFORM_KICK_H

#include "platform/platform.h"

#include <stdatomic.h>

typedef struct bridge__kick_target bridge__kick_target;

/* A thread that can be kicked.  Never freed: a kick may be under way. */
struct bridge__kick_target {
  void (*deliver)(bridge__kick_target *target);
  bridge__native_thread thread;
  /* Kicks that were sent, by one kicker at a time, */
  atomic_uint sent;
  /* and the number of the last one that came; kicks that are under way together
     come as one. */
  atomic_uint delivered;
};

/* The calling thread can be kicked from now on, where it stays until its end.
   False if the system refuses. */
bool bridge__kick_open(bridge__kick_target *target);
/* The calling thread is not this target any more. */
void bridge__kick_close(bridge__kick_target *target);

/* POSIX: kicks come through to the calling thread again, if the host has blocked them
   since it was opened.  False if the system refuses. */
bool bridge__kick_unblock(void);

/* Call `target->deliver` on that thread soon.  The caller sees to it that the thread
   lives, and that nobody else kicks.  While the last kick has yet to come another one
   would add nothing, and is not sent. */
void bridge__kick(bridge__kick_target *target);
/* Whether the last kick has yet to come. */
bool bridge__kick_is_under_way(const bridge__kick_target *target);
/* The same, as if that one were lost: the host may have thrown it away. */
void bridge__kick_again(bridge__kick_target *target);

/* POSIX: which signal is sent; BRIDGE_EINVAL for one that cannot be caught. */
bridge_status bridge__kick_choose(int signal);
/* Nobody is kicked until the next kick, and no kick is on its way: take back what
   that needed. */
void bridge__kick_retire(void);

/* CPU time, in nanoseconds: the calling thread's; a living target's, false if the
   system does not tell. */
int64_t bridge__cpu_time(void);
bool bridge__cpu_time_of(const bridge__kick_target *target, int64_t *out);

#endif
