-- What the tests of llthreads2 share.
local check = require "check"
local bridge = require "bridge"
local llthreads2 = require "llthreads2"

local support = {
  -- A sanitizer keeps memory that nobody has any more.
  sanitized = os.getenv "BRIDGE_SANITIZED" ~= nil or
    os.getenv "TSAN_OPTIONS" ~= nil,
}

-- ThreadSanitizer keeps signals back until the program calls the C library: there
-- endless loops do so.
function support.endless(code)
  if not os.getenv "TSAN_OPTIONS" then
    return code
  end
  return (code:gsub("while true do end", "while true do os.time() end"))
end

-- What a call returned, with its count.
function support.row(...)
  return table.pack(...)
end

-- A thread that says on one queue that it runs, and ends once something comes on
-- the other: `gate.open()` lets it go.
function support.gate()
  local here, go = bridge.queue(), bridge.queue()
  return {
    here = here,
    go = go,
    wait = function() check.equal(here:pop(30), "here") end,
    open = function() go:push "go" end,
  }
end

support.gated = [[
  local here, go = ...
  here:push "here"
  go:pop()
  return select(3, ...)
]]

function support.start_gated(detached, joinable, ...)
  local gate = support.gate()
  local thread = llthreads2.new(support.gated, gate.here, gate.go, ...)
  check.equal(thread:start(detached, joinable), thread)
  gate.wait()
  return thread, gate
end

function support.collect()
  collectgarbage()
  collectgarbage()
end

-- A number of /proc/self/status.
function support.status(field)
  for line in io.lines "/proc/self/status" do
    local number = line:match("^" .. field .. ":%s*(%d+)")
    if number then
      return tonumber(number)
    end
  end
end

-- Wait until all threads but this one sleep in the system.
function support.all_sleep()
  local process
  for line in io.lines "/proc/self/stat" do
    process = line:match "^%d+"
  end
  check.eventually(function()
    local pipe <close> =
      assert(io.popen("cat /proc/" .. process .. "/task/*/stat"))
    local awake = 0
    for line in pipe:lines() do
      local thread, state = line:match "^(%d+) .*%) (%u) "
      if thread ~= process and state ~= "S" then
        awake = awake + 1
      end
    end
    return awake == 0
  end)
end

-- Run a program of its own; gives its output, and how it ended as os.execute says.
function support.program(text, before, ...)
  local path = os.tmpname()
  do
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
  end
  local words = { before or "", string.format("%q", arg[-1]), path }
  for _, word in ipairs { ... } do
    words[#words + 1] = string.format("%q", word)
  end
  local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  local output = pipe:read "a"
  local _, how, code = pipe:close()
  os.remove(path)
  return output, how, code
end

return support
