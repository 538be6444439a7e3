/* Functions and handles, when packing comes to them. */
#include "lua/objects.h"
#include "lua/pack.h"

#include <string.h>

/* ---- Functions ---- */

static bool grow_dump(bridge__packer *p, size_t size)
{
  size_t capacity = (p->dump_size + size) * 2;
  bridge_buffer *block = NULL;
  char *dump = bridge__pack_allocate(&block, capacity);
  if (dump == NULL) {
    return false;
  }
  if (p->dump_size > 0) {
    memcpy(dump, p->dump, p->dump_size);
  }
  bridge__pack_replace(&p->dump_block, block);
  p->dump = dump;
  p->dump_capacity = capacity;
  return true;
}

static int write_dump(lua_State *L, const void *data, size_t size, void *user)
{
  (void)L;
  bridge__packer *p = user;
  if (size > BRIDGE_SIZE_MAX - p->dump_size) {
    return 1;
  }
  if (size > p->dump_capacity - p->dump_size && !grow_dump(p, size)) {
    return 1;
  }
  if (size > 0) {
    memcpy(p->dump + p->dump_size, data, size);
    p->dump_size += size;
  }
  return 0;
}

static bridge_status dump_function(bridge__packer *p, int index)
{
  p->dump_size = 0;
  lua_pushvalue(p->L, index);
  int failed = lua_dump(p->L, write_dump, p, 0);
  lua_pop(p->L, 1);
  return failed ? BRIDGE_ENOMEM : BRIDGE_OK;
}

static size_t count_upvalues(lua_State *L, int index)
{
  int count = 0;
  while (lua_getupvalue(L, index, count + 1) != NULL) {
    lua_pop(L, 1);
    count++;
  }
  return (size_t)count;
}

static bridge_status pack_c_function(bridge__packer *p, int index)
{
  if (count_upvalues(p->L, index) != 0) {
    return bridge__pack_refuse(p, "a C function with upvalues cannot cross");
  }
  bridge_function *function = (bridge_function *)lua_tocfunction(p->L, index);
  return bridge_message_write_cfunction(p->message, function);
}

bridge_status bridge__pack_function(bridge__packer *p, int index)
{
  if (lua_iscfunction(p->L, index)) {
    return pack_c_function(p, index);
  }
  size_t number = 0;
  if (bridge__seen_find(&p->containers, lua_topointer(p->L, index), &number)) {
    return bridge_message_write_reference(p->message, number);
  }
  bridge_status status = bridge__pack_deeper(p);
  if (status != BRIDGE_OK) {
    return status;
  }
  size_t upvalues = count_upvalues(p->L, index);
  status = bridge__pack_add(p, upvalues);
  if (status == BRIDGE_OK) {
    status = dump_function(p, index);
  }
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_function(p->message, upvalues);
  }
  if (status == BRIDGE_OK) {
    status = bridge_message_write_binary(p->message, p->dump, p->dump_size);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  return bridge__pack_begun(p, BRIDGE_TYPE_FUNCTION, index,
                            (lua_Integer)upvalues);
}

/* ---- Handles ---- */

/* A userdata of somebody else, which may be the object of a class. */
static bridge_status pack_foreign(bridge__packer *p, int index)
{
  const void *identity = lua_topointer(p->L, index);
  size_t number = 0;
  if (bridge__seen_find(&p->containers, identity, &number)) {
    return bridge__pack_reference(p, identity, number);
  }
  if (!lua_getmetatable(p->L, index)) {
    return bridge__pack_refuse(p, "a userdata cannot cross");
  }
  bridge__class class = bridge__class_of(p->L);
  if (class == BRIDGE__CLASS_UNKNOWN) {
    return bridge__pack_again(p, PREPARED);
  }
  if (class != BRIDGE__CLASS_OBJECT) {
    return bridge__pack_refuse(p, "a userdata cannot cross");
  }
  bridge_status status = bridge__pack_deeper(p);
  return status == BRIDGE_OK ? bridge__pack_begin_object(p, index) : status;
}

bridge_status bridge__pack_userdata(bridge__packer *p, int index)
{
  bridge_handle_kind kind = BRIDGE_HANDLE_NONE;
  void *handle = NULL;
  const bridge__handles *handles = bridge__get_handles(p->L);
  if (handles != NULL) {
    kind = handles->get(p->L, index, &handle);
  }
  if (kind == BRIDGE_HANDLE_NONE) {
    return pack_foreign(p, index);
  }
  if (handle == NULL) {
    return bridge__pack_refuse(p, "a handle that was released cannot cross");
  }
  bridge_status status = bridge_message_write_handle(p->message, kind, handle);
  if (status == BRIDGE_EBUSY) {
    p->reason = "a buffer that is being written cannot cross";
  }
  return status;
}
