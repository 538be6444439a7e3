/* The bytes of messages: headers out and values in, shared by the writer, the
   reader and the check of foreign bytes. */
#ifndef BRIDGE_MESSAGE_CODEC_H
#define BRIDGE_MESSAGE_CODEC_H

#include "message/message.h"

#include <string.h>

/* Extension types of the bridge.  All below BRIDGE__EXTENSION_FIRST are ours,
   also those without a meaning yet. */
#define BRIDGE__EXTENSION_REFERENCE 1
#define BRIDGE__EXTENSION_FUNCTION  2
#define BRIDGE__EXTENSION_GLOBALS   3
#define BRIDGE__EXTENSION_SLOT      4
#define BRIDGE__EXTENSION_UPVALUE   5
#define BRIDGE__EXTENSION_NULL      6
#define BRIDGE__EXTENSION_OBJECT    7
#define BRIDGE__EXTENSION_INSTANCE  8
#define BRIDGE__EXTENSION_FIRST     16

/* No header is longer: a type, four bytes of length, the type of an extension;
   or a type and eight bytes of number. */
#define BRIDGE__HEADER_MAX 9

/* A byte that MessagePack never uses. */
#define BRIDGE__NO_TYPE 0xc1

/* ---- Out: each writes a header in its shortest form, returns its length ---- */

/* Byte by byte, in the order of networks: compilers make one swap and one store
   of each. */
static inline void bridge__put16(unsigned char *out, uint64_t value)
{
  out[0] = (unsigned char)(value >> 8 & 0xff);
  out[1] = (unsigned char)(value & 0xff);
}

static inline void bridge__put32(unsigned char *out, uint64_t value)
{
  out[0] = (unsigned char)(value >> 24 & 0xff);
  out[1] = (unsigned char)(value >> 16 & 0xff);
  out[2] = (unsigned char)(value >> 8 & 0xff);
  out[3] = (unsigned char)(value & 0xff);
}

static inline void bridge__put64(unsigned char *out, uint64_t value)
{
  out[0] = (unsigned char)(value >> 56 & 0xff);
  out[1] = (unsigned char)(value >> 48 & 0xff);
  out[2] = (unsigned char)(value >> 40 & 0xff);
  out[3] = (unsigned char)(value >> 32 & 0xff);
  out[4] = (unsigned char)(value >> 24 & 0xff);
  out[5] = (unsigned char)(value >> 16 & 0xff);
  out[6] = (unsigned char)(value >> 8 & 0xff);
  out[7] = (unsigned char)(value & 0xff);
}

static inline size_t bridge__put(unsigned char *out,
                                 unsigned type,
                                 uint64_t value,
                                 size_t width)
{
  out[0] = (unsigned char)type;
  switch (width) {
  case 1:
    out[1] = (unsigned char)(value & 0xff);
    break;
  case 2:
    bridge__put16(out + 1, value);
    break;
  case 4:
    bridge__put32(out + 1, value);
    break;
  case 8:
    bridge__put64(out + 1, value);
    break;
  default: /* the type says all */
    break;
  }
  return width + 1;
}

/* Types for lengths of 8, 16 and 32 bits follow each other; `type` is the one
   for 8. */
static inline size_t bridge__put_length(unsigned char *out,
                                        unsigned type,
                                        size_t length)
{
  if (length <= UINT8_MAX) {
    return bridge__put(out, type, length, 1);
  }
  if (length <= UINT16_MAX) {
    return bridge__put(out, type + 1, length, 2);
  }
  return bridge__put(out, type + 2, length, 4);
}

/* Arrays and maps have no form for 8 bits; `type` is the one for 16. */
static inline size_t bridge__put_count(unsigned char *out,
                                       unsigned small,
                                       unsigned type,
                                       size_t count)
{
  if (count <= 15) {
    return bridge__put(out, small | (unsigned)count, 0, 0);
  }
  if (count <= UINT16_MAX) {
    return bridge__put(out, type, count, 2);
  }
  return bridge__put(out, type + 1, count, 4);
}

static inline size_t bridge__put_array(unsigned char *out, size_t count)
{
  return bridge__put_count(out, 0x90, 0xdc, count);
}

static inline size_t bridge__put_map(unsigned char *out, size_t pairs)
{
  return bridge__put_count(out, 0x80, 0xde, pairs);
}

static inline size_t bridge__put_string(unsigned char *out, size_t size)
{
  if (size <= 31) {
    return bridge__put(out, 0xa0 | (unsigned)size, 0, 0);
  }
  return bridge__put_length(out, 0xd9, size);
}

