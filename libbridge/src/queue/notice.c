/* Notice: on its way from a list of watchers into the queue of who waits in an event
   loop. */
#include "queue/notice.h"

#include "base/memory.h"
#include "message/message.h"
#include "queue/queue.h"

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
  notice->answer->envelope =
      (bridge__envelope){.kind = BRIDGE__ANSWER, .session = session};
  *out = notice;
  return BRIDGE_OK;
}

void bridge__notice_free(bridge__notice *notice)
{
  bridge_message_release(notice->answer);
  bridge_queue_release(notice->answers);
  bridge__free(notice);
}

/* A queue that was closed has nobody who waits. */
static void hear(bridge__watch *watch)
{
  bridge__notice *notice = (bridge__notice *)watch; /* its first member */
  bridge__queue_push_forced(notice->answers, &notice->answer);
  bridge__notice_free(notice);
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
