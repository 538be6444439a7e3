-- bridge.waker: every kind, and what event loops ask of it.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

for _, kind in ipairs { "default", "eventfd", "pipe", "udp", "condition" } do
  local w <close> = bridge.waker(kind)
  check.truthy(kind == "default" and w:kind() ~= "default" or
               w:kind() == kind)
  check.failed("ETIMEDOUT", w:wait(0))
  check.failed("ETIMEDOUT", w:wait(-1))
  check.failed("ETIMEDOUT", w:wait(0.001))
  check.equal(w:raise(), true)
  check.equal(w:raise(), true)
  check.equal(w:wait(), true)
  check.equal(w:wait(0), true) -- it stays raised
  check.equal(w:clear(), true)
  check.equal(w:clear(), true)
  check.failed("ETIMEDOUT", w:wait(0))

  check.equal(w:dirty(), false)
  check.equal(w:events(), "r")
  if kind == "condition" then
    check.failed("EUNSUPPORTED", w:fileno())
    check.failed("EUNSUPPORTED", w:getfd())
  else
    check.equal(math.type(w:fileno()), "integer")
    check.truthy(w:fileno() > 2)
    check.equal(w:getfd(), w:fileno())
    check.equal(w:pollfd(), w:fileno())
  end

  -- Raised by another thread.
  local thread = bridge.worker(function(waker) waker:raise() end, w)
  check.equal(w:wait(30), true)
  check.row(table.pack(thread:join(30)))

  check.equal(w:close(), true)
  check.equal(w:close(), true)
  check.failed("ECLOSED", w:raise())
  check.failed("ECLOSED", w:clear())
  check.failed("ECLOSED", w:wait(0))
  check.failed("ECLOSED", w:wait())
  if kind ~= "condition" then
    check.failed("ECLOSED", w:fileno())
  end
end

-- Closing wakes who waits.
do
  local w = bridge.waker()
  local ready = bridge.queue()
  local thread = bridge.worker(function(waker, queue)
    queue:push("waiting")
    return select(3, waker:wait())
  end, w, ready)
  check.row(table.pack(ready:pop(30)), "waiting")
  w:close()
  check.row(table.pack(thread:join(30)), "ECLOSED")
end

local kept
do
  local w <close> = bridge.waker("eventfd")
  kept = w
  check.truthy(tostring(w):match("^bridge.Waker: .*%(eventfd%)$"))
end
check.failed("ECLOSED", kept:raise())

check.raises("waker.lua:%d+: bridge.waker: one of", function()
  bridge.waker("callback")
end)
check.raises("one of", bridge.waker, "nonsense")
check.raises("one of", bridge.waker, 3)
check.raises("one of", bridge.waker, {})
check.raises("seconds or nil expected", kept.wait, kept, "1")
check.raises("not%-a%-number", kept.wait, kept, 0 / 0)

-- LuaSocket's select takes a waker as it is.
local found, socket = pcall(require, "socket")
if found then
  local w = bridge.waker()
  check.equal(#socket.select({ w }, nil, 0), 0)
  w:raise()
  check.truthy(socket.select({ w }, nil, 10)[w])
end

-- And cqueues polls it.
local cqueues
found, cqueues = pcall(require, "cqueues")
if found then
  local w, woken = bridge.waker(), false
  local loop = cqueues.new()
  loop:wrap(function()
    cqueues.poll(w)
    woken = true
  end)
  check.truthy(loop:step(0))
  check.equal(woken, false)
  w:raise()
  check.truthy(loop:loop(30))
  check.equal(woken, true)
end

check.done()
