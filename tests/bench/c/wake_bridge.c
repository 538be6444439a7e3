/* A message goes to and fro between two of our queues; who waits, waits in pop. */
#include "bench.h"

#include <bridge/bridge.h>

static bridge_queue *queues[2];
static bridge_message *message; /* of whichever side has it */

static void wake_open(void)
{
  bench_check(bridge_queue_create(&queues[0], NULL) == BRIDGE_OK &&
                  bridge_queue_create(&queues[1], NULL) == BRIDGE_OK &&
                  bridge_message_create(&message, 0) == BRIDGE_OK,
              "cannot begin");
}

static inline void wake_send(int side)
{
  bench_check(bridge_queue_push(queues[side], &message) == BRIDGE_OK, "push");
}

static inline void wake_receive(int side)
{
  bridge_message *got = NULL;
  bench_check(bridge_queue_pop(queues[side], &got, -1) == BRIDGE_OK, "pop");
  message = got;
}

#include "wake_trip.h"
