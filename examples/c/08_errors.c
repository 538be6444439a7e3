/* Story 8: what went wrong, where, and who was asked; and what nobody was told.
   Told in Lua and Python, too. */
#include <bridge/bridge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char till_source[] =
    "local bridge = require 'bridge'\n"
    "local function count(coins)\n"
    "  error { code = 'no change', coins = coins }\n"
    "end\n"
    "bridge.serve { pay = function(coins) count(coins) end }\n";

static const char waiter_source[] =
    "local bridge, till = require 'bridge', ...\n"
    "bridge.serve {\n"
    "  order = function(coins)\n"
    "    local good, _, _, problem = till:call('pay', coins)\n"
    "    if not good then error(problem) end\n"
    "  end,\n"
    "}\n";

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

/* What nobody else is told.  It is called on the worker's own thread, so it only
   writes. */
static void write_record(const bridge_log_record *record, void *user)
{
  FILE *out = user;
  fprintf(out, "%s: %s: %.*s\n", bridge_log_level_name(record->level),
          record->worker, (int)record->size, record->text);
}

static bridge_worker *start(const char *name,
                            const char *source,
                            bridge_worker *other)
{
  bridge_message *arguments = NULL;
  bridge_status status = bridge_message_create(&arguments, 0);
  if (status == BRIDGE_OK && other != NULL) {
    status =
        bridge_message_write_handle(arguments, BRIDGE_HANDLE_WORKER, other);
  }
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.name = name;
  options.source = source;
  bridge_worker *worker = NULL;
  if (status == BRIDGE_OK) {
    status = bridge_worker_create(&worker, &options, &arguments, NULL);
  }
  expect(status == BRIDGE_OK, "a worker");
  return worker;
}

static bridge_message *order(int64_t coins)
{
  bridge_message *message = NULL;
  expect(bridge_message_create(&message, 0) == BRIDGE_OK &&
             bridge_message_write_string(message, "order", 5) == BRIDGE_OK &&
             bridge_message_write_integer(message, coins) == BRIDGE_OK,
         "an order");
  return message;
}

/* The chain of workers that an error came through. */
static void tell_chain(const bridge_error *error)
{
  int workers = 0;
  for (; error != NULL; error = bridge_error_cause(error)) {
    bridge_frame frame = {.line = -1};
    if (bridge_error_frame_count(error) > 0) {
      bridge_error_frame(error, bridge_error_frame_count(error) - 1, &frame);
    }
    printf("%s, from %s\n%s\n", bridge_status_name(bridge_error_status(error)),
           frame.source, bridge_error_traceback(error));
    workers++;
  }
  expect(workers == 2, "the waiter's error, and the till's");
}

static void tell_workers(void)
{
  bridge_worker *workers[8];
  size_t count = 0;
  expect(bridge_workers(workers, 8, &count) == BRIDGE_OK && count == 2,
         "two workers");
  for (size_t i = 0; i < count; i++) {
    bridge_worker_info info;
    bridge_worker_info_init(&info);
    expect(bridge_worker_look(workers[i], &info) == BRIDGE_OK, "a look");
    printf("%s: %llu messages, %llu errors, %zu bytes\n", info.name,
           (unsigned long long)info.messages, (unsigned long long)info.errors,
           info.memory_used);
    bridge_worker_release(workers[i]);
  }
}

int main(void)
{
  expect(bridge_set_logger(write_record, stdout) == BRIDGE_OK, "a logger");
  bridge_worker *till = start("till", till_source, NULL);
  bridge_worker *waiter = start("waiter", waiter_source, till);

  bridge_message *request = order(3);
  bridge_error *error = NULL;
  expect(bridge_worker_call(waiter, &request, -1, NULL, &error) ==
             BRIDGE_ESCRIPT,
         "the handler's error");
  tell_chain(error);
  bridge_error_release(error);

  /* Nobody waits for this one: its error goes to the logger. */
  request = order(5);
  expect(bridge_worker_send(waiter, &request, -1) == BRIDGE_OK, "to send");
  tell_workers();

  expect(bridge_worker_close(waiter, -1) == BRIDGE_OK, "an end");
  expect(bridge_worker_close(till, -1) == BRIDGE_OK, "an end");
  bridge_worker_release(waiter);
  bridge_worker_release(till);
  /* From here on nobody is in the logger any more. */
  expect(bridge_set_logger(NULL, NULL) == BRIDGE_OK, "stderr again");
  return EXIT_SUCCESS;
}
