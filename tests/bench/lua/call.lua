-- Requests from a Lua host to a worker, echoed.
--
--   call.lua FOLDER NAME OUTSTANDING   microseconds for each

local folder, name, outstanding = ...
outstanding = math.tointeger(outstanding)

local bridge = require "bridge"
local now = require "clock"
local payloads = dofile(folder .. "/payloads.lua")

local value = payloads[name][1]
local worker = assert(bridge.worker(function()
  local bridge = require "bridge"
  bridge.serve { echo = function(...) return ... end }
end))

local function one_by_one(count)
  for _ = 1, count do
    assert(worker:call("echo", value))
  end
end

local function in_flight(count)
  local answers = assert(bridge.queue())
  for i = 1, outstanding do
    worker:request(answers, i, "echo", value)
  end
  for i = 1, count - outstanding do
    answers:pop_answer()
    worker:request(answers, i, "echo", value)
  end
  for _ = 1, outstanding do
    local _, good = answers:pop_answer()
    assert(good)
  end
end

local run = outstanding == 1 and one_by_one or in_flight
local count = math.min(20000 * outstanding, 200000)
run(count // 10 + outstanding) -- until both know each other
local begun = now()
run(count)
local ended = now()
assert(worker:close(5))
print(string.format("%.6g", (ended - begun) / count * 1e6))
