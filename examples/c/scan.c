/* Scan folders of text with Lua workers on all cores: the twin of
   ../python/scan.py, in C and with poll().

       scan [FOLDER...]

   Workers run ../scan/scan.lua.  What they find out, and their answers, come
   back through one queue; its waker is an eventfd that poll() watches. */
#include "scan/scan.h"

#include <bridge/bridge.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  BATCH = 32,    /* files that a worker is given at once */
  IN_FLIGHT = 2, /* batches that it has: one waits while it scans the other */
  TOP = 12,
  GRACE_MS = 200
};

typedef struct tally {
  int64_t files, empty, lines, words, bytes;
} tally;

typedef struct scan {
  file_list found;
  size_t next;    /* the first file that nobody was given */
  size_t waiting; /* requests without an answer */
  size_t done, binary, failed;
  bridge_queue *results;
  bridge_worker **workers;
  tally *totals; /* of each worker */
  size_t count;
  names names;
} scan;

static volatile sig_atomic_t interrupted;
static bridge_waker *awake; /* the queue's; raising it is safe in a handler */

static void on_interrupt(int signal)
{
  (void)signal;
  interrupted = 1;
  /* Also if poll() begins only now.  Refused only if it was closed. */
  bridge_waker_raise(awake);
}

/* Say what failed; the error, if there is one, knows more than the status. */
static bool well(bridge_status status,
                 const bridge_error *error,
                 const char *what)
{
  if (status == BRIDGE_OK) {
    return true;
  }
  const char *text = error != NULL ? bridge_error_text(error, NULL)
                                   : bridge_status_text(status);
  fprintf(stderr, "%s: %s: %s\n", what, bridge_status_name(status), text);
  return false;
}

/* ---- Asking the workers -------------------------------------------------- */

static bridge_status write_text(bridge_message *message, const char *text)
{
  return bridge_message_write_string(message, text, strlen(text));
}

static bridge_status write_batch(scan *job, bridge_message *request, size_t end)
{
  /* Files have numbers from 1 on. */
  bridge_status status =
      bridge_message_write_integer(request, (int64_t)job->next + 1);
  if (status == BRIDGE_OK) {
    status = bridge_message_begin_array(request, end - job->next);
  }
  for (size_t i = job->next; status == BRIDGE_OK && i < end; i++) {
    status = write_text(request, job->found.paths[i]);
  }
  return status == BRIDGE_OK ? bridge_message_end(request) : status;
}

/* Ask a worker; the answer comes into the queue, marked with its number. */
static bool ask(scan *job, size_t worker, const char *handler, size_t end)
{
  bridge_message *request = NULL;
  bridge_status status = bridge_message_create(&request, 0);
  if (status == BRIDGE_OK) {
    status = write_text(request, handler);
  }
  if (status == BRIDGE_OK && end > job->next) {
    status = write_batch(job, request, end);
  }
  if (status == BRIDGE_OK) {
    status = bridge_worker_request(job->workers[worker], &request, -1,
                                   job->results, worker);
  }
  bridge_message_release(request); /* NULL if the worker has it */
  if (!well(status, NULL, handler)) {
    return false;
  }
  job->waiting++;
  job->next = end;
  return true;
}

/* Give a worker the next files, if there are any. */
static bool feed(scan *job, size_t worker)
{
  size_t left = job->found.count - job->next;
  size_t count = left < BATCH ? left : BATCH;
  return count == 0 || ask(job, worker, "scan", job->next + count);
}

/* ---- Taking what they say ------------------------------------------------ */

static bridge_status take_text(tally *totals, bridge_reader *reader)
{
  int64_t lines = 0;
  int64_t words = 0;
  int64_t bytes = 0;
  bridge_status status = bridge_reader_integer(reader, &lines);
  if (status == BRIDGE_OK) {
    status = bridge_reader_integer(reader, &words);
  }
  if (status == BRIDGE_OK) {
    status = bridge_reader_integer(reader, &bytes);
  }
  totals->files++;
  totals->empty += bytes == 0;
  totals->lines += lines;
  totals->words += words;
  totals->bytes += bytes;
  return status;
}

static bridge_status take_names(names *table, bridge_reader *reader)
{
  bridge_value map;
  bridge_status status = bridge_reader_next(reader, &map);
  if (status == BRIDGE_OK && map.type != BRIDGE_TYPE_MAP) {
    return BRIDGE_ETYPE;
  }
  for (size_t i = 0; status == BRIDGE_OK && i < map.as.count; i++) {
    const char *text = NULL;
    size_t size = 0;
    int64_t count = 0;
    status = bridge_reader_string(reader, &text, &size);
    if (status == BRIDGE_OK) {
      status = bridge_reader_integer(reader, &count);
    }
    if (status == BRIDGE_OK && !names_add(table, text, size, count)) {
      status = BRIDGE_ENOMEM;
    }
  }
  return status;
}

