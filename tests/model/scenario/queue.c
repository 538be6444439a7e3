/* Scenarios of queues: every feature beside every other.  In all of them: first
   in, first out for each producer; what was let in is popped once, or dropped
   and counted, or freed with the queue; no wake-up is lost. */
#include "engine/engine.h"

#include "base/interrupt.h"
#include "base/memory.h"
#include "queue/queue.h"

#include <stdatomic.h>

enum {
  CONSUMER = 0, /* the other threads produce */
  SIZE = 1
};

static bridge_queue *queue;
static int descriptor;
static unsigned pushed[MODEL_THREADS]; /* let in, by producer */
static unsigned next[MODEL_THREADS];   /* the least number that may come next */
static unsigned popped;
static bool shuffled; /* somebody puts back what is not the oldest */

static void make_from(const bridge_queue_options *options)
{
  for (unsigned i = 0; i < MODEL_THREADS; i++) {
    pushed[i] = 0;
    next[i] = 0;
  }
  popped = 0;
  shuffled = false;
  model_released();
  model_check(bridge_queue_create(&queue, options) == BRIDGE_OK, "no queue");
}

static void make(size_t items, bridge_queue_policy policy)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = items;
  options.policy = policy;
  make_from(&options);
}

static void make_watched(size_t items, bridge_queue_policy policy)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = items;
  options.policy = policy;
  options.waker_kind = BRIDGE_WAKER_EVENTFD;
  make_from(&options);
  model_check(bridge_waker_fileno(bridge_queue_waker(queue), &descriptor) ==
                  BRIDGE_OK,
              "no descriptor");
}

/* ---- Producing ---- */

static bridge_status push_timeout(unsigned thread,
                                  unsigned number,
                                  int timeout_ms)
{
  bridge_message *message = model_message(thread, number, SIZE);
  bridge_status status = bridge_queue_push_timeout(queue, &message, timeout_ms);
  model_check((status == BRIDGE_OK) == (message == NULL),
              "a message is taken if, and only if, it was let in");
  if (status == BRIDGE_OK) {
    pushed[thread]++;
  } else {
    bridge__free(message);
  }
  return status;
}

static void push(unsigned thread, unsigned number)
{
  model_check(push_timeout(thread, number, -1) == BRIDGE_OK, "push");
}

static void push_two(unsigned thread)
{
  push(thread, 0);
  push(thread, 1);
}

static void push_batch(unsigned thread)
{
  bridge_message *messages[2] = {model_message(thread, 0, SIZE),
                                 model_message(thread, 1, SIZE)};
  size_t done = 0;
  bridge_status status = bridge_queue_push_batch(queue, messages, 2, &done);
  model_check(status == BRIDGE_OK && done == 2, "push_batch");
  pushed[thread] += 2;
}

static unsigned total(void)
{
  unsigned sum = 0;
  for (unsigned i = 0; i < MODEL_THREADS; i++) {
    sum += pushed[i];
  }
  return sum;
}

/* ---- Consuming ---- */

static void use(bridge_message *message)
{
  unsigned thread = model_message_thread(message);
  unsigned number = model_message_number(message);
  model_check(shuffled || number >= next[thread], "not first in, first out");
  next[thread] = number + 1;
  popped++;
  bridge_message_release(message);
}

static bridge_status pop(int timeout_ms)
{
  bridge_message *message = NULL;
  bridge_status status = bridge_queue_pop(queue, &message, timeout_ms);
  model_check((status == BRIDGE_OK) == (message != NULL), "pop");
  if (status == BRIDGE_OK) {
    use(message);
  }
  return status;
}

static void pop_waiting(unsigned count)
{
  for (unsigned i = 0; i < count; i++) {
    model_check(pop(-1) == BRIDGE_OK, "a pop that waits for ever failed");
  }
}

/* As an event loop: nothing but the descriptor says when to look. */
static void pop_watching(unsigned count)
{
  while (popped < count) {
    model_poll(descriptor);
    while (pop(0) == BRIDGE_OK) {
    }
  }
}

