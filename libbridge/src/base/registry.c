/* Registry: all objects of the process that can be listed, in the order in which
   they were made.

   The lock keeps who is in the list from being freed: an object takes itself out
   before it goes.  Nobody is looked at, closed or freed under it. */
#include "base/registry.h"

#include "base/memory.h"
#include "base/text.h"

#include <string.h>

static bridge__mutex mutex = BRIDGE__MUTEX_INIT;
static bridge__listed *first; /* guarded by mutex: the oldest */
static bridge__listed *last;  /* guarded by mutex */

static void lock(void)
{
  bridge__mutex_lock(&mutex);
}

static void unlock(void)
{
  bridge__mutex_unlock(&mutex);
}

uint64_t bridge__registry_number(void)
{
  static atomic_uint_fast64_t last_number;
  /* Publishes nothing: the number stands for itself. */
  return atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
}

static void append(bridge__listed *listed)
{
  listed->listed = true;
  listed->younger = NULL;
  listed->older = last;
  if (last != NULL) {
    last->younger = listed;
  } else {
    first = listed;
  }
  last = listed;
}

void bridge__enlist(void *object)
{
  bridge__listed *listed = object;
  if (listed->id == 0) {
    listed->id = bridge__registry_number();
  }
  bridge__at_fork(BRIDGE__FORK_OBJECTS, lock, unlock);
  lock();
  if (!listed->listed) {
    append(listed);
  }
  unlock();
}

static void take_out(bridge__listed *listed)
{
  lock();
  if (listed->listed) {
    bridge__listed **behind =
        listed->older == NULL ? &first : &listed->older->younger;
    bridge__listed **before =
        listed->younger == NULL ? &last : &listed->younger->older;
    *behind = listed->younger;
    *before = listed->older;
    listed->listed = false;
  }
  unlock();
}

void bridge__unlist(void *object)
{
  bridge__listed *listed = object;
  if (listed->listed) {
    take_out(listed);
  }
  bridge__free(listed->own_name);
  listed->own_name = NULL;
}

/* ---- Finding ---- */

bridge_status bridge_objects(void **out, size_t capacity, size_t *count)
{
  if (count == NULL || (out == NULL && capacity > 0)) {
    return BRIDGE_EINVAL;
  }
  *count = 0;
  lock();
  for (bridge__listed *next = first; next != NULL; next = next->younger) {
    bool fits = *count < capacity;
    if (bridge__forked(next) || (fits && bridge__retain_living(next) == NULL)) {
      continue;
    }
    if (fits) {
      out[*count] = next;
    }
    ++*count;
  }
  unlock();
  return BRIDGE_OK;
}

/* By name, or by number if the name is NULL. */
static void *find(bridge_handle_kind kind, const char *name, uint64_t id)
{
  void *found = NULL;
  lock();
  for (bridge__listed *next = last; next != NULL && found == NULL;
       next = next->older) {
    bool wanted = name == NULL
                      ? next->id == id
                      : next->name != NULL && strcmp(next->name, name) == 0;
    if (wanted && !bridge__forked(next) &&
        (kind == BRIDGE_HANDLE_NONE || kind == next->object.type->kind)) {
      found = bridge__retain_living(next);
    }
  }
  unlock();
  return found;
}

void *bridge_object_find(bridge_handle_kind kind, const char *name)
{
  return name == NULL || name[0] == '\0' ? NULL : find(kind, name, 0);
}

void *bridge_object_find_id(uint64_t id)
{
  return find(BRIDGE_HANDLE_NONE, NULL, id);
}

/* ---- One of them ---- */

static const struct bridge__listing *listing_of(const void *handle)
{
  return ((const bridge__object *)handle)->type->listing;
}

static bridge_status check(const void *handle)
{
  if (handle == NULL) {
    return BRIDGE_EINVAL;
  }
  if (bridge__forked(handle)) {
    return BRIDGE_EFORKED;
  }
  return listing_of(handle) == NULL ? BRIDGE_EUNSUPPORTED : BRIDGE_OK;
}

void bridge_object_info_init(bridge_object_info *info)
{
  if (info != NULL) {
    *info = (bridge_object_info){.version = BRIDGE_OBJECT_INFO_VERSION};
  }
}

static void look_at_listed(bridge__listed *listed, bridge_object_info *info)
{
  info->id = listed->id;
  lock();
  if (listed->name != NULL) {
    bridge__text_copy(info->name, sizeof info->name, listed->name);
  }
  unlock();
  listing_of(listed)->look(listed, info);
}

bridge_status bridge_object_look(void *handle, bridge_object_info *info)
{
  bridge_status status = info == NULL ? BRIDGE_EINVAL : check(handle);
  if (status != BRIDGE_OK && status != BRIDGE_EUNSUPPORTED) {
    return status;
  }
  if (info->version != BRIDGE_OBJECT_INFO_VERSION) {
    return BRIDGE_EVERSION;
  }
  bridge_object_info_init(info);
  const bridge__object *object = handle;
  info->kind = object->type->kind;
  /* Takes nothing: a number for people. */
  info->references =
      atomic_load_explicit(&object->references, memory_order_relaxed);
  if (status == BRIDGE_OK) {
    look_at_listed(handle, info);
  }
  return BRIDGE_OK;
}

/* Takes the new name, and gives what has to be freed. */
static char *exchange_name(bridge__listed *listed, char *name)
{
  lock();
  char *before = listed->own_name;
  listed->own_name = name;
  listed->name = name;
  unlock();
  return before;
}

static bool was_born_with_name(bridge__listed *listed)
{
  lock();
  bool born = listed->name != NULL && listed->own_name == NULL;
  unlock();
  return born;
}

bridge_status bridge_object_set_name(void *handle, const char *name)
{
  bridge_status status = check(handle);
  if (status != BRIDGE_OK) {
    return status;
  }
  bridge__listed *listed = handle;
  if (was_born_with_name(listed)) {
    return BRIDGE_EUNSUPPORTED;
  }
  char *copy = NULL;
  if (name != NULL && name[0] != '\0') {
    copy = bridge__copy_text(name, strlen(name));
    if (copy == NULL) {
      return BRIDGE_ENOMEM;
    }
  }
  bridge__free(exchange_name(listed, copy));
  return BRIDGE_OK;
}

bridge_status bridge_object_close(void *handle)
{
  bridge_status status = check(handle);
  return status == BRIDGE_OK ? listing_of(handle)->close(handle) : status;
}

bridge_status bridge_object_hide(void *handle)
{
  bridge_status status = check(handle);
  if (status == BRIDGE_OK) {
    take_out(handle);
  }
  return status;
}
