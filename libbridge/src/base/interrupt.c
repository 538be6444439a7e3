/* Interrupt: how a cancel finds the wait of the thread it is meant for. */
#include "base/interrupt.h"

/* What the calling thread is bound to, and in which process: in the child of a
   fork the mutex may be held by a thread that is not there. */
typedef struct binding {
  bridge__interrupt *interrupt;
  unsigned process;
} binding;

static BRIDGE__THREAD_LOCAL binding bound;

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

bool bridge__interruptible(void)
{
  return current() != NULL;
}

bool bridge__interrupted(void)
{
  bridge__interrupt *interrupt = current();
  /* Takes what the canceller did before. */
  return interrupt != NULL &&
         atomic_load_explicit(&interrupt->requested, memory_order_acquire);
}

bool bridge__wait_begin(bridge__wake *wake, void *object)
{
  bridge__interrupt *interrupt = current();
  if (interrupt == NULL) {
    return true;
  }
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
}
