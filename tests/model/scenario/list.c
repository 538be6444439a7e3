/* Scenarios of the engine of queues, bridge_mpsc: small enough to be searched
   through. */
#include "engine/engine.h"

#include "base/memory.h"

#include <stdatomic.h>

typedef struct item {
  bridge_node node; /* first */
  unsigned thread;
  unsigned number;
} item;

enum {
  CONSUMER = 0 /* the other threads produce */
};

static bridge_mpsc *list;
static unsigned next_number[MODEL_THREADS]; /* what has to come next */
static unsigned taken;
static unsigned expected;
static unsigned told;        /* pushes that were told to wake */
static unsigned armed;       /* how often the consumer armed */
static int bell;             /* what the consumer sleeps on */
static atomic_uint *cleared; /* what the consumer does before it arms */

static void reset(unsigned count)
{
  for (unsigned i = 0; i < MODEL_THREADS; i++) {
    next_number[i] = 0;
  }
  taken = 0;
  told = 0;
  armed = 0;
  expected = count;
  bell = model_bell_open();
  cleared = bridge__allocate(sizeof *cleared);
  atomic_init(cleared, 0);
  model_check(bridge_mpsc_create(&list) == BRIDGE_OK, "no list");
}

static void push(unsigned thread, unsigned number)
{
  item *made = bridge__allocate(sizeof *made);
  made->thread = thread;
  made->number = number;
  bool wake = false;
  bridge_mpsc_push(list, &made->node, &wake);
  if (wake) {
    told++;
    /* Takes nothing: the push has taken it. */
    model_check(atomic_load_explicit(cleared, memory_order_relaxed) == told,
                "told to wake, and does not see what was done before");
    model_bell_ring(bell);
  }
}

static void use(item *found)
{
  model_check(found->number == next_number[found->thread],
              "not first in, first out");
  next_number[found->thread]++;
  taken++;
  bridge__free(found);
}

static bool take(void)
{
  bridge_node *node = NULL;
  if (bridge_mpsc_take(list, &node) != BRIDGE_OK) {
    return false;
  }
  while (node != NULL) {
    bridge_node *next = node->next;
    use((item *)node);
    node = next;
  }
  return true;
}

static void consume(void)
{
  while (taken < expected) {
    if (take()) {
      continue;
    }
    /* Publishes nothing: the arming does. */
    atomic_store_explicit(cleared, armed + 1, memory_order_relaxed);
    if (bridge_mpsc_arm(list) == BRIDGE_OK) {
      armed++;
      model_bell_wait(bell);
    }
  }
}

static void after(void)
{
  model_check(taken == expected, "an item is missing");
  model_check(told == armed, "a push too many or too few was told to wake");
  bridge__free(cleared);
  bridge_mpsc_destroy(list);
}

/* ---- One producer, one item: the least that can go wrong ---- */

static void before_one(void)
{
  reset(1);
}

static void thread_one(unsigned index)
{
  if (index == CONSUMER) {
    consume();
  } else {
    push(index, 0);
  }
}

/* ---- Two producers, one item each ---- */

static void before_two(void)
{
  reset(2);
}

/* ---- Two producers, two items each ---- */

static void before_four(void)
{
  reset(4);
}

static void thread_four(unsigned index)
{
  if (index == CONSUMER) {
    consume();
    return;
  }
  push(index, 0);
  push(index, 1);
}

const model_scenario model_list_scenarios[] = {
    {"list_one", 2, before_one, thread_one, after},
    {"list_two", 3, before_two, thread_one, after},
    {"list_four", 3, before_four, thread_four, after},
    {NULL, 0, NULL, NULL, NULL},
};
