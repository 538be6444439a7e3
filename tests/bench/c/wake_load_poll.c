/* Our queue in an event loop: poll(), and then pop until nothing is there. */
#include "bench.h"

#include <bridge/bridge.h>

#include <poll.h>

static bridge_queue *queue;
static struct pollfd watched = {.events = POLLIN};

static void load_open(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker_kind = BRIDGE_WAKER_DEFAULT;
  bench_check(bridge_queue_create(&queue, &options) == BRIDGE_OK &&
                  bridge_waker_fileno(bridge_queue_waker(queue), &watched.fd) ==
                      BRIDGE_OK,
              "no queue");
}

static inline void load_send(void)
{
  bridge_message *message = NULL;
  bench_check(bridge_message_create(&message, 0) == BRIDGE_OK &&
                  bridge_message_write_integer(message, 1) == BRIDGE_OK &&
                  bridge_queue_push(queue, &message) == BRIDGE_OK,
              "cannot send");
}

/* Not for ever: a loop has other things to do, too. */
static inline size_t load_take(void)
{
  size_t count = 0;
  bridge_message *message = NULL;
  poll(&watched, 1, -1);
  while (count < 1024 && bridge_queue_pop(queue, &message, 0) == BRIDGE_OK) {
    bridge_message_release(message);
    count++;
  }
  return count;
}

#include "wake_load.h"