static void pop_batches(unsigned count)
{
  while (popped < count) {
    bridge_message *messages[2] = {NULL};
    size_t some = 0;
    bridge_status status =
        bridge_queue_pop_batch(queue, messages, 2, &some, -1);
    model_check(status == BRIDGE_OK && some > 0, "pop_batch");
    for (size_t i = 0; i < some; i++) {
      use(messages[i]);
    }
  }
}

static void pop_to_the_end(void)
{
  bridge_status status = BRIDGE_OK;
  while (status == BRIDGE_OK) {
    status = pop(-1);
  }
  model_check(status == BRIDGE_ECLOSED, "neither a message nor the end");
  model_check(pop(0) == BRIDGE_ECLOSED, "the end, and something behind it");
}

/* ---- Afterwards ---- */

static void after(void)
{
  model_check(popped == total(), "something that was let in is missing");
  model_check(bridge_queue_count(queue) == 0, "count");
  model_check(bridge_queue_bytes(queue) == 0, "bytes");
  bridge_queue_release(queue);
}

static void after_watched(void)
{
  /* Who was told that it is empty need not look before the next push. */
  model_check(pop(0) == BRIDGE_EEMPTY, "something was left");
  model_check(!model_readable(descriptor), "readable, and nothing is there");
  push(1, MODEL_MESSAGES);
  model_check(model_readable(descriptor), "something is there, and not told");
  model_check(pop(0) == BRIDGE_OK, "pop");
  after();
}

static void after_closed(void)
{
  model_check(pop(0) == BRIDGE_ECLOSED, "not at its end");
  after();
}

/* ---- What is done before: published by nothing but the queue ---- */

static atomic_int *before_it;

static void remember(void)
{
  before_it = bridge__allocate(sizeof *before_it);
  atomic_init(before_it, 0);
}

static void forget(void)
{
  bridge__free(before_it);
}

static void do_before(void)
{
  /* Publishes nothing: what follows does. */
  atomic_store_explicit(before_it, 1, memory_order_relaxed);
}

static void check_before(void)
{
  /* Takes nothing: what went before has. */
  model_check(atomic_load_explicit(before_it, memory_order_relaxed) == 1,
              "does not see what was done before");
}

/* ---- The scenarios ---- */

static void before_wide(void)
{
  make(0, BRIDGE_QUEUE_BLOCK);
}

static void before_watched(void)
{
  make_watched(0, BRIDGE_QUEUE_BLOCK);
}

static void thread_waits(unsigned index)
{
  if (index == CONSUMER) {
    pop_waiting(3);
  } else if (index == 1) {
    push_two(index);
  } else {
    push(index, 0);
  }
}

static void thread_watches(unsigned index)
{
  if (index == CONSUMER) {
    pop_watching(3);
  } else {
    thread_waits(index);
  }
}

static void thread_batches(unsigned index)
{
  if (index == CONSUMER) {
    pop_batches(4);
  } else {
    push_batch(index);
  }
}

static void thread_batches_watched(unsigned index)
{
  if (index == CONSUMER) {
    pop_watching(4);
  } else {
    push_batch(index);
  }
}

/* Lets the others go far ahead, to where they sleep: which they else do rarely
   before a thread that has only one thing to do. */
static void dawdle(void)
{
  for (unsigned left = model_choose(24); left > 0; left--) {
    model_yield();
  }
}

/* ---- Close ---- */

static void push_until_closed(unsigned thread)
{
  for (unsigned i = 0; i < 2; i++) {
    bridge_status status = push_timeout(thread, i, -1);
    if (status != BRIDGE_OK) {
      model_check(status == BRIDGE_ECLOSED, "push");
      return;
    }
  }
}

static void before_close(void)
{
  before_wide();
  remember();
}

static void before_close_watched(void)
{
  before_watched();
  remember();
}

static void thread_close(unsigned index)
{
  if (index == CONSUMER) {
    pop_to_the_end();
    check_before();
  } else if (index == 1) {
    push_until_closed(index);
    if (bridge_queue_closed(queue)) {
      check_before();
    }
  } else {
    do_before();
    bridge_queue_close(queue);
    model_check(push_timeout(index, 0, -1) == BRIDGE_ECLOSED,
                "let in after the close");
  }
}

