-- What is known of workers and of their errors, as a Lua host sees it.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local chunk = [[
  local bridge, other = require "bridge", ...
  bridge.serve {
    fail = function(value) error(value, 0) end,
    table = function(...)
      local good, _, _, e = other:call(...)
      if not good then error(e) end
    end,
    text = function(...) assert(other:call(...)) end,
    shown = function(...)
      local _, _, _, e = other:call(...)
      return e.traceback, e.caller, e.worker, e.value
    end,
    nap = function() bridge.sleep(1000) end,
  }
]]
local far <close> = bridge.worker { chunk, name = "far" }
local near <close> = bridge.worker({ chunk, name = "near" }, far)

-- The value crosses as it was raised.
do
  local value = { code = 7, deep = { { 1, "two" } } }
  local _, _, code, e = far:call("fail", value)
  check.equal(code, "ESCRIPT")
  check.equal(e.value, value)
  check.truthy(e.traceback:find("in far:", 1, true))
  check.truthy(e.caller:find("diagnose.lua", 1, true))
  check.equal(e.cause, nil)
end

-- Within a worker the caller's traceback is the worker's.
do
  local traceback, caller, name, value = near:call("shown", "fail", { 5 })
  check.truthy(traceback:find("in far:", 1, true))
  check.truthy(caller:find("shown", 1, true) or caller:find("near:", 1, true))
  check.equal(name, "far")
  check.equal(value, { 5 })
end

-- A chain, by the table and by its text.
for _, how in ipairs { "table", "text" } do
  local _, _, _, e = near:call(how, "fail", "oh")
  check.truthy(e.cause)
  check.equal(e.worker, "near")
  check.equal(e.cause.worker, "far")
  check.truthy(e.cause.caller:find("in near:", 1, true) or
               e.cause.caller:find("near:", 1, true))
  check.equal(e.cause.message, "oh")
  check.equal(e.cause.code, "ESCRIPT")
  check.truthy(e.cause.traceback:find("in far:", 1, true))
  check.truthy(tostring(e.cause):find("oh", 1, true))
  _, _, _, e = near:call(how, "nobody")
  check.equal(e.cause.code, "ENOTFOUND")
end

-- One that waits in a channel runs nothing, and is no alarm; its call stack is seen.
do
  local records, channel = bridge.queue(), bridge.channel()
  local idle <close> = bridge.worker({ function(c)
    for v in c:values() do print(v) end
  end, name = "idle" }, channel)
  bridge.set_logger(records)
  bridge.set_watchdog(0.02)
  local busy <close> = bridge.worker { "while true do end", name = "busy" }
  local record = records:pop(30) -- it has looked, and seen both
  check.equal(record.worker, "busy")
  record = records:pop(30)
  check.equal(record.worker, "busy")
  bridge.set_watchdog(0)
  bridge.set_logger()
  check.equal(idle:info().running, "")
  check.equal(idle:info().running_time, 0.0)
  check.truthy(busy:info().running ~= "")
  check.truthy((idle:traceback(30) or ""):find("idle", 1, true))
  channel:close()
  check.equal(idle:join(30), nil)
  busy:cancel()
end

-- The registry.
do
  local found = {}
  for _, info in ipairs(bridge.workers()) do
    found[info.name] = info
  end
  check.equal(found.far.worker, far)
  check.equal(found.far.id, far.id)
  check.equal(found.near.phase, "serving")
  check.equal(found.near.paused, false)
  check.truthy(found.far.messages > 0 and found.far.errors > 0)
  check.truthy(found.far.memory_used > 0 and found.far.cpu_time > 0)
  check.equal(bridge.find "far", far)
  check.equal(bridge.find(near.id), near)
  check.equal(bridge.find "none", nil)
  check.equal(bridge.find(-1), nil)
  check.raises("a name or a number expected, got table", bridge.find, {})
  check.raises("a name or a number expected", bridge.find, 1.5)
  far:send "nap"
  check.eventually(function()
    local text = far:traceback()
    return text and text:find("nap sleeps:", 1, true)
  end)
  check.raises("seconds", far.traceback, far, "soon")
