/* Timer: what is made, what it posts, and when the next time is.  thread.c waits
   for that. */
#include "timer/timer.h"

#include "base/memory.h"
#include "message/message.h"

/* How long a timer that found no room waits until it tries again; twice as long
   each time. */
#define PATIENCE_SHORTEST INT64_C(1000000)
#define PATIENCE_LONGEST  INT64_C(64000000)

void bridge_timer_options_init(bridge_timer_options *options)
{
  if (options != NULL) {
    *options = (bridge_timer_options){.version = BRIDGE_TIMER_OPTIONS_VERSION};
  }
}

static void destroy(void *object)
{
  bridge_timer *timer = object;
  bridge_message_release(timer->message);
  bridge_queue_release(timer->queue);
  bridge_channel_release(timer->channel);
  bridge__free(timer);
}

static const void *target_of(const bridge_timer *timer)
{
  return timer->queue != NULL ? (const void *)timer->queue
                              : (const void *)timer->channel;
}

static void look_at(void *object, bridge_object_info *info)
{
  info->closed = !bridge_timer_active(object);
  info->value = (int64_t)bridge_timer_posted(object);
  info->target = bridge__listed_id(target_of(object));
}

static bridge_status close_it(void *object)
{
  bridge_status status = bridge_timer_cancel(object);
  return status == BRIDGE_EALREADY ? BRIDGE_OK : status;
}

static const struct bridge__listing listing = {look_at, close_it};
static const bridge__type type = {BRIDGE_HANDLE_TIMER, "timer", destroy,
                                  &listing};

int64_t bridge_timer_now(bridge_timer_clock clock)
{
  switch ((int)clock) {
  case BRIDGE_TIMER_STEADY:
    return bridge__now();
  case BRIDGE_TIMER_WALL:
    return bridge__wall_now();
  default:
    return 0;
  }
}

/* ---- Moments ---- */

static int64_t sum_of(int64_t a, int64_t b)
{
  return a > INT64_MAX - b ? INT64_MAX : a + b;
}

/* The first moment in step that is not before `now`. */
static int64_t catch_up(int64_t due, int64_t period, int64_t now)
{
  if (due >= now) {
    return due;
  }
  const int64_t late = now - due;
  return sum_of(due, (late / period + (late % period != 0)) * period);
}

static int64_t now_of(const bridge_timer *timer)
{
  return timer->wall ? bridge__wall_now() : bridge__now();
}

static int64_t first_of(const bridge_timer_options *options)
{
  if (options->clock == BRIDGE_TIMER_AFTER) {
    return sum_of(bridge__now(), options->first_ns);
  }
  if (options->period_ns == 0) {
    return options->first_ns;
  }
  return catch_up(options->first_ns, options->period_ns,
                  bridge_timer_now(options->clock));
}

/* ---- Making ---- */

static bridge_status check(const bridge_timer_options *options,
                           bridge_message *const *message)
{
  if (options == NULL || message == NULL || *message == NULL ||
      !bridge__message_finished(*message)) {
    return BRIDGE_EINVAL;
  }
  if (options->version != BRIDGE_TIMER_OPTIONS_VERSION) {
    return BRIDGE_EVERSION;
  }
  const bool periodic = options->period_ns != 0;
  if ((options->queue == NULL) == (options->channel == NULL) ||
      (int)options->clock < BRIDGE_TIMER_AFTER ||
      (int)options->clock > BRIDGE_TIMER_WALL || options->first_ns < 0 ||
      (periodic && options->period_ns < BRIDGE_TIMER_PERIOD_MIN)) {
    return BRIDGE_EINVAL;
  }
  const void *target = options->queue != NULL ? (const void *)options->queue
                                              : (const void *)options->channel;
  if (bridge__forked(target)) {
    return BRIDGE_EFORKED;
  }
  return bridge__message_holds(*message, target) ? BRIDGE_ECYCLE : BRIDGE_OK;
}

