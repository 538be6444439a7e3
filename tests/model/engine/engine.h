/* What scenarios get from the engine: threads that the checker schedules, a
   place for messages, descriptors, and ways to say what must hold. */
#ifndef MODEL_ENGINE_H
#define MODEL_ENGINE_H

#include <bridge/bridge.h>

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  MODEL_THREADS = 4, /* most threads of a scenario */
  MODEL_MESSAGES = 8 /* most messages of a thread */
};

/* One run: `before` alone, then the threads, then `after` alone. */
typedef struct model_scenario {
  const char *name;
  unsigned threads; /* 2 to MODEL_THREADS */
  void (*before)(void);
  void (*thread)(unsigned index);
  void (*after)(void);
} model_scenario;

/* The tables end with a NULL name. */
extern const model_scenario model_queue_scenarios[];
extern const model_scenario model_waker_scenarios[];
extern const model_scenario model_list_scenarios[];

/* Ends the run with a report if it does not hold. */
void model_check(bool holds, const char *what);
/* In `before`: deadlines may pass from now on. */
void model_hurry(void);
/* Let the others run. */
void model_yield(void);
/* One of 0 to limit - 1, as the checker likes. */
unsigned model_choose(unsigned limit);

/* How often the scenario's blocks were not freed: 0 at the end. */
size_t model_blocks(void);

/* A message of a thread; its contents are checked for races.  It is freed by
   bridge_message_release, as any. */
bridge_message *model_message(unsigned thread, unsigned number, size_t size);
unsigned model_message_thread(const bridge_message *message);
unsigned model_message_number(const bridge_message *message);
/* How many messages were freed. */
size_t model_released(void);

/* A bell that keeps one ring and publishes nothing: who waits for it in vain, for
   ever, is reported. */
int model_bell_open(void);
void model_bell_ring(int bell);
void model_bell_wait(int bell);

/* What an event loop knows of a descriptor: until it is readable. */
void model_poll(int descriptor);
bool model_readable(int descriptor);
/* How many descriptors are open. */
size_t model_open(void);

#ifdef __cplusplus
}
#endif

#endif
