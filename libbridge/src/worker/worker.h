/* The body of a worker, shared by the files of this folder:

     worker.c   how it is made, and what can be seen of it
     options.c  what it can be made of
     close.c    how it ends: stop, cancel, join, close
     chunk.c    what it runs: text, file or function, with arguments
     call.c     asking it, from outside: requests and their answers
     drive.c    who runs it: its thread, or the host's steps
     task.c     its coroutines, and what they wait for
     service.c  answering requests
     outcome.c  how these end
     inside.c   the Lua functions of "bridge.inside", which wait by yielding
     report.c   what it tells the logger
     registry.c all that live, and what can be seen of each
     next.c     its chunk as a coroutine
     look.c     its call stacks, and the watchdog
     pause.c    nothing of it runs for a while
     exit.c     what it does at its end
     lost.c     its thread is given up
     notify.c   its end, for event loops  */
#ifndef BRIDGE_WORKER_WORKER_H
#define BRIDGE_WORKER_WORKER_H

#include "base/interrupt.h"
#include "base/object.h"
#include "base/registry.h"
#include "base/watch.h"
#include "log/log.h"
#include "lua/state.h"
#include "message/message.h"
#include "sync/owner.h"
#include "worker/gauge.h"

#include <bridge/thread.h>
#include <bridge/worker.h>

/* Whom to answer.  It is an object so that a request which is dropped anywhere,
   by anybody, still answers: its destroy function says BRIDGE_EDEAD. */
typedef struct bridge__reply {
  bridge__object object;
  bridge_queue *answers;  /* retained */
  bridge_message *answer; /* made beforehand, so that answering cannot fail */
  uint64_t session;
  int64_t deadline; /* of who waits for it; INT64_MAX for none */
} bridge__reply;

typedef struct bridge__withdrawal bridge__withdrawal; /* withdraw.c */

/* Most queues that a worker keeps for the calls to come. */
#define BRIDGE__IDLE_QUEUES 8

/* What a coroutine waits for. */
typedef enum bridge__wait {
  BRIDGE__WAIT_NOTHING, /* it is running, or ready to run */
  BRIDGE__WAIT_ANSWER,
  BRIDGE__WAIT_TIME,
  BRIDGE__WAIT_STOP, /* in bridge.serve */
  BRIDGE__WAIT_NEXT  /* in bridge.yield */
} bridge__wait;

/* A coroutine that the driver resumes: the main chunk, or one request. */
typedef struct bridge__task {
  struct bridge__task *next; /* in the list of those that are ready */
  lua_State *L;
  int anchor;
  bridge__reply *reply; /* NULL: nobody waits for its results */
  bridge__wait wait;
  bridge_status outcome;   /* how the wait ended */
  bridge_message *answer;  /* what it waited for; the task's */
  bridge_message *request; /* a call's that found the inbox full; the task's */
  int64_t call_deadline;   /* of that call */
  int64_t deadline;        /* INT64_MAX for none */
  size_t timer;            /* place in the heap, counted from 1; 0 for none */
  uint32_t index;          /* place in the table of tasks */
  uint32_t generation;     /* of its latest wait */
  bool ready;              /* in the list of those that are ready */
  bool stopped;            /* its leash was due: nothing of it runs any more */
  bridge__leash leash;     /* its own; the worker's is the parent */
  bridge__label label;     /* what people call it */
} bridge__task;

/* What the driver keeps.  All of it belongs to who holds the state. */
typedef struct bridge__driver {
  bridge__task *main; /* NULL once the chunk ended */
  int arguments;      /* values on the main coroutine before its first resume */
  bridge_message *values; /* those that are unpacked before it; or NULL */
  bool started;
  bool ending;   /* what is closed now is on the worker's last leash */
  bool urged;    /* to return from its turn: it was preempted */
  bool stopping; /* the request to stop was seen */
  bool serving;
  int handlers;          /* reference to the table, or LUA_NOREF */
  size_t requests;       /* tasks that are not the main one */
  bridge__task *running; /* whose coroutine lua_resume is in */
  bridge__task *ready_first;
  bridge__task *ready_last;
  bridge_node *early_first; /* requests that came before bridge.serve */
  bridge_node *early_last;  /* they still count against the inbox's bounds */
  bridge__task *spare;      /* the next one's memory, or NULL */
  bridge__task **tasks;     /* by index; NULL where free */
  uint32_t *vacant;         /* indexes that are free, as a stack */
  size_t vacant_count;
  uint32_t *generations; /* by index: how many waits began there */
  size_t task_capacity;
  bridge__task **timers; /* binary heap by deadline */
  size_t timer_count;
  bridge_node *next_first; /* calls of bridge_worker_next that wait */
  bridge_node *next_last;
  bridge__reply *asking;   /* who gets what is yielded next; or NULL */
  bridge_message *offered; /* what was yielded, and nobody has taken; or NULL */
} bridge__driver;

