/* Any bytes as a message: taken or refused, and what is taken can be read,
   skipped, copied and written again.  The entry point is libFuzzer's; without it
   generate.c calls it. */
#include "message_fuzz.h"

#include <bridge/bridge.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned long fuzz_taken;

static void require(bool right, const char *what)
{
  if (!right) {
    fprintf(stderr, "message_fuzz: %s\n", what);
    abort();
  }
}

static void require_ok(bridge_status status)
{
  require(status == BRIDGE_OK, bridge_status_text(status));
}

static bool same_bytes(const bridge_message *a, const bridge_message *b)
{
  size_t size = bridge_message_size(a);
  return size == bridge_message_size(b) &&
         memcmp(bridge_message_data(a), bridge_message_data(b), size) == 0;
}

/* ---- Reading ---- */

/* Keeps the compiler from leaving the reading out. */
static volatile unsigned sum;

/* Touch each byte that is lent. */
static void touch(const bridge_value *value)
{
  if (value->type == BRIDGE_TYPE_STRING || value->type == BRIDGE_TYPE_BINARY ||
      value->type == BRIDGE_TYPE_EXTENSION) {
    for (size_t i = 0; i < value->as.bytes.size; i++) {
      sum += (unsigned char)value->as.bytes.data[i];
    }
  }
}

/* Returns whether all of it can be written again: no function writes numbers
   above INT64_MAX. */
static bool read_all(const bridge_message *message)
{
  bridge_reader reader;
  require_ok(bridge_reader_init(&reader, message));
  bridge_value value;
  bridge_status status = BRIDGE_OK;
  bool writable = true;
  while ((status = bridge_reader_next(&reader, &value)) == BRIDGE_OK) {
    touch(&value);
    writable = writable && value.type != BRIDGE_TYPE_UNSIGNED;
    require(value.type < BRIDGE_TYPE_FUNCTION || value.type == BRIDGE_TYPE_NULL,
            "only ours may have this type");
  }
  require(status == BRIDGE_EEMPTY, "what was taken cannot be read");
  return writable;
}

static void skip_all(const bridge_message *message)
{
  bridge_reader reader;
  require_ok(bridge_reader_init(&reader, message));
  bridge_status status = BRIDGE_OK;
  size_t count = 0;
  while ((status = bridge_reader_skip(&reader)) == BRIDGE_OK) {
    count++;
  }
  require(status == BRIDGE_EEMPTY, "what was taken cannot be skipped");
  require(count == bridge_message_count(message), "the count is wrong");
}

/* Typed reads either move or say why not. */
static void read_typed(const bridge_message *message)
{
  bridge_reader reader;
  require_ok(bridge_reader_init(&reader, message));
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;
  const char *data = NULL;
  size_t size = 0;
  void *handle = NULL;
  bridge_value value;
  do {
    bridge_reader still = reader;
    require(bridge_reader_handle(&still, BRIDGE_HANDLE_BUFFER, &handle) !=
                BRIDGE_OK,
            "bytes became a handle");
    bridge_reader copy = still;
    (void)bridge_reader_boolean(&copy, &boolean);
    copy = still;
    (void)bridge_reader_integer(&copy, &integer);
    copy = still;
    (void)bridge_reader_float(&copy, &real);
    copy = still;
    (void)bridge_reader_string(&copy, &data, &size);
  } while (bridge_reader_next(&reader, &value) == BRIDGE_OK);
}

/* ---- Writing again ---- */

/* Containers on the way: how many values are left in each. */
typedef struct levels {
  size_t left[BRIDGE_DEPTH_MAX];
  size_t depth;
} levels;

static void begin(bridge_message *message,
                  levels *open,
                  const bridge_value *value,
                  bool announce)
{
  size_t count = announce ? value->as.count : BRIDGE_COUNT_UNKNOWN;
  bool map = value->type == BRIDGE_TYPE_MAP;
  require_ok(map ? bridge_message_begin_map(message, count)
                 : bridge_message_begin_array(message, count));
  open->left[open->depth++] = value->as.count * (map ? 2 : 1);
}

