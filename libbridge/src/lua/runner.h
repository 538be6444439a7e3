/* Runner: a thread that runs scripts, as seen by those who want something of it; and
   the supervisor, which repeats kicks and watches deadlines.

   A kick can get lost between two instructions of Lua's (it clears the mark that the
   kick has set), so it is repeated until the thread says that nobody asks any more,
   more and more rarely, and never before the last one has come: each one walks the
   call stack, and too many would keep the thread from going on at all.

   The supervisor looks at runners only, which are never freed: what a runner is busy
   with may be gone at any moment.  It is made when the first one asks or the first
   deadline is set, sleeps while there is nothing to watch, and lives as long as the
   process.  The child of a fork begins afresh.

   What blocks in a wait of ours hears no kick: with each that is repeated the
   supervisor rouses the wait as well, which looks, on its own thread, whether it has
   to end.  It does so without the lock, as what ends waits takes locks of objects.

   Locks: the one lock here is taken with no other one of the library but a worker's
   `mutex`, which comes before it. */
#ifndef BRIDGE_LUA_RUNNER_H
#define BRIDGE_LUA_RUNNER_H

#include "base/interrupt.h"
#include "platform/kick.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct bridge__slice;

typedef struct bridge__runner {
  bridge__kick_target target;  /* the first, so that a target is its runner */
  struct bridge__runner *next; /* all, or the free ones; guarded by the lock */
  struct bridge__runner *previous; /* guarded by the lock */
  unsigned process;                /* which made it */
  /* 0 idle, 1 in a slice, 2 in a slice that cannot end: it is being kicked. */
  atomic_int state;
  atomic_bool asked; /* somebody wants something of what it runs */
  atomic_bool late;  /* a deadline has passed; taken by the next kick */
  atomic_bool deaf;  /* kicks do not come: the host may have blocked them */
  atomic_bool timed; /* one was set since the supervisor looked, */
  _Atomic(int64_t) period;   /* and so far ahead */
  _Atomic(int64_t) deadline; /* by the clock; INT64_MAX for none */
  _Atomic(int64_t) cpu_end;  /* on the thread's CPU clock; INT64_MAX for none */
  _Atomic(int64_t) cpu_look; /* when the CPU clock can have come so far */
  /* The innermost slice, or NULL: of the thread itself and its kicks. */
  _Atomic(struct bridge__slice *) top;
  int64_t sampled_at; /* of the thread: when it looked at its CPU clock, */
  int64_t sampled;    /* and what it saw */
  int64_t pause;      /* between two kicks; guarded by the lock, */
  int64_t again;      /* when to kick next; guarded by the lock */
  bool rousing;       /* its wait has to look as well; guarded by the lock */
  bool prepared;      /* the post was made; guarded by the lock */
  bridge__post post;  /* of its waits */
  /* Those whose waits are to be roused: of the supervisor. */
  struct bridge__runner *next_roused;
  bool listed;
} bridge__runner;

/* The calling thread's; NULL if there is no memory, or the system refuses. */
bridge__runner *bridge__runner_mine(void);

/* What kicks call: `lua/kicked.c` has it. */
void bridge__runner_deliver(bridge__kick_target *target);
/* Whether a wait of the calling thread, whose post this is, has to end: as above. */
bool bridge__runner_broken(bridge__post *post);

/* The lock.  With it, wait until somebody says that something is settled; false if
   the deadline passed. */
void bridge__runners_lock(void);
void bridge__runners_unlock(void);
bool bridge__runners_wait(int64_t deadline);
void bridge__runners_settle(void);

/* With the lock: somebody wants something of it, and has said what in a place that
   its slices read.  Kicks it, and again until it says bridge__runner_satisfied.  With
   `rousing` it is meant for what blocks, too: its wait is made to look.
   BRIDGE_OK; or the kick was sent, and nobody can repeat it: BRIDGE_ENOMEM,
   BRIDGE_ESYSTEM. */
bridge_status bridge__runner_ask(bridge__runner *runner, bool rousing);
/* With the lock: a deadline of what it runs has come nearer. */
bridge_status bridge__runner_hasten(bridge__runner *runner, int64_t deadline);

/* ---- On the runner's own thread ---- */
/* Around the outermost slice. */
void bridge__runner_begin(bridge__runner *runner);
void bridge__runner_end(bridge__runner *runner);
/* Whoever asked has what he wanted; the caller looks once more afterwards. */
void bridge__runner_satisfied(bridge__runner *runner);
/* It is not so: kicks go on. */
void bridge__runner_repeat(bridge__runner *runner);
/* Watch these; INT64_MAX for none. */
bridge_status bridge__runner_watch(bridge__runner *runner,
                                   int64_t now,
                                   int64_t deadline,
                                   int64_t cpu_end);
/* The same from within a kick: async-signal-safe, as the supervisor, which has just
   kicked, looks again by itself. */
void bridge__runner_rewind(bridge__runner *runner,
                           int64_t deadline,
                           int64_t cpu_end);
/* The calling thread's CPU clock, right to some microseconds; `now` is
   bridge__now. */
int64_t bridge__runner_cpu(bridge__runner *runner, int64_t now);

/* How many states may be stopped: the last one takes the signal handler away. */
void bridge__runners_count(int change);
/* Whether there is one, with the lock. */
bool bridge__runners_used(void);

#endif
