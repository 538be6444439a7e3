#ifndef BRIDGE_MEMORY_H
#define BRIDGE_MEMORY_H

#include <bridge/status.h>

#include <stddef.h>

BRIDGE_BEGIN_DECLS

/**
 * Where the library gets its memory.  All three functions are called from any
 * thread, at the same time, and must not call the bridge.
 */
typedef struct bridge_allocator {
  /** Layout of this structure: 1. */
  unsigned version;
  /** A block of @p size bytes, at least 1, aligned like malloc's; or NULL. */
  void *(*allocate)(void *user, size_t size);
  /** Resize @p block, which is never NULL, to @p size bytes, at least 1; NULL
      leaves it as it was. */
  void *(*resize)(void *user, void *block, size_t size);
  /** Free @p block, which is never NULL. */
  void (*release)(void *user, void *block);
  /** Handed to each of them. */
  void *user;
} bridge_allocator;

/**
 * Replace malloc for the whole library, Lua states included, whose blocks then come
 * from here one by one instead of from pages of their own.
 *
 * Once, and before anything else: blocks of one allocator must not reach
 * another, so the call is refused as soon as the library has allocated.
 *
 * @param allocator  copied; its functions and `user` must live for ever
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EVERSION; BRIDGE_EALREADY if one was
 *         set or memory was already allocated
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status
bridge_set_allocator(const bridge_allocator *allocator);

/**
 * Give recycled memory back: to the allocator what the calling thread keeps for
 * its next messages, and what threads that ended have left; to the system the pages
 * that Lua states have left, and the threads that wait for another worker.
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_trim(void);

BRIDGE_END_DECLS

#endif /* BRIDGE_MEMORY_H */
