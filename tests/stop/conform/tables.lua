-- The table library, mathematics, and numbers.
local c = require "conform"
local equal, row, fails, truthy = c.equal, c.row, c.fails, c.truthy

-- ---- insert and remove ----
local t = {}
table.insert(t, "b")
table.insert(t, 1, "a")
table.insert(t, 3, "d")
table.insert(t, 3, "c")
equal(table.concat(t), "abcd")
fails("position out of bounds", table.insert, t, 7, "x")
fails("position out of bounds", table.insert, t, 0, "x")
fails("wrong number of arguments to 'insert'", table.insert, t)
fails("wrong number of arguments to 'insert'", table.insert, t, 1, 2, 3)
row(table.pack(table.remove(t), table.remove(t, 1), table.concat(t)), "d", "a", "bc")
row(table.pack(table.remove {}, table.remove({}, 0), #t), nil, nil, 2)
row(table.pack(table.remove({ [0] = "zero" }, 0)), "zero")
fails("position out of bounds", table.remove, t, 9)
local zero = { [0] = "zero" }
zero[#zero] = nil
for i = 1, 300 do table.insert(t, 1, i) end
for i = 300, 1, -1 do equal(table.remove(t, 1), i) end
equal(table.concat(t), "bc")
local proxy = setmetatable({}, {
  __len = function() return 3 end,
  __index = function(_, i) return i * 10 end,
  __newindex = function(s, k, v) rawset(s, k, v) end,
})
equal(table.concat(proxy, ","), "10,20,30")
row(table.pack(table.unpack(proxy)), 10, 20, 30)
table.insert(proxy, 99)
equal(rawget(proxy, 4), 99)
equal(table.remove(setmetatable({}, { __len = function() return 2 end, __index = function(_, i) return "v" .. i end })), "v2")

-- ---- concat and unpack ----
row(table.pack(table.concat({}), table.concat({ 1, 2.5, "x" }), table.concat({ 1, 2, 3 }, ", "), table.concat({ 1, 2, 3 }, "-", 2), table.concat({ 1, 2, 3 }, "-", 2, 2), table.concat({ 1 }, "x", 2)),
    "", "12.5x", "1, 2, 3", "2-3", "2", "")
fails("in table for 'concat'", table.concat, { 1, {}, 3 })
row(table.pack(table.unpack({ 1, 2, nil, 4 }, 1, 4)), 1, 2, nil, 4)
row(table.pack(table.unpack({ 1, 2 }, 2)), 2)
row(table.pack(table.unpack({}, 1, 0)))
row(table.pack(table.unpack({ 5 }, -1, 1)), nil, nil, 5)
row(table.pack(table.unpack({}, math.maxinteger, math.maxinteger)), nil)
fails("too many results to unpack", table.unpack, {}, math.mininteger, math.maxinteger)
local packed = table.pack(nil, nil)
row(table.pack(packed.n, #packed == 0 or #packed == 2), 2, true)
equal(table.concat({ table.unpack(("x "):rep(3), 1, 0) }), "")

-- ---- move ----
equal(table.concat(table.move({ 1, 2, 3 }, 1, 3, 2)), "1123")
equal(table.concat(table.move({ 1, 2, 3 }, 2, 3, 1)), "233")
equal(table.concat(table.move({ 1, 2, 3 }, 1, 3, 1, {})), "123")
equal(table.concat(table.move({ 1, 2, 3 }, 1, 0, 5)), "123")
equal(#table.move({}, 1, 500, 1, {}), 0)
fails("too many elements to move", table.move, {}, 0, math.maxinteger, 1)
fails("destination wrap around", table.move, {}, 1, 3, math.maxinteger)
local moved = {}
for i = 1, 3000 do moved[i] = i end
table.move(moved, 1, 3000, 1001)
row(table.pack(moved[1000], moved[1001], moved[4000], #moved), 1000, 1, 3000, 4000)

-- ---- sort ----
local function sorted(list, less)
  for i = 2, #list do
    if less and less(list[i], list[i - 1]) or not less and list[i] < list[i - 1] then
      return false
    end
  end
  return true
end
local seed = 42
local function random() seed = (seed * 1103515245 + 12345) & 0x7fffffff return seed end
for _, size in ipairs { 0, 1, 2, 3, 10, 100, 101, 1000, 5000 } do
  local list = {}
  for i = 1, size do list[i] = random() end
  table.sort(list)
  truthy(sorted(list))
  local more = function(a, b) return a > b end
  table.sort(list, more)
  truthy(sorted(list, more))
  for i = 1, size do list[i] = i % 7 end
  table.sort(list)
  truthy(sorted(list))
  for i = 1, size do list[i] = tostring(random() % 1000) end
  table.sort(list)
  truthy(sorted(list))
  table.sort(list, function(a, b) return #a < #b or #a == #b and a < b end)
  truthy(sorted(list, function(a, b) return #a < #b or #a == #b and a < b end))
end
fails("attempt to compare", table.sort, { 1, "x", 2 })
fails("invalid order function for sorting", table.sort, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, function() return true end)
fails("own", table.sort, { 3, 2, 1 }, function() error "own" end)
fails("array too big", table.sort, setmetatable({}, { __len = function() return math.maxinteger end }))
fails("bad argument #2 to 'table.sort' (function expected, got number)", table.sort, { 2, 1 }, 1)
local nested = {}
for i = 1, 50 do nested[i] = { random() % 10, random() % 10 } end
table.sort(nested, function(a, b)
  local x, y = { a[1], a[2] }, { b[1], b[2] }
  table.sort(x)
  table.sort(y)
  return x[1] < y[1] or x[1] == y[1] and x[2] < y[2]
end)
truthy(#nested == 50)

-- ---- Integers and floats ----
row(table.pack(math.type(1), math.type(1.0), math.type "1"), "integer", "float", nil)
row(table.pack(7 // 2, -7 // 2, 7 // -2, 7.0 // 2, -7 // 2.0, 1 // 0.0, -1 // 0.0), 3, -4, -4, 3.0, -4.0, math.huge, -math.huge)
row(table.pack(7 % 3, -7 % 3, 7 % -3, -7 % -3, 5.5 % 2, -5.5 % 2, 5 % math.huge, -5 % math.huge), 1, 2, -2, -1, 1.5, 0.5, 5.0, math.huge)
row(table.pack(1 / 2, 4 / 2, 2^10, 10 // 1, 3 * 1.0), 0.5, 2.0, 1024.0, 10, 3.0)
row(table.pack(math.maxinteger + 1, math.mininteger - 1, -math.mininteger, math.maxinteger * 2), math.mininteger, math.maxinteger, math.mininteger, -2)
row(table.pack(math.mininteger // -1, math.mininteger % -1), math.mininteger, 0)
row(table.pack(1 << 63, 1 << 64, 1 << -1, -1 >> 1, -1 >> 63, 1 << 62, ~0, 5 & 3, 5 | 3, 5 ~ 3), math.mininteger, 0, 0, math.maxinteger, 1, 1 << 62, -1, 1, 7, 6)
row(table.pack(2^53 == 2^53 + 1, 1 == 1.0, math.maxinteger + 0.0 == math.maxinteger, math.maxinteger < 2^63, -1 < 2^63), true, true, false, true, true)
row(table.pack(0 / 0 == 0 / 0, 0 / 0 ~= 0 / 0, -0.0 == 0.0, 1 / -0.0), false, true, true, -math.huge)
row(table.pack(3 | 0, 3.0 | 0, "7" + 0, 0x10, 0xA.8p0, 1e2, .5), 3, 3, 7, 16, 10.5, 100.0, 0.5)
row(table.pack(0xffffffffffffffff, 9223372036854775807, 9223372036854775808), -1, math.maxinteger, 2^63)
for i = 0, 62 do equal(1 << i, math.tointeger(2^i)) end
local fact = 1
for i = 1, 20 do fact = fact * i end
equal(fact, 2432902008176640000)
local x = 1.0
for i = 1, 1000 do x = x * 1.0000001 + 0.5 - 0.5 end
truthy(x > 1.0001 - 1e-6 and x < 1.0001 + 1e-4)

-- ---- math ----
row(table.pack(math.floor(2.5), math.floor(-2.5), math.ceil(2.5), math.ceil(-2.5), math.floor(7), math.floor(1e300) == 1e300), 2, -3, 3, -2, 7, true)
row(table.pack(math.tointeger(3.0), math.tointeger(3.5), math.tointeger "8", math.tointeger {}, math.tointeger(2^63)), 3, nil, 8, nil, nil)
row(table.pack(math.max(1, 2.5, -1), math.min(3, 1, 2), math.max(5), math.min(1.0, 1)), 2.5, 1, 5, 1.0)
fails("bad argument #1 to 'math.max'", math.max)
row(table.pack(math.abs(-5), math.abs(-5.5), math.abs(math.mininteger)), 5, 5.5, math.mininteger)
row(table.pack(math.fmod(7, 3), math.fmod(-7, 3), math.fmod(7, -3), math.fmod(5.5, 2), math.fmod(math.mininteger, -1)), 1, -1, 1, 1.5, 0)
fails("bad argument #2 to 'math.fmod' (zero)", math.fmod, 1, 0)
equal((math.modf(3.7)) == 3, true)
equal(select(2, math.modf(-math.huge)), 0.0)
row(table.pack(math.ult(1, -1), math.ult(-1, 1), math.ult(1, 2)), true, false, true)
row(table.pack(math.sqrt(16), math.exp(0), math.log(1), math.log(8, 2), math.log(1000, 10), math.log(27, 3)), 4.0, 1.0, 0.0, 3.0, math.log(1000, 10), math.log(27, 3))
truthy(math.abs(math.sin(math.pi / 6) - 0.5) < 1e-15 and math.abs(math.atan(1, 1) - math.pi / 4) < 1e-15)
math.randomseed(7)
local a, b = math.random(1000000), math.random()
math.randomseed(7)
row(table.pack(math.random(1000000), math.random()), a, b)
for _ = 1, 2000 do
  local r = math.random(-3, 3)
  truthy(r >= -3 and r <= 3)
  local f = math.random()
  truthy(f >= 0 and f < 1)
end
equal(math.type(math.random(0)), "integer")
fails("interval is empty", math.random, 0, -1)
fails("wrong number of arguments", math.random, 1, 2, 3)

-- ---- os and io, what of them can be repeated ----
equal(os.time { year = 2024, month = 1, day = 1, hour = 12 } - os.time { year = 2023, month = 12, day = 31, hour = 12 }, 86400)
equal(os.date("!%Y-%m-%d %H:%M:%S", 86400), "1970-01-02 00:00:00")
equal(os.date("!*t", 0).year, 1970)
equal(os.getenv "NO_SUCH_VARIABLE_HERE", nil)
fails("invalid conversion specifier '%Ez'", os.date, "%Ez")
truthy(os.clock() >= 0)
local file = truthy(io.tmpfile())
file:write("one\n", 2, "\n", 3.5, "\nlast")
file:seek "set"
row(table.pack(file:read("l", "n", "n", "l", "a")), "one", 2, 3.5, "", "last")
row(table.pack(file:read "a", file:read "l"), "", nil)
file:seek("set", 0)
local lines = {}
for line in file:lines() do lines[#lines + 1] = line end
equal(table.concat(lines, "|"), "one|2|3.5|last")
truthy(file:close())
fails("attempt to use a closed file", file.read, file)
row(table.pack(io.type(file), io.type(io.stdout), io.type(1)), "closed file", "file", nil)
equal(select(3, io.open "/no/such/file"), 2)

c.done "tables"
