/* A worker's coroutines: which are ready, and what the others wait for. */
#include "worker/worker.h"

#include "base/memory.h"
#include "lua/cause.h"

#include <lauxlib.h>

#include <assert.h>

/* ---- Timers: a binary heap of tasks, the earliest deadline at place 1 ---- */

static void timer_put(bridge__driver *driver, size_t place, bridge__task *task)
{
  driver->timers[place - 1] = task;
  task->timer = place;
}

static void timer_up(bridge__driver *driver, size_t place, bridge__task *task)
{
  while (place > 1 &&
         driver->timers[place / 2 - 1]->deadline > task->deadline) {
    timer_put(driver, place, driver->timers[place / 2 - 1]);
    place /= 2;
  }
  timer_put(driver, place, task);
}

static void timer_down(bridge__driver *driver, size_t place, bridge__task *task)
{
  size_t count = driver->timer_count;
  while (place * 2 <= count) {
    size_t child = place * 2;
    if (child < count &&
        driver->timers[child]->deadline < driver->timers[child - 1]->deadline) {
      child++;
    }
    if (driver->timers[child - 1]->deadline >= task->deadline) {
      break;
    }
    timer_put(driver, place, driver->timers[child - 1]);
    place = child;
  }
  timer_put(driver, place, task);
}

static void timer_add(bridge__driver *driver, bridge__task *task)
{
  /* There is room: the heap grows with the table of tasks. */
  timer_up(driver, ++driver->timer_count, task);
}

static void timer_remove(bridge__driver *driver, bridge__task *task)
{
  size_t place = task->timer;
  if (place == 0) {
    return;
  }
  task->timer = 0;
  bridge__task *last = driver->timers[--driver->timer_count];
  if (last == task) {
    return;
  }
  if (place > 1 && driver->timers[place / 2 - 1]->deadline > last->deadline) {
    timer_up(driver, place, last);
  } else {
    timer_down(driver, place, last);
  }
}

int64_t bridge__task_expire(bridge_worker *worker, int64_t now)
{
  bridge__driver *driver = &worker->driver;
  while (driver->timer_count > 0 && driver->timers[0]->deadline <= now) {
    bridge__task *task = driver->timers[0];
    /* To sleep until then was the purpose; to wait for an answer was not. */
    bridge__task_wake(worker, task,
                      task->wait == BRIDGE__WAIT_TIME ? BRIDGE_OK
                                                      : BRIDGE_ETIMEDOUT);
  }
  return driver->timer_count > 0 ? driver->timers[0]->deadline : INT64_MAX;
}

/* ---- The table of tasks ---- */

/* Arrays that have one entry for each place grow together; one that has grown
   while another could not is harmless. */
static bool grow_array(void *array_pointer, size_t capacity, size_t size)
{
  void **array = array_pointer;
  void *grown = bridge__resize(*array, capacity * size);
  if (grown != NULL) {
    *array = grown;
  }
  return grown != NULL;
}

static bool grow(bridge__driver *driver)
{
  size_t before = driver->task_capacity;
  size_t capacity = before == 0 ? 2 : before * 2;
  if (capacity > UINT32_MAX / 2 ||
      !grow_array(&driver->tasks, capacity, sizeof(*driver->tasks)) ||
      !grow_array(&driver->timers, capacity, sizeof(*driver->timers)) ||
      !grow_array(&driver->vacant, capacity, sizeof(*driver->vacant)) ||
      !grow_array(&driver->generations, capacity,
                  sizeof(*driver->generations))) {
    return false;
  }
  for (size_t i = capacity; i > before; i--) {
    driver->tasks[i - 1] = NULL;
    driver->generations[i - 1] = 0;
    driver->vacant[driver->vacant_count++] = (uint32_t)(i - 1);
  }
  driver->task_capacity = capacity;
  return true;
}

/* One is kept for the next request. */
static void put_task(bridge__driver *driver, bridge__task *task)
{
  if (driver->spare == NULL) {
    driver->spare = task;
  } else {
    bridge__block_put(task);
  }
}

bridge_status bridge__task_provide(bridge_worker *worker)
{
  worker->driver.spare = bridge__block_get();
  return worker->driver.spare == NULL ? BRIDGE_ENOMEM : BRIDGE_OK;
}

/* The coroutine is new: scripts may have kept a finished one, as a key, or with a
   hook in it. */
bridge_status bridge__task_create(bridge_worker *worker, bridge__task **out)
{
  _Static_assert(sizeof(bridge__task) <= BRIDGE__BLOCK_SIZE, "one block");
  bridge__driver *driver = &worker->driver;
  if (driver->vacant_count == 0 && !grow(driver)) {
    return BRIDGE_ENOMEM;
  }
  bridge__task *task = driver->spare;
  driver->spare = NULL;
  if (task == NULL) {
    task = bridge__block_get();
  }
  if (task == NULL) {
    return BRIDGE_ENOMEM;
  }
  uint32_t index = driver->vacant[driver->vacant_count - 1];
  *task = (bridge__task){.index = index, .deadline = INT64_MAX};
  bridge__leash_init(&task->leash, &worker->life, NULL);
  bridge_status status =
      bridge__state_thread(worker->state, &task->L, &task->anchor);
  if (status != BRIDGE_OK) {
    put_task(driver, task);
    return status;
  }
  driver->vacant_count--;
  driver->tasks[index] = task;
  *out = task;
  return BRIDGE_OK;
}

