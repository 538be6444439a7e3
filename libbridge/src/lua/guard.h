/* Guard: what is asked of a script that runs, and how it comes to hear of it.

   Nothing is paid until somebody asks: then the thread that runs the script is
   kicked, and the kick sets a debug hook on the coroutine that runs now, which comes
   at the next instruction.  The hook is the safe point: it stops the script, raises
   an error in it, shows its stack to somebody, holds it, or makes it yield to its
   driver.  Our own coroutine library (coroutine.c) keeps track of which coroutine
   runs; each state has one guard, which any lua_State of it leads to.  If no hook comes
   although the kick is repeated, something runs that C functions of others resume: then
   all coroutines of the state get the hook (census.h), and those that do not run take
   it away when they do.

   A slice is a stretch of time in which a thread runs a script, from a lua_resume of
   ours to its return, on a leash (leash.h).  Slices of one thread nest: the script of
   one state may run another state.  A Lua state that is used outside of slices, by a
   host that has entered it, is not guarded: what is asked meanwhile waits.

   Who asks from another thread must keep the guard alive: hold a reference of the
   state, or the worker's `mutex` while it is not `closed`.

   Memory orders: who asks writes what he wants (`requests`, a leash), and then looks
   for the thread (`runner`); who begins a slice writes `runner`, and then looks what
   is asked.  All four are sequentially consistent, so that one of the two sees the
   other.  What only the thread and its own kicks touch (`current`, `attention`, ...)
   is relaxed, with signal fences where the order counts. */
#ifndef BRIDGE_LUA_GUARD_H
#define BRIDGE_LUA_GUARD_H

#include "base/interrupt.h"
#include "lua/heap.h"
#include "lua/leash.h"

#include <bridge/error.h>
#include <bridge/state.h>

#include <lua.h>

struct bridge__runner;
typedef struct bridge__guard bridge__guard;
typedef struct bridge__slice bridge__slice;
typedef struct bridge__visit bridge__visit;

/* What can be asked of a script: bits of `requests`. */
enum {
  BRIDGE__ASK_STOP = 1,      /* see whether a leash is due */
  BRIDGE__ASK_INTERRUPT = 2, /* raise an ordinary error */
  BRIDGE__ASK_VISIT = 4,     /* let somebody look at the stack */
  BRIDGE__ASK_PAUSE = 8,     /* wait */
  BRIDGE__ASK_PREEMPT = 16 /* yield to the driver, when it can be done unseen */
};

/* How many bytes of text an interrupt may have. */
#define BRIDGE__INTERRUPT_TEXT 160

struct bridge__guard {
  /* Of the thread that runs it, and its kicks. */
  _Atomic(lua_State *)
      current;          /* the coroutine that runs; NULL outside slices */
  atomic_int attention; /* not 0: hooks are to be set wherever it goes on */
  atomic_bool stopping; /* a leash is due: nothing of the script runs on */
  _Atomic(bridge__slice *) slice; /* the innermost one of this state, or NULL */
  atomic_uint unheard;            /* kicks since a hook of ours came */
  atomic_bool spread; /* hooks were set on more than the one that runs */
  _Atomic(int64_t) spread_again; /* when that may be done again, by the clock */
  /* Of the thread that holds the state. */
  int pins;           /* resumes under way from where no yield gets through */
  int close_depth;    /* coroutine.close within __close within ... */
  bool unwinding;     /* the hook has yielded: each resume hands it on */
  bool thrown;        /* a stop was raised since the slice began */
  bool kills;         /* a coroutine may have been killed at some time */
  bool user_hooks;    /* the script has set a hook at some time */
  bridge_error *seen; /* of the last stop: why, and where */
  bridge_state *state;
  lua_CFunction pcall; /* as they were when the state was made */
  lua_CFunction xpcall;
  bridge_stop_level level;
  /* Of everybody. */
  atomic_uint requests;
  _Atomic(struct bridge__runner *) runner; /* that runs it, or NULL */
  atomic_uint_fast64_t turns; /* slices begun and ended: odd while one runs */
  bridge__visit *visits;      /* guarded by the lock of runner.h */
  bool sticky;                /* the interrupt; guarded by the same */
  bool careful;
  unsigned use; /* for which it is meant, or 0 */
  char text[BRIDGE__INTERRUPT_TEXT];
};

