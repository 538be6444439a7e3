-- Objects of classes cross between workers; what cannot be read blocks nobody; and
-- what a worker leaves behind stays good.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local point = [[
  local bridge = require "bridge"
  Point = { __bridge_name = "point" }
  Point.__index = Point
  function Point.new(x, y) return setmetatable({ x = x, y = y }, Point) end
  function Point.__bridge_pack(p) return p.x, p.y end
  function Point.__bridge_unpack(x, y) return Point.new(x, y) end
  function Point.sum(p) return p.x + p.y end
  bridge.register("point", Point)
  Account = { __index = { kind = "account" } }
  bridge.register("account", Account)
  return Point, Account
]]
local Point, Account = load(point)()

-- To a worker and back, as an argument, a result, an error value and in a closure.
local worker = assert(bridge.worker(point:gsub("return Point, Account", "") .. [[
  bridge.serve {
    sum = function(p) return p:sum(), p end,
    kind = function(a) return a.kind, a end,
    fail = function(p) error(p) end,
    keep = function(f) return f():sum() end,
    count = function(...) return select("#", ...) end,
    loose = function() return setmetatable({}, { __bridge_name = "loose" }) end,
    broken = function()
      return setmetatable({}, { __name = "b", __bridge_pack = error })
    end,
  }
]]))
local sum, same = worker:call("sum", Point.new(3, 4))
check.equal(sum, 7)
check.equal(getmetatable(same), Point)
check.equal(same:sum(), 7)
local kind, account = worker:call("kind", setmetatable({ n = 1 }, Account))
check.equal(kind, "account")
check.equal(account.kind, "account")
check.equal(account.n, 1)
local p = Point.new(20, 22)
check.equal(worker:call("keep", function() return p end), 42)
local none, text, code, err = worker:call("fail", p)
check.equal(none, nil)
check.equal(code, "ESCRIPT")
check.equal(getmetatable(err.value), Point)
check.equal(err.value:sum(), 42)

-- Poison for a worker: its caller is told, and it goes on.
local Strange = { __bridge_name = "strange" }
none, text, code = worker:call("count", setmetatable({}, Strange))
check.equal(none, nil)
check.equal(code, "ETYPE")
check.truthy(text:find("no class is registered as 'strange'", 1, true))
check.equal(worker:call("count", 1, 2, 3), 3)
check.equal(worker:send("count", setmetatable({}, Strange)), true)
check.equal(worker:call("count", 1), 1)
none, text, code = worker:call("loose")
check.equal(code, "ETYPE")
none, text, code = worker:call("broken")
check.equal(code, "ETYPE")
check.truthy(text:find("result 1: __bridge_pack failed", 1, true))
check.equal(worker:call("sum", Point.new(1, 1)), 2)

