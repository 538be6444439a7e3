/* Our queue with its defaults; the receiver waits in pop. */
#include "bench.h"

#include <bridge/bridge.h>

static bridge_queue *queue;

static void load_open(void)
{
  bench_check(bridge_queue_create(&queue, NULL) == BRIDGE_OK, "no queue");
}

static inline void load_send(void)
{
  bridge_message *message = NULL;
  bench_check(bridge_message_create(&message, 0) == BRIDGE_OK &&
                  bridge_message_write_integer(message, 1) == BRIDGE_OK &&
                  bridge_queue_push(queue, &message) == BRIDGE_OK,
              "cannot send");
}

static inline size_t load_take(void)
{
  bridge_message *message = NULL;
  bench_check(bridge_queue_pop(queue, &message, -1) == BRIDGE_OK, "pop");
  bridge_message_release(message);
  return 1;
}

#include "wake_load.h"
