/* Mutexes as Lua wants them: guards for `<close>`, and with(). */
#include "face.h"

#include <string.h>

#define GUARD "bridge.Guard"

/* ---- lock ----------------------------------------------------------------- */

/* true; true, "abandoned"; or nil, text, code. */
static int locked(lua_State *L, bridge_status status, bool abandoned)
{
  if (status == BRIDGE_EBUSY) {
    lua_pushliteral(L, "somebody has the mutex");
    return bridge__face_explained(L, status);
  }
  if (status != BRIDGE_OK || !abandoned) {
    return bridge__face_status(L, status);
  }
  lua_pushboolean(L, 1);
  lua_pushliteral(L, "abandoned");
  return 2;
}

static int mutex_lock(lua_State *L)
{
  bridge_mutex *mutex = bridge__face_self(L, BRIDGE_HANDLE_MUTEX);
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bool abandoned = false;
  bridge_status status = bridge_mutex_lock(mutex, timeout_ms, &abandoned);
  return locked(L, status, abandoned);
}

/* true; or nil, text, code. */
static int unlocked(lua_State *L, bridge_status status)
{
  if (status != BRIDGE_EINVAL) {
    return bridge__face_status(L, status);
  }
  lua_pushliteral(L, "who does not have the mutex cannot unlock it");
  return bridge__face_explained(L, status);
}

static int mutex_unlock(lua_State *L)
{
  bridge_mutex *mutex = bridge__face_self(L, BRIDGE_HANDLE_MUTEX);
  return unlocked(L, bridge_mutex_unlock(mutex));
}

static int mutex_abandon(lua_State *L)
{
  bridge_mutex *mutex = bridge__face_self(L, BRIDGE_HANDLE_MUTEX);
  return unlocked(L, bridge_mutex_abandon(mutex));
}

/* ---- guard ---------------------------------------------------------------- */

/* One reference, and the lock, until it is closed; NULL then. */
typedef struct guard {
  bridge_mutex *mutex;
} guard;

static bridge_mutex *take(lua_State *L)
{
  guard *self = luaL_checkudata(L, 1, GUARD);
  bridge_mutex *mutex = self->mutex;
  self->mutex = NULL;
  return mutex;
}

/* Leaving the scope, also because of an error: so nothing here raises. */
static int guard_close(lua_State *L)
{
  bridge_mutex *mutex = take(L);
  if (mutex != NULL) {
    bridge_mutex_unlock(mutex);
    bridge_mutex_release(mutex);
  }
  return 0;
}

/* Its scope was never left: its coroutine was stopped. */
static int guard_collect(lua_State *L)
{
  bridge_mutex *mutex = take(L);
  if (mutex != NULL) {
    bridge_mutex_abandon(mutex);
    bridge_mutex_release(mutex);
  }
  return 0;
}

static int guard_describe(lua_State *L)
{
  const guard *self = luaL_checkudata(L, 1, GUARD);
  lua_pushfstring(L, "%s: %s", GUARD,
                  self->mutex == NULL ? "unlocked" : "locked");
  return 1;
}

static guard *push_guard(lua_State *L)
{
  static const luaL_Reg metamethods[] = {
      {"__close", guard_close},
      {"__gc", guard_collect},
      {"__tostring", guard_describe},
      {NULL, NULL},
  };
  static const luaL_Reg methods[] = {{"unlock", guard_close}, {NULL, NULL}};
  guard *made = lua_newuserdatauv(L, sizeof *made, 0);
  made->mutex = NULL;
  luaL_newmetatable(L, GUARD); /* perhaps half made: see object.c */
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, GUARD);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  return made;
}

/* mutex:guard([timeout]): a guard; a guard, "abandoned"; or, with a timeout, nil, text,
   code: without one it raises, since a scope whose guard is nil would run.  It is made
   before the mutex is locked, so that nothing can fail in between. */
