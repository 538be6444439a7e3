/* Taking messages out of queues and channels: what cannot be read in this state
   goes back to the front, so that it is not lost. */
#include "face.h"

#include "lua/values.h"

#include <stdint.h>

#define BATCH_MAX 256

/* ---- Queues and channels ------------------------------------------------------ */

static bridge__face_inlet self(lua_State *L, bridge_handle_kind kind)
{
  return (bridge__face_inlet){kind, bridge__face_self(L, kind)};
}

static bridge_status take(bridge__face_inlet from,
                          bridge_message **out,
                          int timeout_ms)
{
  return from.kind == BRIDGE_HANDLE_CHANNEL
             ? bridge_channel_receive(from.handle, out, timeout_ms)
             : bridge_queue_pop(from.handle, out, timeout_ms);
}

static bridge_status take_some(bridge__face_inlet from,
                               bridge_message **out,
                               size_t capacity,
                               size_t *count,
                               int timeout_ms)
{
  return from.kind == BRIDGE_HANDLE_CHANNEL
             ? bridge_channel_receive_batch(from.handle, out, capacity, count,
                                            timeout_ms)
             : bridge_queue_pop_batch(from.handle, out, capacity, count,
                                      timeout_ms);
}

/* Refused only where nobody can receive any more. */
static void put_back(bridge__face_inlet to, bridge_message **message)
{
  if (to.kind == BRIDGE_HANDLE_CHANNEL) {
    bridge_channel_unreceive(to.handle, message);
  } else {
    bridge_queue_unpop(to.handle, message);
  }
  bridge_message_release(*message);
}

static size_t count_in(bridge__face_inlet from)
{
  return from.kind == BRIDGE_HANDLE_CHANNEL ? bridge_channel_count(from.handle)
                                            : bridge_queue_count(from.handle);
}

static bridge_status look_at(bridge__face_inlet from, bridge_message **out)
{
  return from.kind == BRIDGE_HANDLE_CHANNEL
             ? bridge_channel_peek(from.handle, out)
             : bridge_queue_peek(from.handle, out);
}

/* ---- One message -------------------------------------------------------------- */

bridge_status bridge__face_received(lua_State *L,
                                    bridge__face_inlet from,
                                    bridge_message *message,
                                    bool packed,
                                    int *count)
{
  bridge_status status = bridge__face_unpack(L, message, packed, count);
  if (status != BRIDGE_OK) {
    put_back(from, &message);
    return status;
  }
  bridge_message_release(message);
  return BRIDGE_OK;
}

static int pop(lua_State *L, bridge_handle_kind kind, bool packed)
{
  bridge__face_inlet from = self(L, kind);
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_message *message = NULL;
  bridge_status status = take(from, &message, timeout_ms);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  int count = 0;
  status = bridge__face_received(L, from, message, packed, &count);
  return status == BRIDGE_OK ? count : bridge__face_explained(L, status);
}

/* Read a copy. */
static int peek(lua_State *L, bridge_handle_kind kind, bool packed)
{
  bridge__face_inlet from = self(L, kind);
  bridge_message *copy = NULL;
  bridge_status status = look_at(from, &copy);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  int count = 0;
  status = bridge__face_unpack(L, copy, packed, &count);
  bridge_message_release(copy);
  return status == BRIDGE_OK ? count : bridge__face_explained(L, status);
}

/* Free the oldest message without reading it: true; false if there is none. */
static int discard(lua_State *L, bridge_handle_kind kind)
{
  bridge__face_inlet from = self(L, kind);
  bridge_message *message = NULL;
  bridge_status status = take(from, &message, 0);
  bridge_message_release(message);
  if (status != BRIDGE_OK && status != BRIDGE_EEMPTY) {
    return bridge__face_status(L, status);
  }
  lua_pushboolean(L, status == BRIDGE_OK);
  return 1;
}

/* ---- Several ------------------------------------------------------------------- */

typedef struct batch {
  bridge_message *messages[BATCH_MAX];
  size_t count;
  size_t used; /* those before it are in the list */
  bridge_status status;
} batch;

/* Protected: a list with room for so many. */
static int make_list(lua_State *L)
{
  lua_createtable(L, (int)lua_tointeger(L, 1), 0);
  return 1;
}

/* Protected: put those that can be read into the list, which is the first argument
   and so survives an error; if one could not be read, its text. */
