-- Story 6: a script that runs away is stopped, whatever it does against it, and says
-- where it was.  Told in C and Python, too.

local bridge = require "bridge"

local runaway = [[
local function spin()
  while true do end
end
while true do
  pcall(spin) -- it would catch an error, and go on
end
]]

-- A time limit.
local worker = assert(bridge.worker { runaway, name = "hog", chunk_name = "=hog", timeout = 0.1 })
local nothing, message, code, err = worker:join()
print("stopped: " .. message)
print(err.traceback)
assert(nothing == nil and code == "ETIMEDOUT")
assert(err.traceback:find("hog:2: in", 1, true), "it was in spin")

-- Or because the host has had enough of it: now, or with some time to clean up in.
worker = assert(bridge.worker { runaway, name = "hog" })
assert(worker:cancel())
nothing, message, code = worker:join()
print("stopped: " .. message)
assert(nothing == nil and code == "ECANCELLED")

local tidy = [[
local bridge = require 'bridge'
local done = ...
local good, why = pcall(function()
  done:push("begun")
  while true do end
end)
done:push("cleaned up after " .. why)
return "tidy"
]]
local done = bridge.queue()
worker = assert(bridge.worker(tidy, done))
assert(done:pop() == "begun")
assert(worker:cancel("prompt", 10))
print("the script has " .. done:pop())
assert(worker:join() == "tidy")

-- Of a service only the request is stopped for which nobody waits any more.
local service <close> = assert(bridge.worker [[
  return require 'bridge'.serve {
    spin = function() while true do end end,
    add = function(a, b) return a + b end,
  }
]])
nothing, message, code = service:call_timeout(0.1, "spin")
assert(nothing == nil and code == "ETIMEDOUT")
print("and it still adds up: " .. assert(service:call("add", 1, 2)))

-- What is stuck in C cannot be stopped from outside.  Nobody waits for it for ever:
-- its thread is given up.
local stuck = assert(bridge.worker [[
  local text = ('a'):rep(100000)
  text:find('.-.-.-.-b')
]])
nothing, message, code = stuck:close(0.1)
print("given up: " .. message)
assert(nothing == nil and code == "ELOST" and stuck:phase() == "lost")

-- Unless the string functions ask now and then, which they do at the strict level.
worker = assert(bridge.worker {
  "local text = ('a'):rep(100000) text:find('.-.-.-.-b')",
  stop = "strict", timeout = 0.1,
})
nothing, message, code = worker:join()
print("stopped: " .. message)
assert(nothing == nil and code == "ETIMEDOUT")
