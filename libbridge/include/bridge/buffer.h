#ifndef BRIDGE_BUFFER_H
#define BRIDGE_BUFFER_H

#include <bridge/status.h>

#include <stdbool.h>
#include <stddef.h>

BRIDGE_BEGIN_DECLS

/**
 * Reference-counted bytes that threads share and do not copy.
 *
 * A buffer is written by those who made it until it is frozen; from then on
 * nobody writes it and everybody may read it, which is why no lock is needed.
 * Writing a buffer into a message freezes it.
 */
typedef struct bridge_buffer bridge_buffer;

/**
 * Frees bytes that a buffer did not allocate.  Called once, on whichever thread
 * drops the last reference.
 */
typedef void bridge_buffer_free(void *user, void *data, size_t size);

/**
 * Create a buffer of zeros.
 *
 * @param[out] out  the buffer; the caller owns one reference
 * @param size      bytes, 0 or more
 * @return BRIDGE_OK, BRIDGE_EINVAL, BRIDGE_ELIMIT (size is absurd) or
 *         BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_buffer_create(bridge_buffer **out, size_t size);

/**
 * Create a buffer with a copy of some bytes.
 *
 * @param[out] out  the buffer; the caller owns one reference
 * @param data      the bytes; NULL only if @p size is 0
 * @param size      how many
 * @return BRIDGE_OK, BRIDGE_EINVAL, BRIDGE_ELIMIT or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_buffer_copy(bridge_buffer **out,
                                            const void *data,
                                            size_t size);

/**
 * Create a buffer around bytes of the caller, without a copy.
 *
 * @param[out] out  the buffer; the caller owns one reference
 * @param data      the bytes; NULL only if @p size is 0; the buffer's on
 *                  success, untouched on failure
 * @param size      how many
 * @param release   called once when the buffer goes; NULL for static bytes
 * @param user      handed to @p release
 * @return BRIDGE_OK, BRIDGE_EINVAL, BRIDGE_ELIMIT or BRIDGE_ENOMEM
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_buffer_wrap(bridge_buffer **out,
                                            void *data,
                                            size_t size,
                                            bridge_buffer_free *release,
                                            void *user);

/**
 * Add a reference.
 *
 * @param buffer  the buffer, or NULL
 * @return @p buffer
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_buffer *bridge_buffer_retain(bridge_buffer *buffer);

/**
 * Drop a reference; the last one frees the bytes.
 *
 * @param buffer  the buffer; NULL does nothing
 *
 * @threadsafety Any thread.
 */
BRIDGE_API void bridge_buffer_release(bridge_buffer *buffer);

/**
 * The bytes, to read.
 *
 * @param buffer  the buffer, or NULL
 * @return borrowed; NULL for NULL and for an empty wrapped buffer
 *
 * @threadsafety Any thread.
 */
BRIDGE_API const void *bridge_buffer_data(const bridge_buffer *buffer);

/**
 * How many bytes there are.
 *
 * @param buffer  the buffer, or NULL, which has none
 *
 * @threadsafety Any thread.
 */
BRIDGE_API size_t bridge_buffer_size(const bridge_buffer *buffer);

/**
 * Ask for the bytes to write them.  Until bridge_buffer_end_write the buffer
 * cannot be frozen, and so cannot cross.
 *
 * @param buffer     the buffer
 * @param[out] data  borrowed
 * @return BRIDGE_OK, BRIDGE_EINVAL or BRIDGE_EFROZEN
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_buffer_begin_write(bridge_buffer *buffer,
                                                   void **data);

/**
 * Give back what bridge_buffer_begin_write gave, once for each.
 *
 * @param buffer  the buffer
 * @return BRIDGE_OK; BRIDGE_EINVAL if no write is open
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_buffer_end_write(bridge_buffer *buffer);

/**
 * Make the bytes read-only for good.  A frozen buffer may be frozen again.
 *
 * @param buffer  the buffer
 * @return BRIDGE_OK; BRIDGE_EINVAL; BRIDGE_EBUSY while a write is open
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bridge_status bridge_buffer_freeze(bridge_buffer *buffer);

/**
 * Whether the bytes are read-only.
 *
 * @param buffer  the buffer, or NULL, which is not
 *
 * @threadsafety Any thread.
 */
BRIDGE_API bool bridge_buffer_frozen(const bridge_buffer *buffer);

BRIDGE_END_DECLS

#endif /* BRIDGE_BUFFER_H */
