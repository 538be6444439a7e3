/* The writer: appends values to the bytes of a message, always in the shortest
   form.  Each call first makes all the room it needs and then changes something,
   so that a call that fails has changed nothing. */
#include "message/codec.h"

#include <string.h>

/* In place of a header that is written when its container ends. */
#define ARRAY_ROOM    5
#define FUNCTION_ROOM 6

#define UNKNOWN UINT32_MAX

static bridge__open *innermost(const bridge_message *message)
{
  return message->depth == 0 ? NULL : &message->open[message->depth - 1];
}

static bool writable(const bridge_message *message)
{
  return message != NULL && message->envelope.kind == 0;
}

/* What an object begins with: the name of its class, the module that knows it. */
static bool admits_in_object(const bridge__open *open, bridge_type type)
{
  switch (open->written) {
  case 0:
    return type == BRIDGE_TYPE_STRING;
  case 1:
    return type == BRIDGE_TYPE_STRING || type == BRIDGE_TYPE_NIL;
  default:
    return open->type == BRIDGE_TYPE_OBJECT || type == BRIDGE_TYPE_ARRAY ||
           type == BRIDGE_TYPE_MAP;
  }
}

/* Whether a value of this type may come next. */
static inline bool admits(const bridge_message *message, bridge_type type)
{
  if (!writable(message)) {
    return false;
  }
  const bridge__open *open = innermost(message);
  if (open == NULL) {
    return true;
  }
  if (open->type == BRIDGE_TYPE_FUNCTION && open->written == 0) {
    return type == BRIDGE_TYPE_BINARY;
  }
  if (open->type >= BRIDGE_TYPE_OBJECT && !admits_in_object(open, type)) {
    return false;
  }
  return open->written < open->expected;
}

/* A value of this type is in the bytes now. */
static inline void count_value(bridge_message *message, bridge_type type)
{
  bridge__open *open = innermost(message);
  if (open == NULL) {
    message->count++;
    return;
  }
  if (open->type == BRIDGE_TYPE_FUNCTION && open->written > 0 &&
      type != BRIDGE_TYPE_UPVALUE) {
    message->upvalues++;
  }
  open->written++;
}

static void append(bridge_message *message, const void *data, size_t size)
{
  if (size > 0) {
    memcpy(message->data + message->size, data, size);
    message->size += size;
  }
}

/* Append a value whose header is ready. */
static bridge_status write_value(bridge_message *message,
                                 bridge_type type,
                                 const unsigned char *header,
                                 size_t header_size,
                                 const void *data,
                                 size_t size)
{
  if (!admits(message, type)) {
    return BRIDGE_EINVAL;
  }
  /* The size was checked, so the sum cannot overflow. */
  bridge_status status = bridge__message_reserve(message, header_size + size);
  if (status != BRIDGE_OK) {
    return status;
  }
  append(message, header, header_size);
  append(message, data, size);
  count_value(message, type);
  return BRIDGE_OK;
}

static bridge_status write_header(bridge_message *message,
                                  bridge_type type,
                                  const unsigned char *header,
                                  size_t size)
{
  return write_value(message, type, header, size, NULL, 0);
}

/* Nearly always there is room for any header and for what follows it: then both
   are written where they belong.  NULL if there is not, or if the value may not
   come here. */
static inline unsigned char *in_place(const bridge_message *message,
                                      bridge_type type,
                                      size_t size)
{
  bool room = admits(message, type) &&
              message->capacity - message->size >= BRIDGE__HEADER_MAX &&
              message->capacity - message->size - BRIDGE__HEADER_MAX >= size;
  return room ? message->data + message->size : NULL;
}

static bridge_status placed(bridge_message *message,
                            bridge_type type,
                            size_t size)
{
  message->size += size;
  count_value(message, type);
  return BRIDGE_OK;
}

static bridge_status write_byte(bridge_message *message,
                                bridge_type type,
                                unsigned char byte)
{
  unsigned char *at = in_place(message, type, 0);
  if (at == NULL) {
    return write_header(message, type, &byte, 1);
  }
  *at = byte;
  return placed(message, type, 1);
}

/* What is wrong with the bytes that a caller gave, if anything. */
static bridge_status check_bytes(const bridge_message *message,
                                 const void *data,
                                 size_t size)
{
  if (message == NULL || (data == NULL && size > 0)) {
    return BRIDGE_EINVAL;
  }
  return size > BRIDGE_SIZE_MAX ? BRIDGE_ELIMIT : BRIDGE_OK;
}

/* ---- Scalars ---------------------------------------------------------------- */

