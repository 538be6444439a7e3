#ifndef BRIDGE_STATE_H
#define BRIDGE_STATE_H

#include <bridge/error.h>
#include <bridge/message.h>
#include <bridge/status.h>

#include <stdbool.h>
#include <stddef.h>

BRIDGE_BEGIN_DECLS

/** Lua's own type; include <lua.h> to use it. */
struct lua_State;

/**
 * A Lua state made by the bridge.  One thread at a time holds it; who comes
 * meanwhile waits, first come, first served.
 */
typedef struct bridge_state bridge_state;

/** What opens a C module: a `lua_CFunction`. */
typedef int bridge_state_open(struct lua_State *lua);

/** A C module that `require` finds without searching for files. */
typedef struct bridge_module {
  /** What is handed to `require`. */
  const char *name;
  /** Called by the first `require` of each state, by one thread at a time. */
  bridge_state_open *open;
} bridge_module;

/** How a script is stopped. */
typedef enum bridge_stop_level {
  /** In options: prompt; in a cancel: what the state was made with. */
  BRIDGE_STOP_DEFAULT = 0,
  /** A flag that every waiting call of the bridge sees, and `bridge.cancelled()`:
      a script that computes and never asks goes on.  Waits end with
      BRIDGE_ECANCELLED, and when a limit of time is over, with BRIDGE_ETIMEDOUT. */
  BRIDGE_STOP_COOPERATIVE = 1,
  /** The thread that runs the script is told to stop it: no pcall, handler, hook or
      coroutine of the script's keeps it running.  It costs nothing until it is
      used.  C functions are waited for, and finalizers, that do not return. */
  BRIDGE_STOP_PROMPT = 2,
  /** And what loops in C asks, too: the string and table functions poll; scripts
      have no `debug` and set no `__gc`. */
  BRIDGE_STOP_STRICT = 3
} bridge_stop_level;

/** How long scripts may run. */
typedef struct bridge_limits {
  /** Milliseconds; 0 for no limit. */
  int timeout_ms;
  /** Milliseconds of the thread's CPU time; 0 for no limit. */
  int cpu_ms;
} bridge_limits;

/** How to make a state.  Fill it by bridge_state_options_init. */
typedef struct bridge_state_options {
  /** Layout of this structure: BRIDGE_STATE_OPTIONS_VERSION. */
  unsigned version;
  /** A name for people, used in tracebacks; NULL for none. */
  const char *name;
  /** Which standard libraries: NULL for all; else names divided by commas, of
      "base", "package", "coroutine", "table", "io", "os", "string", "math",
      "utf8", "debug"; "" for none. */
  const char *libraries;
  /** C modules for `package.preload`; the module "bridge" is always there. */
  const bridge_module *modules;
  /** How many. */
  size_t module_count;
  /** `package.path`; NULL for Lua's own. */
  const char *path;
  /** `package.cpath`; NULL for Lua's own. */
  const char *cpath;
  /** Most bytes of Lua memory, counted from the moment the libraries are open;
      0 for no limit. */
  size_t memory_limit;
  /** Whether precompiled chunks are accepted.  Malicious ones crash Lua, so the
      default is false. */
  bool binary_chunks;
  /** Whether errors carry a traceback; the default is true. */
  bool tracebacks;
  /** How its scripts are stopped. */
  bridge_stop_level stop;
  /** Whether its scripts are not trusted: the strict level, chunks of text only,
      and of the libraries what can do no harm.  Without other options it may take
      64 MiB, and messages of 1 MiB; paths, precompiled chunks and the libraries
      "io", "package" and "debug" are refused. */
  bool sandbox;
  /** For each bridge_state_run and bridge_state_resume. */
  bridge_limits run;
  /** How deep the values of one message may be nested, in and out; 0 for the
      library's own limit. */
  size_t depth_limit;
  /** How many values one message may have; 0 for the library's own limit. */
  size_t value_limit;
  /** How many bytes one message may have; 0 for the library's own limit. */
  size_t message_limit;
} bridge_state_options;

#define BRIDGE_STATE_OPTIONS_VERSION 2