static void thread_close_watched(unsigned index)
{
  if (index != CONSUMER) {
    thread_close(index);
    return;
  }
  bridge_status status = BRIDGE_EEMPTY;
  while (status != BRIDGE_ECLOSED) {
    model_poll(descriptor);
    do {
      status = pop(0);
    } while (status == BRIDGE_OK);
  }
  model_check(model_readable(descriptor), "the end does not stay readable");
}

static void thread_close_full(unsigned index)
{
  if (index == CONSUMER) {
    bridge_queue_close(queue);
    pop_to_the_end();
  } else {
    push_until_closed(index);
  }
}

/* Nobody pops, and so nobody but the closer wakes who waits for room. */
static void thread_close_blocked(unsigned index)
{
  if (index == CONSUMER) {
    dawdle();
    bridge_queue_close(queue);
  } else {
    push_until_closed(index);
    model_check(pushed[index] < 2, "let in where there is no room");
  }
}

static void after_close(void)
{
  forget();
  after_closed();
}

/* What the closer has left is popped. */
static void after_blocked(void)
{
  pop_to_the_end();
  after();
}

/* ---- Room ---- */

/* As a select does, which sleeps on nothing but its parking. */
static void thread_selects(unsigned index)
{
  if (index != CONSUMER) {
    push(index, 0);
    return;
  }
  bridge__parking *sleeper = bridge__allocate(sizeof *sleeper);
  model_check(bridge__parking_init(sleeper) == BRIDGE_OK, "parking");
  model_check(bridge__queue_occupy(queue) == BRIDGE_OK, "occupy");
  bridge__queue_watch(queue, sleeper);
  while (popped < 2) {
    unsigned ticket = bridge__parking_prepare(sleeper);
    bridge_message *message = NULL;
    if (bridge__queue_look(queue, &message) == BRIDGE_OK) {
      use(message);
    } else {
      bridge__parking_park(sleeper, ticket, INT64_MAX);
    }
  }
  bridge__queue_watch(queue, NULL);
  bridge__queue_vacate(queue);
  bridge__parking_destroy(sleeper, false);
  bridge__free(sleeper);
}

static void before_narrow(void)
{
  make(1, BRIDGE_QUEUE_BLOCK);
}

static void thread_room(unsigned index)
{
  if (index == CONSUMER) {
    pop_waiting(3);
  } else {
    thread_waits(index);
  }
}

/* A producer is not woken for each message, but it is for a quarter.  One: of two
   the first may take what the second finds by itself, in time that is none here. */
enum {
  WIDTH = MODEL_MESSAGES,
  QUARTER = WIDTH / 4
};

static void fill(const bridge_queue_options *options)
{
  make_from(options);
  for (unsigned i = 0; i < WIDTH; i++) {
    push(3, i);
  }
}

static void before_quarter(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.items = WIDTH;
  fill(&options);
}

static void before_quarter_bytes(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.bytes = WIDTH * SIZE;
  fill(&options);
}

static void thread_quarter(unsigned index)
{
  if (index == CONSUMER) {
    pop_waiting(QUARTER);
  } else {
    push(index, 0);
  }
}

/* One producer never has more than one message in the queue, and the room is for
   one of them and one of the other's: so the other never finds it full, however
   old what it sees may be. */
enum {
  LARGE = 5,
  ROUNDS = 4
};

static int bell;
static int late; /* rung when the other may begin */

static void before_never_full(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.bytes = LARGE + SIZE;
  options.policy = BRIDGE_QUEUE_FAIL;
  make_from(&options);
  bell = model_bell_open();
  late = model_bell_open();
}

static void push_large(unsigned number)
{
  bridge_message *message = model_message(1, number, LARGE);
  while (bridge_queue_push(queue, &message) == BRIDGE_EFULL) {
    model_yield(); /* the bell tells nothing of the room */
  }
  pushed[1]++;
  model_bell_wait(bell);
}

static void thread_never_full(unsigned index)
{
  if (index == 2) {
    model_bell_wait(late);
    model_check(push_timeout(index, 0, 0) == BRIDGE_OK, "never full, yet full");
    return;
  }
  for (unsigned i = 0; i < ROUNDS; i++) {
    if (index == 1) {
      push_large(i);
      if (i == 1) {
        model_bell_ring(late);
      }
      continue;
    }
    unsigned before = next[1];
    while (next[1] == before) {
      model_check(pop(-1) == BRIDGE_OK, "pop");
    }
    model_bell_ring(bell);
  }
}

