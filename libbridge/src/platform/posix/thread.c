/* Threads of the system: started without signals, named, counted. */
#include "platform/platform.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static void *run(void *argument)
{
  bridge__native_entry *entry = argument;
  entry->body(entry->user);
  return NULL;
}

/* All signals but those that a thread sends to itself by what it does, and the
   profiler's. */
static void fill_signals(sigset_t *set)
{
  static const int own[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                            SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
  sigfillset(set);
  for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
    sigdelset(set, own[i]);
  }
}

/* In whole pages; a size that cannot be rounded stays, and is refused later. */
static size_t round_stack(size_t size)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t least = (size_t)PTHREAD_STACK_MIN;
  if (size < least) {
    size = least;
  }
  return size > SIZE_MAX - page ? size : (size + page - 1) / page * page;
}

static int spawn(pthread_t *out, size_t stack_size, bridge__native_entry *entry)
{
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) {
    return error;
  }
  error = pthread_attr_setstacksize(&attributes, round_stack(stack_size));
  if (error == 0) {
    sigset_t blocked;
    sigset_t before;
    fill_signals(&blocked);
    /* A thread inherits the mask, so none can arrive before it is set. */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    error = pthread_create(out, &attributes, run, entry);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  pthread_attr_destroy(&attributes);
  return error;
}

bridge_status bridge__native_start(bridge__native_thread *out,
                                   bridge__native_entry *entry,
                                   size_t stack_size)
{
  int error = spawn(out, stack_size, entry);
  if (error == 0) {
    return BRIDGE_OK;
  }
  errno = error;
  return error == ENOMEM ? BRIDGE_ENOMEM : BRIDGE_ESYSTEM;
}

void bridge__native_join(bridge__native_thread *thread)
{
  pthread_join(*thread, NULL);
}

void bridge__native_detach(bridge__native_thread *thread)
{
  pthread_detach(*thread);
}

void bridge__native_name(const char *name)
{
  char shown[16]; /* what Linux has room for */
  size_t size = strlen(name);
  if (size >= sizeof shown) {
    size = sizeof shown - 1;
    /* Not in the middle of a character. */
    while (size > 0 && ((unsigned char)name[size] & 0xC0u) == 0x80u) {
      size--;
    }
  }
  memcpy(shown, name, size);
  shown[size] = '\0';
  pthread_setname_np(pthread_self(), shown); /* only for people: may fail */
}

unsigned bridge__native_cores(void)
{
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
  }
  /* More processors than the set has room for. */
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (unsigned)count : 1;
}

/* ---- The end of a thread ---- */

typedef void exit_hook(void);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool usable;
static _Atomic(exit_hook *)
    at_exit[BRIDGE__EXITS]; /* each call stores its own */

static void leave(void *value)
{
  (void)value;
  for (int i = 0; i < BRIDGE__EXITS; i++) {
    /* Takes nothing: this thread stored it itself, or need not see it. */
    exit_hook *hook = atomic_load_explicit(&at_exit[i], memory_order_relaxed);
    if (hook != NULL) {
      hook();
    }
  }
}

static void make_key(void)
{
  usable = pthread_key_create(&key, leave) == 0;
}

void bridge__at_thread_exit(bridge__exit which, void (*hook)(void))
{
  /* Publishes nothing but a function. */
  atomic_store_explicit(&at_exit[which], hook, memory_order_relaxed);
  pthread_once(&once, make_key);
  if (usable) {
    pthread_setspecific(key, &key); /* any value but NULL */
  }
}

/* ---- Processor ---- */

void bridge__relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory"); /* `yield` is too short to help */
#endif
}

void bridge__yield(void)
{
  sched_yield();
}
