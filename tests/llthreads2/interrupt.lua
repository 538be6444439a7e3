-- interrupt: once, sticky, cleared; before the start and after the end.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local bridge = require "bridge"
local llthreads2 = require "llthreads2"
local function new(code, ...)
  return llthreads2.new(support.endless(code), ...)
end
local text = llthreads2.interrupted_error

local quiet = "require 'llthreads2'.set_logger(function() end) "

-- A thread that says that it runs, and then runs for ever, as the code says.
local function start(code, ...)
  local here, other = bridge.queue(), bridge.queue()
  local thread = new("local here, other = ... " .. quiet ..
                     "here:push 'here' " .. code, here, other)
  thread:start(...)
  check.equal(here:pop(30), "here")
  return thread, other, here
end

-- ---- Once ----

-- Nobody catches it: the thread fails, with a message that has the text and the
-- place.
do
  local thread = start "while true do end"
  check.row(support.row(thread:interrupt()))
  local ok, message = thread:join()
  check.equal(ok, false)
  check.truthy(message:match(text))
  check.truthy(message:find("^Error from child thread: " ..
                            "%[string \".-\"%]:1: llthreads2: thread was " ..
                            "interrupted\nstack traceback:\n"))
end
do
  local thread = start "while true do end"
  thread:interrupt(nil)
  check.equal(thread:join(), false)
end
-- A pcall catches it, and the thread ends well.
do
  local thread, _, here = start [[
    local ok, message = pcall(function()
      here:push "protected"
      while true do end
    end)
    return ok, message, "went on"
  ]]
  check.equal(here:pop(30), "protected")
  thread:interrupt()
  local done, ok, message, word = thread:join()
  check.row({ n = 3, done, ok, word }, true, false, "went on")
  check.truthy(message:match(text))
end
-- It is one: the same thread is interrupted again.
do
  local thread, _, here = start [[
    for i = 1, 3 do
      local ok = pcall(function()
        here:push(i)
        while true do end
      end)
      assert(not ok)
    end
    return "went on"
  ]]
  for i = 1, 3 do
    check.equal(here:pop(30), i)
    thread:interrupt()
  end
  check.row(support.row(thread:join()), true, "went on")
end
-- Wherever the script is: in coroutines, in calls of Lua from C.
for _, loop in ipairs {
  "coroutine.wrap(function() while true do end end)()",
  [[local function inner() while true do end end
    coroutine.wrap(function() coroutine.wrap(inner)() end)()]],
  "table.sort({3, 2, 1}, function() while true do end end)",
  "string.gsub('x', 'x', function() while true do end end)",
  "local t = setmetatable({}, {__index = function() while true do end end}) " ..
    "return t.x",
  "for _ in function() while true do end end do end",
} do
  local thread = start(loop)
  thread:interrupt()
  local ok, message = thread:join()
  check.equal(ok, false)
  check.truthy(message:match(text))
end

-- ---- Sticky ----

-- No pcall helps, nor a loop around it.
for _, code in ipairs {
  "pcall(function() while true do end end) while true do end",
  "while true do pcall(function() while true do end end) end",
  "while true do xpcall(function() while true do end end, print) end",
  [[local co = coroutine.wrap(function() while true do pcall(error) end end)
    while true do pcall(co) end]],
} do
  local thread = start(code)
  check.row(support.row(thread:interrupt(true)))
  local ok, message = thread:join()
  check.equal(ok, false)
  check.truthy(message:match(text))
end
-- By truth.
do
  local thread = start "while true do pcall(load 'while true do end') end"
  thread:interrupt(0)
  check.equal((thread:join()), false)
end

-- ---- Clear ----

-- It takes back what has not come yet: the thread sits in a call of C's.
do
  local thread, other = start "other:pop() return 'undisturbed'"
  support.all_sleep()
  thread:interrupt()
  thread:interrupt(false)
  other:push "go"
  check.row(support.row(thread:join()), true, "undisturbed")
end
do
  local thread, other = start "other:pop() return 'undisturbed'"
  support.all_sleep()
  thread:interrupt(true)
  thread:interrupt(false)
  other:push "go"
  check.row(support.row(thread:join()), true, "undisturbed")
