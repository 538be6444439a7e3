/* libuv: each side runs a loop until its uv_async was called. */
#include <uv.h>

#include "bench.h"

static struct {
  uv_loop_t loop;
  uv_async_t handle;
  int raised; /* the loop's own */
} __attribute__((aligned(128))) sides[2];

static void came(uv_async_t *handle)
{
  *(int *)handle->data = 1;
}

static void wake_open(void)
{
  for (int side = 0; side < 2; side++) {
    bench_check(
        uv_loop_init(&sides[side].loop) == 0 &&
            uv_async_init(&sides[side].loop, &sides[side].handle, came) == 0,
        "no loop");
    sides[side].handle.data = &sides[side].raised;
  }
}

static inline void wake_send(int side)
{
  bench_check(uv_async_send(&sides[side].handle) == 0, "send");
}

static inline void wake_receive(int side)
{
  while (!sides[side].raised) {
    uv_run(&sides[side].loop, UV_RUN_ONCE);
  }
  sides[side].raised = 0;
}

#include "wake_trip.h"
