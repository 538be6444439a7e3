-- Story 5: several workers share the work of two channels, what is urgent first,
-- and the host hears of it by a select.  Told in C and Python, too.

local bridge = require "bridge"

local WORKERS, EACH = 3, 200

-- Whoever is free takes the next job.  `urgent` stands first, so it goes first.
local worker_source = [[
  local bridge = require "bridge"
  local urgent, normal, results, started, mutex, log = ...
  started:wait()
  while true do
    local place, number, code = bridge.select { urgent, normal }
    if not place then
      return assert(code == "ECLOSED" and "done") -- both are closed and empty
    end
    results:send(place, number * number)
    -- One at a time: the others wait, whichever thread they are on.
    mutex:with(function()
      log:set(log:get() + 1) -- in two steps, which nobody may come between
    end)
  end
]]

local urgent, normal = bridge.channel(), bridge.channel { items = 16 }
local results = bridge.channel()
local started, mutex, log = bridge.flag(), bridge.mutex(), bridge.counter()

local workers = {}
for number = 1, WORKERS do
  workers[number] = assert(bridge.worker(worker_source, urgent, normal, results,
                                         started, mutex, log))
end

-- What is urgent is there before anybody begins.
for number = 1, EACH do
  assert(urgent:send(number))
end
local first = assert(urgent:peek()) -- a look; it stays
assert(first == 1 and #urgent == EACH)
started:set()
for number = 1, EACH do
  assert(normal:send(number)) -- waits while 16 are there
end
urgent:close()
normal:close() -- what is inside is received all the same

-- A timer posts to a channel, too: a host that waits for results has a pulse.
local pulse = bridge.channel()
local timer <close> = assert(bridge.timer(pulse, { every = 0.005 }, "tick"))

local sums, count, ticks = { 0, 0 }, 0, 0
while count < 2 * EACH or ticks == 0 do
  local from, place, square = bridge.select { results, pulse }
  if from == 1 then
    sums[place] = sums[place] + square
    count = count + 1
  else
    ticks = ticks + 1
  end
end

for _, worker in ipairs(workers) do
  assert(worker:join() == "done")
end
local expected = EACH * (EACH + 1) * (2 * EACH + 1) // 6
assert(sums[1] == expected and sums[2] == expected)
assert(log:wait("==", 2 * EACH, 10))
print(("%d jobs by %d workers, and %s"):format(count, WORKERS,
      ticks > 0 and "the timer ticked" or "no tick"))