static bridge_status take_failure(scan *job, size_t file, bridge_reader *reader)
{
  const char *why = NULL;
  size_t size = 0;
  bridge_status status = bridge_reader_string(reader, &why, &size);
  if (status == BRIDGE_OK) {
    job->failed++;
    printf("  %s: %.*s\n", job->found.paths[file], (int)size, why);
  }
  return status;
}

/* One file: its kind, who scanned it, its number, and what the kind needs. */
static bridge_status take_file(scan *job,
                               size_t worker,
                               const char *kind,
                               size_t size,
                               bridge_reader *reader)
{
  int64_t file = 0;
  bridge_status status = bridge_reader_integer(reader, &file);
  if (status != BRIDGE_OK) {
    return status;
  }
  if (file < 1 || (size_t)file > job->found.count) {
    return BRIDGE_EINVAL;
  }
  job->done++;
  if (size == 4 && memcmp(kind, "text", size) == 0) {
    return take_text(&job->totals[worker], reader);
  }
  if (size == 6 && memcmp(kind, "binary", size) == 0) {
    job->binary++;
    return BRIDGE_OK;
  }
  return take_failure(job, (size_t)file - 1, reader);
}

static bridge_status take_result(scan *job, const bridge_message *message)
{
  bridge_reader reader;
  const char *kind = NULL;
  size_t size = 0;
  int64_t worker = 0;
  bridge_status status = bridge_reader_init(&reader, message);
  if (status == BRIDGE_OK) {
    status = bridge_reader_string(&reader, &kind, &size);
  }
  if (status == BRIDGE_OK) {
    status = bridge_reader_integer(&reader, &worker);
  }
  if (status != BRIDGE_OK) {
    return status;
  }
  if (worker < 0 || (size_t)worker >= job->count) {
    return BRIDGE_EINVAL;
  }
  if (size == 5 && memcmp(kind, "names", size) == 0) {
    return take_names(&job->names, &reader);
  }
  if (size == 4 && memcmp(kind, "told", size) == 0) {
    return BRIDGE_OK; /* the answer that follows says so, too */
  }
  return take_file(job, (size_t)worker, kind, size, &reader);
}

/* An answer says that a worker is ready for more; anything else is a result. */
static bool take(scan *job, const bridge_message *message)
{
  uint64_t worker = 0;
  if (bridge_answer_session(message, &worker) != BRIDGE_OK) {
    return well(take_result(job, message), NULL, "result");
  }
  job->waiting--;
  const bridge_error *error = NULL;
  bridge_status status = bridge_answer_error(message, &error);
  return well(status, error, "worker") && feed(job, (size_t)worker);
}

/* Until the queue says that it is empty: then the next push wakes poll(). */
static bool drain(scan *job)
{
  for (;;) {
    bridge_message *message = NULL;
    bridge_status status = bridge_queue_pop(job->results, &message, 0);
    if (status == BRIDGE_EEMPTY) {
      return true;
    }
    bool good = well(status, NULL, "pop") && take(job, message);
    bridge_message_release(message);
    if (!good) {
      return false;
    }
  }
}

/* Wait for the answers to all that was asked. */
static bool loop(scan *job)
{
  struct pollfd watched = {.events = POLLIN};
  bridge_status status = bridge_waker_fileno(awake, &watched.fd);
  if (!well(status, NULL, "fileno")) {
    return false;
  }
  while (job->waiting > 0 && !interrupted) {
    if (poll(&watched, 1, -1) < 0 && errno != EINTR) {
      perror("poll");
      return false;
    }
    if (!drain(job)) {
      return false;
    }
  }
  return !interrupted;
}

static bool run(scan *job)
{
  for (size_t i = 0; i < job->count * IN_FLIGHT; i++) {
    if (!feed(job, i % job->count)) {
      return false;
    }
  }
  if (!loop(job)) {
    return false;
  }
  for (size_t i = 0; i < job->count; i++) {
    if (!ask(job, i, "names", job->next)) {
      return false;
    }
  }
  return loop(job);
}

/* ---- Beginning and ending ------------------------------------------------ */

/* The script finds its number and the queue in `...`. */
static bridge_status arguments(bridge_message **out, scan *job, size_t number)
{
  bridge_status status = bridge_message_create(out, 0);
  if (status == BRIDGE_OK) {
    status = bridge_message_write_integer(*out, (int64_t)number);
  }
  if (status == BRIDGE_OK) {
    status =
        bridge_message_write_handle(*out, BRIDGE_HANDLE_QUEUE, job->results);
  }
  return status;
}

