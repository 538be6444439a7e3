/* How long an attack lasts once it is cancelled: milliseconds from the cancel to the
   return of the run; or what happens instead.

   FILE   the attacks
   NAME   which one
   LEVEL  cooperative, prompt, strict */
#include "attack.h"
#include "bench.h"

#include <unistd.h>

enum {
  SAYS = 76,
  SOON_MS = 20000,
  PATIENCE_MS = 1000,
  A_MOMENT_MS = 200
};

typedef struct run {
  const attack *one;
  bridge_state *state;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int64_t ended; /* when, or 0 */
  bridge_status status;
} run;

static void *run_attack(void *argument)
{
  run *r = argument;
  bridge_status status =
      bridge_state_run(r->state, r->one->source, strlen(r->one->source),
                       r->one->name, NULL, NULL, NULL);
  const int64_t now = bench_now();
  attack_ended();
  pthread_mutex_lock(&r->mutex);
  r->ended = now;
  r->status = status;
  pthread_cond_broadcast(&r->changed);
  pthread_mutex_unlock(&r->mutex);
  return NULL;
}

static int64_t wait_for_end(run *r, int timeout_ms)
{
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += (end.tv_nsec + timeout_ms % 1000 * 1000000) / 1000000000;
  end.tv_nsec = (end.tv_nsec + timeout_ms % 1000 * 1000000) % 1000000000;
  end.tv_sec += timeout_ms / 1000;
  int error = 0;
  pthread_mutex_lock(&r->mutex);
  while (r->ended == 0 && error == 0) {
    error = pthread_cond_timedwait(&r->changed, &r->mutex, &end);
  }
  const int64_t ended = r->ended;
  pthread_mutex_unlock(&r->mutex);
  return ended;
}

/* The thread may go on for ever. */
static int say(const char *words)
{
  puts(words);
  fflush(stdout);
  _exit(SAYS);
}

static int measure(run *r, bridge_stop_level level)
{
  const int64_t start = bench_now();
  if (bridge_state_cancel(r->state, level, 0) == BRIDGE_EEMPTY) {
    return say(attack_begun() ? "ends by itself" : "refused");
  }
  const int patience =
      level == BRIDGE_STOP_COOPERATIVE ? A_MOMENT_MS : PATIENCE_MS;
  const int64_t ended = wait_for_end(r, patience);
  if (ended == 0) {
    return say("not stopped");
  }
  return bench_print((double)(ended - start) / 1e6);
}

static bridge_stop_level level_of(const char *name)
{
  static const char *const names[] = {"cooperative", "prompt", "strict"};
  for (int i = 0; i < 3; i++) {
    if (strcmp(name, names[i]) == 0) {
      return (bridge_stop_level)(BRIDGE_STOP_COOPERATIVE + i);
    }
  }
  exit(BENCH_USAGE);
}

int main(int argc, char **argv)
{
  if (argc != 4) {
    return BENCH_USAGE;
  }
  size_t count = 0;
  const attack *all = attacks_read(argv[1], &count);
  const bridge_stop_level level = level_of(argv[3]);
  run r = {.one = attack_find(all, count, argv[2]),
           .mutex = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};
  bench_check(r.one != NULL, "there is no such attack");
  bridge_state_options options;
  attack_options(&options,
                 level == BRIDGE_STOP_COOPERATIVE ? BRIDGE_STOP_PROMPT : level);
  bench_check(bridge_state_create(&r.state, &options, NULL) == BRIDGE_OK,
              "no state");
  pthread_t thread;
  bench_check(pthread_create(&thread, NULL, run_attack, &r) == 0, "no thread");
  bench_check(attack_wait(SOON_MS), "the attack does not begin");
  if (!attack_begun()) {
    return say(attack_expected(r.one, level) == ATTACK_REFUSED
                   ? "refused"
                   : "ends by itself");
  }
  wait_for_end(&r, 10); /* until it is where it goes on for ever */
  return measure(&r, level);
}
