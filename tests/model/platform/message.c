/* Messages of the model: the product's body, and contents that tell who sent it
   and as which.  All of it is checked for races. */
#include "message/message.h"

#include "base/memory.h"
#include "engine/engine.h"

typedef struct model_body {
  bridge_message message; /* first */
  unsigned thread;
  unsigned number;
} model_body;

static size_t released;

bridge_message *model_message(unsigned thread, unsigned number, size_t size)
{
  model_body *body = bridge__allocate_zero(sizeof *body);
  body->message.size = size;
  body->thread = thread;
  body->number = number;
  return &body->message;
}

unsigned model_message_thread(const bridge_message *message)
{
  return ((const model_body *)message)->thread;
}

unsigned model_message_number(const bridge_message *message)
{
  return ((const model_body *)message)->number;
}

size_t model_released(void)
{
  size_t count = released;
  released = 0;
  return count;
}

size_t bridge_message_size(const bridge_message *message)
{
  return message == NULL ? 0 : message->size;
}

void bridge_message_release(bridge_message *message)
{
  if (message != NULL) {
    bridge__free(message);
    released++;
  }
}

/* Nobody peeks here. */
bridge_status bridge_message_clone(bridge_message **out,
                                   const bridge_message *message)
{
  (void)out;
  (void)message;
  return BRIDGE_ENOMEM;
}

bool bridge__message_holds(const bridge_message *message, const void *handle)
{
  (void)message;
  (void)handle;
  return false;
}
