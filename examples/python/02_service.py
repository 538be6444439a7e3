#!/usr/bin/python3
"""Story 2: a worker serves: it answers calls by name until it is asked to stop.
Each kind of failure is an exception of its own.  Told in C and Lua, too."""

import bridge

SERVICE = """
local bridge = require 'bridge'
local greeted = 0
return bridge.serve {
  greet = function(name)
    greeted = greeted + 1
    return 'hello ' .. name
  end,
  greeted = function() return greeted end,
  nap = function() bridge.sleep(3600) end,
  fail = function() error('no more tea') end,
}
"""


def refused(expected, worker, name, *arguments, timeout=None):
    """Call, and see it fail as it should."""
    try:
        worker.call(name, *arguments, timeout=timeout)
    except expected as error:
        summary = str(error).splitlines()[0]
        print(f"{name}: {type(error).__name__}: {summary}")
    else:
        raise AssertionError(f"{name} should have failed")


worker = bridge.Worker(SERVICE, name="greeter")
greeting = worker.call("greet", "Ada")
print(greeting)
assert greeting == "hello Ada"

worker.send("greet", "Grace")  # nobody waits for this one
print(f"{worker.call('greeted')} were greeted")
assert worker.call("greeted") == 2

refused(bridge.NotFound, worker, "dance")
refused(bridge.LuaError, worker, "fail")
# The nap goes on; its answer, if it ever came, would harm nobody.
refused(bridge.Timeout, worker, "nap", timeout=0.01)
assert worker.call("greet", "Alan") == "hello Alan"

# In stages: asked to stop, and cancelled because of the nap.
worker.close(grace=0.1)
refused((bridge.WorkerDied, bridge.Closed), worker, "greet", "Alan")
