/* The least that the system can do: a word and a futex. */
#include "bench.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
  uint32_t word;
} __attribute__((aligned(128))) sides[2];

static void wake_open(void)
{
}

static inline void wake_send(int side)
{
  __atomic_store_n(&sides[side].word, 1, __ATOMIC_RELEASE);
  syscall(SYS_futex, &sides[side].word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void wake_receive(int side)
{
  while (__atomic_exchange_n(&sides[side].word, 0, __ATOMIC_ACQUIRE) == 0) {
    syscall(SYS_futex, &sides[side].word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
  }
}

#include "wake_trip.h"
