/* Record: what a logger is told, as a message for a queue. */
#include "log/log.h"

#include "message/message.h"

#include <string.h>

/* Causes of causes that are told. */
enum {
  DEPTH_MAX = 16
};

static void write_text(bridge_message *message,
                       const char *key,
                       const char *text)
{
  bridge_message_write_string(message, key, strlen(key));
  bridge_message_write_string(message, text, strlen(text));
}

static void write_integer(bridge_message *message,
                          const char *key,
                          int64_t value)
{
  bridge_message_write_string(message, key, strlen(key));
  bridge_message_write_integer(message, value);
}

static void begin_map(bridge_message *message, const char *key)
{
  bridge_message_write_string(message, key, strlen(key));
  bridge_message_begin_map(message, BRIDGE_COUNT_UNKNOWN);
}

static bridge_status write_value(bridge_message *message,
                                 const bridge_error *error)
{
  const bridge_message *value = bridge_error_value(error);
  if (value == NULL) {
    return BRIDGE_OK;
  }
  bridge_message_write_string(message, "value", strlen("value"));
  return bridge__log_copy_value(message, value);
}

/* ---- The error ---- */

static void write_frame(bridge_message *message, const bridge_frame *frame)
{
  bridge_message_begin_map(message, BRIDGE_COUNT_UNKNOWN);
  write_text(message, "source", frame->source);
  if (frame->line >= 0) {
    write_integer(message, "line", frame->line);
  }
  write_text(message, "name", frame->name);
  write_text(message, "what", frame->what);
  bridge_message_end(message);
}

static void write_frames(bridge_message *message, const bridge_error *error)
{
  bridge_message_write_string(message, "frames", strlen("frames"));
  bridge_message_begin_array(message, BRIDGE_COUNT_UNKNOWN);
  for (size_t i = 0; i < bridge_error_frame_count(error); i++) {
    bridge_frame frame;
    if (bridge_error_frame(error, i, &frame) == BRIDGE_OK) {
      write_frame(message, &frame);
    }
  }
  bridge_message_end(message);
}

static const char *code_of(const bridge_error *error)
{
  const char *name = bridge_status_name(bridge_error_status(error));
  const char *prefix = "BRIDGE_";
  bool has = strncmp(name, prefix, strlen(prefix)) == 0;
  return has ? name + strlen(prefix) : name;
}

/* `values`: whether the values that scripts raised are told, too. */
static bridge_status write_error(bridge_message *message,
                                 const bridge_error *error,
                                 bool values,
                                 int depth)
{
  size_t size = 0;
  const char *text = bridge_error_text(error, &size);
  bridge_message_write_string(message, "message", strlen("message"));
  bridge_message_write_string(message, text, size);
  write_text(message, "code", code_of(error));
  write_text(message, "traceback", bridge_error_traceback(error));
  if (bridge_error_caller(error)[0] != '\0') {
    write_text(message, "caller", bridge_error_caller(error));
  }
  if (bridge_error_worker(error)[0] != '\0') {
    write_text(message, "worker", bridge_error_worker(error));
  }
  write_frames(message, error);
  bridge_status status = values ? write_value(message, error) : BRIDGE_OK;
  const bridge_error *cause = bridge_error_cause(error);
  if (status == BRIDGE_OK && cause != NULL && depth < DEPTH_MAX) {
    begin_map(message, "cause");
    status = write_error(message, cause, values, depth + 1);
    bridge_message_end(message);
  }
  return status;
}

/* ---- The record ---- */

static bridge_status write_record(bridge_message *message,
                                  const bridge_log_record *record,
                                  bool values)
{
  bridge_status status =
      bridge_message_begin_map(message, BRIDGE_COUNT_UNKNOWN);
  write_text(message, "level", bridge_log_level_name(record->level));
  bridge_message_write_string(message, "text", strlen("text"));
  bridge_message_write_string(message, record->text, record->size);
  write_text(message, "worker", record->worker);
  write_integer(message, "id", (int64_t)record->worker_id);
  bridge_message_write_string(message, "time", strlen("time"));
  bridge_message_write_float(message, (double)record->time_ns / 1e9);
  write_integer(message, "suppressed", (int64_t)record->suppressed);
  if (status == BRIDGE_OK && record->error != NULL) {
    begin_map(message, "error");
    status = write_error(message, record->error, values, 0);
    bridge_message_end(message);
  }
  return status == BRIDGE_OK ? bridge_message_end(message) : status;
}

/* Writing that failed for lack of memory leaves something open, or the count of
   a map odd: then its end is refused. */
static bridge_message *make(const bridge_log_record *record, bool values)
{
  bridge_message *message = NULL;
  if (bridge_message_create(&message, 0) != BRIDGE_OK) {
    return NULL;
  }
  if (write_record(message, record, values) != BRIDGE_OK) {
    bridge_message_release(message);
    return NULL;
  }
  return message;
}

/* A value may be nested so deep that it fits only where it was. */
bridge_message *bridge__log_message(const bridge_log_record *record)
{
  bridge_message *message = make(record, true);
  return message != NULL ? message : make(record, false);
}
