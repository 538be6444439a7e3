/* uv_async_send to a running loop. */
#include <uv.h>

#include "bench.h"

static int receiver_works(void);

static uv_loop_t loop;
static uv_async_t handle;

static void came(uv_async_t *unused)
{
  (void)unused;
  if (!receiver_works()) {
    uv_stop(&loop);
  }
}

static void send_open(void)
{
  bench_check(uv_loop_init(&loop) == 0 &&
                  uv_async_init(&loop, &handle, came) == 0,
              "no loop");
}

static inline void send_one(void)
{
  bench_check(uv_async_send(&handle) == 0, "send");
}

static void receive(void)
{
  uv_run(&loop, UV_RUN_DEFAULT);
}

#include "wake_send.h"
