/* Log: the last stop of what nobody else is told; on to a function of the host, a
   queue, or stderr. */
#include "log/log.h"

#include "base/memory.h"
#include "base/object.h"
#include "platform/platform.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_S INT64_C(1000000000)
/* Each record books a part of a second, and so much may be booked ahead. */
#define RECORD_NS (NS_PER_S / 32)
#define AHEAD_NS  (63 * RECORD_NS)
/* Bytes of a text that a line on stderr shows. */
#define LINE_SIZE 1024

static const char *const names[] = {"debug", "info", "warning", "error"};

const char *bridge_log_level_name(bridge_log_level level)
{
  bool known = level >= BRIDGE_LOG_DEBUG && level <= BRIDGE_LOG_ERROR;
  return known ? names[level] : "?";
}

/* ---- Who takes records ---- */

typedef struct sink {
  bridge__object object;
  bridge_logger *logger; /* or NULL */
  void *user;
  bridge_queue *queue; /* or NULL; retained */
} sink;

static void sink_destroy(void *object)
{
  sink *old = object;
  bridge_queue_release(old->queue);
  bridge__free(old);
}

static const bridge__type sink_type = {BRIDGE_HANDLE_NONE, "logger",
                                       sink_destroy, NULL};

static bridge__mutex mutex = BRIDGE__MUTEX_INIT;
static sink *chosen; /* guarded by mutex; NULL: stderr */
static atomic_int least_level = BRIDGE_LOG_INFO;
static _Thread_local unsigned inside; /* loggers that this thread is in */

static void lock_for_fork(void)
{
  bridge__mutex_lock(&mutex);
}

static void unlock_after_fork(void)
{
  bridge__mutex_unlock(&mutex);
}

/* Wants no lock; the result is the caller's. */
static sink *take_sink(void)
{
  bridge__mutex_lock(&mutex);
  sink *taken = bridge__retain(chosen);
  bridge__mutex_unlock(&mutex);
  return taken;
}

/* Wait until no other thread is in it.  In the child of a fork those who were in
   it are not there, and never leave it. */
static void wait_for_others(const sink *old)
{
  /* Takes what they did in it. */
  while (inside == 0 && !bridge__forked(old) &&
         atomic_load_explicit(&old->object.references, memory_order_acquire) >
             1) {
    bridge__yield();
  }
}

/* Takes the new one. */
static void choose(sink *made)
{
  bridge__at_fork(BRIDGE__FORK_LOG, lock_for_fork, unlock_after_fork);
  bridge__mutex_lock(&mutex);
  sink *old = chosen;
  chosen = made;
  bridge__mutex_unlock(&mutex);
  if (old != NULL) {
    wait_for_others(old);
    bridge__release(old);
  }
}

