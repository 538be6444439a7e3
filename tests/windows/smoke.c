/* A walk through the core on Windows: a thread, a queue, both kinds of waker.
   Exits with 0, or with the line that failed. */
#include <bridge/bridge.h>

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      return __LINE__;                                                         \
    }                                                                          \
  } while (0)

enum {
  MESSAGES = 10000
};

static void produce(void *user)
{
  for (int i = 0; i < MESSAGES; i++) {
    bridge_message *message = NULL;
    if (bridge_message_create(&message, 0) != BRIDGE_OK ||
        bridge_message_write_integer(message, i) != BRIDGE_OK ||
        bridge_queue_push(user, &message) != BRIDGE_OK) {
      bridge_message_release(message);
      break;
    }
  }
  bridge_queue_close(user);
}

/* The messages come in order, then the end. */
static int consume(bridge_queue *queue)
{
  for (int64_t i = 0; i < MESSAGES; i++) {
    bridge_message *message = NULL;
    bridge_reader reader;
    int64_t value = -1;
    CHECK(bridge_queue_pop(queue, &message, 30000) == BRIDGE_OK);
    CHECK(bridge_reader_init(&reader, message) == BRIDGE_OK);
    CHECK(bridge_reader_integer(&reader, &value) == BRIDGE_OK);
    CHECK(value == i);
    bridge_message_release(message);
  }
  bridge_message *message = NULL;
  CHECK(bridge_queue_pop(queue, &message, 30000) == BRIDGE_ECLOSED);
  return 0;
}

static int through_a_queue(bridge_waker_kind kind)
{
  bridge_queue *queue = NULL;
  bridge_thread *thread = NULL;
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = 16;
  options.waker_kind = kind;
  CHECK(bridge_queue_create(&queue, &options) == BRIDGE_OK);
  bridge_thread_options named;
  bridge_thread_options_init(&named);
  named.name = "producer";
  CHECK(bridge_thread_create(&thread, produce, queue, &named) == BRIDGE_OK);
  int line = consume(queue);
  CHECK(bridge_thread_join(thread, 30000) == BRIDGE_OK);
  CHECK(bridge_thread_join(thread, 0) == BRIDGE_EALREADY);
  bridge_thread_release(thread);
  bridge_queue_release(queue);
  return line;
}

static int through_a_waker(bridge_waker_kind kind)
{
  bridge_waker *waker = NULL;
  CHECK(bridge_waker_create(&waker, kind) == BRIDGE_OK);
  CHECK(bridge_waker_wait(waker, 0) == BRIDGE_ETIMEDOUT);
  CHECK(bridge_waker_wait(waker, 20) == BRIDGE_ETIMEDOUT);
  CHECK(bridge_waker_raise(waker) == BRIDGE_OK);
  CHECK(bridge_waker_raise(waker) == BRIDGE_OK);
  CHECK(bridge_waker_wait(waker, -1) == BRIDGE_OK);
  CHECK(bridge_waker_clear(waker) == BRIDGE_OK);
  CHECK(bridge_waker_wait(waker, 0) == BRIDGE_ETIMEDOUT);
  CHECK(bridge_waker_close(waker) == BRIDGE_OK);
  CHECK(bridge_waker_raise(waker) == BRIDGE_ECLOSED);
  bridge_waker_release(waker);
  return 0;
}

int main(void)
{
  const bridge_waker_kind kinds[] = {BRIDGE_WAKER_UDP, BRIDGE_WAKER_CONDITION};
  for (int i = 0; i < 2; i++) {
    int line = through_a_waker(kinds[i]);
    CHECK(line == 0);
    line = through_a_queue(kinds[i]);
    CHECK(line == 0);
  }
  bridge_waker *waker = NULL;
  CHECK(bridge_waker_create(&waker, BRIDGE_WAKER_EVENTFD) ==
        BRIDGE_EUNSUPPORTED);
  CHECK(bridge_thread_cores() >= 1);
  return 0;
}
