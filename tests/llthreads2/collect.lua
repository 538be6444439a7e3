-- Who closes a state, and what the collection of a handle does, row by row.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local bridge = require "bridge"
local llthreads2 = require "llthreads2"

-- A thread that says when its state closes.
local closing = [[
  local here, go, closed = ...
  kept = setmetatable({}, {__gc = function()
    closed:push "closed"
  end})
  here:push "here"
  go:pop()
]]

local function start(...)
  local gate = support.gate()
  gate.closed = bridge.queue()
  local thread = llthreads2.new(closing, gate.here, gate.go, gate.closed)
  thread:start(...)
  gate.wait()
  return thread, gate
end

-- Never started: the state is closed with the handle, and nothing of it ran.
do
  local here = bridge.queue()
  local thread = llthreads2.new("(...):push 'ran'", here)
  thread = nil
  support.collect()
  check.equal(here:pop(0), nil)
end

-- (false, true): the state lives until the join, which closes it.
do
  local thread, gate = start()
  gate.open()
  check.eventually(function() return thread:alive() == false end)
  check.equal(gate.closed:pop(0), nil)
  check.row(support.row(thread:join()), true)
  check.equal(gate.closed:pop(0), "closed")
end
-- ... or until the handle goes, which waits for the end.
do
  local thread, gate = start()
  gate.open()
  thread = nil
  support.collect()
  check.equal(gate.closed:pop(0), "closed")
end
-- (false, false): the thread closes it; the handle waits for that, too.
do
  local thread, gate = start(false, false)
  gate.open()
  check.row(support.row(thread:join()), true, 0.0)
  check.equal(gate.closed:pop(0), "closed")
  thread, gate = start(false, false)
  gate.open()
  thread = nil
  support.collect()
  check.equal(gate.closed:pop(0), "closed")
end
-- (true, false) and (true, true): the handle goes at once, while the thread runs.
for _, joinable in ipairs { false, true } do
  local thread, gate = start(true, joinable)
  thread = nil
  support.collect()
  check.equal(gate.closed:pop(0), nil)
  gate.open()
  check.equal(gate.closed:pop(30), "closed")
end
-- (true, true), joined.
do
  local thread, gate = start(true, true)
  gate.open()
  check.row(support.row(thread:join()), true, 0.0)
  check.equal(gate.closed:pop(0), "closed")
  thread = nil
  support.collect()
end

-- After its end, each row's handle may still be asked and interrupted.
for _, row in ipairs { { false, false }, { false, true }, { true, true },
                       { true, false } } do
  local thread, gate = start(row[1], row[2])
  gate.open()
  if row[2] and not row[1] then
    check.eventually(function() return thread:alive() == false end)
  else
    check.equal(gate.closed:pop(30), "closed")
  end
  for _ = 1, 3 do
    check.row(support.row(thread:interrupt()))
    check.row(support.row(thread:interrupt(true)))
    check.row(support.row(thread:interrupt(false)))
  end
  if row[2] or not row[1] then
    check.equal((thread:join()), true)
  end
  check.row(support.row(thread:interrupt(true)))
  check.row(support.row(thread:started()), true)
end

-- The state that made a thread may close while that runs: a thread makes one and
-- goes.
for _, joinable in ipairs { false, true } do
  local gate = support.gate()
  local ok, text = llthreads2.new([[
    local joinable, code, here, go = ...
    require "llthreads2".new(code, here, go):start(true, joinable)
    assert(here:pop(30) == "here")
    here:push "here"
  ]], joinable, support.gated, gate.here, gate.go):start():join()
  check.row({ n = 2, ok, text }, true, nil)
  gate.wait()
  gate.open()
end
-- If it is attached, it is waited for.
do
  local gate = support.gate()
  local maker = llthreads2.new([[
    local code, here, go = ...
    require "llthreads2".new(code, here, go):start()
  ]], support.gated, gate.here, gate.go):start(false, false)
  gate.wait()
  check.row(support.row(maker:join(20)), nil, "timeout")
  gate.open()
  check.row(support.row(maker:join()), true, 0.0)
end

-- ---- The end of the process ----

-- ... with an endless thread that nobody waits for.
for _, row in ipairs { "true", "true, true" } do
  local output, how, code = support.program([[
    local llthreads2 = require "llthreads2"
    local thread = llthreads2.new "while true do end"
    thread:start(]] .. row .. [[)
    print "leaving"
  ]])
  check.row({ n = 3, output, how, code }, "leaving\n", "exit", 0)
  output, how, code = support.program([[
    local llthreads2 = require "llthreads2"
    local thread = llthreads2.new "while true do end"
    thread:start(]] .. row .. [[)
    io.write "leaving"
    os.exit(3, true)
  ]])
  check.row({ n = 3, output, how, code }, "leaving", "exit", 3)
end
-- ... with one that sleeps in a call of C's.
do
  local output, how, code = support.program [[
    local llthreads2 = require "llthreads2"
    local bridge = require "bridge"
    llthreads2.new("(...):pop()", bridge.queue()):start(true)
    print "leaving"
  ]]
  check.row({ n = 3, output, how, code }, "leaving\n", "exit", 0)
end
-- ... by os.exit in a thread, while the main thread waits in join: at once.
for _, close in ipairs { "", ", false", ", true" } do
  local output, how, code = support.program([[
    local llthreads2 = require "llthreads2"
    llthreads2.new("io.write 'bye' io.stdout:flush() os.exit(7]] .. close ..
      [[)"):start():join()
    print "never"
  ]])
  check.row({ n = 3, output, how, code }, "bye", "exit", 7)
end
-- ... by the logger of a thread.
do
  local output, how, code = support.program [[
    require "llthreads2".new([=[
      require "llthreads2".set_logger(function(text)
        io.write(text:match "SOME ERROR")
        io.stdout:flush()
        os.exit(0)
      end)
      error "SOME ERROR"
    ]=]):start():join()
    os.exit(1)
  ]]
  check.row({ n = 3, output, how, code }, "SOME ERROR", "exit", 0)
end
-- ... and by a thread of a thread.
do
  local output, how, code = support.program [[
    local new = require "llthreads2".new
    new([=[
      local new = ...
      new("io.write 'deep' io.stdout:flush() os.exit(5)"):start():join()
    ]=], new):start():join()
  ]]
  check.row({ n = 3, output, how, code }, "deep", "exit", 5)
end

check.done()