/* What a script says by `warn`, piece by piece.  Belongs to who holds the state. */
typedef struct bridge__warning {
  char *text; /* NULL until something was said */
  size_t size;
  bool begun;
  bool off;
} bridge__warning;

struct bridge_worker {
  bridge__listed object;
  uint64_t id;
  char *name;
  bridge_drive drive;
  bool inbox_fails; /* at once, when it is full */
  bridge_queue *inbox;
  bridge_message *stop_message; /* made beforehand; taken by the first stop */
  atomic_bool stop_asked;
  bridge__leash life; /* of all its scripts */
  bridge__leash last; /* of what they have to close at the end */
  bridge__leash turn; /* of the task that runs now, whose own is the parent */
  _Atomic(bridge_queue *) turn_answers; /* whom that answers; NULL for nobody */
  atomic_uint_fast64_t turn_session;
  bridge__withdrawal *withdrawn; /* guarded by mutex */
  atomic_size_t withdrawals;     /* how many these are */
  bridge_limits life_limits;
  bridge_limits request_limits;
  /* Whether the driver is in Lua: see lost.c. */
  atomic_int place;
  atomic_uint_fast64_t stepper; /* a host's: the thread that stepped it last */
  atomic_int phase;
  bridge__interrupt interrupt;
  bridge__owner owner;   /* of mutexes; the driver's */
  bridge_thread *thread; /* NULL for a host's worker */
  bridge__mutex mutex;
  bridge__condition ended;
  bridge__watchers notices; /* of its end; guarded by mutex */
  /* Empty queues, at which callers have waited for their answers. */
  bridge_queue *idle[BRIDGE__IDLE_QUEUES]; /* guarded by mutex */
  size_t idle_count;                       /* guarded by mutex */
  bool closed;         /* guarded by mutex: the state is only the driver's */
  bridge_state *state; /* the driver's once it is closed; NULL once ended */
  size_t final_peak;   /* guarded by mutex */
  size_t final_limit;  /* guarded by mutex */
  /* Written before the phase becomes BRIDGE_WORKER_ENDED, never after. */
  bridge_status outcome;
  bridge_message *results;
  bridge_error *error;
  atomic_bool told;      /* somebody took the outcome */
  unsigned visitors;     /* guarded by mutex: who uses the state's guard */
  int64_t watched_from;  /* when the watchdog last saw it wait */
  int64_t watched_since; /* the watchdog's: the run that it looks at, */
  int64_t watched_limit; /* and when it says so, */
  int64_t watched_cpu;   /* and its CPU time at the last look; -1: not known */
  bool exiting;          /* the functions of bridge.on_exit run, or have run */
  bridge__log_source log;
  bridge__warning warning;
  bridge__gauge gauge;
  /* Guarded by the registry's mutex. */
  bool listed;
  bool created; /* completely: before, only itself finds it */
  bridge_worker *older;
  bridge_worker *younger;
  bridge__driver driver;
};

static inline bool bridge__worker_interrupted(const bridge_worker *worker)
{
  /* Only a flag: what it stands for is done by the thread that reads it. */
  return atomic_load_explicit(&worker->interrupt.requested,
                              memory_order_relaxed);
}

static inline bool bridge__worker_stop_asked(const bridge_worker *worker)
{
  /* Takes nothing: what comes behind the stop is refused by the driver. */
  return atomic_load_explicit(&worker->stop_asked, memory_order_relaxed);
}

static inline void bridge__worker_set_phase(bridge_worker *worker,
                                            bridge_worker_phase phase)
{
  /* Takes nothing: the exchange checks it. */
  int before = atomic_load_explicit(&worker->phase, memory_order_relaxed);
  /* Publishes the outcome, to those who see that the worker has ended.  One that was
     given up can do nothing but that. */
  while ((before != BRIDGE_WORKER_LOST || phase == BRIDGE_WORKER_ENDED) &&
         !atomic_compare_exchange_weak_explicit(
             &worker->phase, &before, (int)phase, memory_order_release,
             memory_order_relaxed)) {
  }
}

static inline bool bridge__worker_paused(const bridge_worker *worker)
{
  /* Takes nothing: the flag stands for itself. */
  return atomic_load_explicit(&worker->interrupt.held, memory_order_relaxed);
}

/* ---- call.c ---- */
/* Put a message of a kind into the inbox; its answer goes into `answers`, which may
   be NULL.  Takes the message, unless it fails. */
bridge_status bridge__worker_post(bridge_worker *worker,
                                  int kind,
                                  bridge_message **message,
                                  int timeout_ms,
                                  bridge_queue *answers,
                                  uint64_t session);
