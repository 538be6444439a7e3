-- Errors of a thread: as join tells them, and as the logger hears them.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local bridge = require "bridge"
local llthreads2 = require "llthreads2"

-- Run code whose error goes to a queue; gives what join and the logger say.
local function fail(code, ...)
  local heard = bridge.queue()
  local thread = llthreads2.new([[
    local heard, code = ...
    require "llthreads2".set_logger(function(...)
      heard:push(select("#", ...), ...)
    end)
    return assert(load(code, code))(select(3, ...))
  ]], heard, code, ...)
  local ok, text, none = thread:start():join()
  check.equal(ok, false)
  check.equal(none, nil)
  local count, logged = heard:pop(0)
  check.equal(count, 1)
  check.equal(heard:pop(0), nil)
  return text, logged
end

-- A text, with the traceback.
do
  local text, logged = fail "error 'SOME ERROR'"
  check.truthy(text:find("Error from child thread: " ..
                         "[string \"error 'SOME ERROR'\"]:1: SOME ERROR\n" ..
                         "stack traceback:\n\t[C]: in function 'error'\n", 1,
                         true) == 1)
  check.equal(logged, "Error from thread: " ..
              text:sub(#"Error from child thread: " + 1))
end
-- Byte for byte, where nothing else is on the stack.
check.row(support.row(llthreads2.new([[
  require "llthreads2".set_logger(function() end)
  error("x", 0)
]]):start():join()), false,
          "Error from child thread: x\nstack traceback:\n" ..
          "\t[C]: in function 'error'\n" ..
          "\t[string \"  require \"llthreads2\".set_logger(function() ...\"]" ..
          ":2: in main chunk")
-- A number is a text.
do
  local text = fail "error(42)"
  check.truthy(text:find("Error from child thread: 42\nstack traceback:\n", 1,
                         true) == 1)
end
-- Nothing.
do
  local text, logged = fail "error()"
  check.equal(text, "Error from child thread: (null)")
  check.equal(logged, "Error from thread: (no error message)")
  text, logged = fail "error(nil)"
  check.equal(text, "Error from child thread: (null)")
  check.equal(logged, "Error from thread: (no error message)")
end
-- What has no text.
for _, value in ipairs { "{}", "false", "print", "io.stdout",
                         "coroutine.create(print)" } do
  local text, logged = fail("error(" .. value .. ")")
  -- A file has a __tostring.
  if value ~= "io.stdout" then
    check.equal(text, "Error from child thread: (no error message)")
    check.equal(logged, "Error from thread: (no error message)")
  else
    check.truthy(text:find "^Error from child thread: file %(0x%x+%)$")
  end
end
-- What says it: without a traceback.
do
  local text, logged = fail [[error(setmetatable({}, {
    __tostring = function() return "said" end,
  }))]]
  check.equal(text, "Error from child thread: said")
  check.equal(logged, "Error from thread: said")
  text = fail [[error(setmetatable({}, {__tostring = function() return 7 end}))]]
  check.equal(text, "Error from child thread: 7")
  text = fail [[error(setmetatable({}, {__tostring = function() return {} end}))]]
  check.equal(text, "Error from child thread: (null)")
end
-- A NUL ends the text, as ever.
check.truthy(fail "error('a\\0b', 0)"
             :find "^Error from child thread: a\nstack traceback:\n")
-- Of all kinds.
check.truthy(fail "local x = nil + 1":find("attempt to perform arithmetic on a nil",
                                          1, true))
check.truthy(fail "local function f() return f() + 1 end f()"
             :find("stack overflow", 1, true))
check.truthy(fail "string.rep('x', 1 << 60)":find("resulting string too large", 1,
                                                 true))
check.truthy(fail "coroutine.yield(1)"
             :find("attempt to yield from outside a coroutine", 1, true))
check.truthy(fail "coroutine.wrap(function() error('inside', 0) end)()"
             :find "inside\nstack traceback:\n")

-- ---- The logger ----

-- Each state has its own, and none hears of another's.
do
  local here = bridge.queue()
  llthreads2.set_logger(function(text) here:push(text) end)
  fail "error 'elsewhere'"
  check.equal(here:pop(0), nil)
end
-- It is called in the state and the thread of the child, after everything of the
-- chunk has ended, and may look at its globals.
do
  local heard = bridge.queue()
  llthreads2.new([[
    local heard = ...
    require "llthreads2".set_logger(function(text)
      heard:push(word, closed, debug.traceback())
    end)
    word = "global"
    local thing <close> = setmetatable({}, {__close = function()
      closed = true
    end})
    error "x"
  ]], heard):start():join()
  local word, closed, where = heard:pop(0)
  check.equal(word, "global")
  check.equal(closed, true)
  check.equal(where:find("main chunk", 1, true), nil)
end
-- The last one counts; its own errors are nobody's.
do
  local heard = bridge.queue()
  local ok, text = llthreads2.new([[
    local heard = ...
    local set_logger = require "llthreads2".set_logger
    set_logger(error)
    set_logger(function(text) heard:push "second" error "in the logger" end)
    error("first", 0)
  ]], heard):start():join()
  check.equal(ok, false)
  check.truthy(text:find "^Error from child thread: first\n")
  check.equal(heard:pop(0), "second")
end
-- No error, no call.
do
  local heard = bridge.queue()
  check.row(support.row(llthreads2.new([[
    local heard = ...
    require "llthreads2".set_logger(function() heard:push "called" end)
    return 1
  ]], heard):start():join()), true, 1)
  check.equal(heard:pop(0), nil)
end
-- `llthreads` and `llthreads2` of a state have one.
do
  local heard = bridge.queue()
  llthreads2.new([[
    local heard = ...
    require "llthreads".set_logger(function() heard:push "called" end)
    error "x"
  ]], heard):start():join()
  check.equal(heard:pop(0), "called")
end
-- Of rows where join tells nothing it is called, too.
for _, row in ipairs { { true, false }, { false, false }, { true, true } } do
  local heard = bridge.queue()
  llthreads2.new([[
    local heard = ...
    require "llthreads2".set_logger(function(text) heard:push(text) end)
    error("alone", 0)
  ]], heard):start(row[1], row[2])
  local text = heard:pop(30)
  check.truthy(text:find("Error from thread: alone\nstack traceback:\n", 1, true)
               == 1)
end
-- Without one it goes to stderr, in one line more.
do
  local output = support.program [[
    local llthreads2 = require "llthreads2"
    local ok, text = llthreads2.new("error('loud', 0)"):start():join()
    print(ok)
  ]]
  check.equal(output, "Error from thread: loud\nstack traceback:\n" ..
              "\t[C]: in function 'error'\n" ..
              "\t[string \"error('loud', 0)\"]:1: in main chunk\nfalse\n")
  output = support.program [[
    require "llthreads2".new("error()"):start():join()
  ]]
  check.equal(output, "Error from thread: (no error message)\n")
end

check.done()
