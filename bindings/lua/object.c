/* Handles as Lua sees them: full userdata, one metatable for each kind. */
#include "face.h"

#include "lua/values.h"

#include <stdint.h>
#include <string.h>

typedef struct object {
  bridge_handle_kind kind;
  /* One reference, ours; NULL once it was released. */
  union {
    void *handle;
    bridge_message *message;
  };
} object;

/* Its address, which stands in a metatable at [1], tells our objects from others:
   no script can make a light userdata.  (At an index, since that is found faster
   than under a key.) */
static const char marker;

static bool is_ours(lua_State *L, int metatable)
{
  lua_rawgeti(L, metatable, 1);
  return lua_touserdata(L, -1) == (const void *)&marker;
}

static const struct kind {
  bridge_handle_kind kind;
  const char *name;
} kinds[] = {
    {BRIDGE_HANDLE_BUFFER, "bridge.Buffer"},
    {BRIDGE_HANDLE_QUEUE, "bridge.Queue"},
    {BRIDGE_HANDLE_WAKER, "bridge.Waker"},
    {BRIDGE_HANDLE_THREAD, "bridge.Thread"},
    {BRIDGE_HANDLE_WORKER, "bridge.Worker"},
    {BRIDGE_HANDLE_ERROR, "bridge.Error"},
    {BRIDGE_HANDLE_CHANNEL, "bridge.Channel"},
    {BRIDGE_HANDLE_COUNTER, "bridge.Counter"},
    {BRIDGE_HANDLE_FLAG, "bridge.Flag"},
    {BRIDGE_HANDLE_MUTEX, "bridge.Mutex"},
    {BRIDGE_HANDLE_TIMER, "bridge.Timer"},
    {BRIDGE__FACE_MESSAGE, "bridge.Message"},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *name_of(bridge_handle_kind kind)
{
  for (size_t i = 0; i < KINDS; i++) {
    if (kinds[i].kind == kind) {
      return kinds[i].name;
    }
  }
  return NULL;
}

static void release(bridge_handle_kind kind, void *handle)
{
  if (kind == BRIDGE__FACE_MESSAGE) {
    bridge_message_release(handle);
  } else {
    bridge_handle_release(handle);
  }
}

/* ---- From the stack ------------------------------------------------------- */

/* NULL if something else stands there.  Never raises. */
static object *object_at(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TUSERDATA || !lua_checkstack(L, 2) ||
      !lua_getmetatable(L, index)) {
    return NULL;
  }
  bool ours = is_ours(L, -1);
  lua_pop(L, 2);
  return ours ? lua_touserdata(L, index) : NULL;
}

static bridge_handle_kind get(lua_State *L, int index, void **handle)
{
  object *found = object_at(L, index);
  if (found == NULL || found->kind == BRIDGE__FACE_MESSAGE) {
    *handle = NULL;
    return BRIDGE_HANDLE_NONE;
  }
  *handle = found->handle;
  return found->kind;
}

bridge_handle_kind bridge__face_kind(lua_State *L, int index, void **handle)
{
  return get(L, index, handle);
}

static object *expect(lua_State *L, int index, bridge_handle_kind kind)
{
  object *found = object_at(L, index);
  if (found != NULL && found->kind == kind && found->handle != NULL) {
    return found;
  }
  if (found != NULL && found->kind == kind) {
    const char *text = "%s expected, got one that was released";
    text = lua_pushfstring(L, text, name_of(kind));
    bridge__face_wrong(L, index, text);
    return NULL;
  }
  const char *actual = luaL_typename(L, index);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
    actual = lua_tostring(L, -1);
  }
  const char *text =
      lua_pushfstring(L, "%s expected, got %s", name_of(kind), actual);
  bridge__face_wrong(L, index, text);
  return NULL;
}

bool bridge__face_handle(lua_State *L,
                         int index,
                         bridge_handle_kind kind,
                         void *out)
{
  object *found = expect(L, index, kind);
  if (found == NULL) {
    return false;
  }
  *(void **)out = found->handle;
  return true;
}

void *bridge__face_check(lua_State *L, int index, bridge_handle_kind kind)
{
  object *found = expect(L, index, kind);
  if (found == NULL) {
    lua_error(L);
    return NULL;
  }
  return found->handle;
}

void *bridge__face_self(lua_State *L, bridge_handle_kind kind)
{
  if (lua_getmetatable(L, 1)) {
    bool ours = is_ours(L, -1);
    lua_pop(L, 2);
    const object *found = ours ? lua_touserdata(L, 1) : NULL;
    if (found != NULL && found->kind == kind && found->handle != NULL) {
      return found->handle;
    }
  }
  return bridge__face_check(L, 1, kind);
}

bool bridge__face_message(lua_State *L, int index, bridge_message ***out)
{
  object *found = expect(L, index, BRIDGE__FACE_MESSAGE);
  if (found == NULL) {
    return false;
  }
  *out = &found->message;
  return true;
}

