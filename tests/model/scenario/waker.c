/* Scenarios of wakers: raise, clear, wait and close, all at once. */
#include "engine/engine.h"

#include "base/interrupt.h"
#include "base/memory.h"

enum {
  WORKERS = 2
};

static bridge_waker *waker;
static int descriptor;
static unsigned *called;  /* freed by the release */
static unsigned released; /* how often that was */

static void make(bridge_waker_kind kind)
{
  model_check(bridge_waker_create(&waker, kind) == BRIDGE_OK, "no waker");
}

static void drop(void)
{
  bridge_waker_release(waker);
}

static void before_condition(void)
{
  make(BRIDGE_WAKER_CONDITION);
}

static void before_descriptor(void)
{
  make(BRIDGE_WAKER_EVENTFD);
  model_check(bridge_waker_fileno(waker, &descriptor) == BRIDGE_OK,
              "no descriptor");
}

/* ---- Work that is told by raising: none of it may be missed ---- */

static atomic_int *work; /* told in no order of its own: the raise is all */
static bool seen[WORKERS];
static unsigned done;

static void before_work(void)
{
  done = 0;
  work = bridge__allocate(WORKERS * sizeof *work);
  for (unsigned i = 0; i < WORKERS; i++) {
    seen[i] = false;
    atomic_init(&work[i], 0);
  }
}

static void before_work_condition(void)
{
  before_condition();
  before_work();
}

static void before_work_descriptor(void)
{
  before_descriptor();
  before_work();
}

static void look(void)
{
  for (unsigned i = 0; i < WORKERS; i++) {
    /* Takes nothing: whoever cleared has taken it. */
    if (!seen[i] && atomic_load_explicit(&work[i], memory_order_relaxed) != 0) {
      seen[i] = true;
      done++;
    }
  }
}

static void tell(unsigned index)
{
  /* Publishes nothing: the raise does. */
  atomic_store_explicit(&work[index], 1, memory_order_relaxed);
  model_check(bridge_waker_raise(waker) == BRIDGE_OK, "a raise was refused");
}

static void thread_work(unsigned index)
{
  if (index < WORKERS) {
    tell(index);
    return;
  }
  while (done < WORKERS) {
    model_check(bridge_waker_wait(waker, -1) == BRIDGE_OK, "a wait failed");
    model_check(bridge_waker_clear(waker) == BRIDGE_OK, "a clear failed");
    look();
  }
}

static void after_work(void)
{
  model_check(done == WORKERS, "work was missed");
  bridge__free(work);
  drop();
}

/* ---- A wait alone: what the first raise tells is there ---- */

static void thread_told(unsigned index)
{
  if (index == 0) {
    tell(index);
    return;
  }
  model_check(bridge_waker_wait(waker, -1) == BRIDGE_OK, "a wait failed");
  look();
  model_check(done == 1, "woken, and does not see why");
}

static void after_told(void)
{
  bridge__free(work);
  drop();
}

/* ---- A host that only watches the descriptor ---- */

static void thread_watched(unsigned index)
{
  if (index < WORKERS) {
    thread_work(index);
    return;
  }
  while (done < WORKERS) {
    model_poll(descriptor);
    model_check(bridge_waker_clear(waker) == BRIDGE_OK, "a clear failed");
    look();
  }
}

/* ---- A cleared waker is as it was: nothing stays in the descriptor ---- */

static void thread_balance(unsigned index)
{
  if (index < 2) {
    bridge_waker_raise(waker);
  } else {
    bridge_waker_clear(waker);
    bridge_waker_clear(waker);
  }
}

static void after_balance(void)
{
  bridge_waker_clear(waker);
  model_check(bridge_waker_wait(waker, 0) == BRIDGE_ETIMEDOUT,
              "raised after it was cleared");
  model_check(!model_readable(descriptor),
              "a signal stayed in a waker that is not raised");
  bridge_waker_raise(waker);
  model_check(model_readable(descriptor), "a raise without a signal");
  drop();
}

/* ---- Closed while others raise, clear and wait ---- */

static bool expected_of_a_closing(bridge_status status)
{
  return status == BRIDGE_OK || status == BRIDGE_ECLOSED;
}

static void thread_close(unsigned index)
{
  if (index == 0) {
    model_check(expected_of_a_closing(bridge_waker_raise(waker)), "raise");
  } else if (index == 1) {
    model_check(expected_of_a_closing(bridge_waker_wait(waker, -1)), "wait");
    model_check(expected_of_a_closing(bridge_waker_clear(waker)), "clear");
  } else {
    model_check(bridge_waker_close(waker) == BRIDGE_OK, "close");
    model_check(bridge_waker_raise(waker) == BRIDGE_ECLOSED,
                "raised after it was closed");
  }
}

