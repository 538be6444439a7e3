-- Lua to Lua by the bridge: workers push, one worker pops.
--
--   send.lua FOLDER NAME PRODUCERS [single|batch|buffer]   values per second

local folder, name, producers, form = ...
producers, form = math.tointeger(producers), form or "single"

local bridge = require "bridge"
local payloads = dofile(folder .. "/payloads.lua")

local count = payloads[name][2] // producers
local queue = assert(bridge.queue { items = 65536 })
local go, done = assert(bridge.queue()), assert(bridge.queue())

local function open(chunk, ...)
  local worker, message = bridge.worker({ chunk, cpath = package.cpath }, ...)
  return assert(worker, message)
end

local consumers = {
  single = function(queue, done, count)
    local now = require "clock"
    done:push("ready")
    for _ = 1, count do
      queue:pop()
    end
    done:push(now())
  end,
  batch = function(queue, done, count)
    local now = require "clock"
    done:push("ready")
    local left = count
    while left > 0 do
      left = left - #queue:pop_batch(256)
    end
    done:push(now())
  end,
}

local function producer(queue, go, done, count, value)
  done:push("ready")
  go:pop()
  for _ = 1, count do
    queue:push(value)
  end
end

local consumer = open(consumers[form], queue, done, count * producers)
local workers = { consumer }
local goes = {}
for i = 1, producers do
  goes[i] = assert(bridge.queue())
  workers[i + 1] =
    open(producer, queue, goes[i], done, count, payloads[name][1])
end
for _ = 1, producers + 1 do
  done:pop()
end
local now = require "clock"
local begun = now()
for i = 1, producers do
  goes[i]:push(true)
end
local ended, text = done:pop(60)
assert(ended, text)
for i = 1, #workers do
  assert(workers[i]:join(60) ~= false)
end
print(string.format("%.6g", count * producers / (ended - begun)))
