/* Slice: what the files around the guard share.  Of a state's guard, what the thread that
   runs it and its own kicks read and write:

     guard.c     what can be asked, from any thread
     slice.c     the stretches of time in which a script runs
     kicked.c    what a kick does, and a wait that looks for itself
     safepoint.c the hook that it sets
     visit.c     looks at the stack  */
#ifndef BRIDGE_LUA_SLICE_H
#define BRIDGE_LUA_SLICE_H

#include "lua/guard.h"

static inline bridge__slice *bridge__guard_slice(const bridge__guard *guard)
{
  /* Takes nothing: the thread itself wrote it, before a signal fence. */
  return atomic_load_explicit(&guard->slice, memory_order_relaxed);
}

static inline bool bridge__guard_stopping(const bridge__guard *guard)
{
  /* Takes nothing: as above. */
  return atomic_load_explicit(&guard->stopping, memory_order_relaxed);
}

static inline bool bridge__guard_has_attention(const bridge__guard *guard)
{
  /* Takes nothing: as above. */
  return atomic_load_explicit(&guard->attention, memory_order_relaxed) != 0;
}

static inline void bridge__guard_set_attention(bridge__guard *guard,
                                               bool wanted)
{
  /* Publishes nothing: only this thread and its kicks read it. */
  atomic_store_explicit(&guard->attention, wanted, memory_order_relaxed);
}

static inline lua_State *bridge__guard_current(const bridge__guard *guard)
{
  /* Takes nothing: this thread wrote it. */
  return atomic_load_explicit(&guard->current, memory_order_relaxed);
}

static inline unsigned bridge__guard_requests(const bridge__guard *guard)
{
  /* seq_cst: see the top of guard.h. */
  return atomic_load_explicit(&guard->requests, memory_order_seq_cst);
}

static inline void bridge__guard_take_back(bridge__guard *guard, unsigned bits)
{
  /* seq_cst: see the top of guard.h. */
  atomic_fetch_and_explicit(&guard->requests, ~bits, memory_order_seq_cst);
}

/* ---- guard.c, with the lock of runner.h ---- */
/* Sets the bits, and kicks whoever runs it. */
bridge_status bridge__guard_ask(bridge__guard *guard, unsigned bits);
bool bridge__guard_runs(const bridge__guard *guard);

#endif
