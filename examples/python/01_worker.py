#!/usr/bin/python3
"""Story 1: a worker runs a chunk of Lua on a thread of its own; `join` gives what
it returns, or raises the error that it raised.  Told in C and Lua, too."""

import bridge

ADD_UP = """
local sum = 0
for _, value in ipairs { ... } do
  sum = sum + value
end
return sum, select('#', ...)
"""

FAIL = """local function deep() error('no more tea') end
deep()
"""

worker = bridge.Worker(ADD_UP, *range(1, 11))
total, count = worker.join()
print(f"the sum of {count} numbers is {total}")
assert (total, count) == (55, 10)

worker = bridge.Worker(FAIL, name="tea")
try:
    worker.join()
except bridge.LuaError as error:
    print(f"it failed: {error}")
    frame = error.frames[1]
    print(f"in '{frame.name}', line {frame.line}")
    assert "no more tea" in str(error.value)
    assert (frame.name, frame.line) == ("deep", 1)
else:
    raise AssertionError("the worker should have failed")
