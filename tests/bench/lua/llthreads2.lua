-- Threads as llthreads2 makes them, so many started together and then joined:
-- microseconds each.
--
--   llthreads2.lua PROGRAMS AT_ONCE [COUNT]

local common = dofile(arg[0]:match("^(.*)/") .. "/common.lua")
local programs, at_once, count = ...
at_once = math.tointeger(at_once)
count = math.tointeger(count) or 6000
count = (count + at_once - 1) // at_once * at_once

local now = common.programs(programs)
local llthreads2 = require "llthreads2"

local function measure(many)
  local threads = {}
  local start = now()
  for _ = 1, many // at_once do
    for i = 1, at_once do
      threads[i] = llthreads2.new("local a, b = ... return a + b", 20, 22)
      threads[i]:start()
    end
    for i = 1, at_once do
      local ok, sum = threads[i]:join()
      assert(ok and sum == 42)
    end
  end
  return (now() - start) / many * 1e6
end

measure(at_once * 10)
common.print(measure(count))
