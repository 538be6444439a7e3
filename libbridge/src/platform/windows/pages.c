/* Pages: memory straight from the system, for base/pages.c. */
#include "platform/platform.h"

/* Address space cannot be given back in parts: twice as much is set aside, and
   the half of it that is aligned is used. */
void *bridge__map(size_t size)
{
  char *block = VirtualAlloc(NULL, 2 * size, MEM_RESERVE, PAGE_READWRITE);
  if (block == NULL) {
    return NULL;
  }
  size_t before = (size_t)(-(uintptr_t)block & (size - 1));
  void *part = VirtualAlloc(block + before, size, MEM_COMMIT, PAGE_READWRITE);
  if (part == NULL) {
    VirtualFree(block, 0, MEM_RELEASE);
  }
  return part;
}

void bridge__unmap(void *block, size_t size)
{
  (void)size; /* all that was set aside goes at once */
  MEMORY_BASIC_INFORMATION about;
  if (VirtualQuery(block, &about, sizeof about) != 0) {
    VirtualFree(about.AllocationBase, 0, MEM_RELEASE);
  }
}

void bridge__discard(void *block, size_t size)
{
  VirtualAlloc(block, size, MEM_RESET, PAGE_READWRITE);
}
