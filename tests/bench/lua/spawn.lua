-- A worker that is made from Lua, runs a chunk and is joined: microseconds each.
--
--   spawn.lua PROGRAMS [COUNT]

local common = dofile(arg[0]:match("^(.*)/") .. "/common.lua")
local programs, count = ...
count = math.tointeger(count) or 3000

local now = common.programs(programs)
local bridge = require "bridge"

local function once()
  local worker = assert(bridge.worker "local a, b = 20, 22 return a + b")
  assert(worker:join() == 42)
end

for _ = 1, count // 20 + 1 do
  once()
end
local start = now()
for _ = 1, count do
  once()
end
common.print((now() - start) / count * 1e6)