-- Poison in a queue: it stays first, can be looked at, and dropped.
local queue = bridge.queue()
check.equal(queue:push(1, { setmetatable({}, Strange) }), true)
check.equal(queue:push("next"), true)
for _ = 1, 2 do
  none, text, code = queue:pop(0)
  check.equal(none, nil)
  check.equal(code, "ETYPE")
  check.equal(text, "argument 2[1]: no class is registered as 'strange' in " ..
                    "this state")
  none, text, code = queue:peek()
  check.equal(none, nil)
  check.equal(code, "ETYPE")
  check.truthy(text:find("'strange'", 1, true))
  check.equal(#queue, 2)
end
bridge.register("strange", Strange)
local one, list = queue:peek()
check.equal(one, 1)
check.equal(getmetatable(list[1]), Strange)
bridge.register("strange")
check.equal(queue:discard(), true)
check.equal(queue:pop(0), "next")

-- In a batch those before it come first.
queue:push(1)
queue:push(setmetatable({}, Strange))
queue:push(3)
check.equal(#queue:pop_batch(10, 0), 1)
none, text, code = queue:pop_batch(10, 0)
check.equal(none, nil)
check.equal(code, "ETYPE")
check.equal(queue:discard(), true)
check.equal(queue:pop(0), 3)

-- Of a worker that is gone: values, functions and handles.
local left = bridge.queue()
local gone = assert(bridge.worker([[
  local bridge, queue = require "bridge", ...
  local n, t = 0, { "kept" }
  local inner = bridge.queue()
  inner:push("from within")
  queue:push({ deep = { t, t } }, function() n = n + 1 return n, t[1] end,
             function() return n end, inner, bridge.buffer("bytes"),
             bridge.self(), print)
  error("its end")
]], left))
check.equal(select(3, gone:join()), "ESCRIPT")
check.equal(gone:close(1), true)
local me = gone
gone = nil
collectgarbage()
local values, f, get, inner, buffer, self, out = left:pop(0)
check.equal(values.deep[1], values.deep[2])
check.equal(values.deep[1][1], "kept")
check.row(table.pack(f()), 1, "kept")
check.row(table.pack(f()), 2, "kept")
check.equal(get(), 2)
check.equal(inner:pop(0), "from within")
check.equal(buffer:string(), "bytes")
check.equal(self, me)
check.equal(self:phase(), "ended")
check.equal(out, print)

-- Null and marks.
local null = bridge.null
queue:push(null, { 1, null, 3 }, bridge.map {}, bridge.array {})
local top, holes, map, array = queue:pop(0)
check.equal(top, null)
check.equal(#holes, 3)
check.equal(holes[2], null)
check.equal(getmetatable(map).__name, "bridge.map")
check.equal(getmetatable(array), nil)

-- Limits of a worker, by its options, and of this state.
local small = assert(bridge.worker {
  [[require "bridge".serve {
      echo = function(...) return ... end,
      large = function(n) return ("x"):rep(n) end,
    }]],
  depth_limit = 3, value_limit = 10, message_limit = 200,
})
check.equal(small:call("echo", { { 1 } })[1][1], 1)
none, text, code = small:call("echo", { { { { 1 } } } })
check.equal(code, "ELIMIT")
check.truthy(text:find("nested deeper than 3 (depth_limit)", 1, true))
none, text, code = small:call("echo", { 1, 2, 3, 4, 5, 6, 7, 8, 9 })
check.truthy(text:find("more than 10 values (value_limit)", 1, true))
none, text, code = small:call("large", 500)
check.equal(code, "ELIMIT")
check.truthy(text:find("more than 200 bytes (message_limit)", 1, true))
check.equal(#small:call("large", 150), 150)
none, text, code = bridge.worker { "return 1", depth_limit = 1001 }
check.equal(code, "EINVAL")
check.truthy(text:find("depth_limit is at most 1000", 1, true))
bridge.limits { value_limit = 3 }
check.raises("more than 3 values %(value_limit%)", queue.push, queue, 1, 2, 3, 4)
check.raises("more than 3 values %(value_limit%)", queue.push, queue, { 1, 2, 3 })
check.equal(queue:push(1, 2, 3), true)
check.row(table.pack(queue:pop(0)), 1, 2, 3)
local now = bridge.limits {}
check.equal(now.value_limit, 0)
check.equal(queue:push(1, 2, 3, 4), true)
bridge.limits { value_limit = 3 }
none, text, code = queue:pop(0)
check.equal(code, "ELIMIT")
bridge.limits {}
check.row(table.pack(queue:pop(0)), 1, 2, 3, 4)

-- Objects that give further ones, without end: what is nested too deep is not asked.
local asked = 0
local Endless = { __bridge_name = "Endless" }
Endless.__bridge_pack = function()
  asked = asked + 1
  return setmetatable({}, Endless)
end
check.raises("nested deeper than 1000 %(depth_limit%)", queue.push, queue,
             setmetatable({}, Endless))
check.equal(asked, 1000)
bridge.limits { depth_limit = 10 }
asked = 0
check.raises("nested deeper than 10 %(depth_limit%)", queue.push, queue,
             setmetatable({}, Endless))
check.equal(asked, 10)
bridge.limits { value_limit = 20 }
Endless.__bridge_pack = function()
  return setmetatable({}, Endless), setmetatable({}, Endless)
end
check.raises("more than 20 values %(value_limit%)", queue.push, queue,
             setmetatable({}, Endless))
bridge.limits {}
-- One that stands deep and also high up is asked where it stands high.
local Chain = { __bridge_name = "Chain" }
Chain.__bridge_pack = function(self) return self.next end
Chain.__bridge_unpack = function(rest) return { next = rest } end
bridge.register("Chain", Chain)
local links, link = {}, nil
for i = 1, 30 do
  link = setmetatable({ next = link }, Chain)
  links[i] = link
end
bridge.limits { depth_limit = 10 }
queue:push(links)
bridge.limits {}
check.equal(queue:pop(0)[30].next.next ~= nil, true)

-- What makes an object of an argument is the worker's: it may take no longer than its
-- life.
local place = os.tmpname()
local folder, name = place:match("^(.*[/\\])([^/\\]+)$")
local file = assert(io.open(place .. ".lua", "w"))
file:write(([[
  local Slow = { __bridge_module = "%s", __bridge_pack = function() return 1 end }
  function Slow.__bridge_unpack()
    local begin = os.clock()
    while os.clock() - begin < 20 do end
    return setmetatable({}, Slow)
  end
  require "bridge".register("%s", Slow)
  return Slow
]]):format(name, name))
file:close()
package.path = folder .. "?.lua;" .. package.path
local Slow = require(name)
local options = { "return 1", path = package.path, timeout = 0.1 }
check.failed("ETIMEDOUT", bridge.worker(options, setmetatable({}, Slow)):join(15))
options.timeout = nil -- and it can be stopped, as whoever makes the worker has it
local slow = bridge.worker(options, setmetatable({}, Slow))
repeat
until slow:info().running == "main chunk"
check.equal(slow:cancel(), true)
check.failed("ECANCELLED", slow:join(15))
os.remove(place)
os.remove(place .. ".lua")

-- Misuse.
check.raises("bridge.register: a name expected", bridge.register, 5, {})
check.raises("bridge.register: a name expected", bridge.register, "", {})
check.raises("bridge.register: a class is a table", bridge.register, "x", print)
check.raises("bridge.array: a table expected", bridge.array, 5)
check.raises("bridge.map: a table expected", bridge.map)
local locked = setmetatable({}, { __metatable = "locked" })
check.raises("has a metatable already", bridge.map, locked)
check.raises("has a metatable already", bridge.array, setmetatable({}, Endless))
check.equal(getmetatable(locked), "locked")
check.equal(getmetatable(bridge.map(bridge.array {})).__name, "bridge.map")
check.raises("unknown option 'x'", bridge.limits, { x = 1 })
check.raises("at most 1000", bridge.limits, { depth_limit = 2000 })

check.done()
