/* What it costs that a script can be stopped, while nobody stops it: milliseconds for
   a script, or nanoseconds for a resume and a yield; the best of some.

   VARIANT  bare         luaL_newstate, luaL_openlibs
            cooperative, prompt, strict   a state of ours
   SCRIPT   fib, loops, stores, sort, compare, find, gsub, concat, resume, wrap */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

enum {
  TIMES = 7,
  PAIRS = 300000
};

typedef struct script {
  const char *name;
  const char *text;
} script;

static const script scripts[] = {
    {"fib", "local function fib(n) "
            "  return n < 2 and n or fib(n - 1) + fib(n - 2) "
            "end "
            "assert(fib(26) == 121393)"},
    {"loops", "local sum = 0 "
              "for i = 1, 3000000 do sum = sum + i % 7 end "
              "local i = 0 "
              "while i < 3000000 do i = i + 1 end "
              "assert(sum > 0)"},
    {"stores", "local t = {} "
               "for round = 1, 20 do "
               "  for i = 1, 100000 do t[i] = i end "
               "end "
               "local o = { x = 0 } "
               "for i = 1, 2000000 do o.x = o.x + i end"},
    {"sort", "local t, seed = {}, 42 "
             "for i = 1, 100000 do "
             "  seed = (seed * 1103515245 + 12345) & 0x7fffffff t[i] = seed "
             "end "
             "table.sort(t)"},
    {"compare", "local t, seed = {}, 42 "
                "for i = 1, 30000 do "
                "  seed = (seed * 1103515245 + 12345) & 0x7fffffff t[i] = seed "
                "end "
                "table.sort(t, function(a, b) return a > b end)"},
    {"find", "local text = ('some words and 12345 numbers; '):rep(2000) "
             "local n = 0 "
             "for word in text:gmatch '%a+' do n = n + 1 end "
             "for number in text:gmatch '(%d+)%s' do n = n + 1 end "
             "for i = 1, 200 do text:find('nothing of that kind', i, true) end "
             "for i = 1, 20 do text:find('w%w+ xyz', i) end "
             "assert(n == 10000)"},
    {"gsub", "local text = ('key = value, '):rep(3000) "
             "for i = 1, 5 do "
             "  text:gsub('%w+', '<%0>') "
             "  text:gsub('(%w+) = (%w+)', '%2 = %1') "
             "  text:gsub('%s+', '') "
             "end"},
    {"concat", "local t = {} "
               "for i = 1, 100000 do t[i] = 'part' .. i % 100 end "
               "for i = 1, 10 do table.concat(t, ', ') end "
               "for i = 1, 2000 do table.insert(t, 99000, 'x') end "
               "for i = 1, 2000 do table.remove(t, 99000) end"},
    {"resume", "local yield = coroutine.yield "
               "local co = coroutine.create(function() "
               "  while true do yield() end "
               "end) "
               "local resume = coroutine.resume "
               "for i = 1, 300000 do resume(co) end"},
    {"wrap", "local yield = coroutine.yield "
             "local next = coroutine.wrap(function() "
             "  while true do yield() end "
             "end) "
             "for i = 1, 300000 do next() end"},
};

static int64_t by_bridge(bridge_state *state, const char *text)
{
  const int64_t start = bench_now();
  bench_check(bridge_state_run(state, text, strlen(text), "=script", NULL, NULL,
                               NULL) == BRIDGE_OK,
              "the script failed");
  return bench_now() - start;
}

static int64_t by_lua(lua_State *L, const char *text)
{
  const int64_t start = bench_now();
  bench_check(luaL_loadstring(L, text) == LUA_OK &&
                  lua_pcall(L, 0, 0, 0) == LUA_OK,
              "the script failed");
  return bench_now() - start;
}

static const char *find(const char *name)
{
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
    if (strcmp(name, scripts[i].name) == 0) {
      return scripts[i].text;
    }
  }
  return NULL;
}

static bridge_state *make(const char *variant)
{
  static const char *const names[] = {"cooperative", "prompt", "strict"};
  bridge_state_options options;
  bridge_state_options_init(&options);
  for (int i = 0; i < 3; i++) {
    if (strcmp(variant, names[i]) == 0) {
      options.stop = (bridge_stop_level)(BRIDGE_STOP_COOPERATIVE + i);
    }
  }
  bridge_state *state = NULL;
  bench_check(options.stop != BRIDGE_STOP_DEFAULT &&
                  bridge_state_create(&state, &options, NULL) == BRIDGE_OK,
              "no such state");
  return state;
}

int main(int argc, char **argv)
{
  const char *text = argc > 2 ? find(argv[2]) : NULL;
  if (text == NULL) {
    return BENCH_USAGE;
  }
  const bool bare = strcmp(argv[1], "bare") == 0;
  lua_State *L = bare ? luaL_newstate() : NULL;
  bridge_state *state = bare ? NULL : make(argv[1]);
  if (bare) {
    luaL_openlibs(L);
  }
  int64_t best = INT64_MAX;
  for (int i = 0; i < TIMES; i++) {
    const int64_t took = bare ? by_lua(L, text) : by_bridge(state, text);
    best = took < best ? took : best;
  }
  const bool pairs =
      strcmp(argv[2], "resume") == 0 || strcmp(argv[2], "wrap") == 0;
  return bench_print((double)best / (pairs ? PAIRS : 1e6));
}