static bridge_status write_scalar(bridge_message *message,
                                  const bridge_value *value)
{
  const char *data = value->as.bytes.data;
  size_t size = value->as.bytes.size;
  switch (value->type) {
  case BRIDGE_TYPE_NIL:
    return bridge_message_write_nil(message);
  case BRIDGE_TYPE_NULL:
    return bridge_message_write_null(message);
  case BRIDGE_TYPE_BOOLEAN:
    return bridge_message_write_boolean(message, value->as.boolean);
  case BRIDGE_TYPE_INTEGER:
    return bridge_message_write_integer(message, value->as.integer);
  case BRIDGE_TYPE_FLOAT:
    return bridge_message_write_float(message, value->as.number);
  case BRIDGE_TYPE_STRING:
    return bridge_message_write_string(message, data, size);
  case BRIDGE_TYPE_BINARY:
    return bridge_message_write_binary(message, data, size);
  case BRIDGE_TYPE_EXTENSION:
    return bridge_message_write_extension(message, value->kind, data, size);
  default:
    return bridge_message_write_reference(message, value->as.index);
  }
}

static bridge_message *rewrite(const bridge_message *from, bool announce)
{
  bridge_message *to = NULL;
  require_ok(bridge_message_create(&to, 0));
  bridge_reader reader;
  require_ok(bridge_reader_init(&reader, from));
  static levels open;
  open.depth = 0;
  bridge_value value;
  while (bridge_reader_next(&reader, &value) == BRIDGE_OK) {
    if (open.depth > 0) {
      open.left[open.depth - 1]--;
    }
    if (value.type == BRIDGE_TYPE_ARRAY || value.type == BRIDGE_TYPE_MAP) {
      begin(to, &open, &value, announce);
    } else {
      require_ok(write_scalar(to, &value));
    }
    while (open.depth > 0 && open.left[open.depth - 1] == 0) {
      require_ok(bridge_message_end(to));
      open.depth--;
    }
  }
  return to;
}

/* Our form of a message is the shortest one, and writing it again changes
   nothing. */
static void check_rewritten(const bridge_message *message)
{
  bridge_message *first = rewrite(message, true);
  bridge_message *second = rewrite(message, false);
  bridge_message *third = rewrite(first, true);
  require(bridge_message_size(first) <= 2 * bridge_message_size(message),
          "only floats of 4 bytes become longer");
  require(same_bytes(first, second), "announced or not makes a difference");
  require(same_bytes(first, third), "the shortest form is not stable");
  bridge_message *back = NULL;
  require_ok(bridge_message_from_bytes(&back, bridge_message_data(first),
                                       bridge_message_size(first)));
  require(same_bytes(first, back), "our own bytes are not taken");
  bridge_message_release(back);
  bridge_message_release(third);
  bridge_message_release(second);
  bridge_message_release(first);
}

/* ---- Copying and cutting ---- */

static void check_copy(const bridge_message *message)
{
  bridge_message *copy = NULL;
  require_ok(bridge_message_clone(&copy, message));
  require(same_bytes(message, copy), "a clone is different");
  bridge_reader reader;
  require_ok(bridge_reader_init(&reader, message));
  if (bridge_reader_skip(&reader) == BRIDGE_OK) {
    require_ok(bridge_message_truncate(copy, reader.position));
    require(bridge_message_count(copy) == 1, "one value should be left");
    skip_all(copy);
  }
  bridge_message_release(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_message_from_bytes(&message, data, size);
  if (status != BRIDGE_OK) {
    require(status == BRIDGE_ECORRUPT || status == BRIDGE_ELIMIT,
            "refused for a reason that bytes cannot give");
    require(message == NULL, "refused, and yet there is a message");
    return 0;
  }
  fuzz_taken++;
  skip_all(message);
  read_typed(message);
  check_copy(message);
  if (read_all(message)) {
    check_rewritten(message);
  }
  bridge_message_release(message);
  return 0;
}
