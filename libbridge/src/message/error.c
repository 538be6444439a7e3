/* Errors: what a failing call can tell beyond its status.  One thread fills an
   error before anybody else has it; then it never changes. */
#include "message/error.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The frame's texts stand one after the other in one allocation. */
typedef struct frame {
  bridge_frame shown;
  char *texts;
} frame;

struct bridge_error {
  bridge__object object; /* first */
  bridge_status status;
  char *text;
  size_t text_size;
  char *traceback; /* or NULL */
  frame *frames;
  size_t frame_count;
  size_t frame_capacity;
  bridge_message *value; /* or NULL */
  char *caller;          /* or NULL */
  char *worker;          /* or NULL */
  bridge_error *cause;   /* or NULL */
};

static void destroy(void *object)
{
  bridge_error *error = object;
  for (size_t i = 0; i < error->frame_count; i++) {
    bridge__free(error->frames[i].texts);
  }
  bridge_message *value = error->value;
  bridge_error *cause = error->cause;
  bridge__free(error->caller);
  bridge__free(error->worker);
  bridge__free(error->frames);
  bridge__free(error->traceback);
  bridge__free(error->text);
  bridge__free(error);
  bridge_message_release(value);
  bridge_error_release(cause);
}

static const bridge__type error_type = {BRIDGE_HANDLE_ERROR, "error", destroy,
                                        NULL};

/* ---- Making ----------------------------------------------------------------- */

/* Takes the text, also on failure. */
static bridge_error *create(bridge_status status, char *text, size_t size)
{
  bridge_error *error =
      text == NULL ? NULL : bridge__allocate_zero(sizeof *error);
  if (error == NULL) {
    bridge__free(text);
    return NULL;
  }
  bridge__object_init(error, &error_type);
  error->status = status;
  error->text = text;
  error->text_size = size;
  return error;
}

bridge_error *bridge__error_create(bridge_status status,
                                   const char *text,
                                   size_t size)
{
  return create(status, bridge__copy_text(text, size), size);
}

bridge_error *bridge__error_format(bridge_status status,
                                   const char *format,
                                   ...)
{
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  size_t size = length < 0 ? 0 : (size_t)length;
  char *text = bridge__allocate(size + 1);
  if (text != NULL) {
    text[0] = '\0'; /* for a format that cannot be carried out */
    vsnprintf(text, size + 1, format, again);
  }
  va_end(again);
  return create(status, text, size);
}

void bridge__error_set_value(bridge_error *error, bridge_message **value)
{
  if (error == NULL) {
    bridge_message_release(*value);
  } else {
    bridge_message_release(error->value);
    error->value = *value;
  }
  *value = NULL;
}

void bridge__error_set_traceback(bridge_error *error, const char *traceback)
{
  if (error == NULL || traceback == NULL) {
    return;
  }
  bridge__free(error->traceback);
  error->traceback = bridge__copy_text(traceback, strlen(traceback));
}

static bool reserve_frame(bridge_error *error)
{
  if (error->frame_count < error->frame_capacity) {
    return true;
  }
  size_t capacity = error->frame_capacity == 0 ? 8 : error->frame_capacity * 2;
  size_t size = 0;
  if (!bridge__multiply(capacity, sizeof(frame), &size)) {
    return false;
  }
  frame *frames = bridge__resize(error->frames, size);
  if (frames == NULL) {
    return false;
  }
  error->frames = frames;
  error->frame_capacity = capacity;
  return true;
}

/* Copies with the NUL; returns where the next text goes. */
static char *put_text(char *at, const char *text, size_t size)
{
  memcpy(at, text, size);
  at[size] = '\0';
  return at + size + 1;
}

static bool copy_frame(frame *out, const bridge_frame *from)
{
  const char *source = from->source == NULL ? "" : from->source;
  const char *name = from->name == NULL ? "" : from->name;
  const char *what = from->what == NULL ? "" : from->what;
  size_t source_size = strlen(source);
  size_t name_size = strlen(name);
  size_t what_size = strlen(what);
  char *texts = bridge__allocate(source_size + name_size + what_size + 3);
  if (texts == NULL) {
    return false;
  }
  char *name_at = put_text(texts, source, source_size);
  char *what_at = put_text(name_at, name, name_size);
  put_text(what_at, what, what_size);
  out->texts = texts;
  out->shown = (bridge_frame){
      .source = texts, .name = name_at, .what = what_at, .line = from->line};
  return true;
}

