/* The same traffic through any channel: some threads send, some receive, and what
   was received is counted.

   A program defines, and then includes this file:

       channel_open   makes it, with room for so many
       channel_send   makes an item of a number and sends it, waiting for room
       channel_take   receives an item, waiting, and gives the number; it is freed  */
#ifndef BENCH_CHANNEL_TRAFFIC_H
#define BENCH_CHANNEL_TRAFFIC_H

#include "bench.h"

enum {
  ROOM = 1024,
  TELL_EVERY = 256,
  CREW_MOST = 16
};

#define DURATION (INT64_C(300) * 1000 * 1000)

static bench_crew crew;
static int64_t senders;
static int64_t received; /* in all; told in batches */

/* One thread; the first so many send. */
static void *traffic(void *argument)
{
  const int64_t number = *(const int64_t *)argument;
  bench_crew_gate(&crew);
  if (number < senders) {
    for (int64_t i = 0;; i++) {
      channel_send(i);
    }
  }
  for (;;) {
    for (int i = 0; i < TELL_EVERY; i++) {
      bench_check(channel_take() >= 0, "no number of ours");
    }
    __atomic_fetch_add(&received, TELL_EVERY, __ATOMIC_RELAXED);
  }
  return NULL;
}

/* Leaves at once: nobody ever stops. */
int main(int argc, char **argv)
{
  static int64_t numbers[CREW_MOST];
  senders = bench_argument(argc, argv, 1, 1);
  const int64_t receivers = bench_argument(argc, argv, 2, 1);
  bench_check(senders > 0 && receivers > 0 && senders + receivers <= CREW_MOST,
              "too many threads");
  for (int64_t i = 0; i < CREW_MOST; i++) {
    numbers[i] = i;
  }
  channel_open(ROOM);
  bench_crew_start(&crew, (size_t)(senders + receivers), traffic, numbers,
                   sizeof *numbers);
  bench_crew_gate(&crew);
  const int64_t began = bench_now();
  const struct timespec pause = {0, (long)DURATION};
  nanosleep(&pause, NULL);
  const int64_t count = __atomic_load_n(&received, __ATOMIC_RELAXED);
  bench_print_rate((double)count, bench_now() - began);
  fflush(stdout);
  _Exit(0);
}

#endif