/**
 * Fill in the defaults.
 *
 * @param[out] options  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_state_options_init(bridge_state_options *options);

/**
 * Create a state.
 *
 * @param[out] out    the state; the caller owns one reference
 * @param options     copied; NULL for the defaults
 * @param[out] error  more about a failure; may be NULL
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_ENOTFOUND if a
 *         library's name is unknown; BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_state_create(bridge_state **out,
                    const bridge_state_options *options,
                    bridge_error **error);

/**
 * Drop the state, and close it: finalizers run now, on this thread.
 *
 * @param state  the state, which no thread is running; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_state_release(bridge_state *state);

/**
 * Run a chunk to its end.
 *
 * @param state            the state
 * @param source           text, or a precompiled chunk if the options allow it
 * @param size             bytes
 * @param name             the chunk's name as Lua wants it, "=name" or
 *                         "@file"; NULL for the source itself
 * @param[in,out] arguments  handed to the chunk; taken and set to NULL on
 *                         success, also when the script fails; may be NULL
 * @param[out] results     what the chunk returned; the caller owns it; may be
 *                         NULL
 * @param[out] error       more about a failure; may be NULL
 * @return BRIDGE_OK; BRIDGE_ESYNTAX; BRIDGE_ESCRIPT; BRIDGE_ENOMEM;
 *         BRIDGE_ETYPE if an argument or a result cannot cross; BRIDGE_EOVERFLOW
 *         if an argument does not fit Lua's integers; BRIDGE_ELIMIT if a result
 *         is too deep or too large; BRIDGE_EDEADLOCK from within the state;
 *         BRIDGE_ECANCELLED if the calling worker is cancelled while it waits for
 *         the state, or if the script was cancelled; BRIDGE_ETIMEDOUT if it ran
 *         longer than its limits allow; BRIDGE_ESYSTEM if the limits cannot be
 *         watched; BRIDGE_EINVAL
 *
 * A script that was stopped leaves the state usable: globals are as it left them;
 * the coroutines that were running are dead, and what their variables had to close
 * was not closed.
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_state_run(bridge_state *state,
                                          const char *source,
                                          size_t size,
                                          const char *name,
                                          bridge_message **arguments,
                                          bridge_message **results,
                                          bridge_error **error);

/**
 * Stop what bridge_state_run or bridge_state_resume is running, and nothing that
 * comes later.  Returns at once.
 *
 * Its waits end with BRIDGE_ECANCELLED, and at the cooperative level that is all.
 * Else the script is stopped hard, whatever it catches and wherever it loops in Lua.
 * With a grace that comes so much later, and before it the script gets one ordinary
 * error "cancelled", at its next instruction that is not protected by an xpcall with
 * a handler written in Lua: it may catch it to clean up.
 *
 * @param state     the state, which must live until this returns
 * @param level     BRIDGE_STOP_DEFAULT for the state's own; a higher one than that
 *                  is the state's own
 * @param grace_ms  milliseconds; 0 for none
 * @return BRIDGE_OK; BRIDGE_EEMPTY if nothing runs; BRIDGE_EFORKED; BRIDGE_ENOMEM and
 *         BRIDGE_ESYSTEM if nobody can see to it that it stops: then it may; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_state_cancel(bridge_state *state,
                                             bridge_stop_level level,
                                             int grace_ms);

/** How a script is interrupted. */
typedef enum bridge_interrupt {
  /** Not any more. */
  BRIDGE_INTERRUPT_CLEAR = 0,
  /** By one error, which the script may catch. */
  BRIDGE_INTERRUPT_ONCE = 1,
  /** By an error at each instruction, until it is cleared: no pcall helps. */
  BRIDGE_INTERRUPT_STICKY = 2
} bridge_interrupt;

/** How many bytes the text of an interrupt may have. */
#define BRIDGE_INTERRUPT_TEXT 159

