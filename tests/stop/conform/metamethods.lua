-- Metamethods, tables as the language sees them, and collecting garbage.
local c = require "conform"
local equal, row, fails, truthy = c.equal, c.row, c.fails, c.truthy

-- ---- Arithmetic and the like ----
local log
local function note(name)
  return function(a, b)
    log = name
    return name, "second result is dropped", a, b
  end
end
local names = {
  "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl",
  "shr", "bnot", "concat",
}
local meta = {}
for _, name in ipairs(names) do meta["__" .. name] = note(name) end
local x = setmetatable({}, meta)
local operators = {
  add = "+", sub = "-", mul = "*", div = "/", mod = "%", pow = "^", idiv = "//",
  band = "&", bor = "|", bxor = "~", shl = "<<", shr = ">>", concat = "..",
}
for name, operator in pairs(operators) do
  local f = load("local a, b = ... return a " .. operator .. " b")
  for _, pair in ipairs { { x, 1 }, { 1, x }, { x, x }, { x, "s" }, { 2.5, x }, { x, {} } } do
    log = nil
    row(table.pack(f(pair[1], pair[2])), name)
    equal(log, name)
  end
end
equal(-x, "unm")
equal(~x, "bnot")
equal(load "local x = ... return x + 1"(x), "add") -- with a constant
equal(load "local x = ... return 1 + x"(x), "add")
equal(load "local x = ... return x << 1"(x), "shl")
equal(load "local x = ... return 1 << x"(x), "shl")
local which = setmetatable({}, { __add = function() return "left" end })
local other = setmetatable({}, { __add = function() return "right" end })
equal(which + other, "left")
equal(other + which, "right")
equal({} == {}, false)

-- ---- Comparisons ----
local function number(n)
  return setmetatable({ n = n }, {
    __eq = function(a, b) return a.n == b.n end,
    __lt = function(a, b) return (type(a) == "table" and a.n or a) < (type(b) == "table" and b.n or b) end,
    __le = function(a, b) return (type(a) == "table" and a.n or a) <= (type(b) == "table" and b.n or b) end,
    __len = function(a) return a.n end,
    __unm = function(a) return number and -a.n end,
    __tostring = function(a) return "#" .. a.n end,
    __concat = function(a, b) return tostring(a) .. "," .. tostring(b) end,
    __close = function() end,
  })
