/* Status: the one table of names and texts. */
#include <bridge/status.h>

#include <stddef.h>

typedef struct entry {
  const char *name;
  const char *text;
} entry;

#define ENTRY(status, text) [-(status)] = {#status, text}

static const entry entries[] = {
    ENTRY(BRIDGE_OK, "success"),
    ENTRY(BRIDGE_EINVAL, "an argument is missing or out of range"),
    ENTRY(BRIDGE_ENOMEM, "out of memory"),
    ENTRY(BRIDGE_EFULL, "the queue is full"),
    ENTRY(BRIDGE_EEMPTY, "nothing is there"),
    ENTRY(BRIDGE_ETIMEDOUT, "the time is over"),
    ENTRY(BRIDGE_ECLOSED, "the object is closed"),
    ENTRY(BRIDGE_ECANCELLED, "cancelled"),
    ENTRY(BRIDGE_EBUSY, "another thread is using the object"),
    ENTRY(BRIDGE_EDEADLOCK, "the call would wait for itself"),
    ENTRY(BRIDGE_EALREADY, "it was already done"),
    ENTRY(BRIDGE_EDETACHED, "the thread is detached"),
    ENTRY(BRIDGE_EVERSION, "the options have an unknown version"),
    ENTRY(BRIDGE_ESYNTAX, "the chunk does not parse"),
    ENTRY(BRIDGE_ESCRIPT, "the script raised an error"),
    ENTRY(BRIDGE_ETYPE, "the value has the wrong type"),
    ENTRY(BRIDGE_ECORRUPT, "the bytes are not a well-formed message"),
    ENTRY(BRIDGE_ELIMIT, "a depth or size limit is exceeded"),
    ENTRY(BRIDGE_ENOTFOUND, "there is no such name"),
    ENTRY(BRIDGE_EDEAD, "the worker has ended"),
    ENTRY(BRIDGE_EFORKED, "the object belongs to the parent process"),
    ENTRY(BRIDGE_ESYSTEM, "the operating system refused"),
    ENTRY(BRIDGE_EUNSUPPORTED, "not supported here"),
    ENTRY(BRIDGE_EOVERFLOW, "the number does not fit"),
    ENTRY(BRIDGE_EFROZEN, "the buffer is frozen"),
    ENTRY(BRIDGE_ECYCLE, "the handle would be inside itself"),
    ENTRY(BRIDGE_ELOST,
          "the script did not come back in time: its thread was given up"),
};

static const entry unknown = {"BRIDGE_E?", "unknown status"};

static const entry *find(bridge_status status)
{
  const int count = (int)(sizeof entries / sizeof entries[0]);
  const int number = (int)status;
  if (number > 0 || number <= -count) {
    return &unknown;
  }
  return &entries[-number];
}

const char *bridge_status_name(bridge_status status)
{
  return find(status)->name;
}

const char *bridge_status_text(bridge_status status)
{
  return find(status)->text;
}
