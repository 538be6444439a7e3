-- Requests from a Lua host to a worker, which returns what it was given.
--
--   call.lua PROGRAMS NAME OUTSTANDING   microseconds for each

local common = dofile(arg[0]:match("^(.*)/") .. "/common.lua")
local programs, name, outstanding = ...
outstanding = math.tointeger(outstanding)

local now = common.programs(programs)
local bridge = require "bridge"
local value = common.payload(name)

local worker = assert(bridge.worker(function()
  local bridge = require "bridge"
  bridge.serve { echo = function(...) return ... end }
end))

local function one_by_one(count)
  for _ = 1, count do
    assert(worker:call("echo", value))
  end
end

local answers = assert(bridge.queue())

local function answer()
  local _, good, message = answers:pop_answer()
  assert(good, message)
end

local function in_flight(count)
  for i = 1, outstanding do
    worker:request(answers, i, "echo", value)
  end
  for i = outstanding + 1, count do
    answer()
    worker:request(answers, i, "echo", value)
  end
  for _ = 1, outstanding do
    answer()
  end
end

local run = outstanding == 1 and one_by_one or in_flight
local count = math.min(20000 * outstanding, 200000)
run(count // 10 + outstanding) -- until each knows how fast the other is
local begun = now()
run(count)
local ended = now()
assert(worker:close(5))
common.print((ended - begun) / count * 1e6)
