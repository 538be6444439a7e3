/* Report: what a worker tells the logger, since nobody else would hear of it. */
#include "worker/worker.h"

#include "base/memory.h"

#include <string.h>

bridge_status bridge_log(bridge_log_level level, const char *text, size_t size)
{
  if (level < BRIDGE_LOG_DEBUG || level > BRIDGE_LOG_ERROR ||
      (text == NULL && size > 0)) {
    return BRIDGE_EINVAL;
  }
  bridge_worker *worker = bridge_worker_current();
  bridge__log(worker == NULL ? NULL : &worker->log, level, text, size, NULL);
  return BRIDGE_OK;
}

/* What a failure is to one who looks at it later.  That a worker was stopped is
   what somebody asked for. */
static bridge_log_level weight(bridge_status status)
{
  switch (status) {
  case BRIDGE_ECANCELLED:
  case BRIDGE_ECLOSED:
  case BRIDGE_EDEAD:
  case BRIDGE_ELOST:
    return BRIDGE_LOG_DEBUG;
  default:
    return BRIDGE_LOG_ERROR;
  }
}

void bridge__worker_report(bridge_worker *worker,
                           const char *what,
                           bridge_status status,
                           const bridge_error *error)
{
  const char *text = error == NULL ? bridge_status_text(status)
                                   : bridge_error_text(error, NULL);
  bridge__log_format(worker == NULL ? NULL : &worker->log, weight(status),
                     error, "%s: %s", what, text);
}

void bridge__worker_report_end(bridge_worker *worker)
{
  /* Takes nothing: who took the outcome had a reference, which is gone. */
  bool told = atomic_load_explicit(&worker->told, memory_order_relaxed);
  if (worker->outcome != BRIDGE_OK && !told) {
    bridge__worker_report(worker, "ended, and nobody joined it",
                          worker->outcome, worker->error);
  }
}

/* ---- warn, and errors in __gc ---- */

/* Most bytes of a warning that are kept. */
#define WARNING_SIZE ((size_t)4096)

/* Append, as far as there is room and memory. */
static void keep(bridge__warning *warning, const char *text)
{
  if (warning->text == NULL) {
    warning->text = bridge__allocate(WARNING_SIZE);
  }
  if (warning->text == NULL) {
    return;
  }
  size_t size = strlen(text);
  size_t room = WARNING_SIZE - warning->size;
  size = size < room ? size : room;
  memcpy(warning->text + warning->size, text, size);
  warning->size += size;
}

static void tell_warning(bridge_worker *worker)
{
  static const char lost[] = "(there was no memory for a warning)";
  const bridge__warning *warning = &worker->warning;
  bool kept = warning->text != NULL;
  bridge__log(&worker->log, BRIDGE_LOG_WARNING, kept ? warning->text : lost,
              kept ? warning->size : sizeof lost - 1, NULL);
}

/* The pieces of a line come one by one. */
static void warn(void *user, const char *text, int to_be_continued)
{
  bridge_worker *worker = user;
  bridge__warning *warning = &worker->warning;
  bool control = !warning->begun && !to_be_continued && text[0] == '@';
  if (control) {
    warning->off =
        strcmp(text, "@off") == 0 || (warning->off && strcmp(text, "@on") != 0);
    return;
  }
  if (!warning->off) {
    keep(warning, text);
  }
  warning->begun = to_be_continued != 0;
  if (!warning->begun && !warning->off) {
    tell_warning(worker);
  }
  if (!warning->begun) {
    warning->size = 0;
  }
}

void bridge__worker_hear_warnings(bridge_worker *worker)
{
  lua_setwarnf(worker->state->main, warn, worker);
}
