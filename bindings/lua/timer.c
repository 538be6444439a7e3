/* Timers as Lua wants them: in seconds, with values to post. */
#include "face.h"

#include <math.h>

static const char *const clocks[] = {"after", "steady", "wall", NULL};

/* Seconds in nanoseconds, rounded up; what is too far is never. */
static bool nanoseconds(lua_State *L, int index, int64_t *out)
{
  lua_Number seconds = luaL_checknumber(L, index);
  if (isnan(seconds)) {
    bridge__face_wrong(L, index, "seconds expected, got not-a-number");
    return false;
  }
  lua_Number wanted = ceil(seconds * 1e9);
  *out = wanted <= 0.0 ? 0 : wanted >= 9e18 ? INT64_MAX : (int64_t)wanted;
  return true;
}

/* timer(target, clock, first, period, ...): a timer; or nil, text, code. */
static int make_timer(lua_State *L)
{
  bridge_timer_options options;
  bridge_timer_options_init(&options);
  void *target = NULL;
  int clock = 0;
  if (bridge__face_kind(L, 1, &target) == BRIDGE_HANDLE_CHANNEL) {
    options.channel = bridge__face_check(L, 1, BRIDGE_HANDLE_CHANNEL);
  } else {
    options.queue = bridge__face_check(L, 1, BRIDGE_HANDLE_QUEUE);
  }
  if (!bridge__face_choice(L, 2, clocks, &clock) ||
      !nanoseconds(L, 3, &options.first_ns) ||
      !nanoseconds(L, 4, &options.period_ns)) {
    return lua_error(L);
  }
  options.clock = (bridge_timer_clock)clock;
  bridge_message *message = bridge__face_pack(L, 5);
  bridge_timer *timer = NULL;
  bridge_status status = bridge_timer_create(&timer, &options, &message);
  bridge_message_release(message);
  if (status != BRIDGE_OK) {
    return bridge__face_status(L, status);
  }
  bridge__face_give(L, BRIDGE_HANDLE_TIMER, timer);
  return 1;
}

/* now(clock): seconds. */
static int clock_now(lua_State *L)
{
  int clock = 0;
  if (!bridge__face_choice(L, 1, clocks, &clock)) {
    return lua_error(L);
  }
  lua_pushnumber(L,
                 (lua_Number)bridge_timer_now((bridge_timer_clock)clock) / 1e9);
  return 1;
}

const luaL_Reg bridge__face_timer_functions[] = {
    {"timer", make_timer},
    {"now", clock_now},
    {NULL, NULL},
};
