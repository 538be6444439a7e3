/* From asking a script that computes to stop, to the return of the run: microseconds,
   the median of many.

   VARIANT  bridge  bridge_state_cancel
            bare    a signal whose handler sets a hook that raises an error, as lua.c
                    does for Ctrl-C: it stops no script that catches errors, and none
                    in a coroutine */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

enum {
  TIMES = 200
};

static sem_t begun;
static _Atomic(int64_t) ended;
static lua_State *_Atomic running;

static int begin(lua_State *L)
{
  (void)L;
  sem_post(&begun);
  return 0;
}

static int open_begin(lua_State *L)
{
  lua_pushcfunction(L, begin);
  return 1;
}

static const char text[] = "local begin = require 'begin' "
                           "begin() "
                           "while true do end";

static void *run_bridge(void *state)
{
  bench_check(bridge_state_run(state, text, sizeof text - 1, "=script", NULL,
                               NULL, NULL) == BRIDGE_ECANCELLED,
              "it was not stopped");
  ended = bench_now();
  return NULL;
}

static void raise_error(lua_State *L, lua_Debug *ar)
{
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted");
}

static void on_signal(int number)
{
  (void)number;
  lua_sethook(running, raise_error,
              LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void *run_bare(void *state)
{
  lua_State *L = state;
  running = L;
  bench_check(luaL_loadstring(L, text) == LUA_OK &&
                  lua_pcall(L, 0, 0, 0) == LUA_ERRRUN,
              "it was not stopped");
  ended = bench_now();
  lua_settop(L, 0);
  return NULL;
}

static void stop_bare(pthread_t thread)
{
  pthread_kill(thread, SIGUSR1);
}

static bridge_state *make_bridge(void)
{
  static const bridge_module module = {"begin", open_begin};
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.modules = &module;
  options.module_count = 1;
  options.tracebacks = false;
  bridge_state *state = NULL;
  bench_check(bridge_state_create(&state, &options, NULL) == BRIDGE_OK,
              "no state");
  return state;
}

static lua_State *make_bare(void)
{
  lua_State *L = luaL_newstate();
  bench_check(L != NULL, "no state");
  luaL_openlibs(L);
  luaL_requiref(L, "begin", open_begin, 0);
  lua_settop(L, 0);
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  return L;
}

static double once(bridge_state *state, lua_State *L)
{
  pthread_t thread;
  bench_check(pthread_create(&thread, NULL,
                             state == NULL ? run_bare : run_bridge,
                             state == NULL ? (void *)L : (void *)state) == 0,
              "no thread");
  sem_wait(&begun);
  const struct timespec pause = {0, 200000};
  nanosleep(&pause, NULL);
  const int64_t start = bench_now();
  if (state == NULL) {
    stop_bare(thread);
  } else {
    bridge_state_cancel(state, BRIDGE_STOP_DEFAULT, 0);
  }
  pthread_join(thread, NULL);
  return (double)(ended - start) / 1e3;
}

int main(int argc, char **argv)
{
  const bool bare = argc > 1 && strcmp(argv[1], "bare") == 0;
  if (!bare && (argc < 2 || strcmp(argv[1], "bridge") != 0)) {
    return BENCH_USAGE;
  }
  sem_init(&begun, 0, 0);
  bridge_state *state = bare ? NULL : make_bridge();
  lua_State *L = bare ? make_bare() : NULL;
  double samples[TIMES];
  for (int i = 0; i < TIMES; i++) {
    samples[i] = once(state, L);
  }
  return bench_print(bench_median(samples, TIMES));
}
