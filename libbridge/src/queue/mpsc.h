/* The engine of queues, inline for the queue itself.

   `head` is NULL while the consumer is awake and nothing is there, ARMED while
   it sleeps, and else the newest node, linked to the older ones. */
#ifndef BRIDGE_QUEUE_MPSC_H
#define BRIDGE_QUEUE_MPSC_H

#include <bridge/mpsc.h>

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct bridge_mpsc {
  _Atomic(bridge_node *) head;
};

#define BRIDGE__ARMED ((bridge_node *)(uintptr_t)1)

static inline void bridge__mpsc_init(bridge_mpsc *list, bool armed)
{
  atomic_init(&list->head, armed ? BRIDGE__ARMED : NULL);
}

/* Append a chain that is linked from the newest node to the oldest.  True if the
   consumer sleeps and nobody else was told. */
static inline bool bridge__mpsc_push(bridge_mpsc *list,
                                     bridge_node *newest,
                                     bridge_node *oldest)
{
  /* Takes nothing: the word is compared, never followed. */
  bridge_node *head = atomic_load_explicit(&list->head, memory_order_relaxed);
  do {
    oldest->next = head == BRIDGE__ARMED ? NULL : head;
    /* Publishes the nodes; takes, from an armed word, what the consumer did
       before it armed: that it cleared its waker. */
  } while (!atomic_compare_exchange_weak_explicit(
      &list->head, &head, newest, memory_order_acq_rel, memory_order_relaxed));
  return head == BRIDGE__ARMED;
}

/* Whether there is nothing to take, at a glance. */
static inline bool bridge__mpsc_empty(const bridge_mpsc *list)
{
  /* Takes nothing: who takes exchanges. */
  bridge_node *head = atomic_load_explicit(&list->head, memory_order_relaxed);
  return head == NULL || head == BRIDGE__ARMED;
}

/* Everything, newest first; NULL if there is nothing, and then an armed list
   stays armed. */
static inline bridge_node *bridge__mpsc_detach(bridge_mpsc *list)
{
  if (bridge__mpsc_empty(list)) {
    return NULL;
  }
  /* Takes the nodes: only the consumer removes, so it is still not empty. */
  return atomic_exchange_explicit(&list->head, NULL, memory_order_acquire);
}

/* The same, oldest first. */
static inline bridge_node *bridge__mpsc_take(bridge_mpsc *list)
{
  bridge_node *newest = bridge__mpsc_detach(list);
  bridge_node *oldest = NULL;
  while (newest != NULL) {
    bridge_node *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  return oldest;
}

/* False if something is there. */
static inline bool bridge__mpsc_arm(bridge_mpsc *list)
{
  bridge_node *head = NULL;
  /* Publishes what the consumer did before, to the push that will wake it. */
  return atomic_compare_exchange_strong_explicit(
             &list->head, &head, BRIDGE__ARMED, memory_order_release,
             memory_order_relaxed) ||
         head == BRIDGE__ARMED;
}

#endif
