/* Credit: messages and bytes in one word, so that one exchange checks both
   bounds, and that the queue is open, and takes the room.

   A word counts all that was ever pushed or popped, modulo 2^23 messages and
   2^40 bytes: 23 bits of messages, 40 of bytes, and the closed mark below them.
   The difference of two words is what is inside. */
#ifndef BRIDGE_QUEUE_CREDIT_H
#define BRIDGE_QUEUE_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#define BRIDGE__CREDIT_CLOSED    UINT64_C(1)
#define BRIDGE__CREDIT_BYTES_MAX ((UINT64_C(1) << 40) - 1)
#define BRIDGE__CREDIT_ITEMS_MAX ((UINT64_C(1) << 23) - 1)

static inline uint64_t bridge__credit(uint64_t items, uint64_t bytes)
{
  return (items & BRIDGE__CREDIT_ITEMS_MAX) << 41 |
         (bytes & BRIDGE__CREDIT_BYTES_MAX) << 1;
}

static inline uint64_t bridge__credit_items(uint64_t word)
{
  return word >> 41;
}

static inline uint64_t bridge__credit_bytes(uint64_t word)
{
  return word >> 1 & BRIDGE__CREDIT_BYTES_MAX;
}

/* Each field by itself: a carry must not reach its neighbour.  The closed mark
   is that of `a`. */
static inline uint64_t bridge__credit_add(uint64_t a, uint64_t b)
{
  return bridge__credit(bridge__credit_items(a) + bridge__credit_items(b),
                        bridge__credit_bytes(a) + bridge__credit_bytes(b)) |
         (a & BRIDGE__CREDIT_CLOSED);
}

static inline uint64_t bridge__credit_subtract(uint64_t a, uint64_t b)
{
  return bridge__credit(bridge__credit_items(a) - bridge__credit_items(b),
                        bridge__credit_bytes(a) - bridge__credit_bytes(b)) |
         (a & BRIDGE__CREDIT_CLOSED);
}

/* Whether `more` fits beside what is inside. */
static inline bool bridge__credit_fits(uint64_t inside,
                                       uint64_t more,
                                       uint64_t items,
                                       uint64_t bytes)
{
  return bridge__credit_items(inside) + bridge__credit_items(more) <= items &&
         bridge__credit_bytes(inside) + bridge__credit_bytes(more) <= bytes;
}

#endif
