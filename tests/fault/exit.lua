-- How a Lua program ends while its workers run; and what a program that it starts
-- finds open.  Each end is a process of its own.
local bridge = require "bridge"

local SETUP = [[
local bridge = require "bridge"
local up = bridge.queue()
computing = bridge.worker({ "local up = ... up:push(1) while true do end",
                            stop = "cooperative" }, up)
littering = bridge.worker(
  "local up = ... up:push(1) while true do local t = { {}, {} } end", up)
waiting = bridge.worker("local up, q = ... up:push(1) q:pop()", up, bridge.queue())
sleeping = bridge.worker(
  "local up = ... up:push(1) require 'bridge'.sleep(1e6)", up)
serving = bridge.worker("local up = ... up:push(1) return require 'bridge'.serve {}",
  up)
hosted = bridge.worker { "require 'bridge'.sleep(1e6)", drive = "host" }
hosted:step()
for i = 1, 5 do assert(up:pop(30)) end
watched = bridge.queue { waker = "eventfd" }
]]

-- How it ends; the status that the shell sees.
local ends = {
  { "", 0 },
  { "os.exit(0)", 0 },
  { "os.exit(3)", 3 },
  { "os.exit(true, true)", 0 },
  { "os.exit(4, true)", 4 },
  { "error 'mine'", 1 },
  { "error(setmetatable({}, { __tostring = function() return 'mine' end }))", 1 },
  { "local w <close> = serving", 0 },
  { "local w <close> = serving; os.exit(5, true)", 5 },
  { "setmetatable({}, { __gc = function() serving:close() waiting:close(0) end })", 0 },
  { "setmetatable({}, { __gc = function() os.exit(6) end })", 6 },
  { "coroutine.wrap(function() os.exit(7, true) end)()", 7 },
  { "assert(computing:close(0) == nil)", 0 },
  { "os.exit((select(3, sleeping:join(0.01))) == 'ETIMEDOUT' and 8 or 9)", 8 },
  -- A worker that exits takes the program with it.
  { "bridge = require 'bridge' bridge.worker 'os.exit(10)' :join(30) os.exit(11)", 10 },
  { "bridge = require 'bridge' bridge.worker 'os.exit(12, true)' :join(30) os.exit(13)", 12 },
}

local interpreter = arg[-1]
local file = os.tmpname()

-- The bound is the shell's: who hangs is killed, which is another status.  These
-- programs end while their threads hold memory, which is no leak.
local function run(text, limits)
  local out <close> = assert(io.open(file, "w"))
  out:write(text)
  out:close()
  local options = os.getenv "ASAN_OPTIONS"
  options = (options and options .. ":" or "") .. "detect_leaks=0"
  local command = ("%s ASAN_OPTIONS='%s' TSAN_OPTIONS=report_thread_leaks=0 timeout -k 5 60 '%s' '%s' 2>&1"):format(
    limits or "", options, interpreter, file)
  local pipe = assert(io.popen(command))
  local said = pipe:read "a"
  local _, how, status = pipe:close()
  return how == "exit" and status or how .. " " .. status, said
end

local failures, count = 0, 0

local function check(good, ...)
  count = count + 1
  if not good then
    failures = failures + 1
    io.stderr:write(table.concat({ ... }, " "), "\n")
  end
end

for _, each in ipairs(ends) do
  local text, wanted = each[1], each[2]
  local status, said = run(SETUP .. text .. "\n")
  check(status == wanted, text, "ended with", tostring(status), said)
  local spoke = wanted == 1 and said:find "mine" or wanted ~= 1 and said == ""
  check(spoke, text, "said", said)
end

-- ---- What is started ----------------------------------------------------------

local function open_files()
  local list <close> = assert(io.popen "ls -m /proc/self/fd")
  return (list:read "a")
end

local function executed()
  assert(os.execute(("ls -m /proc/self/fd > '%s'"):format(file)))
  local list <close> = assert(io.open(file))
  return (list:read "a")
end

local before, before_execute = open_files(), executed()
local held = {}
for _, kind in ipairs { "eventfd", "pipe", "udp", "condition" } do
  held[#held + 1] = assert(bridge.waker(kind))
  if kind ~= "condition" then
    held[#held + 1] = assert(bridge.queue { waker = kind })
    held[#held + 1] = assert(bridge.worker { "return 1", drive = "host", waker = kind })
  end
end
check(open_files() == before, "a program that was started has", open_files())
check(executed() == before_execute, "os.execute hands on", executed())

-- From within a worker, while others make and drop descriptors.
local make <close> = bridge.worker [[
  local bridge = require "bridge"
  while not bridge.cancelled() do
    local w <close> = bridge.waker "pipe"
    local q <close> = bridge.queue { waker = "udp" }
  end
]]
local list = [[
  local seen = {}
  for i = 1, 10 do
    local list <close> = io.popen "ls -m /proc/self/fd"
    seen[i] = list:read "a"
  end
  return seen
]]
local lister = assert(bridge.worker(list))
local seen = assert(lister:join(60))
for _, each in ipairs(seen) do
  check(each == before, "a program that a worker started has", each)
end
make:cancel()

-- ---- No descriptor left -----------------------------------------------------------

local status, said = run([[
local bridge = require "bridge"
local first <close> = bridge.waker "pipe"
local files = {}
while true do
  local one = io.open "/dev/null"
  if not one then break end
  files[#files + 1] = one
end
for _, kind in ipairs { "default", "eventfd", "pipe", "udp" } do
  local waker, text, code = bridge.waker(kind)
  assert(waker == nil and code == "ESYSTEM" and #text > 0, kind)
  local queue, why, status = bridge.queue { waker = kind }
  assert(queue == nil and status == "ESYSTEM", kind)
  local worker, said, told = bridge.worker { "return 1", drive = "host", waker = kind }
  assert(worker == nil and told == "ESYSTEM", kind)
end
local still <close> = bridge.worker "return 'works'"
assert(still:join(30) == "works")
for _, each in ipairs(files) do
  each:close()
end
assert(bridge.waker "pipe" and bridge.waker "udp")
]], "ulimit -n 64;")
check(status == 0 and said == "", "without descriptors:", said)

os.remove(file)
print(string.format("exit.lua: %d checks, %d failed", count, failures))
os.exit(failures == 0 and count > 40, true)
