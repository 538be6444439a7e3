-- Limits of time, and looks, of what blocks its whole thread.
local check = require "check"
local bridge = require "bridge"

local text = "the script ran for more than 50 ms"
local head = "local b, other = require 'bridge', ... "

local other = bridge.worker [[
  local b = require "bridge"
  b.serve { never = function() b.sleep(1000) end }
]]

local waits = {
  pop = "return b.queue():pop()",
  pipe = "return b.queue { waker = 'pipe' }:pop()",
  push = "local q = b.queue { items = 1 } q:push(1) q:push(2)",
  receive = "return b.channel():receive()",
  send = "local c = b.channel { items = 1 } c:send(1) c:send(2)",
  select = "return b.select { b.queue(), b.channel() }",
  flag = "return b.flag():wait()",
  counter = "return b.counter(0):wait('>=', 1)",
  waker = "return b.waker():wait()",
  join = "return other:join()",
  sleep = "coroutine.wrap(function() b.sleep(1000) end)()",
  call = "return coroutine.wrap(function() return other:call 'never' end)()",
  caught = "while true do pcall(function() b.queue():pop() end) end",
}

for name, source in pairs(waits) do
  -- The worker ends,
  local w = assert(bridge.worker({ head .. source, timeout = 0.05, name = name },
                                 other))
  local _, why, code = w:join(30)
  check.equal(code, "ETIMEDOUT")
  check.equal(why, text)
  -- or the request alone.
  w = assert(bridge.worker({ head .. "b.serve { wait = function() " .. source ..
    " end, fine = function() return 'fine' end }", call_timeout = 0.05,
    name = name }, other))
  _, why, code = w:call_timeout(30, "wait")
  check.equal(code, "ETIMEDOUT")
  check.equal(why, text)
  check.equal(w:call_timeout(30, "fine"), "fine")
  w:stop()
  w:join(30)
end

-- To look at it does not end it.
do
  local q = bridge.queue()
  local w = assert(bridge.worker({ [[
    local q = ...
    return q:pop()]], name = "blocked" }, q))
  local where
  repeat
    where = assert(w:traceback(30))
  until where:find("'pop'", 1, true)
  check.equal(where:find("blocked:2:", 1, true) ~= nil, true)
  q:push(7)
  check.equal(w:join(30), 7)
end

other:cancel()
check.done()