static void after_close(void)
{
  model_check(bridge_waker_wait(waker, 0) == BRIDGE_ECLOSED, "not closed");
  model_check(model_open() == 0, "closed, and its descriptor is not");
  drop();
}

/* ---- Closed by two at once, while somebody waits for ever ---- */

/* The model's descriptor publishes nothing, so a wait that it ends may miss why,
   once: the next one knows. */
static bridge_status wait_for_the_end(void)
{
  bridge_status status = bridge_waker_wait(waker, -1);
  return status == BRIDGE_OK ? bridge_waker_wait(waker, -1) : status;
}

static void thread_close_twice(unsigned index)
{
  if (index == 2) {
    model_check(wait_for_the_end() == BRIDGE_ECLOSED, "wait");
  } else {
    bridge_waker_close(waker);
  }
}

/* ---- The last reference goes while others are inside ---- */

static void before_references(void)
{
  before_descriptor();
  bridge_waker_retain(waker);
  bridge_waker_retain(waker);
}

static void before_references_condition(void)
{
  before_condition();
  bridge_waker_retain(waker);
  bridge_waker_retain(waker);
}

static void thread_references(unsigned index)
{
  if (index == 0) {
    bridge_waker_close(waker);
  } else {
    bridge_waker_raise(waker);
  }
  bridge_waker_release(waker);
}

static void after_references(void)
{
  model_check(model_open() == 0, "freed, and its descriptor is open");
}

/* ---- Callback: never called after its release ---- */

static void call(void *user)
{
  model_check(user == called, "somebody else's user");
  model_yield();
  model_check(*(unsigned *)user == 1, "a user that is gone");
}

static void release(void *user)
{
  bridge__free(user);
  released++;
}

static void before_callback(void)
{
  called = bridge__allocate(sizeof *called);
  *called = 1;
  released = 0;
  model_check(bridge_waker_create_callback(&waker, call, called, release) ==
                  BRIDGE_OK,
              "no waker");
}

static void thread_callback(unsigned index)
{
  if (index == 0) {
    bridge_waker_close(waker);
  } else {
    bridge_waker_raise(waker);
    bridge_waker_clear(waker);
  }
}

static void after_callback(void)
{
  model_check(released == 1, "not released once");
  drop();
  model_check(released == 1, "released twice");
}

/* ---- A cancelled wait ends, and stays ended ---- */

static bridge__interrupt *interrupt;

static void before_cancel_condition(void)
{
  before_condition();
  interrupt = bridge__allocate(sizeof *interrupt);
  bridge__interrupt_init(interrupt);
}

static void before_cancel_descriptor(void)
{
  before_descriptor();
  interrupt = bridge__allocate(sizeof *interrupt);
  bridge__interrupt_init(interrupt);
}

static void thread_cancel(unsigned index)
{
  if (index == 0) {
    bridge__interrupt_request(interrupt);
    return;
  }
  bridge__interrupt_bind(interrupt);
  model_check(wait_for_the_end() == BRIDGE_ECANCELLED,
              "a wait that was cancelled");
  model_check(bridge_waker_wait(waker, -1) == BRIDGE_ECANCELLED,
              "a wait after it was cancelled");
  bridge__interrupt_bind(NULL);
}

static void after_cancel(void)
{
  bridge__interrupt_destroy(interrupt);
  bridge__free(interrupt);
  drop();
}

const model_scenario model_waker_scenarios[] = {
    {"waker_condition", 3, before_work_condition, thread_work, after_work},
    {"waker_told", 2, before_work_condition, thread_told, after_told},
    {"waker_descriptor", 3, before_work_descriptor, thread_work, after_work},
    {"waker_watched", 3, before_work_descriptor, thread_watched, after_work},
    {"waker_balance", 3, before_descriptor, thread_balance, after_balance},
    {"waker_close_condition", 3, before_condition, thread_close, after_close},
    {"waker_close_descriptor", 3, before_descriptor, thread_close, after_close},
    {"waker_close_twice", 3, before_descriptor, thread_close_twice,
     after_close},
    {"waker_close_twice_condition", 3, before_condition, thread_close_twice,
     after_close},
    {"waker_references", 3, before_references, thread_references,
     after_references},
    {"waker_references_condition", 3, before_references_condition,
     thread_references, after_references},
    {"waker_callback", 3, before_callback, thread_callback, after_callback},
    {"waker_cancel_condition", 2, before_cancel_condition, thread_cancel,
     after_cancel},
    {"waker_cancel_descriptor", 2, before_cancel_descriptor, thread_cancel,
     after_cancel},
    {NULL, 0, NULL, NULL, NULL},
};
