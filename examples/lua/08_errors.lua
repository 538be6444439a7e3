-- Story 8: what went wrong, where, and who was asked; and what nobody was told.
-- Told in C and Python, too.

local bridge = require "bridge"

-- What nobody is told goes to the logger: here, into a queue.
local records = bridge.queue()
assert(bridge.set_logger(records))

local till <close> = assert(bridge.worker { name = "till", [[
  local bridge = require "bridge"
  bridge.on_exit(function(reason) bridge.log.info("the till closes:", reason) end)
  local function count(coins)
    error { code = "no change", coins = coins } -- any value, not only texts
  end
  bridge.serve { pay = function(coins) count(coins) end }
]] })

local waiter <close> = assert(bridge.worker({ name = "waiter", [[
  local bridge, till = require "bridge", ...
  bridge.serve {
    order = function(coins)
      local good, _, _, problem = till:call("pay", coins)
      if not good then error(problem) end -- handed on, with all that is known
    end,
  }
]] }, till))

-- A call that fails gives nil, a message, a code, and the error as a table.
local nothing, message, code, problem = waiter:call("order", 3)
assert(nothing == nil and code == "ESCRIPT" and message)
local frame = problem.frames[#problem.frames]
print("the waiter failed in " .. frame.source .. ":" .. frame.line)

-- The chain of workers that it came through, and the value as it was raised.
local root = problem
while root.cause do
  root = root.cause
end
print("because of:", root.value.code, root.value.coins)
assert(root.value.code == "no change" and root.value.coins == 3)
assert(root.traceback:find("in till", 1, true)) -- where it was raised,
assert(root.caller:find("traceback", 1, true)) -- and where it was asked for

-- Nobody waits for this one.
assert(waiter:send("order", 5))
local record = records:pop(10)
print(record.level, record.worker, record.text)
assert(record.level == "error" and record.worker == "waiter")

-- Where is it now?
print(waiter:traceback())
for _, info in ipairs(bridge.workers()) do
  print(info.name, info.phase, info.messages .. " messages",
        info.errors .. " errors")
end
assert(bridge.find "till" == till)

-- The end has a reason.
assert(till:close())
record = records:pop(10)
print(record.level, record.worker, record.text)
assert(record.text == "the till closes: done")
assert(bridge.set_logger(nil))
