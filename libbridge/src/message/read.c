/* The reader: walks the bytes of a message.  They were written by us or checked
   when they came in, and yet nothing here reads behind their end. */
#include "message/codec.h"

#include <math.h>
#include <string.h>

/* ---- One value ---------------------------------------------------------------- */

/* How the values whose first byte is 0xc0 to 0xdf are built. */
typedef enum form {
  FORM_NONE,
  FORM_NIL,
  FORM_FALSE,
  FORM_TRUE,
  FORM_UNSIGNED,
  FORM_SIGNED,
  FORM_FLOAT,
  FORM_STRING,
  FORM_BINARY,
  FORM_EXTENSION,
  FORM_FIXED_EXTENSION,
  FORM_ARRAY,
  FORM_MAP
} form;

/* `width` is the bytes of the number, length or count; of a fixed extension it is
   the size. */
static const struct {
  unsigned char form;
  unsigned char width;
} forms[32] = {
    {FORM_NIL, 0},
    {FORM_NONE, 0},
    {FORM_FALSE, 0},
    {FORM_TRUE, 0},
    {FORM_BINARY, 1},
    {FORM_BINARY, 2},
    {FORM_BINARY, 4},
    {FORM_EXTENSION, 1},
    {FORM_EXTENSION, 2},
    {FORM_EXTENSION, 4},
    {FORM_FLOAT, 4},
    {FORM_FLOAT, 8},
    {FORM_UNSIGNED, 1},
    {FORM_UNSIGNED, 2},
    {FORM_UNSIGNED, 4},
    {FORM_UNSIGNED, 8},
    {FORM_SIGNED, 1},
    {FORM_SIGNED, 2},
    {FORM_SIGNED, 4},
    {FORM_SIGNED, 8},
    {FORM_FIXED_EXTENSION, 1},
    {FORM_FIXED_EXTENSION, 2},
    {FORM_FIXED_EXTENSION, 4},
    {FORM_FIXED_EXTENSION, 8},
    {FORM_FIXED_EXTENSION, 16},
    {FORM_STRING, 1},
    {FORM_STRING, 2},
    {FORM_STRING, 4},
    {FORM_ARRAY, 2},
    {FORM_ARRAY, 4},
    {FORM_MAP, 2},
    {FORM_MAP, 4},
};

/* What is left of the bytes while one value is taken apart. */
typedef struct cursor {
  const unsigned char *at;
  size_t left;
} cursor;

static bool take(cursor *c, size_t size, const unsigned char **out)
{
  if (size > c->left) {
    return false;
  }
  *out = c->at;
  c->at += size;
  c->left -= size;
  return true;
}

