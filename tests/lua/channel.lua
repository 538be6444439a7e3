-- Channels, select, counters, flags, mutexes and timers, at their limits.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

-- ---- Channel ----------------------------------------------------------------

-- As a queue: first in, first out; empty, closed.
local c = bridge.channel()
check.failed("EEMPTY", c:receive(0))
check.failed("EEMPTY", c:receive(-5))
check.failed("ETIMEDOUT", c:receive(0.001))
for i = 1, 3 do
  check.equal(c:send(i, "item"), true)
end
check.equal(#c, 3)
check.truthy(c:bytes() > 0)
check.row(table.pack(c:peek()), 1, "item")
check.row(table.pack(c:receive()), 1, "item")
check.equal(c:peek_packed(), { n = 2, 2, "item" })
check.equal(c:receive_packed(), { n = 2, 2, "item" })
check.equal(c:closed(), false)
check.equal(c:close(), true)
check.equal(c:close(), true)
check.equal(c:closed(), true)
check.equal(c:closed("receiving"), false)
check.failed("ECLOSED", c:send(4))
check.row(table.pack(c:receive()), 3, "item")
check.failed("ECLOSED", c:receive())
check.failed("ECLOSED", c:peek())
check.failed("ECLOSED", c:receive_batch())
check.failed("ECLOSED", c:discard())

-- Bounds, which may change.
c = bridge.channel { items = 2, full = "fail" }
check.row(table.pack(c:limit()), 2, 64 << 20)
c:send(1)
c:send(2)
check.failed("EFULL", c:send(3))
check.failed("ETIMEDOUT", c:send_timeout(0.001, 3))
check.equal(c:set_limit(3), true)
check.equal(c:send(3), true)
check.equal(c:set_limit(nil, 1000), true)
check.row(table.pack(c:limit()), 3, 1000)
check.equal(c:receive_batch(2), { { n = 1, 1 }, { n = 1, 2 } })
check.equal(c:clear(), 1)
check.equal(c:clear(), 0)
check.failed("ELIMIT", c:send(("x"):rep(2000)))
c = bridge.channel { items = 1, full = "drop_oldest" }
for i = 1, 4 do
  c:send(i)
end
check.equal(c:dropped(), 3)
check.equal(c:receive(), 4)

-- Loops.
c = bridge.channel()
c:send("a", 1)
c:send(nil)
c:close()
local seen = {}
for message in c:messages() do
  seen[#seen + 1] = message
end
check.equal(seen, { { n = 2, "a", 1 }, { n = 1 } })
c = bridge.channel()
c:send "a"
c:send "b"
c:close()
seen = {}
for value in c:values() do
  seen[#seen + 1] = value
end
check.equal(seen, { "a", "b" })

-- Discard; closing the end of those who receive.
c = bridge.channel()
check.equal(c:discard(), false)
c:send(1)
c:send(2)
check.equal(c:discard(), true)
check.equal(c:close "receiving", true)
check.equal(c:closed "receiving", true)
check.equal(#c, 0)
check.failed("ECLOSED", c:receive())

-- Many workers share one, and it crosses within itself but not into itself.
c = bridge.channel { items = 4 }
local results = bridge.channel()
local workers = {}
for i = 1, 3 do
  workers[i] = bridge.worker(function(from, to)
    for value in from:values() do
      to:send(value * 2)
    end
  end, c, results)
end
local sum = 0
for i = 1, 100 do
  c:send(i)
  sum = sum + 2 * i
end
c:close()
for i = 1, 3 do
  check.equal(workers[i]:join(), nil)
end
check.equal(#results, 100)
for _ = 1, 100 do
  sum = sum - results:receive(0)
end
check.equal(sum, 0)
check.failed("ECYCLE", results:send(results))
check.equal(bridge.channel() == bridge.channel(), false)
results:close()

-- A worker that waits is broken by a cancel, and by a wake.
c = bridge.channel()
local w = bridge.worker(function(from, ready)
  ready:set()
  local value, _, code = from:receive()
  return value, code
end, c, bridge.flag())
local ready = bridge.flag()
w:cancel()
w:join()
w = bridge.worker(function(from, flag)
  flag:set()
  local value, _, code = from:receive()
  return value, code
end, c, ready)
ready:wait()
repeat
  c:wake()
until not w:alive()
check.row(table.pack(w:join()), nil, "EEMPTY")

-- With a waker, for an event loop.
c = bridge.channel { waker = "eventfd" }
check.equal(math.type(c:fileno()), "integer")
check.equal(c:waker():kind(), "eventfd")
check.failed("ETIMEDOUT", c:waker():wait(0))
c:send(1)
check.equal(c:waker():wait(0), true)
check.raises("without a waker", function() bridge.channel():fileno() end)
check.equal(bridge.channel():waker(), nil)

-- Text and scopes.
c = bridge.channel()
check.truthy(tostring(c):find "^bridge.Channel: .*%(0 messages%)$")
do
  local scope <close> = c
  c:send(1)
end
check.truthy(tostring(c):find "%(1 messages, closed%)$")

-- Misuse.
check.raises("unknown option 'size'", function()
  bridge.channel { size = 1 }
end)
check.raises("options expected, got number", function() bridge.channel(1) end)
check.raises('close: one of "sending", "receiving" expected', function() c:close "both" end)
check.raises("bridge.Channel expected", function() c.send(bridge.queue()) end)
check.raises("coroutine", function()
  c:send(coroutine.create(print))
end)

-- ---- Queue: looked at, and dropped unread -------------------------------------

local q = bridge.queue()
check.failed("EEMPTY", q:peek())
check.equal(q:discard(), false)
q:push(1, "one")
q:push(2)
check.row(table.pack(q:peek()), 1, "one")
check.equal(q:peek_packed(), { n = 2, 1, "one" })
check.equal(#q, 2)
check.equal(q:discard(), true)
check.equal(q:pop(), 2)
q:close()
check.failed("ECLOSED", q:peek())
check.failed("ECLOSED", q:discard())

-- ---- Select -------------------------------------------------------------------

local a, b = bridge.channel(), bridge.queue()
check.failed("EEMPTY", bridge.select({ a, b }, 0))
check.failed("ETIMEDOUT", bridge.select({ a, b }, 0.001))
b:push("low", nil)
a:send "high"
check.row(table.pack(bridge.select { a, b }), 1, "high")
check.row(table.pack(bridge.select { a, b }), 2, "low", nil)
w = bridge.worker(function(one, two)
  one:receive()
  two:push "answer"
end, a, b)
a:send "question"
check.row(table.pack(bridge.select { b }), 1, "answer")
w:join()
a:close()
b:push(1)
check.row(table.pack(bridge.select { a, b }), 2, 1)
b:close()
check.failed("ECLOSED", bridge.select { a, b })
local many = {}
for i = 1, 100 do
  many[i] = bridge.channel()
end
many[90]:send(90)
check.row(table.pack(bridge.select(many)), 90, 90)
check.raises("list of queues and channels", function() bridge.select(a) end)
check.raises("in the list", function() bridge.select {} end)
check.raises("item 2", function() bridge.select { a, 7 } end)
check.raises("item 1", function() bridge.select { bridge.flag() } end)
check.truthy(check.failed("EBUSY", bridge.select({ b, b }, 0)):find "list twice")

-- ---- Counter --------------------------------------------------------------------

local n = bridge.counter()
check.equal(n:get(), 0)
check.equal(n:add(5), 5)
check.equal(n:set(-1), 5)
check.row(table.pack(n:exchange(-1, 7)), true)
check.row(table.pack(n:exchange(-1, 8)), false, 7)
check.equal(n:wait("==", 7), 7)
check.equal(n:wait(">=", 6), 7)
check.equal(n:wait("<=", 8), 7)
check.equal(n:wait("~=", 8), 7)
check.failed("ETIMEDOUT", n:wait("==", 8, 0))
check.failed("ETIMEDOUT", n:wait(">=", 8, 0.001))
n:set(math.maxinteger)
check.failed("EOVERFLOW", n:add(1))
check.equal(n:get(), math.maxinteger)
check.truthy(tostring(bridge.counter(12)):find "%(12%)$")
check.raises("whole number", function() bridge.counter(1.5) end)
check.raises("bad argument #1 to 'wait'", function() n:wait(">", 1) end)
n = bridge.counter(10)
w = bridge.worker(function(counter)
  for _ = 1, 1000 do
    counter:add(1)
  end
end, n)
check.truthy(n:wait(">=", 1010) == 1010)
w:join()

-- ---- Flag ------------------------------------------------------------------------

local f = bridge.flag()
check.equal(f:is_set(), false)
check.failed("ETIMEDOUT", f:wait(0))
check.equal(f:set(), true)
check.equal(f:wait(), true)
check.equal(f:clear(), true)
check.equal(f:is_set(), false)
check.equal(bridge.flag(true):is_set(), true)
check.raises("true or false", function() bridge.flag(1) end)
check.truthy(tostring(f):find "%(not set%)$")

-- ---- Mutex -----------------------------------------------------------------------

local m = bridge.mutex()
check.equal(m:locked(), false)
check.row(table.pack(m:lock()), true)
check.equal(m:locked(), true)
check.failed("EDEADLOCK", m:lock(0))
check.equal(m:unlock(), true)
for _, unlock in ipairs { m.unlock, m.abandon } do
  check.truthy(check.failed("EINVAL", unlock(m)):find "does not have the mutex")
end
do
  local guard <close> = m:guard()
  check.equal(m:locked(), true)
  check.failed("EDEADLOCK", m:guard(0))
  check.equal(tostring(guard), "bridge.Guard: locked")
end
check.equal(m:locked(), false)
pcall(function()
  local guard <close> = m:guard()
  error "left by an error"
end)
check.equal(m:locked(), false)
check.row(table.pack(m:with(function(...)
  check.equal(m:locked(), true)
  return ...
end, 1, nil, 3)), 1, nil, 3)
check.equal(m:locked(), false)
local good, text = pcall(m.with, m, function() error({ "mine" }) end)
check.equal(good, false)
check.equal(text, { "mine" })
check.equal(m:locked(), false)
local co = coroutine.wrap(function()
  return m:with(function(value)
    return coroutine.yield(value)
  end, "out")
end)
check.equal(co(), "out")
check.equal(m:locked(), true)
check.equal(co "in", "in")
check.equal(m:locked(), false)

-- Another worker's; one that ends with it.
w = bridge.worker(function(mutex, locked, go)
  mutex:lock()
  locked:set()
  go:wait()
end, m, f, bridge.flag(true))
check.equal(f:wait(), true)
check.row(table.pack(m:lock()), true, "abandoned")
w:join()
check.equal(m:abandon(), true)
local guard, how = m:guard()
check.equal(how, "abandoned")
guard:unlock()
guard:unlock()
check.equal(m:locked(), false)

-- A guard whose coroutine never comes to its end.
do
  local stuck = coroutine.wrap(function()
    local inner <close> = m:guard()
    coroutine.yield()
  end)
  stuck()
end
check.equal(m:locked(), true)
collectgarbage()
collectgarbage()
check.row(table.pack(m:lock(0)), true, "abandoned")
m:unlock()

-- A worker is one owner, with all its coroutines.
w = bridge.worker [[
  local bridge = require "bridge"
  local m = bridge.mutex()
  return bridge.serve {
    hold = function(release)
      return m:with(function() bridge.sleep(release) return "held" end)
    end,
    try = function()
      local good, _, code = m:lock(0)
      return good, code
    end,
  }
]]
q = bridge.queue()
w:request(q, 1, "hold", 3600)
check.row(table.pack(w:call "try"), nil, "EDEADLOCK")
w:cancel()
w:join()

-- ---- Closing what is no message ---------------------------------------------------

do
  local left
  do
    local counter <close> = bridge.counter(3)
    local flag <close> = bridge.flag()
    local mutex <close> = bridge.mutex()
    left = { counter, flag, mutex }
    for _, each in ipairs(left) do
      check.equal(each:closed(), false)
    end
  end
  for _, each in ipairs(left) do
    check.equal(each:closed(), true)
    check.equal(each:close(), true)
    check.truthy(tostring(each):find ", closed%)$")
  end
  local counter, flag, mutex = table.unpack(left)
  check.equal(counter:get(), 3)
  check.equal(counter:wait(">=", 3), 3)
  check.failed("ECLOSED", counter:wait(">=", 4))
  check.failed("ECLOSED", counter:set(1))
  check.failed("ECLOSED", counter:add(1))
  check.failed("ECLOSED", counter:exchange(3, 1))
  check.failed("ECLOSED", flag:wait())
  check.failed("ECLOSED", flag:set())
  check.failed("ECLOSED", flag:clear())
  check.equal(flag:is_set(), false)
  check.failed("ECLOSED", mutex:lock())
  check.failed("ECLOSED", mutex:guard(30))
  check.raises("no guard: the object is closed", mutex.guard, mutex)
  check.failed("ECLOSED", mutex:with(error))
end

-- Whoever waits is woken; who has a mutex keeps it.
for kind, wait in ipairs {
  function(object) return object:wait(">=", 1) end,
  function(object) return object:wait() end,
  function(object) return object:lock() end,
} do
  local object = kind == 1 and bridge.counter() or kind == 2 and bridge.flag()
    or bridge.mutex()
  local began = bridge.flag()
  if kind == 3 then
    object:lock()
  end
  local waiting <close> = bridge.worker(function(call, flag, what)
    flag:set()
    return call(what)
  end, wait, began, object)
  began:wait()
  check.equal(object:close(), true)
  check.failed("ECLOSED", waiting:join(20))
  if kind == 3 then
    check.equal(object:locked(), true)
    check.equal(object:unlock(), true)
  end
end

-- ---- Timer -----------------------------------------------------------------------

c = bridge.channel()
local t = bridge.timer(c, { after = 0.001 }, "tick", nil)
check.row(table.pack(c:receive(20)), "tick", nil)
while t:active() do
  bridge.sleep(0.001)
end
check.equal(t:posted(), 1)
check.equal(t:missed(), 0)
check.failed("EALREADY", t:cancel())
q = bridge.queue()
t = bridge.timer(q, { every = 0.001 }, "again")
for _ = 1, 5 do
  check.equal(q:pop(20), "again")
end
check.equal(t:cancel(), true)
check.equal(t:active(), false)
do
  local scope <close> = bridge.timer(q, { every = 1000 })
  t = scope
  check.truthy(tostring(t):find "%(active, 0 posted%)$")
end
check.equal(t:active(), false)
local soon = bridge.now "wall" + 0.002
bridge.timer(c, { at = soon }, "wall")
check.equal(c:receive(20), "wall")
check.truthy(bridge.now "wall" >= soon - 0.000001)
soon = bridge.now() + 0.002
bridge.timer(c, { at = soon, clock = "steady" }, "steady")
check.equal(c:receive(20), "steady")
check.truthy(bridge.now() >= soon)
check.raises("after and at", function() bridge.timer(c, {}) end)
check.raises("after and at", function() bridge.timer(c, { after = 1, at = 1 }) end)
check.raises("belongs to 'at'", function()
  bridge.timer(c, { after = 1, clock = "wall" })
end)
check.raises("0.0001", function() bridge.timer(c, { every = 0 }) end)
check.raises("options expected", function() bridge.timer(c) end)
check.raises("a bridge.Queue or a bridge.Channel expected", function() bridge.timer(7, { after = 1 }) end)
check.raises("one of", function() bridge.now "moon" end)
check.failed("ECYCLE", bridge.timer(c, { after = 1 }, c))

-- ---- A cancel breaks each wait -----------------------------------------------------

local full = bridge.channel { items = 1 }
full:send(1)
for _, wait in ipairs {
  function() return bridge.channel():receive() end,
  function() return bridge.channel():receive_batch(3) end,
  function() return bridge.select { bridge.channel(), bridge.queue() } end,
  function() return bridge.counter():wait(">=", 1) end,
  function() return bridge.flag():wait() end,
  function(_, locked) return locked:lock() end,
  function(_, locked) return locked:guard() end,
  function(sink) return sink:send(2) end,
} do
  local locked, began = bridge.mutex(), bridge.flag()
  locked:lock()
  local waiting <close> = bridge.worker(function(call, flag, ...)
    bridge = require "bridge" -- that of this state, for `call`, too
    flag:set()
    return call(...) -- says the same, if the script comes so far
  end, wait, began, full, locked)
  began:wait()
  check.equal(waiting:cancel(), true)
  local _, _, code = waiting:join(20)
  check.equal(code, "ECANCELLED")
  check.equal(waiting:phase(), "ended")
end
check.equal(#full, 1)

-- ---- Who is held in its wait takes nothing --------------------------------------

c = bridge.channel()
began = bridge.flag()
local held = bridge.worker({ function(c, began)
  began:set()
  return c:receive()
end }, c, began)
began:wait()
repeat -- "" once it waits
until held:info().running == ""
check.equal(held:pause(), true)
c:send "for others"
check.equal(c:receive(20), "for others")
check.equal(held:resume(), true)
c:send "mine"
check.equal(held:join(20), "mine")

held = bridge.worker({ function(c, began)
  began:clear()
  return c:receive()
end }, c, began)
repeat
until not began:is_set() and held:info().running == ""
held:pause()
c:send "for others"
check.equal(held:cancel(), true)
check.failed("ECANCELLED", held:join(20))
check.equal(c:receive(0), "for others")

-- At the cooperative level the time of a script ends its waits, and nothing else.
held = bridge.worker { [[
  local bridge = require "bridge"
  local value, _, code = bridge.channel():receive()
  assert(value == nil and code == "ETIMEDOUT")
  return bridge.cancelled(), select(3, bridge.flag():wait())
]], timeout = 0.02, stop = "cooperative" }
check.row(table.pack(held:join(20)), true, "ETIMEDOUT")

-- ---- All of them cross -------------------------------------------------------------

q = bridge.queue()
for _, each in ipairs { c, n, f, m, t } do
  q:push { { each } }
  check.equal(q:pop()[1][1], each)
  check.truthy(tostring(each):find "^bridge%.%u%l+: 0x")
end

check.done()
