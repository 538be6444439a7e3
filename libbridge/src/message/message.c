/* Messages: the one thing that crosses threads.  Here are their memory, their
   table of handles and their end; write.c fills them and read.c walks them. */
#include "message/message.h"

#include "base/memory.h"
#include "message/codec.h"

#include <string.h>

/* The first table that is not inside the message is a recycled block, too. */
#define TABLE_BLOCK ((size_t)16)

_Static_assert(sizeof(bridge_message) <= BRIDGE__BLOCK_SIZE,
               "a message is a block");
_Static_assert(sizeof(void *) != 8 || offsetof(bridge_message, outside) == 64,
               "a queue needs one cache line");
_Static_assert(TABLE_BLOCK * sizeof(bridge__slot) <= BRIDGE__BLOCK_SIZE &&
                   TABLE_BLOCK * sizeof(bridge__open) <= BRIDGE__BLOCK_SIZE,
               "a small table fits into a block");
_Static_assert(BRIDGE__OPEN_INLINE < TABLE_BLOCK,
               "the capacity tells where a table lives");

/* ---- Room --------------------------------------------------------------- */

/* The capacity says where a table came from: below TABLE_BLOCK it is part of the
   message or does not exist. */
static void free_table(void *table, size_t capacity)
{
  if (capacity == TABLE_BLOCK) {
    bridge__block_put(table);
  } else if (capacity > TABLE_BLOCK) {
    bridge__free(table);
  }
}

static void *allocate_table(size_t *count, size_t item)
{
  if (*count <= TABLE_BLOCK) {
    *count = TABLE_BLOCK;
    return bridge__block_get();
  }
  size_t size = 0;
  return bridge__multiply(*count, item, &size) ? bridge__allocate(size) : NULL;
}

bridge_status bridge__message_reserve_open(bridge_message *message)
{
  if (message->depth < message->open_capacity) {
    return BRIDGE_OK;
  }
  size_t capacity = message->open_capacity * 2;
  bridge__open *open = allocate_table(&capacity, sizeof *open);
  if (open == NULL) {
    return BRIDGE_ENOMEM;
  }
  memcpy(open, message->open, message->depth * sizeof *open);
  free_table(message->open, message->open_capacity);
  message->open = open;
  message->open_capacity = capacity;
  message->outside = true;
  return BRIDGE_OK;
}

void bridge__message_trim_open(bridge_message *message)
{
  free_table(message->open, message->open_capacity);
  message->open = message->open_inline;
  message->open_capacity = BRIDGE__OPEN_INLINE;
}

bridge_status bridge__message_reserve_slots(bridge_message *message,
                                            size_t slots)
{
  size_t needed = 0;
  if (!bridge__add(message->slot_count, slots, &needed)) {
    return BRIDGE_ENOMEM;
  }
  if (needed <= message->slot_capacity) {
    return BRIDGE_OK;
  }
  size_t capacity = message->slot_capacity * 2;
  if (capacity < needed) {
    capacity = needed;
  }
  bridge__slot *table = allocate_table(&capacity, sizeof *table);
  if (table == NULL) {
    return BRIDGE_ENOMEM;
  }
  if (message->slot_count > 0) {
    memcpy(table, message->slots, message->slot_count * sizeof *table);
  }
  free_table(message->slots, message->slot_capacity);
  message->slots = table;
  message->slot_capacity = capacity;
  message->outside = true;
  return BRIDGE_OK;
}

void bridge__message_drop_slots(bridge_message *message, size_t count)
{
  while (message->slot_count > count) {
    message->slot_count--;
    const bridge__slot *slot = &message->slots[message->slot_count];
    if (slot->type == BRIDGE_TYPE_HANDLE) {
      bridge__release(slot->as.pointer);
    }
  }
}

/* Move the bytes to a place of exactly `capacity` bytes. */
static bool move_data(bridge_message *message, size_t capacity)
{
  bool inside = message->data == message->bytes;
  unsigned char *data = inside ? bridge__allocate(capacity)
                               : bridge__resize(message->data, capacity);
  if (data == NULL) {
    return false;
  }
  if (inside) {
    memcpy(data, message->data, message->size);
  }
  message->data = data;
  message->capacity = capacity;
  return true;
}

bridge_status bridge__message_grow(bridge_message *message, size_t bytes)
{
  if (message->size > message->limit ||
      bytes > message->limit - message->size) {
    return BRIDGE_ELIMIT;
  }
  size_t needed = message->size + bytes;
  /* Twice as much each time, so that many small values cost no more than one
     large one. */
  size_t capacity = message->capacity * 2;
  if (capacity < needed) {
    capacity = needed;
  }
  if (capacity > message->limit) {
    capacity = message->limit;
  }
  return move_data(message, capacity) ? BRIDGE_OK : BRIDGE_ENOMEM;
}

/* ---- Beginning ------------------------------------------------------------ */

/* One by one: the bytes and the stack need no beginning. */
static void begin(bridge_message *message)
{
  message->node.next = NULL;
  message->hint = 0;
  message->data = message->bytes;
  message->size = 0;
  message->count = 0;
  message->envelope = (bridge__envelope){0};
  message->outside = false;
  message->objects = false;
  message->capacity = BRIDGE__INLINE_SIZE;
  message->limit = BRIDGE_SIZE_MAX;
  message->containers = 0;
  message->upvalues = 0;
  message->slots = NULL;
  message->slot_count = 0;
  message->slot_capacity = 0;
  message->open = message->open_inline;
  message->depth = 0;
  message->open_capacity = BRIDGE__OPEN_INLINE;
}

