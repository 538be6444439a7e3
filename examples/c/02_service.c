/* Story 2: a worker serves: it answers calls by name until it is asked to stop.
   Each kind of failure is told apart.  Told in Lua and Python, too. */
#include <bridge/bridge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char service[] = "local bridge = require 'bridge'\n"
                              "local greeted = 0\n"
                              "return bridge.serve {\n"
                              "  greet = function(name)\n"
                              "    greeted = greeted + 1\n"
                              "    return 'hello ' .. name\n"
                              "  end,\n"
                              "  greeted = function() return greeted end,\n"
                              "  nap = function() bridge.sleep(3600) end,\n"
                              "  fail = function() error('no more tea') end,\n"
                              "}";

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

static bridge_worker *start(void)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.name = "greeter";
  options.source = service;
  options.source_size = strlen(service);
  bridge_worker *worker = NULL;
  bridge_status status = bridge_worker_create(&worker, &options, NULL, NULL);
  expect(status == BRIDGE_OK, "a worker");
  return worker;
}

/* A request is the handler's name, then its arguments. */
static bridge_message *request(const char *name, const char *argument)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_message_create(&message, 0);
  if (status == BRIDGE_OK) {
    status = bridge_message_write_string(message, name, strlen(name));
  }
  if (status == BRIDGE_OK && argument != NULL) {
    status = bridge_message_write_string(message, argument, strlen(argument));
  }
  expect(status == BRIDGE_OK, "a request");
  return message;
}

static bridge_status call(bridge_worker *worker,
                          const char *name,
                          const char *argument,
                          int timeout_ms,
                          bridge_message **answer)
{
  bridge_message *message = request(name, argument);
  bridge_error *error = NULL;
  bridge_status status =
      bridge_worker_call(worker, &message, timeout_ms, answer, &error);
  if (status != BRIDGE_OK) {
    const char *text = error != NULL ? bridge_error_text(error, NULL)
                                     : bridge_status_text(status);
    printf("%s: %s: %s\n", name, bridge_status_name(status), text);
  }
  bridge_error_release(error);
  bridge_message_release(message); /* NULL if the worker took it */
  return status;
}

static void tell_answers(bridge_worker *worker)
{
  bridge_message *answer = NULL;
  bridge_reader reader;
  const char *text = NULL;
  size_t size = 0;
  expect(call(worker, "greet", "Ada", -1, &answer) == BRIDGE_OK &&
             bridge_reader_init(&reader, answer) == BRIDGE_OK &&
             bridge_reader_string(&reader, &text, &size) == BRIDGE_OK,
         "a greeting");
  printf("%.*s\n", (int)size, text);
  expect(size == 9 && memcmp(text, "hello Ada", 9) == 0, "hello Ada");
  bridge_message_release(answer);

  /* Nobody waits for this one. */
  bridge_message *message = request("greet", "Grace");
  expect(bridge_worker_send(worker, &message, -1) == BRIDGE_OK, "to send");

  answer = NULL;
  int64_t greeted = 0;
  expect(call(worker, "greeted", NULL, -1, &answer) == BRIDGE_OK &&
             bridge_reader_init(&reader, answer) == BRIDGE_OK &&
             bridge_reader_integer(&reader, &greeted) == BRIDGE_OK &&
             greeted == 2,
         "two who were greeted");
  printf("%d were greeted\n", (int)greeted);
  bridge_message_release(answer);
}

static void tell_failures(bridge_worker *worker)
{
  expect(call(worker, "dance", NULL, -1, NULL) == BRIDGE_ENOTFOUND,
         "no such handler");
  expect(call(worker, "fail", NULL, -1, NULL) == BRIDGE_ESCRIPT,
         "the handler's error");
  /* The nap goes on; its answer, if it ever came, would harm nobody. */
  expect(call(worker, "nap", NULL, 10, NULL) == BRIDGE_ETIMEDOUT,
         "no answer in time");
  expect(call(worker, "greet", "Alan", -1, NULL) == BRIDGE_OK,
         "a service that goes on");
}

int main(void)
{
  bridge_worker *worker = start();
  tell_answers(worker);
  tell_failures(worker);

  /* In stages: asked to stop, and cancelled because of the nap. */
  expect(bridge_worker_close(worker, 100) == BRIDGE_OK, "an end");
  bridge_status status = call(worker, "greet", "Alan", -1, NULL);
  expect(status == BRIDGE_EDEAD || status == BRIDGE_ECLOSED, "nobody there");
  bridge_worker_release(worker);
  return EXIT_SUCCESS;
}