/* In the order of networks; compilers make one load and one swap of each. */
static uint64_t number32(const unsigned char *bytes)
{
  return (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 |
         (uint64_t)bytes[2] << 8 | (uint64_t)bytes[3];
}

static uint64_t number64(const unsigned char *bytes)
{
  return (uint64_t)bytes[0] << 56 | (uint64_t)bytes[1] << 48 |
         (uint64_t)bytes[2] << 40 | (uint64_t)bytes[3] << 32 |
         (uint64_t)bytes[4] << 24 | (uint64_t)bytes[5] << 16 |
         (uint64_t)bytes[6] << 8 | (uint64_t)bytes[7];
}

static bool take_number(cursor *c, size_t width, uint64_t *out)
{
  const unsigned char *bytes = NULL;
  if (!take(c, width, &bytes)) {
    return false;
  }
  switch (width) {
  case 1:
    *out = bytes[0];
    return true;
  case 2:
    *out = (uint64_t)bytes[0] << 8 | (uint64_t)bytes[1];
    return true;
  case 4:
    *out = number32(bytes);
    return true;
  default:
    *out = number64(bytes);
    return true;
  }
}

static bool take_bytes(cursor *c,
                       uint64_t size,
                       bridge_type type,
                       bridge_value *value)
{
  const unsigned char *bytes = NULL;
  if (size > c->left || !take(c, (size_t)size, &bytes)) {
    return false;
  }
  value->type = type;
  value->as.bytes.data = (const char *)bytes;
  value->as.bytes.size = (size_t)size;
  return true;
}

static bool take_extension(cursor *c, uint64_t size, bridge_value *value)
{
  const unsigned char *type = NULL;
  if (!take(c, 1, &type)) {
    return false;
  }
  value->kind = *type < 128 ? *type : *type - 256;
  return take_bytes(c, size, BRIDGE_TYPE_EXTENSION, value);
}

/* A count that cannot fit what is left is refused here, before anybody makes room
   for it. */
static bool take_container(cursor *c,
                           uint64_t count,
                           bridge_type type,
                           bridge__item *item)
{
  size_t each = type == BRIDGE_TYPE_MAP ? 2 : 1;
  if (count > c->left / each) {
    return false;
  }
  item->value.type = type;
  item->value.as.count = (size_t)count;
  item->children = (size_t)count * each;
  return true;
}

static void set_unsigned(bridge_value *value, uint64_t number)
{
  if (number > INT64_MAX) {
    value->type = BRIDGE_TYPE_UNSIGNED;
    value->as.unsigned_integer = number;
  } else {
    value->type = BRIDGE_TYPE_INTEGER;
    value->as.integer = (int64_t)number;
  }
}

static void set_signed(bridge_value *value, uint64_t number, size_t width)
{
  /* Copy the sign bit upwards. */
  uint64_t sign = (uint64_t)1 << (8 * width - 1);
  uint64_t bits = (number ^ sign) - sign;
  value->type = BRIDGE_TYPE_INTEGER;
  memcpy(&value->as.integer, &bits, sizeof bits);
}

static void set_float(bridge_value *value, uint64_t number, size_t width)
{
  value->type = BRIDGE_TYPE_FLOAT;
  if (width == 8) {
    memcpy(&value->as.number, &number, sizeof number);
    return;
  }
  uint32_t bits = (uint32_t)number;
  float single = 0;
  memcpy(&single, &bits, sizeof bits);
  value->as.number = (double)single;
}

static void set_boolean(bridge_value *value, bool boolean)
{
  value->type = BRIDGE_TYPE_BOOLEAN;
  value->as.boolean = boolean;
}

/* The values whose header has a width: a number, a length or a count. */
static bool take_wide(cursor *c, form how, size_t width, bridge__item *item)
{
  bridge_value *value = &item->value;
  uint64_t number = 0;
  if (!take_number(c, width, &number)) {
    return false;
  }
  switch (how) {
  case FORM_UNSIGNED:
    set_unsigned(value, number);
    return true;
  case FORM_SIGNED:
    set_signed(value, number, width);
    return true;
  case FORM_FLOAT:
    set_float(value, number, width);
    return true;
  case FORM_STRING:
    return take_bytes(c, number, BRIDGE_TYPE_STRING, value);
  case FORM_BINARY:
    return take_bytes(c, number, BRIDGE_TYPE_BINARY, value);
  case FORM_EXTENSION:
    return take_extension(c, number, value);
  case FORM_ARRAY:
    return take_container(c, number, BRIDGE_TYPE_ARRAY, item);
  default:
    return take_container(c, number, BRIDGE_TYPE_MAP, item);
  }
}

static bool take_by_form(cursor *c, unsigned first, bridge__item *item)
{
  form how = (form)forms[first - 0xc0].form;
  size_t width = forms[first - 0xc0].width;
  switch (how) {
  case FORM_NONE:
    return false;
  case FORM_NIL:
    item->value.type = BRIDGE_TYPE_NIL;
    return true;
  case FORM_FALSE:
  case FORM_TRUE:
    set_boolean(&item->value, how == FORM_TRUE);
    return true;
  case FORM_FIXED_EXTENSION:
    return take_extension(c, width, &item->value);
  default:
    return take_wide(c, how, width, item);
  }
}

static bool take_value(cursor *c, bridge__item *item)
{
  const unsigned char *byte = NULL;
  if (!take(c, 1, &byte)) {
    return false;
  }
  unsigned first = *byte;
  if (first < 0x80) {
    set_unsigned(&item->value, first);
    return true;
  }
  if (first >= 0xe0) {
    set_signed(&item->value, first, 1);
    return true;
  }
  if (first < 0x90) {
    return take_container(c, first & 0x0f, BRIDGE_TYPE_MAP, item);
  }
  if (first < 0xa0) {
    return take_container(c, first & 0x0f, BRIDGE_TYPE_ARRAY, item);
  }
  if (first < 0xc0) {
    return take_bytes(c, first & 0x1f, BRIDGE_TYPE_STRING, &item->value);
  }
  return take_by_form(c, first, item);
}

static inline bridge_status decode(const unsigned char *data,
                                   size_t size,
                                   size_t position,
                                   bridge__item *item)
{
  cursor c = {.at = data + position, .left = size - position};
  /* What not every value sets. */
  item->value.kind = 0;
  item->value.as.unsigned_integer = 0;
  item->children = 0;
  if (!take_value(&c, item)) {
    return BRIDGE_ECORRUPT;
  }
  item->next = size - c.left;
  return BRIDGE_OK;
}

bridge_status bridge__decode(const unsigned char *data,
                             size_t size,
                             size_t position,
                             bridge__item *item)
{
  return decode(data, size, position, item);
}

/* ---- Values of ours -------------------------------------------------------------- */

/* Of a function or an object only the header is taken: what is in it is read
   next. */
static bridge_status decode_row(const unsigned char *data,
                                bridge_type type,
                                size_t least,
                                bridge__item *item)
{
  bridge__item inner;
  size_t size = item->value.as.bytes.size;
  const unsigned char *payload =
      (const unsigned char *)item->value.as.bytes.data;
  bridge_status status = bridge__decode(payload, size, 0, &inner);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (inner.value.type != BRIDGE_TYPE_ARRAY || inner.children < least) {
    return BRIDGE_ECORRUPT;
  }
  item->value = inner.value;
  item->value.type = type;
  item->children = inner.children;
  item->next = (size_t)(payload - data) + inner.next;
  return BRIDGE_OK;
}

static bridge_status decode_index(bridge_type type, bridge__item *item)
{
  cursor c = {.at = (const unsigned char *)item->value.as.bytes.data,
              .left = item->value.as.bytes.size};
  size_t width = c.left;
  uint64_t index = 0;
  if ((width != 1 && width != 2 && width != 4) ||
      !take_number(&c, width, &index)) {
    return BRIDGE_ECORRUPT;
  }
  item->value = (bridge_value){.type = type};
  item->value.as.index = (size_t)index;
  return BRIDGE_OK;
}

static bridge_status decode_empty(bridge_type type, bridge__item *item)
{
  if (item->value.as.bytes.size != 0) {
    return BRIDGE_ECORRUPT;
  }
  item->value = (bridge_value){.type = type};
  return BRIDGE_OK;
}

bridge_status bridge__decode_own(const unsigned char *data, bridge__item *item)
{
  int kind = item->value.kind;
  if (item->value.type != BRIDGE_TYPE_EXTENSION || kind < 0 ||
      kind >= BRIDGE__EXTENSION_FIRST) {
    return BRIDGE_OK;
  }
  switch (kind) {
  case BRIDGE__EXTENSION_REFERENCE:
    return decode_index(BRIDGE_TYPE_REFERENCE, item);
  case BRIDGE__EXTENSION_FUNCTION:
    return decode_row(data, BRIDGE_TYPE_FUNCTION, 1, item);
  case BRIDGE__EXTENSION_GLOBALS:
    return decode_empty(BRIDGE_TYPE_GLOBALS, item);
  case BRIDGE__EXTENSION_SLOT:
    return decode_index(BRIDGE_TYPE_HANDLE, item);
  case BRIDGE__EXTENSION_UPVALUE:
    return decode_index(BRIDGE_TYPE_UPVALUE, item);
  case BRIDGE__EXTENSION_NULL:
    return decode_empty(BRIDGE_TYPE_NULL, item);
  case BRIDGE__EXTENSION_OBJECT:
    return decode_row(data, BRIDGE_TYPE_OBJECT, 2, item);
  case BRIDGE__EXTENSION_INSTANCE:
    return decode_row(data, BRIDGE_TYPE_INSTANCE, 3, item);
  default:
    return BRIDGE_ECORRUPT;
  }
}

/* ---- The reader ------------------------------------------------------------------ */

/* Put what stands beside the bytes in the place of its index. */
static bridge_status look_up(const bridge_message *message, bridge_value *value)
{
  if (value->as.index >= message->slot_count) {
    return BRIDGE_ECORRUPT;
  }
  const bridge__slot *slot = &message->slots[value->as.index];
  *value = (bridge_value){.type = slot->type, .kind = slot->kind};
  if (slot->type == BRIDGE_TYPE_POINTER &&
      slot->kind == BRIDGE_POINTER_CFUNCTION) {
    value->as.function = slot->as.function;
  } else {
    value->as.pointer = slot->as.pointer;
  }
  return BRIDGE_OK;
}

static bridge_status resolve(const bridge_message *message, bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_REFERENCE:
    return value->as.index < message->containers ? BRIDGE_OK : BRIDGE_ECORRUPT;
  case BRIDGE_TYPE_UPVALUE:
    return value->as.index < message->upvalues ? BRIDGE_OK : BRIDGE_ECORRUPT;
  case BRIDGE_TYPE_HANDLE:
    return look_up(message, value);
  default:
    return BRIDGE_OK;
  }
}

