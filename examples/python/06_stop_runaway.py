#!/usr/bin/python3
"""Story 6: a script that runs away is stopped, whatever it does against it, and says
where it was.  Told in C and Lua, too."""

import bridge

RUNAWAY = """local function spin()
  while true do end
end
while true do
  pcall(spin) -- it would catch an error, and go on
end
"""

SERVICE = """
return require 'bridge'.serve {
  spin = function() while true do end end,
  add = function(a, b) return a + b end,
}
"""

STUCK = """
local text = ('a'):rep(100000)
text:find('.-.-.-.-b')
"""


def refused(expected, call, *arguments, **options):
    """Call, and see it fail as it should."""
    try:
        call(*arguments, **options)
    except expected as error:
        summary = str(error).splitlines()[0]
        print(f"{type(error).__name__}: {summary}")
        return error
    raise AssertionError("it should have failed")


# A time limit.
worker = bridge.Worker(RUNAWAY, name="hog", timeout=0.1)
error = refused(bridge.Timeout, worker.join)
print(error.traceback)
assert "hog:2: in" in error.traceback, "it was in spin"

# Or because the host has had enough of it.
worker = bridge.Worker(RUNAWAY, name="hog")
worker.cancel()
refused(bridge.Cancelled, worker.join)

# Of a service only the request is stopped that takes too long.
with bridge.Worker(SERVICE, call_timeout=0.1) as service:
    refused(bridge.Timeout, service.call, "spin")
    print(f"and it still adds up: {service.call('add', 1, 2)}")
    assert service.call("add", 1, 2) == 3

# What is stuck in C cannot be stopped from outside.  Nobody waits for it for ever: its
# thread is given up.
worker = bridge.Worker(STUCK)
refused(bridge.Lost, worker.close, grace=0.1)

# Unless the string functions ask now and then, which they do at the strict level.
worker = bridge.Worker(STUCK, stop="strict", timeout=0.1)
refused(bridge.Timeout, worker.join)
