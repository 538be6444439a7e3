/* State: makes a Lua state, hands it to one thread at a time, and closes it. */
#include "lua/state.h"

#include "base/config.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "lua/libraries.h"
#include "lua/runner.h"
#include "lua/sandbox.h"
#include "lua/values.h"
#include "message/error.h"

#include <lauxlib.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

void bridge_state_options_init(bridge_state_options *options)
{
  if (options != NULL) {
    *options = (bridge_state_options){.version = BRIDGE_STATE_OPTIONS_VERSION,
                                      .tracebacks = true};
  }
}

/* ---- Making ---- */

static bridge_status give(bridge_error **error,
                          bridge_status status,
                          const char *text)
{
  return bridge__error_give(
      error, bridge__error_create(status, text, strlen(text)), status);
}

bool bridge__limits_valid(const bridge_limits *limits)
{
  return limits->timeout_ms >= 0 && limits->cpu_ms >= 0;
}

static bridge__value_limits limits_of(const bridge_state_options *options)
{
  return (bridge__value_limits){.depth = options->depth_limit,
                                .values = options->value_limit,
                                .bytes = options->message_limit};
}

static bridge_status check(const bridge_state_options *options,
                           bridge_error **error)
{
  if (options->version != BRIDGE_STATE_OPTIONS_VERSION) {
    return bridge__error_give(
        error,
        bridge__error_format(BRIDGE_EVERSION,
                             "state options of the unknown version %u",
                             options->version),
        BRIDGE_EVERSION);
  }
  if (options->modules == NULL && options->module_count > 0) {
    return give(error, BRIDGE_EINVAL, "modules are counted but not given");
  }
  if (!bridge__limits_valid(&options->run) ||
      options->stop < BRIDGE_STOP_DEFAULT ||
      options->stop > BRIDGE_STOP_STRICT) {
    return give(error, BRIDGE_EINVAL, "an unknown level, or a negative limit");
  }
  for (size_t i = 0; i < options->module_count; i++) {
    if (options->modules[i].name == NULL || options->modules[i].open == NULL) {
      return give(error, BRIDGE_EINVAL,
                  "a module without a name or without a function to open it");
    }
  }
  const bridge__value_limits limits = limits_of(options);
  const char *wrong = bridge__wrong_limits(&limits);
  if (wrong != NULL) {
    return give(error, BRIDGE_EINVAL, wrong);
  }
  return bridge__sandbox_check(options, error);
}

typedef struct opening {
  bridge_state *state;
  const bridge_state_options *options;
  unsigned set;
} opening;

/* Lua makes the metatable of its large buffers when it first needs one, and for
   lack of memory would leave it half made for ever: so it is made now, when such
   a failure costs no more than the state. */
static void make_large_buffer(lua_State *L)
{
  luaL_Buffer buffer;
  luaL_buffinitsize(L, &buffer, LUAL_BUFFERSIZE + 1);
  luaL_pushresultsize(&buffer, 0);
  lua_pop(L, 1);
}

static int stop_freeing(lua_State *L)
{
  bridge_state *state = lua_touserdata(L, lua_upvalueindex(1));
  if (state->closing) {
    bridge__heap_close(&state->heap);
  }
  return 0;
}

/* Finalizers run in the reverse order of their making, so that of an object which
   is older than all others is the last one of lua_close: what Lua frees from then
   on goes away with the pages.  Not before, or a finalizer would get none of the
   memory back that is collected while it runs. */
static void watch_close(lua_State *L, bridge_state *state)
{
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushlightuserdata(L, state);
  lua_pushcclosure(L, stop_freeing, 1);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state->heap);
}

/* Begin to count as if a cycle had just ended: the next one begins once as much
   again was allocated. */
static void begin_collecting(lua_State *L)
{
  lua_gc(L, LUA_GCRESTART);
  lua_gc(L, LUA_GCSTEP, -lua_gc(L, LUA_GCCOUNT));
}

