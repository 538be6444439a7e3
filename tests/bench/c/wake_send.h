/* What it costs to tell a receiver that is awake.

   A program defines how, and then includes this file:

       send_open     makes what is needed
       send_one      tells the receiver
       receive       on the receiver's thread: waits until it was told, and calls
                     receiver_works() each time

   The receiver works for 20 us each time it was told; the sender goes on sending
   meanwhile.  Prints nanoseconds for each send. */
#ifndef BENCH_WAKE_SEND_H
#define BENCH_WAKE_SEND_H

#include "bench.h"

enum {
  AT_ONCE = 64
};

#define SEND_TIME (INT64_C(200) * 1000 * 1000)
#define WORK      (INT64_C(20) * 1000)

static int finished;

static inline int receiver_works(void)
{
  const int64_t until = bench_now() + WORK;
  while (bench_now() < until) {
  }
  return !__atomic_load_n(&finished, __ATOMIC_RELAXED);
}

static void receive(void);

static void *receiver(void *unused)
{
  receive();
  return unused;
}

int main(void)
{
  send_open();
  pthread_t thread;
  bench_check(pthread_create(&thread, NULL, receiver, NULL) == 0, "no thread");
  send_one();
  const int64_t began = bench_now();
  int64_t took = 0;
  double count = 0;
  while (took < SEND_TIME) {
    for (int i = 0; i < AT_ONCE; i++) {
      send_one();
    }
    count += AT_ONCE;
    took = bench_now() - began;
  }
  bench_print_each(count, took);
  __atomic_store_n(&finished, 1, __ATOMIC_RELAXED);
  send_one();
  pthread_join(thread, NULL);
  return 0;
}

#endif