static void unlink_ready(bridge__driver *driver, bridge__task *task)
{
  bridge__task **link = &driver->ready_first;
  bridge__task *previous = NULL;
  while (*link != task) {
    previous = *link;
    link = &previous->next;
  }
  *link = task->next;
  if (driver->ready_last == task) {
    driver->ready_last = previous;
  }
  task->ready = false;
}

void bridge__task_drop(bridge_worker *worker, bridge__task *task)
{
  bridge__driver *driver = &worker->driver;
  timer_remove(driver, task);
  if (task->ready) {
    unlink_ready(driver, task);
  }
  driver->tasks[task->index] = NULL;
  driver->vacant[driver->vacant_count++] = task->index;
  /* What a stop has hit closes nothing any more. */
  bool last = worker->driver.ending && !task->stopped;
  bridge__worker_enter_lua(worker);
  bridge__state_drop_thread(worker->state, last ? &worker->last : &task->leash,
                            task->L, task->anchor);
  bridge__worker_leave_lua(worker);
  bridge__cause_forget(worker->state->main, task);
  bridge_message_release(task->answer);
  bridge_message_release(task->request);
  bridge__release(task->reply);
  put_task(driver, task);
}

/* ---- Waiting ---- */

void bridge__task_wait(bridge_worker *worker,
                       bridge__task *task,
                       bridge__wait wait,
                       int64_t deadline)
{
  bridge__driver *driver = &worker->driver;
  assert(task->wait == BRIDGE__WAIT_NOTHING);
  /* Who is stopped in his sleep does not sleep on; nor who is only asked to end. */
  int64_t due = bridge__leash_deadline(&task->leash);
  deadline = due < deadline ? due : deadline;
  bridge_message_release(task->answer);
  task->answer = NULL;
  task->outcome = BRIDGE_OK;
  task->wait = wait;
  task->deadline = deadline;
  task->generation = ++driver->generations[task->index];
  if (deadline != INT64_MAX) {
    timer_add(driver, task);
  }
}

void bridge__task_give_up(bridge_worker *worker, bridge__task *task)
{
  timer_remove(&worker->driver, task);
  task->wait = BRIDGE__WAIT_NOTHING;
}

uint64_t bridge__task_session(const bridge__task *task)
{
  return (uint64_t)task->generation << 32 | task->index;
}

bridge__task *bridge__task_find(bridge_worker *worker, uint64_t session)
{
  bridge__driver *driver = &worker->driver;
  size_t index = (size_t)(session & UINT32_MAX);
  if (index >= driver->task_capacity || driver->tasks[index] == NULL) {
    return NULL;
  }
  bridge__task *task = driver->tasks[index];
  bool waits = task->wait == BRIDGE__WAIT_ANSWER &&
               bridge__task_session(task) == session;
  return waits ? task : NULL;
}

void bridge__task_ready(bridge_worker *worker, bridge__task *task)
{
  bridge__driver *driver = &worker->driver;
  task->next = NULL;
  task->ready = true;
  if (driver->ready_last != NULL) {
    driver->ready_last->next = task;
  } else {
    driver->ready_first = task;
  }
  driver->ready_last = task;
}

bridge__task *bridge__task_next(bridge_worker *worker)
{
  bridge__task *task = worker->driver.ready_first;
  if (task != NULL) {
    unlink_ready(&worker->driver, task);
  }
  return task;
}

void bridge__task_wake(bridge_worker *worker,
                       bridge__task *task,
                       bridge_status outcome)
{
  timer_remove(&worker->driver, task);
  task->wait = BRIDGE__WAIT_NOTHING;
  task->outcome = outcome;
  bridge__task_ready(worker, task);
}

void bridge__task_wake_all(bridge_worker *worker, bridge_status outcome)
{
  bridge__driver *driver = &worker->driver;
  for (size_t i = 0; i < driver->task_capacity; i++) {
    bridge__task *task = driver->tasks[i];
    if (task != NULL && task->wait != BRIDGE__WAIT_NOTHING) {
      bridge__task_wake(worker, task, outcome);
    }
  }
}

void bridge__task_free_all(bridge_worker *worker)
{
  bridge__driver *driver = &worker->driver;
  for (size_t i = 0; i < driver->task_capacity; i++) {
    if (driver->tasks[i] != NULL) {
      bridge__task_drop(worker, driver->tasks[i]);
    }
  }
  bridge__block_put(driver->spare);
  driver->spare = NULL;
  bridge__free(driver->tasks);
  bridge__free(driver->timers);
  bridge__free(driver->vacant);
  bridge__free(driver->generations);
  driver->tasks = NULL;
  driver->timers = NULL;
  driver->vacant = NULL;
  driver->generations = NULL;
  driver->vacant_count = 0;
  driver->task_capacity = 0;
}
