/* Queue: its life, its seat, and what may be asked of it.  push.c and pop.c do
   the work. */
#include "queue/body.h"

#include "base/memory.h"

#define ITEMS_DEFAULT ((size_t)65536)
#define BYTES_DEFAULT ((size_t)64 * 1024 * 1024)

/* ---- The seat ---- */

/* Whoever is in the seat may have lost the processor. */
static void pause_for(unsigned *times)
{
  if (++*times % 64 == 0) {
    bridge__yield();
  } else {
    bridge__relax();
  }
}

bridge_status bridge__queue_enter_late(bridge_queue *queue)
{
  unsigned times = 0;
  while (!bridge__queue_try_seat(queue, 0, BRIDGE__INSIDE | BRIDGE__CONSUMER)) {
    /* Takes nothing: decides only whether to try again. */
    unsigned seat = atomic_load_explicit(&queue->seat, memory_order_relaxed);
    if ((seat & BRIDGE__INSIDE) != 0) {
      return BRIDGE_EBUSY;
    }
    pause_for(&times);
  }
  return BRIDGE_OK;
}

void bridge__queue_stand(bridge_queue *queue)
{
  /* Publishes the list to a producer. */
  atomic_store_explicit(&queue->seat, BRIDGE__INSIDE, memory_order_release);
}

void bridge__queue_sit(bridge_queue *queue)
{
  unsigned times = 0;
  while (!bridge__queue_try_seat(queue, BRIDGE__INSIDE,
                                 BRIDGE__INSIDE | BRIDGE__CONSUMER)) {
    pause_for(&times);
  }
}

void bridge__queue_borrow(bridge_queue *queue)
{
  unsigned times = 0;
  while (!bridge__queue_try_seat(queue, 0, BRIDGE__PRODUCER) &&
         !bridge__queue_try_seat(queue, BRIDGE__INSIDE,
                                 BRIDGE__INSIDE | BRIDGE__PRODUCER)) {
    pause_for(&times);
  }
}

void bridge__queue_give_back(bridge_queue *queue)
{
  /* Publishes the list, leaving a consumer who waits inside. */
  atomic_fetch_and_explicit(&queue->seat, ~(unsigned)BRIDGE__PRODUCER,
                            memory_order_release);
}

/* ---- In the seat ---- */

/* The list links each message to the one before it, so it is turned round, and
   the next message is known only when this one has come over from the core that
   wrote it.  Therefore hints: as it is pushed, a message gets the address of the
   one that its thread pushed AHEAD messages before; as it is turned round, that
   of the one that will be popped AHEAD messages later. */
static bridge_node *turn_round(bridge_node *newest)
{
  uintptr_t turned[BRIDGE__AHEAD];
  unsigned place = 0;
  for (unsigned i = 0; i < BRIDGE__AHEAD; i++) {
    turned[i] = (uintptr_t)newest; /* behind it there is nothing to fetch */
  }
  bridge_node *oldest = NULL;
  while (newest != NULL) {
    bridge_message *message = (bridge_message *)newest; /* its first member */
    bridge__prefetch(message->hint);
    message->hint = turned[place];
    turned[place] = (uintptr_t)message;
    place = (place + 1) % BRIDGE__AHEAD;
    newest = message->node.next;
    message->node.next = oldest;
    oldest = &message->node;
  }
  return oldest;
}

bool bridge__queue_fetch(bridge_queue *queue)
{
  bridge_node *newest = bridge__mpsc_detach(&queue->list);
  if (newest == NULL) {
    return false;
  }
  if (newest->next == NULL) {
    ((bridge_message *)newest)->hint = (uintptr_t)newest;
    queue->oldest = newest;
  } else {
    queue->oldest = turn_round(newest);
  }
  return true;
}

void bridge__queue_put_front(bridge_queue *queue, bridge_message *message)
{
  message->node.next = queue->oldest;
  queue->oldest = &message->node;
}

/* ---- Life ---- */

void bridge_queue_options_init(bridge_queue_options *options)
{
  if (options == NULL) {
    return;
  }
  *options = (bridge_queue_options){
      .version = BRIDGE_QUEUE_OPTIONS_VERSION,
      .policy = BRIDGE_QUEUE_BLOCK,
      .timeout_ms = -1,
      .waker_kind = BRIDGE_WAKER_CONDITION,
  };
}

void bridge__queue_on_unheard(bridge_queue *queue,
                              bridge__queue_unheard *unheard)
{
  /* Publishes nothing: a function that does not change. */
  atomic_store_explicit(&queue->unheard, unheard, memory_order_relaxed);
}

