/* A host that ends while its workers compute, wait, ask and serve, its threads
   run and its wakers are open: as its argument says.  Run by exit_fault.cc. */
#include <bridge/bridge.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const chunks[] = {
    /* computes and never asks */
    "local up = ... up:push(1) while true do end",
    /* makes garbage */
    "local up = ... up:push(1) while true do local t = { {}, 'x' .. #{} } end",
    /* waits for a queue that nobody fills */
    "local up, q = ... up:push(1) q:pop()",
    /* waits for room */
    "local up, q = ... q:push(1) up:push(1) q:push(2)",
    /* sleeps */
    "local up = ... up:push(1) require 'bridge'.sleep(1e6)",
    /* serves */
    "local up = ... up:push(1) return require 'bridge'.serve {"
    "  never = function() require 'bridge'.sleep(1e6) end }",
    /* asks one that never answers */
    "local up = ... local bridge = require 'bridge'"
    " local w = bridge.worker [[return require 'bridge'.serve {"
    "  never = function() require 'bridge'.sleep(1e6) end }]]"
    " up:push(1) w:call('never')",
    /* makes workers */
    "local up = ... local bridge = require 'bridge' up:push(1)"
    " while true do bridge.worker('return 1'):join() end",
    /* in a finalizer, after its chunk */
    "local up = ... setmetatable({}, { __gc = function()"
    "  up:push(1) while true do end end }) return 1",
};

enum {
  CHUNKS = sizeof chunks / sizeof chunks[0]
};

static bridge_worker *workers[CHUNKS];
static bridge_queue *up;
static bridge_waker *never;

static void must(bridge_status status)
{
  if (status != BRIDGE_OK) {
    fprintf(stderr, "%s\n", bridge_status_name(status));
    _exit(99);
  }
}

static void start(size_t number)
{
  bridge_queue_options bounds;
  bridge_queue_options_init(&bounds);
  bounds.items = 1;
  bridge_queue *queue = NULL;
  must(bridge_queue_create(&queue, &bounds));
  bridge_message *arguments = NULL;
  must(bridge_message_create(&arguments, 0));
  must(bridge_message_write_handle(arguments, BRIDGE_HANDLE_QUEUE, up));
  must(bridge_message_write_handle(arguments, BRIDGE_HANDLE_QUEUE, queue));
  bridge_queue_release(queue);
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = chunks[number];
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.stop = BRIDGE_STOP_COOPERATIVE; /* so that one that computes refuses */
  options.state = &state;
  must(bridge_worker_create(&workers[number], &options, &arguments, NULL));
}

static void wait_for_ever(void *user)
{
  (void)user;
  bridge_waker_wait(never, -1);
}

static void spin(void *user)
{
  (void)user;
  for (;;) {
    bridge_message *message = NULL;
    must(bridge_message_create(&message, 0));
    must(bridge_queue_push(up, &message));
  }
}

static void *ask(void *user)
{
  bridge_message *request = NULL;
  must(bridge_message_create(&request, 0));
  must(bridge_message_write_string(request, "never", 5));
  bridge_worker_call(user, &request, -1, NULL, NULL);
  return NULL;
}

static void start_threads(void)
{
  bridge_thread *thread = NULL;
  must(bridge_thread_create(&thread, wait_for_ever, NULL, NULL));
  must(bridge_thread_detach(thread));
  must(bridge_thread_create(&thread, wait_for_ever, NULL, NULL));
  bridge_thread_release(thread);
  must(bridge_thread_create(&thread, spin, NULL, NULL));
  pthread_t plain;
  pthread_create(&plain, NULL, ask, workers[5]);
  pthread_detach(plain);
}

static void start_all(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.policy = BRIDGE_QUEUE_DROP_OLDEST;
  options.items = 100;
  options.waker_kind = BRIDGE_WAKER_EVENTFD;
  must(bridge_queue_create(&up, &options));
  must(bridge_waker_create(&never, BRIDGE_WAKER_PIPE));
  for (size_t i = 0; i < CHUNKS; i++) {
    start(i);
  }
  for (size_t i = 0; i < CHUNKS; i++) {
    bridge_message *message = NULL;
    must(bridge_queue_pop(up, &message, 30000));
    bridge_message_release(message);
  }
  start_threads();
}

/* ---- Ends ---- */

static void *exit_elsewhere(void *user)
{
  (void)user;
  exit(3);
}

static void close_some(void)
{
  must(bridge_worker_close(workers[2], 100));
  must(bridge_worker_close(workers[5], 100));
  if (bridge_worker_close(workers[0], 10) != BRIDGE_ELOST) {
    _exit(98);
  }
}

static void release_all(void)
{
  for (size_t i = 0; i < CHUNKS; i++) {
    bridge_worker_release(workers[i]);
  }
  bridge_queue_release(up);
  bridge_waker_close(never);
}

static int finish(const char *how)
{
  pthread_t thread;
  if (strcmp(how, "exit") == 0) {
    exit(3);
  } else if (strcmp(how, "quick_exit") == 0) {
    quick_exit(3);
  } else if (strcmp(how, "_exit") == 0) {
    _exit(3);
  } else if (strcmp(how, "thread") == 0) {
    pthread_create(&thread, NULL, exit_elsewhere, NULL);
    pthread_join(thread, NULL);
  } else if (strcmp(how, "close") == 0) {
    atexit(close_some);
  } else if (strcmp(how, "release") == 0) {
    atexit(release_all);
  } else if (strcmp(how, "released") == 0) {
    release_all();
  } else if (strcmp(how, "return") != 0) {
    return 97;
  }
  return 3;
}

int main(int count, char **arguments)
{
  alarm(40);
  if (count != 2) {
    return 96;
  }
  start_all();
  return finish(arguments[1]);
}
