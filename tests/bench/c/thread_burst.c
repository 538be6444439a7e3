/* Threads with a Lua state each that run a chunk, so many started together and then
   joined: microseconds each.

   AT_ONCE [COUNT]  with nothing of ours: luaL_newstate, luaL_openlibs,
                    luaL_loadbuffer, pthread_create; in it lua_pcall; pthread_join,
                    the result, lua_close */
#include "bench.h"

#include <lauxlib.h>
#include <lualib.h>

#define CHUNK "local a, b = ... return a + b"

enum {
  MOST = 1000
};

typedef struct job {
  lua_State *L;
  pthread_t thread;
  int status;
} job;

static void *run(void *user)
{
  job *mine = user;
  mine->status = lua_pcall(mine->L, 2, 1, 0);
  return NULL;
}

static void begin(job *mine)
{
  mine->L = luaL_newstate();
  bench_check(mine->L != NULL, "no state");
  luaL_openlibs(mine->L);
  bench_check(luaL_loadbuffer(mine->L, CHUNK, sizeof CHUNK - 1, CHUNK) ==
                  LUA_OK,
              "no chunk");
  lua_pushinteger(mine->L, 20);
  lua_pushinteger(mine->L, 22);
  bench_check(pthread_create(&mine->thread, NULL, run, mine) == 0, "no thread");
}

static void end(job *mine)
{
  bench_check(pthread_join(mine->thread, NULL) == 0, "no end");
  bench_check(mine->status == LUA_OK && lua_tointeger(mine->L, -1) == 42,
              "another result");
  lua_close(mine->L);
}

static double measure(int64_t at_once, int64_t count)
{
  static job jobs[MOST];
  const int64_t start = bench_now();
  for (int64_t done = 0; done < count; done += at_once) {
    for (int64_t i = 0; i < at_once; i++) {
      begin(&jobs[i]);
    }
    for (int64_t i = 0; i < at_once; i++) {
      end(&jobs[i]);
    }
  }
  return (double)(bench_now() - start) / 1e3 / (double)count;
}

int main(int argc, char **argv)
{
  const int64_t at_once = bench_argument(argc, argv, 1, 0);
  int64_t count = bench_argument(argc, argv, 2, 6000);
  if (at_once < 1 || at_once > MOST) {
    return BENCH_USAGE;
  }
  count = (count + at_once - 1) / at_once * at_once;
  measure(at_once, at_once * 10);
  return bench_print(measure(at_once, count));
}
