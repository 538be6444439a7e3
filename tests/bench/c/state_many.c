/* COUNT workers that live at the same time and wait for calls.

   VARIANT  bridge  workers of ours, which require "bridge" to serve
            inside  the same without the face of it for people
            bare    threads with a state of luaL_newstate and luaL_openlibs, which
                    wait for a condition
   WHAT     time    microseconds to make each, until all run
            memory  KiB that each takes of the machine's memory
            end     microseconds to end each
            call    microseconds for a question to one of them and its answer; not
                    of bare ones */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

enum {
  MOST = 10000,
  BEHIND = 100 /* workers that have yet to answer: their answers are ours */
};

#define SOURCE "require('bridge').serve { ping = function() return 1 end }"
#define INSIDE                                                                 \
  "require('bridge.inside').serve { ping = function() return 1 end }"
#define BARE "ping = function() return 1 end"

static double resident_kib(void)
{
  unsigned long all = 0;
  unsigned long whole = 0;
  unsigned long shared = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  bench_check(file != NULL &&
                  fscanf(file, "%lu %lu %lu", &all, &whole, &shared) == 3,
              "no /proc");
  fclose(file);
  return (double)(whole - shared) * 4;
}

/* ---- Ours ---- */

static bridge_worker *workers[MOST];

static void ask(bridge_worker *worker, bridge_queue *answers)
{
  bridge_message *request = NULL;
  bench_check(bridge_message_create(&request, 0) == BRIDGE_OK &&
                  bridge_message_write_string(request, "ping", 4) == BRIDGE_OK,
              "no request");
  bench_check(bridge_worker_request(worker, &request, -1, answers, 1) ==
                  BRIDGE_OK,
              "no answer");
}

static void await(bridge_queue *answers)
{
  bridge_message *answer = NULL;
  bench_check(bridge_queue_pop(answers, &answer, -1) == BRIDGE_OK &&
                  bridge_answer_error(answer, NULL) == BRIDGE_OK,
              "no answer");
  bridge_message_release(answer);
}

static void make_workers(int64_t count, const char *source)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  bridge_queue *answers = NULL;
  bench_check(bridge_queue_create(&answers, NULL) == BRIDGE_OK, "no queue");
  for (int64_t i = 0; i < count + BEHIND; i++) {
    if (i < count) {
      bench_check(bridge_worker_create(&workers[i], &options, NULL, NULL) ==
                      BRIDGE_OK,
                  "no worker");
      ask(workers[i], answers);
    }
    if (i >= BEHIND && i - BEHIND < count) {
      await(answers);
    }
  }
  bridge_queue_release(answers);
}

static void make_ours(int64_t count)
{
  make_workers(count, SOURCE);
}

static void make_inside(int64_t count)
{
  make_workers(count, INSIDE);
}

/* Each is far from the one before, so that its memory is cold. */
static double call_time(int64_t count)
{
  enum {
    CALLS = 2000,
    STRIDE = 7919 /* a prime: it reaches all of them */
  };
  bridge_queue *answers = NULL;
  bench_check(bridge_queue_create(&answers, NULL) == BRIDGE_OK, "no queue");
  const int64_t start = bench_now();
  for (int64_t i = 0; i < CALLS; i++) {
    ask(workers[i * STRIDE % count], answers);
    await(answers);
  }
  const int64_t end = bench_now();
  bridge_queue_release(answers);
  return (double)(end - start) / 1e3 / CALLS;
}

static void end_ours(int64_t count)
{
  for (int64_t i = 0; i < count; i++) {
    bridge_worker_stop(workers[i]);
  }
  for (int64_t i = 0; i < count; i++) {
    bench_check(bridge_worker_join(workers[i], -1, NULL, NULL) == BRIDGE_OK,
                "no end");
    bridge_worker_release(workers[i]);
  }
}

/* ---- Bare ---- */

static pthread_t threads[MOST];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready = PTHREAD_COND_INITIALIZER;
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static int64_t running;
static int stop;

static void *serve(void *user)
{
  (void)user;
  lua_State *L = luaL_newstate();
  bench_check(L != NULL, "no state");
  luaL_openlibs(L);
  bench_check(luaL_dostring(L, BARE) == LUA_OK, "the chunk failed");
  pthread_mutex_lock(&mutex);
  running++;
  pthread_cond_signal(&ready);
  while (!stop) {
    pthread_cond_wait(&over, &mutex);
  }
  pthread_mutex_unlock(&mutex);
  lua_close(L);
  return NULL;
}

static void make_bare(int64_t count)
{
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, (size_t)1024 * 1024);
  for (int64_t i = 0; i < count; i++) {
    bench_check(pthread_create(&threads[i], &attributes, serve, NULL) == 0,
                "no thread");
  }
  pthread_mutex_lock(&mutex);
  while (running < count) {
    pthread_cond_wait(&ready, &mutex);
  }
  pthread_mutex_unlock(&mutex);
}

static void end_bare(int64_t count)
{
  pthread_mutex_lock(&mutex);
  stop = 1;
  pthread_cond_broadcast(&over);
  pthread_mutex_unlock(&mutex);
  for (int64_t i = 0; i < count; i++) {
    pthread_join(threads[i], NULL);
  }
}

typedef struct variant {
  const char *name;
  void (*make)(int64_t count);
  void (*end)(int64_t count);
} variant;

static const variant variants[] = {{"bridge", make_ours, end_ours},
                                   {"inside", make_inside, end_ours},
                                   {"bare", make_bare, end_bare}};

static int measure(const variant *chosen, const char *what, int64_t count)
{
  const double before = resident_kib();
  const int64_t start = bench_now();
  chosen->make(count);
  const int64_t made = bench_now();
  const double after = resident_kib();
  const double call = strcmp(what, "call") == 0 ? call_time(count) : 0;
  chosen->end(count);
  const int64_t end = bench_now();
  if (strcmp(what, "time") == 0) {
    return bench_print((double)(made - start) / 1e3 / (double)count);
  }
  if (strcmp(what, "end") == 0) {
    return bench_print((double)(end - made) / 1e3 / (double)count);
  }
  if (strcmp(what, "call") == 0) {
    return bench_print(call);
  }
  return strcmp(what, "memory") == 0
             ? bench_print((after - before) / (double)count)
             : BENCH_USAGE;
}

int main(int argc, char **argv)
{
  const int64_t count = bench_argument(argc, argv, 3, 1000);
  for (size_t i = 0; argc > 2 && i < sizeof variants / sizeof *variants; i++) {
    if (strcmp(argv[1], variants[i].name) == 0 && count <= MOST &&
        (variants[i].make != make_bare || strcmp(argv[2], "call") != 0)) {
      return measure(&variants[i], argv[2], count);
    }
  }
  return BENCH_USAGE;
}
