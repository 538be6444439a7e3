/* The same in an event loop: who waits, waits in poll() for the descriptor of the
   queue's waker, and then pops until nothing is there. */
#include "bench.h"

#include <bridge/bridge.h>

#include <poll.h>

static bridge_queue *queues[2];
static struct pollfd watched[2];
static bridge_message *message; /* of whichever side has it */

static void open_side(int side)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker_kind = BRIDGE_WAKER_DEFAULT;
  watched[side].events = POLLIN;
  bench_check(bridge_queue_create(&queues[side], &options) == BRIDGE_OK &&
                  bridge_waker_fileno(bridge_queue_waker(queues[side]),
                                      &watched[side].fd) == BRIDGE_OK,
              "no queue");
}

static void wake_open(void)
{
  open_side(0);
  open_side(1);
  bench_check(bridge_message_create(&message, 0) == BRIDGE_OK, "no message");
}

static inline void wake_send(int side)
{
  bench_check(bridge_queue_push(queues[side], &message) == BRIDGE_OK, "push");
}

static inline void wake_receive(int side)
{
  bridge_message *got = NULL;
  bridge_message *more = NULL;
  while (bridge_queue_pop(queues[side], &got, 0) == BRIDGE_EEMPTY) {
    poll(&watched[side], 1, -1);
  }
  /* A loop goes on until the queue says so. */
  bench_check(got != NULL &&
                  bridge_queue_pop(queues[side], &more, 0) == BRIDGE_EEMPTY,
              "pop");
  message = got;
}

#include "wake_trip.h"
