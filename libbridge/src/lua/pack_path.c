/* What packing finds in front of it, and what it leaves when it fails: the numbers of
   values that the message has already, and the path to the one that cannot cross. */
#include "lua/pack.h"
#include "lua/path.h"

#include <stdio.h>

/* ---- What the message has already ----
   Numbers go on from those of the values before ours. */

static void count_value(bridge__packer *p, const bridge_value *value)
{
  p->containers.next +=
      value->type == BRIDGE_TYPE_ARRAY || value->type == BRIDGE_TYPE_MAP ||
      value->type == BRIDGE_TYPE_FUNCTION ||
      value->type == BRIDGE_TYPE_OBJECT || value->type == BRIDGE_TYPE_INSTANCE;
}

/* How many values follow that stand within `value`. */
static size_t inside(const bridge_value *value)
{
  switch (value->type) {
  case BRIDGE_TYPE_ARRAY:
  case BRIDGE_TYPE_FUNCTION:
  case BRIDGE_TYPE_OBJECT:
  case BRIDGE_TYPE_INSTANCE:
    return value->as.count;
  case BRIDGE_TYPE_MAP:
    return value->as.count * 2;
  default:
    return 0;
  }
}

/* Upvalues are the values right inside of a function, but for the dump and for
   those that were there before. */
bridge_status bridge__pack_count_written(bridge__packer *p)
{
  struct {
    size_t left;
    bool function;
  } open[BRIDGE_DEPTH_MAX + 1];
  open[0].left = 0;
  open[0].function = false;
  bridge_reader reader;
  bridge_status status = bridge_reader_init(&reader, p->message);
  bridge_value value;
  size_t depth = 0;
  while (status == BRIDGE_OK &&
         (status = bridge_reader_next(&reader, &value)) == BRIDGE_OK) {
    while (depth > 0 && open[depth].left == 0) {
      depth--;
    }
    open[depth].left -= depth > 0;
    p->upvalues.next +=
        open[depth].function && value.type != BRIDGE_TYPE_UPVALUE;
    count_value(p, &value);
    if (inside(&value) > 0 && depth < BRIDGE_DEPTH_MAX) {
      depth++;
      open[depth].left = inside(&value);
      open[depth].function = value.type == BRIDGE_TYPE_FUNCTION;
      if (open[depth].function) {
        status = bridge_reader_skip(&reader); /* the dump */
        open[depth].left--;
      }
    }
  }
  return status == BRIDGE_EEMPTY ? BRIDGE_OK : status;
}

/* ---- Failure ---- */

static void describe(bridge__packer *p, bridge__path *path)
{
  for (size_t i = 0; i < p->depth; i++) {
    const bridge__frame *f = &p->frames[i];
    switch (f->kind) {
    case BRIDGE_TYPE_ARRAY:
      bridge__path_index(path, f->at);
      break;
    case BRIDGE_TYPE_MAP:
      if (f->in_value) {
        bridge__path_in_key(path);
      } else {
        bridge__path_key(path, p->L, f->top + 1);
      }
      break;
    case BRIDGE_TYPE_OBJECT:
      bridge__path_packed(path, (size_t)f->at);
      break;
    case BRIDGE_TYPE_INSTANCE:
      break;
    default:
      bridge__path_upvalue(path, f->upvalue);
      break;
    }
  }
}

static const char *reason_of(bridge__packer *p, bridge_status status)
{
  if (p->reason != NULL) {
    return p->reason;
  }
  switch (status) {
  case BRIDGE_ENOMEM:
    return "not enough memory";
  case BRIDGE_ELIMIT:
    if (p->limits.bytes == BRIDGE_SIZE_MAX) {
      return "the message would be larger than 1 GiB";
    }
    bridge__pack_limit(
        p, "the message would have more than %zu bytes (message_limit)",
        p->limits.bytes);
    return p->reason;
  default:
    return bridge_status_text(status);
  }
}

const char bridge__argument_of_request[] = "argument";

void bridge__pack_push_failure(bridge__packer *p, int top)
{
  bridge__path path;
  const bool named = p->noun == bridge__argument_of_request && p->done > 0;
  bridge__path_begin(&path, p->noun, (size_t)p->done + (named ? 0 : 1));
  describe(p, &path);
  bridge__path_end(&path, reason_of(p, p->status));
  lua_settop(p->L, top);
  lua_pushlstring(p->L, path.text, path.size);
}