static bool start_worker(scan *job)
{
  char title[32];
  snprintf(title, sizeof title, "scanner-%zu", job->count + 1);
  bridge_worker_options options;
  bridge_worker_options_init(&options);
  options.name = title;
  options.file = SCAN_SCRIPT;
  bridge_message *given = NULL;
  bridge_error *error = NULL;
  bridge_status status = arguments(&given, job, job->count);
  if (status == BRIDGE_OK) {
    status = bridge_worker_create(&job->workers[job->count], &options, &given,
                                  &error);
  }
  bool good = well(status, error, SCAN_SCRIPT);
  bridge_message_release(given);
  bridge_error_release(error);
  job->count += good;
  return good;
}

static bool start(scan *job)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = 4096; /* workers that are faster than we are wait */
  options.waker_kind = BRIDGE_WAKER_DEFAULT;
  bridge_status status = bridge_queue_create(&job->results, &options);
  if (!well(status, NULL, "queue")) {
    return false;
  }
  awake = bridge_queue_waker(job->results);
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);

  size_t cores = bridge_thread_cores();
  job->workers = calloc(cores, sizeof *job->workers);
  job->totals = calloc(cores, sizeof *job->totals);
  if (job->workers == NULL || job->totals == NULL) {
    return well(BRIDGE_ENOMEM, NULL, "workers");
  }
  while (job->count < cores) {
    if (!start_worker(job)) {
      return false;
    }
  }
  return true;
}

/* Also after a failure, and after Ctrl-C: whatever the workers do then. */
static void end(scan *job)
{
  signal(SIGINT, SIG_DFL);
  for (size_t i = 0; i < job->count; i++) {
    bridge_worker_cancel(job->workers[i], BRIDGE_STOP_DEFAULT, 0);
  }
  for (size_t i = 0; i < job->count; i++) {
    well(bridge_worker_close(job->workers[i], GRACE_MS), NULL, "close");
    bridge_worker_release(job->workers[i]);
  }
  bridge_queue_release(job->results);
  free(job->workers);
  free(job->totals);
  names_free(&job->names);
  files_free(&job->found);
}

/* ---- Telling ------------------------------------------------------------- */

static void print_row(const char *title, const tally *row)
{
  printf("%-10s %9" PRId64 " %12" PRId64 " %12" PRId64 " %9.2f\n", title,
         row->files, row->lines, row->words, (double)row->bytes / 1e6);
}

static tally print_table(const scan *job)
{
  tally all = {0};
  printf("\n%-10s %9s %12s %12s %9s\n", "", "files", "lines", "words", "MB");
  for (size_t i = 0; i < job->count; i++) {
    const tally *row = &job->totals[i];
    char title[32];
    snprintf(title, sizeof title, "worker %zu", i + 1);
    print_row(title, row);
    all.files += row->files;
    all.empty += row->empty;
    all.lines += row->lines;
    all.words += row->words;
    all.bytes += row->bytes;
  }
  print_row("all", &all);
  return all;
}

static void print_speed(size_t workers, double megabytes, double seconds)
{
  if (megabytes < 1 || seconds < 0.2) {
    printf("\ntoo little text to time\n");
    return;
  }
  printf("\n%zu worker%s %.2f s %.1f MB/s\n", workers, workers == 1 ? "" : "s",
         seconds, megabytes / seconds);
}

/* Returns the exit status: 0 if every file is somewhere. */
static int report(scan *job, double seconds)
{
  const tally all = print_table(job);
  names_print(&job->names, TOP);
  print_speed(job->count, (double)all.bytes / 1e6, seconds);
  printf("binary: %zu\nempty: %" PRId64 "\n", job->binary, all.empty);
  size_t scanned = (size_t)all.files;
  size_t skipped = job->found.skipped + job->binary;
  size_t failed = job->found.failed + job->failed;
  size_t found = job->found.count + job->found.skipped + job->found.failed;
  bool whole = found == scanned + skipped + failed;
  printf("found %zu = %zu scanned + %zu skipped + %zu failed%s\n", found,
         scanned, skipped, failed, whole ? "" : ": WRONG");
  return whole ? EXIT_SUCCESS : EXIT_FAILURE;
}

static double now(void)
{
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int scan_files(scan *job)
{
  if (job->found.count == 0) {
    fprintf(stderr, "there is no file to scan\n");
    return EXIT_FAILURE;
  }
  double begun = now();
  if (start(job) && run(job)) {
    return report(job, now() - begun);
  }
  if (interrupted) {
    printf("stopped after %zu of %zu file%s\n", job->done, job->found.count,
           job->found.count == 1 ? "" : "s");
    return 130;
  }
  return EXIT_FAILURE;
}

int main(int count, char **arguments_given)
{
  static char *defaults[] = {"scan", "/usr/include", "/usr/share/doc"};
  char **folders = count > 1 ? arguments_given : defaults;
  int last = count > 1 ? count : 3;
  scan job = {0};
  for (int i = 1; i < last; i++) {
    if (!files_find(&job.found, folders[i])) {
      files_free(&job.found);
      return 2;
    }
  }
  int status = scan_files(&job);
  end(&job);
  return status;
}
