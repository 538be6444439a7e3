#!/usr/bin/python3
"""Story 7: what a script may use: memory, time, processor time; as a whole or for each
call.  And a sandbox, for scripts of others.  Told in C and Lua, too."""

import bridge

HUNGRY = "local all = {} while true do all[#all + 1] = {} end"
CATCHES = "return pcall(string.rep, 'x', 1 << 30)"
BUSY = "while true do end"
SLEEPY = "require 'bridge'.sleep(0.2) return 'slept'"

SERVICE = """
return require 'bridge'.serve {
  spin = function() while true do end end,
  count = function(n) local i = 0 while i < n do i = i + 1 end return i end,
}
"""

LOOKS_AROUND = """
local found = {}
for _, name in ipairs { 'io', 'debug', 'dofile', 'loadfile' } do
  if _G[name] ~= nil then found[#found + 1] = name end
end
local finalizers = pcall(setmetatable, {}, { __gc = function() end })
return table.concat(found, ' '), finalizers, string.dump ~= nil, ('safe'):upper()
"""


def refused(expected, what, call, *arguments):
    """Call, and see it fail as it should."""
    try:
        call(*arguments)
    except expected as error:
        print(f"{what}: {str(error).splitlines()[0]}")
    else:
        raise AssertionError(f"{what} should have failed")


# Memory: too much of it is an ordinary error, which a script may catch.
refused(MemoryError, "memory", bridge.Worker(HUNGRY, memory_limit="1MiB").join)
good, why = bridge.Worker(CATCHES, memory_limit="1MiB").join()
print(f"caught: {why}")
assert (good, why) == (False, "not enough memory")

# Time by the clock, and time of the processor: sleeping takes only the first.
refused(bridge.Timeout, "time", bridge.Worker(BUSY, timeout=0.1).join)
refused(bridge.Timeout, "CPU time", bridge.Worker(BUSY, cpu=0.1).join)
assert bridge.Worker(SLEEPY, cpu=0.1).join() == "slept"

# Of each call: it fails alone.
with bridge.Worker(SERVICE, call_timeout=0.1) as service:
    refused(bridge.Timeout, "a call", service.call, "spin")
    assert service.call("count", 1000) == 1000

# The sandbox: no files, no system, no debug, no bytecode, and nothing that outlives
# being stopped.  It contains mistakes and hogs; it is no wall against an attack on the
# interpreter itself.
box = bridge.Worker(LOOKS_AROUND, sandbox=True, memory_limit="1MiB", timeout=10)
found, finalizers, bytecode, upper = box.join()
print(f"the sandbox has {found or 'none of them'}")
assert (found, finalizers, bytecode, upper) == ("", False, False, "SAFE")
