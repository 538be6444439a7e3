#!/usr/bin/python3
"""Story 8: what went wrong, where, and who was asked; and what nobody was told.
Told in C and Lua, too."""

import queue

import bridge

TILL = """
local bridge = require "bridge"
bridge.on_exit(function(reason) bridge.log.info("the till closes:", reason) end)
local function count(coins)
  error { code = "no change", coins = coins } -- any value, not only texts
end
bridge.serve { pay = function(coins) count(coins) end }
"""

WAITER = """
local bridge, till = require "bridge", ...
bridge.serve {
  order = function(coins)
    local good, _, _, problem = till:call("pay", coins)
    if not good then error(problem) end -- handed on, with all that is known
  end,
}
"""

# What nobody is told goes to the logger: a logging.Logger, or any function, which
# is called on a thread of Python's.
records: "queue.Queue[bridge.Record]" = queue.Queue()
bridge.set_logger(records.put)

with bridge.Worker(TILL, name="till") as till:
    with bridge.Worker(WAITER, till, name="waiter") as waiter:
        try:
            waiter.call("order", 3)
        except bridge.LuaError as error:
            problem = error
        else:
            raise AssertionError("the order should have failed")
        frame = problem.frames[-1]
        print(f"the waiter failed in {frame.source}:{frame.line}")

        # The chain of workers that it came through, and the value as it was raised.
        root = problem
        while root.__cause__ is not None:
            root = root.__cause__
        print("because of:", root.value)
        assert root.value == {"code": "no change", "coins": 3}
        assert "in till" in root.traceback  # where it was raised,
        assert "traceback" in root.caller  # and where it was asked for

        # Nobody waits for this one.
        waiter.send("order", 5)
        record = records.get(timeout=10)
        print(record.level, record.worker, record.text)
        assert (record.level, record.worker) == ("error", "waiter")

# The end has a reason.
record = records.get(timeout=10)
print(record.level, record.worker, record.text)
assert record.text == "the till closes: done"
bridge.set_logger(None)
