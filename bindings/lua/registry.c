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

/* The references that a call of workers() or objects() has yet to hand on: an object,
   so that an error on the way drops them. */
typedef union slot {
  void *object;
  bridge_worker *worker;
} slot;

typedef struct found {
  size_t count;
  slot slots[];
} found;

static int drop_found(lua_State *L)
{
  found *list = lua_touserdata(L, 1);
  while (list->count > 0) {
    bridge_handle_release(list->slots[--list->count].object);
  }
  return 0;
}

static found *push_found(lua_State *L, size_t capacity)
{
  found *list =
      lua_newuserdatauv(L, sizeof *list + capacity * sizeof list->slots[0], 0);
  list->count = 0;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, drop_found);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return list;
}

typedef void lister(slot *slots, size_t capacity, size_t *count);

static void fill_workers(slot *slots, size_t capacity, size_t *count)
{
  bridge_workers(slots == NULL ? NULL : &slots->worker, capacity, count);
}

static void fill_objects(slot *slots, size_t capacity, size_t *count)
{
  bridge_objects(slots == NULL ? NULL : &slots->object, capacity, count);
}

/* All of them, as `found`, on the stack. */
static found *collect(lua_State *L, lister *fill)
{
  size_t count = 0;
  fill(NULL, 0, &count);
  for (;;) {
    size_t capacity = count + 8;
    found *list = push_found(L, capacity);
    fill(list->slots, capacity, &count);
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
  found *list = collect(L, fill_workers);
  lua_newtable(L);
  lua_Integer place = 1;
  for (size_t i = 0; i < list->count; i++) {
    bridge_worker_info info;
    bridge_worker_info_init(&info);
    bridge_worker *worker = bridge_worker_retain(list->slots[i].worker);
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

/* ---- Objects of any kind ---- */

/* From the first kind of handle on. */
static const char *const kinds[] = {"buffer", "queue", "waker",   "thread",
                                    "worker", "error", "channel", "counter",
                                    "flag",   "mutex", "timer",   NULL};

static const char *name_of(bridge_handle_kind kind)
{
  const size_t known = sizeof kinds / sizeof kinds[0] - 1;
  return kind > BRIDGE_HANDLE_NONE && (size_t)kind <= known ? kinds[kind - 1]
                                                            : NULL;
}

static void set_value(lua_State *L, const bridge_object_info *info)
{
  switch ((int)info->kind) {
  case BRIDGE_HANDLE_QUEUE:
  case BRIDGE_HANDLE_CHANNEL:
  case BRIDGE_HANDLE_WORKER:
    set_integer(L, "items", info->items);
    set_integer(L, "bytes", info->bytes);
    return;
  case BRIDGE_HANDLE_FLAG:
  case BRIDGE_HANDLE_MUTEX:
    lua_pushboolean(L, info->value != 0);
    lua_setfield(L, -2, "value");
    return;
  case BRIDGE_HANDLE_TIMER:
    if (info->target != 0) {
      set_integer(L, "target", info->target);
    }
    break;
  }
  lua_pushinteger(L, info->value);
  lua_setfield(L, -2, "value");
}

/* A table; `ours` references belong to this call, and to what it gives. */
static void push_object_info(lua_State *L,
                             const bridge_object_info *info,
                             size_t ours)
{
  lua_createtable(L, 0, 9);
  set_text(L, "kind", name_of(info->kind));
  set_integer(L, "id", info->id);
  set_text(L, "name", info->name);
  set_integer(L, "references", info->references - ours);
  lua_pushboolean(L, info->closed);
  lua_setfield(L, -2, "closed");
  set_value(L, info);
}

static bridge_status look_at(void *object, bridge_object_info *info)
{
  bridge_object_info_init(info);
  bridge_status status = bridge_object_look(object, info);
  return status == BRIDGE_OK && name_of(info->kind) == NULL ? BRIDGE_ETYPE
                                                            : status;
}

/* objects(): a list of tables as info() gives them, each with the `object`. */
static int objects(lua_State *L)
{
  lua_settop(L, 0);
  found *list = collect(L, fill_objects);
  lua_newtable(L);
  lua_Integer place = 1;
  for (size_t i = 0; i < list->count; i++) {
    bridge_object_info info;
    void *object = list->slots[i].object;
    if (look_at(object, &info) == BRIDGE_OK) {
      push_object_info(L, &info, 1);
      bridge__face_give(L, info.kind, bridge_handle_retain(object));
      lua_setfield(L, -2, "object");
      lua_rawseti(L, 2, place++);
    }
  }
  lua_settop(L, 2);
  drop_found(L);
  return 1;
}

/* Takes the reference.  Nil for none, and for one of another kind than is wanted. */
static int push_object(lua_State *L, void *object, bridge_handle_kind wanted)
{
  bridge_object_info info;
  if (object == NULL || look_at(object, &info) != BRIDGE_OK ||
      (wanted != BRIDGE_HANDLE_NONE && wanted != info.kind)) {
    bridge_handle_release(object);
    lua_pushnil(L);
  } else {
    bridge__face_give(L, info.kind, object);
  }
  return 1;
}

/* find_object(name or number [, kind]): the object, or nil. */
static int find_object(lua_State *L)
{
  const char *name = NULL;
  lua_Integer id = 0;
  int wanted = -1; /* any */
  if (!lua_isnoneornil(L, 2) && !bridge__face_choice(L, 2, kinds, &wanted)) {
    return lua_error(L);
  }
  const bridge_handle_kind kind = (bridge_handle_kind)(wanted + 1);
  if (lua_type(L, 1) == LUA_TSTRING) {
    if (!bridge__face_text(L, 1, &name)) {
      return lua_error(L);
    }
    return push_object(L, bridge_object_find(kind, name), kind);
  }
  if (!bridge__face_integer(L, 1, LUA_MININTEGER, LUA_MAXINTEGER, &id)) {
    return lua_error(L);
  }
  return push_object(L, bridge_object_find_id((uint64_t)id), kind);
}

/* ---- Methods of them ----
   Functions of C without upvalues, since those with some do not cross. */

/* The first argument, which is of the kind that the last one names. */
static void *check_object(lua_State *L, int last)
{
  int place = 0;
  if (!bridge__face_choice(L, last, kinds, &place)) {
    lua_error(L);
  }
  return bridge__face_check(L, 1, (bridge_handle_kind)(place + 1));
}

/* object_info(object, kind) */
static int object_info(lua_State *L)
{
  bridge_object_info info;
  bridge_status status = look_at(check_object(L, 2), &info);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  push_object_info(L, &info, 1);
  return 1;
}

/* set_name(object, name, kind): nil for none. */
static int set_name(lua_State *L)
{
  void *object = check_object(L, 3);
  const char *name = NULL;
  if (!bridge__face_text(L, 2, &name)) {
    return lua_error(L);
  }
  return bridge__face_status(L, bridge_object_set_name(object, name));
}

/* timer:close() */
static int timer_close(lua_State *L)
{
  bridge_timer *timer = bridge__face_check(L, 1, BRIDGE_HANDLE_TIMER);
  return bridge__face_status(L, bridge_object_close(timer));
}

const luaL_Reg bridge__face_timer_methods[] = {
    {"close", timer_close},
    {NULL, NULL},
};

const luaL_Reg bridge__face_registry[] = {
    {"workers", workers},
    {"find", find},
    {"objects", objects},
    {"find_object", find_object},
    {"object_info", object_info},
    {"set_name", set_name},
    {NULL, NULL},
};

const luaL_Reg bridge__face_registry_methods[] = {
    {"info", worker_info}, {"traceback", worker_traceback}, {NULL, NULL}};
