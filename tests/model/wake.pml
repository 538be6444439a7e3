/* How a consumer in a foreign event loop is woken: the steps of queue/push.c,
   queue/pop.c and waker/waker.c, each atomic operation one step, in any order of
   the threads.  The memory is sequentially consistent here; that it may be
   weaker is the business of the scenarios beside this file.

   The host watches the descriptor and nothing else.  When it is readable the
   host pops, and may stop before the queue is empty.

   -DSEED=1 to 7 makes it wrong in one place each; CMakeLists.txt says which claim
   fails then. */

#ifndef SEED
#define SEED 0
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2 /* of each producer */
#endif

/* The queue: the list's word is either armed, or a number of nodes. */
bool armed = true;
byte linked = 0;
byte pushed = 0; /* let in: with `closed`, one word of the product */
bool closed = false;
byte popped = 0;
byte held = 0; /* taken from the list, not popped yet */

/* The waker: one word of the product ... */
bool pending = false;
bool shut = false;
byte users = 0;
/* ... and the kernel's. */
byte signals = 0;
bool open = true;

byte refused = 0;   /* messages that were not let in */
byte producing = PRODUCERS;
bool ended = false; /* the host has seen the end */

#define USE assert(open)

inline leave()
{
  atomic {
    users--;
    if
    :: shut && users == 0 -> assert(open); open = false
    :: else
    fi
  }
}

/* bridge_waker_raise; the callers have `mine` */
inline raise()
{
#if SEED == 2
  /* The signal comes before the mark. */
  mine = !shut && !pending;
  if
  :: mine -> users++; atomic { USE; signals++ }; pending = true; leave()
  :: else
  fi
#else
  atomic {
    mine = !shut && !pending;
    if
    :: mine -> pending = true; users++
    :: else
    fi
  }
  if
  :: mine -> atomic { USE; signals++ }; leave()
  :: else
  fi
#endif
}

/* bridge_waker_clear; the host has `mine` and `was_shut` */
inline clear()
{
  atomic {
    mine = !shut;
    if
    :: mine -> users++
    :: else
    fi
  }
  if
  :: mine ->
    if
    :: pending ->
#if SEED == 3
      /* The mark goes before the signal is taken away. */
      atomic { was_shut = shut; pending = false };
      atomic { USE; signals = 0 }
#else
      atomic { USE; mine = (signals > 0); signals = 0 };
      if
      :: mine ->
        atomic { was_shut = shut; pending = false };
        if
        :: was_shut -> atomic { USE; signals++ }
        :: else
        fi
      :: else /* its signal has not come yet: it stays raised */
      fi
#endif
    :: else
    fi;
    leave()
  :: else
  fi
}

proctype producer()
{
  byte i = 0;
  bool mine, told, let_in;
  do
  :: i == MESSAGES -> break
  :: else ->
    i++;
    /* Room is taken in the exchange that looks whether it is closed. */
#if SEED == 5
    /* The closed mark is looked at outside of the exchange. */
    let_in = !closed;
    if
    :: let_in -> pushed++
    :: else -> refused++
    fi;
#else
    atomic {
      let_in = !closed;
      if
      :: let_in -> pushed++
      :: else -> refused++
      fi
    }
#endif
    if
    :: let_in ->
      atomic { told = armed; armed = false; linked++ };
      if
      :: told -> raise()
      :: else
      fi
    :: else
    fi
  od;
  producing--
}

/* bridge_queue_pop with the timeout 0, until it says that there is no more */
inline pop_some()
{
  cleared = false;
  answer = 0;
  do
  :: true ->
    /* take */
    atomic {
      if
      :: held == 0 -> held = linked; linked = 0
      :: else
      fi
    }
    if
    :: held > 0 -> held--; popped++; answer = 1; break
    :: else
    fi;
    /* at_end: by the counts, so that what is not linked yet is waited for */
    atomic {
      if
      :: closed && pushed == popped -> answer = 3; break
      :: else
      fi
    }
#if SEED == 6
    /* Armed first, and cleared then. */
    atomic {
      ok = (linked == 0);
      if
      :: ok -> armed = true
      :: else
      fi
    }
    if
    :: ok -> clear(); answer = 2; break
    :: else
    fi
#else
    ok = !cleared && pending;
    if
    :: ok -> clear(); cleared = true
    :: else ->
#if SEED == 7
      /* Armed without a look. */
      atomic { armed = true };
      answer = 2;
      break
#else
      atomic {
        if
        :: linked == 0 -> armed = true; answer = 2; break
        :: else
        fi
      }
#endif
    fi
#endif
  od;
  if
  :: cleared && answer != 2 ->
#if SEED == 1
    /* What was cleared for nothing is not raised again. */
    skip
#else
    raise()
#endif
  :: else
  fi
}

active proctype host()
{
  bool mine, was_shut, cleared, ok;
  byte answer; /* 1 a message, 2 empty, 3 the end */
  do
  :: true ->
    /* The loop sleeps in poll. */
    atomic { (!open || signals > 0) -> skip };
    if
    :: !open -> break /* only where the waker is closed */
    :: else
    fi;
    do
    :: true ->
      pop_some();
      if
      :: answer == 1 ->
        if
        :: true /* goes on */
        :: true -> break /* something else has its turn first */
        fi
      :: answer == 2 -> break
      :: answer == 3 -> ended = true; break
      fi
    od;
    if
    :: ended -> break
    :: else
    fi
  od
}

/* Closes the queue whenever it likes. */
active proctype closer()
{
  bool mine;
  closed = true;
  raise()
}

#ifdef CLOSE_WAKER
/* bridge_waker_close */
active proctype waker_closer()
{
#if SEED == 4
  /* Whoever closes does not wait for those who are inside. */
  atomic { shut = true; open = false }
#else
  users++;
  shut = true;
  atomic { USE; signals++ };
  leave()
#endif
}
#endif

init
{
  byte n = 0;
  atomic {
    do
    :: n < PRODUCERS -> run producer(); n++
    :: else -> break
    od
  }
}

/* Nothing is popped that was not let in, and nothing comes behind the end. */
#define COUNTS (popped + held + linked <= pushed)
#define ALL    (pushed + refused == PRODUCERS * MESSAGES)

ltl counts { [] COUNTS }
ltl end_is_last { [] (ended -> (pushed == popped)) }
#ifdef CLOSE_WAKER
/* Whoever closes it: the descriptor is closed once, and not kept for ever. */
ltl gives_up { <> !open }
#else
/* The host always comes to the end, so no message and no wake-up is lost. */
ltl arrives { <> (ended && producing == 0 && ALL && popped == pushed) }
#endif
