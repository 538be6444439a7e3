/* Hook: debug.sethook and debug.gethook, for scripts whose hooks stand beside ours.

   A C function around the functions of Lua would be one more level of the stack, and
   events of its own; so these are written anew.  As in Lua's library, the functions
   are in a table of the registry with the coroutines as its keys; masks and counts
   are in another one, since a kick of ours may have changed those of the
   coroutine. */
#include "lua/guard.h"

#include <lauxlib.h>
#include <lualib.h>

#include <string.h>

/* The name that Lua's own library uses. */
static const char functions[] = "_HOOKKEY";
/* Its address is the key of the masks. */
static const char masks = 0;

enum {
  MASK_BITS = 4 /* of what stands in the table of masks; the count is above */
};

static bool may_have_hooks(const bridge__guard *guard)
{
  return guard->user_hooks;
}

/* ---- For the safe point ---- */

int bridge__debug_mask(lua_State *L, int *count)
{
  lua_Integer both = 0;
  *count = 0;
  if (!may_have_hooks(bridge__guard_of(L)) || !lua_checkstack(L, 2)) {
    return 0;
  }
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &masks) == LUA_TTABLE) {
    lua_pushthread(L);
    lua_rawget(L, -2);
    both = lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  *count = (int)(both >> MASK_BITS);
  return (int)(both & ((1 << MASK_BITS) - 1));
}

static void call(lua_State *L, lua_Debug *ar)
{
  static const char *const names[] = {"call", "return", "line", "count",
                                      "tail call"};
  lua_getfield(L, LUA_REGISTRYINDEX, functions);
  lua_pushthread(L);
  if (lua_rawget(L, -2) == LUA_TFUNCTION) {
    lua_pushstring(L, names[ar->event]);
    if (ar->currentline >= 0) {
      lua_pushinteger(L, ar->currentline);
    } else {
      lua_pushnil(L);
    }
    lua_call(L, 2, 0);
  }
}

void bridge__debug_call(lua_State *L, lua_Debug *ar)
{
  int count = 0;
  int event = ar->event == LUA_HOOKTAILCALL ? LUA_HOOKCALL : ar->event;
  if ((bridge__debug_mask(L, &count) & (1 << event)) != 0) {
    call(L, ar);
  }
}

void bridge__debug_restore(lua_State *L)
{
  int count = 0;
  int mask = bridge__debug_mask(L, &count);
  lua_sethook(L, mask == 0 ? NULL : call, mask, count);
}

/* ---- For scripts ---- */

/* The coroutine that is meant, and how many arguments it takes. */
static lua_State *check_thread(lua_State *L, int *taken)
{
  *taken = lua_isthread(L, 1) ? 1 : 0;
  lua_State *thread = *taken != 0 ? lua_tothread(L, 1) : L;
  if (thread != L && !lua_checkstack(thread, 1)) {
    luaL_error(L, "stack overflow");
  }
  return thread;
}

static void push_thread(lua_State *L, lua_State *thread)
{
  lua_pushthread(thread);
  if (thread != L) {
    lua_xmove(thread, L, 1);
  }
}

/* A table whose keys it does not keep alive. */
static void push_table(lua_State *L, const char *name, const void *key)
{
  int type = name != NULL ? lua_getfield(L, LUA_REGISTRYINDEX, name)
                          : lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  if (type == LUA_TTABLE) {
    return;
  }
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, -1);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  if (name != NULL) {
    lua_setfield(L, LUA_REGISTRYINDEX, name);
  } else {
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
  }
}

static int parse_mask(const char *events, int count)
{
  int mask = strchr(events, 'c') != NULL ? LUA_MASKCALL : 0;
  mask |= strchr(events, 'r') != NULL ? LUA_MASKRET : 0;
  mask |= strchr(events, 'l') != NULL ? LUA_MASKLINE : 0;
  return count > 0 ? mask | LUA_MASKCOUNT : mask;
}

static int set(lua_State *L)
{
  bridge__guard *guard = bridge__guard_of(L);
  int taken = 0;
  int mask = 0;
  int count = 0;
  lua_State *thread = check_thread(L, &taken);
  if (lua_isnoneornil(L, taken + 1)) {
    lua_settop(L, taken + 1);
  } else {
    const char *events = luaL_checkstring(L, taken + 2);
    luaL_checktype(L, taken + 1, LUA_TFUNCTION);
    count = (int)luaL_optinteger(L, taken + 3, 0);
    mask = parse_mask(events, count);
  }
  push_table(L, functions, NULL);
  push_thread(L, thread);
  lua_pushvalue(L, taken + 1);
  lua_rawset(L, -3);
  push_table(L, NULL, &masks);
  push_thread(L, thread);
  lua_pushinteger(L, mask | ((lua_Integer)count << MASK_BITS));
  lua_rawset(L, -3);
  guard->user_hooks = true;
  lua_sethook(thread, mask == 0 ? NULL : call, mask, count);
  atomic_signal_fence(memory_order_seq_cst);
  /* Takes nothing: this thread's kicks write it. */
  if (atomic_load_explicit(&guard->attention, memory_order_relaxed) != 0) {
    bridge__guard_arm(guard);
  }
  return 0;
}

static int push_hook(lua_State *L, int mask, int count)
{
  char events[4];
  size_t size = 0;
  if ((mask & LUA_MASKCALL) != 0) {
    events[size++] = 'c';
  }
  if ((mask & LUA_MASKRET) != 0) {
    events[size++] = 'r';
  }
  if ((mask & LUA_MASKLINE) != 0) {
    events[size++] = 'l';
  }
  lua_pushlstring(L, events, size);
  lua_pushinteger(L, count);
  return 3;
}

/* The mask that the script has set on another coroutine, too. */
static int mask_of(lua_State *L, lua_State *thread, int *count)
{
  lua_Integer both = 0;
  push_table(L, NULL, &masks);
  push_thread(L, thread);
  lua_rawget(L, -2);
  both = lua_tointeger(L, -1);
  lua_pop(L, 2);
  *count = (int)(both >> MASK_BITS);
  return (int)(both & ((1 << MASK_BITS) - 1));
}

static int get(lua_State *L)
{
  int taken = 0;
  lua_State *thread = check_thread(L, &taken);
  lua_Hook hook = lua_gethook(thread);
  if (hook != NULL && hook != call && !bridge__guard_is_hook(hook)) {
    lua_pushliteral(L, "external hook");
    return push_hook(L, lua_gethookmask(thread), lua_gethookcount(thread));
  }
  int count = 0;
  int mask =
      may_have_hooks(bridge__guard_of(L)) ? mask_of(L, thread, &count) : 0;
  if (mask == 0) {
    luaL_pushfail(L);
    return 1;
  }
  push_table(L, functions, NULL);
  push_thread(L, thread);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  return push_hook(L, mask, count);
}

void bridge__debug_open(lua_State *L)
{
  static const luaL_Reg replaced[] = {
      {"sethook", set}, {"gethook", get}, {NULL, NULL}};
  if (lua_getglobal(L, LUA_DBLIBNAME) == LUA_TTABLE) {
    luaL_setfuncs(L, replaced, 0);
  }
  lua_pop(L, 1);
}
