/* The check of bytes from outside: all of it happens here, once, so that reading
   a message later cannot fail.  The writer uses the same walk to find out what
   is left of a message that it cuts off. */
#include "message/codec.h"

/* A container on the way: how much of it is left. */
typedef struct level {
  uint32_t left;
  bool function;
  bool dump; /* the function's first value has not come yet */
} level;

typedef struct scan {
  const unsigned char *data;
  size_t size;
  size_t position;
  bool own;
  size_t pending; /* values that the open containers still need */
  size_t depth;
  bridge__totals *totals;
  level levels[BRIDGE_DEPTH_MAX];
} scan;

static bool refused(const scan *s, const bridge_value *value)
{
  return !s->own && value->type == BRIDGE_TYPE_EXTENSION && value->kind >= 0 &&
         value->kind < BRIDGE__EXTENSION_FIRST &&
         value->kind != BRIDGE__EXTENSION_REFERENCE &&
         value->kind != BRIDGE__EXTENSION_NULL;
}

static bridge_status decode(const scan *s, bridge__item *item)
{
  bridge_status status = bridge__decode(s->data, s->size, s->position, item);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (refused(s, &item->value)) {
    return BRIDGE_ECORRUPT;
  }
  return bridge__decode_own(s->data, item);
}

/* Count the value where it stands. */
static void place(scan *s, const bridge_value *value)
{
  if (s->depth == 0) {
    s->totals->count++;
    return;
  }
  level *top = &s->levels[s->depth - 1];
  top->left--;
  s->pending--;
  if (top->dump) {
    top->dump = false;
  } else if (top->function && value->type != BRIDGE_TYPE_UPVALUE) {
    s->totals->upvalues++;
  }
}

static bridge_status enter(scan *s, const bridge__item *item)
{
  if (s->depth == BRIDGE_DEPTH_MAX) {
    return BRIDGE_ELIMIT;
  }
  /* Every value has at least one byte: a count that promises more is refused
     where it stands.  Neither number exceeds the size, so the sum fits. */
  s->pending += item->children;
  if (s->pending > s->size - item->next) {
    return BRIDGE_ECORRUPT;
  }
  bool function = item->value.type == BRIDGE_TYPE_FUNCTION;
  s->levels[s->depth] = (level){
      .left = (uint32_t)item->children, .function = function, .dump = function};
  s->depth++;
  s->totals->containers++;
  return BRIDGE_OK;
}

/* What is to be checked beyond the form. */
static bridge_status check(scan *s, const bridge__item *item)
{
  switch (item->value.type) {
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_MAP:
  case BRIDGE_TYPE_FUNCTION:
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    return enter(s, item);
  case BRIDGE_TYPE_REFERENCE:
    return item->value.as.index < s->totals->containers ? BRIDGE_OK
                                                        : BRIDGE_ECORRUPT;
  case BRIDGE_TYPE_HANDLE:
    s->totals->slots++;
    return BRIDGE_OK;
  default:
    return BRIDGE_OK;
  }
}

static bridge_status step(scan *s)
{
  bridge__item item;
  bridge_status status = decode(s, &item);
  if (status != BRIDGE_OK) {
    return status;
  }
  place(s, &item.value);
  status = check(s, &item);
  s->position = item.next;
  while (s->depth > 0 && s->levels[s->depth - 1].left == 0) {
    s->depth--;
  }
  return status;
}

bridge_status bridge__scan(const unsigned char *data,
                           size_t size,
                           bool own,
                           bridge__totals *totals)
{
  /* Not set to zero as a whole: the levels are 8 KiB. */
  scan s;
  s.data = data;
  s.size = size;
  s.position = 0;
  s.own = own;
  s.pending = 0;
  s.depth = 0;
  s.totals = totals;
  while (s.position < size) {
    bridge_status status = step(&s);
    if (status != BRIDGE_OK) {
      return status;
    }
  }
  return s.depth == 0 ? BRIDGE_OK : BRIDGE_ECORRUPT;
}
