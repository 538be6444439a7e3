-- Values cross a queue as they were; what cannot cross says where it is.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local q = bridge.queue()

local function through(...)
  check.equal(q:push(...), true)
  return table.pack(q:pop(0))
end

-- Rows, with holes and trailing nils.
check.row(through())
check.row(through(nil), nil)
check.row(through(nil, nil, 3, nil), nil, nil, 3, nil)
check.row(through(true, false), true, false)

-- Whole numbers stay whole, at the limits too; floats stay floats.
for _, value in ipairs { 0, -1, 127, 128, -128, -129, 255, 256, 65535, 65536,
                         2^53 | 0, (2^53 | 0) + 1, math.maxinteger,
                         math.mininteger, 0.0, 3.0, -0.0, 1e300, 2.0^53,
                         math.huge, -math.huge } do
  check.row(through(value), value)
end
check.equal(1 / through(-0.0)[1], -math.huge)
local nan = through(0 / 0)[1]
check.truthy(nan ~= nan)

-- Strings are bytes.
local every = {}
for i = 0, 255 do
  every[i + 1] = string.char(i)
end
every = table.concat(every)
check.row(through("", "a\0b", every), "", "a\0b", every)
check.row(through(("x"):rep(1000000)), ("x"):rep(1000000))

-- Tables: nested, shared, cyclic, mixed keys, holes.
check.row(through({}), {})
check.row(through({ 1, 2, { 3, { 4 } } }), { 1, 2, { 3, { 4 } } })
check.row(through({ 1, nil, 3, [10] = 4, x = "y", [1.5] = true, [true] = 1 }),
          { 1, nil, 3, [10] = 4, x = "y", [1.5] = true, [true] = 1 })
local shared = { "shared" }
local got = through({ shared, shared }, shared)
check.truthy(got[1][1] == got[1][2] and got[1][1] == got[2])
local cycle = {}
cycle.self = cycle
got = through(cycle)[1]
check.truthy(got.self == got)

-- Deep: the limit is an error and no crash.
local function deep(levels)
  local inner = {}
  for _ = 2, levels do
    inner = { inner }
  end
  return inner
end
check.equal(#through(deep(1000)), 1)
check.raises("values.lua:%d+: argument 1.*nested deeper than 1000", function()
  q:push(deep(1001))
end)
check.raises("nested deeper than 1000", q.push, q, deep(100000))
check.equal(#q, 0)

-- Functions, with their upvalues and their globals.
local count = 10
local function step(by)
  count = count + by
  return count, type(print)
end
local sent = through(step)[1]
check.row(table.pack(sent(5)), 15, "function")
check.equal(count, 10) -- a copy
local function one() count = count + 1 return count end
local function other() count = count + 1 return count end
local pair = through(one, other)
check.equal(pair[1](), 11)
check.equal(pair[2](), 12) -- still shared by the two
check.equal(through(math.sin)[1], math.sin)

-- Handles are the same object.
local buffer = bridge.buffer "bytes"
local waker = bridge.waker "condition"
local queue = bridge.queue()
got = through(buffer, { waker }, queue)
check.truthy(got[1] == buffer and got[2][1] == waker and got[3] == queue)
check.truthy(buffer ~= queue and queue ~= q)
check.equal(got[1]:string(), "bytes")
check.truthy(buffer:frozen())

-- A hook of the script sees no table that is half packed, and stays.
local handles, calls = {}, 0
for i = 1, 4 do
  handles["k" .. i] = queue
end
local function meddle()
  calls = calls + 1
  if calls == 2 then -- the first is that of push
    for key in next, handles do
      handles[key] = nil
    end
    for i = 1, 300 do
      handles["z" .. i] = i
    end
  end
end
debug.sethook(meddle, "c")
q:push(handles)
local hook = debug.gethook()
debug.sethook()
check.equal(hook, meddle)
check.equal(q:pop(0), { k1 = queue, k2 = queue, k3 = queue, k4 = queue })

-- Nor does what a worker returns bring the process down.
local ended = assert(bridge.worker [[
  local queue = require "bridge".queue()
  local t = { k1 = queue, k2 = queue, k3 = queue, k4 = queue }
  debug.sethook(function()
    for key in next, t do
      t[key] = nil
    end
    for i = 1, 300 do
      t["z" .. i] = i
    end
  end, "c")
  return t]])
got = ended:join(30)
check.equal(type(got), "table")
check.truthy(got.k4)

-- What cannot cross names the path to it.
check.raises("argument 2%.items%[3%]%.callback: a coroutine", q.push, q, 1,
             { items = { 1, 2, { callback = coroutine.create(print) } } })
check.raises("argument 1: a userdata", q.push, q, io.stdout)
check.raises("argument 1 %(key%)", q.push, q, { [io.stdout] = true })
check.raises("a C function with upvalues", q.push, q, string.gmatch("a", "a"))
check.raises("a userdata", q.push_timeout, q, 0, io.stdout)
check.equal(#q, 0)

-- A handle inside itself could never be freed.
check.failed("ECYCLE", q:push(q))
check.failed("ECYCLE", q:push { deep = { q } })

-- Many values in a row.
local row = {}
for i = 1, 5000 do
  row[i] = i
end
check.equal(through(table.unpack(row)).n, 5000)

check.done()
