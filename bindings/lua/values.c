/* The calls that carry values: between packing and unpacking nothing may raise,
   so that no message is lost on the way. */
#include "face.h"

#include "lua/values.h"

#include <stdint.h>

/* ---- Values into messages --------------------------------------------------- */

/* The values from a stack index on.  What cannot cross is misuse, and raised with
   the path to it. */
static bridge_message *pack(lua_State *L, int first, const char *noun)
{
  int top = lua_gettop(L);
  bridge_message *message = NULL;
  bridge_status status = bridge_message_create(&message, 0);
  if (status != BRIDGE_OK) {
    luaL_error(L, "%s", bridge_status_text(status));
    return NULL;
  }
  status = bridge__pack_as(L, first, top - first + 1, message, noun);
  if (status != BRIDGE_OK) {
    bridge_message_release(message);
    bridge__face_where(L);
    lua_insert(L, -2);
    lua_concat(L, 2);
    lua_error(L);
    return NULL;
  }
  return message;
}

bridge_message *bridge__face_pack(lua_State *L, int first)
{
  return pack(L, first, "argument");
}

bridge_message *bridge__face_pack_request(lua_State *L, int first)
{
  return pack(L, first, bridge__argument_of_request);
}

/* The text is on top of the stack. */
int bridge__face_explained(lua_State *L, bridge_status status)
{
  int count = bridge__face_failure(L, status, NULL, NULL);
  /* text, nil, general text, code: ours in place of the general one. */
  lua_rotate(L, -count - 1, -1);
  lua_replace(L, -count);
  return count;
}

/* ---- Messages into values --------------------------------------------------- */

typedef struct reading {
  const bridge_message *message;
  bridge_status status;
  bool packed; /* one table with `n`, instead of a row */
} reading;

void bridge__face_pack_table(lua_State *L, int count)
{
  lua_createtable(L, count, 1);
  lua_insert(L, -count - 1);
  for (int i = count; i >= 1; i--) {
    lua_rawseti(L, -1 - i, i);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
}

/* Protected. */
static int read_values(lua_State *L)
{
  reading *wanted = lua_touserdata(L, 1);
  lua_settop(L, 0);
  int count = 0;
  wanted->status = bridge__unpack(L, wanted->message, &count);
  if (wanted->status != BRIDGE_OK) {
    return 1;
  }
  if (!wanted->packed) {
    return count;
  }
  luaL_checkstack(L, 4, NULL);
  bridge__face_pack_table(L, count);
  return 1;
}

static bool push_light(lua_State *L, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_INTEGER:
    lua_pushinteger(L, value->as.integer);
    return true;
  case BRIDGE_TYPE_FLOAT:
    lua_pushnumber(L, value->as.number);
    return true;
  case BRIDGE_TYPE_BOOLEAN:
    lua_pushboolean(L, value->as.boolean);
    return true;
  case BRIDGE_TYPE_NIL:
    lua_pushnil(L);
    return true;
  default:
    return false;
  }
}

/* Values that take no memory are pushed without protection, which costs more than
   they do.  False, and nothing is pushed, if there are others. */
static bool unpack_light(lua_State *L,
                         const bridge_message *message,
                         int *count)
{
  enum {
    MOST = 8,  /* values; every C function has room for more */
    WIDTH = 9, /* bytes of the longest of them */
  };
  size_t values = bridge_message_count(message);
  bridge_reader reader;
  if (values > MOST || bridge_message_size(message) > values * WIDTH ||
      bridge__get_limits(L) != NULL ||
      bridge_reader_init(&reader, message) != BRIDGE_OK) {
    return false;
  }
  int top = lua_gettop(L);
  for (size_t i = 0; i < values; i++) {
    bridge_value value;
    if (bridge_reader_next(&reader, &value) != BRIDGE_OK ||
        !push_light(L, &value)) {
      lua_settop(L, top);
      return false;
    }
  }
  *count = (int)values;
  return true;
}

bridge_status bridge__face_unpack(lua_State *L,
                                  const bridge_message *message,
                                  bool packed,
                                  int *count)
{
  if (!packed && unpack_light(L, message, count)) {
    return BRIDGE_OK;
  }
  reading wanted = {message, BRIDGE_OK, packed};
  int top = lua_gettop(L);
  lua_pushcfunction(L, read_values);
  lua_pushlightuserdata(L, &wanted);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
    return BRIDGE_ENOMEM;
  }
  *count = lua_gettop(L) - top;
  return wanted.status;
}