bridge_status bridge_message_write_nil(bridge_message *message)
{
  return write_byte(message, BRIDGE_TYPE_NIL, 0xc0);
}

bridge_status bridge_message_write_null(bridge_message *message)
{
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_extension(header, BRIDGE__EXTENSION_NULL, 0);
  return write_header(message, BRIDGE_TYPE_NULL, header, size);
}

bridge_status bridge_message_write_boolean(bridge_message *message, bool value)
{
  return write_byte(message, BRIDGE_TYPE_BOOLEAN, value ? 0xc3 : 0xc2);
}

bridge_status bridge_message_write_integer(bridge_message *message,
                                           int64_t value)
{
  unsigned char *at = in_place(message, BRIDGE_TYPE_INTEGER, 0);
  if (at != NULL) {
    return placed(message, BRIDGE_TYPE_INTEGER, bridge__put_integer(at, value));
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_integer(header, value);
  return write_header(message, BRIDGE_TYPE_INTEGER, header, size);
}

bridge_status bridge_message_write_float(bridge_message *message, double value)
{
  unsigned char *at = in_place(message, BRIDGE_TYPE_FLOAT, 0);
  if (at != NULL) {
    return placed(message, BRIDGE_TYPE_FLOAT, bridge__put_float(at, value));
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_float(header, value);
  return write_header(message, BRIDGE_TYPE_FLOAT, header, size);
}

bridge_status bridge_message_write_string(bridge_message *message,
                                          const char *data,
                                          size_t size)
{
  bridge_status status = check_bytes(message, data, size);
  if (status != BRIDGE_OK) {
    return status;
  }
  unsigned char *at = in_place(message, BRIDGE_TYPE_STRING, size);
  if (at != NULL && size > 0) {
    size_t begin = bridge__put_string(at, size);
    memcpy(at + begin, data, size);
    return placed(message, BRIDGE_TYPE_STRING, begin + size);
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t length = bridge__put_string(header, size);
  return write_value(message, BRIDGE_TYPE_STRING, header, length, data, size);
}

bridge_status bridge_message_write_binary(bridge_message *message,
                                          const void *data,
                                          size_t size)
{
  bridge_status status = check_bytes(message, data, size);
  if (status != BRIDGE_OK) {
    return status;
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t length = bridge__put_length(header, 0xc4, size);
  return write_value(message, BRIDGE_TYPE_BINARY, header, length, data, size);
}

bridge_status bridge_message_write_extension(bridge_message *message,
                                             int type,
                                             const void *data,
                                             size_t size)
{
  bool ours = type >= 0 && type < BRIDGE__EXTENSION_FIRST;
  if (ours || type < INT8_MIN || type > INT8_MAX) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = check_bytes(message, data, size);
  if (status != BRIDGE_OK) {
    return status;
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t length = bridge__put_extension(header, type, size);
  return write_value(message, BRIDGE_TYPE_EXTENSION, header, length, data,
                     size);
}

/* ---- Containers --------------------------------------------------------------- */

static bridge_status begin(bridge_message *message,
                           bridge_type type,
                           uint32_t expected,
                           const unsigned char *header,
                           size_t size)
{
  if (!admits(message, type)) {
    return BRIDGE_EINVAL;
  }
  if (message->depth == BRIDGE_DEPTH_MAX) {
    return BRIDGE_ELIMIT;
  }
  bridge_status status = bridge__message_reserve(message, size);
  if (status == BRIDGE_OK) {
    status = bridge__message_reserve_open(message);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  uint32_t start = (uint32_t)message->size;
  append(message, header, size);
  count_value(message, type);
  message->open[message->depth] =
      (bridge__open){.type = type, .start = start, .expected = expected};
  message->depth++;
  message->containers++;
  return BRIDGE_OK;
}

/* Every reader of a message that was not ended stumbles over these bytes. */
static const unsigned char room[FUNCTION_ROOM] = {
    BRIDGE__NO_TYPE, BRIDGE__NO_TYPE, BRIDGE__NO_TYPE,
    BRIDGE__NO_TYPE, BRIDGE__NO_TYPE, BRIDGE__NO_TYPE};

bridge_status bridge_message_begin_array(bridge_message *message, size_t count)
{
  if (count == BRIDGE_COUNT_UNKNOWN) {
    return begin(message, BRIDGE_TYPE_ARRAY, UNKNOWN, room, ARRAY_ROOM);
  }
  if (message == NULL) {
    return BRIDGE_EINVAL;
  }
  /* Each element has a byte at least. */
  if (count > BRIDGE_SIZE_MAX) {
    return BRIDGE_ELIMIT;
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_array(header, count);
  return begin(message, BRIDGE_TYPE_ARRAY, (uint32_t)count, header, size);
}

bridge_status bridge_message_begin_map(bridge_message *message, size_t count)
{
  if (count == BRIDGE_COUNT_UNKNOWN) {
    return begin(message, BRIDGE_TYPE_MAP, UNKNOWN, room, ARRAY_ROOM);
  }
  if (message == NULL) {
    return BRIDGE_EINVAL;
  }
  if (count > BRIDGE_SIZE_MAX / 2) {
    return BRIDGE_ELIMIT;
  }
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_map(header, count);
  return begin(message, BRIDGE_TYPE_MAP, (uint32_t)count * 2, header, size);
}

bridge_status bridge_message_begin_function(bridge_message *message,
                                            size_t upvalues)
{
  if (message == NULL) {
    return BRIDGE_EINVAL;
  }
  if (upvalues >= BRIDGE_SIZE_MAX) {
    return BRIDGE_ELIMIT;
  }
  unsigned char header[FUNCTION_ROOM + BRIDGE__HEADER_MAX];
  memcpy(header, room, FUNCTION_ROOM);
  size_t size = bridge__put_array(header + FUNCTION_ROOM, upvalues + 1);
  return begin(message, BRIDGE_TYPE_FUNCTION, (uint32_t)upvalues + 1, header,
               FUNCTION_ROOM + size);
}

bridge_status bridge_message_begin_object(bridge_message *message,
                                          bridge_type type,
                                          size_t values)
{
  bool instance = type == BRIDGE_TYPE_INSTANCE;
  if (message == NULL || (type != BRIDGE_TYPE_OBJECT && !instance) ||
      (instance && values != 1)) {
    return BRIDGE_EINVAL;
  }
  if (values >= BRIDGE_SIZE_MAX) {
    return BRIDGE_ELIMIT;
  }
  unsigned char header[FUNCTION_ROOM + BRIDGE__HEADER_MAX];
  memcpy(header, room, FUNCTION_ROOM);
  size_t size = bridge__put_array(header + FUNCTION_ROOM, values + 2);
  message->objects = true;
  return begin(message, type, (uint32_t)values + 2, header,
               FUNCTION_ROOM + size);
}

/* Put the header where room was left for it, and close the gap. */
static void settle(bridge_message *message,
                   size_t start,
                   size_t left,
                   const unsigned char *header,
                   size_t size)
{
  unsigned char *at = message->data + start;
  memcpy(at, header, size);
  memmove(at + size, at + left, message->size - start - left);
  message->size -= left - size;
}

/* What its bytes are wrapped in. */
static int extension_of(bridge_type type)
{
  switch (type) {
  case BRIDGE_TYPE_OBJECT:
    return BRIDGE__EXTENSION_OBJECT;
  case BRIDGE_TYPE_INSTANCE:
    return BRIDGE__EXTENSION_INSTANCE;
  default:
    return BRIDGE__EXTENSION_FUNCTION;
  }
}

/* The header of a container whose size or count is known only now. */
static void write_late_header(bridge_message *message, const bridge__open *open)
{
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = 0;
  size_t left = ARRAY_ROOM;
  switch (open->type) {
  case BRIDGE_TYPE_MAP:
    size = bridge__put_map(header, open->written / 2);
    break;
  case BRIDGE_TYPE_FUNCTION:
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    left = FUNCTION_ROOM;
    size = bridge__put_extension(header, extension_of(open->type),
                                 message->size - open->start - left);
    break;
  default:
    size = bridge__put_array(header, open->written);
    break;
  }
  settle(message, open->start, left, header, size);
}

bridge_status bridge_message_end(bridge_message *message)
{
  if (!writable(message) || message->depth == 0) {
    return BRIDGE_EINVAL;
  }
  const bridge__open *open = innermost(message);
  bool unknown = open->expected == UNKNOWN;
  if (!unknown && open->written != open->expected) {
    return BRIDGE_EINVAL;
  }
  if (open->type == BRIDGE_TYPE_MAP && open->written % 2 != 0) {
    return BRIDGE_EINVAL;
  }
  if (unknown || open->type >= BRIDGE_TYPE_FUNCTION) {
    write_late_header(message, open);
  }
  message->depth--;
  if (message->depth == 0) {
    bridge__message_trim_open(message);
  }
  return BRIDGE_OK;
}

/* ---- Things that were written before --------------------------------------------- */

static bridge_status write_index(bridge_message *message,
                                 bridge_type type,
                                 int extension,
                                 size_t index)
{
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_index(header, extension, index);
  return write_header(message, type, header, size);
}

bridge_status bridge_message_write_reference(bridge_message *message,
                                             size_t index)
{
  if (message == NULL || index >= message->containers) {
    return BRIDGE_EINVAL;
  }
  return write_index(message, BRIDGE_TYPE_REFERENCE,
                     BRIDGE__EXTENSION_REFERENCE, index);
}

bridge_status bridge_message_write_globals(bridge_message *message)
{
  unsigned char header[BRIDGE__HEADER_MAX];
  size_t size = bridge__put_extension(header, BRIDGE__EXTENSION_GLOBALS, 0);
  return write_header(message, BRIDGE_TYPE_GLOBALS, header, size);
}

bridge_status bridge_message_write_upvalue(bridge_message *message,
                                           size_t index)
{
  if (message == NULL || index >= message->upvalues) {
    return BRIDGE_EINVAL;
  }
  const bridge__open *open = innermost(message);
  if (open == NULL || open->type != BRIDGE_TYPE_FUNCTION) {
    return BRIDGE_EINVAL;
  }
  return write_index(message, BRIDGE_TYPE_UPVALUE, BRIDGE__EXTENSION_UPVALUE,
                     index);
}

/* ---- Things without bytes ---------------------------------------------------------- */

/* Make room for a slot and its index, so that write_slot cannot fail. */
static bridge_status prepare_slot(bridge_message *message, bridge_type type)
{
  if (!admits(message, type)) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = bridge__message_reserve(message, BRIDGE__HEADER_MAX);
  if (status != BRIDGE_OK) {
    return status;
  }
  return bridge__message_reserve_slots(message, 1);
}

static bridge_status write_slot(bridge_message *message, bridge__slot slot)
{
  size_t index = message->slot_count;
  message->slots[index] = slot;
  message->slot_count++;
  return write_index(message, slot.type, BRIDGE__EXTENSION_SLOT, index);
}

static bridge_status check_handle(const void *handle, bridge_handle_kind kind)
{
  if (handle == NULL) {
    return BRIDGE_EINVAL;
  }
  const bridge__object *object = handle;
  if (object->type->kind != kind) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(handle) ? BRIDGE_EFORKED : BRIDGE_OK;
}

bridge_status bridge_message_write_handle(bridge_message *message,
                                          bridge_handle_kind kind,
                                          void *handle)
{
  bridge_status status = check_handle(handle, kind);
  if (status == BRIDGE_OK) {
    status = prepare_slot(message, BRIDGE_TYPE_HANDLE);
  }
  if (status == BRIDGE_OK && kind == BRIDGE_HANDLE_BUFFER) {
    status = bridge_buffer_freeze(handle);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__slot slot = {.type = BRIDGE_TYPE_HANDLE, .kind = (int)kind};
  slot.as.pointer = bridge__retain(handle);
  return write_slot(message, slot);
}

bridge_status bridge_message_write_buffer(bridge_message *message,
                                          bridge_buffer *buffer)
{
  return bridge_message_write_handle(message, BRIDGE_HANDLE_BUFFER, buffer);
}

bridge_status bridge_message_write_light(bridge_message *message, void *pointer)
{
  bridge_status status = prepare_slot(message, BRIDGE_TYPE_POINTER);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__slot slot = {.type = BRIDGE_TYPE_POINTER,
                       .kind = BRIDGE_POINTER_LIGHT};
  slot.as.pointer = pointer;
  return write_slot(message, slot);
}

bridge_status bridge_message_write_cfunction(bridge_message *message,
                                             bridge_function *function)
{
  if (function == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = prepare_slot(message, BRIDGE_TYPE_POINTER);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__slot slot = {.type = BRIDGE_TYPE_POINTER,
                       .kind = BRIDGE_POINTER_CFUNCTION};
  slot.as.function = function;
  return write_slot(message, slot);
}

/* ---- Taking back --------------------------------------------------------------------- */

bridge_status bridge_message_truncate(bridge_message *message, size_t size)
{
  if (!writable(message)) {
    return BRIDGE_EINVAL;
  }
  size_t finished =
      message->depth == 0 ? message->size : message->open[0].start;
  if (size > finished) {
    return BRIDGE_EINVAL;
  }
  bridge__totals totals = {0};
  if (bridge__scan(message->data, size, true, &totals) != BRIDGE_OK) {
    return BRIDGE_EINVAL; /* in the middle of a value */
  }
  message->size = size;
  message->count = totals.count;
  message->containers = totals.containers;
  message->upvalues = totals.upvalues;
  message->depth = 0;
  bridge__message_trim_open(message);
  bridge__message_drop_slots(message, totals.slots);
  return BRIDGE_OK;
}
