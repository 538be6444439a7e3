-- Story 7: what a script may use: memory, time, processor time; as a whole or for each
-- call.  And a sandbox, for scripts of others.  Told in C and Python, too.

local bridge = require "bridge"

local function refused(expected, what, nothing, message, code)
  print(("%s: %s"):format(what, message))
  assert(nothing == nil and code == expected, code)
end

-- Memory: too much of it is an ordinary error, which a script may catch.
local hungry = "local all = {} while true do all[#all + 1] = {} end"
local worker = assert(bridge.worker { hungry, memory_limit = 1 << 20 })
refused("ENOMEM", "memory", worker:join())
worker = assert(bridge.worker {
  "local good, why = pcall(string.rep, 'x', 1 << 30) return good, why",
  memory_limit = 1 << 20,
})
local good, why = worker:join()
print("caught: " .. why)
assert(good == false and why == "not enough memory")

-- Time by the clock, and time of the processor: sleeping takes only the first.
local busy = "while true do end"
local sleepy = "require 'bridge'.sleep(0.2) return 'slept'"
refused("ETIMEDOUT", "time", assert(bridge.worker { busy, timeout = 0.1 }):join())
refused("ETIMEDOUT", "CPU time", assert(bridge.worker { busy, cpu = 0.1 }):join())
assert(assert(bridge.worker { sleepy, cpu = 0.1 }):join() == "slept")

-- Of each call: it fails alone.
local service <close> = assert(bridge.worker {
  [[
    return require 'bridge'.serve {
      spin = function() while true do end end,
      count = function(n) local i = 0 while i < n do i = i + 1 end return i end,
    }
  ]],
  call_timeout = 0.1,
})
refused("ETIMEDOUT", "a call", service:call "spin")
assert(service:call("count", 1000) == 1000)

-- The sandbox: no files, no system, no debug, no bytecode, and nothing that outlives
-- being stopped.  It contains mistakes and hogs; it is no wall against an attack on
-- the interpreter itself.
local box = assert(bridge.worker {
  [[
    local found = {}
    for _, name in ipairs { 'io', 'debug', 'dofile', 'loadfile' } do
      if _G[name] ~= nil then found[#found + 1] = name end
    end
    local finalizers = pcall(setmetatable, {}, { __gc = function() end })
    return table.concat(found, ' '), finalizers, string.dump ~= nil, ('safe'):upper()
  ]],
  sandbox = true, memory_limit = 1 << 20, timeout = 10,
})
local found, finalizers, bytecode, upper = assert(box:join())
print("the sandbox has " .. (found == "" and "none of them" or found))
assert(found == "" and finalizers == false and bytecode == false and upper == "SAFE")
