/* Traceback: the text of a call stack as luaL_traceback gives it.

   That one looks for the name of each function among all that is in package.loaded,
   level by level, which takes most of the time of an error; this one looks once for
   all of them. */
#include "lua/traceback.h"

#include "base/memory.h"

#include <lauxlib.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
  FIRST = 10,               /* levels from the top, */
  LAST = 11,                /* and from the bottom, where there are more */
  LEVELS = FIRST + LAST + 1 /* one more is not worth the line */
};

typedef struct level {
  lua_Debug ar;
  const void *function;
  const char *module; /* with the name; the keys of tables, which stay there */
  const char *name;   /* NULL: nowhere in package.loaded */
} level;

typedef struct tracing {
  lua_State *L;
  const char *owner;
  level levels[LEVELS];
  int count;
  int skipped; /* behind the first ones */
  int unnamed;
  uint64_t bits; /* of the functions of the levels */
  char *text;
  size_t size;
  size_t capacity;
  bool failed; /* no memory for the text */
} tracing;

/* ---- Text ---- */

/* Whether there is room for so many bytes and a zero. */
static bool has_room(tracing *job, size_t size)
{
  if (size < job->capacity - job->size) {
    return true;
  }
  const size_t capacity = job->capacity * 2 + size;
  char *grown = bridge__resize(job->text, capacity);
  job->failed = grown == NULL;
  if (grown != NULL) {
    job->text = grown;
    job->capacity = capacity;
  }
  return !job->failed;
}

/* Most of a traceback: printf would take half of its time. */
static void add_bytes(tracing *job, const char *bytes, size_t size)
{
  if (!job->failed && has_room(job, size)) {
    memcpy(job->text + job->size, bytes, size);
    job->size += size;
    job->text[job->size] = '\0';
  }
}

static void add(tracing *job, const char *text)
{
  add_bytes(job, text, strlen(text));
}

static void add_number(tracing *job, int number)
{
  char digits[sizeof "-2147483648"];
  const int size = snprintf(digits, sizeof digits, "%d", number);
  add_bytes(job, digits, (size_t)size);
}

/* At most BRIDGE__NAME_SHOWN bytes of it. */
static void add_name(tracing *job, const char *name)
{
  const char *end = memchr(name, '\0', BRIDGE__NAME_SHOWN + 1);
  add_bytes(job, name, end == NULL ? BRIDGE__NAME_SHOWN : (size_t)(end - name));
  if (end == NULL) {
    add(job, "...");
  }
}

static void add_quoted(tracing *job, const char *module, const char *name)
{
  add(job, " '");
  if (module != NULL) {
    add_name(job, module);
    add(job, ".");
  }
  add_name(job, name);
  add(job, "'");
}

static void add_function(tracing *job, const level *each)
{
  const lua_Debug *ar = &each->ar;
  if (each->name != NULL) {
    add(job, "function");
    add_quoted(job, each->module, each->name);
  } else if (ar->namewhat[0] != '\0') {
    add(job, ar->namewhat);
    add_quoted(job, NULL, ar->name);
  } else if (ar->what[0] == 'm') {
    add(job, "main chunk");
  } else if (ar->what[0] != 'C') {
    add(job, "function <");
    add(job, ar->short_src);
    add(job, ":");
    add_number(job, ar->linedefined);
    add(job, ">");
  } else {
    add(job, "?");
  }
}

static void add_levels(tracing *job)
{
  for (int i = 0; i < job->count; i++) {
    const level *each = &job->levels[i];
    if (i == FIRST && job->skipped > 0) {
      add(job, "\n\t...\t(skipping ");
      add_number(job, job->skipped);
      add(job, " levels)");
    }
    add(job, "\n\t");
    add(job, each->ar.short_src);
    add(job, ":");
    if (each->ar.currentline > 0) {
      add_number(job, each->ar.currentline);
      add(job, ":");
    }
    add(job, " in ");
    add_function(job, each);
    if (each->ar.istailcall) {
      add(job, "\n\t(...tail calls...)");
    }
  }
}

/* ---- Levels ---- */

