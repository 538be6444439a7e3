/* Parts of packing: what was seen, what is open, and what is within the limits. */
#include "lua/pack.h"

#include <stdio.h>
#include <string.h>

bridge_status bridge__pack_refuse(bridge__packer *p, const char *reason)
{
  p->reason = reason;
  return BRIDGE_ETYPE;
}

/* ---- Memory ----
   The library's, like that of the message.  The state's allocator knows of no
   collection that could make room when its limit is reached: only Lua does. */

/* Bytes, all zero; NULL if there are none. */
void *bridge__pack_allocate(bridge_buffer **block, size_t size)
{
  void *data = NULL;
  if (bridge_buffer_create(block, size) != BRIDGE_OK) {
    return NULL;
  }
  return bridge_buffer_begin_write(*block, &data) == BRIDGE_OK ? data : NULL;
}

void bridge__pack_replace(bridge_buffer **old, bridge_buffer *block)
{
  bridge_buffer_release(*old);
  *old = block;
}

/* ---- What was seen ---- */

static size_t slot_of(const void *key, size_t capacity)
{
  uint64_t bits = (uint64_t)(uintptr_t)key;
  bits = (bits ^ (bits >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
  return (size_t)(bits >> 32) & (capacity - 1);
}

static bridge__entry *probe(bridge__entry *table,
                            size_t capacity,
                            const void *key)
{
  size_t at = slot_of(key, capacity);
  while (table[at].key != NULL && table[at].key != key) {
    at = (at + 1) & (capacity - 1);
  }
  return &table[at];
}

void bridge__seen_nothing(bridge__seen *s)
{
  s->table = NULL;
  s->block = NULL;
  s->capacity = 0;
  s->used = 0;
  s->next = 0;
}

bool bridge__seen_find(const bridge__seen *s, const void *key, size_t *number)
{
  if (s->table != NULL) {
    const bridge__entry *found = probe(s->table, s->capacity, key);
    *number = found->number;
    return found->key != NULL;
  }
  for (size_t i = 0; i < s->used; i++) {
    if (s->few[i].key == key) {
      *number = s->few[i].number;
      return true;
    }
  }
  return false;
}

static bool seen_grow(bridge__seen *s)
{
  size_t capacity = s->table == NULL ? SEEN_FEW * 4 : s->capacity * 2;
  bridge_buffer *block = NULL;
  bridge__entry *table =
      bridge__pack_allocate(&block, capacity * sizeof *table);
  if (table == NULL) {
    return false;
  }
  const bridge__entry *from = s->table == NULL ? s->few : s->table;
  size_t count = s->table == NULL ? s->used : s->capacity;
  for (size_t i = 0; i < count; i++) {
    if (from[i].key != NULL) {
      *probe(table, capacity, from[i].key) = from[i];
    }
  }
  bridge__pack_replace(&s->block, block);
  s->table = table;
  s->capacity = capacity;
  return true;
}

/* Give the next number to `key`, which was not seen. */
bridge_status bridge__seen_add(bridge__seen *s, const void *key)
{
  bool full =
      s->table == NULL ? s->used == SEEN_FEW : s->used * 2 > s->capacity;
  if (full && !seen_grow(s)) {
    return BRIDGE_ENOMEM;
  }
  bridge__entry *place =
      s->table == NULL ? &s->few[s->used] : probe(s->table, s->capacity, key);
  place->key = key;
  place->number = s->next++;
  s->used++;
  return BRIDGE_OK;
}

/* ---- Frames ---- */

static bool grow_frames(bridge__packer *p)
{
  size_t capacity = p->capacity * 2;
  bridge_buffer *block = NULL;
  bridge__frame *frames =
      bridge__pack_allocate(&block, capacity * sizeof *frames);
  if (frames == NULL) {
    return false;
  }
  memcpy(frames, p->frames, p->depth * sizeof *frames);
  bridge__pack_replace(&p->frames_block, block);
  p->frames = frames;
  p->capacity = capacity;
  return true;
}

bridge_status bridge__pack_push(bridge__packer *p,
                                bridge_type kind,
                                int object,
                                lua_Integer count)
{
  if (!lua_checkstack(p->L, SLOTS + TOGETHER) ||
      (p->depth == p->capacity && !grow_frames(p))) {
    return BRIDGE_ENOMEM;
  }
  bridge__frame *f = &p->frames[p->depth++];
  f->kind = kind;
  f->object = object;
  f->top = lua_gettop(p->L);
  f->in_value = false;
  f->begun = false;
  f->holes = false;
  f->at = 0;
  f->count = count;
  f->upvalue = NULL;
  return BRIDGE_OK;
}

/* The message has begun a container for the object at a stack index. */
bridge_status bridge__pack_begun(bridge__packer *p,
                                 bridge_type kind,
                                 int object,
                                 lua_Integer count)
{
  bridge_status status =
      bridge__seen_add(&p->containers, lua_topointer(p->L, object));
  return status == BRIDGE_OK ? bridge__pack_push(p, kind, object, count)
                             : status;
}

bridge_status bridge__pack_limit(bridge__packer *p,
                                 const char *format,
                                 size_t number)
{
  snprintf(p->text, sizeof p->text, format, number);
  p->reason = p->text;
  return BRIDGE_ELIMIT;
}

bridge_status bridge__pack_deeper(bridge__packer *p)
{
  return p->depth < p->limits.depth
             ? BRIDGE_OK
             : bridge__pack_limit(p, "nested deeper than %zu (depth_limit)",
                                  p->limits.depth);
}

/* There are so many more values, at least. */
bridge_status bridge__pack_add(bridge__packer *p, size_t count)
{
  p->values += count;
  return p->values <= p->limits.values
             ? BRIDGE_OK
             : bridge__pack_limit(p, "more than %zu values (value_limit)",
                                  p->limits.values);
}

/* All is packed once more. */
bridge_status bridge__pack_again(bridge__packer *p, bridge__again why)
{
  p->again = why;
  return BRIDGE_ETYPE;
}
