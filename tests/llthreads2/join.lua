-- start, join, alive and the questions: the four rows of start(detached, joinable).
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local llthreads2 = require "llthreads2"
local new = llthreads2.new

local not_started = "Can't join a thread that hasn't be started."
local is_detached = "Can't join a thread that has been detached."
local is_joined = "Can't join a thread that has already been joined."

-- ---- Before the start ----

do
  local thread = new "return 1"
  check.row(support.row(thread:join()), nil, not_started)
  check.row(support.row(thread:join(0)), nil, not_started)
  check.row(support.row(thread:join "no number"), nil, not_started)
  check.row(support.row(thread:alive()), nil, not_started)
  check.row(support.row(thread:started()), false)
  check.row(support.row(thread:detached()), false)
  check.row(support.row(thread:joinable()), false)

  -- start gives the thread itself, once.
  check.row(support.row(thread:start()), thread)
  check.row(support.row(thread:start()), nil, "Thread already started.")
  check.row(support.row(thread:start(true)), nil, "Thread already started.")
  check.row(support.row(thread:started()), true)
  check.row(support.row(thread:join()), true, 1)
  check.row(support.row(thread:start()), nil, "Thread already started.")
  check.row(support.row(thread:join()), nil, is_joined)
  check.row(support.row(thread:join(0)), nil, is_joined)
  check.row(support.row(thread:alive()), nil, is_joined)
  -- These still answer.
  check.row(support.row(thread:started()), true)
  check.row(support.row(thread:detached()), false)
  check.row(support.row(thread:joinable()), true)
end

-- ---- Arguments of start ----

-- By truth; joinable is "not detached", but only if it is absent.
for _, case in ipairs {
  { n = 0, false, true },
  { n = 1, args = { nil }, false, true },
  { n = 1, args = { false }, false, true },
  { n = 1, args = { true }, true, false },
  { n = 1, args = { 0 }, true, false },
  { n = 1, args = { "" }, true, false },
  { n = 2, args = { nil, nil }, false, false },
  { n = 2, args = { false, nil }, false, false },
  { n = 2, args = { false, 1 }, false, true },
  { n = 2, args = { true, nil }, true, false },
  { n = 2, args = { true, "x" }, true, true },
} do
  local thread = new ""
  local args = case.args or {}
  check.equal(thread:start(table.unpack(args, 1, case.n)), thread)
  check.row(support.row(thread:detached()), case[1])
  check.row(support.row(thread:joinable()), case[2])
end

-- ---- Row (false, true): what it returned ----

do
  local thread, gate = support.start_gated(false, true, 1, nil, "x", nil)
  check.row(support.row(thread:alive()), true)
  check.row(support.row(thread:join(0)), nil, "timeout")
  check.row(support.row(thread:join(20)), nil, "timeout")
  check.row(support.row(thread:join "5"), nil, "timeout")
  check.row(support.row(thread:join(1.0)), nil, "timeout")
  check.row(support.row(thread:alive()), true)
  check.raises("bad argument #1 to 'join' " ..
               "%(number has no integer representation%)",
               function() thread:join(0.5) end)
  check.raises("bad argument #1 to 'join' %(number expected, got table%)",
               function() thread:join {} end)
  gate.open()
  check.eventually(function() return not thread:alive() end)
  -- It has ended; to ask takes nothing away.
  check.row(support.row(thread:alive()), false)
  check.row(support.row(thread:join(0)), true, 1, nil, "x", nil)
  check.row(support.row(thread:join(0)), nil, is_joined)
end
for _, timeout in ipairs { -1, -7, math.mininteger, 30000, math.maxinteger,
                           (1 << 31) + 5 } do
  local thread = new("return ...", timeout):start()
  check.row(support.row(thread:join(timeout)), true, timeout)
end
do
  local thread, gate = support.start_gated(false, true)
  gate.open()
  check.row(support.row(thread:join(nil)), true)
end
-- Results that cannot cross become texts, also within tables.
do
  local ok, f, t, file, co = new([[
    return function() end, {x = {function() end}, [print] = print}, io.stdout,
      coroutine.create(print)
  ]]):start():join()
  check.equal(ok, true)
  check.truthy(f:find "^Un%-supported value: function: 0x%x+$")
  check.truthy(t.x[1]:find "^Un%-supported value: function: 0x%x+$")
  check.equal(t[print], print)
  check.truthy(file:find "^Un%-supported value: userdata: 0x%x+$")
  check.truthy(co:find "^Un%-supported value: thread: 0x%x+$")
