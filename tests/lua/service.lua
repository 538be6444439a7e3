-- Services: call, send, request; each failure is a different one.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local chunk = [[
  local bridge = require "bridge"
  local count, released, gate = 0, false, ...
  bridge.serve {
    echo = function(...) return ... end,
    add = function(a, b) return a + b end,
    raise = function(value) error(value, 0) end,
    where = function() error "here" end,
    wait = function(seconds) bridge.sleep(seconds) return "slept" end,
    hold = function()
      while not released do
        bridge.sleep(0.001)
      end
      return "held"
    end,
    release = function() released = true end,
    gate = function() return gate:pop() end,
    count = function(by) count = count + (by or 0) return count end,
    file = function() return io.stdout end,
    die = function() os.exit = nil bridge.stop() return "stopping" end,
    self = function() return bridge.self() end,
    me = function() return select(3, bridge.self():call_timeout(5, "echo", 1)) end,
  }
  return "served"
]]

local s <close> = bridge.worker({ chunk, name = "service" }, bridge.queue())

-- Answers, as rows.
check.row(table.pack(s:call "echo"))
check.row(table.pack(s:call("echo", 1, nil, "x", nil)), 1, nil, "x", nil)
check.row(table.pack(s:call("add", 2, 3)), 5)
check.row(table.pack(s:call_timeout(10, "add", 2, 3.0)), 5.0)
check.row(table.pack(s:call_timeout(nil, "add", 1, 1)), 2)
check.truthy(s:call("self") == s)
check.eventually(function() return s:phase() == "serving" end)
check.equal(tostring(s), "bridge.Worker: service (serving)")

