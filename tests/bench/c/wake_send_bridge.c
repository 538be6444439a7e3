/* Raising our waker; its receiver waits for the descriptor. */
#include "bench.h"

#include <bridge/bridge.h>

#include <poll.h>

static int receiver_works(void);

static bridge_waker *waker;

static void send_open(void)
{
  bench_check(bridge_waker_create(&waker, BRIDGE_WAKER_DEFAULT) == BRIDGE_OK,
              "no waker");
}

static inline void send_one(void)
{
  bench_check(bridge_waker_raise(waker) == BRIDGE_OK, "raise");
}

static void receive(void)
{
  struct pollfd watched = {.events = POLLIN};
  bench_check(bridge_waker_fileno(waker, &watched.fd) == BRIDGE_OK, "no file");
  do {
    poll(&watched, 1, -1);
    bridge_waker_clear(waker);
  } while (receiver_works());
}

#include "wake_send.h"
