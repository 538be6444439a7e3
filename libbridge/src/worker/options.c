/* What a worker can be made of, and what people should know of options of which none
   can. */
#include "worker/worker.h"

#include "message/error.h"

/* A size that has a maximum; 0 is the default. */
static bridge_error *beyond(const char *name, size_t size, size_t most)
{
  return size <= most
             ? NULL
             : bridge__error_format(BRIDGE_EINVAL, "%s: %zu is more than %zu",
                                    name, size, most);
}

/* A number of an enumeration. */
static bool is_within(int number, int least, int most)
{
  return number >= least && number <= most;
}

static const char *wrong_kind(const bridge_worker_options *options)
{
  if (!is_within((int)options->drive, BRIDGE_DRIVE_THREAD, BRIDGE_DRIVE_HOST)) {
    return "drive: no such kind";
  }
  if (!is_within((int)options->waker_kind, BRIDGE_WAKER_DEFAULT,
                 BRIDGE_WAKER_CONDITION)) {
    return "waker_kind: none that can be made here";
  }
  if (!is_within((int)options->priority, BRIDGE_PRIORITY_IDLE,
                 BRIDGE_PRIORITY_HIGH)) {
    return "priority: no such one";
  }
  if (!is_within((int)options->inbox_full, BRIDGE_QUEUE_BLOCK,
                 BRIDGE_QUEUE_DROP_OLDEST)) {
    return "inbox_full: no such policy";
  }
  return NULL;
}

static const char *wrong_in(const bridge_worker_options *options)
{
  if (options->source != NULL && options->file != NULL) {
    return "two chunks: a source and a file";
  }
  if (options->drive == BRIDGE_DRIVE_HOST &&
      (options->priority != BRIDGE_PRIORITY_NORMAL || options->affinity != 0)) {
    return "priority and affinity are for a thread of its own";
  }
  if (!bridge__limits_valid(&options->life)) {
    return "life: milliseconds from 0 on expected";
  }
  return bridge__limits_valid(&options->request)
             ? NULL
             : "request: milliseconds from 0 on expected";
}

static bridge_error *explain(const bridge_worker_options *options)
{
  const char *wrong = wrong_kind(options);
  wrong = wrong == NULL ? wrong_in(options) : wrong;
  if (wrong != NULL) {
    return bridge__error_format(BRIDGE_EINVAL, "%s", wrong);
  }
  bridge_error *error =
      beyond("inbox_items", options->inbox_items, BRIDGE_QUEUE_ITEMS_MAX);
  return error != NULL ? error
                       : beyond("inbox_bytes", options->inbox_bytes,
                                BRIDGE_QUEUE_BYTES_MAX);
}

bridge_status bridge__worker_check(const bridge_worker_options *options,
                                   bridge_error **error)
{
  if (options == NULL) {
    return BRIDGE_EINVAL;
  }
  if (options->version != BRIDGE_WORKER_OPTIONS_VERSION) {
    *error = bridge__error_format(
        BRIDGE_EVERSION,
        "version: %u expected, got %u (bridge_worker_options_init sets it)",
        (unsigned)BRIDGE_WORKER_OPTIONS_VERSION, options->version);
    return BRIDGE_EVERSION;
  }
  *error = explain(options);
  return *error == NULL ? BRIDGE_OK : BRIDGE_EINVAL;
}
