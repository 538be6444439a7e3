/* Withdraw: an asker who has given up says so, and what he asked is stopped.

   A request is in the inbox, or early, or has a task.  So a withdrawal is three things:
   an entry in a list, which each task that has somebody to answer is compared with when
   it goes on; a stop of the turn of the driver, if it is that of this task; and a message
   that goes the way of the request behind it: once that has come the task is there if
   it will ever be, and the entry goes. */
#include "worker/worker.h"

#include "base/memory.h"
#include "queue/queue.h"

struct bridge__withdrawal {
  bridge__object object;
  struct bridge__withdrawal *next; /* guarded by the worker's mutex */
  bridge_queue *answers;           /* retained */
  uint64_t session;
};

static void withdrawal_destroy(void *object)
{
  bridge__withdrawal *entry = object;
  bridge_queue_release(entry->answers);
  bridge__free(entry);
}

static const bridge__type withdrawal_type = {BRIDGE_HANDLE_NONE, "withdrawal",
                                             withdrawal_destroy, NULL};

static bridge_status create(bridge_queue *answers,
                            uint64_t session,
                            bridge__withdrawal **out,
                            bridge_message **message)
{
  bridge_status status = bridge_message_create(message, 0);
  bridge__withdrawal *entry =
      status == BRIDGE_OK ? bridge__allocate(sizeof *entry) : NULL;
  if (entry == NULL) {
    bridge_message_release(*message);
    *message = NULL;
    return BRIDGE_ENOMEM;
  }
  bridge__object_init(entry, &withdrawal_type);
  entry->next = NULL;
  entry->answers = bridge_queue_retain(answers);
  entry->session = session;
  (*message)->envelope = (bridge__envelope){
      .kind = BRIDGE__WITHDRAW,
      .attachment = bridge__retain(entry),
  };
  *out = entry;
  return BRIDGE_OK;
}

/* ---- The list ---- */

/* With the mutex.  Takes the entry. */
static void add(bridge_worker *worker, bridge__withdrawal *entry)
{
  entry->next = worker->withdrawn;
  worker->withdrawn = entry;
  /* seq_cst: who withdraws writes this, and then looks whose turn it is; the driver
     begins a turn, and then looks here. */
  atomic_fetch_add_explicit(&worker->withdrawals, 1, memory_order_seq_cst);
}

static void take_out(bridge_worker *worker, const bridge__withdrawal *entry)
{
  bridge__mutex_lock(&worker->mutex);
  bridge__withdrawal **link = &worker->withdrawn;
  while (*link != NULL && *link != entry) {
    link = &(*link)->next;
  }
  bridge__withdrawal *found = *link;
  if (found != NULL) {
    *link = found->next;
    /* Publishes nothing: the driver itself reads it. */
    atomic_fetch_sub_explicit(&worker->withdrawals, 1, memory_order_relaxed);
  }
  bridge__mutex_unlock(&worker->mutex);
  bridge__release(found);
}

static bool is_of(const bridge__withdrawal *entry, const bridge__reply *reply)
{
  return reply != NULL && reply->answers == entry->answers &&
         reply->session == entry->session;
}

static bool is_withdrawn(bridge_worker *worker, const bridge__reply *reply)
{
  bridge__mutex_lock(&worker->mutex);
  const bridge__withdrawal *entry = worker->withdrawn;
  while (entry != NULL && !is_of(entry, reply)) {
    entry = entry->next;
  }
  bridge__mutex_unlock(&worker->mutex);
  return entry != NULL;
}

void bridge__withdraw_free(bridge_worker *worker)
{
  while (worker->withdrawn != NULL) {
    bridge__withdrawal *entry = worker->withdrawn;
    worker->withdrawn = entry->next;
    bridge__release(entry);
  }
}

/* ---- Turns of the driver ---- */

