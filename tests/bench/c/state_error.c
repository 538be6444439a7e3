/* A question to a worker, by C: microseconds for each.

   VARIANT  plain  its handler returns
            error  it raises, five calls deep, and the answer has value, text,
                   traceback and frames
            extra  how much longer the second takes than the first, asked in turn */
#include "bench.h"

#include <bridge/bridge.h>

static const char source[] =
    "local function deep(n) "
    "  if n > 0 then local result = deep(n - 1) return result end "
    "  error('something is wrong') "
    "end "
    "require('bridge').serve { "
    "  plain = function() return 1 end, "
    "  error = function() return (deep(5)) end, "
    "}";

static void ask(bridge_worker *worker, const char *name, bridge_status expected)
{
  bridge_message *request = NULL;
  bridge_message *answer = NULL;
  bridge_error *error = NULL;
  bench_check(bridge_message_create(&request, 0) == BRIDGE_OK &&
                  bridge_message_write_string(request, name, strlen(name)) ==
                      BRIDGE_OK,
              "no request");
  bench_check(bridge_worker_call(worker, &request, -1, &answer, &error) ==
                  expected,
              "another answer");
  bench_check(expected == BRIDGE_OK || bridge_error_frame_count(error) > 6,
              "no frames");
  bridge_error_release(error);
  bridge_message_release(answer);
}

static void plain(bridge_worker *worker)
{
  ask(worker, "plain", BRIDGE_OK);
}

static void failing(bridge_worker *worker)
{
  ask(worker, "error", BRIDGE_ESCRIPT);
}

static double measure(bridge_worker *worker,
                      void (*once)(bridge_worker *),
                      int64_t count)
{
  const int64_t start = bench_now();
  for (int64_t i = 0; i < count; i++) {
    once(worker);
  }
  return (double)(bench_now() - start) / 1e3 / (double)count;
}

/* The median of many short turns: what disturbs one does not count. */
static double extra(bridge_worker *worker, int64_t count)
{
  enum {
    TURNS = 101
  };
  double samples[TURNS];
  for (int i = 0; i < TURNS; i++) {
    const double less = measure(worker, plain, count / TURNS + 1);
    samples[i] = measure(worker, failing, count / TURNS + 1) - less;
  }
  return bench_median(samples, TURNS);
}

int main(int argc, char **argv)
{
  const int64_t count = bench_argument(argc, argv, 2, 10000);
  const char *variant = argc > 1 ? argv[1] : "";
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = source;
  bridge_worker *worker = NULL;
  bench_check(bridge_worker_create(&worker, &options, NULL, NULL) == BRIDGE_OK,
              "no worker");
  measure(worker, failing, count / 20 + 1);
  double figure = -1;
  if (strcmp(variant, "plain") == 0) {
    figure = measure(worker, plain, count);
  } else if (strcmp(variant, "error") == 0) {
    figure = measure(worker, failing, count);
  } else if (strcmp(variant, "extra") == 0) {
    figure = extra(worker, count);
  }
  bench_check(bridge_worker_close(worker, -1) == BRIDGE_OK, "no end");
  bridge_worker_release(worker);
  return figure < 0 ? BENCH_USAGE : bench_print(figure);
}
