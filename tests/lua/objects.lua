-- The registry of all objects: listed, found, named and closed from anywhere.
local bridge = require "bridge"
local check = require "check"

-- Those of a kind, in the order in which they were made.
local function all(kind)
  local list = {}
  for _, each in ipairs(bridge.objects()) do
    if each.kind == kind then
      list[#list + 1] = each
    end
  end
  return list
end

check.equal(bridge.objects(), {})

-- ---- Each kind ---------------------------------------------------------------------

local q = bridge.queue { name = "jobs" }
local c = bridge.channel { name = "news" }
local n = bridge.counter(7, "done")
local f = bridge.flag(true, "go")
local m = bridge.mutex "file"
local t = bridge.timer(c, { after = 3600, name = "soon" }, 1)
local w = bridge.worker { "return require('bridge').serve {}", name = "server" }

local made = { q, c, n, f, m, t, w }
local kinds =
  { "queue", "channel", "counter", "flag", "mutex", "timer", "worker" }
local names = { "jobs", "news", "done", "go", "file", "soon", "server" }
local found = bridge.objects()
check.equal(#found, #made)
local last = 0
for i, each in ipairs(found) do
  check.equal(each.kind, kinds[i])
  check.equal(each.name, names[i])
  check.equal(each.object, made[i])
  check.equal(each.closed, false)
  check.truthy(each.id > last)
  last = each.id
  check.equal(bridge.find_object(each.id), made[i])
  check.equal(bridge.find_object(each.name), made[i])
  check.equal(bridge.find_object(each.name, each.kind), made[i])
  check.equal(bridge.find_object(each.id, each.kind), made[i])
  check.equal(bridge.find_object(each.name, "buffer"), nil)
  check.equal(bridge.find_object(each.id, "buffer"), nil)
end
check.equal(found[7].id, w.id)
for _, name in ipairs { false, "x" } do
  name = name or nil
  check.equal(select("#", bridge.queue { name = name }), 1)
  check.equal(select("#", bridge.channel { name = name }), 1)
  check.equal(select("#", bridge.counter(0, name)), 1)
  check.equal(select("#", bridge.flag(false, name)), 1)
  check.equal(select("#", bridge.mutex(name)), 1)
  check.equal(select("#", bridge.timer(bridge.queue(), { after = 0, name = name })), 1)
end
check.equal(bridge.find_object "nobody", nil)
check.equal(bridge.find_object(0), nil)
check.equal(bridge.find_object(-1), nil)
found = nil
collectgarbage()

q:push("some", "bytes")
local function own(object)
  local info = object:info()
  info.id = nil
  return info
end
check.equal(own(q), {
  kind = "queue", name = "jobs", references = 0, closed = false, items = 1,
  bytes = q:bytes(),
})
check.equal(own(c), {
  kind = "channel", name = "news", references = 1, closed = false, items = 0,
  bytes = 0,
})
check.equal(own(n), {
  kind = "counter", name = "done", references = 0, closed = false, value = 7,
})
check.equal(own(f), {
  kind = "flag", name = "go", references = 0, closed = false, value = true,
})
m:lock()
check.equal(own(m), {
  kind = "mutex", name = "file", references = 0, closed = false, value = true,
})
m:unlock()
check.equal(own(t), {
  kind = "timer", name = "soon", references = 1, closed = false, value = 0,
  target = c:info().id,
})
for i = 1, 6 do
  check.equal(made[i]:set_name "another", true)
  check.equal(made[i]:info().name, "another")
  check.equal(bridge.find_object "another", made[i])
  check.equal(made[i]:set_name(nil), true)
  check.equal(made[i]:info().name, "")
  for _ = 1, 2 do
    check.equal(made[i]:close(), true)
    check.equal(made[i]:info().closed, true)
    check.equal(made[i]:closed(), true)
  end
end
check.failed("EALREADY", t:cancel())
w:close()

-- ---- Misuse ------------------------------------------------------------------------

local here = "objects%.lua:"
check.raises(here, function() bridge.find_object {} end)
check.raises(here, function() bridge.find_object(1.5) end)
check.raises(here, function() bridge.find_object("x", "nothing") end)
check.raises(here, function() bridge.queue { name = 7 } end)
check.raises(here, function() bridge.counter(0, 7) end)
check.raises(here, function() bridge.flag(false, "a\0b") end)
check.raises(here, function() bridge.mutex {} end)
check.raises(here, function() q:set_name {} end)
check.raises(here, function() q.info(7) end)
check.raises(here, function() q.info(w) end)
check.raises(here, function() q.set_name(bridge.buffer "x", "name") end)

-- ---- Those of which nobody has a handle ----------------------------------------------

made, q, c, n, f, m, t, w = nil, nil, nil, nil, nil, nil, nil, nil
collectgarbage()
collectgarbage()
check.eventually(function() -- the worker's thread has it for a moment
  return #bridge.objects() == 0
end)

-- A timer that goes on without its handle.
c = bridge.channel()
bridge.timer(c, { every = 0.001, name = "lost" }, "tick")
collectgarbage()
check.equal(c:receive(20), "tick")
t = bridge.find_object "lost"
check.truthy(t:info().value >= 1)
check.equal(t:info().target, c:info().id)
check.equal(t:close(), true)
t = nil
collectgarbage()
check.equal(bridge.find_object "lost", nil)

-- Queues within each other.
do
  local one, two = bridge.queue(), bridge.queue()
  one:push(two)
  two:push(one)
end
collectgarbage()
found = all "queue"
check.equal(#found, 2)
for _, each in ipairs(found) do
  check.equal(each.references, 1)
  check.equal(each.items, 1)
end
check.equal(found[1].object:discard(), true)
found = nil
collectgarbage()
check.equal(all "queue", {})

-- A flag that a worker waits for, and hides from everybody: ended by a third.
w = bridge.worker [[
  return require("bridge").flag(false, "secret"):wait()
]]
repeat
  f = bridge.find_object("secret", "flag")
until f
check.equal(f:close(), true)
check.failed("ECLOSED", w:join(20))

-- It finds itself, however early it looks.
for _ = 1, 200 do
  w = bridge.worker { [[return require("bridge").find_object("itself") ~= nil]],
                      name = "itself" }
  check.equal(w:join(30), true)
end

-- What a worker is made of is not there; what it makes itself is.
w = bridge.worker [[
  local bridge = require "bridge"
  local q = bridge.queue { name = "within" }
  return bridge.serve { look = function()
    local count = 0
    for _, each in ipairs(bridge.objects()) do
      count = count + (each.kind == "queue" and 1 or 0)
    end
    return count, bridge.find_object("within", "queue")
  end }
]]
local count
count, q = w:call "look"
check.equal(count, 1)
check.equal(q:info().name, "within")
w:close()

check.done()
