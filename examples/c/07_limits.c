/* Story 7: what a script may use: memory, time, processor time; as a whole or for each
   run.  And a sandbox, for scripts of others.  Told in Lua and Python, too. */
#include <bridge/bridge.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char hungry[] = "local all = {}\n"
                             "while true do all[#all + 1] = {} end";

static const char catches[] = "return pcall(string.rep, 'x', 1 << 30)";

static const char busy[] = "while true do end";

static const char sleepy[] = "require 'bridge'.sleep(0.2)";

static const char looks_around[] =
    "local found = {}\n"
    "for _, name in ipairs { 'io', 'debug', 'dofile', 'loadfile' } do\n"
    "  found[#found + 1] = _G[name] ~= nil and name or nil\n"
    "end\n"
    "local finalizers = pcall(setmetatable, {}, { __gc = function() end })\n"
    "return #found == 0 and not finalizers and string.dump == nil";

/* What this story expects; anything else ends it. */
static void expect(bool good, const char *what)
{
  if (!good) {
    fprintf(stderr, "expected: %s\n", what);
    exit(EXIT_FAILURE);
  }
}

/* Run a worker with these options to its end. */
static bridge_status run(const char *source,
                         const bridge_state_options *state,
                         bridge_limits life,
                         bridge_message **results)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  options.state = state;
  options.life = life;
  bridge_worker *worker = NULL;
  expect(bridge_worker_create(&worker, &options, NULL, NULL) == BRIDGE_OK,
         "a worker");
  bridge_error *error = NULL;
  bridge_status status = bridge_worker_join(worker, -1, results, &error);
  if (status != BRIDGE_OK) {
    printf("it ended: %s\n", bridge_error_text(error, NULL));
  }
  bridge_error_release(error);
  bridge_worker_release(worker);
  return status;
}

/* Too much memory is an ordinary error, which a script may catch. */
static void tell_memory(void)
{
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.memory_limit = 1 << 20;
  const bridge_limits none = {0, 0};
  expect(run(hungry, &state, none, NULL) == BRIDGE_ENOMEM, "too much memory");

  bridge_message *results = NULL;
  bridge_reader reader;
  bool good = true;
  expect(run(catches, &state, none, &results) == BRIDGE_OK &&
             bridge_reader_init(&reader, results) == BRIDGE_OK &&
             bridge_reader_boolean(&reader, &good) == BRIDGE_OK && !good,
         "an error that was caught");
  bridge_message_release(results);
}

/* Time by the clock, and time of the processor: sleeping takes only the first. */
static void tell_time(void)
{
  const bridge_limits time = {.timeout_ms = 100};
  const bridge_limits cpu = {.cpu_ms = 100};
  expect(run(busy, NULL, time, NULL) == BRIDGE_ETIMEDOUT, "too much time");
  expect(run(busy, NULL, cpu, NULL) == BRIDGE_ETIMEDOUT, "too much CPU time");
  expect(run(sleepy, NULL, cpu, NULL) == BRIDGE_OK, "sleep, which is free");
}

/* A state on the host's own thread: each run by itself has so much. */
static void tell_runs(void)
{
  bridge_state_options options;
  bridge_state_options_init(&options);
  options.run.timeout_ms = 100;
  bridge_state *state = NULL;
  expect(bridge_state_create(&state, &options, NULL) == BRIDGE_OK, "a state");
  expect(bridge_state_run(state, busy, strlen(busy), "=busy", NULL, NULL,
                          NULL) == BRIDGE_ETIMEDOUT,
         "a run that was stopped");
  expect(bridge_state_run(state, "return 1", 8, "=next", NULL, NULL, NULL) ==
             BRIDGE_OK,
         "the next one");
  bridge_state_release(state);
}

/* No files, no system, no debug, no bytecode, and nothing that outlives being
   stopped.  It contains mistakes and hogs; it is no wall against an attack on the
   interpreter itself. */
static void tell_sandbox(void)
{
  bridge_state_options state;
  bridge_state_options_init(&state);
  state.sandbox = true;
  state.memory_limit = 1 << 20;
  const bridge_limits life = {.timeout_ms = 10000};
  bridge_message *results = NULL;
  bridge_reader reader;
  bool safe = false;
  expect(run(looks_around, &state, life, &results) == BRIDGE_OK &&
             bridge_reader_init(&reader, results) == BRIDGE_OK &&
             bridge_reader_boolean(&reader, &safe) == BRIDGE_OK && safe,
         "nothing dangerous");
  puts("the sandbox has nothing dangerous");
  bridge_message_release(results);
}

int main(void)
{
  tell_memory();
  tell_time();
  tell_runs();
  tell_sandbox();
  return EXIT_SUCCESS;
}