static bridge_status check_reader(const bridge_reader *reader)
{
  if (reader == NULL || reader->message == NULL ||
      !bridge__message_finished(reader->message)) {
    return BRIDGE_EINVAL;
  }
  return reader->position >= reader->message->size ? BRIDGE_EEMPTY : BRIDGE_OK;
}

static bridge_status decode_at(const bridge_message *message,
                               size_t position,
                               bridge__item *item)
{
  bridge_status status = decode(message->data, message->size, position, item);
  if (status == BRIDGE_OK && item->value.type == BRIDGE_TYPE_EXTENSION) {
    status = bridge__decode_own(message->data, item);
  }
  return status;
}

/* The next value, without moving. */
static inline bridge_status peek(const bridge_reader *reader,
                                 bridge__item *item)
{
  bridge_status status = check_reader(reader);
  if (status == BRIDGE_OK) {
    status = decode_at(reader->message, reader->position, item);
  }
  if (status == BRIDGE_OK && item->value.type >= BRIDGE_TYPE_REFERENCE) {
    status = resolve(reader->message, &item->value);
  }
  return status;
}

bridge_status bridge_reader_init(bridge_reader *reader,
                                 const bridge_message *message)
{
  if (reader == NULL || message == NULL || !bridge__message_finished(message)) {
    return BRIDGE_EINVAL;
  }
  *reader = (bridge_reader){.message = message};
  return BRIDGE_OK;
}

