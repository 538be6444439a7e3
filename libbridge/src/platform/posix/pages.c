/* Pages: memory straight from the system, for base/pages.c. */
#include "platform/platform.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static char *map(size_t size)
{
  void *block = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return block == MAP_FAILED ? NULL : block;
}

static size_t past(const char *block, size_t size)
{
  return (size_t)((uintptr_t)block & (size - 1));
}

void *bridge__map(size_t size)
{
  /* The system aligns to its own pages only, but puts one block next to the
     other: often it fits as it comes. */
  char *block = map(size);
  if (block == NULL || past(block, size) == 0) {
    return block;
  }
  munmap(block, size);
  block = map(2 * size);
  if (block == NULL) {
    return NULL;
  }
  size_t before = (size - past(block, size)) & (size - 1);
  if (before > 0) {
    munmap(block, before);
  }
  munmap(block + before + size, size - before);
  return block + before;
}

void bridge__unmap(void *block, size_t size)
{
  munmap(block, size);
}

/* Whole pages of the system, which may be larger than ours. */
void bridge__discard(void *block, size_t size)
{
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  char *start = block;
  size_t before = (size_t)(-(uintptr_t)start & (page - 1));
  size_t after = (size_t)(((uintptr_t)start + size) & (page - 1));
  if (before + after < size) {
    madvise(start + before, size - before - after, MADV_DONTNEED);
  }
}