/* A push that gives up has let nothing in. */
static void before_hurried(void)
{
  before_narrow();
  model_hurry();
}

static void thread_gives_up(unsigned index)
{
  if (index == CONSUMER) {
    pop(1);
    pop(1);
    return;
  }
  bridge_status status = push_timeout(index, 0, 1);
  model_check(status == BRIDGE_OK || status == BRIDGE_ETIMEDOUT, "push");
}

static void after_left(void)
{
  while (pop(0) == BRIDGE_OK) {
  }
  after();
}

/* Room that is kept until it is released. */
static void thread_kept(unsigned index)
{
  if (index != CONSUMER) {
    push(index, 0);
    return;
  }
  for (int i = 0; i < 2; i++) {
    bridge_message *message = NULL;
    model_check(bridge__queue_pop_kept(queue, &message, -1) == BRIDGE_OK,
                "pop_kept");
    model_check(bridge_queue_count(queue) == 1, "the room was not kept");
    bridge__queue_release_room(queue, message);
    use(message);
  }
}

/* Answers need no room. */
static void thread_forced(unsigned index)
{
  if (index == CONSUMER) {
    pop_waiting(2);
    return;
  }
  bridge_message *message = model_message(index, 0, SIZE);
  model_check(bridge__queue_push_forced(queue, &message) == BRIDGE_OK,
              "push_forced");
  pushed[index]++;
}

/* ---- Dropping the oldest ---- */

static void before_dropping(void)
{
  make(1, BRIDGE_QUEUE_DROP_OLDEST);
}

static void thread_dropping(unsigned index)
{
  if (index != CONSUMER) {
    push_two(index);
    return;
  }
  /* The last push of all is not dropped, so there is one to wait for. */
  model_check(pop(-1) == BRIDGE_OK, "pop");
  while (pop(0) == BRIDGE_OK) {
  }
}

static void after_dropping(void)
{
  unsigned long dropped = (unsigned long)bridge_queue_dropped(queue);
  while (pop(0) == BRIDGE_OK) {
  }
  model_check(popped + dropped == total(), "dropped, and not counted");
  model_check(model_released() == total(), "not freed once each");
  model_check(bridge_queue_count(queue) == 0, "count");
  bridge_queue_release(queue);
}

/* ---- Putting back ---- */

static void thread_unpop(unsigned index)
{
  if (index != CONSUMER) {
    push(index, 0);
    return;
  }
  bridge_message *message = NULL;
  model_check(bridge_queue_pop(queue, &message, -1) == BRIDGE_OK, "pop");
  model_check(bridge_queue_unpop(queue, &message) == BRIDGE_OK, "unpop");
  pop_waiting(2);
}

/* Room that producers have seen, and that is taken away again: of one message that
   fills the queue, and they want much less. */
static void before_unpop_full(void)
{
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.bytes = LARGE;
  make_from(&options);
  bridge_message *message = model_message(3, 0, LARGE);
  model_check(bridge_queue_push(queue, &message) == BRIDGE_OK, "push");
  pushed[3]++;
}

static void thread_unpop_full(unsigned index)
{
  if (index != CONSUMER) {
    bridge_status status = push_timeout(index, 0, 0);
    model_check(status == BRIDGE_OK || status == BRIDGE_EFULL, "push");
    return;
  }
  bridge_message *message = NULL;
  model_check(bridge_queue_pop(queue, &message, 0) == BRIDGE_OK, "pop");
  model_check(bridge_queue_unpop(queue, &message) == BRIDGE_OK, "unpop");
}

/* It has been put back, so there is no room that anybody may know of. */
static void after_unpop_full(void)
{
  model_check(bridge_queue_count(queue) == total(), "count");
  model_check(bridge_queue_bytes(queue) <= (size_t)LARGE + LARGE,
              "more than the bound and what was put back");
  model_check(push_timeout(1, 1, 0) == BRIDGE_EFULL,
              "let in where there is no room");
  after_left();
}

