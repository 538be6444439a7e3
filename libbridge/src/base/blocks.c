/* Blocks: small messages go round without meeting the allocator.

   A magazine is a chain of free blocks, linked through their first words, so
   that keeping them costs no memory of its own. */
#include "base/config.h"
#include "base/memory.h"
#include "base/pages.h"
#include "platform/platform.h"

#include <stdatomic.h>

enum {
  MAGAZINE = 64, /* blocks of a full magazine: 16 KiB */
  /* Magazines that wait for a thread: as many messages as a queue holds, so that
     one which was full costs no more allocations than one that was not; 16 MiB. */
  DEPOT = 1024
};

typedef struct block {
  struct block *next;
} block;

typedef struct magazine {
  block *first;
  block *last; /* while there is one */
  size_t count;
} magazine;

/* Two, so that a thread which frees and allocates around the edge of one does
   not go to the depot each time. */
typedef struct cache {
  magazine loaded;
  magazine previous;
  bool watched; /* the hook will give all this back when the thread ends */
} cache;

static BRIDGE__THREAD_LOCAL cache mine;

static bridge__mutex mutex = BRIDGE__MUTEX_INIT;
static magazine depot[DEPOT]; /* guarded by mutex: each full, or more */
static size_t stored;         /* guarded by mutex */
static magazine loose;        /* guarded by mutex: of threads that rest */

static void destroy(magazine *old)
{
  block *free = old->first;
  while (free != NULL) {
    block *next = free->next;
    bridge__free(free);
    free = next;
  }
  *old = (magazine){NULL, NULL, 0};
}

/* Empties `full` into the depot, or, when that has enough, to the allocator. */
static void store(magazine *full)
{
  if (full->count == 0) {
    return;
  }
  bridge__mutex_lock(&mutex);
  if (stored < DEPOT) {
    depot[stored++] = *full;
    *full = (magazine){NULL, NULL, 0};
  }
  bridge__mutex_unlock(&mutex);
  destroy(full);
}

/* Wants the mutex.  Takes what is in it. */
static void add_loose(magazine *some)
{
  if (some->count == 0) {
    return;
  }
  some->last->next = loose.first;
  loose.first = some->first;
  loose.last = loose.count == 0 ? some->last : loose.last;
  loose.count += some->count;
  *some = (magazine){NULL, NULL, 0};
  if (loose.count >= MAGAZINE && stored < DEPOT) {
    depot[stored++] = loose;
    loose = (magazine){NULL, NULL, 0};
  }
}

static magazine fetch(void)
{
  magazine full = {NULL, NULL, 0};
  bridge__mutex_lock(&mutex);
  if (stored > 0) {
    full = depot[--stored];
  } else {
    full = loose;
    loose = (magazine){NULL, NULL, 0};
  }
  bridge__mutex_unlock(&mutex);
  return full;
}

/* ---- Ends of threads and processes ---- */

static void leave_thread(void)
{
  mine.watched = false;
  bridge__blocks_rest();
}

static void lock_depot(void)
{
  bridge__mutex_lock(&mutex);
}

static void unlock_depot(void)
{
  bridge__mutex_unlock(&mutex);
}

static void watch(void)
{
  if (mine.watched) {
    return;
  }
  mine.watched = true;
  bridge__at_thread_exit(BRIDGE__EXIT_BLOCKS, leave_thread);
  bridge__at_fork(BRIDGE__FORK_BLOCKS, lock_depot, unlock_depot);
}

/* ---- Blocks ---- */

static void swap(void)
{
  magazine loaded = mine.loaded;
  mine.loaded = mine.previous;
  mine.previous = loaded;
}

void *bridge__block_get(void)
{
  if (!BRIDGE_RECYCLE) {
    return bridge__allocate(BRIDGE__BLOCK_SIZE);
  }
  if (mine.loaded.count == 0) {
    swap();
  }
  if (mine.loaded.count == 0) {
    watch();
    mine.loaded = fetch();
  }
  if (mine.loaded.count == 0) {
    return bridge__allocate(BRIDGE__BLOCK_SIZE);
  }
  block *got = mine.loaded.first;
  mine.loaded.first = got->next;
  mine.loaded.count--;
  return got;
}

void bridge__block_put(void *old)
{
  if (old == NULL) {
    return;
  }
  if (!BRIDGE_RECYCLE) {
    bridge__free(old);
    return;
  }
  watch();
  if (mine.loaded.count >= MAGAZINE) {
    store(&mine.previous);
    swap();
  }
  block *free = old;
  if (mine.loaded.count == 0) {
    mine.loaded.last = free;
  }
  free->next = mine.loaded.first;
  mine.loaded.first = free;
  mine.loaded.count++;
}

void bridge__blocks_rest(void)
{
  if (mine.loaded.count + mine.previous.count == 0) {
    return;
  }
  magazine rest = {NULL, NULL, 0};
  bridge__mutex_lock(&mutex);
  add_loose(&mine.loaded);
  add_loose(&mine.previous);
  if (stored == DEPOT) { /* there is enough */
    rest = loose;
    loose = (magazine){NULL, NULL, 0};
  }
  bridge__mutex_unlock(&mutex);
  destroy(&rest);
}

typedef void trim_hook(void);

static _Atomic(trim_hook *) at_trim; /* each call stores the same */

void bridge__at_trim(void (*hook)(void))
{
  /* Publishes nothing but a function. */
  atomic_store_explicit(&at_trim, hook, memory_order_relaxed);
}

void bridge_trim(void)
{
  /* Takes nothing but a function. */
  trim_hook *hook = atomic_load_explicit(&at_trim, memory_order_relaxed);
  if (hook != NULL) {
    hook();
  }
  if (!BRIDGE_RECYCLE) {
    return; /* nothing was ever kept, and no fork is watched for */
  }
  destroy(&mine.loaded);
  destroy(&mine.previous);
  for (;;) {
    magazine full = fetch();
    if (full.count == 0) {
      break;
    }
    destroy(&full);
  }
  bridge__pages_trim();
}
