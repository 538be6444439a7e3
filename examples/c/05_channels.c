/* Story 5: several workers share the work of two channels, what is urgent first,
   and the host hears of it by a select.  Told in Lua and Python, too. */
#include <bridge/bridge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  WORKERS = 3,
  EACH = 200
};

/* Whoever is free takes the next job.  `urgent` stands first, so it goes first. */
static const char source[] =
    "local bridge = require 'bridge'\n"
    "local urgent, normal, results, started, mutex, log = ...\n"
    "started:wait()\n"
    "while true do\n"
    "  local place, number, code = bridge.select { urgent, normal }\n"
    "  if not place then\n"
    "    return assert(code == 'ECLOSED') -- both are closed and empty\n"
    "  end\n"
    "  results:send(place, number * number)\n"
    "  -- One at a time: the others wait, whichever thread they are on.\n"
    "  mutex:with(function()\n"
    "    log:set(log:get() + 1) -- nobody may come between the two steps\n"
    "  end)\n"
    "end";

typedef struct story {
  bridge_channel *urgent;
  bridge_channel *normal;
  bridge_channel *results;
  bridge_channel *pulse;
  bridge_flag *started;
  bridge_mutex *mutex;
  bridge_counter *log;
} story;

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

static void add(bridge_message *message, bridge_handle_kind kind, void *handle)
{
  expect(bridge_message_write_handle(message, kind, handle) == BRIDGE_OK,
         "a handle in a message");
}

static bridge_worker *start(const story *s)
{
  bridge_message *arguments = NULL;
  expect(bridge_message_create(&arguments, 0) == BRIDGE_OK, "arguments");
  add(arguments, BRIDGE_HANDLE_CHANNEL, s->urgent);
  add(arguments, BRIDGE_HANDLE_CHANNEL, s->normal);
  add(arguments, BRIDGE_HANDLE_CHANNEL, s->results);
  add(arguments, BRIDGE_HANDLE_FLAG, s->started);
  add(arguments, BRIDGE_HANDLE_MUTEX, s->mutex);
  add(arguments, BRIDGE_HANDLE_COUNTER, s->log);
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.source_size = strlen(source);
  bridge_worker *worker = NULL;
  expect(bridge_worker_create(&worker, &options, &arguments, NULL) == BRIDGE_OK,
         "a worker");
  return worker;
}

static bridge_message *number(int64_t value)
{
  bridge_message *message = NULL;
  expect(bridge_message_create(&message, 0) == BRIDGE_OK &&
             bridge_message_write_integer(message, value) == BRIDGE_OK,
         "a message");
  return message;
}

/* Waits for room, since the channel's policy is to block. */
static void send_all(bridge_channel *channel)
{
  for (int64_t i = 1; i <= EACH; i++) {
    bridge_message *message = number(i);
    expect(bridge_channel_send(channel, &message) == BRIDGE_OK, "to send");
  }
}

/* What is urgent is there before anybody begins. */
static void give_work(const story *s)
{
  send_all(s->urgent);
  expect(bridge_channel_count(s->urgent) == EACH, "all of it inside");
  expect(bridge_flag_set(s->started) == BRIDGE_OK, "to begin");
  send_all(s->normal);
  /* What is inside is received all the same. */
  bridge_channel_close(s->urgent, BRIDGE_CHANNEL_SENDING);
  bridge_channel_close(s->normal, BRIDGE_CHANNEL_SENDING);
}

/* A timer posts to a channel: a host that waits for results has a pulse. */
static bridge_timer *start_pulse(bridge_channel *pulse)
{
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  options.channel = pulse;
  options.first_ns = 5000000;
  options.period_ns = 5000000;
  bridge_timer *timer = NULL;
  bridge_message *tick = number(0);
  expect(bridge_timer_create(&timer, &options, &tick) == BRIDGE_OK, "a timer");
  return timer;
}

static void add_result(const bridge_message *message, int64_t sums[2])
{
  bridge_reader reader;
  int64_t place = 0;
  int64_t square = 0;
  expect(bridge_reader_init(&reader, message) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &place) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &square) == BRIDGE_OK &&
             (place == 1 || place == 2),
         "a place and a square");
  sums[place - 1] += square;
}

static void listen(const story *s, int64_t sums[2])
{
  const bridge_select_item items[] = {{BRIDGE_HANDLE_CHANNEL, s->results},
                                      {BRIDGE_HANDLE_CHANNEL, s->pulse}};
  int ticks = 0;
  for (int count = 0; count < 2 * EACH || ticks == 0;) {
    size_t index = 0;
    bridge_message *message = NULL;
    expect(bridge_select(items, 2, -1, &index, &message) == BRIDGE_OK,
           "a result or a tick");
    if (index == 0) {
      add_result(message, sums);
      count++;
    } else {
      ticks++;
    }
    bridge_message_release(message);
  }
}

static void make(story *s)
{
  bridge_channel_options few;
  bridge_channel_options_init(&few);
  few.items = 16;
  expect(bridge_channel_create(&s->urgent, NULL) == BRIDGE_OK &&
             bridge_channel_create(&s->normal, &few) == BRIDGE_OK &&
             bridge_channel_create(&s->results, NULL) == BRIDGE_OK &&
             bridge_channel_create(&s->pulse, NULL) == BRIDGE_OK &&
             bridge_flag_create(&s->started, false) == BRIDGE_OK &&
             bridge_mutex_create(&s->mutex) == BRIDGE_OK &&
             bridge_counter_create(&s->log, 0) == BRIDGE_OK,
         "channels and the rest");
}

static void drop(story *s)
{
  bridge_channel_release(s->urgent);
  bridge_channel_release(s->normal);
  bridge_channel_release(s->results);
  bridge_channel_release(s->pulse);
  bridge_flag_release(s->started);
  bridge_mutex_release(s->mutex);
  bridge_counter_release(s->log);
}

int main(void)
{
  story s;
  make(&s);
  bridge_worker *workers[WORKERS];
  for (int i = 0; i < WORKERS; i++) {
    workers[i] = start(&s);
  }
  give_work(&s);
  bridge_timer *timer = start_pulse(s.pulse);
  int64_t sums[2] = {0, 0};
  listen(&s, sums);
  for (int i = 0; i < WORKERS; i++) {
    expect(bridge_worker_join(workers[i], -1, NULL, NULL) == BRIDGE_OK,
           "a worker that ends well");
    bridge_worker_release(workers[i]);
  }
  const int64_t expected =
      (int64_t)EACH * (EACH + 1) * (2 * (int64_t)EACH + 1) / 6;
  expect(sums[0] == expected && sums[1] == expected, "each square once");
  expect(bridge_counter_get(s.log) == 2 * EACH, "each job in the log");
  expect(bridge_timer_cancel(timer) == BRIDGE_OK, "a timer that ran");
  bridge_timer_release(timer);
  drop(&s);
  printf("%d jobs by %d workers, and the timer ticked\n", 2 * EACH, WORKERS);
  return EXIT_SUCCESS;
}
