/* Making errors: filled by one thread, then never changed. */
#ifndef BRIDGE_MESSAGE_ERROR_H
#define BRIDGE_MESSAGE_ERROR_H

#include "base/object.h"

#include <bridge/error.h>

/* NULL when there is no memory: an error that is lost costs its text, never the
   status. */
bridge_error *bridge__error_create(bridge_status status,
                                   const char *text,
                                   size_t size);
/* printf-like. */
bridge_error *bridge__error_format(bridge_status status,
                                   const char *format,
                                   ...) __attribute__((format(printf, 2, 3)));
/* Taken and set to NULL. */
void bridge__error_set_value(bridge_error *error, bridge_message **value);
/* Copied; without memory it is left out. */
void bridge__error_set_traceback(bridge_error *error, const char *traceback);
void bridge__error_add_frame(bridge_error *error, const bridge_frame *frame);
/* Taken; one that it has already is dropped. */
void bridge__error_set_cause(bridge_error *error, bridge_error *cause);
/* Copied; without memory it is left out. */
void bridge__error_set_caller(bridge_error *error, const char *traceback);
void bridge__error_set_worker(bridge_error *error, const char *name);
/* A copy that can still be filled; NULL without memory, or for NULL. */
bridge_error *bridge__error_copy(const bridge_error *error);

/* Hand an error to a caller who may not want it: stores it in `*out`, or
   releases it.  Returns the error's status, or `status` if error is NULL. */
bridge_status bridge__error_give(bridge_error **out,
                                 bridge_error *error,
                                 bridge_status status);

#endif
