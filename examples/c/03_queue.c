/* Story 3: workers push into one queue, and the host waits for it in its own
   event loop, by a descriptor.  Told in Lua and Python, too. */
#include <bridge/bridge.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WORKERS = 3,
  EACH = 1000
};

static const char producer[] = "local number, count, queue = ...\n"
                               "for step = 1, count do\n"
                               "  assert(queue:push(number, step))\n"
                               "end";

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

/* Bounded: who pushes into a full queue waits.  The default kind of waker is
   the cheapest one with a descriptor. */
static bridge_queue *make_queue(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = 64;
  options.waker_kind = BRIDGE_WAKER_DEFAULT;
  bridge_queue *queue = NULL;
  expect(bridge_queue_create(&queue, &options) == BRIDGE_OK, "a queue");
  return queue;
}

static bridge_worker *start(int64_t number, bridge_queue *queue)
{
  bridge_message *arguments = NULL;
  expect(bridge_message_create(&arguments, 0) == BRIDGE_OK &&
             bridge_message_write_integer(arguments, number) == BRIDGE_OK &&
             bridge_message_write_integer(arguments, EACH) == BRIDGE_OK &&
             bridge_message_write_handle(arguments, BRIDGE_HANDLE_QUEUE,
                                         queue) == BRIDGE_OK,
         "arguments");
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = producer;
  options.source_size = strlen(producer);
  bridge_worker *worker = NULL;
  expect(bridge_worker_create(&worker, &options, &arguments, NULL) == BRIDGE_OK,
         "a worker");
  return worker;
}

/* First in, first out, for each who pushes. */
static void take(const bridge_message *message, int64_t last[WORKERS])
{
  bridge_reader reader;
  int64_t number = -1;
  int64_t step = 0;
  expect(bridge_reader_init(&reader, message) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &number) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &step) == BRIDGE_OK,
         "two whole numbers");
  expect(number >= 0 && number < WORKERS && step == last[number] + 1,
         "the next step of a worker");
  last[number] = step;
}

/* Pop until the queue says that it is empty: that promises that the next push
   makes the descriptor readable.  Returns how many there were. */
static int drain(bridge_queue *queue, int64_t last[WORKERS])
{
  for (int count = 0;; count++) {
    bridge_message *message = NULL;
    bridge_status status = bridge_queue_pop(queue, &message, 0);
    if (status == BRIDGE_EEMPTY) {
      return count;
    }
    expect(status == BRIDGE_OK, "a message");
    take(message, last);
    bridge_message_release(message);
  }
}

int main(void)
{
  bridge_queue *queue = make_queue();
  bridge_worker *workers[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    workers[i] = start(i, queue);
  }

  struct pollfd watched = {.events = POLLIN};
  bridge_status status =
      bridge_waker_fileno(bridge_queue_waker(queue), &watched.fd);
  expect(status == BRIDGE_OK, "a descriptor");
  int64_t last[WORKERS] = {0};
  for (int popped = 0; popped < WORKERS * EACH;) {
    expect(poll(&watched, 1, -1) == 1, "to be woken");
    popped += drain(queue, last);
  }

  for (int i = 0; i < WORKERS; i++) {
    expect(last[i] == EACH, "all of its steps");
    printf("worker %d pushed %" PRId64 " messages\n", i, last[i]);
    expect(bridge_worker_join(workers[i], -1, NULL, NULL) == BRIDGE_OK,
           "a good end");
    bridge_worker_release(workers[i]);
  }
  bridge_queue_release(queue);
  return EXIT_SUCCESS;
}
