-- A little of everything at once, with sums that show if anything was lost.
local c = require "conform"
local equal, truthy = c.equal, c.truthy

local seed = 1
local function random(n) seed = (seed * 48271) % 2147483647 return seed % n + 1 end

-- Queens, by recursion and by coroutines.
local function queens(n)
  local function place(row, columns, left, right)
    if row == n then return 1 end
    local found = 0
    local free = ~(columns | left | right) & ((1 << n) - 1)
    while free ~= 0 do
      local bit = free & -free
      free = free & ~bit
      found = found + place(row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
    end
    return found
  end
  return place(0, 0, 0, 0)
end
equal(queens(7), 40)

local function placements(n)
  return coroutine.wrap(function()
    local at = {}
    local function fits(row, column)
      for i = 1, row - 1 do
        if at[i] == column or math.abs(at[i] - column) == row - i then return false end
      end
      return true
    end
    local function place(row)
      if row > n then coroutine.yield(table.concat(at)) return end
      for column = 1, n do
        if fits(row, column) then
          at[row] = column
          place(row + 1)
        end
      end
    end
    place(1)
  end)
end
local boards, text = 0, ""
for board in placements(6) do
  boards = boards + 1
  text = text .. board .. ";"
end
equal(boards, 4)
equal(text, "246135;362514;415263;531642;")

-- A tree, in order, by nested generators.
local function insert(node, key)
  if not node then return { key = key } end
  if key < node.key then node.left = insert(node.left, key)
  elseif key > node.key then node.right = insert(node.right, key) end
  return node
end
local function walk(node)
  return coroutine.wrap(function()
    if node then
      for key in walk(node.left) do coroutine.yield(key) end
      coroutine.yield(node.key)
      for key in walk(node.right) do coroutine.yield(key) end
    end
  end)
end
local tree
for _ = 1, 120 do tree = insert(tree, random(1000)) end
local last, keys = 0, 0
for key in walk(tree) do
  truthy(key > last)
  last, keys = key, keys + 1
end
truthy(keys > 80)

-- Sorts whose comparator sorts, counts and catches.
local calls = 0
local list = {}
for i = 1, 300 do list[i] = random(1000) end
table.sort(list, function(a, b)
  calls = calls + 1
  local good, less = pcall(function()
    local digits = { a % 10, b % 10, (a // 10) % 10 }
    table.sort(digits, function(x, y) return x > y end)
    return a < b
  end)
  return good and less
end)
for i = 2, #list do truthy(list[i - 1] <= list[i]) end
truthy(calls > 300)

-- Substitutions within substitutions.
local source = ("the quick brown fox "):rep(20)
local changed, words = source:gsub("%a+", function(word)
  return (word:gsub("[aeiou]", function(vowel)
    local good, up = pcall(string.upper, vowel)
    return good and up
  end):reverse())
end)
equal(words, 80)
equal(changed:sub(1, 20), "Eht kcIUq nwOrb xOf ")

-- Chunks that are loaded from readers, and run.
local total = 0
for i = 1, 30 do
  local parts, at = { "local a = ", tostring(i), " local b = a * 2 ", "return a + b" }, 0
  total = total + load(function()
    at = at + 1
    for _ = 1, 20 do local x = at * at end
    return parts[at]
  end)()
end
equal(total, 3 * 465)

-- Objects with metamethods, closed and collected.
local open, closed = 0, 0
local Account = {}
Account.__index = Account
Account.__add = function(a, b) return setmetatable({ n = a.n + b.n }, Account) end
Account.__lt = function(a, b) return a.n < b.n end
Account.__close = function(a) closed = closed + a.n end
local sum = setmetatable({ n = 0 }, Account)
for i = 1, 500 do
  local a <close> = setmetatable({ n = i }, Account)
  open = open + 1
  sum = sum + a
  if i % 50 == 0 then
    pcall(function()
      local b <close> = setmetatable({ n = 1 }, Account)
      error "dropped"
    end)
  end
end
equal(sum.n, 125250)
equal(closed, 125260)
local finalized = 0
for i = 1, 500 do
  setmetatable({}, { __gc = function()
    local t = {}
    for j = 1, 5 do t[j] = { j } end
    finalized = finalized + #t
  end })
end
collectgarbage()
equal(finalized, 2500)

-- Producers, filters and consumers that hand on errors, too.
local function producer(n)
  return coroutine.create(function()
    for i = 1, n do coroutine.yield(i) end
    error("empty", 0)
  end)
end
local function consume(co, out)
  while true do
    local good, value = coroutine.resume(co)
    if not good then return value end
    out[#out + 1] = value
  end
end
local out = {}
equal(consume(producer(200), out), "empty")
equal(#out, 200)

-- Deep calls, deep errors.
local function down(n) if n == 0 then error("bottom", 0) end return 1 + down(n - 1) end
for depth = 1, 1500, 250 do
  local good, why = pcall(down, depth)
  equal(why, "bottom")
end
local handled = 0
for _ = 1, 20 do
  xpcall(down, function(why)
    handled = handled + #debug.traceback(why, 1):match "stack traceback"
  end, 30)
end
equal(handled, 300)

-- A matrix, and strings that are built.
local function multiply(a, b, n)
  local product = {}
  for i = 1, n do
    product[i] = {}
    for j = 1, n do
      local s = 0
      for k = 1, n do s = s + a[i][k] * b[k][j] end
      product[i][j] = s
    end
  end
  return product
end
local a, b, n = {}, {}, 24
for i = 1, n do
  a[i], b[i] = {}, {}
  for j = 1, n do a[i][j], b[i][j] = i + j, i == j and 2 or 0 end
end
local product = multiply(a, b, n)
for i = 1, n do equal(product[i][n], 2 * (i + n)) end
local pieces = {}
for i = 1, 2000 do pieces[#pieces + 1] = ("%03d"):format(i % 1000) end
local digits = table.concat(pieces)
equal(#digits, 6000)
local checksum = 0
for digit in digits:gmatch "%d" do checksum = (checksum * 31 + digit) % 1000003 end
c.say("checksum", checksum, text, changed:sub(-20))

c.done "work"
