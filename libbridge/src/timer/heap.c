/* Heap: which timer is due next.  A timer that is out to be posted keeps its place,
   so that coming back cannot fail. */
#include "base/memory.h"
#include "timer/timer.h"

bool bridge__timer_heap_reserve(bridge__timer_heap *heap)
{
  if (heap->count + heap->reserved == heap->capacity) {
    size_t capacity = heap->capacity == 0 ? 16 : heap->capacity * 2;
    size_t size = 0;
    bridge_timer **timers = NULL;
    if (bridge__multiply(capacity, sizeof(*timers), &size)) {
      timers = bridge__resize(heap->timers, size);
    }
    if (timers == NULL) {
      return false;
    }
    heap->timers = timers;
    heap->capacity = capacity;
  }
  heap->reserved++;
  return true;
}

void bridge__timer_heap_unreserve(bridge__timer_heap *heap)
{
  heap->reserved--;
  if (heap->count + heap->reserved == 0) {
    bridge__free(heap->timers);
    *heap = (bridge__timer_heap){.timers = NULL};
  }
}

/* Places count from 1, so that the parent of one is the half of it. */
static void put(bridge__timer_heap *heap, size_t place, bridge_timer *timer)
{
  heap->timers[place - 1] = timer;
  timer->place = place;
}

static size_t rise(bridge__timer_heap *heap, size_t place, int64_t due)
{
  while (place > 1 && heap->timers[place / 2 - 1]->due > due) {
    put(heap, place, heap->timers[place / 2 - 1]);
    place /= 2;
  }
  return place;
}

static size_t sink(bridge__timer_heap *heap, size_t place, int64_t due)
{
  for (;;) {
    size_t child = place * 2;
    if (child > heap->count) {
      return place;
    }
    if (child < heap->count &&
        heap->timers[child]->due < heap->timers[child - 1]->due) {
      child++;
    }
    if (heap->timers[child - 1]->due >= due) {
      return place;
    }
    put(heap, place, heap->timers[child - 1]);
    place = child;
  }
}

void bridge__timer_heap_insert(bridge__timer_heap *heap, bridge_timer *timer)
{
  heap->reserved--;
  heap->count++;
  put(heap, rise(heap, heap->count, timer->due), timer);
}

void bridge__timer_heap_remove(bridge__timer_heap *heap, bridge_timer *timer)
{
  const size_t place = timer->place;
  bridge_timer *last = heap->timers[--heap->count];
  heap->reserved++;
  timer->place = 0;
  if (last != timer) {
    const size_t higher = rise(heap, place, last->due);
    put(heap, sink(heap, higher, last->due), last);
  }
}