bridge_status bridge_timer_create(bridge_timer **out,
                                  const bridge_timer_options *options,
                                  bridge_message **message)
{
  if (out == NULL) {
    return BRIDGE_EINVAL;
  }
  bridge_status status = check(options, message);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge_timer *timer = bridge__allocate_zero(sizeof *timer);
  if (timer == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge__object_init(timer, &type);
  timer->queue = bridge_queue_retain(options->queue);
  timer->channel = bridge_channel_retain(options->channel);
  timer->wall = options->clock == BRIDGE_TIMER_WALL;
  timer->period = options->period_ns;
  timer->due = first_of(options);
  timer->message = *message;
  atomic_init(&timer->active, true);
  atomic_init(&timer->posted, 0);
  atomic_init(&timer->missed, 0);
  status = bridge__timer_schedule(timer);
  if (status != BRIDGE_OK) {
    timer->message = NULL; /* still the caller's */
    bridge__release(timer);
    return status;
  }
  bridge__enlist(timer);
  *message = NULL;
  *out = timer;
  return BRIDGE_OK;
}

bridge_timer *bridge_timer_retain(bridge_timer *timer)
{
  return bridge__retain(timer);
}

void bridge_timer_release(bridge_timer *timer)
{
  bridge__release(timer);
}

/* ---- Going off ---- */

/* Whether anybody but timers could receive what is posted.  Takes nothing: if one
   other timer has it, too, that one goes first. */
static bool is_heard(const bridge_timer *timer)
{
  const bridge__object *target = target_of(timer);
  return atomic_load_explicit(&target->references, memory_order_relaxed) > 1;
}

static bridge_status post(bridge_timer *timer, bridge_message **message)
{
  bridge_status status =
      timer->queue != NULL
          ? bridge_queue_push_timeout(timer->queue, message, 0)
          : bridge_channel_send_timeout(timer->channel, message, 0);
  if (status == BRIDGE_OK) {
    /* Publishes nothing: a number for people, as is the next one. */
    atomic_fetch_add_explicit(&timer->posted, 1, memory_order_relaxed);
  }
  return status;
}

static void miss(bridge_timer *timer, uint64_t times)
{
  atomic_fetch_add_explicit(&timer->missed, times, memory_order_relaxed);
}

static bool go_off_once(bridge_timer *timer)
{
  bridge_status status = post(timer, &timer->message);
  if (status != BRIDGE_EFULL) {
    if (status != BRIDGE_OK) {
      miss(timer, 1);
    }
    return false;
  }
  timer->patience = timer->patience == 0                 ? PATIENCE_SHORTEST
                    : timer->patience < PATIENCE_LONGEST ? timer->patience * 2
                                                         : timer->patience;
  timer->due = now_of(timer) + timer->patience;
  return true;
}

static bool go_off_again(bridge_timer *timer)
{
  bridge_message *copy = NULL;
  bridge_status status = bridge_message_clone(&copy, timer->message);
  if (status == BRIDGE_OK) {
    status = post(timer, &copy);
    bridge_message_release(copy);
  }
  if (status != BRIDGE_OK) {
    miss(timer, 1);
  }
  const int64_t due = sum_of(timer->due, timer->period);
  timer->due = catch_up(due, timer->period, now_of(timer));
  miss(timer, (uint64_t)((timer->due - due) / timer->period));
  return status == BRIDGE_OK || status == BRIDGE_EFULL ||
         status == BRIDGE_ENOMEM;
}

bool bridge__timer_go_off(bridge_timer *timer)
{
  if (!is_heard(timer)) {
    return false;
  }
  return timer->period == 0 ? go_off_once(timer) : go_off_again(timer);
}

void bridge__timer_end(bridge_timer *timer)
{
  /* Publishes the numbers, to who finds that it ended. */
  atomic_store_explicit(&timer->active, false, memory_order_release);
}

/* ---- Asking ---- */

bridge_status bridge_timer_cancel(bridge_timer *timer)
{
  if (timer == NULL) {
    return BRIDGE_EINVAL;
  }
  return bridge__forked(timer) ? BRIDGE_EFORKED
                               : bridge__timer_unschedule(timer);
}

bool bridge_timer_active(const bridge_timer *timer)
{
  /* Takes the numbers. */
  return timer != NULL && !bridge__forked(timer) &&
         atomic_load_explicit(&timer->active, memory_order_acquire);
}

uint64_t bridge_timer_posted(const bridge_timer *timer)
{
  if (timer == NULL) {
    return 0;
  }
  /* Takes nothing: a number for people. */
  return atomic_load_explicit(&timer->posted, memory_order_relaxed);
}

uint64_t bridge_timer_missed(const bridge_timer *timer)
{
  if (timer == NULL) {
    return 0;
  }
  /* Takes nothing: a number for people. */
  return atomic_load_explicit(&timer->missed, memory_order_relaxed);
}
