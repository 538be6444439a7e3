/* What a Lua state that works for long takes of the machine's memory, when it rests:
   after ROUNDS rounds, divided by what it took after the tenth.

   VARIANT  bridge  a state of ours
            malloc  luaL_newstate, luaL_openlibs */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

/* Some of it stays for some rounds, as in a service. */
static const char round_of_work[] =
    "sessions = sessions or {} "
    "turn = (turn or 0) + 1 "
    "for i = 1, 400 do "
    "  local one = { id = turn * 1000 + i, text = ('s'):rep(i % 300) } "
    "  for k = 1, i % 10 do one['field' .. k] = { k, tostring(k * i) } end "
    "  sessions[(turn * 300 + i * 13) % 700 + 1] = one "
    "end "
    "local garbage = {} "
    "for i = 1, 4000 do garbage[i] = { tostring(i), {} } end "
    "local all = {} "
    "for i = 1, 700 do "
    "  all[#all + 1] = sessions[i] and sessions[i].text or '' "
    "end "
    "local text = table.concat(all)";

static const char rest[] = "collectgarbage() collectgarbage()";

/* What is resident and belongs to no file. */
static double resident(void)
{
  unsigned long all = 0;
  unsigned long whole = 0;
  unsigned long shared = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  bench_check(file != NULL &&
                  fscanf(file, "%lu %lu %lu", &all, &whole, &shared) == 3,
              "no /proc");
  fclose(file);
  return (double)(whole - shared);
}

static bridge_state *state;
static lua_State *plain;

static void run_ours(const char *text)
{
  bench_check(bridge_state_run(state, text, strlen(text), "=script", NULL, NULL,
                               NULL) == BRIDGE_OK,
              "the script failed");
}

static void run_plain(const char *text)
{
  bench_check(luaL_dostring(plain, text) == LUA_OK, "the script failed");
}

int main(int argc, char **argv)
{
  const int64_t rounds = bench_argument(argc, argv, 2, 300);
  const int ours = argc > 1 && strcmp(argv[1], "bridge") == 0;
  if (argc < 2 || (!ours && strcmp(argv[1], "malloc") != 0)) {
    return BENCH_USAGE;
  }
  void (*run)(const char *text) = ours ? run_ours : run_plain;
  const double before = resident();
  if (ours) {
    bench_check(bridge_state_create(&state, NULL, NULL) == BRIDGE_OK,
                "no state");
  } else {
    plain = luaL_newstate();
    bench_check(plain != NULL, "no state");
    luaL_openlibs(plain);
  }
  double early = 0;
  for (int64_t i = 1; i <= rounds; i++) {
    run(round_of_work);
    if (i == 10) {
      run(rest);
      early = resident() - before;
    }
  }
  run(rest);
  return bench_print((resident() - before) / early);
}