/* On the C stack of whoever runs the script. */
struct bridge__slice {
  bridge__term
      term; /* at the cooperative level: the first, to be found by it */
  bridge__slice *outer; /* of the same thread */
  bridge__guard *guard;
  struct bridge__runner
      *runner; /* NULL if nobody kicks: the cooperative level */
  bridge__leash *leash;
  int64_t deadline; /* by the clock, of this slice and those outside */
  int64_t cpu_end;  /* the same, on the CPU clock of the thread */
  unsigned manner;
  lua_State *base;   /* the coroutine that it begins with */
  atomic_bool urged; /* to come to its end, for the sake of a slice outside */
  /* Of the slice of the same state around this one. */
  bridge__slice *before;
  lua_State *current;
  int pins;
  bool stopping;
  bool unwinding;
  bool thrown;
};

/* How a slice ended. */
typedef enum bridge__ended {
  BRIDGE__ENDED,     /* by itself: the code of lua_resume says how */
  BRIDGE__STOPPED,   /* a leash is due; the coroutine is dead */
  BRIDGE__PREEMPTED, /* resume it with no values to go on */
  BRIDGE__REFUSED    /* its limits cannot be watched; it was not begun */
} bridge__ended;

static inline bridge__guard *bridge__guard_of(lua_State *L)
{
  return *(bridge__guard **)lua_getextraspace(L);
}

/* ---- Of the state that has it ---- */
void bridge__guard_init(bridge__guard *guard,
                        bridge_state *state,
                        bridge_stop_level level);
/* A new main thread, before it has any coroutine. */
void bridge__guard_bind(lua_State *L, bridge__guard *guard);
/* Once its libraries are open; may raise for lack of memory. */
void bridge__guard_open(lua_State *L, bridge__guard *guard);
void bridge__guard_destroy(bridge__guard *guard);

/* ---- Running, with the state held ---- */
enum {
  BRIDGE__LIKE_MAIN = 1, /* the coroutine looks like a main thread */
  BRIDGE__MAY_YIELD =
      2 /* it can be preempted: the driver goes on with it later */
};
/* lua_resume in a slice. */
typedef struct bridge__resumed {
  bridge__ended ended;
  int code; /* of lua_resume; after a stop LUA_ERRMEM */
  int results;
  bridge__leash *due; /* after a stop: the outermost leash that is due */
  bridge_status
      status; /* after a stop or a refusal: what it is for the caller */
} bridge__resumed;
bridge__resumed bridge__guard_resume(bridge__guard *guard,
                                     bridge__leash *leash,
                                     lua_State *L,
                                     int arguments,
                                     unsigned manner);
/* For script code that runs otherwise, as a metamethod or a __close: `body` in a slice,
   which uses `L`. */
bridge__resumed bridge__guard_call(bridge__guard *guard,
                                   bridge__leash *leash,
                                   lua_State *L,
                                   void (*body)(void *user),
                                   void *user);
/* What is known of the last stop: status, text and where; the caller's.  NULL for
   lack of memory. */
bridge_error *bridge__guard_take_stop(bridge__guard *guard);
/* Whether a stop killed this coroutine: its __close must not run any more. */
bool bridge__guard_was_killed(lua_State *L);
static inline bool bridge__guard_killed(lua_State *L)
{
  return bridge__guard_of(L)->kills && bridge__guard_was_killed(L);
}
/* Whether the running script was told to end, on whichever leash; also at the
   cooperative level. */
bool bridge__guard_cancelled(const bridge__guard *guard);

/* Why, if a leash is due: the text is untouched if none is.  BRIDGE_OK then. */
bridge_status bridge__guard_reason(const bridge__guard *guard, char *text);

/* At the cooperative level, where nothing is stopped: what a failure means that came
   when the leash was due.  BRIDGE_OK if it was not, and at the other levels. */
bridge_status bridge__guard_overdue(const bridge__guard *guard,
                                    bridge__leash *leash);

/* ---- From any thread, see above ---- */
/* The number of the use of a leash that is under way; 0 if none is. */
unsigned bridge__guard_use(const bridge__leash *leash);
/* Stop that use after `grace_ms` (0: now), if it is still under way.  BRIDGE_OK;
   BRIDGE_EEMPTY if it is not; BRIDGE_ENOMEM and BRIDGE_ESYSTEM if nobody can see to it
   that it happens in time. */
bridge_status bridge__guard_stop(bridge__guard *guard,
                                 bridge__leash *leash,
                                 unsigned use,
                                 int grace_ms);
/* Raise `text` as an ordinary error in what runs, or will run next: once, or at each
   instruction until it is cleared.  A careful one is not raised where a handler of
   the script's would run in the hook, out of reach of a stop, and only in the slice
   that runs now: BRIDGE_EEMPTY if none does.  With a `use` it is only
   for a slice whose leash is in that use. */
