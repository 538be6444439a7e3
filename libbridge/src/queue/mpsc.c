/* The engine of queues, for hosts that bring their own nodes. */
#include "queue/mpsc.h"

#include "base/memory.h"

bridge_status bridge_mpsc_create(bridge_mpsc **out)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_mpsc *list = bridge__allocate(sizeof *list);
  if (list == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge__mpsc_init(list, false);
  *out = list;
  return BRIDGE_OK;
}

void bridge_mpsc_destroy(bridge_mpsc *list)
{
  bridge__free(list);
}

bridge_status bridge_mpsc_push(bridge_mpsc *list,
                               bridge_node *node,
                               bool *armed)
{
  if (list == NULL || node == NULL || armed == NULL) {
    return BRIDGE_EINVAL;
  }
  *armed = bridge__mpsc_push(list, node, node);
  return BRIDGE_OK;
}

bridge_status bridge_mpsc_take(bridge_mpsc *list, bridge_node **out)
{
  if (list == NULL || out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_node *oldest = bridge__mpsc_take(list);
  if (oldest == NULL) {
    return BRIDGE_EEMPTY;
  }
  *out = oldest;
  return BRIDGE_OK;
}

bridge_status bridge_mpsc_arm(bridge_mpsc *list)
{
  if (list == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__mpsc_arm(list) ? BRIDGE_OK : BRIDGE_EBUSY;
}
