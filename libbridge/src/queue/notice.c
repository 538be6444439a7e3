/* Notice: on its way from a list of watchers into the queue of who waits in an event
   loop. */
#include "queue/notice.h"

#include "base/memory.h"
#include "message/message.h"
#include "queue/body.h"

bridge_status bridge__notice_create(bridge__notice **out,
                                    bridge_queue *answers,
                                    uint64_t session)
{
  bridge__notice *notice = bridge__allocate_zero(sizeof *notice);
  if (notice == NULL) {
    return BRIDGE_ENOMEM;
  }
  bridge_status status = bridge_message_create(&notice->answer, 0);
  if (status != BRIDGE_OK) {
    bridge__free(notice);
    return status;
  }
  notice->answers = bridge_queue_retain(answers);
  /* Publishes nothing: the mutex of the list does. */
  atomic_fetch_add_explicit(&answers->notices, 1, memory_order_relaxed);
  notice->answer->envelope =
      (bridge__envelope){.kind = BRIDGE__ANSWER, .session = session};
  *out = notice;
  return BRIDGE_OK;
}

void bridge__notice_free(bridge__notice *notice)
{
  bridge_message_release(notice->answer);
  /* Publishes nothing: the release does. */
  atomic_fetch_sub_explicit(&notice->answers->notices, 1, memory_order_relaxed);
  bridge_queue_release(notice->answers);
  bridge__free(notice);
}

/* Whether somebody has the queue who is no notice. */
static bool is_heard(bridge_queue *queue)
{
  /* Both take nothing: who has no reference cannot get one but from the registry,
     and does not wait for this. */
  const size_t notices =
      atomic_load_explicit(&queue->notices, memory_order_relaxed);
  return atomic_load_explicit(&queue->object.object.references,
                              memory_order_relaxed) > notices;
}

/* Nobody hears it in a queue that was closed, or that nobody else has. */
static bool hear(bridge__watch *watch)
{
  bridge__notice *notice = (bridge__notice *)watch; /* its first member */
  const bool heard = is_heard(notice->answers);
  bridge_status status =
      bridge__queue_push_forced(notice->answers, &notice->answer);
  bridge__notice_free(notice);
  return heard && status == BRIDGE_OK;
}

void bridge__notice_add(bridge__watchers *list, bridge__notice *notice)
{
  bridge__watch_add_hearer(list, &notice->watch, hear);
}

bridge__notice *bridge__notice_take(bridge__watchers *list,
                                    const bridge_queue *answers,
                                    uint64_t session)
{
  for (bridge__watch *watch = list->first; watch != NULL; watch = watch->next) {
    bridge__notice *notice = (bridge__notice *)watch; /* if it is one */
    if (watch->sleeper == NULL && notice->answers == answers &&
        notice->answer->envelope.session == session) {
      bridge__watch_remove(list, watch);
      return notice;
    }
  }
  return NULL;
}
