/* Libraries: fills a new state, once, before anybody's script runs in it. */
#include "lua/libraries.h"

#include "base/interrupt.h"
#include "lua/builtin.h"
#include "lua/collecting.h"
#include "lua/hold.h"
#include "lua/sandbox.h"
#include "lua/strict/strict.h"
#include "message/error.h"

#include <lauxlib.h>
#include <lualib.h>

#include <stdatomic.h>
#include <string.h>

typedef struct library {
  const char *option; /* what people call it */
  const char *name;   /* what Lua calls it */
  lua_CFunction open;
} library;

/* In the order of Lua's own luaL_openlibs. */
static const library libraries[] = {
    {"base", LUA_GNAME, luaopen_base},
    {"package", LUA_LOADLIBNAME, luaopen_package},
    {"coroutine", LUA_COLIBNAME, luaopen_coroutine},
    {"table", LUA_TABLIBNAME, luaopen_table},
    {"io", LUA_IOLIBNAME, luaopen_io},
    {"os", LUA_OSLIBNAME, luaopen_os},
    {"string", LUA_STRLIBNAME, luaopen_string},
    {"math", LUA_MATHLIBNAME, luaopen_math},
    {"utf8", LUA_UTF8LIBNAME, luaopen_utf8},
    {"debug", LUA_DBLIBNAME, luaopen_debug},
};

#define LIBRARY_COUNT (sizeof libraries / sizeof libraries[0])
#define ALL_LIBRARIES ((1U << LIBRARY_COUNT) - 1)

/* ---- Names ---- */

static unsigned library_bit(const char *name, size_t size)
{
  for (size_t i = 0; i < LIBRARY_COUNT; i++) {
    if (strlen(libraries[i].option) == size &&
        memcmp(libraries[i].option, name, size) == 0) {
      return 1U << i;
    }
  }
  return 0;
}

/* The next name, without the spaces around it. */
static const char *next_name(const char **names, size_t *size)
{
  const char *name = *names + strspn(*names, " \t\n");
  const char *stop = name + strcspn(name, ",");
  *names = *stop == ',' ? stop + 1 : stop;
  while (stop > name && strchr(" \t\n", stop[-1]) != NULL) {
    stop--;
  }
  *size = (size_t)(stop - name);
  return name;
}

static bridge_status parse(const char *names,
                           unsigned *set,
                           bridge_error **error)
{
  *set = names == NULL ? ALL_LIBRARIES : 0;
  while (names != NULL && *names != '\0') {
    size_t size = 0;
    const char *name = next_name(&names, &size);
    unsigned bit = library_bit(name, size);
    if (bit == 0 && size > 0) {
      int shown = size < 80 ? (int)size : 80;
      return bridge__error_give(
          error,
          bridge__error_format(BRIDGE_ENOTFOUND,
                               "there is no standard library '%.*s'", shown,
                               name),
          BRIDGE_ENOTFOUND);
    }
    *set |= bit;
  }
  return BRIDGE_OK;
}

static bool is_strict(const bridge_state_options *options)
{
  return options->sandbox || options->stop == BRIDGE_STOP_STRICT;
}

/* What a state of this kind may not have: refused where it was asked for. */
static bridge_status leave_out(const bridge_state_options *options,
                               unsigned *set,
                               bridge_error **error)
{
  const char *const names[] = {"debug", "package", "io"};
  size_t count = options->sandbox ? 3 : is_strict(options) ? 1 : 0;
  for (size_t i = 0; i < count; i++) {
    unsigned bit = library_bit(names[i], strlen(names[i]));
    if (options->libraries != NULL && (*set & bit) != 0) {
      return bridge__error_give(
          error,
          bridge__error_format(
              BRIDGE_EINVAL, "the library '%s' is not allowed %s", names[i],
              options->sandbox ? "in a sandbox" : "at the strict level"),
          BRIDGE_EINVAL);
    }
    *set &= ~bit;
  }
  return BRIDGE_OK;
}

bridge_status bridge__libraries_parse(const bridge_state_options *options,
                                      unsigned *set,
                                      bridge_error **error)
{
  bridge_status status = parse(options->libraries, set, error);
  return status == BRIDGE_OK ? leave_out(options, set, error) : status;
}

/* ---- Opening C modules, one at a time ----
   Modules fill process-wide tables when they are first opened, generated ones
   among them, and most never thought of threads. */

/* Made when first needed, and once more by the child of a fork, for whom it may
   have been held for ever.  `ready` is twice the number of the process, and one
   more while the hold is being made; plus 2, so that 0 is neither. */
static struct {
  atomic_uint ready;
  bridge__hold hold;
} opening;

