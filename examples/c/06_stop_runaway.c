/* Story 6: a script that runs away is stopped, whatever it does against it, and says
   where it was.  Told in Lua and Python, too. */
#include <bridge/bridge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char runaway[] = "local function spin()\n"
                              "  while true do end\n"
                              "end\n"
                              "while true do\n"
                              "  pcall(spin) -- it would catch an error\n"
                              "end";

static const char service[] = "return require 'bridge'.serve {\n"
                              "  spin = function() while true do end end,\n"
                              "  add = function(a, b) return a + b end,\n"
                              "}";

/* One call of C that takes for ever. */
static const char stuck[] = "local text = ('a'):rep(100000)\n"
                            "text:find('.-.-.-.-b')";

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

static bridge_worker *start(const char *source,
                            int timeout_ms,
                            bridge_stop_level level)
{
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.stop = level;
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.name = "hog";
  options.source = source;
  options.life.timeout_ms = timeout_ms;
  options.state = &state;
  bridge_worker *worker = NULL;
  bridge_status status = bridge_worker_create(&worker, &options, NULL, NULL);
  expect(status == BRIDGE_OK, "a worker");
  return worker;
}

static void tell_deadline(void)
{
  bridge_worker *worker = start(runaway, 100, BRIDGE_STOP_DEFAULT);
  bridge_error *error = NULL;
  bridge_status status = bridge_worker_join(worker, -1, NULL, &error);
  expect(status == BRIDGE_ETIMEDOUT, "a worker whose time is over");
  printf("stopped: %s\n%s\n", bridge_error_text(error, NULL),
         bridge_error_traceback(error));
  expect(strstr(bridge_error_traceback(error), "hog:2: in") != NULL,
         "that it was in spin");
  bridge_error_release(error);
  bridge_worker_release(worker);
}

static void tell_cancel(void)
{
  bridge_worker *worker = start(runaway, 0, BRIDGE_STOP_DEFAULT);
  expect(bridge_worker_cancel(worker, BRIDGE_STOP_DEFAULT, 0) == BRIDGE_OK,
         "to cancel it");
  bridge_status status = bridge_worker_join(worker, -1, NULL, NULL);
  printf("stopped: %s\n", bridge_status_text(status));
  expect(status == BRIDGE_ECANCELLED, "a worker that was cancelled");
  bridge_worker_release(worker);
}

/* Of a service only the request is stopped for which nobody waits any more. */
static void tell_service(void)
{
  bridge_worker *worker = start(service, 0, BRIDGE_STOP_DEFAULT);
  bridge_message *request = NULL;
  expect(bridge_message_create(&request, 0) == BRIDGE_OK &&
             bridge_message_write_string(request, "spin", 4) == BRIDGE_OK,
         "a request");
  expect(bridge_worker_call(worker, &request, 100, NULL, NULL) ==
             BRIDGE_ETIMEDOUT,
         "no answer in time");

  bridge_message *answer = NULL;
  bridge_reader reader;
  int64_t sum = 0;
  expect(bridge_message_create(&request, 0) == BRIDGE_OK &&
             bridge_message_write_string(request, "add", 3) == BRIDGE_OK &&
             bridge_message_write_integer(request, 1) == BRIDGE_OK &&
             bridge_message_write_integer(request, 2) == BRIDGE_OK,
         "a request");
  expect(bridge_worker_call(worker, &request, -1, &answer, NULL) == BRIDGE_OK &&
             bridge_reader_init(&reader, answer) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &sum) == BRIDGE_OK,
         "a sum");
  printf("and it still adds up: %d\n", (int)sum);
  expect(sum == 3, "3");

  bridge_message_release(answer);
  expect(bridge_worker_close(worker, -1) == BRIDGE_OK, "to close it");
  bridge_worker_release(worker);
}

/* What is stuck in C cannot be stopped from outside.  Nobody waits for it for ever:
   its thread is given up. */
static void tell_lost(void)
{
  bridge_worker *worker = start(stuck, 0, BRIDGE_STOP_DEFAULT);
  bridge_status status = bridge_worker_close(worker, 100);
  printf("given up: %s\n", bridge_status_text(status));
  expect(status == BRIDGE_ELOST &&
             bridge_worker_phase_of(worker) == BRIDGE_WORKER_LOST,
         "a worker that is lost");
  bridge_worker_release(worker);
}

/* Unless the string functions ask now and then. */
static void tell_strict(void)
{
  bridge_worker *worker = start(stuck, 100, BRIDGE_STOP_STRICT);
  bridge_error *error = NULL;
  bridge_status status = bridge_worker_join(worker, -1, NULL, &error);
  printf("stopped: %s\n", bridge_error_text(error, NULL));
  expect(status == BRIDGE_ETIMEDOUT, "a worker whose time is over");
  bridge_error_release(error);
  bridge_worker_release(worker);
}

int main(void)
{
  tell_deadline();
  tell_cancel();
  tell_service();
  tell_lost();
  tell_strict();
  return EXIT_SUCCESS;
}