/* By somebody else than who waits for it. */
static void thread_unpop_aside(unsigned index)
{
  if (index == CONSUMER) {
    pop_waiting(1);
    return;
  }
  bridge_message *message = model_message(index, 0, SIZE);
  pushed[index]++;
  model_check(bridge_queue_unpop(queue, &message) == BRIDGE_OK, "unpop");
}

/* ---- Somebody who counts ---- */

/* Taken out by one, put back by another; whoever counts never finds more than
   there can be. */
static void before_counted(void)
{
  before_wide();
  push(3, 0);
  push(3, 1);
}

static void count(void)
{
  model_check(bridge_queue_count(queue) <= 3, "more than there can be");
  model_check(bridge_queue_bytes(queue) <= 3 * SIZE, "more than there can be");
}

static void thread_counted(unsigned index)
{
  if (index == CONSUMER) {
    pop_waiting(2);
    pop(0);
  } else if (index == 1) {
    push(index, 0);
  } else {
    count();
    count();
  }
}

static void before_put_back(void)
{
  before_counted();
  shuffled = true;
}

/* Where two pop, one of them may be refused. */
static void pop_in_turn(unsigned count)
{
  while (popped < count) {
    bridge_status status = pop(-1);
    if (status == BRIDGE_EBUSY) {
      model_yield();
    } else {
      model_check(status == BRIDGE_OK, "pop");
    }
  }
}

static void thread_put_back(unsigned index)
{
  if (index == CONSUMER) {
    pop_in_turn(3);
  } else if (index == 1) {
    push(index, 0);
  } else if (index == 2) {
    bridge_message *message = NULL;
    while (bridge_queue_pop(queue, &message, 0) == BRIDGE_EBUSY) {
      model_yield();
    }
    if (message != NULL) {
      model_check(bridge_queue_unpop(queue, &message) == BRIDGE_OK, "unpop");
    }
  } else {
    count();
    count();
  }
}

/* ---- Two that pop ---- */

static void thread_two_pop(unsigned index)
{
  if (index == 2) {
    push(index, 0);
    return;
  }
  bridge_status status = pop(0);
  model_check(status == BRIDGE_OK || status == BRIDGE_EEMPTY ||
                  status == BRIDGE_EBUSY,
              "pop");
}

/* ---- The waker is the host's, and the host closes it ---- */

static void thread_waker_closed(unsigned index)
{
  if (index == 2) {
    bridge_waker_close(bridge_queue_waker(queue));
  } else if (index == 1) {
    push(index, 0);
  } else {
    bridge_status status = pop(-1);
    model_check(status == BRIDGE_OK || status == BRIDGE_EUNSUPPORTED, "pop");
  }
}

/* ---- One waker, and two queues after each other ---- */

static bridge_waker *shared;

static void before_again(void)
{
  remember();
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  bridge_waker_create(&shared, BRIDGE_WAKER_CONDITION);
  options.waker = shared;
  make_from(&options);
}

static void thread_again(unsigned index)
{
  if (index == 0) {
    do_before();
    bridge_queue_release(queue);
    return;
  }
  bridge_queue_options options;
  bridge_queue_options_init(&options);
  options.waker = shared;
  bridge_queue *second = NULL;
  while (bridge_queue_create(&second, &options) == BRIDGE_EBUSY) {
    model_yield();
  }
  model_check(second != NULL, "no second queue");
  check_before();
  bridge_queue_release(second);
}

static void after_again(void)
{
  forget();
  bridge_waker_release(shared);
}

/* ---- The last reference ---- */

static void before_references(void)
{
  before_wide();
  bridge_queue_retain(queue);
  bridge_queue_retain(queue);
}

static void thread_references(unsigned index)
{
  if (index == CONSUMER) {
    pop(0);
  } else {
    push(index, 0);
  }
  bridge_queue_release(queue);
}

static void after_references(void)
{
  model_check(model_released() == 2, "what was in it was not freed");
}

/* ---- Cancelled while it waits ---- */

static bridge__interrupt *interrupt;

static void before_cancel(void)
{
  before_narrow();
  interrupt = bridge__allocate(sizeof *interrupt);
  bridge__interrupt_init(interrupt);
}