static int read_batch(lua_State *L)
{
  batch *all = lua_touserdata(L, 2);
  while (all->used < all->count) {
    int count = 0;
    bridge_message *message = all->messages[all->used];
    lua_settop(L, 2);
    all->status = bridge__unpack(L, message, &count);
    if (all->status != BRIDGE_OK) {
      return 1;
    }
    luaL_checkstack(L, 4, NULL);
    bridge__face_pack_table(L, count);
    lua_rawseti(L, 1, (lua_Integer)all->used + 1);
    all->used++;
    bridge_message_release(message);
  }
  return 0;
}

/* The list is on top of the stack. */
static int fill_list(lua_State *L, bridge__face_inlet from, batch *all)
{
  int list = lua_gettop(L);
  lua_pushcfunction(L, read_batch);
  lua_pushvalue(L, list);
  lua_pushlightuserdata(L, all);
  if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
    all->status = BRIDGE_ENOMEM;
  }
  while (all->count > all->used) { /* in the order in which they were */
    put_back(from, &all->messages[--all->count]);
  }
  if (all->used > 0) {
    lua_settop(L, list); /* the turn of the others comes with the next pop */
    return 1;
  }
  return bridge__face_explained(L, all->status);
}

static int pop_batch(lua_State *L, bridge_handle_kind kind)
{
  bridge__face_inlet from = self(L, kind);
  lua_Integer limit = 64;
  int timeout_ms = 0;
  if ((!lua_isnoneornil(L, 2) &&
       !bridge__face_integer(L, 2, 1, LUA_MAXINTEGER, &limit)) ||
      !bridge__face_seconds(L, 3, &timeout_ms)) {
    return lua_error(L);
  }
  size_t capacity = limit < BATCH_MAX ? (size_t)limit : BATCH_MAX;
  size_t there = count_in(from);
  lua_settop(L, 3);
  lua_pushcfunction(L, make_list);
  lua_pushinteger(L, (lua_Integer)(there < capacity ? there : capacity));
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    return bridge__face_explained(L, BRIDGE_ENOMEM);
  }
  batch all;
  all.used = 0;
  all.status = take_some(from, all.messages, capacity, &all.count, timeout_ms);
  if (all.status != BRIDGE_OK) {
    return bridge__face_status(L, all.status);
  }
  return fill_list(L, from, &all);
}

/* ---- Loops ---------------------------------------------------------------------- */

/* Whether a loop over values can show this message: `for` ends at nil. */
static bool begins_with_value(const bridge_message *message)
{
  bridge_reader reader;
  bridge_value value;
  return bridge_reader_init(&reader, message) == BRIDGE_OK &&
         bridge_reader_next(&reader, &value) == BRIDGE_OK &&
         value.type != BRIDGE_TYPE_NIL;
}

/* Iterators: wait for the next message; the loop ends when the queue is closed
   and empty.  Other failures are raised: a loop has no place to return them. */
static int next_message(lua_State *L, bridge_handle_kind kind, bool packed)
{
  bridge__face_inlet from = self(L, kind);
  bridge_message *message = NULL;
  bridge_status status = take(from, &message, -1);
  if (status == BRIDGE_ECLOSED) {
    return 0;
  }
  if (status != BRIDGE_OK) {
    return luaL_error(L, "%s", bridge_status_text(status));
  }
  if (!packed && !begins_with_value(message)) {
    put_back(from, &message);
    return luaL_error(L, "a message that begins with nil would end the loop: "
                         "use messages() or pop_packed()");
  }
  int count = 0;
  status = bridge__face_received(L, from, message, packed, &count);
  return status == BRIDGE_OK ? count : lua_error(L);
}

/* ---- Select ---------------------------------------------------------------------- */

enum {
  FEW = 32 /* sources that need no memory of their own */
};

/* What a list names; raises if it is something else.  The list stays on the stack,
   and so what is in it lives. */
static void check_source(lua_State *L, bridge_select_item *item, size_t place)
{
  lua_rawgeti(L, 1, (lua_Integer)place + 1);
  item->kind = bridge__face_kind(L, -1, &item->handle);
  if ((item->kind != BRIDGE_HANDLE_QUEUE &&
       item->kind != BRIDGE_HANDLE_CHANNEL) ||
      item->handle == NULL) {
    bridge__face_wrong(
        L, 1,
        lua_pushfstring(L, "item %d is no bridge.Queue or bridge.Channel",
                        (int)place + 1));
    lua_error(L);
  }
  lua_pop(L, 1);
}