bridge_status bridge_message_create(bridge_message **out, size_t size_hint)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  if (size_hint > BRIDGE_SIZE_MAX) {
    return BRIDGE_ELIMIT;
  }
  bridge_message *message = bridge__block_get();
  if (message == NULL) {
    return BRIDGE_ENOMEM;
  }
  begin(message);
  bridge_status status = bridge__message_reserve(message, size_hint);
  if (status != BRIDGE_OK) {
    bridge__block_put(message);
    return status;
  }
  *out = message;
  return BRIDGE_OK;
}

bridge_status bridge_message_set_limit(bridge_message *message, size_t size)
{
  if (message == NULL || size > BRIDGE_SIZE_MAX) {
    return BRIDGE_EINVAL;
  }
  message->limit = size == 0 ? BRIDGE_SIZE_MAX : size;
  if (message->capacity > message->limit) {
    /* What there is beyond is not used any more: that it is asked for makes the
       limit looked at. */
    message->capacity =
        message->size > message->limit ? message->size : message->limit;
  }
  return BRIDGE_OK;
}

/* A message of these bytes, which were checked. */
static bridge_status copy_bytes(bridge_message **out,
                                const void *data,
                                size_t size,
                                const bridge__totals *totals)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_message_create(&message, size);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (size > 0) {
    memcpy(message->data, data, size);
  }
  message->size = size;
  message->count = totals->count;
  message->containers = totals->containers;
  message->upvalues = totals->upvalues;
  *out = message;
  return BRIDGE_OK;
}

bridge_status bridge_message_from_bytes(bridge_message **out,
                                        const void *data,
                                        size_t size)
{
  if (out == NULL || (data == NULL && size > 0)) {
    return BRIDGE_EINVAL;
  }
  if (size > BRIDGE_SIZE_MAX) {
    return BRIDGE_ELIMIT;
  }
  /* Before anything is allocated: what is refused costs no memory. */
  bridge__totals totals = {0};
  bridge_status status = bridge__scan(data, size, false, &totals);
  if (status != BRIDGE_OK) {
    return status;
  }
  return copy_bytes(out, data, size, &totals);
}

static void copy_slots(bridge_message *to, const bridge_message *from)
{
  for (size_t i = 0; i < from->slot_count; i++) {
    to->slots[i] = from->slots[i];
    if (from->slots[i].type == BRIDGE_TYPE_HANDLE) {
      bridge__retain(from->slots[i].as.pointer);
    }
  }
  to->slot_count = from->slot_count;
}

bridge_status bridge_message_clone(bridge_message **out,
                                   const bridge_message *message)
{
  if (out == NULL || message == NULL || !bridge__message_finished(message)) {
    return BRIDGE_EINVAL;
  }
  bridge__totals totals = {.count = message->count,
                           .containers = message->containers,
                           .upvalues = message->upvalues};
  bridge_message *copy = NULL;
  bridge_status status =
      copy_bytes(&copy, message->data, message->size, &totals);
  if (status != BRIDGE_OK) {
    return status;
  }
  copy->objects = message->objects;
  if (message->slot_count > 0) {
    status = bridge__message_reserve_slots(copy, message->slot_count);
    if (status != BRIDGE_OK) {
      bridge_message_release(copy);
      return status;
    }
    copy_slots(copy, message);
  }
  *out = copy;
  return BRIDGE_OK;
}

/* ---- End ------------------------------------------------------------------ */

/* The messages that this thread is about to free.  A message may hold a queue
   that holds messages, and so on without end: freeing one while another is being
   freed only puts it into this list, so that the stack stays flat. */
static BRIDGE__THREAD_LOCAL struct {
  bool running;
  bridge_message *first;
} doomed;

static void free_bytes(bridge_message *message)
{
  if (message->data != message->bytes) {
    bridge__free(message->data);
  }
  bridge__block_put(message);
}

static void destroy(bridge_message *message)
{
  bridge__message_drop_slots(message, 0);
  free_table(message->slots, message->slot_capacity);
  free_table(message->open, message->open_capacity);
  void *attachment = message->envelope.attachment;
  free_bytes(message);
  /* Last, since it may answer a request, and so end up anywhere. */
  bridge__release(attachment);
}

void bridge_message_release(bridge_message *message)
{
  if (message == NULL) {
    return;
  }
  if (!message->outside && message->envelope.attachment == NULL) {
    free_bytes(message);
    return;
  }
  message->node.next = doomed.first == NULL ? NULL : &doomed.first->node;
  doomed.first = message;
  if (doomed.running) {
    return;
  }
  doomed.running = true;
  while (doomed.first != NULL) {
    bridge_message *next = doomed.first;
    doomed.first = (bridge_message *)next->node.next;
    destroy(next);
  }
  doomed.running = false;
}

/* ---- What there is ---------------------------------------------------------- */

const void *bridge_message_data(const bridge_message *message)
{
  return message == NULL ? NULL : message->data;
}

size_t bridge_message_size(const bridge_message *message)
{
  return message == NULL ? 0 : message->size;
}

size_t bridge_message_count(const bridge_message *message)
{
  return message == NULL ? 0 : message->count;
}

size_t bridge_message_slot_count(const bridge_message *message)
{
  return message == NULL ? 0 : message->slot_count;
}

bool bridge__message_holds(const bridge_message *message, const void *handle)
{
  for (size_t i = 0; i < message->slot_count; i++) {
    const bridge__slot *slot = &message->slots[i];
    if (slot->type == BRIDGE_TYPE_HANDLE && slot->as.pointer == handle) {
      return true;
    }
  }
  return false;
}