/* ---- Onto the stack ------------------------------------------------------- */

/* While a state closes, Lua finalizes nothing that is new: the reference would
   never be dropped. */
static void check_open(lua_State *L)
{
  lua_getfield(L, LUA_REGISTRYINDEX, BRIDGE__CLOSING);
  const bool *closing = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (closing != NULL && *closing) {
    luaL_error(L, "the state is closing: it makes no objects any more");
  }
}

/* An object without a handle. */
static object *push_empty(lua_State *L, bridge_handle_kind kind)
{
  check_open(L);
  object *made = lua_newuserdatauv(L, sizeof(*made), 0);
  made->kind = kind;
  made->handle = NULL;
  luaL_setmetatable(L, name_of(kind));
  return made;
}

static void push(lua_State *L, bridge_handle_kind kind, void *handle)
{
  if (name_of(kind) == NULL || kind == BRIDGE__FACE_MESSAGE) {
    luaL_error(L, "handle of unknown kind %d", (int)kind);
    return;
  }
  luaL_checkstack(L, 3, NULL);
  object *made = push_empty(L, kind);
  made->handle = bridge_handle_retain(handle);
}

static int give(lua_State *L)
{
  object *source = lua_touserdata(L, 1);
  object *made = push_empty(L, source->kind);
  made->handle = source->handle;
  return 1;
}

/* Drop what was just made, and what the script will never see: a worker on a
   thread of its own would run on, and nobody could end it. */
static void drop_unseen(bridge_handle_kind kind, void *handle)
{
  if (kind == BRIDGE_HANDLE_WORKER) {
    bridge_worker_cancel(handle, BRIDGE_STOP_DEFAULT, 0);
  }
  release(kind, handle);
}

void bridge__face_give(lua_State *L, bridge_handle_kind kind, void *handle)
{
  if (handle == NULL) {
    lua_pushnil(L);
    return;
  }
  object source = {.kind = kind, .handle = handle};
  lua_pushcfunction(L, give);
  lua_pushlightuserdata(L, &source);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    drop_unseen(kind, handle);
    lua_error(L);
  }
}

/* ---- Metamethods ---------------------------------------------------------- */

/* Also __close of what has nothing to close.  A second time it does nothing. */
static int collect(lua_State *L)
{
  object *found = object_at(L, 1);
  if (found != NULL && found->handle != NULL) {
    void *handle = found->handle;
    found->handle = NULL;
    release(found->kind, handle);
  }
  return 0;
}

static int equal(lua_State *L)
{
  const object *a = object_at(L, 1);
  const object *b = object_at(L, 2);
  lua_pushboolean(L, a != NULL && b != NULL && a->kind == b->kind &&
                         a->handle == b->handle);
  return 1;
}

/* What is said of one behind its name and its address. */
static void describe_more(lua_State *L, const object *found)
{
  void *handle = found->handle;
  const char *closed = "";
  switch ((int)found->kind) {
  case BRIDGE_HANDLE_CHANNEL:
    closed =
        bridge_channel_closed(handle, BRIDGE_CHANNEL_SENDING) ? ", closed" : "";
    lua_pushfstring(L, " (%I messages%s)",
                    (LUAI_UACINT)bridge_channel_count(handle), closed);
    break;
  case BRIDGE_HANDLE_COUNTER:
    closed = bridge_counter_closed(handle) ? ", closed" : "";
    lua_pushfstring(L, " (%I%s)", (LUAI_UACINT)bridge_counter_get(handle),
                    closed);
    break;
  case BRIDGE_HANDLE_FLAG:
    closed = bridge_flag_closed(handle) ? ", closed" : "";
    lua_pushfstring(L, " (%s%s)",
                    bridge_flag_is_set(handle) ? "set" : "not set", closed);
    break;
  case BRIDGE_HANDLE_MUTEX:
    closed = bridge_mutex_closed(handle) ? ", closed" : "";
    lua_pushfstring(L, " (%s%s)",
                    bridge_mutex_locked(handle) ? "locked" : "unlocked",
                    closed);
    break;
  case BRIDGE_HANDLE_TIMER:
    lua_pushfstring(L, " (%s, %I posted)",
                    bridge_timer_active(handle) ? "active" : "ended",
                    (LUAI_UACINT)bridge_timer_posted(handle));
    break;
  default:
    lua_pushliteral(L, "");
    break;
  }
}