void bridge__queue_discard(bridge_queue *queue, bridge_message *message)
{
  /* Takes nothing: see above. */
  bridge__queue_unheard *unheard =
      atomic_load_explicit(&queue->unheard, memory_order_relaxed);
  if (unheard != NULL) {
    unheard(message);
  } else {
    bridge_message_release(message);
  }
}

static void free_messages(bridge_queue *queue)
{
  bridge_message *message = bridge__queue_next(queue);
  while (message != NULL) {
    bridge__queue_discard(queue, message);
    message = bridge__queue_next(queue);
  }
}

static void destroy(void *object)
{
  bridge_queue *queue = object;
  /* In the child of a fork somebody may have been working on the list: then what
     is in it is lost, rather than freed twice. */
  if (atomic_load_explicit(&queue->seat, memory_order_relaxed) == 0) {
    free_messages(queue);
  }
  bridge__waker_unclaim(queue->waker);
  bridge_waker_release(queue->waker);
  /* There the system would wait for those who wait for room. */
  if (!bridge__forked(queue)) {
    bridge__condition_destroy(&queue->room);
    bridge__mutex_destroy(&queue->mutex);
  }
  bridge__free(queue);
}

static void look_at(void *object, bridge_object_info *info)
{
  info->closed = bridge_queue_closed(object);
  info->items = bridge_queue_count(object);
  info->bytes = bridge_queue_bytes(object);
}

static bridge_status close_it(void *object)
{
  return bridge_queue_close(object);
}

static const struct bridge__listing listing = {look_at, close_it};
static const bridge__type type = {BRIDGE_HANDLE_QUEUE, "queue", destroy,
                                  &listing};

static bridge_status choose(bridge_queue_options *chosen,
                            const bridge_queue_options *options)
{
  bridge_queue_options_init(chosen);
  if (options != NULL) {
    if (options->version != BRIDGE_QUEUE_OPTIONS_VERSION) {
      return BRIDGE_EVERSION;
    }
    *chosen = *options;
  }
  if (chosen->items == 0) {
    chosen->items = ITEMS_DEFAULT;
  }
  if (chosen->bytes == 0) {
    chosen->bytes = BYTES_DEFAULT;
  }
  const bool valid = chosen->items <= BRIDGE_QUEUE_ITEMS_MAX &&
                     chosen->bytes <= BRIDGE_QUEUE_BYTES_MAX &&
                     (int)chosen->policy >= BRIDGE_QUEUE_BLOCK &&
                     (int)chosen->policy <= BRIDGE_QUEUE_DROP_OLDEST;
  return valid ? BRIDGE_OK : BRIDGE_EINVAL;
}

/* The caller's waker with a reference of ours, or a new one. */
static bridge_status choose_waker(bridge_queue_options *chosen)
{
  if (chosen->waker == NULL) {
    bridge_status status =
        bridge_waker_create(&chosen->waker, chosen->waker_kind);
    return status == BRIDGE_OK ? bridge__waker_claim(chosen->waker) : status;
  }
  if (bridge__forked(chosen->waker)) {
    return BRIDGE_EFORKED;
  }
  bridge_status status = bridge__waker_claim(chosen->waker);
  if (status == BRIDGE_OK) {
    bridge_waker_retain(chosen->waker);
  }
  return status;
}

/* Asked for once: it only decides whether to look before going to sleep. */
static bool several_cores(void)
{
  static atomic_uint known;
  /* Takes nothing: the number stands for itself. */
  unsigned cores = atomic_load_explicit(&known, memory_order_relaxed);
  if (cores == 0) {
    cores = bridge__native_cores();
    /* Publishes nothing. */
    atomic_store_explicit(&known, cores, memory_order_relaxed);
  }
  return cores > 1;
}

static bridge_status init_waiting(bridge_queue *queue)
{
  bridge_status status = bridge__mutex_init(&queue->mutex);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = bridge__condition_init(&queue->room);
  if (status != BRIDGE_OK) {
    bridge__mutex_destroy(&queue->mutex);
  }
  return status;
}

