/* What breaks the waits of a thread that runs a worker.  Every call of the
   library that blocks brackets its wait by bridge__wait_begin and _end, so that
   a cancel from any thread reaches it wherever it waits. */
#ifndef BRIDGE_BASE_INTERRUPT_H
#define BRIDGE_BASE_INTERRUPT_H

#include "platform/platform.h"

#include <stdatomic.h>
#include <stdbool.h>

typedef void bridge__wake(void *object);

typedef struct bridge__interrupt {
  atomic_bool requested;
  atomic_bool held; /* it is paused: its waits go on, and take nothing */
  bridge__mutex mutex;
  unsigned use;       /* guarded by mutex */
  bridge__wake *wake; /* guarded by mutex; NULL while nobody waits */
  void *object;       /* guarded by mutex */
} bridge__interrupt;

/* Where others find the wait of a thread while it runs scripts, whatever it is bound
   to.  It is never freed: who finds it may come late. */
typedef struct bridge__post bridge__post;
struct bridge__post {
  bridge__mutex mutex;
  bridge__wake *wake; /* guarded by mutex; NULL while it does not wait */
  void *object;       /* guarded by mutex */
  /* Of the thread itself. */
  unsigned process;
  bool manned; /* it runs scripts */
  /* Whether its waits have to end.  Called on it, perhaps with the mutex of what it
     waits for. */
  bool (*broken)(bridge__post *post);
};

bridge_status bridge__post_init(bridge__post *post,
                                bool (*broken)(bridge__post *post));
/* The calling thread's from now on; NULL for none. */
void bridge__post_bind(bridge__post *post);
/* From any thread: what it waits for is looked at again, if it waits. */
void bridge__post_rouse(bridge__post *post);

bridge_status bridge__interrupt_init(bridge__interrupt *interrupt);
void bridge__interrupt_destroy(bridge__interrupt *interrupt);

/* Make the waits of the calling thread breakable by this one; NULL for none.
   Returns the one before. */
bridge__interrupt *bridge__interrupt_bind(bridge__interrupt *interrupt);

/* From any thread: the bound thread's wait ends, and so do all later ones.
   Calls the `wake` of the wait with the interrupt's mutex held: it must only
   wake. */
void bridge__interrupt_request(bridge__interrupt *interrupt);

/* Make it as new, and number what is to be interrupted from now on; and the same as a
   request, but only as long as that number stands. */
void bridge__interrupt_renew(bridge__interrupt *interrupt, unsigned use);
bool bridge__interrupt_request_use(bridge__interrupt *interrupt, unsigned use);

/* From any thread: what it waits for is looked at again, if it waits. */
void bridge__interrupt_rouse(bridge__interrupt *interrupt);

/* Whether the calling thread has one. */
bool bridge__interruptible(void);

/* Whether the calling thread has one, and it is held.  Who waits looks for nothing
   then; when that is over, the wait is roused. */
bool bridge__held(void);

/* From any thread: whether one that is bound to it waits at this moment. */
bool bridge__interrupt_waits(bridge__interrupt *interrupt);

/* Whether the calling thread has one, and it was requested, or the post is broken, or a
   term was told to end. */
bool bridge__interrupted(void);

/* The calling thread is about to block; `wake(object)` must make it ask
   bridge__interrupted once more: it may also come for nothing.  False if it was interrupted: do not block, and do not
   call bridge__wait_end. */
bool bridge__wait_begin(bridge__wake *wake, void *object);
void bridge__wait_end(void);

/* ---- The time of scripts that are only asked to end ---- */

/* A moment at which the waits of the calling thread are over, as if that were their own
   time-out.  The terms of a thread nest, and all of them count. */
typedef struct bridge__term {
  struct bridge__term *outer;
  /* When; asked as a wait begins. */
  int64_t (*end)(const struct bridge__term *term);
  /* Whether it was told to end; asked whenever the wait looks. */
  bool (*told)(const struct bridge__term *term);
} bridge__term;

void bridge__term_begin(bridge__term *term);
/* Of the one that began last. */
void bridge__term_end(void);

/* bridge__deadline for a wait that can be broken: not after the end of a term. */
int64_t bridge__wait_deadline(int timeout_ms);
/* Whether a term is over. */
bool bridge__out_of_time(void);

#endif
