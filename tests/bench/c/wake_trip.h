/* Two threads wake each other in turn, by any means.

   A program defines how, and then includes this file:

       wake_open          makes what is needed for both sides
       wake_send(side)    wakes that side
       wake_receive(side) waits, on that side, until it was woken once

   Each side has a core to itself, where there are two.

   `trip` prints the median of a round trip, both sides waiting for nothing else.
   `parked` prints the median of one way to a side that has gone to sleep: before
   each send the sender does something else for long enough. */
#ifndef BENCH_WAKE_TRIP_H
#define BENCH_WAKE_TRIP_H

#include "bench.h"

#include <sched.h>

enum {
  TRIPS = 20000,
  PARKED = 1500
};

#define TRIPS_TIME  (INT64_C(400) * 1000 * 1000)
#define PARKED_TIME (INT64_C(600) * 1000 * 1000)

/* Longer than anybody spins in wait, moodycamel's semaphore included. */
#define PAUSE (INT64_C(100) * 1000)

static double samples[TRIPS];
static int64_t sent_at; /* written before each send, read after it came */
static int stop;        /* so, too */

/* The n-th of the cores that the program may use, if it has so many. */
static void take_core(size_t index)
{
  cpu_set_t cores;
  bench_check(sched_getaffinity(0, sizeof cores, &cores) == 0, "no affinity");
  for (size_t core = 0; core < CPU_SETSIZE; core++) {
    if (CPU_ISSET(core, &cores) && index-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(core, &one);
      bench_check(sched_setaffinity(0, sizeof one, &one) == 0, "no core");
      return;
    }
  }
}

static inline void work_for(int64_t nanoseconds)
{
  const int64_t until = bench_now() + nanoseconds;
  while (bench_now() < until) {
  }
}

static inline void send_stamped(int side)
{
  __atomic_store_n(&sent_at, bench_now(), __ATOMIC_RELAXED);
  wake_send(side);
}

static inline double since_sent(void)
{
  return (double)(bench_now() - __atomic_load_n(&sent_at, __ATOMIC_RELAXED));
}

static inline int stopped(void)
{
  return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static inline void say_stop(void)
{
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

/* ---- Round trips ---- */

static void *answer(void *unused)
{
  take_core(1);
  for (;;) {
    wake_receive(1);
    if (stopped()) {
      return unused;
    }
    wake_send(0);
  }
}

static size_t ask(void)
{
  const int64_t began = bench_now();
  size_t count = 0;
  int64_t before = began;
  while (count < TRIPS && before - began < TRIPS_TIME) {
    wake_send(1);
    wake_receive(0);
    const int64_t now = bench_now();
    samples[count++] = (double)(now - before);
    before = now;
  }
  say_stop();
  wake_send(1);
  return count;
}

/* ---- One way, to a sleeper ---- */

static void *answer_parked(void *unused)
{
  take_core(1);
  for (;;) {
    wake_receive(1);
    if (stopped()) {
      return unused;
    }
    work_for(PAUSE);
    send_stamped(0);
  }
}

/* What this side sees is enough: it is the same on the other. */
static size_t ask_parked(void)
{
  const int64_t began = bench_now();
  size_t count = 0;
  while (count < PARKED && bench_now() - began < PARKED_TIME) {
    work_for(PAUSE);
    wake_send(1);
    wake_receive(0);
    samples[count++] = since_sent();
  }
  say_stop();
  wake_send(1);
  return count;
}

static int run(void *(*other)(void *), size_t (*mine)(void))
{
  wake_open();
  pthread_t thread;
  bench_check(pthread_create(&thread, NULL, other, NULL) == 0, "no thread");
  take_core(0); /* not before: threads inherit it */
  size_t count = mine();
  pthread_join(thread, NULL);
  return bench_print(bench_median(samples, count) / 1000);
}

int main(int argc, char **argv)
{
  const char *wanted = argc > 1 ? argv[1] : "";
  if (strcmp(wanted, "trip") == 0) {
    return run(answer, ask);
  }
  if (strcmp(wanted, "parked") == 0) {
    return run(answer_parked, ask_parked);
  }
  fprintf(stderr, "trip or parked\n");
  return BENCH_USAGE;
}

#endif