static int mutex_guard(lua_State *L)
{
  bridge_mutex *mutex = bridge__face_self(L, BRIDGE_HANDLE_MUTEX);
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  const bool for_ever = lua_isnoneornil(L, 2);
  guard *made = push_guard(L);
  bool abandoned = false;
  bridge_status status = bridge_mutex_lock(mutex, timeout_ms, &abandoned);
  if (status != BRIDGE_OK && for_ever) {
    return luaL_error(L, "no guard: %s", bridge_status_text(status));
  }
  if (status != BRIDGE_OK) {
    return locked(L, status, false);
  }
  made->mutex = bridge_mutex_retain(mutex);
  if (!abandoned) {
    return 1;
  }
  lua_pushliteral(L, "abandoned");
  return 2;
}

/* ---- with ------------------------------------------------------------------- */

/* The guard stands at 1; above it what the function gave, or its error. */
static int with_finish(lua_State *L, int status, lua_KContext context)
{
  (void)context;
  guard_close(L);
  if (status != LUA_OK && status != LUA_YIELD) {
    return lua_error(L);
  }
  return lua_gettop(L) - 1;
}

/* mutex:with(function, ...): its results.  What it raises is raised, after the mutex
   was unlocked.  It may yield. */
static int mutex_with(lua_State *L)
{
  bridge_mutex *mutex = bridge__face_self(L, BRIDGE_HANDLE_MUTEX);
  luaL_checkany(L, 2);
  guard *made = push_guard(L);
  bridge_status status = bridge_mutex_lock(mutex, -1, NULL);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  made->mutex = bridge_mutex_retain(mutex);
  lua_replace(L, 1);
  int arguments = lua_gettop(L) - 2;
  int result = lua_pcallk(L, arguments, LUA_MULTRET, 0, 0, with_finish);
  return with_finish(L, result, 0);
}

/* ---- Counter ------------------------------------------------------------------ */

static const char *const relations[] = {">=", "<=", "==", "~=", NULL};

/* counter:wait(relation, number [, timeout]): the number; or nil, text, code. */
static int counter_wait(lua_State *L)
{
  bridge_counter *counter = bridge__face_self(L, BRIDGE_HANDLE_COUNTER);
  int relation = 0;
  int timeout_ms = 0;
  lua_Integer value = 0;
  if (!bridge__face_choice(L, 2, relations, &relation) ||
      !bridge__face_integer(L, 3, LUA_MININTEGER, LUA_MAXINTEGER, &value) ||
      !bridge__face_seconds(L, 4, &timeout_ms)) {
    return lua_error(L);
  }
  int64_t seen = 0;
  bridge_status status = bridge_counter_wait(counter, (bridge_relation)relation,
                                             value, timeout_ms, &seen);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  lua_pushinteger(L, seen);
  return 1;
}

/* counter:exchange(expected, number): true; or false and what it is instead. */
static int counter_exchange(lua_State *L)
{
  bridge_counter *counter = bridge__face_self(L, BRIDGE_HANDLE_COUNTER);
  lua_Integer expected = 0;
  lua_Integer value = 0;
  if (!bridge__face_integer(L, 2, LUA_MININTEGER, LUA_MAXINTEGER, &expected) ||
      !bridge__face_integer(L, 3, LUA_MININTEGER, LUA_MAXINTEGER, &value)) {
    return lua_error(L);
  }
  int64_t seen = expected;
  bridge_status status = bridge_counter_exchange(counter, &seen, value);
  if (status != BRIDGE_EBUSY) {
    return bridge__face_status(L, status);
  }
  lua_pushboolean(L, 0);
  lua_pushinteger(L, seen);
  return 2;
}

const luaL_Reg bridge__face_mutex_methods[] = {
    {"lock", mutex_lock},       {"unlock", mutex_unlock},
    {"abandon", mutex_abandon}, {"guard", mutex_guard},
    {"with", mutex_with},       {NULL, NULL},
};

const luaL_Reg bridge__face_counter_methods[] = {
    {"wait", counter_wait},
    {"exchange", counter_exchange},
    {NULL, NULL},
};
