/* What every program of the benchmark needs: time, threads that begin together,
   and the one number that it prints. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Exits that bench.py understands. */
enum {
  BENCH_FAILED = 1,
  BENCH_USAGE = 2,
  BENCH_NOT_INSTALLED = 77
};

static inline int64_t bench_now(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void bench_fail(const char *what)
{
  fprintf(stderr, "%s\n", what);
  exit(BENCH_FAILED);
}

/* In a benchmark, too, what may fail is looked at. */
static inline void bench_check(int good, const char *what)
{
  if (!good) {
    bench_fail(what);
  }
}

static inline int bench_print(double figure)
{
  printf("%.6g\n", figure);
  return 0;
}

/* Millions of times a second, and nanoseconds each. */
static inline int bench_print_rate(double count, int64_t nanoseconds)
{
  return bench_print(count * 1e3 / (double)nanoseconds);
}

static inline int bench_print_each(double count, int64_t nanoseconds)
{
  return bench_print((double)nanoseconds / count);
}

/* The n-th argument as a number that is at least 1, or the default. */
static inline int64_t bench_argument(int argc,
                                     char **argv,
                                     int index,
                                     int64_t otherwise)
{
  if (index >= argc) {
    return otherwise;
  }
  char *end = NULL;
  long long value = strtoll(argv[index], &end, 10);
  if (*end != '\0' || value < 1) {
    fprintf(stderr, "not a number: %s\n", argv[index]);
    exit(BENCH_USAGE);
  }
  return value;
}

static inline int compare_samples(const void *a, const void *b)
{
  const double left = *(const double *)a;
  const double right = *(const double *)b;
  return (left > right) - (left < right);
}

static inline double bench_median(double *samples, size_t count)
{
  qsort(samples, count, sizeof *samples, compare_samples);
  return samples[count / 2];
}

/* Threads that begin together: each waits at the gate. */
typedef struct bench_crew {
  pthread_t threads[64];
  pthread_barrier_t gate;
  size_t count;
} bench_crew;

/* `each` bytes of `arguments` for each thread.  The caller is one more at the
   gate. */
static inline void bench_crew_start(bench_crew *crew,
                                    size_t count,
                                    void *(*body)(void *),
                                    void *arguments,
                                    size_t each)
{
  bench_check(count <= 64, "too many threads");
  crew->count = count;
  pthread_barrier_init(&crew->gate, NULL, (unsigned)count + 1);
  for (size_t i = 0; i < count; i++) {
    char *argument = (char *)arguments + i * each;
    bench_check(pthread_create(&crew->threads[i], NULL, body, argument) == 0,
                "cannot start a thread");
  }
}

static inline void bench_crew_gate(bench_crew *crew)
{
  pthread_barrier_wait(&crew->gate);
}

static inline void bench_crew_join(bench_crew *crew)
{
  for (size_t i = 0; i < crew->count; i++) {
    pthread_join(crew->threads[i], NULL);
  }
  pthread_barrier_destroy(&crew->gate);
}

#endif
