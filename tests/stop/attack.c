/* Attacks: reads them, and is the module that they call. */
#include "attack.h"

#include <lauxlib.h>
#include <lua.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  MEMORY_LIMIT = 256 << 20
};

static void fail(const char *what, const char *name)
{
  fprintf(stderr, "attacks: %s %s\n", what, name);
  exit(EXIT_FAILURE);
}

/* ---- Whether it has begun ---- */

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool begun;
  bool over;
} state = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

void attack_prepare(void)
{
  pthread_mutex_lock(&state.mutex);
  state.begun = false;
  state.over = false;
  pthread_mutex_unlock(&state.mutex);
}

static void tell(bool *what)
{
  pthread_mutex_lock(&state.mutex);
  *what = true;
  pthread_cond_broadcast(&state.changed);
  pthread_mutex_unlock(&state.mutex);
}

void attack_ended(void)
{
  tell(&state.over);
}

bool attack_wait(int timeout_ms)
{
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_nsec += timeout_ms % 1000 * 1000000L;
  end.tv_sec += timeout_ms / 1000 + end.tv_nsec / 1000000000;
  end.tv_nsec %= 1000000000;
  int error = 0;
  pthread_mutex_lock(&state.mutex);
  while (!state.begun && !state.over && error == 0) {
    error = pthread_cond_timedwait(&state.changed, &state.mutex, &end);
  }
  bool known = state.begun || state.over;
  pthread_mutex_unlock(&state.mutex);
  return known;
}

bool attack_begun(void)
{
  pthread_mutex_lock(&state.mutex);
  bool begun = state.begun;
  pthread_mutex_unlock(&state.mutex);
  return begun;
}

/* ---- The module ---- */

static int attack_begin(lua_State *L)
{
  (void)L;
  tell(&state.begun);
  return 0;
}

static int attack_stuck(lua_State *L)
{
  (void)L;
  for (;;) {
    pause();
  }
  return 0; /* never */
}

/* What a library of somebody's does with callbacks, for ever. */
static int attack_protect(lua_State *L)
{
  for (;;) {
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    lua_pcall(L, 0, 0, 0);
  }
  return 0; /* never */
}

/* A coroutine that no coroutine library knows of. */
static lua_State *push_coroutine(lua_State *L)
{
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return co;
}

/* What nobody is told of: of such a coroutine, or of one that is there. */
static int attack_resume(lua_State *L)
{
  int results = 0;
  lua_State *co = lua_tothread(L, 1);
  if (co == NULL) {
    co = push_coroutine(L);
  }
  lua_pushboolean(L, lua_resume(co, L, 0, &results) == LUA_OK);
  return 1;
}

static int step(lua_State *L)
{
  int results = 0;
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int code = lua_resume(co, L, 0, &results);
  if (code > LUA_YIELD) {
    results = 1;
  }
  lua_xmove(co, L, results);
  return code > LUA_YIELD ? lua_error(L) : results;
}

/* What a function yields, one after the other. */
static int attack_iterate(lua_State *L)
{
  push_coroutine(L);
  lua_pushcclosure(L, step, 1);
  return 1;
}

/* The name of a pipe that nobody writes to, and that a child does not keep open. */
static void push_silence(lua_State *L)
{
  static int ends[2]; /* modules are opened one at a time */
  if (ends[1] == 0 && pipe2(ends, O_CLOEXEC) != 0) {
    luaL_error(L, "no pipe");
  }
  lua_pushfstring(L, "/proc/%d/fd/%d", (int)getpid(), ends[0]);
}

static int open_attack(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"begin", attack_begin},     {"stuck", attack_stuck},
      {"protect", attack_protect}, {"resume", attack_resume},
      {"iterate", attack_iterate}, {NULL, NULL}};
  luaL_newlib(L, functions);
  push_silence(L);
  lua_setfield(L, -2, "silence");
  return 1;
}

void attack_options(bridge_state_options *options, bridge_stop_level level)
{
  static const bridge_module module = {"attack", open_attack};
  bridge_state_options_init(options);
  options->modules = &module;
  options->module_count = 1;
  options->memory_limit = MEMORY_LIMIT;
  options->stop = level;
}

/* ---- The file ---- */

static char *read_all(const char *file)
{
  FILE *stream = fopen(file, "rb");
  if (stream == NULL || fseek(stream, 0, SEEK_END) != 0) {
    fail("cannot read", file);
  }
  size_t size = (size_t)ftell(stream);
  rewind(stream);
  char *text = calloc(size + 1, 1);
  if (text == NULL || fread(text, 1, size, stream) != size) {
    fail("cannot read", file);
  }
  fclose(stream);
  return text;
}

static attack_end end_of(const char *word, const char *name)
{
  static const char *const words[] = {"stopped", "runs", "ends", "refused",
                                      "lost"};
  for (int i = 0; i < 5; i++) {
    if (strcmp(word, words[i]) == 0) {
      return (attack_end)i;
    }
  }
  fail("not known what becomes of", name);
  return ATTACK_ENDS;
}

static const char *const mark = "\n--- ";
static const char *const before =
    "local attack, loop = require 'attack', function() while true do end end ";

/* One attack; `at` is behind its mark, `end` where the next one's begins. */
static void read_one(attack *out, const char *at, const char *end)
{
  char words[3][16];
  if (sscanf(at, "%63[a-z0-9_]: %15s %15s %15s", out->name, words[0], words[1],
             words[2]) != 4) {
    fail("cannot understand", at);
  }
  out->cooperative = end_of(words[0], out->name);
  out->prompt = end_of(words[1], out->name);
  out->strict = end_of(words[2], out->name);
  const char *body = strchr(at, '\n') + 1;
  size_t size = (size_t)(end - body);
  out->source = malloc(strlen(before) + size + 1);
  if (out->source == NULL) {
    fail("no memory for", out->name);
  }
  strcpy(out->source, before);
  strncat(out->source, body, size);
}

const attack *attacks_read(const char *file, size_t *count)
{
  char *text = read_all(file);
  attack *all = NULL;
  *count = 0;
  for (char *at = strstr(text, mark); at != NULL;) {
    char *next = strstr(at + 1, mark);
    attack *more = realloc(all, (*count + 1) * sizeof *all);
    if (more == NULL) {
      fail("no memory for", file);
    }
    all = more;
    read_one(&all[(*count)++], at + strlen(mark),
             next == NULL ? at + strlen(at) : next + 1);
    at = next;
  }
  free(text);
  return all;
}

const attack *attack_find(const attack *attacks, size_t count, const char *name)
{
  for (size_t i = 0; i < count; i++) {
    if (strcmp(attacks[i].name, name) == 0) {
      return &attacks[i];
    }
  }
  return NULL;
}

attack_end attack_expected(const attack *one, bridge_stop_level level)
{
  switch (level) {
  case BRIDGE_STOP_COOPERATIVE:
    return one->cooperative;
  case BRIDGE_STOP_STRICT:
    return one->strict;
  default:
    return one->prompt;
  }
}
