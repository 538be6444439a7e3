-- Lua to Lua by the bridge: workers push, one worker pops.
--
--   send.lua PROGRAMS NAME PRODUCERS [single|batch|buffer]
--
-- `buffer` sends buffers of NAME bytes, and prints millions a second.

local common = dofile(arg[0]:match("^(.*)/") .. "/common.lua")
local programs, name, producers, form = ...
producers, form = math.tointeger(producers), form or "single"

local now = common.programs(programs)
local bridge = require "bridge"

local value, total, unit
if form == "buffer" then
  value, total, unit = bridge.buffer(math.tointeger(name)), 400000, 1e-6
else
  value, total, unit = common.payload(name)
end
local each = total // producers

local function consume(queue, done, count)
  local now = require "lua_clock"
  done:push(true)
  for _ = 1, count do
    queue:pop()
  end
  done:push(now())
end

local function consume_batches(queue, done, count)
  local now = require "lua_clock"
  done:push(true)
  while count > 0 do
    count = count - #queue:pop_batch(256)
  end
  done:push(now())
end

local function produce(queue, go, done, count, value)
  done:push(true)
  go:pop()
  for _ = 1, count do
    queue:push(value)
  end
end

local function open(chunk, ...)
  return assert(bridge.worker({ chunk, cpath = package.cpath }, ...))
end

local queue, done = assert(bridge.queue()), assert(bridge.queue())
local consumer = form == "batch" and consume_batches or consume
local workers = { open(consumer, queue, done, each * producers) }
local gates = {}
for i = 1, producers do
  gates[i] = assert(bridge.queue())
  workers[i + 1] = open(produce, queue, gates[i], done, each, value)
end
for _ = 1, producers + 1 do
  assert(done:pop(60))
end

local begun = now()
for i = 1, producers do
  gates[i]:push(true)
end
local ended = assert(done:pop(60))
for i = 1, #workers do
  local _, message, code = workers[i]:join(60)
  assert(not code, message)
end
common.print(each * producers * unit / (ended - begun))