void bridge__error_add_frame(bridge_error *error, const bridge_frame *from)
{
  if (error == NULL || from == NULL || !reserve_frame(error)) {
    return;
  }
  if (copy_frame(&error->frames[error->frame_count], from)) {
    error->frame_count++;
  }
}

void bridge__error_set_cause(bridge_error *error, bridge_error *cause)
{
  if (error == NULL) {
    bridge_error_release(cause);
    return;
  }
  bridge_error_release(error->cause);
  error->cause = cause;
}

void bridge__error_set_caller(bridge_error *error, const char *traceback)
{
  if (error == NULL || traceback == NULL) {
    return;
  }
  bridge__free(error->caller);
  error->caller = bridge__copy_text(traceback, strlen(traceback));
}

void bridge__error_set_worker(bridge_error *error, const char *name)
{
  if (error == NULL || name == NULL) {
    return;
  }
  bridge__free(error->worker);
  error->worker = bridge__copy_text(name, strlen(name));
}

static void copy_parts(bridge_error *copy, const bridge_error *error)
{
  bridge__error_set_traceback(copy, error->traceback);
  bridge__error_set_caller(copy, error->caller);
  bridge__error_set_worker(copy, error->worker);
  for (size_t i = 0; i < error->frame_count; i++) {
    bridge__error_add_frame(copy, &error->frames[i].shown);
  }
  bridge_message *value = NULL;
  if (error->value != NULL &&
      bridge_message_clone(&value, error->value) == BRIDGE_OK) {
    bridge__error_set_value(copy, &value);
  }
  bridge__error_set_cause(copy, bridge_error_retain(error->cause));
}

bridge_error *bridge__error_copy(const bridge_error *error)
{
  if (error == NULL) {
    return NULL;
  }
  bridge_error *copy =
      bridge__error_create(error->status, error->text, error->text_size);
  if (copy != NULL) {
    copy_parts(copy, error);
  }
  return copy;
}

bridge_status bridge__error_give(bridge_error **out,
                                 bridge_error *error,
                                 bridge_status status)
{
  bridge_status result = error == NULL ? status : error->status;
  if (out != NULL) {
    *out = error;
  } else {
    bridge_error_release(error);
  }
  return result;
}

/* ---- Having ----------------------------------------------------------------- */

bridge_error *bridge_error_retain(bridge_error *error)
{
  return bridge__retain(error);
}

void bridge_error_release(bridge_error *error)
{
  bridge__release(error);
}

bridge_status bridge_error_status(const bridge_error *error)
{
  return error == NULL ? BRIDGE_OK : error->status;
}

const char *bridge_error_text(const bridge_error *error, size_t *size)
{
  if (size != NULL) {
    *size = error == NULL ? 0 : error->text_size;
  }
  return error == NULL ? "" : error->text;
}

const char *bridge_error_traceback(const bridge_error *error)
{
  return error == NULL || error->traceback == NULL ? "" : error->traceback;
}

size_t bridge_error_frame_count(const bridge_error *error)
{
  return error == NULL ? 0 : error->frame_count;
}

bridge_status bridge_error_frame(const bridge_error *error,
                                 size_t index,
                                 bridge_frame *out)
{
  if (error == NULL || out == NULL || index >= error->frame_count) {
    return BRIDGE_EINVAL;
  }
  *out = error->frames[index].shown;
  return BRIDGE_OK;
}

const bridge_message *bridge_error_value(const bridge_error *error)
{
  return error == NULL ? NULL : error->value;
}

const bridge_error *bridge_error_cause(const bridge_error *error)
{
  return error == NULL ? NULL : error->cause;
}

const char *bridge_error_caller(const bridge_error *error)
{
  return error == NULL || error->caller == NULL ? "" : error->caller;
}

const char *bridge_error_worker(const bridge_error *error)
{
  return error == NULL || error->worker == NULL ? "" : error->worker;
}
