/* Waker: decides who signals, who drains and who closes; the mechanism itself is
   a table.

   One word says everything: whether the waker is raised, whether somebody is
   about to signal, whether it is closed, and how many are inside a call. */
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

/* `marks` go away together with the user. */
static void leave(bridge_waker *waker, unsigned marks)
{
  /* Publishes what was done inside, and takes it if this is the last one. */
  unsigned before = atomic_fetch_sub_explicit(
      &waker->state, BRIDGE__USER + marks, memory_order_acq_rel);
  unsigned after = before - BRIDGE__USER - marks;
  if ((after & BRIDGE__CLOSED) != 0 && after < BRIDGE__USER) {
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

static const bridge__type type = {BRIDGE_HANDLE_WAKER, "waker", destroy};

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

/* What only who made the waker raised does.  The mark keeps bridge_waker_clear
   from calling the waker clear while the signal is still on its way, which would
   leave a readable descriptor behind that nobody clears any more.  Where a
   signal leaves nothing behind there is no such mark. */
static bridge_status signal_once(bridge_waker *waker, unsigned mark)
{
  if (waker->type->signal(waker)) {
    leave(waker, mark);
    return BRIDGE_OK;
  }
  /* Nobody else cleared it, as the mark was set: so the next raise tries. */
  leave(waker, mark + BRIDGE__PENDING);
  return BRIDGE_ESYSTEM;
}

bridge_status bridge_waker_raise(bridge_waker *waker)
{
  if (waker == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(waker)) {
    return BRIDGE_EFORKED;
  }
  const unsigned mark = waker->type->drain == NULL ? 0u : BRIDGE__SIGNALLING;
  /* Takes nothing; the exchange below does. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_relaxed);
  unsigned next = 0;
  do {
    if ((state & BRIDGE__CLOSED) != 0) {
      return BRIDGE_ECLOSED;
    }
    bool raised = (state & BRIDGE__PENDING) != 0;
    next = raised ? state : state + BRIDGE__USER + BRIDGE__PENDING + mark;
    /* Publishes what there is to do to who clears, also if it was raised
       before: therefore a write even when nothing changes. */
  } while (!atomic_compare_exchange_weak_explicit(
      &waker->state, &state, next, memory_order_acq_rel, memory_order_relaxed));
  return next == state ? BRIDGE_OK : signal_once(waker, mark);
}

/* Nobody raises while this runs: the waker is raised, no signal is on its way,
   and only who makes it raised sends one.  Except for a close, which then finds
   its signal taken away. */
static void unraise(bridge_waker *waker)
{
  if (waker->type->drain != NULL) {
    waker->type->drain(waker);
  }
  /* Takes what was pushed before any raise that is cleared here. */
  unsigned before = atomic_fetch_and_explicit(
      &waker->state, ~(unsigned)BRIDGE__PENDING, memory_order_acq_rel);
  if ((before & BRIDGE__CLOSED) != 0 && waker->type->drain != NULL) {
    waker->type->signal(waker);
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
  /* Takes what was pushed before the raise that is seen. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_acquire);
  /* A raise whose signal is on its way comes after this clear. */
  if ((state & (BRIDGE__PENDING | BRIDGE__SIGNALLING)) == BRIDGE__PENDING) {
    unraise(waker);
  }
  leave(waker, 0);
  return BRIDGE_OK;
}

/* ---- Waiting ---- */

static bridge_status look(bridge_waker *waker)
{
  /* Takes what was pushed before the raise. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_acquire);
  if ((state & BRIDGE__CLOSED) != 0) {
    return BRIDGE_ECLOSED;
  }
  return (state & BRIDGE__PENDING) != 0 ? BRIDGE_OK : BRIDGE_ETIMEDOUT;
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

static bridge_status wait_inside(bridge_waker *waker, int64_t deadline)
{
  bool in_time = true;
  for (;;) {
    if (bridge__interrupted()) {
      return BRIDGE_ECANCELLED;
    }
    bridge_status status = look(waker);
    if (status != BRIDGE_ETIMEDOUT || !in_time) {
      return status;
    }
    in_time = waker->type->wait(waker, deadline);
  }
}

static bridge_status wait_breakable(bridge_waker *waker, int timeout_ms)
{
  const int64_t deadline = bridge__deadline(timeout_ms);
  if (!bridge__wait_begin(interrupt, waker)) {
    return BRIDGE_ECANCELLED;
  }
  bridge_status status = wait_inside(waker, deadline);
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
      timeout_ms == 0 ? look(waker) : wait_breakable(waker, timeout_ms);
  leave(waker, 0);
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
  /* Takes nothing: the number never changes. */
  unsigned state = atomic_load_explicit(&waker->state, memory_order_relaxed);
  if ((state & BRIDGE__CLOSED) != 0) {
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
  leave(waker, 0);
  return BRIDGE_OK;
}
