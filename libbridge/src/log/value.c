/* Value: what a script raised, as data for a record.  A record stands in a queue for
   as long as nobody reads it: so it holds no functions and no handles, but says in
   their places what they were. */
#include "log/log.h"

#include "base/memory.h"
#include "message/message.h"

#include <stdio.h>
#include <string.h>

/* A container that is not in the copy. */
#define NONE SIZE_MAX

/* The containers of the value are numbered anew: not all of them cross, and others
   stand before them in the record. */
typedef struct copying {
  bridge_message *out;
  bridge_reader reader;
  size_t *numbers; /* by those of the value */
  size_t seen;     /* how many have begun */
} copying;

static size_t children_of(const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_MAP:
    return value->as.count * 2;
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_FUNCTION:
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    return value->as.count;
  default:
    return 0;
  }
}

static bool is_container(const bridge_value *value)
{
  return value->type == BRIDGE_TYPE_ARRAY || value->type == BRIDGE_TYPE_MAP ||
         value->type == BRIDGE_TYPE_FUNCTION ||
         value->type == BRIDGE_TYPE_OBJECT ||
         value->type == BRIDGE_TYPE_INSTANCE;
}

/* The values that come next, with all that is in them. */
static bridge_status leave_out(copying *job, size_t count)
{
  bridge_status status = BRIDGE_OK;
  while (count > 0 && status == BRIDGE_OK) {
    bridge_value value;
    status = bridge_reader_next(&job->reader, &value);
    if (status == BRIDGE_OK && is_container(&value)) {
      job->numbers[job->seen++] = NONE;
      status = leave_out(job, children_of(&value));
    }
    count--;
  }
  return status;
}

static bridge_status write_text(copying *job, const char *text)
{
  return bridge_message_write_string(job->out, text, strlen(text));
}

static bridge_status write_number(copying *job, uint64_t number)
{
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)number);
  return write_text(job, text);
}

/* What is no data, and has no values in it. */
static bridge_status write_name(copying *job, const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_UNSIGNED:
    return write_number(job, value->as.unsigned_integer);
  case BRIDGE_TYPE_HANDLE:
    return write_text(job,
                      ((const bridge__object *)value->as.pointer)->type->name);
  case BRIDGE_TYPE_POINTER:
    return write_text(job, value->kind == BRIDGE_POINTER_LIGHT ? "userdata"
                                                               : "function");
  case BRIDGE_TYPE_GLOBALS:
  case BRIDGE_TYPE_REFERENCE:
    return write_text(job, "table");
  default:
    return write_text(job, "extension");
  }
}

static bridge_status write_reference(copying *job, const bridge_value *value)
{
  size_t number = job->numbers[value->as.index];
  return number == NONE ? write_name(job, value)
                        : bridge_message_write_reference(job->out, number);
}

static bridge_status write_scalar(copying *job, const bridge_value *value)
{
  bridge_message *out = job->out;
  switch (value->type) {
  case BRIDGE_TYPE_NIL:
    return bridge_message_write_nil(out);
  case BRIDGE_TYPE_NULL:
    return bridge_message_write_null(out);
  case BRIDGE_TYPE_BOOLEAN:
    return bridge_message_write_boolean(out, value->as.boolean);
  case BRIDGE_TYPE_INTEGER:
    return bridge_message_write_integer(out, value->as.integer);
  case BRIDGE_TYPE_FLOAT:
    return bridge_message_write_float(out, value->as.number);
  case BRIDGE_TYPE_STRING:
    return bridge_message_write_string(out, value->as.bytes.data,
                                       value->as.bytes.size);
  case BRIDGE_TYPE_BINARY:
    return bridge_message_write_binary(out, value->as.bytes.data,
                                       value->as.bytes.size);
  case BRIDGE_TYPE_REFERENCE:
    return write_reference(job, value);
  default:
    return write_name(job, value);
  }
}

static bridge_status copy(copying *job);

static bridge_status copy_table(copying *job, const bridge_value *value)
{
  job->numbers[job->seen++] = job->out->containers;
  bridge_status status =
      value->type == BRIDGE_TYPE_ARRAY
          ? bridge_message_begin_array(job->out, value->as.count)
          : bridge_message_begin_map(job->out, value->as.count);
  for (size_t i = children_of(value); i > 0 && status == BRIDGE_OK; i--) {
    status = copy(job);
  }
  return status == BRIDGE_OK ? bridge_message_end(job->out) : status;
}

/* The table that it is, without its class. */
static bridge_status copy_instance(copying *job)
{
  size_t number = job->seen++;
  size_t before = job->out->containers;
  job->numbers[number] = before;
  bridge_status status = leave_out(job, 2);
  if (status == BRIDGE_OK) {
    status = copy(job);
  }
  if (job->out->containers == before) {
    job->numbers[number] = NONE;
  }
  return status;
}

/* The name of its class comes first. */
static bridge_status name_object(copying *job, const bridge_value *value)
{
  bridge_value name;
  job->numbers[job->seen++] = NONE;
  bridge_status status = bridge_reader_next(&job->reader, &name);
  if (status == BRIDGE_OK) {
    status = write_scalar(job, &name);
  }
  return status == BRIDGE_OK ? leave_out(job, children_of(value) - 1) : status;
}

static bridge_status name_function(copying *job, const bridge_value *value)
{
  job->numbers[job->seen++] = NONE;
  bridge_status status = write_text(job, "function");
  return status == BRIDGE_OK ? leave_out(job, children_of(value)) : status;
}

static bridge_status copy(copying *job)
{
  bridge_value value;
  bridge_status status = bridge_reader_next(&job->reader, &value);
  if (status != BRIDGE_OK) {
    return status;
  }
  switch (value.type) {
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_MAP:
    return copy_table(job, &value);
  case BRIDGE_TYPE_INSTANCE:
    return copy_instance(job);
  case BRIDGE_TYPE_OBJECT:
    return name_object(job, &value);
  case BRIDGE_TYPE_FUNCTION:
    return name_function(job, &value);
  default:
    return write_scalar(job, &value);
  }
}

bridge_status bridge__log_copy_value(bridge_message *out,
                                     const bridge_message *value)
{
  copying job = {.out = out};
  bridge_status status = bridge_reader_init(&job.reader, value);
  if (status != BRIDGE_OK) {
    return status;
  }
  job.numbers = bridge__allocate((value->containers + 1) * sizeof(size_t));
  if (job.numbers == NULL) {
    return BRIDGE_ENOMEM;
  }
  status = copy(&job);
  bridge__free(job.numbers);
  return status;
}
