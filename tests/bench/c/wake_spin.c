/* Two threads that never sleep: the limit, where each has a core to burn. */
#include "bench.h"

static struct {
  uint32_t word;
} __attribute__((aligned(128))) sides[2];

static void wake_open(void)
{
}

static inline void wake_send(int side)
{
  __atomic_store_n(&sides[side].word, 1, __ATOMIC_RELEASE);
}

static inline void wake_receive(int side)
{
  while (__atomic_load_n(&sides[side].word, __ATOMIC_ACQUIRE) == 0) {
  }
  __atomic_store_n(&sides[side].word, 0, __ATOMIC_RELAXED);
}

#include "wake_trip.h"
