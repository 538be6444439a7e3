/* What a worker runs: text, a file or a function, put on a coroutine of its own
   with its arguments before the worker starts; or as it does, if objects of classes are
   among them. */
#include "worker/worker.h"

#include "base/memory.h"
#include "message/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct text {
  char *data;
  size_t size;
} text;

/* A pipe may keep us waiting, and a signal of the host break the wait: it is taken
   up again. */
static FILE *open_to_read(const char *path)
{
  FILE *file;
  do {
    file = fopen(path, "rb");
  } while (file == NULL && errno == EINTR);
  return file;
}

static size_t read_some(char *out, size_t size, FILE *file)
{
  size_t got = 0;
  bool broken = true;
  while (broken && got == 0) {
    got = fread(out, 1, size, file);
    broken = ferror(file) != 0 && errno == EINTR;
    if (broken) {
      clearerr(file);
    }
  }
  return got;
}

static bool read_all(FILE *file, text *out)
{
  size_t capacity = 0;
  size_t got = 1;
  *out = (text){NULL, 0};
  while (got > 0) {
    if (out->size == capacity) {
      capacity = capacity == 0 ? 16384 : capacity * 2;
      char *grown = bridge__resize(out->data, capacity);
      if (grown == NULL) {
        errno = ENOMEM;
        return false;
      }
      out->data = grown;
    }
    got = read_some(out->data + out->size, capacity - out->size, file);
    out->size += got;
  }
  return ferror(file) == 0;
}

static bridge_status unreadable(const char *path, bridge_error **error)
{
  int code = errno;
  bridge_status status = BRIDGE_ESYSTEM;
  if (code == ENOENT || code == ENOTDIR) {
    status = BRIDGE_ENOTFOUND;
  } else if (code == ENOMEM) {
    status = BRIDGE_ENOMEM;
  }
  *error = bridge__error_format(status, "cannot read '%.200s': %s", path,
                                strerror(code));
  return status;
}

static bridge_status read_file(const char *path,
                               text *out,
                               bridge_error **error)
{
  FILE *file = open_to_read(path);
  if (file == NULL) {
    return unreadable(path, error);
  }
  bool read = read_all(file, out);
  bridge_status status = read ? BRIDGE_OK : unreadable(path, error);
  fclose(file);
  if (!read) {
    bridge__free(out->data);
  }
  return status;
}

/* As Lua does with files: no byte order mark, and a first line that begins with
   `#` is for the shell.  Its end stays, so that lines are counted right. */
static text skip_shell_line(text file)
{
  if (file.size >= 3 && memcmp(file.data, "\xEF\xBB\xBF", 3) == 0) {
    file.data += 3;
    file.size -= 3;
  }
  if (file.size > 0 && file.data[0] == '#') {
    char *end = memchr(file.data, '\n', file.size);
    size_t line = end == NULL ? file.size : (size_t)(end - file.data);
    file.data += line;
    file.size -= line;
  }
  return file;
}

static char *format_name(char prefix, const char *name)
{
  size_t size = strlen(name);
  char *out = bridge__allocate(size + 2);
  if (out != NULL) {
    out[0] = prefix;
    memcpy(out + 1, name, size + 1);
  }
  return out;
}

/* The worker's life has not begun, but this may not take longer than that. */
static bridge_status load_text(bridge_worker *worker,
                               const bridge_worker_options *options,
                               text source,
                               const char *name,
                               bridge_error **error)
{
  const bridge__chunk_text chunk = {
      source.data, source.size,
      options->chunk_name == NULL ? name : options->chunk_name};
  bridge__leash leash;
  bridge__leash_init(&leash, NULL, &options->life);
  return bridge__state_load_on(worker->state, &leash, worker->driver.main->L,
                               &chunk, error);
}

static bridge_status load_file(bridge_worker *worker,
                               const bridge_worker_options *options,
                               bridge_error **error)
{
  char *name = format_name('@', options->file);
  if (name == NULL) {
    return BRIDGE_ENOMEM;
  }
  text file = {NULL, 0};
  bridge_status status = read_file(options->file, &file, error);
  if (status == BRIDGE_OK) {
    status = load_text(worker, options, skip_shell_line(file), name, error);
    bridge__free(file.data);
  }
  bridge__free(name);
  return status;
}

