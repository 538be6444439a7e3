/* Waker: decides who signals, who drains and who closes; the mechanism itself is
   a table.

   One word says everything: whether the waker is raised, whether it is closed,
   and how many are inside a call.  Who makes it raised sends one signal, a little
   later; so a raised waker whose signal has not come yet is not cleared, or the
   signal would stay behind for ever, in a waker that is not raised. */
#include "waker/waker.h"

#include "base/interrupt.h"
#include "base/memory.h"

/* ---- Going in and out ---- */

/* Once: by the last one inside after the close. */
static void end(bridge_waker *waker)
{
  /* Takes nothing: whoever comes first closes, and is alone inside. */
  if (!atomic_exchange_explicit(&waker->ended, true, memory_order_relaxed)) {
    waker->type->close(waker);
  }
}

static bool enter(bridge_waker *waker)
{
  /* Takes nothing; the exchange below does. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_relaxed);
  do {
    if ((state & BRIDGE__CLOSED) != 0) {
      return false;
    }
    /* Takes what was done inside before. */
  } while (!atomic_compare_exchange_weak_explicit(
      &waker->state, &state, state + BRIDGE__USER, memory_order_acquire,
      memory_order_relaxed));
  return true;
}

static void leave(bridge_waker *waker)
{
  /* Publishes what was done inside, and takes it if this is the last one. */
  unsigned before = atomic_fetch_sub_explicit(&waker->state, BRIDGE__USER,
                                              memory_order_acq_rel);
  if ((before & BRIDGE__CLOSED) != 0 && before < 2 * BRIDGE__USER) {
    end(waker);
  }
}

/* ---- Life ---- */

static void destroy(void *object)
{
  bridge_waker *waker = object;
  bridge_waker_close(waker);
  bridge__free(waker);
}

static const bridge__type type = {BRIDGE_HANDLE_WAKER, "waker", destroy, NULL};

static const bridge__waker_type *find(bridge_waker_kind kind)
{
  if (kind == BRIDGE_WAKER_CONDITION) {
    return &bridge__waker_condition;
  }
  if (kind == BRIDGE_WAKER_DEFAULT) {
    return bridge__waker_types[0];
  }
  for (size_t i = 0; bridge__waker_types[i] != NULL; i++) {
    if (bridge__waker_types[i]->kind == kind) {
      return bridge__waker_types[i];
    }
  }
  return NULL;
}

static bridge_waker *make(const bridge__waker_type *mechanism)
{
  bridge_waker *waker = bridge__allocate_zero(sizeof *waker);
  if (waker == NULL) {
    return NULL;
  }
  bridge__object_init(waker, &type);
  waker->type = mechanism;
  atomic_init(&waker->state, 0);
  atomic_init(&waker->ended, false);
  atomic_init(&waker->serving, false);
  return waker;
}

