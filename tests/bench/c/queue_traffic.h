/* The same traffic through any queue: some threads push, one pops.

   A program defines what it moves and how, and then includes this file:

       item           what is moved, by its address
       queue_open     makes the queue, for so many producers
       queue_push     appends items of one producer; how many were taken
       queue_pop      takes at most so many; 0 if it waits and nothing came
       item_make, item_free
       item_again     an item that came back is to be sent again, or what is
                      sent in its place
       item_value     what was given to item_make, or item_again

   What comes back is told in batches, and a producer waits for room for many: so
   the two sides meet in the queue, and hardly ever here.

   A value is a number of the producer, times 64, and the producer.  Every
   producer has a window: so many of its items may be under way.  Items that are
   sent again are those of the window, and they come back in order: this is all
   the recycling there is, so that the queue is what is measured. */
#ifndef BENCH_QUEUE_TRAFFIC_H
#define BENCH_QUEUE_TRAFFIC_H

#include "bench.h"

#include <sched.h>
#include <stdbool.h>

enum {
  PRODUCERS_MOST = 64,
  POP_BATCH = 256,
  PUSH_BATCH = 64,
  SPINS = 200,
  RETURN_BATCH = 32, /* what comes back is told so often, or when all came */
  UNDER_WAY = 16384, /* in all: a quarter of what our queue holds */
  PAIRS = 4000000
};

#define DURATION (INT64_C(200) * 1000 * 1000)

/* What is done with an item. */
typedef struct manner {
  bool fresh;       /* made for each push, and freed after each pop */
  bool waits;       /* the consumer sleeps when nothing is there */
  size_t push_most; /* at once */
  size_t pop_most;
} manner;

/* One producer.  The words of the two sides are lines apart. */
typedef struct lane {
  uint64_t returned __attribute__((aligned(128))); /* by the consumer */
  uint64_t expected __attribute__((aligned(128))); /* the consumer's */
  uint64_t sent __attribute__((aligned(128)));
  unsigned number;
  item **window;
} lane;

static lane lanes[PRODUCERS_MOST];
static size_t window_size;
static const manner *chosen;
static bench_crew crew;

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/* Nothing to do: look again for a while, and then let others run. */
static inline void idle(unsigned *times)
{
  if (++*times < SPINS) {
    relax();
  } else {
    *times = 0;
    sched_yield();
  }
}

/* ---- A producer ---- */

static inline uint64_t room(const lane *self)
{
  uint64_t returned = __atomic_load_n(&self->returned, __ATOMIC_ACQUIRE);
  return returned + window_size - self->sent;
}

static inline item *next_item(lane *self, uint64_t number, bool fresh)
{
  int64_t value = (int64_t)(number * PRODUCERS_MOST + self->number);
  if (fresh) {
    return item_make(value);
  }
  return item_again(self->window[number % window_size], value);
}

static inline void send_some(lane *self, size_t count, bool fresh)
{
  item *items[PUSH_BATCH];
  for (size_t i = 0; i < count; i++) {
    items[i] = next_item(self, self->sent + i, fresh);
  }
  self->sent += count;
  unsigned times = 0;
  for (size_t done = 0; done < count;) {
    size_t taken = queue_push(self->number, items + done, count - done);
    done += taken;
    if (taken == 0) {
      idle(&times);
    }
  }
}

static inline void produce(lane *self, size_t most, bool fresh)
{
  const size_t enough = window_size / 4 > most ? window_size / 4 : most;
  unsigned times = 0;
  for (;;) {
    uint64_t open = room(self);
    if (open < enough) {
      idle(&times);
      continue;
    }
    for (; open >= most; open -= most) {
      send_some(self, most, fresh);
    }
  }
}

/* With constants, so that the compiler makes a loop for each. */
static void *producer(void *argument)
{
  lane *self = (lane *)argument;
  bench_crew_gate(&crew);
  if (chosen->fresh) {
    produce(self, 1, true);
  } else if (chosen->push_most > 1) {
    produce(self, PUSH_BATCH, false);
  } else {
    produce(self, 1, false);
  }
  return NULL;
}

/* The calling thread stays on the first or second of the cores it may use, so that
   two never share one where there are two. */
static void stay_on_core(unsigned index)
{
  cpu_set_t allowed;
  bench_check(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "no cores");
  for (unsigned core = 0; core < CPU_SETSIZE; core++) {
    if (CPU_ISSET(core, &allowed) && index-- == 0) {
      CPU_ZERO(&allowed);
      CPU_SET(core, &allowed);
      bench_check(sched_setaffinity(0, sizeof allowed, &allowed) == 0, "core");
      return;
    }
  }
}

/* Prints what one push takes, and ends the program: what is sent is made ready
   before the clock is read, and waiting for room is not counted. */
static void *timed_producer(void *argument)
{
  lane *self = (lane *)argument;
  int64_t took = 0;
  unsigned times = 0;
  stay_on_core(1);
  bench_crew_gate(&crew);
  for (const int64_t until = bench_now() + DURATION; bench_now() < until;) {
    if (room(self) < PUSH_BATCH) {
      idle(&times);
      continue;
    }
    item *items[PUSH_BATCH];
    for (size_t i = 0; i < PUSH_BATCH; i++) {
      items[i] = next_item(self, self->sent + i, false);
    }
    const int64_t began = bench_now();
    for (size_t i = 0; i < PUSH_BATCH; i++) {
      bench_check(queue_push(self->number, &items[i], 1) == 1, "cannot push");
    }
    took += bench_now() - began;
    self->sent += PUSH_BATCH;
  }
  bench_print_each((double)self->sent, took);
  fflush(stdout);
  _Exit(0);
}

