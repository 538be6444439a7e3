-- Coroutines, with their corners.
local c = require "conform"
local equal, row, fails, truthy = c.equal, c.row, c.fails, c.truthy
local create, resume, wrap, yield, status, close, running, isyieldable =
  coroutine.create, coroutine.resume, coroutine.wrap, coroutine.yield, coroutine.status,
  coroutine.close, coroutine.running, coroutine.isyieldable

-- ---- Values in and out ----
local co = create(function(a, b)
  row(table.pack(a, b), 1, nil)
  row(table.pack(yield()))
  row(table.pack(yield(2, nil)), "x", "y", nil)
  return "r", nil
end)
equal(status(co), "suspended")
row(table.pack(resume(co, 1, nil)), true)
equal(status(co), "suspended")
row(table.pack(resume(co)), true, 2, nil)
row(table.pack(resume(co, "x", "y", nil)), true, "r", nil)
equal(status(co), "dead")
row(table.pack(resume(co)), false, "cannot resume dead coroutine")
row(table.pack(resume(co, 1)), false, "cannot resume dead coroutine")

local many = {}
for i = 1, 5000 do many[i] = i end
co = wrap(function(...)
  local n = select("#", ...)
  while true do n = select("#", yield(n, ...)) end
end)
equal((co(table.unpack(many))), 5000)
equal((co(1, 2, 3)), 3)
equal((co(table.unpack(many, 1, 200))), 200)

-- ---- Errors ----
co = create(function() error { code = 7 } end)
local good, why = resume(co)
row(table.pack(good, why.code, status(co)), false, 7, "dead")
co = create(function() local t = nil return t.x end)
good, why = resume(co)
truthy(not good and why:find "attempt to index a nil value %(local 't'%)")
co = wrap(function() error("text", 0) end)
equal(select(2, pcall(co)), "text")
fails("cannot resume dead coroutine", co)
local function raise() error "here" end
good, why = pcall(wrap(raise))
truthy(why:find "coroutines.lua:%d+: here$" or why:find ":%d+: here$")
local object = setmetatable({}, { __tostring = function() return "object" end })
equal(select(2, pcall(wrap(function() error(object) end))), object)
equal(select(2, pcall(wrap(function() error(nil) end))), nil)
fails("bad argument #1 to 'coroutine.resume' (thread expected, got number)", resume, 1)
fails("bad argument #1 to 'coroutine.status' (thread expected, got no value)", status)
fails("bad argument #1 to 'coroutine.create' (function expected, got table)", create, {})
fails("bad argument #1 to 'coroutine.wrap' (function expected, got no value)", wrap)
fails("bad argument #1 to 'coroutine.close' (thread expected, got table)", close, {})
fails("bad argument #1 to 'create' (function expected, got no value)", function()
  coroutine.create()
end)

-- ---- Statuses ----
local main, is_main = running()
equal(type(main), "thread")
equal(status(main), "running")
local outer
outer = create(function()
  equal(status(outer), "running")
  local me, first = running()
  row(table.pack(me, first), outer, false)
  equal(isyieldable(), true)
  equal(status(main), "normal")
  local inner = create(function()
    equal(status(outer), "normal")
    row(table.pack(resume(outer)), false, "cannot resume non-suspended coroutine")
    return "inner"
  end)
  equal(isyieldable(inner), true)
  row(table.pack(resume(inner)), true, "inner")
  equal(status(inner), "dead")
  row(table.pack(resume(outer)), false, "cannot resume non-suspended coroutine")
  row(table.pack(resume(main)), false, "cannot resume non-suspended coroutine")
end)
row(table.pack(resume(outer)), true)
equal(status(outer), "dead")
equal(isyieldable(create(yield)), true)

local recursive
recursive = wrap(function() return pcall(recursive) end)
row(table.pack(recursive()), false, "cannot resume non-suspended coroutine")