end

-- One that runs.
do
  local w = bridge.worker { "local function spin() while true do end end spin()",
                            name = "busy" }
  check.eventually(function() return w:info().running == "main chunk" end)
  check.truthy(w:traceback(10):find("spin", 1, true))
  check.equal(w:pause(), true)
  check.equal(w:info().paused, true)
  check.equal(w:resume(), true)
  w:cancel()
  check.failed("ECANCELLED", w:join(20))
  check.failed("EDEAD", w:traceback())
  check.equal(bridge.find "busy", nil)
end

-- The watchdog.
do
  local records = bridge.queue()
  bridge.set_logger(records)
  check.equal(bridge.set_watchdog(0.02), true)
  local w = bridge.worker { "while true do end", name = "dog" }
  local record = records:pop(20)
  check.equal(record.level, "warning")
  check.equal(record.worker, "dog")
  check.truthy(record.text:find("has run for .* at dog:1$"))
  check.truthy(record.error.traceback:find("dog:1: in main chunk", 1, true))
  check.equal(bridge.set_watchdog(), true)
  w:cancel()
  w:join()
  check.raises("seconds", bridge.set_watchdog, "often")
  check.raises("0 to 1e6", bridge.set_watchdog, -1)
  bridge.set_logger()
end

-- A worker as a coroutine.
for _, drive in ipairs { "thread", "host" } do
  local w = bridge.worker({ drive = drive, [[
    local bridge, a = require "bridge", ...
    local x, y = bridge.yield(a, nil, { 1 })
    bridge.yield(x, y)
    return "end"
  ]] }, 5)
  check.row(table.pack(w:next()), 5, nil, { 1 })
  check.row(table.pack(w:next_timeout(20, "x", nil)), "x", nil)
  check.failed("ECLOSED", w:next())
  check.row(table.pack(w:join()), "end")
end
check.raises("argument 1: a userdata", near.next, near, io.stdout)
check.raises("only inside a worker", bridge.yield)
check.raises("only inside a worker", bridge.on_exit, print)

-- One of them that uses up the worker's time leaves the others theirs.
do
  local q = bridge.queue()
  local w = assert(bridge.worker({ [[
    local inner, q = require "bridge", ...
    inner.on_exit(function(reason) q:push("first " .. reason) end)
    inner.on_exit(function() while true do end end)
    inner.on_exit(function(reason) q:push("last " .. reason) end)
    return 5
  ]], timeout = 0.1, name = "at its end" }, q))
  check.equal(w:join(30), 5)
  check.equal(q:pop(0), "last done")
  check.equal(q:pop(0), "first done")
end
check.failed("ETIMEDOUT", near:next_timeout(0.01))

-- What is done at the end.
do
  local out = bridge.queue()
  local w = bridge.worker(function(q)
    local inner = require "bridge"
    inner.on_exit(function(reason, e) q:push("first", reason, e and e.code) end)
    inner.on_exit(function(reason, e) q:push("second", reason, e and e.message) end)
    error("mine", 0)
  end, out)
  check.failed("ESCRIPT", w:join(20))
  check.row(table.pack(out:pop(10)), "second", "error", "mine")
  check.row(table.pack(out:pop(10)), "first", "error", "ESCRIPT")
end

far:cancel()
-- Through many services the value is told once: a table that held all of the failure
-- before it would be twice as large at each.
do
  local code = [[
    local bridge = require "bridge"
    local peer
    return bridge.serve {
      set = function(p) peer = p end,
      f = function(n)
        if n == 0 then error { deep = true } end
        local _, _, _, problem = peer:call("f", n - 1)
        error(problem)
      end,
    }
  ]]
  local a <close> = bridge.worker(code)
  local b <close> = bridge.worker(code)
  a:call("set", b)
  b:call("set", a)
  local _, _, _, problem = a:call("f", 30)
  local depth = 0
  while problem do
    check.equal(problem.value.deep, true)
    depth, problem = depth + 1, problem.cause
  end
  check.equal(depth > 10, true)
end

check.done()