/* The numbers and short strings that most messages are made of, ahead of all the
   forms that there are.  False if it is something else, or malformed. */
static bool take_number_value(const unsigned char *at,
                              size_t left,
                              bridge_value *value,
                              size_t *taken)
{
  size_t width = forms[*at - 0xc0].width;
  cursor c = {.at = at + 1, .left = left - 1};
  uint64_t number = 0;
  if (!take_number(&c, width, &number)) {
    return false;
  }
  if (*at == 0xcb) {
    set_float(value, number, width);
  } else if (*at <= 0xcf) {
    set_unsigned(value, number);
  } else {
    set_signed(value, number, width);
  }
  *taken = 1 + width;
  return true;
}

static bool take_simple(const unsigned char *at,
                        size_t left,
                        bridge_value *value,
                        size_t *taken)
{
  unsigned first = *at;
  value->kind = 0;
  if (first < 0x80 || first >= 0xe0) {
    value->type = BRIDGE_TYPE_INTEGER;
    value->as.integer = first < 0x80 ? (int64_t)first : (int64_t)first - 256;
    *taken = 1;
    return true;
  }
  if (first >= 0xcb && first <= 0xd3) {
    return take_number_value(at, left, value, taken);
  }
  size_t header = first == 0xd9 && left > 1 ? 2 : 1;
  size_t size = header == 2 ? at[1] : first & 0x1f;
  if ((header == 1 && (first < 0xa0 || first >= 0xc0)) ||
      size > left - header) {
    return false;
  }
  value->type = BRIDGE_TYPE_STRING;
  value->as.bytes.data = (const char *)at + header;
  value->as.bytes.size = size;
  *taken = header + size;
  return true;
}

