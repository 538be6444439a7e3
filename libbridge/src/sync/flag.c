/* Flag: a counter of 0 or 1 under a name of its own. */
#include "base/memory.h"
#include "base/registry.h"
#include "sync/counter.h"

struct bridge_flag {
  bridge__listed object;
  bridge_counter *counter; /* one reference */
};

static void destroy(void *object)
{
  bridge_flag *flag = object;
  bridge_counter_release(flag->counter);
  bridge__free(flag);
}

static void look_at(void *object, bridge_object_info *info)
{
  info->closed = bridge_flag_closed(object);
  info->value = bridge_flag_is_set(object);
}

static bridge_status close_it(void *object)
{
  return bridge_flag_close(object);
}

static const struct bridge__listing listing = {look_at, close_it};
static const bridge__type type = {BRIDGE_HANDLE_FLAG, "flag", destroy,
                                  &listing};

bridge_status bridge_flag_create(bridge_flag **out, bool set)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_flag *flag = bridge__allocate_zero(sizeof *flag);
  if (flag == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge__counter_make(&flag->counter, set ? 1 : 0);
  if (status != BRIDGE_OK) {
    bridge__free(flag);
    return status;
  }
  bridge__object_init(flag, &type);
  bridge__enlist(flag);
  *out = flag;
  return BRIDGE_OK;
}

bridge_flag *bridge_flag_retain(bridge_flag *flag)
{
  return bridge__retain(flag);
}

void bridge_flag_release(bridge_flag *flag)
{
  bridge__release(flag);
}

/* NULL, which the counter refuses, for NULL. */
static bridge_counter *counter_of(const bridge_flag *flag)
{
  return flag == NULL ? NULL : flag->counter;
}

bridge_status bridge_flag_set(bridge_flag *flag)
{
  return bridge_counter_set(counter_of(flag), 1, NULL);
}

bridge_status bridge_flag_clear(bridge_flag *flag)
{
  return bridge_counter_set(counter_of(flag), 0, NULL);
}

bool bridge_flag_is_set(const bridge_flag *flag)
{
  return bridge_counter_get(counter_of(flag)) != 0;
}

bridge_status bridge_flag_wait(bridge_flag *flag, int timeout_ms)
{
  return bridge_counter_wait(counter_of(flag), BRIDGE_EQUAL, 1, timeout_ms,
                             NULL);
}

bridge_status bridge_flag_close(bridge_flag *flag)
{
  return bridge_counter_close(counter_of(flag));
}

bool bridge_flag_closed(const bridge_flag *flag)
{
  return bridge_counter_closed(counter_of(flag));
}
