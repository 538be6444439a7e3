/* bridge_run_chunk as what CreateThread runs.  Lua is not built for Windows yet: the
   three calls of a state stand in for it, and see what they are given.  Exits with
   0, or with the line that failed. */
#include <bridge/chunk.h>

#include <windows.h>

#include <string.h>

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      return __LINE__;                                                         \
    }                                                                          \
  } while (0)

static int states; /* that live */

bridge_status bridge_state_create(bridge_state **out,
                                  const bridge_state_options *options,
                                  bridge_error **error)
{
  (void)options;
  *error = NULL;
  *out = (bridge_state *)&states;
  states++;
  return BRIDGE_OK;
}

void bridge_state_release(bridge_state *state)
{
  (void)state;
  states--;
}

bridge_status bridge_state_run(bridge_state *state,
                               const char *source,
                               size_t size,
                               const char *name,
                               bridge_message **arguments,
                               bridge_message **results,
                               bridge_error **error)
{
  (void)name;
  (void)arguments;
  (void)results;
  (void)error;
  bool fails = state == (bridge_state *)&states && size == 4 &&
               memcmp(source, "fail", 4) == 0;
  return fails ? BRIDGE_ESCRIPT : BRIDGE_OK;
}

static int run(const char *source, bridge_status expected)
{
  bridge_chunk chunk;
  bridge_chunk_init(&chunk);
  chunk.source = source;
  DWORD code = 1;
  HANDLE thread = CreateThread(
      NULL, 1 << 20, (LPTHREAD_START_ROUTINE)(void (*)(void))bridge_run_chunk,
      &chunk, 0, NULL);
  CHECK(thread != NULL);
  CHECK(WaitForSingleObject(thread, 30000) == WAIT_OBJECT_0);
  CHECK(GetExitCodeThread(thread, &code));
  CloseHandle(thread);
  CHECK((bridge_status)(int)code == expected);
  CHECK(chunk.status == expected);
  CHECK(states == 0);
  return 0;
}

int main(void)
{
  int failed = run("return", BRIDGE_OK);
  return failed != 0 ? failed : run("fail", BRIDGE_ESCRIPT);
}
