-- Story 1: a worker runs a chunk of Lua on a thread of its own; `join` gives what
-- it returns, or tells the error that it raised.  Told in C and Python, too.

local bridge = require "bridge"

local add_up = [[
  local sum = 0
  for _, value in ipairs { ... } do
    sum = sum + value
  end
  return sum, select('#', ...)
]]

local worker = assert(bridge.worker(add_up, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
local total, count = worker:join()
print(("the sum of %d numbers is %d"):format(count, total))
assert(total == 55 and count == 10)

-- A function does as well: it crosses with its upvalues, as a copy.
local factor = 6
print("six times seven is", assert(bridge.worker(function(n)
  return factor * n
end, 7)):join())

-- Failures are nil, a message, a code; an error of a script comes with all that
-- is known about it.
local fail = "local function deep() error('no more tea') end\ndeep()\n"
worker = assert(bridge.worker { fail, name = "tea", chunk_name = "=tea" })
local nothing, message, code, err = worker:join()
print("it failed: " .. message)
local frame = err.frames[2]
print(("in '%s', line %d"):format(frame.name, frame.line))
assert(nothing == nil and code == "ESCRIPT" and err.value == message)
assert(message:find("no more tea") and frame.name == "deep" and frame.line == 1)

-- A worker that must not outlive its scope; and one that is limited.
do
  local short <close> = assert(bridge.worker {
    "local s = 'x' while true do s = s .. s end",
    memory_limit = 1 << 20, libraries = { "base", "string" },
  })
  nothing, message, code = short:join()
  print("it was too greedy: " .. message)
  assert(nothing == nil and code == bridge.status.ENOMEM)
end
