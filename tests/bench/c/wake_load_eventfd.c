/* What loops are often fed with: a list under a mutex, and an eventfd that is
   written for each message.  Bounded as ours is. */
#include "bench.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>

typedef struct node {
  struct node *next;
} node;

enum {
  BOUND = 65536
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static node *first;
static node **last = &first;
static size_t inside;
static struct pollfd watched = {.events = POLLIN};

static void load_open(void)
{
  watched.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  bench_check(watched.fd >= 0, "no eventfd");
}

static inline void load_send(void)
{
  node *made = malloc(sizeof *made);
  bench_check(made != NULL, "no memory");
  made->next = NULL;
  pthread_mutex_lock(&mutex);
  while (inside == BOUND) {
    pthread_mutex_unlock(&mutex);
    sched_yield();
    pthread_mutex_lock(&mutex);
  }
  inside++;
  *last = made;
  last = &made->next;
  pthread_mutex_unlock(&mutex);
  bench_check(eventfd_write(watched.fd, 1) == 0, "write");
}

static inline node *take_all(size_t *count)
{
  pthread_mutex_lock(&mutex);
  node *taken = first;
  *count = inside;
  first = NULL;
  last = &first;
  inside = 0;
  pthread_mutex_unlock(&mutex);
  return taken;
}

static inline size_t load_take(void)
{
  eventfd_t written = 0;
  poll(&watched, 1, -1);
  eventfd_read(watched.fd, &written);
  size_t count = 0;
  node *oldest = take_all(&count);
  while (oldest != NULL) {
    node *next = oldest->next;
    free(oldest);
    oldest = next;
  }
  return count;
}

#include "wake_load.h"
