/* A thread with a Lua state that runs a chunk, and its end: microseconds each.

   VARIANT  bridge  bridge_worker_create, _join, _release
            start   of these only the first: a state is made, the chunk compiled,
                    and handed to a thread that another worker had before
            bare    pthread_create, and in it luaL_newstate, luaL_openlibs,
                    luaL_loadstring, lua_pcall, lua_close; pthread_join */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

#include <stdbool.h>

#define CHUNK "local a, b = 20, 22 return a + b"

/* In bridge_worker_create, in all. */
static int64_t starting;

static void by_bridge(void)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = CHUNK;
  bridge_worker *worker = NULL;
  const int64_t start = bench_now();
  bench_check(bridge_worker_create(&worker, &options, NULL, NULL) == BRIDGE_OK,
              "no worker");
  starting += bench_now() - start;
  bridge_message *results = NULL;
  bench_check(bridge_worker_join(worker, -1, &results, NULL) == BRIDGE_OK,
              "no end");
  bridge_reader reader;
  int64_t result = 0;
  bench_check(bridge_reader_init(&reader, results) == BRIDGE_OK &&
                  bridge_reader_integer(&reader, &result) == BRIDGE_OK &&
                  result == 42,
              "another result");
  bridge_message_release(results);
  bridge_worker_release(worker);
}

typedef struct job {
  const char *chunk;
  lua_Integer result;
} job;

static void *run(void *user)
{
  job *mine = user;
  lua_State *L = luaL_newstate();
  bench_check(L != NULL, "no state");
  luaL_openlibs(L);
  bench_check(luaL_loadstring(L, mine->chunk) == LUA_OK &&
                  lua_pcall(L, 0, 1, 0) == LUA_OK,
              "the chunk failed");
  mine->result = lua_tointeger(L, -1);
  lua_close(L);
  return NULL;
}

static void bare(void)
{
  job mine = {CHUNK, 0};
  pthread_t thread;
  bench_check(pthread_create(&thread, NULL, run, &mine) == 0, "no thread");
  bench_check(pthread_join(thread, NULL) == 0, "no end");
  bench_check(mine.result == 42, "another result");
}

static double measure(void (*once)(void), int64_t count)
{
  const int64_t start = bench_now();
  for (int64_t i = 0; i < count; i++) {
    once();
  }
  return (double)(bench_now() - start) / 1e3 / (double)count;
}

int main(int argc, char **argv)
{
  const int64_t count = bench_argument(argc, argv, 2, 5000);
  const bool starts = argc > 1 && strcmp(argv[1], "start") == 0;
  void (*once)(void) = NULL;
  if (starts || (argc > 1 && strcmp(argv[1], "bridge") == 0)) {
    once = by_bridge;
  } else if (argc > 1 && strcmp(argv[1], "bare") == 0) {
    once = bare;
  }
  if (once == NULL) {
    return BENCH_USAGE;
  }
  measure(once, count / 20 + 1);
  starting = 0;
  const double all = measure(once, count);
  return bench_print(starts ? (double)starting / 1e3 / (double)count : all);
}
