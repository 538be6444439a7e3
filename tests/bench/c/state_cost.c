/* A Lua state with its libraries, made and closed: microseconds each.

   VARIANT  bridge        bridge_state_create and _release
            malloc        luaL_newstate, luaL_openlibs, lua_close
            bridge-base   the same with the library "base" alone
            malloc-base */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

static void by_bridge(const char *libraries)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.libraries = libraries;
  bridge_state *state = NULL;
  bench_check(bridge_state_create(&state, &options, NULL) == BRIDGE_OK,
              "no state");
  bridge_state_release(state);
}

static void bridge_all(void)
{
  by_bridge(NULL);
}

static void bridge_base(void)
{
  by_bridge("base");
}

static void malloc_all(void)
{
  lua_State *L = luaL_newstate();
  bench_check(L != NULL, "no state");
  luaL_openlibs(L);
  lua_close(L);
}

static void malloc_base(void)
{
  lua_State *L = luaL_newstate();
  bench_check(L != NULL, "no state");
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  lua_pop(L, 1);
  lua_close(L);
}

typedef struct variant {
  const char *name;
  void (*once)(void);
} variant;

static const variant variants[] = {{"bridge", bridge_all},
                                   {"malloc", malloc_all},
                                   {"bridge-base", bridge_base},
                                   {"malloc-base", malloc_base}};

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
  const int64_t count = bench_argument(argc, argv, 2, 20000);
  for (size_t i = 0; argc > 1 && i < sizeof variants / sizeof *variants; i++) {
    if (strcmp(argv[1], variants[i].name) == 0) {
      measure(variants[i].once, count / 20 + 1);
      return bench_print(measure(variants[i].once, count));
    }
  }
  return BENCH_USAGE;
}