static int count_levels(lua_State *L)
{
  lua_Debug ar;
  int low = 0;
  int high = 1;
  while (lua_getstack(L, high, &ar) != 0) {
    low = high;
    high *= 2;
  }
  while (low + 1 < high) {
    const int middle = low + (high - low) / 2;
    if (lua_getstack(L, middle, &ar) != 0) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return lua_getstack(L, low, &ar) != 0 ? low + 1 : 0;
}

/* One bit of it, so that most functions of the libraries are known by one look to be
   on no level. */
static uint64_t bit_of(const void *function)
{
  return (uint64_t)1 << ((uintptr_t)function / 16 % 64);
}

static void read_levels(lua_State *main, tracing *job)
{
  const int all = count_levels(job->L);
  job->count = all <= LEVELS ? all : FIRST + LAST;
  job->skipped = all - job->count;
  for (int i = 0; i < job->count; i++) {
    level *each = &job->levels[i];
    lua_getstack(job->L, i < FIRST ? i : i + job->skipped, &each->ar);
    lua_getinfo(job->L, "Slnt", &each->ar);
    lua_getinfo(main, "f", &each->ar);
    each->function = lua_topointer(main, -1);
    job->bits |= bit_of(each->function);
    lua_pop(main, 1);
  }
  job->unnamed = job->count;
}

/* ---- Names ---- */

/* The function on top has the name below it. */
static void name_levels(lua_State *main, tracing *job, const char *module)
{
  const void *function = lua_topointer(main, -1);
  if ((job->bits & bit_of(function)) == 0 ||
      lua_type(main, -2) != LUA_TSTRING) {
    return;
  }
  for (int i = 0; i < job->count; i++) {
    level *each = &job->levels[i];
    if (each->function == function && each->name == NULL) {
      each->module = module;
      each->name = lua_tostring(main, -2);
      job->unnamed--;
    }
  }
}

/* Those in the table on top, which is a module's or package.loaded itself. */
static void find_names(lua_State *main, tracing *job, const char *module)
{
  lua_pushnil(main);
  while (job->unnamed > 0 && lua_next(main, -2) != 0) {
    const int type = lua_type(main, -1);
    if (type == LUA_TFUNCTION) {
      name_levels(main, job, module);
    } else if (type == LUA_TTABLE && module == NULL &&
               lua_type(main, -2) == LUA_TSTRING) {
      find_names(main, job, lua_tostring(main, -2));
    }
    lua_pop(main, 1);
  }
  if (job->unnamed == 0) {
    lua_pop(main, 1); /* the key at which the search was over */
  }
}

/* By the name that scripts know: of the parts of "bridge" nobody knows any. */
static const char *shown_module(const char *module)
{
  if (strcmp(module, LUA_GNAME) == 0) {
    return NULL;
  }
  const bool part = strcmp(module, "bridge.inside") == 0 ||
                    strcmp(module, "bridge.face") == 0;
  return part ? "bridge" : module;
}

static void show_modules(tracing *job)
{
  for (int i = 0; i < job->count; i++) {
    level *each = &job->levels[i];
    if (each->module != NULL) {
      each->module = shown_module(each->module);
    }
  }
}

static int trace(lua_State *main)
{
  tracing *job = lua_touserdata(main, 1);
  luaL_checkstack(main, 8, NULL);
  read_levels(main, job);
  /* A script with the library debug may have thrown it away. */
  if (lua_getfield(main, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) == LUA_TTABLE) {
    find_names(main, job, NULL);
    show_modules(job);
  }
  if (job->owner != NULL) {
    add(job, "in ");
    add(job, job->owner);
    add(job, ":\n");
  }
  add(job, "stack traceback:");
  add_levels(job);
  return 0;
}

char *bridge__traceback(lua_State *main, lua_State *L, const char *owner)
{
  enum {
    ENOUGH = 1024 /* for most */
  };
  tracing job;
  if (!lua_checkstack(main, 2)) {
    return NULL;
  }
  memset(&job, 0, sizeof job);
  job.L = L;
  job.owner = owner;
  job.text = bridge__allocate(ENOUGH);
  job.capacity = ENOUGH;
  if (job.text == NULL) {
    return NULL;
  }
  job.text[0] = '\0';
  lua_pushcfunction(main, trace);
  lua_pushlightuserdata(main, &job);
  if (lua_pcall(main, 1, 0, 0) != LUA_OK) {
    lua_pop(main, 1);
    job.failed = true;
  }
  if (job.failed) {
    bridge__free(job.text);
    return NULL;
  }
  return job.text;
}