end
-- Results deeper than the limit are an error, where the original aborts.
check.row(support.row(new([[
  local t = {}
  for _ = 1, 30 do t = {t} end
  return 1, t
]]):start():join()), false,
          "Error from child thread: Hit maximum copy depth (31 > 30).")
check.equal(select("#", new([[
  local t = {}
  for _ = 1, 29 do t = {t} end
  return 1, t
]]):start():join()), 3)
-- More results than the stack of who joins has room for.
do
  local ok, count = new([[
    return select('#', table.unpack({}, 1, 100000)), table.unpack({}, 1, 100000)
  ]]):start():join()
  check.row({ n = 2, ok, count }, true, 100000)
end

-- ---- Row (true, false): nobody can join ----

do
  local thread, gate = support.start_gated(true, false)
  for _ = 1, 2 do
    check.row(support.row(thread:join()), nil, is_detached)
    check.row(support.row(thread:join(0)), nil, is_detached)
    check.row(support.row(thread:alive()), nil, is_detached)
  end
  check.row(support.row(thread:started()), true)
  check.row(support.row(thread:detached()), true)
  check.row(support.row(thread:joinable()), false)
  gate.open()
end

-- ---- Rows (false, false) and (true, true): true, 0 ----

for _, detached in ipairs { false, true } do
  local thread, gate = support.start_gated(detached, detached, "no result")
  check.row(support.row(thread:alive()), true)
  check.row(support.row(thread:join(0)), nil, "timeout")
  check.row(support.row(thread:join(10)), nil, "timeout")
  gate.open()
  check.eventually(function() return thread:alive() == false end)
  check.row(support.row(thread:join(0)), true, 0.0)
  check.row(support.row(thread:join()), nil, is_joined)
  check.row(support.row(thread:alive()), nil, is_joined)
  check.row(support.row(thread:detached()), detached)
  check.row(support.row(thread:joinable()), detached)
  -- Also after an error, which only the logger hears of.
  local failing = new [[
    require "llthreads2".set_logger(function() end)
    error "nobody"
  ]]
  check.row(support.row(failing:start(detached, detached):join()), true, 0.0)
end

-- ---- A thread of threads ----

check.row(support.row(new([[
  local llthreads2 = require "llthreads2"
  local threads = {}
  for i = 1, 1000 do
    threads[i] = llthreads2.new("return ...", "number", i, nil, true)
    assert(threads[i]:start() == threads[i])
  end
  local sum = 0
  for i = 1, 1000 do
    local ok, word, number, none, yes = threads[i]:join()
    assert(ok and word == "number" and number == i and none == nil and yes)
    sum = sum + number
  end
  return sum, ...
]], "number", 1000, nil, true):start():join()),
          true, 500500, "number", 1000, nil, true)

-- ---- A loop keeps nothing ----

do
  local function often(count)
    for _ = 1, count do
      local thread = new("return {...}", 1, { 2 }):start()
      assert(select(2, thread:join())[1] == 1)
      new("", 1):start(true)
      new("", 1):start(true, true):join()
      new("", 1):start(false, false):join()
    end
    support.collect()
  end
  often(50)
  local memory = support.status "VmRSS"
  often(500)
  check.eventually(function() return support.status "Threads" <= 130 end)
  if not support.sanitized then
    check.truthy(support.status "VmRSS" - memory < 16384)
  end
end

-- ---- Where the system has no thread left ----

if not support.sanitized then
  local output = support.program([[
    local llthreads2 = require "llthreads2"
    local threads = {}
    while true do
      local made, thread =
        pcall(llthreads2.new, "require 'bridge'.sleep(1000)")
      if not made then -- what is left may be too little for a state, too
        print "no state"
        io.stdout:flush()
        os.exit(0, false)
      end
      local ok, why, none = thread:start(true, true)
      if not ok then
        print(ok, why, none, thread:started(), thread:join())
        io.stdout:flush()
        os.exit(0, false)
      end
      threads[#threads + 1] = thread
      if #threads == 2000 then
        print "there is room for all"
        io.stdout:flush()
        os.exit(0, false)
      end
    end
  ]], "ulimit -v 200000;")
  if output ~= "no state\n" then
    check.equal(output, "nil\tResource temporarily unavailable\tnil\tfalse\tnil\t" ..
                not_started .. "\n")
  end
end

check.done()
