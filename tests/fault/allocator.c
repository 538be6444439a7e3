/* The failing allocator for interpreters: loaded before the bridge is used, and
   told by name which allocation is to fail. */
#include <bridge/memory.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

int fault_install(void);
void fault_arm(long number, int for_ever);
int fault_disarm(void);
long fault_live(void);

static atomic_long live;
static atomic_long count;
static atomic_long at; /* 0: none fails */
static atomic_bool ever;
static atomic_bool fired;

static bool refuses(void)
{
  long first = atomic_load(&at);
  if (first == 0) {
    return false;
  }
  long number = atomic_fetch_add(&count, 1) + 1;
  bool refused = number == first || (number > first && atomic_load(&ever));
  if (refused) {
    atomic_store(&fired, true);
  }
  return refused;
}

static void *allocate(void *user, size_t size)
{
  (void)user;
  if (refuses()) {
    return NULL;
  }
  atomic_fetch_add(&live, 1);
  return malloc(size);
}

static void *resize(void *user, void *block, size_t size)
{
  (void)user;
  return refuses() ? NULL : realloc(block, size);
}

static void release(void *user, void *block)
{
  (void)user;
  atomic_fetch_sub(&live, 1);
  free(block);
}

int fault_install(void)
{
  static const bridge_allocator table = {1, allocate, resize, release, NULL};
  return bridge_set_allocator(&table);
}

void fault_arm(long number, int for_ever)
{
  atomic_store(&count, 0);
  atomic_store(&fired, false);
  atomic_store(&ever, for_ever != 0);
  atomic_store(&at, number);
}

int fault_disarm(void)
{
  atomic_store(&at, 0);
  return atomic_load(&fired);
}

long fault_live(void)
{
  bridge_trim();
  return atomic_load(&live);
}
