-- Story 3: workers push into one queue, and the host waits for it in its own
-- event loop.  Told in C and Python, too.

local bridge = require "bridge"

local WORKERS, EACH = 3, 1000

local producer = [[
  local number, count, queue = ...
  for step = 1, count do
    assert(queue:push(number, step))
  end
]]

-- The loop of this program: LuaSocket's select, if it is installed.  It takes any
-- object that has getfd() and dirty(), as the waker of a queue does.
local has_socket, socket = pcall(require, "socket")

local function wait_readable(waker)
  if has_socket then
    socket.select({ waker }, nil)
  else
    assert(waker:wait())
  end
end

-- First in, first out, for each who pushes.
local function check_order(last, number, step)
  assert(step == last[number] + 1)
  last[number] = step
  return last[1] + last[2] + last[3] == WORKERS * EACH
end

-- Pop until EEMPTY: that promises that the next push wakes again.
local function by_waker(queue, last)
  local waker, done = queue:waker(), false
  while not done do
    wait_readable(waker)
    local number, step, code = queue:pop(0)
    while number do
      done = check_order(last, number, step)
      number, step, code = queue:pop(0)
    end
    assert(code == "EEMPTY")
  end
end

-- The same for a program that has nothing else to wait for.
local function by_iterating(queue, last)
  for number, step in queue:values() do
    if check_order(last, number, step) then
      queue:close() -- which ends the loop
    end
  end
end

for _, listen in ipairs { by_waker, by_iterating } do
  -- Bounded: who pushes into a full queue waits.
  local queue <close> = assert(bridge.queue { items = 64, waker = "default" })
  local workers, last = {}, { 0, 0, 0 }
  for number = 1, WORKERS do
    workers[number] = assert(bridge.worker(producer, number, EACH, queue))
  end
  listen(queue, last)
  for number, worker in ipairs(workers) do
    assert(select("#", worker:join()) == 0)
    print(("worker %d pushed %d messages"):format(number, last[number]))
  end
end