end
-- ---- No effect within calls of C's that wait ----

do
  local thread, other = start "other:pop() while true do end"
  support.all_sleep()
  thread:interrupt()
  check.row(support.row(thread:join(20)), nil, "timeout")
  other:push "go"
  local ok, message = thread:join()
  check.equal(ok, false)
  check.truthy(message:match(text))
end

-- ---- Before the start: then it comes at once ----

do
  local thread = new(quiet .. "while true do end")
  check.row(support.row(thread:interrupt()))
  thread:start()
  local ok, message = thread:join()
  check.equal(ok, false)
  check.truthy(message:match(text))
end
do
  local thread = new(quiet .. "return pcall(function() while true do end end)")
  thread:interrupt(true)
  check.equal((thread:start():join()), false)
end
do
  local thread = new "return 1"
  thread:interrupt(true)
  thread:interrupt(false)
  check.row(support.row(thread:start():join()), true, 1)
end

-- ---- Rows ----

-- Detached, and not joinable: nothing happens.
do
  local thread, other, here = start("other:pop() here:push 'undisturbed'", true)
  check.row(support.row(thread:interrupt(true)))
  other:push "go"
  check.equal(here:pop(30), "undisturbed")
end
-- Joined: nothing happens.
do
  local thread = new "return 1"
  thread:start():join()
  check.row(support.row(thread:interrupt()))
  check.row(support.row(thread:interrupt(true)))
  check.row(support.row(thread:interrupt(false)))
end
-- The others can be interrupted.
for _, joinable in ipairs { false, true } do
  local thread = start("while true do end", joinable, joinable)
  thread:interrupt()
  check.row(support.row(thread:join()), true, 0.0)
end
-- Ended, but not joined: what it returned is still there, and finalizers run.
do
  local here, closed = bridge.queue(), bridge.queue()
  local thread = new([[
    local closed = ...
    kept = setmetatable({}, {__gc = function()
      for _ = 1, 1000 do end
      closed:push "closed"
    end})
    return 1, {2}
  ]], closed):start()
  check.eventually(function() return thread:alive() == false end)
  thread:interrupt(true)
  check.row(support.row(thread:join()), true, 1, { 2 })
  check.equal(closed:pop(0), "closed")
end

-- ---- The logger runs, and may be interrupted itself ----

do
  local thread, other, here = start [[
    require "llthreads2".set_logger(function(message)
      here:push(message)
      other:pop()
      while true do end
    end)
    here:push "set"
    while true do end
  ]]
  check.equal(here:pop(30), "set")
  thread:interrupt()
  check.truthy(here:pop(30):match(text))
  thread:interrupt(true)
  other:push "go"
  check.equal((thread:join()), false)
end
-- So may a __close.
do
  local thread, other, here = start([[
    local thing <close> = setmetatable({}, {__close = function()
      here:push "closing"
      while true do end
    end})
    error "x"
  ]])
  check.equal(here:pop(30), "closing")
  thread:interrupt()
  check.equal((thread:join()), false)
end

-- ---- Names ----

do
  local llthreads = require "llthreads"
  local thread = llthreads.new(quiet .. support.endless "while true do end")
  thread:start()
  thread:interrupt()
  local ok, message = thread:join()
  check.equal(ok, false)
  check.truthy(message:match(llthreads.interrupted_error))
  check.equal(message:match(text), nil)
end

-- ---- Often, and of threads that end meanwhile ----

-- On its own, for the errors go to stderr.
do
  local output, how, code = support.program [[
    local new = require "llthreads2".new
    for i = 1, 200 do
      local thread = new("for i = 1, ... do end", i * 50)
      thread:start(i % 2 == 0, i % 4 < 2)
      for _ = 1, 5 do
        thread:interrupt(i % 3 == 0)
        thread:interrupt(false)
        thread:interrupt()
      end
      if i % 2 ~= 0 or i % 4 < 2 then
        assert(thread:join() ~= nil)
      end
    end
    print "all"
  ]]
  check.truthy(output:find("all\n", 1, true))
  check.row({ n = 2, how, code }, "exit", 0)
end

check.done()