end
local one, two, uno = number(1), number(2), number(1)
row(table.pack(one == uno, one ~= uno, one == two, one ~= two), true, false, false, true)
row(table.pack(one < two, one <= two, one > two, one >= two), true, true, false, false)
row(table.pack(one < 2, 2 > one, one <= 1, 1 >= one, 1 < one), true, true, true, true, false)
equal(rawequal(one, uno), false)
equal(one == 1, false)
row(table.pack(#one, -two, tostring(two)), 1, -2, "#2")
equal("a" .. one .. two .. "b", "a#1,#2,b")
equal(1 .. two, "1,#2")
local truth = setmetatable({}, { __lt = function() return 1 end, __eq = function() return nil end })
row(table.pack(truth < truth, truth == setmetatable({}, getmetatable(truth))), true, false)

-- ---- Index and newindex ----
local base = { greet = function(self) return "hi " .. self.name end }
base.__index = base
local derived = setmetatable({}, base)
derived.__index = derived
local object = setmetatable({ name = "Ada" }, derived)
equal(object:greet(), "hi Ada")
equal(rawget(object, "greet"), nil)
local reads, writes = 0, 0
local proxy = setmetatable({}, {
  __index = function(_, key) reads = reads + 1 return key end,
  __newindex = function(t, key, value) writes = writes + 1 rawset(t, key, value) end,
})
equal(proxy.a, "a")
proxy.a = 1
proxy.a = 2
row(table.pack(proxy.a, reads, writes), 2, 1, 1)
for i = 1, 100 do proxy[i] = i end
row(table.pack(#proxy, writes), 100, 101)
local target = {}
local forward = setmetatable({}, { __newindex = target, __index = target })
forward.x = 5
row(table.pack(rawget(forward, "x"), target.x, forward.x), nil, 5, 5)
local chain = {}
local last = chain
for i = 1, 50 do
  local nextone = {}
  setmetatable(last, { __index = nextone, __newindex = nextone })
  last = nextone
end
chain.deep = "v"
row(table.pack(rawget(chain, "deep"), chain.deep, rawget(last, "deep")), nil, "v", "v")
local loop = {}
setmetatable(loop, { __index = loop })
fails("'__index' chain too long; possible loop", function() return loop.x end)
fails("'__newindex' chain too long; possible loop", function()
  local t = setmetatable({}, {})
  getmetatable(t).__newindex = t
  t.x = 1
end)
fails("attempt to index a number value", function()
  return setmetatable({}, { __index = 1 }).x
end)

-- ---- Metatables ----
row(table.pack(getmetatable(setmetatable({}, { __metatable = "locked" }))), "locked")
equal(getmetatable({}), nil)
equal(getmetatable("").__index, string)
equal(setmetatable(target, nil), target)
for key, value in pairs(setmetatable({}, { __pairs = function(t) return next, { a = 1 }, nil end })) do
  row(table.pack(key, value), "a", 1)
end
local sums = 0
for _, value in ipairs(setmetatable({}, { __index = function(_, i) if i <= 5 then return i end end })) do
  sums = sums + value
end
equal(sums, 15)

-- ---- next and pairs ----
local t = {}
for i = 1, 500 do t[i] = i t["k" .. i] = i end
local count, total = 0, 0
for key, value in pairs(t) do
  count, total = count + 1, total + value
  t[key] = nil -- allowed while walking
end
row(table.pack(count, total, next(t)), 1000, 250500, nil)
t = { n = nil, 10, 20, nil, 40 }
equal(#{ 10, 20, 30, nil }, 3)
equal(#{ n = 1 }, 0)
t = {}
t[1.0], t[2^53] = "one", "big"
row(table.pack(t[1], t[2^53 | 0], next({}, nil)), "one", "big", nil)
t[0.5], t[-0.0] = "half", "zero"
row(table.pack(t[0.5], t[0], t[-0]), "half", "zero", "zero")
for i = 1, 2000 do t[i] = i end
for i = 2000, 1, -1 do t[i] = nil end
equal(#t, 0)
t = {}
for i = 1, 100 do t[#t + 1] = i end
for i = 100, 1, -1 do
  equal(#t, i)
  t[#t] = nil
end

-- ---- Weak tables ----
local weak = setmetatable({}, { __mode = "v" })
for i = 1, 100 do weak[i] = {} end
local kept = {}
weak[101], weak[102], weak.text = kept, print, "text"
collectgarbage()
count = 0
for _ in pairs(weak) do count = count + 1 end
equal(count, 3)
local ephemeron = setmetatable({}, { __mode = "k" })
do
  local key = {}
  ephemeron[key] = { key }
  ephemeron[{}] = { 1 }
  ephemeron.name = {}
  collectgarbage()
  count = 0
  for _ in pairs(ephemeron) do count = count + 1 end
  equal(count, 2)
  equal(ephemeron[key][1], key)
end
collectgarbage()
equal(next(ephemeron), "name")
local both = setmetatable({}, { __mode = "kv" })
both[{}], both[1], both.x = 1, {}, kept
collectgarbage()
count = 0
for _ in pairs(both) do count = count + 1 end
equal(count, 1)

-- ---- Finalizers ----
local order = {}
for i = 1, 5 do
  setmetatable({}, { __gc = function() order[#order + 1] = i end })
end
collectgarbage()
equal(table.concat(order, " "), "5 4 3 2 1")
local revived
setmetatable({ tag = "again" }, { __gc = function(o) revived = o end })
collectgarbage()
equal(revived.tag, "again")
revived = setmetatable(revived, getmetatable(revived))
local copy = revived
revived, copy = nil, nil
collectgarbage()
equal(revived and revived.tag, "again")
local finalized = 0
for i = 1, 3000 do
  setmetatable({}, { __gc = function() finalized = finalized + 1 end })
end
collectgarbage()
equal(finalized, 3000)
local in_coroutine
setmetatable({}, { __gc = function()
  in_coroutine = coroutine.wrap(function() coroutine.yield(1) return 2 end)()
end })
collectgarbage()
equal(in_coroutine, 1)
setmetatable({}, { __gc = true }) -- not called
warn "@off"
setmetatable({}, { __gc = function() error "ignored" end })
collectgarbage()

-- ---- The collector ----
local before = collectgarbage "count"
do local big = ("x"):rep(1 << 20) truthy(collectgarbage "count" > before + 1000) end
collectgarbage()
collectgarbage()
truthy(collectgarbage "count" < before + 900)
equal(collectgarbage "isrunning", true)
collectgarbage "stop"
equal(collectgarbage "isrunning", false)
collectgarbage "restart"
truthy(collectgarbage "generational")
equal(collectgarbage "generational", "generational")
local list
for i = 1, 20000 do list = { list, i } if i % 100 == 0 then list = nil end end
equal(collectgarbage("incremental", 150, 200, 12), "generational")
for i = 1, 20000 do list = { list, i } if i % 100 == 0 then list = nil end end
equal(collectgarbage "incremental", "incremental")
truthy(type(collectgarbage("step", 10)) == "boolean")
collectgarbage()

-- Strings are one where they are equal, through it all.
local texts = {}
for i = 1, 5000 do texts["k" .. i % 50] = (texts["k" .. i % 50] or 0) + 1 end
for i = 0, 49 do equal(texts["k" .. i], 100) end

c.done "metamethods"
