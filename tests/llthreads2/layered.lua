-- Programs in the way in which other libraries use the modules: a bootstrap as text,
-- a context as light userdata, functions as the code of actors.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local bridge = require "bridge"

-- As ZeroMQ's: one bootstrap, which is told what to do and finds the rest behind.
do
  local llthreads = require "llthreads"
  local bootstrap = [[
    local action, action_arg, parent = ...
    local rest = {n = select("#", ...) - 3, select(4, ...)}
    if parent then
      assert(type(parent) == "userdata")
      context = parent
    end
    local f
    if action == "runfile" then
      f = assert(loadfile(action_arg))
    else
      f = assert(load(action_arg))
    end
    arg = rest
    return f(table.unpack(rest, 1, rest.n))
  ]]
  -- A pointer that crosses as it is.
  local pointer = select(2, llthreads.new([[
    return ...
  ]], nil):start():join())
  check.equal(pointer, nil)
  local light = bridge.state and nil
  check.row(support.row(llthreads.new(bootstrap, "runstring", "return ...", light,
                                      1, nil, "x"):start():join()),
            true, 1, nil, "x")
  local path = os.tmpname()
  do
    local file <close> = assert(io.open(path, "w"))
    file:write "return arg.n, ..."
  end
  check.row(support.row(llthreads.new(bootstrap, "runfile", path, light, 5)
                        :start():join()), true, 1, 5)
  os.remove(path)
end

-- As an actor: a thread with a pipe, whose prelude turns an address into a pipe.
do
  local ex = require "llthreads2.ex"
  local to, from = bridge.queue(), bridge.queue()
  local actor = ex.new({
    function(pipe, ...)
      local count = select("#", ...)
      while true do
        local command, value = pipe.receive()
        if command == "STOP" then
          return "stopped", count
        end
        pipe.send(command, value * 2)
      end
    end,
    prelude = function(to, from, ...)
      local pipe = {
        receive = function() return to:pop() end,
        send = function(...) from:push(...) end,
      }
      return pipe, ...
    end,
  }, to, from, "a", nil)
  check.equal(actor:start(), actor)
  for i = 1, 100 do
    to:push("ECHO", i)
    check.row(support.row(from:pop(30)), "ECHO", i * 2)
  end
  to:push "STOP"
  check.row(support.row(actor:join()), true, "stopped", 2)
end

-- A pool that hands out work, each thread a child of a child.
do
  local llthreads2 = require "llthreads2"
  local work, done = bridge.queue(), bridge.queue()
  local boss = llthreads2.new([[
    local work, done, count = ...
    local llthreads2 = require "llthreads2"
    local threads = {}
    for i = 1, count do
      threads[i] = llthreads2.new("(...):push(select(2, ...) ^ 2)", done, i)
      threads[i]:start(i % 2 == 0, true)
    end
    local states = {}
    for i = 1, count do
      states[i] = (threads[i]:join())
    end
    return states
  ]], work, done, 20)
  local ok, states = boss:start():join()
  check.equal(ok, true)
  check.equal(#states, 20)
  local sum = 0
  for _ = 1, 20 do
    sum = sum + done:pop(30)
  end
  check.equal(sum, 2870.0)
end

check.done()
