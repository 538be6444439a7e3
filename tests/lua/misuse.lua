-- Wrong arguments raise an error that says what was wanted; nothing crashes.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"
local core = require "bridge.core"

local objects = {
  Buffer = bridge.buffer(8),
  Queue = bridge.queue(),
  Waker = bridge.waker "condition",
  Worker = bridge.worker "return 1",
}
objects.Worker:join()

-- What is no object at all, or another one's.
local light = debug.upvalueid(function() return light end, 1) -- light userdata
local impostor = setmetatable({}, { __name = "bridge.Queue" })
local strangers = { 1, 1.5, "x", true, {}, print, io.stdout, io.stdin,
                    coroutine.create(print), impostor }
if type(light) == "userdata" then
  strangers[#strangers + 1] = light
end

local tried = 0
for class, methods in pairs(core.methods) do
  for name, method in pairs(methods) do
    if name ~= "dirty" and name ~= "events" then
      for _, stranger in ipairs(strangers) do
        tried = tried + 1
        local good, text = pcall(method, stranger, 1, "x")
        if good or not tostring(text):find("expected") and
           not tostring(text):find("attempt to") then
          check.raises("bridge." .. class, method, stranger)
        end
      end
      for other, object in pairs(objects) do
        if other ~= class then
          local good = pcall(method, object, 1, "x")
          tried = tried + 1
          if good then
            check.equal(class .. "." .. name .. "(" .. other .. ")", "raises")
          end
        end
      end
      local good = pcall(method)
      check.equal(good, false)
    end
  end
end
check.truthy(tried > 300)

-- At the caller's own line, also where a function of init.lua hands it on.
for name, misuse in pairs {
  counter = function() bridge.counter "x" end,
  flag = function() bridge.flag(3) end,
  select = function() bridge.select { 1 } end,
  set_limit = function() bridge.channel():set_limit(-1) end,
  wait = function() bridge.flag():wait "x" end,
  set_name = function() bridge.flag():set_name {} end,
} do
  check.raises("misuse%.lua:%d+: bad argument #1 to '" .. name .. "'", misuse)
end

local q = objects.Queue
check.raises("misuse.lua:%d+: bad argument #1 to '[%w.]*push' " ..
             "%(bridge.Queue expected, got FILE%*%)",
             function() q.push(io.stdout) end)
check.raises("calling 'push' on bad self",
             function() local s = { push = q.push } s:push() end)
check.raises("bridge.Queue expected, got bridge.Buffer",
             q.push, objects.Buffer, 1)
check.raises("bridge.Queue expected, got no value", q.push)
check.raises("bridge.Queue expected, got nil", q.closed, nil)

-- Times.
for _, wrong in ipairs { "1", true, {}, print } do
  check.raises("seconds or nil expected", q.pop, q, wrong)
  check.raises("seconds or nil expected", q.push_timeout, q, wrong, 1)
  check.raises("seconds or nil expected", objects.Worker.join, objects.Worker,
               wrong)
  check.raises("seconds or nil expected", objects.Worker.close, objects.Worker,
               wrong)
end
check.raises("not%-a%-number", q.pop, q, 0 / 0)
for _, limit in ipairs { "timeout", "cpu", "call_timeout", "call_cpu" } do
  for _, wrong in ipairs { -1, -math.huge, 0 / 0, "1" } do
    check.raises("'" .. limit .. "': seconds", bridge.worker,
                 { "return 1", [limit] = wrong })
  end
  for _, none in ipairs { 0, 0.0, math.huge } do
    check.equal(bridge.worker { "local n = 0 for i = 1, 1e6 do n = n + 1 end return n",
                                [limit] = none }:join(30), 1000000)
  end
end
check.raises("worker:cancel: one of", function()
  objects.Worker:cancel("hard")
end)
q:push(1)
check.row(table.pack(q:pop(math.huge)), 1)
check.failed("EEMPTY", q:pop(-math.huge))
check.failed("EEMPTY", q:pop(math.mininteger))
q:push(2)
check.row(table.pack(q:pop(math.maxinteger)), 2)

-- Finalizers and metatables are out of reach, and harmless for who has the debug
-- library.
for name, object in pairs(objects) do
  check.equal(getmetatable(object), "bridge." .. name)
  check.equal(pcall(setmetatable, object, {}), false)
end
local victim = bridge.queue()
local meta = debug.getmetatable(victim)
meta.__gc(victim)
meta.__gc(victim)
check.equal(tostring(victim), "bridge.Queue: released")
check.raises("released", victim.push, victim, 1)
check.raises("released", victim.close, victim)
check.raises("released", victim.waker, victim)
check.raises("argument 1: a", q.push, q, victim)
check.raises("released", function() return #victim end)
check.equal(victim == bridge.queue(), false)
check.equal(pcall(meta.__close, victim), true)
meta.__gc(io.stdout)
meta.__gc({})
meta.__gc(nil)
check.equal(pcall(meta.__close, io.stdout), true)
check.raises("expected", meta.__tostring, io.stdout)
check.raises("released", meta.__len, io.stdout)
check.equal(meta.__eq(io.stdout, io.stdin), false)
local workers = debug.getmetatable(objects.Worker)
check.equal(workers.__index(io.stdout, "name"), nil)
check.equal(workers.__index(objects.Worker, {}), nil)
workers.__gc(objects.Worker)
check.equal(objects.Worker.name, "")
check.equal(objects.Worker.id, 0)
check.raises("released", objects.Worker.join, objects.Worker)

-- Options count as they stand in the table: what its metamethods would say is not
-- asked for, neither when they are checked nor later.
local function sly(table, hidden)
  return setmetatable(table, {
    __index = hidden, __len = function() return 1 end,
    __pairs = function() error "asked" end,
  })
end
for _, hidden in ipairs { objects.Buffer, io.stdout, 5, "x" } do
  local w = bridge.worker(sly({ "return 1" }, { binary_chunks = hidden,
                                               memory_limit = hidden,
                                               file = hidden }))
  check.row(table.pack(w:join()), 1)
  check.equal(bridge.queue(sly({}, { items = hidden, full = hidden })):push(1),
              true)
  w = bridge.worker { "return string", libraries = sly({}, { hidden }) }
  check.row(table.pack(w:join()), nil)
end

-- Any argument of anything in the core may be a stranger.
local strange = { io.stdout, objects.Buffer, objects.Queue, q:waker(),
                  objects.Worker, function() end, {}, coroutine.create(print) }
local function worker_with(place, stranger)
  local row = { "n", "return 1", "n", nil, "thread", "default", 0, 0, 0, "", "",
                "", 0, 0, 0, 0, false, true, nil, "block", "normal", 0, nil, false,
                nil, nil, nil, nil, core.pack() }
  row[place] = stranger
  return core.Worker(table.unpack(row, 1, 29))
end
check.row(table.pack(worker_with(4, nil):join()), 1)
local log_place = 19 -- where a queue is right
for place = 1, 29 do
  for _, stranger in ipairs(strange) do
    if place ~= log_place or stranger ~= objects.Queue then
      check.raises("bad argument #" .. place .. " .*expected", worker_with,
                   place, stranger)
    end
  end
end
check.raises("true or false expected, got userdata", worker_with, 17, io.stdout)
check.raises("true or false expected, got number", worker_with, 18, 1)

-- Every function that can be reached from the core without the debug library, but
-- for those that would wait.
local waits = { ["core.sleep"] = true, ["core.methods.Waker.wait"] = true }
q:close()
local seen = {}
local function reach(value, name)
  if seen[value] then
    return
  end
  if type(value) == "table" then
    seen[value] = true
    for key, each in next, value do
      reach(each, name .. "." .. tostring(key))
    end
    local meta = getmetatable(value)
    if type(meta) == "table" then
      reach(meta, name .. "!")
    end
  elseif type(value) == "function" and not waits[name] then
    seen[value] = true
    for _, stranger in ipairs(strange) do
      pcall(value, stranger)
      pcall(value, stranger, stranger)
      pcall(value, stranger, "x", stranger)
      pcall(value, stranger, 1, stranger, stranger, stranger, stranger)
    end
    check.truthy(true) -- and is still here
  end
end
reach(core, "core")
for _, object in ipairs(strange) do
  check.truthy(tostring(object))
end

-- Sums wrap around, as Lua's do.
check.row(table.pack(core.shift(math.maxinteger, "x", 1)), "x", math.mininteger)
check.row(table.pack(core.shift(math.mininteger, -1)), math.maxinteger)

-- Misuse is told of the line that does it, and by the name that stands there.
do
  local w = bridge.worker "return require 'bridge'.serve {}"
  local c = bridge.counter()
  local function misuse(text, f, ...)
    check.raises("misuse%.lua:%d+: " .. text, f, ...)
  end
  misuse("bad argument #1 to 'counter' %(a whole number", function() bridge.counter "x" end)
  misuse("bad argument #1 to 'flag' %(true or false", function() bridge.flag(3) end)
  misuse("bad argument #1 to 'set_limit'", function() bridge.channel():set_limit(-1) end)
  misuse("bad argument #1 to 'select' %(item 1 is", function() bridge.select { 1 } end)
  misuse("bad argument #1 to 'select' %(a queue", function() bridge.select {} end)
  misuse("bad argument #2 to 'select'", function() bridge.select({ q }, "x") end)
  misuse("bad argument #1 to 'close' %(seconds", function() w:close "x" end)
  misuse("bad argument #1 to 'step'", function() w:step "x" end)
  misuse("bad argument #1 to 'wait'", function() bridge.waker():wait "x" end)
  misuse("bad argument #1 to 'wait'", function() bridge.flag():wait "x" end)
  misuse("bad argument #1 to 'wait' %(one of", function() c:wait("=", 1) end)
  misuse("bad argument #1 to 'stop' %(no argument expected", function() w:stop(1) end)
  misuse("bad argument #1 to 'stop' %(bridge.Worker expected, got no value",
         function() w.stop() end)
  misuse("bad argument #1 to 'set' %(a whole number", function() c:set() end)
  misuse("bad argument #2 to 'set' %(no argument", function() c:set(1, 2) end)
  misuse("bridge.timer: a bridge.Queue or a bridge.Channel",
         function() bridge.timer(w, { after = 1 }) end)
  misuse("bridge.queue: option 'items'.*more than 4194303",
         function() bridge.queue { items = 1 << 22 } end)
  misuse("bridge.queue: option 'bytes'.*more than",
         function() bridge.queue { bytes = (1 << 39) + 1 } end)
  misuse("bridge.worker: option 'inbox_items'.*more than",
         function() bridge.worker { "return 1", inbox_items = 1 << 22 } end)
  misuse("argument 1: a userdata cannot cross", function() q:push(io.stdout) end)
  w:close()
end

-- What the system, or a limit, refuses says which option it was.
do
  local _, text, code = bridge.worker { "return 1", stack_size = 1 << 62 }
  check.equal(code, "ESYSTEM")
  check.truthy(text:find("stack_size", 1, true))
  _, text, code = bridge.worker { "return 1", memory_limit = 1 }
  check.equal(code, "ENOMEM")
  check.truthy(text:find("memory_limit", 1, true))
end

-- Too many arguments, and the core by itself.
check.raises("expected", q.close, q, 1)
check.raises("", core.Queue)
check.raises("", core.Queue, -1, 0, "block", nil, nil, "pipe")
check.raises("", core.Queue, 2^70, 0, "block", nil, nil, "pipe")
check.raises("bridge.Waker expected", core.Queue, 0, 0, "block", nil, q, "pipe")
check.raises("one of", core.Queue, 0, 0, "blok", nil, nil, "pipe")
check.raises("a name expected", core.Queue, 0, 0, 1, nil, nil, "pipe")
check.raises("", core.Worker)
check.raises("", core.Buffer, "x")
check.raises("", core.copied, 5)
check.raises("", core.no_such_function)

check.done()
