/* A state to run scripts in, and to be looked into. */
#ifndef BRIDGE_TESTS_SANDBOX_BOX_H
#define BRIDGE_TESTS_SANDBOX_BOX_H

#include "../support.h"

extern "C" {
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
}

#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>

class Box
{
public:
  explicit Box(bridge_stop_level level,
               bool sandbox = false,
               size_t memory_limit = 0)
  {
    bridge_state_options options;
    bridge_state_options_init(&options);
    options.stop = level;
    options.sandbox = sandbox;
    options.memory_limit = memory_limit;
    bridge_state *made = nullptr;
    EXPECT_STATUS(bridge_state_create(&made, &options, nullptr), BRIDGE_OK);
    state.reset(made);
  }

  /* What the chunk returned, as text; or "error: " and what it said. */
  std::string run(const std::string &source,
                  bridge_message *arguments = nullptr)
  {
    bridge_message *results = nullptr;
    bridge_error *error = nullptr;
    status = bridge_state_run(state.get(), source.data(), source.size(),
                              "=script", &arguments, &results, &error);
    std::string said =
        status == BRIDGE_OK
            ? show(results)
            : std::string("error: ") + bridge_error_text(error, nullptr);
    bridge_message_release(arguments);
    bridge_message_release(results);
    bridge_error_release(error);
    return said;
  }

  /* Call a function with the state held. */
  void enter(const std::function<void(lua_State *)> &body)
  {
    lua_State *L = nullptr;
    ASSERT_STATUS(bridge_state_enter(state.get(), -1, &L), BRIDGE_OK);
    body(L);
    lua_settop(L, 0);
    ASSERT_STATUS(bridge_state_leave(state.get()), BRIDGE_OK);
  }

  Owned<bridge_state> state;
  bridge_status status = BRIDGE_OK; /* of the latest run */
};

inline std::string read_file(const std::string &path)
{
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

#endif