bridge_status bridge_reader_next(bridge_reader *reader, bridge_value *value)
{
  if (value == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status ready = check_reader(reader);
  if (ready != BRIDGE_OK) {
    return ready;
  }
  const bridge_message *message = reader->message;
  size_t taken = 0;
  if (take_simple(message->data + reader->position,
                  message->size - reader->position, value, &taken)) {
    reader->position += taken;
    return BRIDGE_OK;
  }
  bridge__item item;
  bridge_status status = peek(reader, &item);
  if (status != BRIDGE_OK) {
    return status;
  }
  *value = item.value;
  reader->position = item.next;
  return BRIDGE_OK;
}

bridge_status bridge_reader_skip(bridge_reader *reader)
{
  bridge_status status = check_reader(reader);
  if (status != BRIDGE_OK) {
    return status;
  }
  const bridge_message *message = reader->message;
  size_t position = reader->position;
  /* Values in a row, however they are nested, are only a number to count
     down. */
  size_t pending = 1;
  while (pending > 0) {
    bridge__item item;
    /* Each has a byte at least. */
    if (pending > message->size - position ||
        decode_at(message, position, &item) != BRIDGE_OK) {
      return BRIDGE_ECORRUPT;
    }
    position = item.next;
    pending += item.children;
    pending--;
  }
  reader->position = position;
  return BRIDGE_OK;
}

/* ---- Values of one type ------------------------------------------------------------ */

bridge_status bridge_reader_boolean(bridge_reader *reader, bool *out)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__item item;
  bridge_status status = peek(reader, &item);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (item.value.type != BRIDGE_TYPE_BOOLEAN) {
    return BRIDGE_ETYPE;
  }
  *out = item.value.as.boolean;
  reader->position = item.next;
  return BRIDGE_OK;
}

static bridge_status whole_number(double number, int64_t *out)
{
  if (floor(number) != number) { /* also what is not a number */
    return BRIDGE_ETYPE;
  }
  /* 2 to the power of 63, the first that does not fit; its negative does. */
  const double limit = 9223372036854775808.0;
  if (number >= limit || number < -limit) {
    return BRIDGE_EOVERFLOW;
  }
  *out = (int64_t)number;
  return BRIDGE_OK;
}

static bridge_status to_integer(const bridge_value *value, int64_t *out)
{
  switch (value->type) {
  case BRIDGE_TYPE_INTEGER:
    *out = value->as.integer;
    return BRIDGE_OK;
  case BRIDGE_TYPE_UNSIGNED:
    return BRIDGE_EOVERFLOW;
  case BRIDGE_TYPE_FLOAT:
    return whole_number(value->as.number, out);
  default:
    return BRIDGE_ETYPE;
  }
}

bridge_status bridge_reader_integer(bridge_reader *reader, int64_t *out)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__item item;
  bridge_status status = peek(reader, &item);
  if (status == BRIDGE_OK) {
    status = to_integer(&item.value, out);
  }
  if (status == BRIDGE_OK) {
    reader->position = item.next;
  }
  return status;
}

static bridge_status to_float(const bridge_value *value, double *out)
{
  switch (value->type) {
  case BRIDGE_TYPE_INTEGER:
    *out = (double)value->as.integer;
    return BRIDGE_OK;
  case BRIDGE_TYPE_UNSIGNED:
    *out = (double)value->as.unsigned_integer;
    return BRIDGE_OK;
  case BRIDGE_TYPE_FLOAT:
    *out = value->as.number;
    return BRIDGE_OK;
  default:
    return BRIDGE_ETYPE;
  }
}

bridge_status bridge_reader_float(bridge_reader *reader, double *out)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__item item;
  bridge_status status = peek(reader, &item);
  if (status == BRIDGE_OK) {
    status = to_float(&item.value, out);
  }
  if (status == BRIDGE_OK) {
    reader->position = item.next;
  }
  return status;
}

bridge_status bridge_reader_string(bridge_reader *reader,
                                   const char **data,
                                   size_t *size)
{
  if (data == NULL || size == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge__item item;
  bridge_status status = peek(reader, &item);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_type type = item.value.type;
  if (type != BRIDGE_TYPE_STRING && type != BRIDGE_TYPE_BINARY) {
    return BRIDGE_ETYPE;
  }
  *data = item.value.as.bytes.data;
  *size = item.value.as.bytes.size;
  reader->position = item.next;
  return BRIDGE_OK;
}

bridge_status bridge_reader_handle(bridge_reader *reader,
                                   bridge_handle_kind kind,
                                   void **out)
{
  if (out == NULL || kind <= BRIDGE_HANDLE_NONE ||
      kind >= BRIDGE_HANDLE_KINDS) {
    return BRIDGE_EINVAL;
  }
  bridge__item item;
  bridge_status status = peek(reader, &item);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (item.value.type != BRIDGE_TYPE_HANDLE || item.value.kind != (int)kind) {
    return BRIDGE_ETYPE;
  }
  *out = item.value.as.pointer;
  reader->position = item.next;
  return BRIDGE_OK;
}
