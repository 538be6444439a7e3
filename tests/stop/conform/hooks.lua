-- The script's own hooks, and what `debug` tells.
local c = require "conform"
local equal, row, fails, truthy = c.equal, c.row, c.fails, c.truthy

equal(debug.gethook(), nil)

-- ---- Lines ----
local function traced(n)
  local sum = 0
  for i = 1, n do
    sum = sum + i
  end
  return sum
end
local first = debug.getinfo(traced, "S").linedefined
local lines = {}
local function hook(event, line)
  if debug.getinfo(2, "f").func == traced then
    lines[#lines + 1] = event .. line - first
  end
end
debug.sethook(hook, "l")
row(table.pack(debug.gethook()), hook, "l", 0)
traced(2)
debug.sethook()
equal(debug.gethook(), nil)
equal(table.concat(lines, " "), "line1 line2 line3 line2 line3 line2 line5")

-- ---- Calls and returns ----
local events = {}
local function leaf() return 1 end
local function tail() return leaf() end
local function both() leaf() local x = tail() return x end
local name = { [leaf] = "leaf", [tail] = "tail", [both] = "both" }
debug.sethook(function(event)
  local f = name[debug.getinfo(2, "f").func]
  if f then events[#events + 1] = event .. " " .. f end
end, "cr")
both()
debug.sethook()
equal(table.concat(events, ", "),
      "call both, call leaf, return leaf, call tail, tail call leaf, return leaf, return both")

-- ---- Counts ----
local count = 0
local odd = 0
debug.sethook(function(event)
  count = count + 1
  odd = odd + (event == "count" and 0 or 1)
end, "", 100)
for i = 1, 10000 do local x = i * 2 end
debug.sethook()
truthy(count >= 10) -- how many depends on who else looks
equal(odd, 0)
row(table.pack(pcall(function()
  debug.sethook(function()
    debug.sethook()
    error("from the hook", 0)
  end, "", 50)
  while true do end
end)), false, "from the hook")
debug.sethook()

-- ---- A hook for each coroutine ----
local seen = {}
local co = coroutine.create(function()
  debug.sethook(function() seen[#seen + 1] = "inside" end, "l")
  local x = 1
  coroutine.yield()
  x = 2
  debug.sethook()
end)
coroutine.resume(co)
local inside = #seen
truthy(inside >= 1)
local y = 1
y = 2
equal(#seen, inside)
equal(debug.gethook(), nil)
truthy(debug.gethook(co) ~= nil)
coroutine.resume(co)
truthy(#seen > inside)
local other = coroutine.create(function() local a = 1 local b = 2 end)
local ran = 0
debug.sethook(other, function() ran = ran + 1 end, "c")
coroutine.resume(other)
truthy(ran >= 1)
-- Those that are made later do not inherit it.
local inherited = 0
debug.sethook(function() inherited = inherited + 1 end, "c")
local child = coroutine.create(function() leaf() end)
debug.sethook()
inherited = 0
coroutine.resume(child)
equal(inherited, 0)
debug.sethook(child)

-- A hook that makes calls of its own, and a coroutine.
local made = {}
debug.sethook(function()
  debug.sethook()
  made[#made + 1] = coroutine.wrap(function() coroutine.yield(5) end)()
end, "l")
local z = 1
z = 2
equal(made[1], 5)
equal(debug.gethook(), nil)

-- ---- getinfo ----
local function described(a, b, ...) local d = a return debug.getinfo(1, "nSlutf") end
local info = described(1)
row(table.pack(info.name, info.namewhat, info.what, info.nparams, info.isvararg, info.func), "described", "local", "Lua", 2, true, described)
equal(info.currentline, info.linedefined)
equal(info.source:sub(1, 1), "@")
info = debug.getinfo(print)
row(table.pack(info.what, info.short_src, info.currentline, info.linedefined), "C", "[C]", -1, -1)
equal(debug.getinfo(1000), nil)
fails("invalid option", debug.getinfo, 1, "X")
local active = debug.getinfo(traced, "L").activelines
truthy(active[first + 1] and active[first + 3] and not active[first])
local function tailed() return debug.getinfo(1, "t").istailcall, debug.getinfo(2, "S").what end
local function calls_it() return tailed() end
equal((calls_it()), true)

-- ---- Locals and upvalues ----
local function locals(a, ...)
  local b = 2
  local at = {}
  for i = 1, 10 do
    local n, v = debug.getlocal(1, i)
    if not n then break end
    at[n] = v
  end
  row(table.pack(at.a, at.b), 1, 2)
  row(table.pack(debug.getlocal(1, -1)), "(vararg)", "extra")
  equal(debug.setlocal(1, 1, 10), "a")
  return a
end
equal(locals(1, "extra"), 10)
equal(debug.getlocal(locals, 1), "a")
local up, down = 1, 2
local function uses() return up + down end
row(table.pack(debug.getupvalue(uses, 1)), "up", 1)
equal(debug.setupvalue(uses, 1, 40), "up")
equal(uses(), 42)
local function shares() return down end
equal(debug.upvalueid(uses, 2) == debug.upvalueid(shares, 1), true)
debug.upvaluejoin(shares, 1, uses, 1)
equal(shares(), 40)
equal(debug.getupvalue(uses, 9), nil)

-- ---- Tracebacks ----
local function inner() return debug.traceback("text", 1) end
local function outer() local t = inner() return t end
local trace = outer()
truthy(trace:find "^text\nstack traceback:\n\t.-: in upvalue 'inner'\n\t.-: in local 'outer'\n")
local nothing = {}
equal(debug.traceback(nothing), nothing)
truthy(debug.traceback("x", 0):find "%[C%]: in function 'debug.traceback'")
local handler = select(2, xpcall(function() local x = nil; x() end, debug.traceback))
truthy(handler:find "attempt to call a nil value %(local 'x'%)")

-- ---- The rest ----
local u = io.stdout
equal(debug.setmetatable(10, { __index = { double = function(n) return n * 2 end } }), 10)
equal((5):double(), 10)
debug.setmetatable(10, nil)
equal(debug.getmetatable(10), nil)
equal(debug.getuservalue(u, 1) == nil, true)
equal(type(debug.getregistry()), "table")

c.done "hooks"