bridge__leash *bridge__turn_begin(bridge_worker *worker, bridge__task *task)
{
  const bridge__reply *reply = task->reply;
  worker->turn.parent = &task->leash;
  /* Both release: who sees them sees that the turn before is over. */
  atomic_store_explicit(&worker->turn_answers,
                        reply == NULL ? NULL : reply->answers,
                        memory_order_release);
  atomic_store_explicit(&worker->turn_session,
                        reply == NULL ? 0 : reply->session,
                        memory_order_release);
  bridge__leash_begin(&worker->turn, NULL);
  /* seq_cst: see add(). */
  if (atomic_load_explicit(&worker->withdrawals, memory_order_seq_cst) > 0 &&
      is_withdrawn(worker, reply)) {
    bridge__leash_stop(&task->leash);
  }
  return &worker->turn;
}

void bridge__turn_end(bridge_worker *worker)
{
  bridge__leash_end(&worker->turn);
}

/* With the mutex, while the state is there. */
static bridge_status stop_turn(bridge_worker *worker,
                               const bridge__withdrawal *entry)
{
  unsigned use = bridge__guard_use(&worker->turn);
  /* Both acquire: of a later turn than `use` they say that it is over. */
  const bridge_queue *answers =
      atomic_load_explicit(&worker->turn_answers, memory_order_acquire);
  uint64_t session =
      atomic_load_explicit(&worker->turn_session, memory_order_acquire);
  if (use == 0 || answers != entry->answers || session != entry->session) {
    return BRIDGE_OK;
  }
  if (worker->state->guard.level == BRIDGE_STOP_COOPERATIVE) {
    bridge__leash_tell(&worker->turn, use);
    return BRIDGE_OK;
  }
  bridge_status status =
      bridge__guard_stop(&worker->state->guard, &worker->turn, use, 0);
  return status == BRIDGE_EEMPTY ? BRIDGE_OK : status;
}

/* ---- The message ---- */

void bridge__withdraw_receive(bridge_worker *worker, bridge_message *message)
{
  const bridge__withdrawal *entry = message->envelope.attachment;
  bridge__driver *driver = &worker->driver;
  for (size_t i = 0; i < driver->task_capacity; i++) {
    bridge__task *task = driver->tasks[i];
    if (task != NULL && is_of(entry, task->reply)) {
      bridge__leash_stop(&task->leash);
      if (task->wait != BRIDGE__WAIT_NOTHING) {
        bridge__task_wake(worker, task, BRIDGE_ECANCELLED);
      }
    }
  }
  take_out(worker, entry);
  bridge_message_release(message);
}

/* Takes the entry and, unless it fails, the message. */
static bridge_status begin(bridge_worker *worker,
                           bridge__withdrawal *entry,
                           bridge_message **message)
{
  bridge__mutex_lock(&worker->mutex);
  if (worker->closed) {
    bridge__mutex_unlock(&worker->mutex);
    bridge__release(entry);
    return BRIDGE_EDEAD;
  }
  add(worker, entry);
  bridge_status stopped = stop_turn(worker, entry);
  bridge__mutex_unlock(&worker->mutex);
  /* At the cooperative level its wait has to look: nobody kicks there. */
  bridge__interrupt_rouse(&worker->interrupt);
  bridge_status status = bridge__queue_push_forced(worker->inbox, message);
  if (status != BRIDGE_OK) {
    take_out(worker, entry); /* it is ending: all are answered */
    return BRIDGE_EDEAD;
  }
  return stopped;
}

bridge_status bridge_worker_withdraw(bridge_worker *worker,
                                     bridge_queue *answers,
                                     uint64_t session)
{
  if (worker == NULL || answers == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(worker)) {
    return BRIDGE_EFORKED;
  }
  if (bridge__notify_withdraw(worker, answers, session)) {
    return BRIDGE_OK;
  }
  bridge__withdrawal *entry = NULL;
  bridge_message *message = NULL;
  bridge_status status = create(answers, session, &entry, &message);
  if (status == BRIDGE_OK) {
    status = begin(worker, entry, &message);
    bridge_message_release(message);
  }
  return status;
}