/* ---- The consumer ---- */

static inline void settle(item *what, bool fresh)
{
  const uint64_t value = (uint64_t)item_value(what, fresh);
  lane *from = &lanes[value % PRODUCERS_MOST];
  if (fresh) {
    bench_check(value / PRODUCERS_MOST == from->expected, "not in order");
    item_free(what);
  }
  if (++from->expected % RETURN_BATCH == 0) {
    __atomic_store_n(&from->returned, from->expected, __ATOMIC_RELEASE);
  }
}

static void return_all(size_t producers)
{
  for (size_t i = 0; i < producers; i++) {
    __atomic_store_n(&lanes[i].returned, lanes[i].expected, __ATOMIC_RELEASE);
  }
}

static inline int64_t consume(size_t most,
                              bool waits,
                              bool fresh,
                              int64_t *took)
{
  const int64_t began = bench_now();
  int64_t count = 0;
  unsigned times = 0;
  for (unsigned turn = 1;; turn++) {
    item *items[POP_BATCH];
    size_t taken = queue_pop(items, most, waits);
    for (size_t i = 0; i < taken; i++) {
      settle(items[i], fresh);
    }
    count += (int64_t)taken;
    if (taken > 0) {
      times = 0;
    } else {
      return_all(crew.count);
      idle(&times);
    }
    if (turn % 256 == 0) {
      *took = bench_now() - began;
      if (*took >= DURATION) {
        return count;
      }
    }
  }
}

static int64_t consumer(int64_t *took)
{
  if (chosen->fresh) {
    return chosen->waits ? consume(1, true, true, took)
                         : consume(1, false, true, took);
  }
  if (chosen->pop_most > 1) {
    return chosen->waits ? consume(POP_BATCH, true, false, took)
                         : consume(POP_BATCH, false, false, took);
  }
  return chosen->waits ? consume(1, true, false, took)
                       : consume(1, false, false, took);
}

/* ---- The whole ---- */

static void open_lanes(size_t producers)
{
  for (size_t i = 0; i < producers; i++) {
    lane *self = &lanes[i];
    self->number = (unsigned)i;
    self->window = (item **)calloc(window_size, sizeof *self->window);
    bench_check(self->window != NULL, "no memory");
    for (size_t k = 0; k < window_size && !chosen->fresh; k++) {
      self->window[k] = item_make((int64_t)i);
    }
  }
}

/* Leaves at once: some queues keep their producers for long. */
static int many_threads(size_t producers)
{
  open_lanes(producers);
  queue_open(producers);
  bench_crew_start(&crew, producers, producer, lanes, sizeof *lanes);
  bench_crew_gate(&crew);
  int64_t took = 0;
  int64_t count = consumer(&took);
  bench_print_rate((double)count, took);
  fflush(stdout);
  _Exit(0);
}

/* Its producer ends the program. */
static __attribute__((noreturn)) void timed_pushes(bool waits)
{
  const manner again = {false, waits, 1, 1};
  chosen = &again;
  window_size = UNDER_WAY;
  open_lanes(1);
  queue_open(1);
  bench_crew_start(&crew, 1, timed_producer, lanes, sizeof *lanes);
  stay_on_core(0);
  bench_crew_gate(&crew);
  for (;;) {
    int64_t took = 0;
    consumer(&took);
  }
}

static int one_thread(void)
{
  queue_open(1);
  item *what = item_make(0);
  int64_t began = bench_now();
  for (int64_t i = 0; i < PAIRS; i++) {
    item *out = NULL;
    bench_check(queue_push(0, &what, 1) == 1, "cannot push");
    bench_check(queue_pop(&out, 1, false) == 1, "cannot pop");
    what = out;
  }
  bench_print_each(PAIRS, bench_now() - began);
  fflush(stdout);
  _Exit(0);
}

int main(int argc, char **argv)
{
  static const struct {
    const char *name;
    manner how;
  } manners[] = {
      {"again", {false, false, 1, 1}},
      {"again-wait", {false, true, 1, 1}},
      {"batch", {false, false, 1, POP_BATCH}},
      {"batch-wait", {false, true, 1, POP_BATCH}},
      {"bulk", {false, false, PUSH_BATCH, POP_BATCH}},
      {"bulk-wait", {false, true, PUSH_BATCH, POP_BATCH}},
      {"fresh", {true, false, 1, 1}},
      {"fresh-wait", {true, true, 1, 1}},
  };
  const char *wanted = argc > 1 ? argv[1] : "";
  if (strcmp(wanted, "pair") == 0) {
    return one_thread();
  }
  if (strcmp(wanted, "push") == 0 || strcmp(wanted, "push-wait") == 0) {
    timed_pushes(strcmp(wanted, "push-wait") == 0);
  }
  size_t producers = (size_t)bench_argument(argc, argv, 2, 1);
  bench_check(producers <= PRODUCERS_MOST, "too many producers");
  window_size = (size_t)bench_argument(argc, argv, 3, UNDER_WAY) / producers;
  bench_check(window_size >= 2 * PUSH_BATCH, "the window is too small");
  for (size_t i = 0; i < sizeof manners / sizeof *manners; i++) {
    if (strcmp(manners[i].name, wanted) == 0) {
      chosen = &manners[i].how;
      return many_threads(producers);
    }
  }
  fprintf(stderr,
          "pair, push, or: again, batch, bulk, fresh, each also with -wait, "
          "[PRODUCERS [UNDER_WAY]]\n");
  return BENCH_USAGE;
}

#endif
