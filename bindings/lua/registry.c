/* Which workers there are, and what each is doing, as tables. */
#include "face.h"

#include <stdio.h>

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *value)
{
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, int64_t ns)
{
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, name);
}

/* A table of what is in it. */
static void push_info(lua_State *L, const bridge_worker_info *info)
{
  lua_createtable(L, 0, 16);
  set_text(L, "name", info->name);
  set_integer(L, "id", info->id);
  set_text(L, "phase", bridge__face_phases[info->phase]);
  lua_pushboolean(L, info->paused);
  lua_setfield(L, -2, "paused");
  set_text(L, "running", info->running);
  set_seconds(L, "running_time", info->running_ns);
  set_seconds(L, "cpu_time", info->cpu_ns);
  set_integer(L, "memory_used", info->memory_used);
  set_integer(L, "memory_peak", info->memory_peak);
  set_integer(L, "memory_limit", info->memory_limit);
  set_integer(L, "inbox_items", info->inbox_items);
  set_integer(L, "inbox_bytes", info->inbox_bytes);
  set_integer(L, "messages", info->messages);
  set_integer(L, "errors", info->errors);
  set_integer(L, "dropped", info->dropped);
}

/* worker:info() */
static int worker_info(lua_State *L)
{
  bridge_worker *worker = bridge__face_check(L, 1, BRIDGE_HANDLE_WORKER);
  bridge_worker_info info;
  bridge_worker_info_init(&info);
  bridge_status status = bridge_worker_look(worker, &info);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  push_info(L, &info);
  return 1;
}

/* worker:traceback([timeout]): text, as a debugger shows it. */
static int worker_traceback(lua_State *L)
{
  bridge_worker *worker = bridge__face_check(L, 1, BRIDGE_HANDLE_WORKER);
  int timeout_ms = 1000;
  if (!lua_isnoneornil(L, 2) && !bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_error *where = NULL;
  bridge_status status = bridge_worker_traceback(worker, timeout_ms, &where);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  char text
      [16384]; /* pushing may raise, so it is not the error that is pushed */
  const bridge_error *outer = bridge_error_cause(where);
  snprintf(text, sizeof text, "%s\n%s%s%s", bridge_error_text(where, NULL),
           bridge_error_traceback(where),
           outer == NULL ? "" : "\nresumed by:\n",
           bridge_error_traceback(outer));
  bridge_error_release(where);
  lua_pushstring(L, text);
  return 1;
}

/* The references that a call of workers() has yet to hand on: an object, so that
   an error on the way drops them. */
typedef struct found {
  size_t count;
  bridge_worker *workers[];
} found;

static int drop_found(lua_State *L)
{
  found *list = lua_touserdata(L, 1);
  while (list->count > 0) {
    bridge_worker_release(list->workers[--list->count]);
  }
  return 0;
}

static found *push_found(lua_State *L, size_t capacity)
{
  found *list = lua_newuserdatauv(
      L, sizeof *list + capacity * sizeof list->workers[0], 0);
  list->count = 0;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, drop_found);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return list;
}

/* All of them, as `found`, on the stack. */
static found *collect(lua_State *L)
{
  size_t count = 0;
  bridge_workers(NULL, 0, &count);
  for (;;) {
    size_t capacity = count + 8;
    found *list = push_found(L, capacity);
    bridge_workers(list->workers, capacity, &count);
    list->count = count < capacity ? count : capacity;
    if (count <= capacity) {
      return list;
    }
    lua_pop(L, 1); /* some more were made meanwhile */
  }
}

/* Gives the reference away. */
static void push_one(lua_State *L, bridge_worker *worker)
{
  bridge__face_give(L, BRIDGE_HANDLE_WORKER, worker);
}

/* workers(): a list of tables as info() gives them, each with the `worker`. */
static int workers(lua_State *L)
{
  lua_settop(L, 0);
  found *list = collect(L);
  lua_newtable(L);
  lua_Integer place = 1;
  for (size_t i = 0; i < list->count; i++) {
    bridge_worker_info info;
    bridge_worker_info_init(&info);
    bridge_worker *worker = bridge_worker_retain(list->workers[i]);
    push_one(L, worker); /* on the stack it is safe */
    if (bridge_worker_look(worker, &info) == BRIDGE_OK) {
      push_info(L, &info);
      lua_insert(L, -2);
      lua_setfield(L, -2, "worker");
      lua_rawseti(L, 2, place++);
    } else {
      lua_pop(L, 1);
    }
  }
  lua_settop(L, 2);
  drop_found(L); /* the first value: at once, not when it is collected */
  return 1;
}

/* find(name or number): the worker, or nil. */
static int find(lua_State *L)
{
  bridge_worker *worker = NULL;
  if (lua_type(L, 1) == LUA_TSTRING) {
    const char *name = NULL;
    if (!bridge__face_text(L, 1, &name)) {
      return lua_error(L);
    }
    worker = bridge_worker_find(name);
  } else {
    lua_Integer id = 0;
    if (!bridge__face_integer(L, 1, LUA_MININTEGER, LUA_MAXINTEGER, &id)) {
      return lua_error(L);
    }
    worker = bridge_worker_find_id((uint64_t)id);
  }
  push_one(L, worker); /* nil for none */
  return 1;
}

const luaL_Reg bridge__face_registry[] = {
    {"workers", workers}, {"find", find}, {NULL, NULL}};

const luaL_Reg bridge__face_registry_methods[] = {
    {"info", worker_info}, {"traceback", worker_traceback}, {NULL, NULL}};
