-- Story 2: a worker serves: it answers calls by name until it is asked to stop.
-- Each kind of failure has a code of its own.  Told in C and Python, too.

local bridge = require "bridge"

local service = [[
  local bridge = require 'bridge'
  local greeted = 0
  return bridge.serve {
    greet = function(name)
      greeted = greeted + 1
      return 'hello ' .. name
    end,
    greeted = function() return greeted end,
    nap = function() bridge.sleep(3600) end,
    fail = function() error('no more tea') end,
  }
]]

local function refused(expected, name, nothing, message, code)
  print(("%s: %s: %s"):format(name, code, message))
  assert(nothing == nil and expected:find(code, 1, true))
end

local worker <close> = assert(bridge.worker { service, name = "greeter" })
print(worker)
print(assert(worker:call("greet", "Ada")))

assert(worker:send("greet", "Grace")) -- nobody waits for this one
local greeted = worker:call "greeted"
print(greeted .. " were greeted")
assert(greeted == 2)

refused("ENOTFOUND", "dance", worker:call "dance")
refused("ESCRIPT", "fail", worker:call "fail")
-- The nap goes on; its answer, if it ever came, would harm nobody.
refused("ETIMEDOUT", "nap", worker:call_timeout(0.01, "nap"))
assert(worker:call("greet", "Alan") == "hello Alan")

-- Ask without waiting: the answers come into a queue, in whatever order they are
-- ready, and each says which request it answers.
local answers = bridge.queue()
for session, name in ipairs { "Edsger", "Barbara", "Donald" } do
  assert(worker:request(answers, session, "greet", name))
end
local seen = 0
for _ = 1, 3 do
  local session, good, greeting = answers:pop_answer()
  print("answer " .. session .. ": " .. greeting)
  assert(good)
  seen = seen + session
end
assert(seen == 1 + 2 + 3)

-- In stages: asked to stop, and cancelled because of the nap.
assert(worker:close(0.1))
refused("EDEAD ECLOSED", "greet", worker:call("greet", "Alan"))