/* What a call has brought: its values, or why not.  Takes all of it. */
static int answered(lua_State *L,
                    bridge_worker *worker,
                    bridge_status status,
                    bridge_message *message,
                    bridge_error *error,
                    bool packed)
{
  if (status != BRIDGE_OK) {
    bridge_message_release(message);
    return bridge__face_failure(L, status, error, bridge_worker_name(worker));
  }
  int count = 0;
  status = bridge__face_unpack(L, message, packed, &count);
  bridge_message_release(message);
  return status == BRIDGE_OK ? count : bridge__face_explained(L, status);
}

/* ---- Queue and channel: pushing --------------------------------------------- */

static bridge_status put(bridge__face_inlet target,
                         bridge_message **message,
                         const int *timeout_ms)
{
  if (target.kind == BRIDGE_HANDLE_CHANNEL) {
    return timeout_ms == NULL ? bridge_channel_send(target.handle, message)
                              : bridge_channel_send_timeout(
                                    target.handle, message, *timeout_ms);
  }
  return timeout_ms == NULL
             ? bridge_queue_push(target.handle, message)
             : bridge_queue_push_timeout(target.handle, message, *timeout_ms);
}

static int push(lua_State *L, bridge_handle_kind kind)
{
  bridge__face_inlet target = {kind, bridge__face_self(L, kind)};
  bridge_message *message = bridge__face_pack(L, 2);
  bridge_status status = put(target, &message, NULL);
  bridge_message_release(message);
  return bridge__face_status(L, status);
}

static int push_timeout(lua_State *L, bridge_handle_kind kind)
{
  bridge__face_inlet target = {kind, bridge__face_self(L, kind)};
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_message *message = bridge__face_pack(L, 3);
  bridge_status status = put(target, &message, &timeout_ms);
  bridge_message_release(message);
  return bridge__face_status(L, status);
}

static int queue_push(lua_State *L)
{
  return push(L, BRIDGE_HANDLE_QUEUE);
}

static int queue_push_timeout(lua_State *L)
{
  return push_timeout(L, BRIDGE_HANDLE_QUEUE);
}

static int channel_send(lua_State *L)
{
  return push(L, BRIDGE_HANDLE_CHANNEL);
}

static int channel_send_timeout(lua_State *L)
{
  return push_timeout(L, BRIDGE_HANDLE_CHANNEL);
}

/* ---- Worker ------------------------------------------------------------------ */

/* The handler's name and the arguments, from an index on. */
static bridge_message *request(lua_State *L, int first)
{
  const char *name = NULL;
  size_t size = 0;
  if (!bridge__face_bytes(L, first, false, &name, &size)) {
    lua_error(L);
  }
  return bridge__face_pack_request(L, first);
}

static int call(lua_State *L, int first, int timeout_ms)
{
  bridge_worker *worker = bridge__face_self(L, BRIDGE_HANDLE_WORKER);
  bridge_message *asked = request(L, first);
  bridge_message *answer = NULL;
  bridge_error *error = NULL;
  bridge_status status =
      bridge_worker_call(worker, &asked, timeout_ms, &answer, &error);
  bridge_message_release(asked);
  return answered(L, worker, status, answer, error, false);
}

static int worker_call(lua_State *L)
{
  return call(L, 2, -1);
}

static int worker_call_timeout(lua_State *L)
{
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  return call(L, 3, timeout_ms);
}

static int send(lua_State *L, int first, int timeout_ms)
{
  bridge_worker *worker = bridge__face_self(L, BRIDGE_HANDLE_WORKER);
  bridge_message *asked = request(L, first);
  bridge_status status = bridge_worker_send(worker, &asked, timeout_ms);
  bridge_message_release(asked);
  return bridge__face_status(L, status);
}

static int worker_send(lua_State *L)
{
  return send(L, 2, -1);
}

static int worker_send_timeout(lua_State *L)
{
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  return send(L, 3, timeout_ms);
}

/* worker:request(answers, session, name, ...) */
static int worker_request(lua_State *L)
{
  bridge_worker *worker = bridge__face_self(L, BRIDGE_HANDLE_WORKER);
  bridge_queue *answers = bridge__face_check(L, 2, BRIDGE_HANDLE_QUEUE);
  lua_Integer session = 0;
  if (!bridge__face_integer(L, 3, LUA_MININTEGER, LUA_MAXINTEGER, &session)) {
    return lua_error(L);
  }
  bridge_message *asked = request(L, 4);
  bridge_status status =
      bridge_worker_request(worker, &asked, -1, answers, (uint64_t)session);
  bridge_message_release(asked);
  return bridge__face_status(L, status);
}

