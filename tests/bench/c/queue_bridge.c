/* Our queue, with all features, one thread, one message: push and pop. */
#include "bench.h"

#include <bridge/bridge.h>

int main(void)
{
  enum {
    COUNT = 5000000
  };
  bridge_queue *queue = NULL;
  bridge_message *message = NULL;
  bench_check(bridge_queue_create(&queue, NULL) == BRIDGE_OK, "no queue");
  bench_check(bridge_message_create(&message, 0) == BRIDGE_OK, "no message");
  int64_t began = bench_now();
  for (int i = 0; i < COUNT; i++) {
    bench_check(bridge_queue_push(queue, &message) == BRIDGE_OK, "push");
    bench_check(bridge_queue_pop(queue, &message, 0) == BRIDGE_OK, "pop");
  }
  return bench_print_each(COUNT, bench_now() - began);
}
