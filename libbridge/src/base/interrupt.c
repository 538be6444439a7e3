/* Interrupt: how a cancel finds the wait of the thread it is meant for. */
#include "base/interrupt.h"

/* What the calling thread is bound to, and in which process: in the child of a
   fork the mutex may be held by a thread that is not there. */
typedef struct binding {
  bridge__interrupt *interrupt;
  unsigned process;
} binding;

static BRIDGE__THREAD_LOCAL binding bound;
static BRIDGE__THREAD_LOCAL bridge__post *mine;
static BRIDGE__THREAD_LOCAL bridge__term *terms; /* the innermost */

static bridge__interrupt *current(void)
{
  if (bound.interrupt == NULL || bound.process != bridge__process()) {
    return NULL;
  }
  return bound.interrupt;
}

bridge_status bridge__interrupt_init(bridge__interrupt *interrupt)
{
  atomic_init(&interrupt->requested, false);
  atomic_init(&interrupt->held, false);
  interrupt->use = 0;
  interrupt->wake = NULL;
  interrupt->object = NULL;
  return bridge__mutex_init(&interrupt->mutex);
}

void bridge__interrupt_destroy(bridge__interrupt *interrupt)
{
  bridge__mutex_destroy(&interrupt->mutex);
}

bridge__interrupt *bridge__interrupt_bind(bridge__interrupt *interrupt)
{
  bridge__interrupt *before = current();
  bound = (binding){interrupt, bridge__process()};
  return before;
}

/* With the mutex. */
static void request(bridge__interrupt *interrupt)
{
  /* Publishes what the canceller did before, to who looks without the mutex. */
  atomic_store_explicit(&interrupt->requested, true, memory_order_release);
  if (interrupt->wake != NULL) {
    interrupt->wake(interrupt->object);
  }
}

void bridge__interrupt_request(bridge__interrupt *interrupt)
{
  bridge__mutex_lock(&interrupt->mutex);
  request(interrupt);
  bridge__mutex_unlock(&interrupt->mutex);
}

void bridge__interrupt_rouse(bridge__interrupt *interrupt)
{
  bridge__mutex_lock(&interrupt->mutex);
  if (interrupt->wake != NULL) {
    interrupt->wake(interrupt->object);
  }
  bridge__mutex_unlock(&interrupt->mutex);
}

void bridge__interrupt_renew(bridge__interrupt *interrupt, unsigned use)
{
  bridge__mutex_lock(&interrupt->mutex);
  /* Publishes nothing: the mutex orders it. */
  atomic_store_explicit(&interrupt->requested, false, memory_order_relaxed);
  interrupt->use = use;
  bridge__mutex_unlock(&interrupt->mutex);
}

bool bridge__interrupt_request_use(bridge__interrupt *interrupt, unsigned use)
{
  bridge__mutex_lock(&interrupt->mutex);
  bool stands = interrupt->use == use;
  if (stands) {
    request(interrupt);
  }
  bridge__mutex_unlock(&interrupt->mutex);
  return stands;
}

/* ---- Posts ---- */

bridge_status bridge__post_init(bridge__post *post,
                                bool (*broken)(bridge__post *post))
{
  post->wake = NULL;
  post->object = NULL;
  post->manned = false;
  post->broken = broken;
  return bridge__mutex_init(&post->mutex);
}

void bridge__post_bind(bridge__post *post)
{
  mine = post;
  if (post != NULL) {
    post->process = bridge__process();
  }
}

void bridge__post_rouse(bridge__post *post)
{
  bridge__mutex_lock(&post->mutex);
  if (post->wake != NULL) {
    post->wake(post->object);
  }
  bridge__mutex_unlock(&post->mutex);
}

/* The calling thread's, while it runs scripts. */
static bridge__post *manned(void)
{
  bridge__post *post = mine;
  bool found =
      post != NULL && post->manned && post->process == bridge__process();
  return found ? post : NULL;
}

static void register_wait(bridge__post *post, bridge__wake *wake, void *object)
{
  bridge__mutex_lock(&post->mutex);
  post->wake = wake;
  post->object = object;
  bridge__mutex_unlock(&post->mutex);
}

/* ---- Waiting ---- */

static bool told(void)
{
  const bridge__term *term = terms;
  while (term != NULL && !term->told(term)) {
    term = term->outer;
  }
  return term != NULL;
}

bool bridge__interruptible(void)
{
  return current() != NULL;
}

bool bridge__held(void)
{
  const bridge__interrupt *interrupt = current();
  /* Takes nothing: the flag stands for itself. */
  return interrupt != NULL &&
         atomic_load_explicit(&interrupt->held, memory_order_relaxed);
}

bool bridge__interrupted(void)
{
  bridge__interrupt *interrupt = current();
  if (interrupt == NULL) {
    return false;
  }
  /* Takes what the canceller did before. */
  if (atomic_load_explicit(&interrupt->requested, memory_order_acquire)) {
    return true;
  }
  bridge__post *post = manned();
  return told() || (post != NULL && post->broken(post));
}

/* False if it was requested. */
static bool enlist(bridge__interrupt *interrupt,
                   bridge__wake *wake,
                   void *object)
{
  bridge__mutex_lock(&interrupt->mutex);
  /* The mutex orders it. */
  bool requested =
      atomic_load_explicit(&interrupt->requested, memory_order_relaxed);
  if (!requested) {
    interrupt->wake = wake;
    interrupt->object = object;
  }
  bridge__mutex_unlock(&interrupt->mutex);
  return !requested;
}

bool bridge__wait_begin(bridge__wake *wake, void *object)
{
  bridge__interrupt *interrupt = current();
  if (interrupt == NULL) {
    return true;
  }
  if (!enlist(interrupt, wake, object)) {
    return false;
  }
  /* Who breaks it does so, and then looks for a wait; here it is the other way
     round. */
  bridge__post *post = manned();
  if (post != NULL) {
    register_wait(post, wake, object);
  }
  if (told() || (post != NULL && post->broken(post))) {
    bridge__wait_end();
    return false;
  }
  return true;
}

void bridge__wait_end(void)
{
  bridge__interrupt *interrupt = current();
  if (interrupt == NULL) {
    return;
  }
  bridge__mutex_lock(&interrupt->mutex);
  interrupt->wake = NULL;
  interrupt->object = NULL;
  bridge__mutex_unlock(&interrupt->mutex);
  bridge__post *post = manned();
  if (post != NULL) {
    register_wait(post, NULL, NULL);
  }
}

bool bridge__interrupt_waits(bridge__interrupt *interrupt)
{
  bridge__mutex_lock(&interrupt->mutex);
  bool waiting = interrupt->wake != NULL;
  bridge__mutex_unlock(&interrupt->mutex);
  return waiting;
}

/* ---- Terms ---- */

void bridge__term_begin(bridge__term *term)
{
  term->outer = terms;
  terms = term;
}

void bridge__term_end(void)
{
  terms = terms->outer;
}

int64_t bridge__wait_deadline(int timeout_ms)
{
  int64_t deadline = bridge__deadline(timeout_ms);
  if (current() == NULL) {
    return deadline; /* a wait of the library's own, which nothing breaks */
  }
  for (const bridge__term *term = terms; term != NULL; term = term->outer) {
    int64_t end = term->end(term);
    deadline = end < deadline ? end : deadline;
  }
  return deadline;
}

bool bridge__out_of_time(void)
{
  return terms != NULL && bridge__remaining(bridge__wait_deadline(-1)) == 0;
}