/* bridge_worker_request, which nobody waits for after `deadline`: then the handler is
   stopped. */
bridge_status bridge__worker_ask(bridge_worker *worker,
                                 bridge_message **request,
                                 int timeout_ms,
                                 bridge_queue *answers,
                                 uint64_t session,
                                 int64_t deadline);
/* A message that nobody looks at: a failure that it tells goes to the logger.  Takes
   it. */
void bridge__call_unheard(bridge_message *answer);
/* What a message that was popped answers.  Takes it. */
bridge_status bridge__call_take_answer(bridge_message **message,
                                       bridge_message **answer,
                                       bridge_error **error);
/* Answer with these values.  Takes the reply; the values stay if nobody waits for
   them any more. */
void bridge__reply_values(bridge__reply **reply, bridge_message **values);
/* Why a worker that has ended answers no more: what ended it, or NULL.  For its
   driver, and for all once it has ended. */
bridge_error *bridge__worker_obituary(const bridge_worker *worker);
/* Free the queues of calls that are over; nobody calls any more. */
void bridge__calls_free(bridge_worker *worker);
/* Answer with `reply->answer`, which holds the results.  Takes the reply. */
void bridge__reply_results(bridge__reply **reply);
/* Answer with a failure.  Takes both; error may be NULL. */
void bridge__reply_failure(bridge__reply **reply,
                           bridge_status status,
                           bridge_error *error);
/* An inbox has no room (queue/queue.h). */
bool bridge__request_dropped(void *user, bridge_message *message);

/* ---- options.c ---- */
/* BRIDGE_OK; or why not, and an error that says more, if there is memory for it. */
bridge_status bridge__worker_check(const bridge_worker_options *options,
                                   bridge_error **error);

/* ---- chunk.c ---- */
/* Make the main task: chunk and arguments on a coroutine of its own.  Arguments that
   bridge__worker_keeps become the worker's. */
bridge_status bridge__worker_load(bridge_worker *worker,
                                  const bridge_worker_options *options,
                                  bridge_message *arguments,
                                  bridge_error **error);
/* Whether to read them runs functions of a script, which may not come back: then it is
   done by who runs the worker, where it can be stopped. */
bool bridge__worker_keeps(const bridge_message *arguments);
/* Run the main task for the first time. */
void bridge__worker_begin(bridge_worker *worker);

/* ---- lost.c ---- */
/* Where the driver of a worker is. */
enum {
  BRIDGE__AT_WORK,  /* in its own code */
  BRIDGE__IN_LUA,   /* in a script, and touches nothing of the worker's */
  BRIDGE__GIVING_UP /* the same, while somebody else answers in its place */
};
/* Around each lua_resume of the driver's. */
void bridge__worker_enter_lua(bridge_worker *worker);
void bridge__worker_leave_lua(bridge_worker *worker);
/* Give the worker's thread up: who waits for it hears BRIDGE_ELOST.  BRIDGE_ELOST; or
   BRIDGE_OK if it has ended after all. */
bridge_status bridge__worker_lose(bridge_worker *worker);
bool bridge__worker_lost(const bridge_worker *worker);

/* ---- drive.c ---- */
void bridge__worker_thread(void *worker);
/* Whether the calling thread is the one that stepped it last. */
bool bridge__worker_stepped_here(const bridge_worker *worker);
/* Take hold of the worker's state, to end it; waits for nobody. */
bridge_status bridge__worker_enter(bridge_worker *worker);
/* End it now, wherever its coroutines are, and let go of the state. */
void bridge__worker_finish(bridge_worker *worker);
/* The same, with nothing in it that makes the caller wait. */
void bridge__worker_end_now(bridge_worker *worker);

/* ---- task.c ---- */
bridge_status bridge__task_create(bridge_worker *worker, bridge__task **out);
/* The memory of the next one beforehand: of the thread that makes the worker, whose
   own one then may never need any of the allocator. */
bridge_status bridge__task_provide(bridge_worker *worker);
/* Closes the coroutine, and answers BRIDGE_EDEAD if nobody has answered. */
void bridge__task_drop(bridge_worker *worker, bridge__task *task);
/* Begin to wait; `deadline` INT64_MAX for no limit. */
void bridge__task_wait(bridge_worker *worker,
                       bridge__task *task,
                       bridge__wait wait,
                       int64_t deadline);
/* End a wait that has begun but will not be waited for. */
void bridge__task_give_up(bridge_worker *worker, bridge__task *task);
/* What an answer must carry to end the task's latest wait. */
uint64_t bridge__task_session(const bridge__task *task);
/* The task that waits for this answer, or NULL if it gave up. */
bridge__task *bridge__task_find(bridge_worker *worker, uint64_t session);
/* End a task's wait; it runs when its turn comes. */
void bridge__task_wake(bridge_worker *worker,
                       bridge__task *task,
                       bridge_status outcome);