/* An armed list and all counts 0. */
static bridge_status make(bridge_queue **out,
                          const bridge_queue_options *chosen)
{
  bridge_queue *queue = bridge__allocate_zero(sizeof *queue);
  if (queue == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = init_waiting(queue);
  if (status != BRIDGE_OK) {
    bridge__free(queue);
    return status;
  }
  bridge__object_init(queue, &type);
  queue->waker = chosen->waker;
  queue->items = chosen->items;
  queue->bytes = chosen->bytes;
  queue->policy = chosen->policy;
  queue->timeout_ms = chosen->timeout_ms;
  atomic_init(&queue->waiting, 0);
  atomic_init(&queue->may_block, false);
  atomic_init(&queue->dropped, 0);
  atomic_init(&queue->unheard, NULL);
  atomic_init(&queue->notices, 0);
  atomic_init(&queue->selecting, 0);
  atomic_init(&queue->pushed, 0);
  atomic_init(&queue->known, 0);
  atomic_init(&queue->seat, 0);
  atomic_init(&queue->popped, 0);
  bridge__mpsc_init(&queue->list, true);
  queue->spins = several_cores();
  queue->spin_pause = 1;
  *out = queue;
  return BRIDGE_OK;
}

bridge_status bridge__queue_make(bridge_queue **out,
                                 const bridge_queue_options *options)
{
  bridge_queue_options chosen;
  bridge_status status = choose(&chosen, options);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = choose_waker(&chosen);
  if (status != BRIDGE_OK) {
    return status;
  }
  status = make(out, &chosen);
  if (status != BRIDGE_OK) {
    bridge__waker_unclaim(chosen.waker);
    bridge_waker_release(chosen.waker);
  }
  return status;
}

bridge_status bridge_queue_create(bridge_queue **out,
                                  const bridge_queue_options *options)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = bridge__queue_make(out, options);
  if (status == BRIDGE_OK) {
    bridge__enlist(*out);
  }
  return status;
}

bridge_queue *bridge_queue_retain(bridge_queue *queue)
{
  return bridge__retain(queue);
}

void bridge__queue_sleep_first(bridge_queue *queue)
{
  enum {
    WAITS = 4 /* who is asked more often than that may be asked often */
  };
  queue->spin_rest = WAITS;
}

void bridge_queue_release(bridge_queue *queue)
{
  bridge__release(queue);
}

bridge_status bridge_queue_close(bridge_queue *queue)
{
  bridge_status status = bridge__queue_check(queue);
  if (status != BRIDGE_OK) {
    return status;
  }
  /* No push is let in from here on.  Publishes what the closer did to who finds
     the queue closed. */
  uint64_t before = atomic_fetch_or_explicit(
      &queue->pushed, BRIDGE__CREDIT_CLOSED, memory_order_acq_rel);
  if ((before & BRIDGE__CREDIT_CLOSED) == 0) {
    bridge__mutex_lock(&queue->mutex);
    bridge__condition_broadcast(&queue->room);
    bridge__mutex_unlock(&queue->mutex);
    bridge__queue_raise(queue);
  }
  return BRIDGE_OK;
}

/* ---- Asking ---- */

static uint64_t pushed(const bridge_queue *queue)
{
  /* Takes what a closer did. */
  return atomic_load_explicit(&queue->pushed, memory_order_acquire);
}

/* `popped` first: it never overtakes `pushed`. */
static uint64_t inside(const bridge_queue *queue)
{
  /* Takes that the messages were reserved before they were popped. */
  uint64_t popped = atomic_load_explicit(&queue->popped, memory_order_acquire);
  return bridge__credit_subtract(pushed(queue), popped);
}

bool bridge_queue_closed(const bridge_queue *queue)
{
  return queue == NULL || (pushed(queue) & BRIDGE__CREDIT_CLOSED) != 0;
}

size_t bridge_queue_count(const bridge_queue *queue)
{
  return queue == NULL ? 0 : (size_t)bridge__credit_items(inside(queue));
}

size_t bridge_queue_bytes(const bridge_queue *queue)
{
  return queue == NULL ? 0 : (size_t)bridge__credit_bytes(inside(queue));
}

uint64_t bridge_queue_dropped(const bridge_queue *queue)
{
  if (queue == NULL) {
    return 0;
  }
  /* Takes nothing: a number for people. */
  return atomic_load_explicit(&queue->dropped, memory_order_relaxed);
}

bridge_queue_policy bridge_queue_policy_of(const bridge_queue *queue,
                                           int *timeout_ms)
{
  if (timeout_ms != NULL) {
    *timeout_ms = queue == NULL ? 0 : queue->timeout_ms;
  }
  return queue == NULL ? BRIDGE_QUEUE_FAIL : queue->policy;
}

bridge_waker *bridge_queue_waker(const bridge_queue *queue)
{
  return queue == NULL ? NULL : queue->waker;
}