static int open_protected(lua_State *L)
{
  const opening *o = lua_touserdata(L, 1);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCSTOP); /* there is no garbage yet */
  watch_close(L, o->state);
  make_large_buffer(L);
  lua_pushlightuserdata(L, &o->state->closing);
  lua_setfield(L, LUA_REGISTRYINDEX, BRIDGE__CLOSING);
  bridge__libraries_open(L, o->options, o->set);
  const bridge__value_limits limits = limits_of(o->options);
  bridge__set_limits(L, &limits);
  bridge__coroutine_open(L);
  bridge__debug_open(L);
  bridge__guard_open(L, &o->state->guard);
  begin_collecting(L);
  return 0;
}

static bridge_status open_libraries(bridge_state *state,
                                    const opening *o,
                                    bridge_error **error)
{
  lua_State *L = state->main;
  lua_pushcfunction(L, open_protected);
  lua_pushlightuserdata(L, (void *)o);
  int code = lua_pcall(L, 1, 0, 0);
  if (code == LUA_OK) {
    return BRIDGE_OK;
  }
  if (code == LUA_ERRMEM) {
    return give(error, BRIDGE_ENOMEM, "not enough memory for the libraries");
  }
  const char *text = lua_tostring(L, -1);
  return give(error, BRIDGE_ESCRIPT,
              text == NULL ? "the libraries cannot be opened" : text);
}

/* `warn`, as in the states that Lua's own library makes: silent until told "@on".
   The pieces of a line come one by one. */
static void write_warning(void *user, const char *text, int to_be_continued)
{
  bridge_state *state = user;
  bool control = !state->warning && !to_be_continued && text[0] == '@';
  if (control) {
    state->warnings = strcmp(text, "@on") == 0 ||
                      (state->warnings && strcmp(text, "@off") != 0);
    return;
  }
  if (state->warnings) {
    fprintf(stderr, "%s%s%s", state->warning ? "" : "Lua warning: ", text,
            to_be_continued ? "" : "\n");
  }
  state->warning = to_be_continued != 0;
}

/* From now on: what the libraries took is not the script's. */
static void arm(bridge_state *state, size_t memory_limit)
{
  if (memory_limit == 0) {
    return;
  }
  /* relaxed: this thread wrote it */
  size_t used = atomic_load_explicit(&state->heap.used, memory_order_relaxed);
  size_t limit = 0;
  if (!bridge__add(used, memory_limit, &limit)) {
    limit = SIZE_MAX;
  }
  /* relaxed: the state has no second user yet */
  atomic_store_explicit(&state->heap.limit, limit, memory_order_relaxed);
}

/* What Lua itself takes, and each library about. */
static size_t expected(unsigned set)
{
  size_t bytes = 5000;
  for (; set != 0; set &= set - 1) {
    bytes += 1700;
  }
  return bytes;
}

static bool can_be_kicked(const bridge_state *state)
{
  return state->guard.level > BRIDGE_STOP_COOPERATIVE;
}

static void prepare_stops(bridge_state *state,
                          const bridge_state_options *options)
{
  bridge_stop_level level = options->stop;
  if (options->sandbox) {
    level = BRIDGE_STOP_STRICT;
  } else if (level == BRIDGE_STOP_DEFAULT) {
    level = BRIDGE_STOP_PROMPT;
  }
  bridge__guard_init(&state->guard, state, level);
  bridge__leash_init(&state->leash, NULL, NULL);
  bridge__leash_end(&state->leash);
  state->usual = options->run;
  state->run = options->run;
  if (can_be_kicked(state)) {
    bridge__runners_count(1);
  }
}