/* Append to those that are ready. */
void bridge__task_ready(bridge_worker *worker, bridge__task *task);
bridge__task *bridge__task_next(bridge_worker *worker);
/* Wake those whose time has come.  Returns the next deadline. */
int64_t bridge__task_expire(bridge_worker *worker, int64_t now);
/* Wake all that wait. */
void bridge__task_wake_all(bridge_worker *worker, bridge_status outcome);
void bridge__task_free_all(bridge_worker *worker);

/* ---- service.c ---- */
/* Run a task until it waits or ends; `arguments` values are on its stack. */
void bridge__service_resume(bridge_worker *worker,
                            bridge__task *task,
                            int arguments);
/* Handle a message of the inbox, whose room it still has.  Takes it. */
void bridge__service_receive(bridge_worker *worker, bridge_message *message);
/* Begin a request that came before bridge.serve; false if there is none. */
bool bridge__service_early(bridge_worker *worker);
/* Answer all requests that nobody has begun with a failure.  The inbox is closed;
   `error` may be NULL and stays the caller's. */
void bridge__service_refuse_all(bridge_worker *worker,
                                bridge_status status,
                                bridge_error *error);
/* Let bridge.serve return if it was asked to stop and all is answered. */
void bridge__service_check_end(bridge_worker *worker);

/* ---- outcome.c ---- */
/* What lua_resume left of it, which neither waits nor goes on.  Takes the task. */
void bridge__task_end(bridge_worker *worker,
                      bridge__task *task,
                      const bridge__resumed *resumed);
/* The main task cannot begin.  Takes the error. */
void bridge__task_refuse_main(bridge_worker *worker,
                              bridge_status status,
                              bridge_error *error);

/* ---- withdraw.c ---- */
/* Around everything that runs for a task: what it is to run on. */
bridge__leash *bridge__turn_begin(bridge_worker *worker, bridge__task *task);
void bridge__turn_end(bridge_worker *worker);
/* That a request was withdrawn, from the inbox.  Takes it. */
void bridge__withdraw_receive(bridge_worker *worker, bridge_message *message);
/* Nobody has a handle any more. */
void bridge__withdraw_free(bridge_worker *worker);

/* ---- registry.c ---- */
/* Before its thread starts; and once nothing of it is written any more. */
/* What the registry of all objects has to know. */
extern const struct bridge__listing bridge__worker_listing;
void bridge__registry_add(bridge_worker *worker);
void bridge__registry_admit(bridge_worker *worker);
void bridge__registry_remove(bridge_worker *worker);
/* References of some whose script runs, with higher numbers than this, in their
   order. */
size_t bridge__registry_running(bridge_worker **out,
                                size_t capacity,
                                uint64_t after);

/* ---- next.c ---- */
/* A call of bridge_worker_next, from the inbox.  Takes it. */
void bridge__next_receive(bridge_worker *worker, bridge_message *message);
/* The main task yields these values, and is about to wait.  Takes them. */
void bridge__next_offer(bridge_worker *worker, bridge_message *values);
/* Let those who wait have what is there; the main task is not running. */
void bridge__next_proceed(bridge_worker *worker);
/* Nothing is yielded any more. */
void bridge__next_end(bridge_worker *worker);

/* ---- notify.c ---- */
/* It has ended, or was given up. */
void bridge__notify_end(bridge_worker *worker);
/* Whether somebody wanted to be told of the end by this answer. */
bool bridge__notify_withdraw(bridge_worker *worker,
                             const bridge_queue *answers,
                             uint64_t session);

/* ---- pause.c ---- */
void bridge__worker_unpause(bridge_worker *worker);
/* On its own thread, without the state. */
void bridge__worker_wait_while_paused(bridge_worker *worker);

/* ---- exit.c ---- */
/* A lua_CFunction: bridge.on_exit. */
int bridge__exit_register(lua_State *L);
/* Call them, the last one first.  Wants the state held, and the outcome. */
void bridge__worker_exit(bridge_worker *worker);

/* ---- report.c ---- */
/* Log a failure that nobody is told of.  `worker` and `error` may be NULL. */
void bridge__worker_report(bridge_worker *worker,
                           const char *what,
                           bridge_status status,
                           const bridge_error *error);
/* The same of how it ended, if nobody took it, when its last handle goes. */
void bridge__worker_report_end(bridge_worker *worker);
/* Log what its scripts say by `warn`, and errors in `__gc`. */
void bridge__worker_hear_warnings(bridge_worker *worker);

/* ---- inside.c ---- */
/* Let the worker's state require "bridge.inside".  Wants the state held. */
bridge_status bridge__inside_install(bridge_worker *worker);

#endif
