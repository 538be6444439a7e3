-- new: the code, its arguments, and what is wrong with them.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local llthreads2 = require "llthreads2"
local new = llthreads2.new

local function run(code, ...)
  return new(code, ...):start():join()
end

-- ---- The code ----

check.row(support.row(run "return 6 * 7"), true, 42)
check.row(support.row(run ""), true)
-- A number is text, too.
check.row(support.row(pcall(new, 42)), false,
          "[string \"42\"]:1: unexpected symbol near '42'")
-- Bytecode.
check.row(support.row(run(string.dump(function(a, b) return b, a end), 1, 2)),
          true, 2, 1)
check.row(support.row(run(string.dump(function() return load ~= nil end))),
          true, true)
-- Its name is the code itself.
check.row(support.row(run "return debug.getinfo(1, 'S').source"), true,
          "return debug.getinfo(1, 'S').source")
check.row(support.row(run "--[[x]] return debug.getinfo(1, 'S').short_src"),
          true, "[string \"--[[x]] return debug.getinfo(1, 'S').short_sr...\"]")
-- All of it, behind a NUL too.
check.row(support.row(run "return 'a\0b', #'a\0b'"), true, "a\0b", 3)

-- Syntax errors are raised as Lua says them, with no place before.
check.row(support.row(pcall(new, "x x")), false,
          "[string \"x x\"]:1: syntax error near 'x'")
check.row(support.row(pcall(function() new "return return" end)), false,
          "[string \"return return\"]:1: unexpected symbol near 'return'")
check.row(support.row(pcall(new, "\27Lua broken")), false,
          select(2, load("\27Lua broken", "\27Lua broken", "b")))
-- They come before what is wrong with the arguments.
check.row(support.row(pcall(new, "x x", print, function() end)), false,
          "[string \"x x\"]:1: syntax error near 'x'")

-- No text.
check.row(support.row(pcall(new, {})), false,
          "bad argument #1 to 'llthreads2.new' (string expected, got table)")
check.row(support.row(pcall(new)), false,
          "bad argument #1 to 'llthreads2.new' (string expected, got no value)")
check.row(support.row(pcall(new, nil)), false,
          "bad argument #1 to 'llthreads2.new' (string expected, got nil)")
check.row(support.row(pcall(require "llthreads".new, print)), false,
          "bad argument #1 to 'llthreads.new' (string expected, got function)")

-- ---- Arguments ----

-- Holes, and nils at the end.
check.row(support.row(run("return select('#', ...), ...", 1, nil, "hello", nil,
                          2, nil)),
          true, 6, 1, nil, "hello", nil, 2, nil)
check.row(support.row(run("return select('#', ...)", nil, nil, nil)), true, 3)
-- What holds nothing.
check.row(support.row(run("return ...", true, false, "", "a\0b", 0, -0.0, 2.5,
                          math.maxinteger, math.mininteger, 1 / 0, 3.0)),
          true, true, false, "", "a\0b", 0, -0.0, 2.5, math.maxinteger,
          math.mininteger, 1 / 0, 3.0)
do
  local ok, zero, nan = run("return ...", -0.0, 0 / 0)
  check.equal(ok, true)
  check.equal(1 / zero, -1 / 0)
  check.truthy(nan ~= nan)
  local long = ("x"):rep(1 << 20)
  check.row(support.row(run("return ..., #...", long)), true, long, 1 << 20)
end
-- A pointer: the address of a C function's own would do, but a message has one.
check.row(support.row(run([[
  local f = ...
  return type(f), f == print
]], print)), true, "function", true)
check.row(support.row(run("return (...)('%d', 7)", string.format)), true, "7")

-- Tables: by value, deep, without metatables; twice the same is the same.
do
  local one = { 1, 2, { x = "y", [2.5] = true, [true] = false } }
  check.row(support.row(run("return ...", one)), true, one)
  check.row(support.row(run([[
    local a, b, c = ...
    return a == b, a[1] == c, getmetatable(a)
  ]], one, one, one[1])), true, true, true, nil)
  local shared = {}
  check.row(support.row(run([[
    local t, u = ...
    return rawequal(t[1], t[2]), rawequal(t[1], u)
  ]], { shared, shared }, shared)), true, true, true)
  local with = setmetatable({ 1 }, { __index = { 2 }, __pairs = error,
                                     __gc = error, __len = error })
  check.row(support.row(run("return getmetatable(...), #...", with)), true, nil,
            1)
  setmetatable(with, nil)
  -- Cyclic ones, both ways; tables as keys.
  local top = { name = "top" }
  top.top = top
  top[top] = top
  top.sub = { sub = { sub = { top } } }
  local ok, back = run([[
    local top = ...
    assert(top.top == top and top[top] == top)
    assert(top.sub.sub.sub[1] == top)
    return top
  ]], top)
  check.equal(ok, true)
  check.truthy(back ~= top)
  check.equal(back.name, "top")
  check.truthy(rawequal(back.top, back) and rawequal(back[back], back))
  check.truthy(rawequal(back.sub.sub.sub[1], back))