-- ---- Yields across everything ----
co = wrap(function()
  row(table.pack(pcall(yield, "pcall")), true, 1)
  row(table.pack(pcall(function() yield "deep" error("after", 0) end)), false, "after")
  row(table.pack(xpcall(yield, print, "xpcall")), true, 3)
  row(table.pack(xpcall(function() yield "handler" error("caught", 0) end,
                        function(text) return text .. "!" end)), false, "caught!")
  local meta = {
    __index = function(_, key) return yield("index " .. key) end,
    __add = function() return yield "add" end,
    __eq = function() return yield "eq" end,
    __lt = function() return yield "lt" end,
    __le = function() return yield "le" end,
    __concat = function() return yield "concat" end,
    __len = function() return yield "len" end,
    __unm = function() return yield "unm" end,
    __call = function(_, ...) return yield("call", ...) end,
    __newindex = function(_, key, value) yield("newindex", key, value) end,
    __close = function(_, text) yield("close", text) end,
    __band = function() return yield "band" end,
  }
  local a, b = setmetatable({}, meta), setmetatable({}, meta)
  equal(a.key, 5)
  equal(a + b, 6)
  equal(a == b, true)
  equal(a ~= b, true)
  equal(a < b, false)
  equal(a <= b, true)
  equal("x" .. a .. "y", "xjoined")
  equal(#a, 12)
  equal(-a, 13)
  equal(a(1, 2), 14)
  a.x = "v"
  equal(a & 1, 16)
  do
    local guard <close> = a
  end
  pcall(function()
    local guard <close> = a
    error("why", 0)
  end)
  for i, j in function(_, n) return yield("iterate", n) end, nil, 0 do
    row(table.pack(i, j), 1, 2)
    break
  end
  for key in pairs(setmetatable({}, { __pairs = function(t)
    yield "pairs"
    return function(_, k) if not k then return yield "next" end end, t
  end })) do
    equal(key, "key")
  end
  return "end"
end)
local script = {
  { nil, "pcall" }, { 1, "deep" }, { nil, "xpcall" }, { 3, "handler" },
  { nil, "index key" }, { 5, "add" }, { 6, "eq" }, { true, "eq" }, { nil, "lt" }, { false, "le" },
  { 1, "concat" }, { "joined", "len" }, { 12, "unm" }, { 13, "call" }, { 14, "newindex" },
  { nil, "band" }, { 16, "close" }, { nil, "close" }, { nil, "iterate" },
}
for i, step in ipairs(script) do
  equal(co(step[1]), step[2])
end
row(table.pack(co(1, 2)), "pairs")
row(table.pack(co()), "next")
equal(co "key", "end")

-- Functions that call back in C cannot be left.
local refused = "attempt to yield across a C-call boundary"
co = wrap(function()
  fails(refused, table.sort, { 3, 2, 1 }, function(a, b) yield() return a < b end)
  fails(refused, string.gsub, "x", ".", yield)
  return load(yield)
end)
row(table.pack(co()), nil, refused)
co = wrap(function()
  return pcall(table.sort, { 3, 2, 1 }, function(a, b)
    equal(isyieldable(), false)
    return a < b
  end)
end)
row(table.pack(co()), true)

-- ---- Generators ----
local function permutations(list, n)
  n = n or #list
  if n <= 1 then
    yield(table.concat(list))
  else
    for i = 1, n do
      list[i], list[n] = list[n], list[i]
      permutations(list, n - 1)
      list[i], list[n] = list[n], list[i]
    end
  end
end
local found = {}
for text in wrap(function() permutations { "a", "b", "c", "d" } end) do
  found[#found + 1] = text
end
equal(#found, 24)
table.sort(found)
equal(found[1] .. found[24], "abcddcba")

local function numbers() return wrap(function() for i = 2, math.huge do yield(i) end end) end
local function filter(prime, source)
  return wrap(function()
    for n in source do
      if n % prime ~= 0 then yield(n) end
    end
  end)
end
local source, primes = numbers(), {}
for _ = 1, 30 do
  local prime = source()
  primes[#primes + 1] = prime
  source = filter(prime, source)
end
equal(primes[30], 113.0 // 1 | 0)

-- A thousand that take turns.
local crew, log = {}, 0
for i = 1, 1000 do
  crew[i] = create(function(a)
    for round = 1, 5 do
      local b = yield(i * round)
      a = a + b
    end
    return a
  end)
end
local results = 0
for round = 1, 6 do
  for i = 1, 1000 do
    local good, value = resume(crew[i], round)
    truthy(good)
    if round < 6 then log = log + value else results = results + value end
  end
end
equal(log, 1000 * 1001 // 2 * 15)
equal(results, 21000)

-- Deep, one in another.
local function nest(n)
  if n == 0 then return "bottom" end
  return wrap(nest)(n - 1)
end
equal(nest(100), "bottom")
local function nest_yield(n)
  if n == 0 then yield "bottom" return 0 end
  local inner = wrap(nest_yield)
  yield(inner(n - 1))
  return 1 + inner()
end
local nested = wrap(nest_yield)
equal(nested(80), "bottom")
equal(nested(), 80)
good, why = pcall(function()
  local function endless() return wrap(endless)() end
  return endless()
end)
truthy(not good and tostring(why):find "C stack overflow")

-- ---- close ----
local closed = {}
local function guard(name, fail)
  return setmetatable({}, { __close = function(_, why)
    closed[#closed + 1] = name .. ":" .. tostring(why)
    if fail then error(fail, 0) end
  end })
end
co = create(function()
  local a <close> = guard "a"
  local b <close> = guard "b"
  yield(1)
end)
resume(co)
row(table.pack(close(co)), true)
equal(table.concat(closed, " "), "b:nil a:nil")
equal(status(co), "dead")
row(table.pack(close(co)), true)
row(table.pack(close(create(print))), true)

closed = {}
co = create(function()
  local a <close> = guard("a", "from a")
  local b <close> = guard("b", "from b")
  yield(1)
end)
resume(co)
row(table.pack(close(co)), false, "from a")
equal(table.concat(closed, " "), "b:nil a:from b")
equal(status(co), "dead")

closed = {}
co = create(function()
  local a <close> = guard "a"
  error("own", 0)
end)
row(table.pack(resume(co)), false, "own")
equal(table.concat(closed, " "), "")
row(table.pack(close(co)), false, "own")
equal(table.concat(closed, " "), "a:own")

closed = {}
co = wrap(function()
  local a <close> = guard "a"
  error("own", 0)
end)
row(table.pack(pcall(co)), false, "own")
equal(table.concat(closed, " "), "a:own")
closed = {}
co = wrap(function()
  local a <close> = guard("a", "other")
  error("own", 0)
end)
row(table.pack(pcall(co)), false, "other")

co = create(function() return close(running()) end)
good, why = resume(co)
truthy(not good and why:find "cannot close a running coroutine")
co = create(function()
  local me = running()
  return wrap(function() return pcall(close, me) end)()
end)
row(table.pack(resume(co)), true, false, "cannot close a normal coroutine")

-- A close that yields; and one that goes on after an error.
co = wrap(function()
  do
    local a <close> = setmetatable({}, { __close = function() yield "closing" end })
    yield "body"
  end
  return "done"
end)
row(table.pack(co(), co(), co()), "body", "closing", "done")

-- Within a close, coroutines of its own.
closed = {}
co = create(function()
  local a <close> = setmetatable({}, { __close = function()
    for value in wrap(function() for i = 1, 3 do yield(i) end end) do
      closed[#closed + 1] = value
    end
  end })
  yield()
end)
resume(co)
row(table.pack(close(co)), true)
equal(table.concat(closed), "123")

-- ---- Garbage ----
local weak = setmetatable({}, { __mode = "v" })
weak[1] = create(function() local big = ("x"):rep(1000) yield(big) end)
resume(weak[1])
collectgarbage()
equal(weak[1], nil)
local left = create(function() local t = {} weak[2] = t yield(t) end)
resume(left)
collectgarbage()
equal(type(weak[2]), "table")
left = nil
collectgarbage()
equal(weak[2], nil)
for i = 1, 2000 do
  local one = wrap(function(a) local b = yield(a) yield(a + b) end)
  equal(one(i) + one(1), 2 * i + 1)
end

-- ---- Upvalues that leave with it ----
local getter, setter
co = create(function()
  local shared = 1
  getter, setter = function() return shared end, function(v) shared = v end
  yield()
  shared = shared + 1
end)
resume(co)
setter(41)
resume(co)
equal(getter(), 42)
setter(7)
equal(getter(), 7)

-- ---- debug ----
co = create(function(a)
  local here = a
  yield()
end)
resume(co, "value")
row(table.pack(debug.getlocal(co, 1, 1)), "a", "value")
row(table.pack(debug.getlocal(co, 1, 2)), "here", "value")
truthy(debug.traceback(co):find "in function <")
truthy(debug.traceback(co, "text"):find "^text\nstack traceback:\n")
equal(debug.traceback(co, 12), "12\nstack traceback:" .. debug.traceback(co):match "traceback:(.*)")
equal(debug.getinfo(co, 1, "l").currentline ~= nil, true)

c.done "coroutines"
