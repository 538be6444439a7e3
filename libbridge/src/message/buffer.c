/* Buffers: bytes that cross threads without a copy, since nobody writes them any
   more.  Writers and the freeze meet in one atomic word. */
#include "base/memory.h"
#include "base/object.h"

#include <bridge/buffer.h>

#include <stddef.h>
#include <string.h>

/* The lowest bit of `state`; the other bits count the open writes. */
#define FROZEN ((size_t)1)
#define WRITER ((size_t)2)

struct bridge_buffer {
  bridge__object object; /* first */
  atomic_size_t state;
  void *data;
  size_t size;
  bridge_buffer_free *release; /* of wrapped bytes, or NULL */
  void *user;
  max_align_t bytes[]; /* those that the buffer allocated itself */
};

static void destroy(void *object)
{
  bridge_buffer *buffer = object;
  bridge_buffer_free *release = buffer->release;
  void *user = buffer->user;
  void *data = buffer->data;
  size_t size = buffer->size;
  bridge__free(buffer);
  if (release != NULL) {
    release(user, data, size);
  }
}

static const bridge__type buffer_type = {BRIDGE_HANDLE_BUFFER, "buffer",
                                         destroy, NULL};

/* `room` bytes live in the same block. */
static bridge_status create(bridge_buffer **out, size_t room)
{
  size_t size = 0;
  if (room > PTRDIFF_MAX || !bridge__add(sizeof(bridge_buffer), room, &size) ||
      size > PTRDIFF_MAX) {
    return BRIDGE_ELIMIT;
  }
  bridge_buffer *buffer = bridge__allocate_zero(size);
  if (buffer == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge__object_init(buffer, &buffer_type);
  atomic_init(&buffer->state, 0);
  buffer->data = buffer->bytes;
  buffer->size = room;
  *out = buffer;
  return BRIDGE_OK;
}

bridge_status bridge_buffer_create(bridge_buffer **out, size_t size)
{
  return out == NULL ? BRIDGE_EINVAL : create(out, size);
}

bridge_status bridge_buffer_copy(bridge_buffer **out,
                                 const void *data,
                                 size_t size)
{
  if (out == NULL || (data == NULL && size > 0)) {
    return BRIDGE_EINVAL;
  }
  bridge_buffer *buffer = NULL;
  bridge_status status = create(&buffer, size);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (size > 0) {
    memcpy(buffer->data, data, size);
  }
  *out = buffer;
  return BRIDGE_OK;
}

bridge_status bridge_buffer_wrap(bridge_buffer **out,
                                 void *data,
                                 size_t size,
                                 bridge_buffer_free *release,
                                 void *user)
{
  if (out == NULL || (data == NULL && size > 0)) {
    return BRIDGE_EINVAL;
  }
  if (size > PTRDIFF_MAX) {
    return BRIDGE_ELIMIT;
  }
  bridge_buffer *buffer = NULL;
  bridge_status status = create(&buffer, 0);
  if (status != BRIDGE_OK) {
    return status;
  }
  buffer->data = data;
  buffer->size = size;
  buffer->release = release;
  buffer->user = user;
  *out = buffer;
  return BRIDGE_OK;
}

bridge_buffer *bridge_buffer_retain(bridge_buffer *buffer)
{
  return bridge__retain(buffer);
}

void bridge_buffer_release(bridge_buffer *buffer)
{
  bridge__release(buffer);
}

const void *bridge_buffer_data(const bridge_buffer *buffer)
{
  if (buffer == NULL) {
    return NULL;
  }
  bool wrapped = buffer->data != buffer->bytes;
  return wrapped && buffer->size == 0 ? NULL : buffer->data;
}

size_t bridge_buffer_size(const bridge_buffer *buffer)
{
  return buffer == NULL ? 0 : buffer->size;
}

bridge_status bridge_buffer_begin_write(bridge_buffer *buffer, void **data)
{
  if (buffer == NULL || data == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(buffer)) {
    return BRIDGE_EFORKED;
  }
  /* Nothing is taken yet: the exchange below sees a value that is too old. */
  size_t state = atomic_load_explicit(&buffer->state, memory_order_relaxed);
  do {
    if ((state & FROZEN) != 0) {
      return BRIDGE_EFROZEN;
    }
    /* Takes what writers before this one have written. */
  } while (!atomic_compare_exchange_weak_explicit(
      &buffer->state, &state, state + WRITER, memory_order_acquire,
      memory_order_relaxed));
  *data = buffer->data;
  return BRIDGE_OK;
}

bridge_status bridge_buffer_end_write(bridge_buffer *buffer)
{
  if (buffer == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(buffer)) {
    return BRIDGE_EFORKED;
  }
  /* Nothing is taken: only the number matters. */
  size_t state = atomic_load_explicit(&buffer->state, memory_order_relaxed);
  do {
    if (state < WRITER) {
      return BRIDGE_EINVAL;
    }
    /* Publishes the bytes that were written to whoever freezes. */
  } while (!atomic_compare_exchange_weak_explicit(
      &buffer->state, &state, state - WRITER, memory_order_release,
      memory_order_relaxed));
  return BRIDGE_OK;
}

bridge_status bridge_buffer_freeze(bridge_buffer *buffer)
{
  if (buffer == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(buffer)) {
    return BRIDGE_EFORKED;
  }
  size_t state = 0;
  /* Takes the bytes from all who wrote, and publishes them to those who find it
     frozen; a failure takes them from who froze it first. */
  if (atomic_compare_exchange_strong_explicit(&buffer->state, &state, FROZEN,
                                              memory_order_acq_rel,
                                              memory_order_acquire)) {
    return BRIDGE_OK;
  }
  return (state & FROZEN) != 0 ? BRIDGE_OK : BRIDGE_EBUSY;
}

bool bridge_buffer_frozen(const bridge_buffer *buffer)
{
  /* Takes the bytes from who froze them. */
  return buffer != NULL &&
         (atomic_load_explicit(&buffer->state, memory_order_acquire) &
          FROZEN) != 0;
}
