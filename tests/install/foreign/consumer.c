/* A stranger's program: one worker is asked for 6 * 7. */
#include <bridge/bridge.h>

#include <stdio.h>
#include <string.h>

static bridge_status answer(int64_t *out)
{
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.source = "return 6 * 7";
  options.source_size = strlen(options.source);

  bridge_worker *worker = NULL;
  bridge_status status = bridge_worker_create(&worker, &options, NULL, NULL);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_message *results = NULL;
  status = bridge_worker_join(worker, 30000, &results, NULL);
  if (status == BRIDGE_OK) {
    bridge_reader reader;
    bridge_value value;
    bridge_reader_init(&reader, results);
    status = bridge_reader_next(&reader, &value);
    *out = value.as.integer;
  }
  bridge_message_release(results);
  bridge_worker_release(worker);
  return status;
}

int main(int argc, char **argv)
{
  int64_t number = 0;
  bridge_status status = answer(&number);
  printf("libbridge %s: %s, %lld\n", bridge_version(),
         bridge_status_name(status), (long long)number);
  if (argc > 1 && strcmp(argv[1], bridge_version()) != 0) {
    fprintf(stderr, "the headers' version is %s\n", argv[1]);
    return 1;
  }
  return status == BRIDGE_OK && number == 42 ? 0 : 1;
}
