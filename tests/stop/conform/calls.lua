-- Calls, their arguments and results; closures; loops, goto and scopes.
local c = require "conform"
local equal, row, fails, bad = c.equal, c.row, c.fails, c.bad

-- ---- Arguments and results ----
local function many(...) return ... end
local function none() end

row(table.pack(many()))
row(table.pack(many(nil)), nil)
row(table.pack(many(1, nil, nil)), 1, nil, nil)
row(table.pack((many(1, 2, 3))), 1)
row(table.pack(many(1, 2), many(3, 4)), 1, 3, 4)
row(table.pack(many(1, 2), (many(3, 4))), 1, 3)
row(table.pack(none(), none()), nil)
row(table.pack((none())), nil)
equal(#{ many(1, 2, 3), many(4, 5) }, 3)
equal(select("#"), 0)
equal(select("#", nil, nil), 2)
row(table.pack(select(2, "a", "b", "c")), "b", "c")
row(table.pack(select(-1, "a", "b", "c")), "c")
row(table.pack(select(-3, "a", "b", "c")), "a", "b", "c")
row(table.pack(select(4, "a", "b", "c")))
fails("index out of range", select, 0)
fails("index out of range", select, -4, 1, 2, 3)

local function optional(a, b, ...) return a, b, select("#", ...), ... end
row(table.pack(optional()), nil, nil, 0)
row(table.pack(optional(1, 2, nil)), 1, 2, 1, nil)

local object = { n = 3 }
function object:add(m) return self.n + m end
function object.nested() return object end
equal(object:add(4), 7)
equal(object.nested():add(1), 4)
equal(#"abc", 3)
equal(("x"):rep(3), "xxx")
equal(many "text", "text")
equal(many { 7 }[1], 7)
equal(type(many [[
long]]), "string")

-- Many at once.
local numbers = {}
for i = 1, 200 do numbers[i] = i end
equal(select("#", table.unpack(numbers)), 200)
equal((select(200, table.unpack(numbers))), 200)
local function sum(...)
  local total = 0
  for _, value in ipairs { ... } do total = total + value end
  return total
end
equal(sum(table.unpack(numbers)), 20100)
for i = 1, 20000 do numbers[i] = 1 end
equal(sum(table.unpack(numbers)), 20000)
fails("too many results to unpack", table.unpack, {}, 1, 1e8)
equal(string.char(many(72, 105)), "Hi")

-- ---- Recursion ----
local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
equal(fib(20), 6765)
local function depth(n) return n == 0 and 0 or 1 + depth(n - 1) end
equal(depth(10000), 10000)
local function tail(n) if n == 0 then return "end" end return tail(n - 1) end
equal(tail(300000), "end")
local function tail_many(n, ...)
  if n == 0 then return select("#", ...) end
  return tail_many(n - 1, n, ...)
end
equal(tail_many(100), 100)
local callable = setmetatable({}, { __call = function(self, n, ...)
  if n > 0 then return self(n - 1, n, ...) end
  return ...
end })
row(table.pack(callable(3)), 1, 2, 3)
local chain = function(...) return select("#", ...) end
for _ = 1, 10 do chain = setmetatable({}, { __call = chain }) end
equal(chain(1, 2), 12)
local function overflow() return 1 + overflow() end
fails("stack overflow", overflow)
fails("stack overflow", function()
  local function f(...) return f(1, ...) + 1 end
  f()
end)
equal(depth(100), 100) -- and nothing is broken

-- ---- Closures ----
local function counter()
  local n = 0
  return function() n = n + 1 return n end, function(m) n = m end
end
local get, set = counter()
local other = counter()
equal(get(), 1)
equal(get(), 2)
set(10)
equal(get(), 11)
equal(other(), 1)

local functions = {}
for i = 1, 5 do
  local j = i
  functions[i] = { function() return i, j end, function(x) i, j = x, -x end }
end
functions[2][2](20)
row(table.pack(functions[1][1]()), 1, 1)
row(table.pack(functions[2][1]()), 20, -20)
row(table.pack(functions[5][1]()), 5, 5)

local kept = {}
local k = 0
while k < 3 do
  k = k + 1
  local mine = k
  kept[k] = function() mine = mine + 1 return mine end
  if k == 2 then goto next end
  kept[k]()
  ::next::
end
row(table.pack(kept[1](), kept[2](), kept[3]()), 3, 3, 5)

local again = {}
do
  local n = 0
  repeat
    local seen = n
    again[#again + 1] = function() return seen end
    n = n + 1
  until seen == 3
end
row(table.pack(again[1](), again[4]()), 0, 3)

local function nest(a)
  return function(b)
    return function(d)
      a, b = b, a
      return a .. b .. d
    end
  end
end
local nested = nest "x" "y"
row(table.pack(nested "1", nested "2"), "yx1", "xy2")

local function deep_upvalues()
  local a, b, d = 1, 2, 3
  local function f()
    local function g()
      local function h() a, b, d = b, d, a return a * 100 + b * 10 + d end
      return h()
    end
    return g()
  end
  return f(), f(), f()
end
row(table.pack(deep_upvalues()), 231, 312, 123)

-- ---- Loops ----
local function span(first, last, step)
  local out = {}
  for i = first, last, step or 1 do out[#out + 1] = tostring(i) end
  return table.concat(out, " ")
end
equal(span(1, 3), "1 2 3")
equal(span(3, 1), "")
equal(span(3, 1, -1), "3 2 1")
equal(span(1, 2, 0.5), "1.0 1.5 2.0")
equal(span(1.0, 3), "1.0 2.0 3.0")
equal(span(1, 3.9), "1 2 3")
equal(span(math.maxinteger - 1, math.maxinteger), "9223372036854775806 9223372036854775807")
equal(span(math.mininteger + 1, math.mininteger, -1), "-9223372036854775807 -9223372036854775808")
equal(span(math.maxinteger - 1, math.huge, math.maxinteger), "9223372036854775806")
equal(span(1, -math.huge), "")
fails("'for' step is zero", span, 1, 2, 0)
fails("bad 'for' initial value (number expected, got table)", span, {}, 2)
fails("bad 'for' limit (number expected, got string)", span, 1, "x")
fails("bad 'for' step (number expected, got string)", span, 1, 2, "x")
local total = 0
for i = 1, 5 do
  for j = 1, 5 do
    if j == i then goto continue end
    if j > 4 then break end
    total = total + i * j
    ::continue::
  end
end
equal(total, 120)
local letters = {}
for letter in ("a b c"):gmatch "%a" do letters[#letters + 1] = letter end
equal(table.concat(letters), "abc")
for i = 1, 3 do local i = i * 2 total = total + i end
equal(total, 132)

-- ---- goto ----
do
  local i = 1
  ::top::
  if i <= 3 then
    i = i + 1
    goto top
  end
  equal(i, 4)
end
do
  local out = {}
  for i = 1, 3 do
    do
      if i == 2 then goto skip end
    end
    out[#out + 1] = i
    ::skip::
  end
  equal(table.concat(out), "13")
end
do -- each time round, another variable
  local made = {}
  local i = 1
  ::again::
  local x = i
  made[i] = function() return x end
  i = i + 1
  if i <= 3 then goto again end
  row(table.pack(made[1](), made[2](), made[3]()), 1, 2, 3)
end
bad("no visible label 'nowhere' for <goto>", "goto nowhere")
bad("label 'twice' already defined", "::twice:: ::twice::")
bad("jumps into the scope of local 'x'", "goto f; local x; ::f:: print(x)")
bad("break outside loop at line 1", "break")

-- ---- Scopes and attributes ----
local x <const> = 5
equal(x + 1, 6)
bad("attempt to assign to const variable 'y'", "local y <const> = 1; y = 2")
bad("unknown attribute 'odd'", "local z <odd> = 1")
do
  local x = x * 2
  equal(x, 10)
  do local x = x + 1 equal(x, 11) end
end
equal(x, 5)
local order = {}
local function closing(name)
  return setmetatable({}, { __close = function(_, why)
    order[#order + 1] = name .. (why and ":" .. tostring(why) or "")
  end })
end
do
  local a <close> = closing "a"
  local b <close> = closing "b"
  local d <close> = nil
  local e <close> = false
  order[#order + 1] = "body"
end
equal(table.concat(order, " "), "body b a")
order = {}
local function returns()
  local a <close> = closing "a"
  return "value", #order
end
row(table.pack(returns()), "value", 0)
equal(table.concat(order, " "), "a")
order = {}
for i = 1, 3 do
  local a <close> = closing("i" .. i)
  if i == 2 then break end
end
equal(table.concat(order, " "), "i1 i2")
order = {}
pcall(function()
  local a <close> = closing "a"
  local b <close> = setmetatable({}, { __close = function(_, why)
    order[#order + 1] = tostring(why)
    error("second", 0)
  end })
  error("first", 0)
end)
equal(table.concat(order, " "), "first a:second")
fails("variable 'v' got a non-closable value", function() local v <close> = 42 end)
order = {}
do
  local i = 0
  for value in function() i = i + 1 if i < 4 then return i end end, nil, nil, closing "for" do
    order[#order + 1] = value
  end
end
equal(table.concat(order, " "), "1 2 3 for")
order = {}
do
  local i = 1
  ::back::
  do
    local a <close> = closing("g" .. i)
    i = i + 1
    if i < 4 then goto back end
  end
end
equal(table.concat(order, " "), "g1 g2 g3")

-- ---- Environments ----
do
  local _ENV = { c = c, equal = equal }
  y = 7
  equal(_ENV.y, 7)
end
equal(rawget(_G, "y"), nil)
local env = {}
local chunk = load("x = 1; local function f() y = 2 end f() return _ENV", "=env", "t", env)
equal(chunk(), env)
row(table.pack(env.x, env.y), 1, 2)

c.done "calls"
