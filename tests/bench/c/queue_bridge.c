/* Our queue with all its features: bounds in messages and bytes, close, waker. */
#include <bridge/bridge.h>

#include <stdbool.h>

typedef bridge_message item;

static bridge_queue *queue;

#include "bench.h"

static void queue_open(size_t producers)
{
  (void)producers;
  bench_check(bridge_queue_create(&queue, NULL) == BRIDGE_OK, "no queue");
}

static inline size_t queue_push(unsigned producer, item **items, size_t count)
{
  (void)producer;
  size_t pushed = 1;
  bridge_status status =
      count == 1 ? bridge_queue_push(queue, items)
                 : bridge_queue_push_batch(queue, items, count, &pushed);
  bench_check(status == BRIDGE_OK, "cannot push");
  return pushed;
}

static inline size_t queue_pop(item **items, size_t most, bool waits)
{
  size_t popped = 1;
  const int timeout = waits ? -1 : 0;
  bridge_status status =
      most == 1 ? bridge_queue_pop(queue, items, timeout)
                : bridge_queue_pop_batch(queue, items, most, &popped, timeout);
  if (status == BRIDGE_EEMPTY) {
    return 0;
  }
  bench_check(status == BRIDGE_OK, "cannot pop");
  return popped;
}

static inline item *item_make(int64_t value)
{
  bridge_message *message = NULL;
  bench_check(bridge_message_create(&message, 0) == BRIDGE_OK &&
                  bridge_message_write_integer(message, value) == BRIDGE_OK,
              "no message");
  return message;
}

static inline void item_free(item *message)
{
  bridge_message_release(message);
}

/* It is sent as it is: its producer is all that is asked for. */
static inline item *item_again(item *message, int64_t value)
{
  (void)value;
  return message;
}

static inline int64_t item_value(item *message, bool fresh)
{
  if (!fresh) {
    return *(const unsigned char *)bridge_message_data(message);
  }
  bridge_reader reader;
  int64_t value = 0;
  bench_check(bridge_reader_init(&reader, message) == BRIDGE_OK &&
                  bridge_reader_integer(&reader, &value) == BRIDGE_OK,
              "cannot read");
  return value;
}

#include "queue_traffic.h"
