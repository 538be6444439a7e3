/* A script that allocates a lot, in one Lua state: milliseconds.

   VARIANT  bridge  a state of ours
            malloc  luaL_newstate, luaL_openlibs
   SCRIPT   strings, tables, closures, trees, numbers (which allocates nothing) */
#include "bench.h"

#include <bridge/bridge.h>

#include <lauxlib.h>
#include <lualib.h>

typedef struct script {
  const char *name;
  const char *text;
} script;

static const script scripts[] = {
    {"strings", "local parts = {} "
                "for round = 1, 15 do "
                "  for i = 1, 5000 do "
                "    parts[i] = 'key' .. i .. '=' .. ('v'):rep(i % 40) "
                "  end "
                "  local all = table.concat(parts, ';') "
                "  local count = 0 "
                "  for name, value in all:gmatch('(%w+)=(%w*)') do "
                "    count = count + #name + #value "
                "  end "
                "  all = all:gsub('key', 'name') "
                "end"},
    {"tables", "for round = 1, 4 do "
               "  local all = {} "
               "  for i = 1, 15000 do "
               "    all[i] = { id = i, name = 'n' .. i % 100, at = { i, -i } } "
               "  end "
               "  table.sort(all, function(a, b) "
               "    return a.name < b.name or "
               "           a.name == b.name and a.id < b.id "
               "  end) "
               "end"},
    {"closures", "for round = 1, 20 do "
                 "  local all = {} "
                 "  for i = 1, 10000 do "
                 "    local n = i "
                 "    all[i] = function() n = n + 1 return n end "
                 "  end "
                 "  for i = 1, #all do all[i]() end "
                 "  for i = 1, 3000 do "
                 "    local co = coroutine.wrap(function(a) "
                 "      coroutine.yield(a) coroutine.yield(a + 1) "
                 "    end) "
                 "    co(i) co() "
                 "  end "
                 "end"},
    {"trees", "local function make(depth) "
              "  if depth == 0 then return {} end "
              "  return { make(depth - 1), make(depth - 1) } "
              "end "
              "local function count(tree) "
              "  return tree[1] and 1 + count(tree[1]) + count(tree[2]) or 1 "
              "end "
              "local kept = make(14) "
              "for i = 1, 60 do assert(count(make(12)) == 8191) end "
              "assert(count(kept) == 32767)"},
    {"numbers", "local sum = 0 "
                "for i = 1, 1e7 do sum = sum + i % 7 * 0.5 end "
                "assert(sum > 0)"},
};

static void by_bridge(const char *text)
{
  bridge_state *state = NULL;
  bench_check(bridge_state_create(&state, NULL, NULL) == BRIDGE_OK, "no state");
  bench_check(bridge_state_run(state, text, strlen(text), "=script", NULL, NULL,
                               NULL) == BRIDGE_OK,
              "the script failed");
  bridge_state_release(state);
}

static void by_malloc(const char *text)
{
  lua_State *L = luaL_newstate();
  bench_check(L != NULL, "no state");
  luaL_openlibs(L);
  bench_check(luaL_loadstring(L, text) == LUA_OK &&
                  lua_pcall(L, 0, 0, 0) == LUA_OK,
              "the script failed");
  lua_close(L);
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

int main(int argc, char **argv)
{
  const char *text = argc > 2 ? find(argv[2]) : NULL;
  const int ours = argc > 2 && strcmp(argv[1], "bridge") == 0;
  if (text == NULL || (!ours && strcmp(argv[1], "malloc") != 0)) {
    return BENCH_USAGE;
  }
  const int64_t start = bench_now();
  if (ours) {
    by_bridge(text);
  } else {
    by_malloc(text);
  }
  return bench_print((double)(bench_now() - start) / 1e6);
}
