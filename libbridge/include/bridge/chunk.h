#ifndef BRIDGE_CHUNK_H
#define BRIDGE_CHUNK_H

#include <bridge/error.h>
#include <bridge/message.h>
#include <bridge/state.h>
#include <bridge/status.h>

#include <stddef.h>

BRIDGE_BEGIN_DECLS

/**
 * A chunk of Lua for a thread that the host makes itself, and what came of it.
 *
 * Fill it by bridge_chunk_init, set what is to run, and hand its address to
 * bridge_run_chunk.  Nobody else touches it, nor what it points to, until that has
 * returned.
 */
typedef struct bridge_chunk {
  /** Layout of this structure: BRIDGE_CHUNK_VERSION. */
  unsigned version;
  /** Text, or a precompiled chunk if the options allow it; borrowed. */
  const char *source;
  /** Its bytes; 0: up to its NUL. */
  size_t size;
  /** The chunk's name as Lua wants it, "=name" or "@file"; NULL for the source
      itself; borrowed. */
  const char *name;
  /** How to make the state; NULL for the defaults; borrowed. */
  const bridge_state_options *options;
  /** Handed to the chunk, and NULL afterwards; may be NULL. */
  bridge_message *arguments;
  /** Called as the last thing by the thread, which does not touch the chunk any
      more: so a thread that nobody joins can say that it is over, and the chunk can
      be freed.  May be NULL. */
  void (*finished)(struct bridge_chunk *chunk);
  /** For @p finished; the bridge does not look at it. */
  void *user;
  /** What came of it, also returned: as of bridge_state_create and
      bridge_state_run. */
  bridge_status status;
  /** What the chunk returned; the caller's.  NULL if it failed. */
  bridge_message *results;
  /** More about a failure; the caller's.  May be NULL. */
  bridge_error *error;
} bridge_chunk;

#define BRIDGE_CHUNK_VERSION 1

/**
 * Fill in the defaults.  What is to run is still missing.
 *
 * @param[out] chunk  NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_chunk_init(bridge_chunk *chunk);

/**
 * Release the arguments, results and error of a chunk, and set them to NULL.  It can
 * be run again.
 *
 * @param chunk  the chunk; NULL does nothing
 *
 * @threadsafety The owner's thread.
 */
BRIDGE_API void bridge_chunk_clear(bridge_chunk *chunk);

/**
 * Make a state, run a chunk in it to its end, and close the state.
 *
 * This is a thread's main function as the systems want it:
 * @code
 * pthread_create(&thread, NULL, bridge_run_chunk, &chunk);
 * pthread_join(thread, &value); // (bridge_status)(intptr_t)value
 *
 * // x86-64 and ARM64 have one calling convention, and the status fits a DWORD
 * CreateThread(NULL, 1 << 20,
 *              (LPTHREAD_START_ROUTINE)(void (*)(void))bridge_run_chunk,
 *              &chunk, 0, NULL);
 * GetExitCodeThread(thread, &code); // (bridge_status)(int)code
 * @endcode
 * and through a foreign function interface it is `void *(*)(void *)`.  It can be
 * called directly, too, and by many threads at once, each with a chunk of its own.
 * Lua wants a stack of 512 KiB at least.
 *
 * @param chunk  a bridge_chunk
 * @return its status as a pointer: BRIDGE_OK is NULL; BRIDGE_EINVAL without a chunk
 *         or without a source; BRIDGE_EVERSION
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void *bridge_run_chunk(void *chunk);

BRIDGE_END_DECLS

#endif /* BRIDGE_CHUNK_H */