static bridge_status choose_new(bridge_logger *logger,
                                void *user,
                                bridge_queue *queue)
{
  sink *made = bridge__allocate_zero(sizeof *made);
  if (made == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge__object_init(made, &sink_type);
  made->logger = logger;
  made->user = user;
  made->queue = bridge_queue_retain(queue);
  choose(made);
  return BRIDGE_OK;
}

bridge_status bridge_set_logger(bridge_logger *logger, void *user)
{
  if (logger != NULL) {
    return choose_new(logger, user, NULL);
  }
  choose(NULL);
  return BRIDGE_OK;
}

bridge_status bridge_set_log_queue(bridge_queue *queue)
{
  if (queue == NULL) {
    choose(NULL);
    return BRIDGE_OK;
  }
  return bridge__forked(queue) ? BRIDGE_EFORKED : choose_new(NULL, NULL, queue);
}

bridge_status bridge_set_log_level(bridge_log_level least)
{
  if (least < BRIDGE_LOG_DEBUG || least > BRIDGE_LOG_ERROR) {
    return BRIDGE_EINVAL;
  }
  /* Publishes nothing but itself. */
  atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
  return BRIDGE_OK;
}

bool bridge__log_wanted(bridge_log_level level)
{
  /* Takes nothing: it stands for itself. */
  return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

/* ---- How many ---- */

/* Book a place, if there is one. */
static bool allowed(bridge__log_source *source)
{
  if (source == NULL) {
    return true;
  }
  int64_t now = bridge__now();
  /* Both take and publish nothing: only the number counts. */
  int64_t booked = atomic_load_explicit(&source->booked, memory_order_relaxed);
  int64_t next = 0;
  do {
    int64_t from = booked > now ? booked : now;
    if (from - now > AHEAD_NS) {
      return false;
    }
    next = from + RECORD_NS;
  } while (!atomic_compare_exchange_weak_explicit(&source->booked, &booked,
                                                  next, memory_order_relaxed,
                                                  memory_order_relaxed));
  return true;
}

/* Of whoever has no source, and of those that are gone. */
static _Atomic uint64_t missed_by_others;

static _Atomic uint64_t *missed_of(bridge__log_source *source)
{
  return source == NULL ? &missed_by_others : &source->missed;
}

static void count_missed(bridge__log_source *source, uint64_t more)
{
  /* Publishes nothing: a number that is told. */
  atomic_fetch_add_explicit(missed_of(source), more, memory_order_relaxed);
}

static uint64_t take_missed(bridge__log_source *source)
{
  /* Takes nothing: a number that is told, once. */
  return atomic_exchange_explicit(missed_of(source), 0, memory_order_relaxed);
}

/* ---- Telling ---- */

/* Control bytes would break the line, or the terminal. */
static size_t copy_visible(char *out, const char *text, size_t size)
{
  size_t used = 0;
  for (size_t i = 0; i < size && used + 5 < LINE_SIZE; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte == '\n') {
      out[used++] = '\\';
      out[used++] = 'n';
    } else if (byte == '\t' || (byte >= ' ' && byte != 127)) {
      out[used++] = (char)byte;
    } else {
      used += (size_t)snprintf(out + used, 5, "\\%03u", byte);
    }
  }
  out[used] = '\0';
  return used;
}

static void write_line(const bridge_log_record *record)
{
  char text[LINE_SIZE];
  char missed[64] = "";
  copy_visible(text, record->text, record->size);
  if (record->suppressed > 0) {
    snprintf(missed, sizeof missed, " (%llu more left out before)",
             (unsigned long long)record->suppressed);
  }
  bool named = record->worker[0] != '\0';
  fprintf(stderr, "bridge: %s: %s%s%s%s\n",
          bridge_log_level_name(record->level), named ? record->worker : "",
          named ? ": " : "", text, missed);
}

/* False if nobody will ever read it there. */
static bool push(bridge_queue *queue,
                 bridge__log_source *source,
                 const bridge_log_record *record)
{
  bridge_message *message = bridge__log_message(record);
  bridge_status status = BRIDGE_ENOMEM;
  if (message != NULL) {
    status = bridge_queue_push_timeout(queue, &message, 0);
  }
  bridge_message_release(message);
  if (status == BRIDGE_ECLOSED || status == BRIDGE_EFORKED) {
    return false;
  }
  if (status != BRIDGE_OK) {
    count_missed(source, record->suppressed + 1);
  }
  return true;
}

static void tell(bridge__log_source *source, const bridge_log_record *record)
{
  if (source != NULL && source->queue != NULL &&
      push(source->queue, source, record)) {
    return;
  }
  sink *to = take_sink();
  bool told = false;
  if (to != NULL && to->logger != NULL) {
    inside++;
    to->logger(record, to->user);
    inside--;
    told = true;
  } else if (to != NULL) {
    told = push(to->queue, source, record);
  }
  bridge__release(to);
  if (!told) {
    write_line(record);
  }
}

/* Most loggers deep: one that logs is told its own records, too. */
enum {
  INSIDE_MAX = 4
};

static void tell_text(bridge__log_source *source,
                      bridge_log_level level,
                      const char *text,
                      size_t size,
                      const bridge_error *error)
{
  bool named = source != NULL && source->name != NULL;
  const bridge_log_record record = {
      .level = level,
      .text = text == NULL ? "" : text,
      .size = size,
      .worker = named ? source->name : "",
      .worker_id = source == NULL ? 0 : source->id,
      .time_ns = bridge__wall_now(),
      .error = error,
      .suppressed = take_missed(source),
  };
  tell(source, &record);
}

/* Bytes of a text that come from a worker's script. */
enum {
  TEXT_MAX = 4096
};

/* Not within a character of UTF-8. */
static size_t cut(const char *text)
{
  size_t kept = TEXT_MAX;
  while (kept > TEXT_MAX - 4 && ((unsigned char)text[kept] & 0xC0) == 0x80) {
    kept--;
  }
  return kept;
}

/* The beginning, and how much more it was. */
static void tell_beginning(bridge__log_source *source,
                           bridge_log_level level,
                           const char *text,
                           size_t size,
                           const bridge_error *error)
{
  char shown[TEXT_MAX + 48];
  const size_t kept = cut(text);
  memcpy(shown, text, kept);
  int more = snprintf(shown + kept, sizeof shown - kept, "... (%zu more bytes)",
                      size - kept);
  tell_text(source, level, shown, kept + (size_t)more, error);
}

void bridge__log(bridge__log_source *source,
                 bridge_log_level level,
                 const char *text,
                 size_t size,
                 const bridge_error *error)
{
  if (!bridge__log_wanted(level)) {
    return;
  }
  if (inside >= INSIDE_MAX || !allowed(source)) {
    count_missed(source, 1);
  } else if (source != NULL && size > TEXT_MAX) {
    tell_beginning(source, level, text, size, error);
  } else {
    tell_text(source, level, text, size, error);
  }
}

/* This record has an allowance of its own. */
void bridge__log_end(bridge__log_source *source)
{
  static const char text[] = "ended; some of its records were left out";
  /* Takes nothing: a number that is told. */
  if (atomic_load_explicit(&source->missed, memory_order_relaxed) > 0 &&
      inside < INSIDE_MAX && bridge__log_wanted(BRIDGE_LOG_WARNING)) {
    tell_text(source, BRIDGE_LOG_WARNING, text, sizeof text - 1, NULL);
  }
  count_missed(NULL, take_missed(source));
}

void bridge__log_format(bridge__log_source *source,
                        bridge_log_level level,
                        const bridge_error *error,
                        const char *format,
                        ...)
{
  char text[LINE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  size_t size = length < 0 ? 0 : (size_t)length;
  bridge__log(source, level, text, size < sizeof text ? size : sizeof text - 1,
              error);
}