static void make_opening(void)
{
  unsigned done = 2 * bridge__process() + 2;
  /* acquire: takes the hold that the release below publishes */
  unsigned seen = atomic_load_explicit(&opening.ready, memory_order_acquire);
  while (seen != done) {
    if (seen == done + 1) {
      bridge__yield();
      /* acquire: as above */
      seen = atomic_load_explicit(&opening.ready, memory_order_acquire);
    } else if (atomic_compare_exchange_strong_explicit(
                   &opening.ready, &seen, done + 1,
                   /* acquire: as above, when another was faster */
                   memory_order_acquire, memory_order_acquire)) {
      bridge__hold_init(&opening.hold);
      /* release: publishes the hold */
      atomic_store_explicit(&opening.ready, done, memory_order_release);
      seen = done;
    }
  }
}

/* Runs an opener, with its arguments, while no other one runs in the process. An
   opener that requires another module has the hold already. */
static int open_alone(lua_State *L)
{
  bridge_state_open *const *open = lua_touserdata(L, lua_upvalueindex(1));
  int arguments = lua_gettop(L);
  make_opening();
  bridge__interrupt *interrupt = bridge__interrupt_bind(NULL);
  bridge_status status = bridge__hold_enter(&opening.hold, -1);
  bridge__interrupt_bind(interrupt);
  if (status != BRIDGE_OK && status != BRIDGE_EDEADLOCK) {
    return luaL_error(L, "cannot open a module: %s",
                      bridge_status_text(status));
  }
  /* No finalizer of the script runs meanwhile: it might wait for ever. */
  bool collecting = bridge__collecting_rests(L);
  lua_pushcfunction(L, *open);
  lua_insert(L, 1);
  int code = lua_pcall(L, arguments, 1, 0);
  bridge__collecting_goes_on(L, collecting);
  if (status == BRIDGE_OK) {
    bridge__hold_leave(&opening.hold);
  }
  return code == LUA_OK ? 1 : lua_error(L);
}

/* The table of our own modules lives for ever, a host's need not. */
static void push_opener(lua_State *L, const bridge_module *module, bool lives)
{
  if (lives) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)&module->open);
  } else {
    bridge_state_open **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = module->open;
  }
  lua_pushcclosure(L, open_alone, 1);
}

static void preload(lua_State *L,
                    const bridge_module *modules,
                    size_t count,
                    bool lives)
{
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (size_t i = 0; i < count; i++) {
    push_opener(L, &modules[i], lives);
    lua_setfield(L, -2, modules[i].name);
  }
  lua_pop(L, 1);
}

void bridge__libraries_open_builtin(lua_State *L)
{
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (size_t i = 0; i < bridge__builtin_count; i++) {
    const bridge_module *module = &bridge__builtin_modules[i];
    if (lua_getfield(L, -1, module->name) == LUA_TNIL) {
      push_opener(L, module, true);
      lua_pushstring(L, module->name);
      lua_call(L, 1, 1);
      lua_setfield(L, -3, module->name);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* ---- Opening the state ---- */

static void set_path(lua_State *L, const char *field, const char *value)
{
  if (value != NULL && lua_getglobal(L, LUA_LOADLIBNAME) == LUA_TTABLE) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
  }
  lua_settop(L, 0);
}

/* The tables that the libraries fill, large enough: else they are made anew for
   each doubling, which takes longer than to fill them. */
static void make_tables(lua_State *L, unsigned set)
{
  enum {
    OF_BASE = 25,     /* functions */
    OF_THE_BRIDGE = 4 /* modules */
  };
  int count = 0;
  for (unsigned rest = set; rest != 0; rest &= rest - 1) {
    count++;
  }
  lua_createtable(L, 0, count + ((set & 1U) != 0 ? OF_BASE : 0));
  lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_createtable(L, 0, count + OF_THE_BRIDGE);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}

/* As luaL_requiref does for each, but that it is known to be the first time. */
static void open_standard(lua_State *L, unsigned set)
{
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushglobaltable(L);
  for (size_t i = 0; i < LIBRARY_COUNT; i++) {
    if ((set & (1U << i)) != 0) {
      lua_pushcfunction(L, libraries[i].open);
      lua_pushstring(L, libraries[i].name);
      lua_call(L, 1, 1);
      lua_pushvalue(L, -1);
      lua_setfield(L, 1, libraries[i].name);
      lua_setfield(L, 2, libraries[i].name);
    }
  }
  lua_settop(L, 0);
}

void bridge__libraries_open(lua_State *L,
                            const bridge_state_options *options,
                            unsigned set)
{
  make_tables(L, set);
  open_standard(L, set);
  preload(L, bridge__builtin_modules, bridge__builtin_count, true);
  preload(L, options->modules, options->module_count, false);
  set_path(L, "path", options->path);
  set_path(L, "cpath", options->cpath);
  if (!options->binary_chunks || is_strict(options)) {
    bridge__libraries_loaders(L, options->binary_chunks);
  }
  if (is_strict(options)) {
    bridge__strict_open(L, options->sandbox ? BRIDGE__SANDBOX_TEXT : 0);
  }
  if (options->sandbox) {
    bridge__sandbox_open(L, options);
  }
}
