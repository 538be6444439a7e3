/* Coroutine: the library of that name in the states that we make.  It does what
   Lua's does, and tells the guard which coroutine runs; what the hook asks for goes
   through it from coroutine to coroutine, unseen by the script.

   A resume is pinned if a yield of the hook would not get through it: it was called
   where nothing yields, or its own coroutine is resumed by somebody else's C
   function, which would take the yield for the script's. */
#include "lua/guard.h"

#include <lauxlib.h>
#include <lualib.h>

enum {
  FAILED = -1,     /* the error is on the stack */
  UNWINDING = -2,  /* the hook has yielded */
  CLOSES_MAX = 180 /* some Lua versions do not count these C calls */
};

static bool stopping(const bridge__guard *guard)
{
  /* Takes nothing: this thread and its kicks write it. */
  return atomic_load_explicit(&guard->stopping, memory_order_relaxed);
}

static lua_State *current(const bridge__guard *guard)
{
  /* Takes nothing: as above. */
  return atomic_load_explicit(&guard->current, memory_order_relaxed);
}

static lua_State *check_coroutine(lua_State *L)
{
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co != NULL, 1, "thread");
  return co;
}

/* ---- Resuming (inline: calls of these three are 3 % of a resume and a yield) ---- */

/* How many results, which are on top of `L`, or one of the above. */
static inline int run(lua_State *L, lua_State *co, int arguments)
{
  bridge__guard *guard = bridge__guard_of(L);
  int results = 0;
  int pin = current(guard) != L || !lua_isyieldable(L);
  guard->pins += pin;
  lua_State *before = bridge__guard_switch(guard, co);
  int code = lua_resume(co, L, arguments, &results);
  guard->pins -= pin;
  bridge__guard_switch(guard, before);
  if (code > LUA_YIELD) {
    lua_xmove(co, L, 1);
    return FAILED;
  }
  if (code == LUA_YIELD && guard->unwinding) {
    return UNWINDING;
  }
  if (!lua_checkstack(L, results + 1)) {
    lua_pop(co, results);
    lua_pushliteral(L, "too many results to resume");
    return FAILED;
  }
  lua_xmove(co, L, results);
  return results;
}

static inline int start(lua_State *L, lua_State *co, int arguments)
{
  if (bridge__guard_killed(co)) {
    lua_pushliteral(L, "cannot resume dead coroutine");
    return FAILED;
  }
  if (!lua_checkstack(co, arguments)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  lua_xmove(L, co, arguments);
  return run(L, co, arguments);
}

static int resume_again(lua_State *L, int status, lua_KContext context);

static inline int end_resume(lua_State *L, int results)
{
  if (results == UNWINDING) {
    return stopping(bridge__guard_of(L))
               ? bridge__guard_abandon(L, resume_again)
               : lua_yieldk(L, 0, 0, resume_again);
  }
  if (results == FAILED) {
    if (stopping(bridge__guard_of(L))) {
      return bridge__guard_throw(L);
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  lua_pushboolean(L, 1);
  lua_insert(L, -(results + 1));
  return results + 1;
}

/* The driver goes on: the innermost coroutine continues in its hook. */
static int resume_again(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  (void)context;
  return end_resume(L, run(L, lua_tothread(L, 1), 0));
}

static int co_resume(lua_State *L)
{
  lua_State *co = check_coroutine(L);
  return end_resume(L, start(L, co, lua_gettop(L) - 1));
}

/* ---- Closing ---- */

/* Close its variables; the error, if there is one, is on top of it. */
static int reset(lua_State *L, lua_State *co)
{
  bridge__guard *guard = bridge__guard_of(L);
  if (guard->close_depth >= CLOSES_MAX) {
    return luaL_error(L, "C stack overflow");
  }
  guard->close_depth++;
  guard->pins++;
  lua_State *before = bridge__guard_switch(guard, co);
  int code =
      lua_resetthread(co); /* of all Lua 5.4; the C calls are counted here */
  guard->close_depth--;
  guard->pins--;
  bridge__guard_switch(guard, before);
  return code;
}

/* ---- Wrapping ---- */

static lua_State *wrapped(lua_State *L)
{
  return lua_tothread(L, lua_upvalueindex(1));
}

static int fail_wrapped(lua_State *L, lua_State *co)
{
  int code = lua_status(co);
  if (stopping(bridge__guard_of(L))) {
    return bridge__guard_throw(L);
  }
  if (code != LUA_OK && code != LUA_YIELD && !bridge__guard_killed(co)) {
    code = reset(L, co);
    lua_xmove(co, L, 1);
  }
  if (code != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext context);

static int end_wrapped(lua_State *L, int results)
{
  if (results == UNWINDING) {
    return stopping(bridge__guard_of(L)) ? bridge__guard_abandon(L, wrap_again)
                                         : lua_yieldk(L, 0, 0, wrap_again);
  }
  return results == FAILED ? fail_wrapped(L, wrapped(L)) : results;
}

static int wrap_again(lua_State *L, int status, lua_KContext context)
{
  (void)status;
  (void)context;
  return end_wrapped(L, run(L, wrapped(L), 0));
}

static int call_wrapped(lua_State *L)
{
  return end_wrapped(L, start(L, wrapped(L), lua_gettop(L)));
}

static int co_create(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int co_wrap(lua_State *L)
{
  co_create(L);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

/* ---- Asking ---- */

static const char *status_of(lua_State *L, lua_State *co)
{
  lua_Debug ar;
  if (L == co) {
    return "running";
  }
  switch (lua_status(co)) {
  case LUA_YIELD:
    return bridge__guard_killed(co) ? "dead" : "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar) != 0) {
      return "normal";
    }
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default:
    return "dead";
  }
}

static int co_status(lua_State *L)
{
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

static int co_close(lua_State *L)
{
  lua_State *co = check_coroutine(L);
  const char *status = status_of(L, co);
  if (status[0] != 'd' && status[0] != 's') {
    return luaL_error(L, "cannot close a %s coroutine", status);
  }
  if (bridge__guard_killed(co)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "cancelled");
    return 2;
  }
  if (reset(L, co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

/* Whether it stands for the main thread. */
static bool is_main(lua_State *L, const lua_State *co)
{
  /* Takes nothing: this thread wrote it. */
  for (const bridge__slice *each = atomic_load_explicit(
           &bridge__guard_of(L)->slice, memory_order_relaxed);
       each != NULL; each = each->before) {
    if (each->base == co) {
      return (each->manner & BRIDGE__LIKE_MAIN) != 0;
    }
  }
  return false;
}

static int co_running(lua_State *L)
{
  int main = lua_pushthread(L);
  lua_pushboolean(L, main != 0 || is_main(L, L));
  return 2;
}

static int co_isyieldable(lua_State *L)
{
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  lua_pushboolean(L, lua_isyieldable(co) && !is_main(L, co));
  return 1;
}

static int co_yield(lua_State *L)
{
  if (is_main(L, L)) {
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
    return lua_error(L);
  }
  return lua_yield(L, lua_gettop(L));
}

void bridge__coroutine_open(lua_State *L)
{
  static const luaL_Reg functions[] = {
      {"create", co_create}, {"resume", co_resume},
      {"wrap", co_wrap},     {"close", co_close},
      {"status", co_status}, {"running", co_running},
      {"yield", co_yield},   {"isyieldable", co_isyieldable},
      {NULL, NULL}};
  if (lua_getglobal(L, LUA_COLIBNAME) == LUA_TTABLE) {
    luaL_setfuncs(L, functions, 0);
  }
  lua_pop(L, 1);
}