-- Each failure is its own.
local text = check.failed("ENOTFOUND", s:call "nobody")
check.truthy(text:find("nobody", 1, true))
text = check.failed("ESCRIPT", s:call("raise", "broken"))
check.equal(text, "broken")
local _, _, _, err = s:call("raise", { deep = { 1 } })
check.equal(err.value, { deep = { 1 } })
check.equal(err.worker, "service")
check.equal(err.code, "ESCRIPT")
_, text, _, err = s:call "where"
check.truthy(text:find(":%d+: here$"))
check.truthy(#err.frames >= 1)
check.failed("ETYPE", s:call "file")
check.raises("argument 2.f: a userdata", s.call, s, "echo", 1, { f = io.stdout })
check.raises("argument 1: a userdata", s.send, s, "echo", io.stdout)
check.raises("argument 1: a userdata", s.request, s, bridge.queue(), 1, "echo",
             io.stdout)
check.failed("ETIMEDOUT", s:call_timeout(0.01, "hold"))
check.row(table.pack(s:call("wait", 0.001)), "slept")

-- A handler that waits does not hold the others.
local answers = bridge.queue()
check.equal(s:request(answers, 1, "hold"), true)
check.equal(s:request(answers, -2, "add", 1, 2), true)
check.equal(s:request(answers, math.maxinteger, "raise", "late"), true)
check.row(table.pack(answers:pop_answer(30)), -2, true, 3)
local session, good, message, code, e = answers:pop_answer(30)
check.equal(session, math.maxinteger)
check.equal(good, false)
check.equal(message, "late")
check.equal(code, "ESCRIPT")
check.equal(e.value, "late")
check.failed("EEMPTY", answers:pop_answer(0))
check.row(table.pack(s:call "release"))
check.row(table.pack(answers:pop_answer(30)), 1, true, "held")
check.failed("EEMPTY", answers:pop_answer(0))
answers:push("no answer")
check.failed("ETYPE", answers:pop_answer(0))
check.row(table.pack(answers:pop(0)), "no answer") -- it stayed

-- Results that cannot be read here tell which request they answer, and stay.
do
  local w = bridge.worker [[
    local bridge = require "bridge"
    local Class = {}
    bridge.register("only.there", Class)
    return bridge.serve { make = function() return setmetatable({}, Class) end,
                          take = function() end }
  ]]
  check.equal(w:request(answers, 42, "make"), true)
  for _ = 1, 2 do
    local number, good, text, code = answers:pop_answer(30)
    check.equal(number, 42)
    check.equal(good, false)
    check.truthy(text:find("'only.there'", 1, true))
    check.equal(code, "ETYPE")
  end
  check.equal(answers:discard(), true)
  check.failed("EEMPTY", answers:pop_answer(0))
  -- And what a handler cannot read is counted without its name.
  local Mine = {}
  bridge.register("only.here", Mine)
  local _, text, code = w:call("take", 1, setmetatable({}, Mine))
  check.equal(code, "ETYPE")
  check.truthy(text:find("^argument 2: "))
  w:close()
end

-- Nobody hears of what was sent.
check.equal(s:send("count", 5), true)
check.equal(s:send_timeout(1, "count", 2), true)
check.equal(s:send("nobody"), true)
check.equal(s:send("raise", "unheard"), true)
check.row(table.pack(s:call "count"), 7)

-- A worker that calls itself would wait for itself... unless it serves.
check.truthy(s:call("me") == nil or s:call("me") == "EDEADLOCK")

-- Many calls.
for i = 1, 2000 do
  local sum = s:call("add", i, i)
  if sum ~= 2 * i then
    check.equal(sum, 2 * i)
  end
end

-- One worker calls another.
do
  local w <close> = bridge.worker([[
    local bridge = require "bridge"
    local other = ...
    bridge.serve {
      twice = function(x) return 2 * other:call("add", x, 0) end,
      fail = function() return other:call("raise", "inner") end,
      slow = function()
        return bridge.self():call_timeout(0.01, "never")
      end,
      never = function() bridge.sleep(3600) end,
      send = function() return other:send("count", 1) end,
      wrong = function() return pcall(other.call, other) end,
    }
  ]], s)
  check.row(table.pack(w:call("twice", 21)), 42)
  local nothing, inner, status = w:call "fail"
  check.equal(nothing, nil)
  check.equal(inner, "inner")
  check.equal(status, "ESCRIPT")
  check.equal(select(3, w:call "slow"), "ETIMEDOUT")
  check.row(table.pack(w:call "send"), true)
  check.equal((w:call "wrong"), false)
  check.equal(w:close(0.05), true) -- it is cancelled, because of "never"
end

-- Stopped: what is in the inbox is answered, later requests are refused: it has
-- ended.
check.row(table.pack(s:call "die"), "stopping")
check.row(table.pack(s:join(30)), "served")
check.equal(s:phase(), "ended")
check.failed("EDEAD", s:call("add", 1, 2))
check.failed("EDEAD", s:send("add", 1, 2))
check.failed("EDEAD", s:request(answers, 1, "add", 1, 2))
check.equal(#answers, 0)

-- A worker that dies before it answers says so to who waits.
do
  local w = bridge.worker [[
    local bridge = require "bridge"
    bridge.serve {
      fall = function() bridge.self():cancel() bridge.sleep(60) end,
    }
  ]]
  local _, _, why = w:call_timeout(30, "fall")
  check.truthy(why == "ECANCELLED" or why == "EDEAD")
  w:join(30)
  check.equal(w:alive(), false)
end
do
  -- It never serves, and ends with a request in its inbox.
  local gate = bridge.queue()
  local w = bridge.worker("(...):pop()", gate)
  local queue = bridge.queue()
  check.equal(w:request(queue, 9, "anything"), true)
  gate:push(true)
  w:join(30)
  local id, fine, _, why = queue:pop_answer(30)
  check.equal(id, 9)
  check.equal(fine, false)
  check.equal(why, "EDEAD")
end

-- Whose time is over waits for nobody's answer: the service that he asked goes on.
do
  local source = [[
    local bridge = require "bridge"
    return bridge.serve {
      add = function(a, b) return a + b end,
      spin = function() while true do end end,
      via = function(w) return w:call "spin" end,
      inside = function(w) return coroutine.wrap(function() return w:call "spin" end)() end,
    }]]
  local inner <close> = bridge.worker(source)
  local outer <close> = bridge.worker(source)
  for _, name in ipairs { "via", "inside" } do
    check.failed("ETIMEDOUT", outer:call_timeout(0.05, name, inner))
    check.row(table.pack(inner:call_timeout(30, "add", 1, 2)), 3)
    check.row(table.pack(outer:call_timeout(30, "add", 1, 2)), 3)
  end
  local asker <close> = bridge.worker({ '(...):call "spin"', timeout = 0.05 }, inner)
  check.failed("ETIMEDOUT", asker:join(30))
  check.row(table.pack(inner:call_timeout(30, "add", 1, 2)), 3)
end

-- A full inbox.
do
  local gate = bridge.queue()
  local w <close> = bridge.worker({ "(...):pop()", inbox_items = 1 }, gate)
  check.equal(w:send "x", true)
  check.failed("EFULL", w:send_timeout(0, "x"))
  check.failed("ETIMEDOUT", w:send_timeout(0.001, "x"))
  check.failed("EFULL", w:call_timeout(0, "x"))
  gate:push(true)
end

-- Wrong arguments.
check.raises("a string expected, got nil", s.call, s, nil)
check.raises("a string expected, got no value", s.call, s)
check.raises("a string expected, got number", s.call, s, 5)
check.raises("a string expected", s.send, s, {})
check.raises("seconds or nil", s.call_timeout, s, "add", 1)
check.raises("bridge.Queue expected", s.request, s, s, 1, "add")
check.raises("a whole number", s.request, s, answers, "1", "add")

-- What a handler had locked that was stopped is given back, though the service idles.
do
  local mutex = bridge.mutex()
  local service <close> = bridge.worker({ [[
    local mutex = ...
    local bridge = require "bridge"
    bridge.serve {
      hold = function()
        local guard <close> = mutex:guard()
        while true do end
      end,
    }
  ]], call_timeout = 0.1 }, mutex)
  check.equal(select(3, service:call_timeout(30, "hold")), "ETIMEDOUT")
  check.row(table.pack(mutex:lock(30)), true, "abandoned")
  mutex:unlock()
end

check.done()