/**
 * Raise an ordinary error in what the state runs, or else in what it will run next.
 * The last call counts.  Calls that wait in C, those of the bridge among them, are not
 * broken: the error comes after them.  To end a wait, cancel.
 *
 * @param state  the state, which must live until this returns
 * @param how    once, until it is cleared, or not any more
 * @param text   the error, behind the place where the script was; copied, at most
 *               BRIDGE_INTERRUPT_TEXT bytes; NULL only to clear
 * @return BRIDGE_OK; BRIDGE_EUNSUPPORTED at the cooperative level; BRIDGE_EFORKED;
 *         BRIDGE_ENOMEM and BRIDGE_ESYSTEM if nobody can see to it that it comes:
 *         then it may; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_state_interrupt(bridge_state *state,
                                                bridge_interrupt how,
                                                const char *text);

/**
 * Change the limits of the runs to come.
 *
 * @param state   the state, which the calling thread holds
 * @param limits  copied; NULL for those of the options
 * @return BRIDGE_OK; BRIDGE_EFORKED; BRIDGE_EINVAL, also if the calling thread does
 *         not hold the state
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_set_limits(bridge_state *state,
                                                 const bridge_limits *limits);

/**
 * Choose the signal by which threads that run scripts are told to look what is asked
 * of them; SIGURG if nobody chooses.  Its handler is there from the first time that
 * it is needed until the last state is gone, hands signals that are not the bridge's
 * on to the handler that was there before, and restarts system calls.  What a host
 * installs later is treated as if it had been there before, as soon as somebody is
 * to be stopped.  Threads unblock the signal whenever they begin to run a script.
 *
 * @param signal  one that can be caught, before the first state is made
 * @return BRIDGE_OK; BRIDGE_EBUSY if there is a state; BRIDGE_EUNSUPPORTED on
 *         Windows, which needs none; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_set_stop_signal(int signal);

/**
 * How much memory the state's values take, with those of the libraries.
 *
 * @param state       the state
 * @param[out] used   bytes now; may be NULL
 * @param[out] peak   most bytes ever; may be NULL
 * @param[out] limit  most bytes that there can be, which is the limit of the
 *                    options and what the libraries took; 0 for none; may be NULL
 * @return BRIDGE_OK or BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_state_memory(const bridge_state *state,
                                             size_t *used,
                                             size_t *peak,
                                             size_t *limit);

/**
 * Take hold of the state, to use it through Lua's own C API.  A thread whose time
 * was over, and that comes again within a second, keeps its place in line: a wait
 * may be cut into slices.
 *
 * @param state       the state
 * @param timeout_ms  milliseconds; 0 asks; negative waits for ever
 * @param[out] lua    its main thread; yours until bridge_state_leave
 * @return BRIDGE_OK; BRIDGE_ETIMEDOUT; BRIDGE_EDEADLOCK if this thread holds it
 *         already; BRIDGE_ECANCELLED if the calling worker is cancelled while it
 *         waits; BRIDGE_EINVAL
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_state_enter(bridge_state *state,
                                            int timeout_ms,
                                            struct lua_State **lua);

/**
 * Let go of the state.
 *
 * @param state  the state
 * @return BRIDGE_OK; BRIDGE_EINVAL if this thread does not hold it
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_leave(bridge_state *state);

/* ---- Within a state -----------------------------------------------------
   For a host that has entered a state, between its own calls of Lua's C API.
   `lua` is what bridge_state_enter gave, or a coroutine that the host made there
   and that runs nothing now.  These calls never raise.  Beside what each one says
   they return BRIDGE_EINVAL if an argument is NULL that must not be, or if the
   calling thread does not hold the state, and BRIDGE_EFORKED. */