static int not_selected(lua_State *L, bridge_status status)
{
  if (status != BRIDGE_EBUSY) {
    return bridge__face_status(L, status);
  }
  lua_pushliteral(L,
                  "another thread is popping one of the queues, or one is in "
                  "the list twice");
  return bridge__face_explained(L, status);
}

/* select(list [, timeout]): place, values...; or nil, text, code. */
static int select_one(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  const size_t count = lua_rawlen(L, 1);
  if (count == 0) {
    bridge__face_wrong(L, 1, "a queue or a channel expected in the list");
    return lua_error(L);
  }
  int timeout_ms = 0;
  if (!bridge__face_seconds(L, 2, &timeout_ms)) {
    return lua_error(L);
  }
  bridge_select_item few[FEW];
  bridge_select_item *items = few;
  if (count > FEW) {
    luaL_argcheck(L, count < SIZE_MAX / sizeof *items, 1, "too many");
    items = lua_newuserdatauv(L, count * sizeof *items, 0);
  }
  for (size_t i = 0; i < count; i++) {
    check_source(L, &items[i], i);
  }
  size_t index = 0;
  bridge_message *message = NULL;
  bridge_status status =
      bridge_select(items, count, timeout_ms, &index, &message);
  if (status != BRIDGE_OK) {
    return not_selected(L, status);
  }
  lua_rawgeti(L, 1, (lua_Integer)index + 1);
  lua_replace(L, 1); /* it lives while the values are read */
  lua_pushinteger(L, (lua_Integer)index + 1);
  int values = 0;
  status = bridge__face_received(
      L, (bridge__face_inlet){items[index].kind, items[index].handle}, message,
      false, &values);
  return status == BRIDGE_OK ? values + 1 : bridge__face_explained(L, status);
}

/* ---- Names ------------------------------------------------------------------------ */

#define RECEIVING(NOUN, KIND)                                                  \
  static int NOUN##_pop(lua_State *L)                                          \
  {                                                                            \
    return pop(L, KIND, false);                                                \
  }                                                                            \
  static int NOUN##_pop_packed(lua_State *L)                                   \
  {                                                                            \
    return pop(L, KIND, true);                                                 \
  }                                                                            \
  static int NOUN##_pop_batch(lua_State *L)                                    \
  {                                                                            \
    return pop_batch(L, KIND);                                                 \
  }                                                                            \
  static int NOUN##_peek(lua_State *L)                                         \
  {                                                                            \
    return peek(L, KIND, false);                                               \
  }                                                                            \
  static int NOUN##_peek_packed(lua_State *L)                                  \
  {                                                                            \
    return peek(L, KIND, true);                                                \
  }                                                                            \
  static int NOUN##_discard(lua_State *L)                                      \
  {                                                                            \
    return discard(L, KIND);                                                   \
  }                                                                            \
  static int NOUN##_next_value(lua_State *L)                                   \
  {                                                                            \
    return next_message(L, KIND, false);                                       \
  }                                                                            \
  static int NOUN##_next_packed(lua_State *L)                                  \
  {                                                                            \
    return next_message(L, KIND, true);                                        \
  }

RECEIVING(queue, BRIDGE_HANDLE_QUEUE)
RECEIVING(channel, BRIDGE_HANDLE_CHANNEL)

const luaL_Reg bridge__face_queue_receiving[] = {
    {"pop", queue_pop},
    {"pop_packed", queue_pop_packed},
    {"pop_batch", queue_pop_batch},
    {"peek", queue_peek},
    {"peek_packed", queue_peek_packed},
    {"discard", queue_discard},
    {"next_value", queue_next_value},
    {"next_packed", queue_next_packed},
    {NULL, NULL},
};

const luaL_Reg bridge__face_channel_receiving[] = {
    {"receive", channel_pop},
    {"receive_packed", channel_pop_packed},
    {"receive_batch", channel_pop_batch},
    {"peek", channel_peek},
    {"peek_packed", channel_peek_packed},
    {"discard", channel_discard},
    {"next_value", channel_next_value},
    {"next_packed", channel_next_packed},
    {NULL, NULL},
};

const luaL_Reg bridge__face_selecting[] = {
    {"select", select_one},
    {NULL, NULL},
};
