#!/usr/bin/python3
"""Story 4: a Lua worker fills a buffer, and NumPy reads it where it lies: nothing
is copied on the way."""

import sys

import bridge

try:
    import numpy
except ImportError:
    print("NumPy is not here: skipped")
    sys.exit(0)

COUNT = 1000

SQUARES = """
local bridge = require 'bridge'
local count = ...
local buffer = assert(bridge.buffer(8 * count))
for i = 0, count - 1 do
  assert(buffer:write(8 * i + 1, string.pack('<d', i * i)))
end
return buffer -- which freezes it: from now on everybody may read it
"""

buffer = bridge.Worker(SQUARES, COUNT).join()
squares = numpy.frombuffer(buffer, dtype="<f8")
print(f"{len(squares)} squares, their sum is {squares.sum():.0f}")
assert len(squares) == COUNT
assert squares.sum() == sum(i * i for i in range(COUNT))

# Both look at the same bytes, and nobody can change them any more.
again = numpy.frombuffer(buffer, dtype="<f8")
assert squares.__array_interface__["data"] == again.__array_interface__["data"]
assert not squares.flags.writeable
assert buffer.frozen

# The other way: what NumPy has made is read by Lua.
numbers = bridge.Buffer(8 * COUNT)
numpy.frombuffer(numbers, dtype="<f8")[:] = numpy.arange(COUNT)
SUM = """
local buffer, sum = ..., 0
for i = 0, #buffer // 8 - 1 do
  sum = sum + buffer:unpack('<d', 8 * i + 1)
end
return sum
"""
total = bridge.Worker(SUM, numbers).join()
print(f"and back: Lua adds up to {total:.0f}")
assert total == COUNT * (COUNT - 1) / 2
