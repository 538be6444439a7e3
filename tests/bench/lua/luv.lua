-- The same by lua-luv's work: a value goes to a thread of libuv's pool, and its
-- result comes back into the loop.  So what is counted has gone both ways.
--
--   luv.lua PROGRAMS NAME send|call

local common = dofile(arg[0]:match("^(.*)/") .. "/common.lua")
local programs, name, what = ...
local now = common.programs(programs)
local uv = common.peer "luv"

local value, total, unit = common.payload(name)
local came = 0
local work

if what == "send" then
  total = math.min(total, 200000)
  work = uv.new_work(function(given) return given end, function(given)
    assert(given == value)
    came = came + 1
  end)
  local begun = now()
  for _ = 1, total do
    work:queue(value)
  end
  uv.run()
  assert(came == total)
  common.print(total * unit / (now() - begun))
else
  local count = 5000
  work = uv.new_work(function(given) return given end, function()
    came = came + 1
    if came < count then
      work:queue(value)
    end
  end)
  local begun = now()
  work:queue(value)
  uv.run()
  assert(came == count)
  common.print((now() - begun) / count * 1e6)
end
