/* Messages as fast as two threads can make them, to a receiver that sleeps when
   nothing is there.  Prints how many messages there were; what the system was
   asked for meanwhile is counted from outside, by wake_syscalls.py.

   A program defines how, and then includes this file:

       load_open   makes what is needed
       load_send   sends one message
       load_take   waits for messages, and takes those that are there; how many */
#ifndef BENCH_WAKE_LOAD_H
#define BENCH_WAKE_LOAD_H

#include "bench.h"

enum {
  SENDERS = 2
};

#define LOAD_TIME (INT64_C(400) * 1000 * 1000)

static void *sender(void *unused)
{
  for (;;) {
    load_send();
  }
  return unused;
}

int main(void)
{
  load_open();
  for (int i = 0; i < SENDERS; i++) {
    pthread_t thread;
    bench_check(pthread_create(&thread, NULL, sender, NULL) == 0, "no thread");
  }
  const int64_t began = bench_now();
  double count = 0;
  while (bench_now() - began < LOAD_TIME) {
    count += (double)load_take();
  }
  bench_print(count);
  fflush(stdout);
  _Exit(0);
}

#endif