bridge_status bridge__guard_interrupt(bridge__guard *guard,
                                      const char *text,
                                      bool sticky,
                                      bool careful,
                                      unsigned use);
void bridge__guard_clear_interrupt(bridge__guard *guard);
/* Hold what runs, or will run next, until it is taken back.  A stop ends it. */
bridge_status bridge__guard_pause(bridge__guard *guard);
void bridge__guard_unpause(bridge__guard *guard);
/* Make what runs yield to its driver, if its slice is one that can. */
bridge_status bridge__guard_preempt(bridge__guard *guard);
/* Call `look` on the thread that runs the script, with the coroutine that runs.  It
   must not run the script, nor raise, nor take long.  BRIDGE_OK once it was called;
   BRIDGE_EEMPTY if no script runs; BRIDGE_ETIMEDOUT; BRIDGE_EDEADLOCK from that
   thread itself; as bridge__runner_ask. */
bridge_status bridge__guard_visit(bridge__guard *guard,
                                  void (*look)(void *user, lua_State *L),
                                  void *user,
                                  int timeout_ms);
/* Slices begun and ended so far: odd while a script runs.  As long as it stays the
   same and odd, the script runs without a break. */
static inline uint64_t bridge__guard_turns(const bridge__guard *guard)
{
  /* Takes nothing: a number to compare. */
  return atomic_load_explicit(&guard->turns, memory_order_relaxed);
}

/* ---- Asking, for loops in C ---- */
/* The slow half of bridge__poll. */
void bridge__guard_obey(lua_State *L);

/* To be called now and then by C functions that take long, in any state of ours: a
   stop that is due is raised here as an error that no pcall holds for long, and what
   else was asked is done.  Costs two loads while nothing is asked. */
static inline void bridge__poll(lua_State *L)
{
  /* Takes nothing: this thread's own kicks write it. */
  if (atomic_load_explicit(&bridge__guard_of(L)->attention,
                           memory_order_relaxed) != 0) {
    bridge__guard_obey(L);
  }
}

/* ---- Between the files of the guard (slice.h), coroutine.c and hook.c ---- */
/* Raise what no handler hears of: the error for lack of memory. */
int bridge__guard_throw(lua_State *L);
/* Say that the thread of these slices need not be kicked any more, if it is so. */
void bridge__guard_settle(const bridge__slice *slice);
/* Note why and where it is being stopped: `L` is the coroutine that runs. */
void bridge__guard_see(bridge__guard *guard, lua_State *L);
/* With the lock of runner.h: nobody is to wait for a look any more. */
void bridge__visits_dismiss(bridge__guard *guard);
/* Let all who wait for it look. */
void bridge__visits_receive(bridge__guard *guard, lua_State *L);
/* Stop in this coroutine: as a yield if one gets through, else as the error above. */
int bridge__guard_abandon(lua_State *L, lua_KFunction finish);
/* Set our hook on the coroutine that runs.  Async-signal-safe. */
void bridge__guard_arm(bridge__guard *guard);

/* From now on this coroutine runs; returns the one before. */
static inline lua_State *bridge__guard_switch(bridge__guard *guard,
                                              lua_State *L)
{
  /* All relaxed: only this thread and its kicks touch it.  The fence lets a kick
     that comes between the two find the coroutine, or this one find its mark. */
  lua_State *before =
      atomic_load_explicit(&guard->current, memory_order_relaxed);
  atomic_store_explicit(&guard->current, L, memory_order_relaxed);
  atomic_signal_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&guard->attention, memory_order_relaxed) != 0) {
    bridge__guard_arm(guard);
  }
  return before;
}

/* Set it on all coroutines: one that somebody else resumes may be the one that runs.
   Async-signal-safe. */
void bridge__guard_arm_all(bridge__guard *guard);
/* The hook, and whether one is ours. */
void bridge__guard_hook(lua_State *L, lua_Debug *ar);
bool bridge__guard_is_hook(lua_Hook hook);

/* Replace functions of `coroutine` and `debug`, if the state has them. */
void bridge__coroutine_open(lua_State *L);
void bridge__debug_open(lua_State *L);
/* The script's own hook of `L`: its mask, 0 for none, and its count. */
int bridge__debug_mask(lua_State *L, int *count);
/* Call it for an event. */
void bridge__debug_call(lua_State *L, lua_Debug *ar);
/* Set it again, or none, in the place of ours. */
void bridge__debug_restore(lua_State *L);

#endif