static void thread_cancel_pop(unsigned index)
{
  if (index == CONSUMER) {
    bridge__interrupt_bind(interrupt);
    bridge_status status = pop(-1);
    model_check(status == BRIDGE_OK || status == BRIDGE_ECANCELLED, "pop");
    bridge__interrupt_bind(NULL);
  } else if (index == 1) {
    bridge__interrupt_request(interrupt);
  } else {
    push(index, 0);
  }
}

static void thread_cancel_push(unsigned index)
{
  if (index == CONSUMER) {
    dawdle();
    bridge__interrupt_request(interrupt);
    return;
  }
  bridge__interrupt_bind(interrupt);
  for (unsigned i = 0; i < 2; i++) {
    bridge_status status = push_timeout(index, i, -1);
    model_check(status == (i == 0 ? BRIDGE_OK : BRIDGE_ECANCELLED), "push");
  }
  bridge__interrupt_bind(NULL);
}

/* The first one who finds no room leaves a mark, and is cancelled before it
   waits; the second finds the mark, and has to find the room, too. */
static void before_mark(void)
{
  before_cancel();
  bridge__interrupt_request(interrupt);
  push(1, 0);
}

static void thread_mark(unsigned index)
{
  if (index == CONSUMER) {
    while (next[2] == 0) {
      model_check(pop(-1) == BRIDGE_OK, "pop");
    }
  } else if (index == 1) {
    bridge__interrupt_bind(interrupt);
    bridge_status status = push_timeout(index, 1, -1);
    model_check(status == BRIDGE_OK || status == BRIDGE_ECANCELLED, "push");
    bridge__interrupt_bind(NULL);
  } else {
    push(index, 0);
  }
}

static void after_cancel(void)
{
  bridge__interrupt_destroy(interrupt);
  bridge__free(interrupt);
  after_left();
}

const model_scenario model_queue_scenarios[] = {
    {"queue_waits", 3, before_wide, thread_waits, after},
    {"queue_watched", 3, before_watched, thread_watches, after_watched},
    {"queue_batches", 3, before_wide, thread_batches, after},
    {"queue_batches_watched", 3, before_watched, thread_batches_watched,
     after_watched},
    {"queue_close", 3, before_close, thread_close, after_close},
    {"queue_close_watched", 3, before_close_watched, thread_close_watched,
     after_close},
    {"queue_close_full", 3, before_narrow, thread_close_full, after_closed},
    {"queue_close_blocked", 3, before_narrow, thread_close_blocked,
     after_blocked},
    {"queue_selects", 3, before_wide, thread_selects, after},
    {"queue_room", 3, before_narrow, thread_room, after},
    {"queue_quarter", 2, before_quarter, thread_quarter, after_left},
    {"queue_quarter_bytes", 2, before_quarter_bytes, thread_quarter,
     after_left},
    {"queue_never_full", 3, before_never_full, thread_never_full, after_left},
    {"queue_gives_up", 3, before_hurried, thread_gives_up, after_left},
    {"queue_kept", 3, before_narrow, thread_kept, after},
    {"queue_forced", 3, before_narrow, thread_forced, after},
    {"queue_dropping", 3, before_dropping, thread_dropping, after_dropping},
    {"queue_unpop", 3, before_wide, thread_unpop, after},
    {"queue_unpop_full", 3, before_unpop_full, thread_unpop_full,
     after_unpop_full},
    {"queue_unpop_aside", 2, before_wide, thread_unpop_aside, after},
    {"queue_counted", 3, before_counted, thread_counted, after_left},
    {"queue_put_back", 4, before_put_back, thread_put_back, after_left},
    {"queue_two_pop", 3, before_wide, thread_two_pop, after_left},
    {"queue_waker_closed", 3, before_watched, thread_waker_closed, after_left},
    {"queue_references", 3, before_references, thread_references,
     after_references},
    {"queue_cancel_pop", 3, before_cancel, thread_cancel_pop, after_cancel},
    {"queue_cancel_push", 2, before_cancel, thread_cancel_push, after_cancel},
    {"queue_cancel_mark", 3, before_mark, thread_mark, after_cancel},
    {"queue_waker_again", 2, before_again, thread_again, after_again},
    {NULL, 0, NULL, NULL, NULL},
};