static bridge_status fill(bridge_state *state,
                          const bridge_state_options *options,
                          unsigned set,
                          bridge_error **error)
{
  state->process = bridge__process();
  state->binary_chunks = options->binary_chunks;
  state->tracebacks = options->tracebacks;
  if (options->name != NULL) {
    state->name = bridge__copy_text(options->name, strlen(options->name));
    if (state->name == NULL) {
      return BRIDGE_ENOMEM;
    }
  }
  bridge__heap_init(&state->heap,
                    BRIDGE_RECYCLE && bridge__allocator_is_standard(),
                    expected(set));
  state->main = lua_newstate(bridge__heap_allocate, &state->heap);
  if (state->main == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge__guard_bind(state->main, &state->guard);
  lua_setwarnf(state->main, write_warning, state);
  const opening o = {state, options, set};
  bridge_status status = open_libraries(state, &o, error);
  if (status == BRIDGE_OK) {
    arm(state, options->memory_limit);
  }
  return status;
}

/* Finalizers run now. */
static void close_lua(bridge_state *state)
{
  state->closing = true;
  lua_close(state->main);
  bridge__heap_destroy(&state->heap);
}

static void destroy(bridge_state *state)
{
  if (state->main != NULL) {
    close_lua(state);
  }
  bridge__guard_destroy(&state->guard);
  if (can_be_kicked(state)) {
    bridge__runners_count(-1);
  }
  bridge__interrupt_destroy(&state->interrupt);
  bridge__hold_destroy(&state->hold);
  bridge__free(state->name);
  bridge__free(state);
}

static bridge_status make_locks(bridge_state *state)
{
  bridge_status status = bridge__hold_init(&state->hold);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__interrupt_init(&state->interrupt);
  if (status != BRIDGE_OK) {
    bridge__hold_destroy(&state->hold);
  }
  return status;
}

bridge_status bridge_state_create(bridge_state **out,
                                  const bridge_state_options *options,
                                  bridge_error **error)
{
  if (error != NULL) {
    *error = NULL;
  }
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_state_options own;
  bridge_state_options_init(&own);
  unsigned set = 0;
  bridge_status status = BRIDGE_OK;
  if (options != NULL) {
    status = check(options, error);
    own = status == BRIDGE_OK ? *options : own;
  }
  bridge__sandbox_defaults(&own);
  options = &own;
  if (status == BRIDGE_OK) {
    status = bridge__libraries_parse(options, &set, error);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_state *state = bridge__allocate_zero(sizeof *state);
  if (state == NULL) {
    return BRIDGE_ENOMEM;
  }
  status = make_locks(state);
  if (status != BRIDGE_OK) {
    bridge__free(state);
    return status;
  }
  prepare_stops(state, options);
  status = fill(state, options, set, error);
  if (status != BRIDGE_OK) {
    destroy(state);
    return status;
  }
  *out = state;
  return BRIDGE_OK;
}

/* ---- Unmaking ---- */

static bool forked(const bridge_state *state)
{
  return state->process != bridge__process();
}

void bridge_state_release(bridge_state *state)
{
  if (state == NULL) {
    return;
  }
  if (forked(state)) {
    /* The thread that held it in the parent is not here, and left it in the
       middle of something: then only the small parts can go.  The mutex may be
       locked for ever and is left alone. */
    if (state->hold.holder == NULL) {
      close_lua(state);
    }
    bridge__free(state->name);
    bridge__free(state);
    return;
  }
  /* Finalizers run now.  They see a state that is held, and a thread that still
     uses it, against the rule, is waited for. */
  bridge__interrupt *interrupt = bridge__interrupt_bind(NULL);
  bridge__hold_enter(&state->hold, -1);
  bridge__interrupt_bind(interrupt);
  destroy(state);
}

/* ---- Using ---- */

bridge_status bridge_state_enter(bridge_state *state,
                                 int timeout_ms,
                                 struct lua_State **lua)
{
  if (state == NULL || lua == NULL) {
    return BRIDGE_EINVAL;
  }
  if (forked(state)) {
    return BRIDGE_EFORKED;
  }
  bridge_status status = bridge__hold_enter(&state->hold, timeout_ms);
  if (status == BRIDGE_OK) {
    *lua = state->main;
  }
  return status;
}

bridge_status bridge_state_leave(bridge_state *state)
{
  if (state == NULL) {
    return BRIDGE_EINVAL;
  }
  if (forked(state)) {
    return BRIDGE_EFORKED;
  }
  return bridge__hold_leave(&state->hold);
}

static void look(const atomic_size_t *number, size_t *out)
{
  if (out != NULL) {
    /* relaxed: a number to look at */
    *out = atomic_load_explicit(number, memory_order_relaxed);
  }
}

bridge_status bridge_state_memory(const bridge_state *state,
                                  size_t *used,
                                  size_t *peak,
                                  size_t *limit)
{
  if (state == NULL) {
    return BRIDGE_EINVAL;
  }
  look(&state->heap.used, used);
  look(&state->heap.peak, peak);
  look(&state->heap.limit, limit);
  return BRIDGE_OK;
}
