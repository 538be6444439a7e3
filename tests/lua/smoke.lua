-- The module opens, and the first story of the README works.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"

local globals = {}
for name in pairs(_G) do
  globals[name] = true
end

-- Opened in a coroutine that is gone afterwards.
local bridge = coroutine.wrap(function() return require "bridge" end)()
collectgarbage()

-- Nothing is left among the globals.
for name in pairs(_G) do
  check.equal(globals[name] and name, name)
end

check.equal(require "bridge", bridge)
check.truthy(bridge.version:match("^%d+%.%d+%.%d+$"))
check.truthy(bridge.cores() >= 1)
check.equal(math.type(bridge.cores()), "integer")

check.equal(bridge.status.EFULL, "EFULL")
check.equal(bridge.status.OK, "OK")
check.raises("no status 'EFUL'", function() return bridge.status.EFUL end)
check.truthy(#bridge.status_text("EFULL") > 5)
check.raises("a code expected", bridge.status_text, 3)
check.raises("no status", bridge.status_text, "ENO")

check.equal(bridge.self(), nil)
check.equal(bridge.cancelled(), false)
check.equal(bridge.stopping(), false)
check.raises("smoke.lua:%d+: bridge.serve works only inside a worker",
             function() bridge.serve {} end)
check.raises("inside a worker", bridge.stop)

check.row(table.pack(bridge.sleep(0)), true)
check.row(table.pack(bridge.sleep(-1)), true)
check.row(table.pack(bridge.sleep(0.001)), true)
check.raises("seconds expected", bridge.sleep, "1")
check.raises("seconds expected", bridge.sleep)
check.raises("seconds expected", bridge.sleep, 0 / 0)
bridge.trim()

do
  local w <close> = bridge.worker("return 6 * 7")
  check.row(table.pack(w:join()), 42)
end

do
  local s <close> = bridge.worker [[
    local bridge = require "bridge"
    return bridge.serve { greet = function(name) return "hello " .. name end }
  ]]
  check.row(table.pack(s:call("greet", "Ada")), "hello Ada")
end

check.done()
