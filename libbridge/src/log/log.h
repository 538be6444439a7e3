/* Records of what nobody else is told, on their way to the logger. */
#ifndef BRIDGE_LOG_LOG_H
#define BRIDGE_LOG_LOG_H

#include <bridge/log.h>

#include <stdatomic.h>
#include <stdbool.h>

/* Whom records are about, and how many it may still make.  All zeros is one
   without a name, with all its allowance. */
typedef struct bridge__log_source {
  const char *name; /* borrowed; NULL for none */
  uint64_t id;
  bridge_queue *queue; /* retained by the owner; NULL: the process's logger */
  _Atomic int64_t booked;  /* until when its allowance is used up */
  _Atomic uint64_t missed; /* records left out since the last one */
} bridge__log_source;

/* Whether a record of this level would be told. */
bool bridge__log_wanted(bridge_log_level level);

/* Tell it, or count it.  `source` may be NULL; `error` may be NULL and stays the
   caller's.  Never blocks, but for what stderr and a host's logger do. */
void bridge__log(bridge__log_source *source,
                 bridge_log_level level,
                 const char *text,
                 size_t size,
                 const bridge_error *error);

/* The same, like printf. */
void bridge__log_format(bridge__log_source *source,
                        bridge_log_level level,
                        const bridge_error *error,
                        const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Tell how many of its records were left out, where no next one can; what even
   that does not reach is told with the next record that is nobody's. */
void bridge__log_end(bridge__log_source *source);

/* record.c: a record as a message, for a queue; NULL without memory. */
bridge_message *bridge__log_message(const bridge_log_record *record);

/* value.c: append what a script raised, as data. */
bridge_status bridge__log_copy_value(bridge_message *out,
                                     const bridge_message *value);

#endif
