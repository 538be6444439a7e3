-- bridge.queue, at its limits.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

-- First in, first out; empty, closed.
local q = bridge.queue()
check.failed("EEMPTY", q:pop(0))
check.failed("EEMPTY", q:pop(-5))
check.failed("ETIMEDOUT", q:pop(0.001))
for i = 1, 3 do
  check.equal(q:push(i, "item"), true)
end
check.equal(#q, 3)
check.truthy(q:bytes() > 0)
check.equal(math.type(q:bytes()), "integer")
check.row(table.pack(q:pop()), 1, "item")
check.row(table.pack(q:pop(0)), 2, "item")
check.equal(q:closed(), false)
check.equal(q:close(), true)
check.equal(q:close(), true)
check.equal(q:closed(), true)
check.failed("ECLOSED", q:push(4))
check.row(table.pack(q:pop()), 3, "item") -- what is in it comes out
check.failed("ECLOSED", q:pop())
check.failed("ECLOSED", q:pop(0))
check.failed("ECLOSED", q:pop_packed(1))
check.failed("ECLOSED", q:pop_batch(3))
check.equal(#q, 0)
check.equal(q:bytes(), 0)

-- A row that begins with nil can be told from a failure.
q = bridge.queue()
q:push(nil, "text", nil)
check.row(table.pack(q:pop(0)), nil, "text", nil)
q:push(nil, nil)
check.equal(q:pop_packed(0), { n = 2 })
q:push()
check.equal(q:pop_packed(), { n = 0 })
check.failed("EEMPTY", q:pop_packed(0))

-- Few values and many, with memory of their own and without.
for n = 1, 20 do
  local numbers, mixed = {}, {}
  for i = 1, n do
    numbers[i] = i % 2 == 0 and i * 1000 or i / 8
    mixed[i] = i == n and "the last" or i % 3 ~= 0 and i % 3 == 1
  end
  q:push(table.unpack(numbers))
  q:push(table.unpack(mixed))
  q:push(table.unpack(numbers))
  check.row(table.pack(q:pop(0)), table.unpack(numbers))
  check.row(table.pack(q:pop(0)), table.unpack(mixed))
  numbers.n = n
  check.equal(q:pop_packed(0), numbers)
end
q:push(1, 2.5, true, false, nil, -1, 1 << 62)
check.row(table.pack(q:pop(0)), 1, 2.5, true, false, nil, -1, 1 << 62)

-- Full, by each policy.
q = bridge.queue { items = 2, full = "fail" }
check.equal(q:push(1) and q:push(2), true)
check.failed("EFULL", q:push(3))
check.failed("EFULL", q:push_timeout(0, 3))
check.failed("ETIMEDOUT", q:push_timeout(0.001, 3))
check.equal(q:dropped(), 0)

q = bridge.queue { items = 2, full = "block", timeout = 0.001 }
check.equal(q:push(1) and q:push(2), true)
check.failed("ETIMEDOUT", q:push(3))
check.row(table.pack(q:pop()), 1)
check.equal(q:push_timeout(nil, 3), true)

q = bridge.queue { items = 2, full = "drop_oldest" }
for i = 1, 5 do
  check.equal(q:push(i), true)
end
check.equal(q:dropped(), 3)
check.equal(math.type(q:dropped()), "integer")
check.row(table.pack(q:pop()), 4)
check.row(table.pack(q:pop()), 5)

q = bridge.queue { bytes = 1000, full = "fail" }
check.failed("ELIMIT", q:push(("x"):rep(2000)))
check.equal(q:push(("x"):rep(500)), true)
check.failed("EFULL", q:push(("x"):rep(600)))

-- Batches.
q = bridge.queue()
check.failed("EEMPTY", q:pop_batch(10, 0))
check.failed("ETIMEDOUT", q:pop_batch(10, 0.001))
for i = 1, 600 do
  q:push(i, nil)
end
check.equal(q:pop_batch(2), { { 1, n = 2 }, { 2, n = 2 } })
local seen = 2
while seen < 600 do
  local batch = q:pop_batch(math.maxinteger, 0)
  for i = 1, #batch do
    seen = seen + 1
    if batch[i][1] ~= seen then
      check.equal(batch[i][1], seen)
    end
  end
end
check.equal(seen, 600)
check.failed("EEMPTY", q:pop_batch(nil, 0))
check.raises("is not from 1", q.pop_batch, q, 0)
check.raises("is not from 1", q.pop_batch, q, -1)

-- Loops.
for i = 1, 3 do
  q:push(i, i * i)
end
q:close()
local sum = 0
for value, square in q:values() do
  sum = sum + value + square
end
check.equal(sum, 6 + 14)
q = bridge.queue()
q:push(nil, 1)
q:push()
q:close()
check.raises("begins with nil", function()
  for _ in q:values() do end
end)
check.equal(#q, 2) -- and it is still there
local packed = {}
for message in q:messages() do
  packed[#packed + 1] = message
end
check.equal(packed, { { n = 2, [2] = 1 }, { n = 0 } })

-- Wakers: each kind, and one that was made before.
for _, kind in ipairs { "default", "eventfd", "pipe", "udp" } do
  local queue <close> = bridge.queue { waker = kind }
  local waker = queue:waker()
  check.truthy(kind == "default" or waker:kind() == kind)
  check.truthy(waker:fileno() > 2)
  check.equal(queue:fileno(), waker:fileno())
  check.equal(queue:getfd(), waker:fileno())
  check.failed("ETIMEDOUT", waker:wait(0))
  queue:push(1)
  check.equal(waker:wait(10), true)
  check.row(table.pack(queue:pop(0)), 1)
  check.failed("EEMPTY", queue:pop(0))
  check.failed("ETIMEDOUT", waker:wait(0))
end
do
  local queue <close> = bridge.queue { waker = "condition" }
  check.equal(queue:waker():kind(), "condition")
  check.failed("EUNSUPPORTED", queue:fileno())
  local waker = bridge.waker "pipe"
  local other = bridge.queue { waker = waker }
  check.truthy(other:waker() == waker)
  check.failed("EBUSY", bridge.queue { waker = waker })
end

-- <close>, tostring, equality, length.
local kept
do
  local queue <close> = bridge.queue()
  kept = queue
  check.truthy(tostring(queue):match("^bridge.Queue: .*%(0 messages%)$"))
  queue:push(1)
  check.equal(#queue, 1)
end
check.truthy(kept:closed())
check.truthy(tostring(kept):match("%(1 messages, closed%)$"))
check.equal(getmetatable(kept), "bridge.Queue")
check.raises("index", function() kept.field = 1 end)
check.equal(kept.field, nil)

-- Options that are wrong.
check.raises("queue.lua:%d+: bridge.queue: unknown option 'item'", function()
  bridge.queue { item = 3 }
end)
check.raises("unknown option '1'", bridge.queue, { 5 })
check.raises("options expected", bridge.queue, 5)
check.raises("'items': a whole number", bridge.queue, { items = -1 })
check.raises("'items': a whole number", bridge.queue, { items = 1.5 })
check.raises("'items': a whole number", bridge.queue, { items = "3" })
for _, name in ipairs { "items", "bytes" } do
  check.raises("queue.lua:%d+: bridge.queue: option '" .. name ..
               "': a whole number from 1 on expected, got 0",
               function() bridge.queue { [name] = 0 } end)
  check.raises("from 1 on expected, got %-3", bridge.queue, { [name] = -3 })
  check.raises("which is too large", bridge.queue, { [name] = 2^63 })
end
check.raises("'full': one of", bridge.queue, { full = "explode" })
check.raises("'waker': one of .* or a bridge.Waker", bridge.queue,
             { waker = "callback" })
check.raises("'waker'", bridge.queue, { waker = kept })
check.raises("'timeout': seconds", bridge.queue, { timeout = 0 / 0 })
check.raises("'items': .* is more than", bridge.queue, { items = math.maxinteger })
check.raises("'bytes': .* is more than", bridge.queue, { bytes = math.maxinteger })

check.done()