static bridge_status load_source(bridge_worker *worker,
                                 const bridge_worker_options *options,
                                 bridge_error **error)
{
  char *name = format_name('=', worker->name);
  if (name == NULL) {
    return BRIDGE_ENOMEM;
  }
  text source = {(char *)(uintptr_t)options->source, options->source_size};
  if (source.size == 0) {
    source.size = strlen(options->source);
  }
  bridge_status status = load_text(worker, options, source, name, error);
  bridge__free(name);
  return status;
}

static bridge_status load_chunk(bridge_worker *worker,
                                const bridge_worker_options *options,
                                bridge_error **error)
{
  if (options->source != NULL) {
    return load_source(worker, options, error);
  }
  return options->file != NULL ? load_file(worker, options, error) : BRIDGE_OK;
}

static void name_task(bridge__task *task, const bridge_worker_options *options)
{
  const char *name = options->chunk_name;
  if (name == NULL) {
    name = options->file == NULL ? "main chunk" : options->file;
  }
  bridge__label_set(&task->label, name, strlen(name));
}

static bridge_status no_chunk(bridge_error **error)
{
  *error = bridge__error_format(BRIDGE_EINVAL,
                                "no chunk: no source, no file, no function");
  return BRIDGE_EINVAL;
}

/* Behind the chunk, or with it. */
static bridge_status push_arguments(bridge_worker *worker,
                                    const bridge_message *arguments,
                                    bridge_error **error)
{
  bridge__driver *driver = &worker->driver;
  lua_State *L = driver->main->L;
  int count = 0;
  bridge_status status = BRIDGE_OK;
  if (arguments != NULL) {
    status = bridge__state_unpack(worker->state, L, arguments, &count, error);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  if (lua_type(L, 1) != LUA_TFUNCTION) {
    return no_chunk(error);
  }
  driver->arguments = lua_gettop(L) - 1;
  return BRIDGE_OK;
}

bool bridge__worker_keeps(const bridge_message *arguments)
{
  return arguments != NULL && arguments->objects;
}

bridge_status bridge__worker_load(bridge_worker *worker,
                                  const bridge_worker_options *options,
                                  bridge_message *arguments,
                                  bridge_error **error)
{
  bridge__driver *driver = &worker->driver;
  bridge_status status = bridge__task_create(worker, &driver->main);
  if (status == BRIDGE_OK) {
    status = bridge__task_provide(worker);
  }
  if (status == BRIDGE_OK) {
    name_task(driver->main, options);
    status = load_chunk(worker, options, error);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  if (bridge__worker_keeps(arguments)) {
    driver->values = arguments;
    return BRIDGE_OK;
  }
  return push_arguments(worker, arguments, error);
}

/* ---- Its first turn ---- */

typedef struct beginning {
  bridge_worker *worker;
  bridge_error *error;
  bridge_status status;
} beginning;

static void unpack_kept(void *user)
{
  beginning *job = user;
  job->status =
      push_arguments(job->worker, job->worker->driver.values, &job->error);
}

/* Script code, as all that the worker runs. */
static bridge_status unpack_guarded(beginning *job)
{
  bridge_worker *worker = job->worker;
  bridge__driver *driver = &worker->driver;
  bridge__guard *guard = &worker->state->guard;
  driver->running = driver->main;
  bridge__gauge_begin(&worker->gauge, &driver->main->label);
  bridge__worker_enter_lua(worker);
  bridge__resumed done =
      bridge__guard_call(guard, bridge__turn_begin(worker, driver->main),
                         worker->state->main, unpack_kept, job);
  bridge__turn_end(worker);
  bridge__worker_leave_lua(worker);
  bridge__gauge_end(&worker->gauge);
  driver->running = NULL;
  if (done.ended == BRIDGE__ENDED) {
    bool cancelled =
        job->status != BRIDGE_OK && bridge__worker_interrupted(worker);
    return cancelled ? BRIDGE_ECANCELLED : job->status;
  }
  bridge_error_release(job->error);
  job->error = bridge__guard_take_stop(guard);
  driver->main->stopped = true;
  return done.status;
}

void bridge__worker_begin(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  bridge_status status = BRIDGE_OK;
  beginning job = {.worker = worker};
  if (driver->values != NULL) {
    status = unpack_guarded(&job);
    bridge_message_release(driver->values);
    driver->values = NULL;
  }
  if (status == BRIDGE_OK) {
    bridge__service_resume(worker, driver->main, driver->arguments);
  } else {
    bridge__task_refuse_main(worker, status, job.error);
  }
}