end
do
  local many = {}
  for i = 1, 5000 do
    many[i] = { i, key = "k" .. i }
  end
  check.row(support.row(run("return ...", many)), true, many)
end

-- The handles of the bridge, of which the original knows nothing.
do
  local bridge = require "bridge"
  local queue = bridge.queue()
  check.row(support.row(run("local q = ... q:push('hello') return q", queue)),
            true, queue)
  check.equal(queue:pop(0), "hello")
end

-- What cannot cross, by its stack index: that of the handle is 2.
local refused = "bad argument #%d to 'llthreads2.new' " ..
  "(function/userdata/thread types un-supported.)"
check.row(support.row(pcall(new, "", function() end)), false, refused:format(3))
check.row(support.row(pcall(new, "", 1, 2, coroutine.create(print))), false,
          refused:format(5))
check.row(support.row(pcall(new, "", 1, io.stdout)), false, refused:format(4))
check.row(support.row(pcall(new, "", string.gmatch("", ""))), false,
          refused:format(3)) -- with something in its upvalues
-- Within tables: they, their keys and their values are above the arguments.
check.row(support.row(pcall(new, "", { function() end })), false,
          refused:format(5))
check.row(support.row(pcall(new, "", 1, { { a = print, b = error,
                                            c = function() end } })), false,
          refused:format(8))
check.row(support.row(pcall(new, "", { [function() end] = 1 })), false,
          refused:format(4))
-- By Lua's own rules for names and places.
do
  local text = check.raises("", function() new("", function() end) end)
  check.truthy(text:find("new.lua:%d+: bad argument #3 to 'new' " ..
                         "%(function/userdata/thread types un%-supported%.%)$"))
end

-- ---- Depth ----

local function nested(levels)
  local t = { "innermost" }
  for _ = 2, levels do
    t = { t }
  end
  return t
end

check.row(support.row(run("return ...", nested(30))), true, nested(30))
check.row(support.row(pcall(new, "", nested(31))), false,
          "Hit maximum copy depth (31 > 30).")
check.row(support.row(pcall(new, "", nested(100))), false,
          "Hit maximum copy depth (31 > 30).")
check.row(support.row(pcall(new, "", { [nested(30)] = 1 })), false,
          "Hit maximum copy depth (31 > 30).")
do
  local text = check.raises("", function() new("", nested(31)) end)
  check.truthy(text:find "new.lua:%d+: Hit maximum copy depth %(31 > 30%)%.$")
  -- It is counted from each argument, and a reference counts, too.
  check.row(support.row(run("return select('#', ...)", nested(30), nested(30))),
            true, 2)
  local around = nested(30)
  local inner = around
  for _ = 2, 30 do
    inner = inner[1]
  end
  inner[1] = around
  check.row(support.row(pcall(new, "", around)), false,
            "Hit maximum copy depth (31 > 30).")
end

-- ---- Failures leave nothing behind ----

do
  local bad = { function() end }
  local deep = nested(31)
  local function fail_often(count)
    for _ = 1, count do
      assert(not pcall(new, "return 1", bad))
      assert(not pcall(new, "return 1", deep))
      assert(not pcall(new, "x x"))
    end
  end
  fail_often(100)
  support.collect()
  local before = support.status "VmRSS"
  fail_often(support.sanitized and 100 or 2000)
  local after = support.status "VmRSS"
  -- A state has 25 KiB: two thousand of them would be 50 MiB.
  if not support.sanitized then
    check.truthy(after - before < 4096)
  end
end

-- Those that never start are closed when they are collected.
do
  for _ = 1, 50 do
    new("return 1", nested(3))
  end
  support.collect()
  local before = support.status "VmRSS"
  for _ = 1, 20 do
    for _ = 1, 50 do
      new("return 1", nested(3))
    end
    support.collect()
  end
  if not support.sanitized then
    check.truthy(support.status "VmRSS" - before < 8192)
  end
end

check.done()