static int describe(lua_State *L)
{
  const object *found = object_at(L, 1);
  if (found == NULL) {
    return luaL_error(L, "an object of the bridge expected");
  }
  const char *name = name_of(found->kind);
  if (found->handle == NULL) {
    lua_pushfstring(L, "%s: released", name);
  } else if (found->kind == BRIDGE_HANDLE_WORKER) {
    const bridge_worker *worker = found->handle;
    lua_pushfstring(L, "%s: %s (%s)", name, bridge_worker_name(worker),
                    bridge__face_phases[bridge_worker_phase_of(worker)]);
  } else if (found->kind == BRIDGE_HANDLE_QUEUE) {
    const bridge_queue *queue = found->handle;
    lua_pushfstring(L, "%s: %p (%I messages%s)", name, found->handle,
                    (LUAI_UACINT)bridge_queue_count(queue),
                    bridge_queue_closed(queue) ? ", closed" : "");
  } else if (found->kind == BRIDGE_HANDLE_BUFFER) {
    const bridge_buffer *buffer = found->handle;
    lua_pushfstring(L, "%s: %p (%I bytes%s)", name, found->handle,
                    (LUAI_UACINT)bridge_buffer_size(buffer),
                    bridge_buffer_frozen(buffer) ? ", frozen" : "");
  } else if (found->kind == BRIDGE_HANDLE_WAKER) {
    int kind = (int)bridge_waker_kind_of(found->handle);
    lua_pushfstring(L, "%s: %p (%s)", name, found->handle,
                    bridge__face_waker_kinds[kind]);
  } else {
    lua_pushfstring(L, "%s: %p", name, found->handle);
    describe_more(L, found);
    lua_concat(L, 2);
  }
  return 1;
}

static int length(lua_State *L)
{
  const object *found = object_at(L, 1);
  if (found == NULL || found->handle == NULL) {
    return luaL_error(L, "the object was released");
  }
  size_t size = 0;
  switch ((int)found->kind) {
  case BRIDGE_HANDLE_QUEUE:
    size = bridge_queue_count(found->handle);
    break;
  case BRIDGE_HANDLE_CHANNEL:
    size = bridge_channel_count(found->handle);
    break;
  case BRIDGE_HANDLE_BUFFER:
    size = bridge_buffer_size(found->handle);
    break;
  default:
    return luaL_error(L, "%s has no length", name_of(found->kind));
  }
  lua_pushinteger(L, (lua_Integer)size);
  return 1;
}

/* Leaving the scope of `<close>`, also because of an error: so nothing here
   raises. */
static int close_scope(lua_State *L)
{
  const object *found = object_at(L, 1);
  if (found == NULL || found->handle == NULL) {
    return 0;
  }
  switch ((int)found->kind) {
  case BRIDGE_HANDLE_QUEUE:
    bridge_queue_close(found->handle);
    return 0;
  case BRIDGE_HANDLE_CHANNEL:
    bridge_channel_close(found->handle, BRIDGE_CHANNEL_SENDING);
    return 0;
  case BRIDGE_HANDLE_TIMER:
    bridge_timer_cancel(found->handle);
    return 0;
  case BRIDGE_HANDLE_COUNTER:
    bridge_counter_close(found->handle);
    return 0;
  case BRIDGE_HANDLE_FLAG:
    bridge_flag_close(found->handle);
    return 0;
  case BRIDGE_HANDLE_MUTEX:
    bridge_mutex_close(found->handle);
    return 0;
  case BRIDGE_HANDLE_WAKER:
    bridge_waker_close(found->handle);
    return 0;
  case BRIDGE_HANDLE_WORKER:
    bridge_worker_close(found->handle, -1);
    return 0;
  default:
    return collect(L);
  }
}

/* worker.name and worker.id; all else is a method. */
static int worker_index(lua_State *L)
{
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
    return 1;
  }
  const object *found = object_at(L, 1);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (found == NULL || found->kind != BRIDGE_HANDLE_WORKER) {
    return 1;
  }
  if (strcmp(key, "name") == 0) {
    lua_pushstring(L, bridge_worker_name(found->handle));
  } else if (strcmp(key, "id") == 0) {
    lua_pushinteger(L, (lua_Integer)bridge_worker_id(found->handle));
  }
  return 1;
}

static const luaL_Reg metamethods[] = {
    {"__gc", collect}, {"__close", close_scope}, {"__eq", equal},
    {"__len", length}, {"__tostring", describe}, {NULL, NULL},
};

static const bridge__handles handles = {push, get};

/* ---- Metatables ----------------------------------------------------------- */

/* Also if it is there already: an opening that found no memory left it half made. */
static void make_metatable(lua_State *L, const struct kind *kind)
{
  luaL_newmetatable(L, kind->name);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&marker);
  lua_rawseti(L, -2, 1);
  /* Scripts do not reach into it. */
  lua_pushstring(L, kind->name);
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  if (kind->kind == BRIDGE_HANDLE_WORKER) {
    lua_pushcclosure(L, worker_index, 1);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void bridge__face_objects(lua_State *L)
{
  for (size_t i = 0; i < KINDS; i++) {
    make_metatable(L, &kinds[i]);
  }
}

void bridge__face_ready(lua_State *L)
{
  bridge__set_handles(L, &handles);
}

void bridge__face_methods(lua_State *L, bridge_handle_kind kind)
{
  luaL_getmetatable(L, name_of(kind));
  lua_getfield(L, -1, "methods");
  lua_remove(L, -2);
}
