/* An allocator of the bridge that counts, and that a gate lets fail. */
#ifndef BRIDGE_TESTS_FAULT_MEMORY_H
#define BRIDGE_TESTS_FAULT_MEMORY_H

#include "fault.h"

#include <cstdlib>

namespace fault
{

inline Gate memory;
inline std::atomic<long> live{0};

inline void *allocate(void *, size_t size)
{
  if (memory.refuses()) {
    return nullptr;
  }
  live++;
  return std::malloc(size);
}

inline void *resize(void *, void *block, size_t size)
{
  return memory.refuses() ? nullptr : std::realloc(block, size);
}

inline void release(void *, void *block)
{
  live--;
  std::free(block);
}

/* Once, before main. */
inline bridge_status install_memory()
{
  bridge_allocator table = {1, allocate, resize, release, nullptr};
  return bridge_set_allocator(&table);
}

/* Whether nothing is left of what was allocated since then; threads that nobody
   joins take their time. */
inline bool given_back(long before)
{
  return soon([before] {
    bridge_trim();
    return live == before;
  });
}

} // namespace fault

#endif
