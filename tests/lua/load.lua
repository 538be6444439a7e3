-- Many workers open the module at once; objects are dropped under load.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

-- 8 workers, 50 rounds: all open the module, and use it.  They are handed no
-- handle, for which it would be opened before they start.
local chunk = [[
  local n = ...
  local bridge = require "bridge"
  local q <close> = bridge.queue { waker = n % 2 == 0 and "pipe" or "eventfd" }
  local b <close> = bridge.buffer(16)
  for i = 1, 20 do
    q:push(i, b, q:waker(), { n = n })
    collectgarbage("step")
    local first, buffer, waker, rest = q:pop(0)
    assert(first == i and buffer == b and waker == q:waker() and rest.n == n)
  end
  collectgarbage()
  return n, bridge.version
]]
for round = 1, 50 do
  local workers, sum = {}, 0
  for n = 1, 8 do
    workers[n] = bridge.worker(chunk, n)
  end
  for n = 1, 8 do
    local result, version = workers[n]:join(60)
    sum = sum + (result == n and version == bridge.version and n or 0)
  end
  check.equal(sum, 36)
  if round % 10 == 0 then
    collectgarbage()
  end
end

-- Producers and one consumer; nothing is lost, each producer's are in order.
do
  local q <close> = bridge.queue { items = 64 }
  local producers = {}
  for p = 1, 4 do
    producers[p] = bridge.worker([[
      local p, q = ...
      for i = 1, 2000 do
        assert(q:push(p, i, { i }))
        if i % 500 == 0 then collectgarbage() end
      end
      return true
    ]], p, q)
  end
  local last, total = { 0, 0, 0, 0 }, 0
  while total < 8000 do
    local p, i, list = q:pop(60)
    if not p or i ~= last[p] + 1 or list[1] ~= i then
      check.equal(i, last[p] and last[p] + 1)
      break
    end
    last[p] = i
    total = total + 1
  end
  check.equal(total, 8000)
  for p = 1, 4 do
    check.row(table.pack(producers[p]:join(60)), true)
  end
end

-- A thousand handles dropped, and closed by the collector.
for _ = 1, 1000 do
  local q = bridge.queue { waker = "pipe" }
  q:push(q:waker(), bridge.buffer(100))
end
collectgarbage()
collectgarbage()
check.truthy(bridge.waker("pipe")) -- descriptors have come back

-- Workers made and dropped without a join.
local done = bridge.queue()
for i = 1, 100 do
  bridge.worker("local q, i = ... q:push(i)", done, i)
end
collectgarbage()
local sum = 0
for _ = 1, 100 do
  sum = sum + done:pop(60)
end
check.equal(sum, 5050)

check.done()