/**
 * Compile a chunk and push it as a function.
 *
 * @param state       the state
 * @param lua         where to
 * @param source      text, or a precompiled chunk if the options allow it
 * @param size        bytes
 * @param name        the chunk's name as Lua wants it, "=name" or "@file"; NULL
 *                    for the source itself
 * @param[out] error  more about a failure, upon which nothing is pushed; may be
 *                    NULL
 * @return BRIDGE_OK; BRIDGE_ESYNTAX; BRIDGE_ENOMEM; BRIDGE_ETIMEDOUT and
 *         BRIDGE_ECANCELLED as a run, for what takes long to compile
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_load(bridge_state *state,
                                           struct lua_State *lua,
                                           const char *source,
                                           size_t size,
                                           const char *name,
                                           bridge_error **error);

/**
 * Push the values of a message.
 *
 * @param state       the state
 * @param lua         where to
 * @param message     the message, which stays as it is
 * @param[out] count  how many values were pushed; may be NULL
 * @param[out] error  more about a failure, upon which nothing is pushed; may be
 *                    NULL
 * @return BRIDGE_OK; BRIDGE_ETYPE if a value has no place in Lua;
 *         BRIDGE_EOVERFLOW; BRIDGE_ENOMEM; BRIDGE_ETIMEDOUT and BRIDGE_ECANCELLED
 *         as a run, for what makes objects
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_push(bridge_state *state,
                                           struct lua_State *lua,
                                           const bridge_message *message,
                                           int *count,
                                           bridge_error **error);

/**
 * Append values of a stack to a message; they stay where they are.
 *
 * @param state       the state
 * @param lua         whose stack
 * @param first       index of the first value, counted from the bottom
 * @param count       how many
 * @param message     as it was if the call fails
 * @param[out] error  more about a failure; may be NULL
 * @return BRIDGE_OK; BRIDGE_ETYPE if a value cannot cross; BRIDGE_ELIMIT;
 *         BRIDGE_ENOMEM; BRIDGE_EINVAL also if there are not so many values;
 *         BRIDGE_ETIMEDOUT and BRIDGE_ECANCELLED as a run, for what packs objects
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_pack(bridge_state *state,
                                           struct lua_State *lua,
                                           int first,
                                           int count,
                                           bridge_message *message,
                                           bridge_error **error);

/**
 * Tell what a coroutine died of, as bridge_state_run tells it of its chunk.
 *
 * @param state       the state
 * @param lua         the coroutine, as lua_resume left it
 * @param code        what lua_resume returned; LUA_YIELD is a failure, too, where
 *                    nobody resumes it again
 * @param[out] error  all there is to know; may be NULL
 * @return BRIDGE_ESCRIPT; BRIDGE_ENOMEM; BRIDGE_EINVAL also if @p code is LUA_OK;
 *         BRIDGE_ETIMEDOUT and BRIDGE_ECANCELLED as a run, if to read the error
 *         takes longer than that may
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_failure(bridge_state *state,
                                              struct lua_State *lua,
                                              int code,
                                              bridge_error **error);

/**
 * Go on with a coroutine of the state, as lua_resume does, under the state's limits
 * and so that bridge_state_cancel stops it.
 *
 * @param state         the state
 * @param lua           the coroutine: a function and its arguments, or what its
 *                      yield is to return
 * @param arguments     how many
 * @param[out] results  how many values are on top of it: returned, or yielded if its
 *                      lua_status is LUA_YIELD; may be NULL
 * @param[out] error    more about a failure, as bridge_state_failure gives it; may be
 *                      NULL
 * @return BRIDGE_OK if it returned or yielded; BRIDGE_ESCRIPT; BRIDGE_ENOMEM;
 *         BRIDGE_ECANCELLED and BRIDGE_ETIMEDOUT as bridge_state_run, after which the
 *         coroutine must not be resumed; BRIDGE_ESYSTEM
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_resume(bridge_state *state,
                                             struct lua_State *lua,
                                             int arguments,
                                             int *results,
                                             bridge_error **error);

/**
 * Run a function to its end, as bridge_state_resume does, but as a main program: to
 * itself it is the main coroutine, and it cannot yield.
 *
 * @param state         the state
 * @param lua           a coroutine with the function and its arguments
 * @param arguments     how many
 * @param[out] results  how many values are on top of it; may be NULL
 * @param[out] error    more about a failure, as bridge_state_failure gives it; may be
 *                      NULL
 * @return as bridge_state_resume
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API bridge_status bridge_state_call(bridge_state *state,
                                           struct lua_State *lua,
                                           int arguments,
                                           int *results,
                                           bridge_error **error);

BRIDGE_END_DECLS

#endif /* BRIDGE_STATE_H */
