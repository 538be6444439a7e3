/* Credit: messages and bytes in one word, so that one exchange checks both
   bounds, and that the queue is open, and takes the room.

   A word counts all that was ever pushed or popped, modulo 2^23 messages and
   2^40 bytes: 23 bits of messages, 40 of bytes, and the closed mark below them.
   The difference of two words is what is inside. */
#ifndef BRIDGE_QUEUE_CREDIT_H
#define BRIDGE_QUEUE_CREDIT_H

#include <bridge/message.h>

#include <stdbool.h>
#include <stdint.h>

#define BRIDGE__CREDIT_CLOSED    UINT64_C(1)
#define BRIDGE__CREDIT_BYTES_MAX ((UINT64_C(1) << 40) - 1)
#define BRIDGE__CREDIT_ITEMS_MAX ((UINT64_C(1) << 23) - 1)

/* No more than the words can count. */
static inline uint64_t bridge__credit(uint64_t items, uint64_t bytes)
{
  return items << 41 | bytes << 1;
}

static inline uint64_t bridge__credit_items(uint64_t word)
{
  return word >> 41;
}

static inline uint64_t bridge__credit_bytes(uint64_t word)
{
  return word >> 1 & BRIDGE__CREDIT_BYTES_MAX;
}

/* The highest bit of the bytes: added by itself, so that no carry reaches the
   messages (Warren, "Hacker's Delight", 2-18). */
#define BRIDGE__CREDIT_CARRY (UINT64_C(1) << 40)

/* Each field by itself.  `b` has no closed mark; that of `a` stays. */
static inline uint64_t bridge__credit_add(uint64_t a, uint64_t b)
{
  return ((a & ~BRIDGE__CREDIT_CARRY) + (b & ~BRIDGE__CREDIT_CARRY)) ^
         ((a ^ b) & BRIDGE__CREDIT_CARRY);
}

static inline uint64_t bridge__credit_subtract(uint64_t a, uint64_t b)
{
  return ((a | BRIDGE__CREDIT_CARRY) - (b & ~BRIDGE__CREDIT_CARRY)) ^
         ((a ^ ~b) & BRIDGE__CREDIT_CARRY);
}

/* Whether so much may be inside.  The bounds have to be less than the words can
   count by at least one message, or what is too much looks like nothing. */
static inline bool bridge__credit_within(uint64_t inside,
                                         uint64_t items,
                                         uint64_t bytes)
{
  return bridge__credit_items(inside) <= items &&
         bridge__credit_bytes(inside) <= bytes;
}

/* Bounds for who must not be refused: nobody has so much memory. */
#define BRIDGE__CREDIT_ITEMS_MOST (BRIDGE__CREDIT_ITEMS_MAX - 1)
#define BRIDGE__CREDIT_BYTES_MOST (BRIDGE__CREDIT_BYTES_MAX - BRIDGE_SIZE_MAX)

#endif
