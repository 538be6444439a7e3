-- The same by lua-cqueues: a thread writes text into a socket, which has no types.
--
--   cqueues.lua PROGRAMS NAME send|call

local common = dofile(arg[0]:match("^(.*)/") .. "/common.lua")
local programs, name, what = ...
local now = common.programs(programs)
common.peer "cqueues"
local thread = require "cqueues.thread"

local value, total, unit = common.payload(name)
total = math.min(total, 400000)

local function sender(socket, value, count)
  socket:setmode("b", "bf")
  for _ = 1, math.tointeger(count) do
    socket:write(value, "\n")
  end
  socket:flush()
  socket:close()
end

local function echo(socket)
  socket:setmode("b", "bn")
  for line in socket:lines() do
    socket:write(line, "\n")
  end
end

-- A number comes as a line, of a string is known how long it is.
local function receive(socket)
  if math.type(value) == "integer" then
    return math.tointeger(socket:read("*l"))
  end
  local text = socket:read(#value)
  socket:read(1)
  return text
end

if what == "send" then
  local begun = now()
  local _, socket = thread.start(sender, tostring(value), tostring(total))
  socket:setmode("b", "b")
  for _ = 1, total do
    assert(receive(socket) == value)
  end
  common.print(total * unit / (now() - begun))
else
  local count = 5000
  local _, socket = thread.start(echo)
  socket:setmode("b", "bn")
  local begun = now()
  for _ = 1, count do
    socket:write(value, "\n")
    assert(receive(socket) == value)
  end
  common.print((now() - begun) / count * 1e6)
end