bridge_status bridge_waker_create(bridge_waker **out, bridge_waker_kind kind)
{
  if (out == NULL || (int)kind < BRIDGE_WAKER_DEFAULT ||
      (int)kind >= BRIDGE_WAKER_CALLBACK) {
    return BRIDGE_EINVAL;
  }
  const bridge__waker_type *mechanism = find(kind);
  if (mechanism == NULL) {
    return BRIDGE_EUNSUPPORTED;
  }
  bridge_waker *waker = make(mechanism);
  if (waker == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = mechanism->open(waker);
  if (status != BRIDGE_OK) {
    bridge__free(waker);
    return status;
  }
  *out = waker;
  return BRIDGE_OK;
}

bridge_status bridge_waker_create_callback(bridge_waker **out,
                                           bridge_waker_callback *callback,
                                           void *user,
                                           bridge_waker_callback *release)
{
  if (out == NULL || callback == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_waker *waker = make(&bridge__waker_callback);
  if (waker == NULL) {
    return BRIDGE_ENOMEM;
  }
  waker->as.call.callback = callback;
  waker->as.call.release = release;
  waker->as.call.user = user;
  *out = waker;
  return BRIDGE_OK;
}

bridge_waker *bridge_waker_retain(bridge_waker *waker)
{
  return bridge__retain(waker);
}

void bridge_waker_release(bridge_waker *waker)
{
  bridge__release(waker);
}

bridge_waker_kind bridge_waker_kind_of(const bridge_waker *waker)
{
  return waker == NULL ? BRIDGE_WAKER_DEFAULT : waker->type->kind;
}

bridge_status bridge__waker_claim(bridge_waker *waker)
{
  /* Takes what the queue before did. */
  if (atomic_exchange_explicit(&waker->serving, true, memory_order_acquire)) {
    return BRIDGE_EBUSY;
  }
  return BRIDGE_OK;
}

void bridge__waker_unclaim(bridge_waker *waker)
{
  /* Publishes what the queue did. */
  atomic_store_explicit(&waker->serving, false, memory_order_release);
}

/* ---- Raising and clearing ---- */

/* The mark goes, and says whether the waker was closed meanwhile. */
static bool unmark(bridge_waker *waker)
{
  /* Takes what was pushed before any raise that ends here. */
  unsigned before = atomic_fetch_and_explicit(
      &waker->state, ~(unsigned)BRIDGE__PENDING, memory_order_acq_rel);
  return (before & BRIDGE__CLOSED) != 0;
}

bridge_status bridge_waker_raise(bridge_waker *waker)
{
  if (waker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(waker)) {
    return BRIDGE_EFORKED;
  }
  /* Takes nothing; the exchange below does. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_relaxed);
  unsigned next = 0;
  do {
    if ((state & BRIDGE__CLOSED) != 0) {
      return BRIDGE_ECLOSED;
    }
    bool raised = (state & BRIDGE__PENDING) != 0;
    next = raised ? state : state + BRIDGE__USER + BRIDGE__PENDING;
    /* Publishes what there is to do to who clears, also if it was raised
       before: therefore a write even when nothing changes. */
  } while (!atomic_compare_exchange_weak_explicit(
      &waker->state, &state, next, memory_order_acq_rel, memory_order_relaxed));
  if (next == state) {
    return BRIDGE_OK;
  }
  bool sent = waker->type->signal(waker);
  if (!sent) {
    unmark(waker); /* so that the next raise tries again */
  }
  leave(waker);
  return sent ? BRIDGE_OK : BRIDGE_ESYSTEM;
}

/* The mark stays until the signal was taken away, so that nobody sends a second
   one in between.  Without a signal the raise comes after this clear. */
static void unraise(bridge_waker *waker)
{
  const bridge__waker_type *mechanism = waker->type;
  if (mechanism->drain == NULL) {
    unmark(waker);
    return;
  }
  if (mechanism->drain(waker) && unmark(waker)) {
    mechanism->signal(waker); /* it may have been that of the close */
  }
}

bridge_status bridge_waker_clear(bridge_waker *waker)
{
  if (waker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(waker)) {
    return BRIDGE_EFORKED;
  }
  if (!enter(waker)) {
    return BRIDGE_ECLOSED;
  }
  if (bridge__waker_pending(waker)) {
    unraise(waker);
  }
  leave(waker);
  return BRIDGE_OK;
}

/* ---- Waiting ---- */

static bool closed(const bridge_waker *waker)
{
  /* Takes what was pushed before the raise that ended a wait. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_acquire);
  return (state & BRIDGE__CLOSED) != 0;
}

/* Ends a wait that was cancelled.  A descriptor that is waited for can only be
   made readable, so the waker is raised: a raise too many does no harm. */
static void interrupt(void *object)
{
  bridge_waker *waker = object;
  if (waker->type->drain != NULL) {
    bridge_waker_raise(waker);
  } else {
    waker->type->signal(waker);
  }
}

static bridge_status ask(bridge_waker *waker)
{
  bridge_status status = waker->type->wait(waker, 0);
  if (closed(waker)) {
    return BRIDGE_ECLOSED;
  }
  return status == BRIDGE_OK ? BRIDGE_OK : BRIDGE_ETIMEDOUT;
}

static bridge_status wait_breakable(bridge_waker *waker, int timeout_ms)
{
  const int64_t deadline = bridge__wait_deadline(timeout_ms);
  if (!bridge__wait_begin(interrupt, waker)) {
    return BRIDGE_ECANCELLED;
  }
  bridge_status status = BRIDGE_EEMPTY;
  while (status == BRIDGE_EEMPTY) {
    status = waker->type->wait(waker, deadline);
    if (bridge__interrupted()) {
      status = BRIDGE_ECANCELLED;
    } else if (closed(waker)) {
      status = BRIDGE_ECLOSED;
    }
  }
  bridge__wait_end();
  return status;
}

bridge_status bridge_waker_wait(bridge_waker *waker, int timeout_ms)
{
  if (waker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(waker)) {
    return BRIDGE_EFORKED;
  }
  if (!bridge__waker_waits(waker)) {
    return BRIDGE_EUNSUPPORTED;
  }
  if (!enter(waker)) {
    return BRIDGE_ECLOSED;
  }
  bridge_status status =
      timeout_ms == 0 ? ask(waker) : wait_breakable(waker, timeout_ms);
  leave(waker);
  return status;
}

bridge_status bridge_waker_fileno(bridge_waker *waker, int *out)
{
  if (waker == NULL || out == NULL) {
    return BRIDGE_EINVAL;
  }
  if (!waker->type->descriptor) {
    return BRIDGE_EUNSUPPORTED;
  }
  if (bridge__forked(waker)) {
    return BRIDGE_EFORKED;
  }
  if (closed(waker)) {
    return BRIDGE_ECLOSED;
  }
  *out = waker->as.file.reading;
  return BRIDGE_OK;
}

bridge_status bridge_waker_close(bridge_waker *waker)
{
  if (waker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(waker)) {
    /* Those who are inside are in the parent: only our copies are closed. */
    end(waker);
    return BRIDGE_OK;
  }
  if (!enter(waker)) {
    return BRIDGE_OK;
  }
  /* Nobody enters from here on.  Publishes and takes what the users do. */
  unsigned before = atomic_fetch_or_explicit(&waker->state, BRIDGE__CLOSED,
                                             memory_order_acq_rel);
  if ((before & BRIDGE__CLOSED) == 0 && bridge__waker_waits(waker)) {
    waker->type->signal(waker); /* who waits looks again, and leaves */
  }
  leave(waker);
  return BRIDGE_OK;
}