/* Behind the session.  What cannot be read here stays. */
static int push_results(lua_State *L,
                        bridge_queue *queue,
                        bridge_message *message)
{
  int count = 0;
  lua_pushboolean(L, 1);
  bridge_status status =
      bridge__face_received(L, (bridge__face_inlet){BRIDGE_HANDLE_QUEUE, queue},
                            message, false, &count);
  if (status == BRIDGE_OK) {
    return count + 2;
  }
  lua_pushboolean(L, 0);
  lua_replace(L, -3);
  count = bridge__face_explained(L, status);
  lua_remove(L, -count); /* its nil: `false` stands there */
  return count + 1;
}

/* Behind the session.  Takes the message. */
static int push_problem(lua_State *L,
                        bridge_message *message,
                        bridge_status status,
                        const bridge_error *error)
{
  lua_pushboolean(L, 0);
  /* The error outlives the message: it is shared, not changed. */
  bridge_error *kept = bridge_error_retain((bridge_error *)(uintptr_t)error);
  bridge_message_release(message);
  int count = bridge__face_failure(L, status, kept, NULL);
  lua_remove(L, -count); /* its nil: `false` stands there */
  return count + 1;
}

/* queue:pop_answer([timeout]): session, true, values...; or session, false,
   text, code, error, also of what cannot be read here, which stays; or nil, text,
   code. */
static int queue_pop_answer(lua_State *L)
{
  bridge_queue *queue = bridge__face_self(L, BRIDGE_HANDLE_QUEUE);
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_message *message = NULL;
  bridge_status status = bridge_queue_pop(queue, &message, timeout_ms);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  uint64_t session = 0;
  status = bridge_answer_session(message, &session);
  if (status != BRIDGE_OK) {
    bridge_queue_unpop(queue, &message);
    bridge_message_release(message);
    return bridge__face_status(L, status);
  }
  lua_pushinteger(L, (lua_Integer)session);
  const bridge_error *error = NULL;
  status = bridge_answer_error(message, &error);
  return status == BRIDGE_OK ? push_results(L, queue, message)
                             : push_problem(L, message, status, error);
}

static int next_values(lua_State *L, int first, int timeout_ms)
{
  bridge_worker *worker = bridge__face_self(L, BRIDGE_HANDLE_WORKER);
  bridge_message *values = bridge__face_pack(L, first);
  bridge_message *yielded = NULL;
  bridge_error *error = NULL;
  bridge_status status =
      bridge_worker_next(worker, &values, timeout_ms, &yielded, &error);
  bridge_message_release(values);
  return answered(L, worker, status, yielded, error, false);
}

/* worker:next(...) */
static int worker_next(lua_State *L)
{
  return next_values(L, 2, -1);
}

/* worker:next_timeout(seconds, ...) */
static int worker_next_timeout(lua_State *L)
{
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  if (lua_gettop(L) > 1) {
    lua_remove(L, 2);
  }
  return next_values(L, 2, timeout_ms);
}

static int join(lua_State *L, bool packed)
{
  bridge_worker *worker = bridge__face_self(L, BRIDGE_HANDLE_WORKER);
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_message *results = NULL;
  bridge_error *error = NULL;
  bridge_status status =
      bridge_worker_join(worker, timeout_ms, &results, &error);
  return answered(L, worker, status, results, error, packed);
}

static int worker_join(lua_State *L)
{
  return join(L, false);
}

static int worker_join_packed(lua_State *L)
{
  return join(L, true);
}

/* ---- Message ------------------------------------------------------------------ */

/* pack(...): a message object. */
static int pack_message(lua_State *L)
{
  bridge__face_give(L, BRIDGE__FACE_MESSAGE, bridge__face_pack(L, 1));
  return 1;
}

const luaL_Reg bridge__face_functions[] = {
    {"pack", pack_message},
    {"limits", bridge__limits},
    {"register", bridge__register},
    {"mark", bridge__mark},
    {NULL, NULL},
};

const luaL_Reg bridge__face_queue_methods[] = {
    {"push", queue_push},
    {"push_timeout", queue_push_timeout},
    {"pop_answer", queue_pop_answer},
    {NULL, NULL},
};

const luaL_Reg bridge__face_channel_methods[] = {
    {"send", channel_send},
    {"send_timeout", channel_send_timeout},
    {NULL, NULL},
};

const luaL_Reg bridge__face_worker_methods[] = {
    {"next", worker_next},
    {"next_timeout", worker_next_timeout},
    {"call", worker_call},
    {"call_timeout", worker_call_timeout},
    {"send", worker_send},
    {"send_timeout", worker_send_timeout},
    {"request", worker_request},
    {"join", worker_join},
    {"join_packed", worker_join_packed},
    {NULL, NULL},
};
