/* Run a chunk: from a host's own thread through a state that lives no longer than
   the chunk.  All of it by the public calls. */
#include <bridge/chunk.h>

#include <stdint.h>
#include <string.h>

void bridge_chunk_init(bridge_chunk *chunk)
{
  if (chunk != NULL) {
    *chunk = (bridge_chunk){.version = BRIDGE_CHUNK_VERSION};
  }
}

void bridge_chunk_clear(bridge_chunk *chunk)
{
  if (chunk == NULL) {
    return;
  }
  bridge_message_release(chunk->arguments);
  chunk->arguments = NULL;
  bridge_message_release(chunk->results);
  chunk->results = NULL;
  bridge_error_release(chunk->error);
  chunk->error = NULL;
}

static bridge_status run(bridge_chunk *chunk)
{
  bridge_state *state = NULL;
  bridge_status status =
      bridge_state_create(&state, chunk->options, &chunk->error);
  if (status != BRIDGE_OK) {
    return status;
  }
  size_t size = chunk->size == 0 ? strlen(chunk->source) : chunk->size;
  status = bridge_state_run(state, chunk->source, size, chunk->name,
                            &chunk->arguments, &chunk->results, &chunk->error);
  bridge_state_release(state);
  return status;
}

static bridge_status check(const bridge_chunk *chunk)
{
  if (chunk->version != BRIDGE_CHUNK_VERSION) {
    return BRIDGE_EVERSION;
  }
  return chunk->source == NULL ? BRIDGE_EINVAL : BRIDGE_OK;
}

/* A status fits any thread's value: it is small, and an int on every system. */
static void *as_value(bridge_status status)
{
  return (void *)(intptr_t)status;
}

void *bridge_run_chunk(void *argument)
{
  bridge_chunk *chunk = argument;
  if (chunk == NULL) {
    return as_value(BRIDGE_EINVAL);
  }
  bridge_status status = check(chunk);
  if (status == BRIDGE_EVERSION) {
    return as_value(status); /* nothing else of it is known */
  }
  chunk->results = NULL;
  chunk->error = NULL;
  if (status == BRIDGE_OK) {
    status = run(chunk);
  }
  bridge_message_release(chunk->arguments);
  chunk->arguments = NULL;
  chunk->status = status;
  if (chunk->finished != NULL) {
    chunk->finished(chunk);
  }
  return as_value(status);
}
