/* Story 1: a worker runs a chunk of Lua on a thread of its own; `join` gives
   what it returns, or the error that it raised.  Told in Lua and Python. */
#include <bridge/bridge.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char add_up[] = "local sum = 0\n"
                             "for _, value in ipairs { ... } do\n"
                             "  sum = sum + value\n"
                             "end\n"
                             "return sum, select('#', ...)";

static const char fail[] = "local function deep() error('no more tea') end\n"
                           "deep()";

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

/* Start a worker.  The arguments, if there are any, are taken. */
static bridge_worker *start(const char *source, bridge_message **arguments)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.source_size = strlen(source);
  bridge_worker *worker = NULL;
  bridge_status status =
      bridge_worker_create(&worker, &options, arguments, NULL);
  expect(status == BRIDGE_OK, "a worker");
  return worker;
}

static void tell_results(void)
{
  bridge_message *numbers = NULL;
  expect(bridge_message_create(&numbers, 0) == BRIDGE_OK, "a message");
  for (int64_t number = 1; number <= 10; number++) {
    expect(bridge_message_write_integer(numbers, number) == BRIDGE_OK,
           "room for a number");
  }

  bridge_worker *worker = start(add_up, &numbers);
  bridge_message *results = NULL;
  expect(bridge_worker_join(worker, -1, &results, NULL) == BRIDGE_OK,
         "results");

  bridge_reader reader;
  int64_t sum = 0;
  int64_t count = 0;
  expect(bridge_reader_init(&reader, results) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &sum) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &count) == BRIDGE_OK,
         "two whole numbers");
  printf("the sum of %" PRId64 " numbers is %" PRId64 "\n", count, sum);
  expect(sum == 55 && count == 10, "55 of 10");

  bridge_message_release(results);
  bridge_worker_release(worker);
}

static void tell_error(void)
{
  bridge_worker *worker = start(fail, NULL);
  bridge_error *error = NULL;
  bridge_status status = bridge_worker_join(worker, -1, NULL, &error);
  expect(status == BRIDGE_ESCRIPT, "the status of a script that failed");

  /* The error belongs to the call, and knows where it happened. */
  bridge_frame frame;
  printf("it failed: %s\n%s\n", bridge_error_text(error, NULL),
         bridge_error_traceback(error));
  expect(strstr(bridge_error_text(error, NULL), "no more tea") != NULL,
         "the text of the error");
  expect(bridge_error_frame_count(error) > 1 &&
             bridge_error_frame(error, 1, &frame) == BRIDGE_OK,
         "a call stack");
  printf("in '%s', line %d\n", frame.name, frame.line);
  expect(strcmp(frame.name, "deep") == 0 && frame.line == 1, "line 1");

  bridge_error_release(error);
  bridge_worker_release(worker);
}

int main(void)
{
  tell_results();
  tell_error();
  return EXIT_SUCCESS;
}