static inline size_t bridge__put_extension(unsigned char *out,
                                           int type,
                                           size_t size)
{
  size_t length = 0;
  if (size == 1 || size == 2 || size == 4 || size == 8 || size == 16) {
    unsigned power = 0;
    while ((size_t)1 << power < size) {
      power++;
    }
    length = bridge__put(out, 0xd4 + power, 0, 0);
  } else {
    length = bridge__put_length(out, 0xc7, size);
  }
  out[length] = (unsigned char)(type & 0xff);
  return length + 1;
}

/* An extension of ours whose payload is a number. */
static inline size_t bridge__put_index(unsigned char *out,
                                       int type,
                                       size_t index)
{
  size_t width = index <= UINT8_MAX ? 1 : index <= UINT16_MAX ? 2 : 4;
  size_t length = bridge__put_extension(out, type, width);
  for (size_t i = 0; i < width; i++) {
    out[length + i] = (unsigned char)(index >> 8 * (width - 1 - i) & 0xff);
  }
  return length + width;
}

static inline size_t bridge__put_positive(unsigned char *out, uint64_t value)
{
  if (value <= 127) {
    return bridge__put(out, (unsigned)value, 0, 0);
  }
  if (value <= UINT8_MAX) {
    return bridge__put(out, 0xcc, value, 1);
  }
  if (value <= UINT16_MAX) {
    return bridge__put(out, 0xcd, value, 2);
  }
  if (value <= UINT32_MAX) {
    return bridge__put(out, 0xce, value, 4);
  }
  return bridge__put(out, 0xcf, value, 8);
}

static inline size_t bridge__put_integer(unsigned char *out, int64_t value)
{
  uint64_t bits = (uint64_t)value;
  if (value >= 0) {
    return bridge__put_positive(out, bits);
  }
  if (value >= -32) {
    return bridge__put(out, (unsigned)(bits & 0xff), 0, 0);
  }
  if (value >= INT8_MIN) {
    return bridge__put(out, 0xd0, bits, 1);
  }
  if (value >= INT16_MIN) {
    return bridge__put(out, 0xd1, bits, 2);
  }
  if (value >= INT32_MIN) {
    return bridge__put(out, 0xd2, bits, 4);
  }
  return bridge__put(out, 0xd3, bits, 8);
}

static inline size_t bridge__put_float(unsigned char *out, double value)
{
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  return bridge__put(out, 0xcb, bits, 8);
}

/* ---- In ------------------------------------------------------------------ */

/* One value as it stands in the bytes. */
typedef struct bridge__item {
  bridge_value value;
  size_t next;     /* behind the value; of a container, behind its header */
  size_t children; /* how many values in a row belong to it */
} bridge__item;

/* The value at a position below `size`.  BRIDGE_ECORRUPT if it is malformed or
   longer than what is left. */
bridge_status bridge__decode(const unsigned char *data,
                             size_t size,
                             size_t position,
                             bridge__item *item);

/* Turn an extension of ours into what it means.  A slot becomes a HANDLE whose
   `as.index` is the index of the slot. */
bridge_status bridge__decode_own(const unsigned char *data, bridge__item *item);

/* ---- The whole ------------------------------------------------------------ */

typedef struct bridge__totals {
  size_t count;
  size_t containers;
  size_t upvalues;
  size_t slots;
} bridge__totals;

/* Walk all bytes once and check everything.  Only our own bytes may hold what
   means something within this process. */
bridge_status bridge__scan(const unsigned char *data,
                           size_t size,
                           bool own,
                           bridge__totals *totals);

/* ---- Room ----------------------------------------------------------------- */

/* Each makes room for so much more, or changes nothing. */
bridge_status bridge__message_grow(bridge_message *message, size_t bytes);
bridge_status bridge__message_reserve_open(bridge_message *message);
bridge_status bridge__message_reserve_slots(bridge_message *message,
                                            size_t slots);
static inline bridge_status bridge__message_reserve(bridge_message *message,
                                                    size_t bytes)
{
  return bytes <= message->capacity - message->size
             ? BRIDGE_OK
             : bridge__message_grow(message, bytes);
}

/* Give back the room of open containers; none may be open. */
void bridge__message_trim_open(bridge_message *message);
/* Drop all slots from `count` on, and the references they hold. */
void bridge__message_drop_slots(bridge_message *message, size_t count);

#endif
