-- bridge.worker: chunks, arguments, results, errors, options, the end.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local function run(...)
  local w, text, code, err = bridge.worker(...)
  if not w then
    return nil, text, code, err
  end
  return w:join(30)
end

-- Chunks: text, function, file; with arguments and results.
check.row(table.pack(run "return 6 * 7"), 42)
check.row(table.pack(run("return ...", 1, nil, "x", nil)), 1, nil, "x", nil)
check.row(table.pack(run ""))
check.row(table.pack(run "return nil"), nil)
check.row(table.pack(run(function(a, b) return b, a end, 1, 2.0)), 2.0, 1)
local up = { value = 5 }
check.row(table.pack(run(function() return up.value + 1 end)), 6)
check.row(table.pack(run { "return ...", name = "n" }))
check.row(table.pack(run({ source = "return ..." }, "arg")), "arg")
check.row(table.pack(run({ function(x) return x end }, "arg")), "arg")
check.row(table.pack(run { "return 'a\0b', #'a\0b'" }), "a\0b", 3)

local path = os.tmpname()
do
  local file <close> = assert(io.open(path, "w"))
  file:write("local a = ...\nreturn a, debug.getinfo(1, 'S').short_src")
end
local first, source = run({ file = path }, "x")
check.equal(first, "x")
check.truthy(source:find(path:match("[^/]*$"), 1, true))
os.remove(path)
local text = check.failed("ENOTFOUND", run { file = path })
check.truthy(text:find(path:match("[^/]*$"), 1, true))

-- Results that begin with nil: join_packed tells.
do
  local w <close> = bridge.worker "return nil, 'text', nil"
  check.equal(w:join_packed(), { n = 3, [2] = "text" })
  check.equal(w:join_packed(0), { n = 3, [2] = "text" }) -- and again
  check.row(table.pack(w:join()), nil, "text", nil)
end

-- Chunks that do not parse.
text = check.failed("ESYNTAX", bridge.worker "return return")
check.truthy(text:find("near", 1, true))
check.failed("ESYNTAX", bridge.worker(string.dump(function() end)))
check.row(table.pack(run { string.dump(function() return 1 end),
                           binary_chunks = true }), 1)
text = check.failed("ESYNTAX", bridge.worker { "x =", chunk_name = "=story" })
check.truthy(text:find("story:1:", 1, true))

-- Errors: the value as it was raised, text, traceback, frames.
local function failure(chunk, ...)
  local w = bridge.worker(chunk, ...)
  local value, message, code, err = w:join(30)
  check.equal(value, nil)
  check.equal(code, "ESCRIPT")
  return message, err
end
local message, err = failure {
  "local function inner()\n  error 'broken'\nend\ninner()",
  chunk_name = "@story.lua", name = "teller",
}
check.equal(message, "story.lua:2: broken")
check.equal(err.message, message)
check.equal(err.value, message)
check.equal(err.code, "ESCRIPT")
check.equal(err.worker, "teller")
check.truthy(err.traceback:find("stack traceback", 1, true))
check.truthy(tostring(err):find("story.lua:2: broken\n", 1, true) == 1)
local lines = {}
for _, frame in ipairs(err.frames) do
  check.equal(type(frame.source), "string")
  check.equal(type(frame.what), "string")
  check.equal(type(frame.name), "string")
  if frame.source == "story.lua" then
    lines[#lines + 1] = frame.line
  end
end
check.equal(lines, { 2, 4 })

message, err = failure "error({ code = 7, list = { 1, 2 } })"
check.equal(err.value, { code = 7, list = { 1, 2 } })
message, err = failure("error(setmetatable({}, { __tostring = function()" ..
                       " return 'I am shown' end }))")
check.equal(message, "I am shown")
message, err = failure "error(nil)"
check.equal(err.value, nil)
message, err = failure "error(print == nil)"
check.equal(err.value, false)
message, err = failure "error(io.stdout)" -- cannot cross: the text remains
check.equal(err.value, nil)
check.truthy(#message > 0)
message, err = failure { "error 'x'", tracebacks = false }
check.equal(err.traceback, "")
check.row(table.pack(run "coroutine.yield() return 1"), 1) -- gives way

-- Results that cannot cross.
text = check.failed("ETYPE", run "return 1, { x = io.stdout }")
check.truthy(text:find("x", 1, true))

-- Arguments that cannot cross.
check.raises("worker.lua:%d+: argument 2.f: a userdata", function()
  bridge.worker("return 1", 1, { f = io.stdout })
end)
local function closure() return io.stdout end
local stdout = io.stdout
check.raises("upvalue 'stdout': a userdata", bridge.worker, function()
  return stdout
end)
check.row(table.pack(run(function() return type(io.stdout) end)), "userdata")
check.truthy(closure)

-- Name, id, phase, alive, tostring.
do
  local gate = bridge.queue()
  local w <close> = bridge.worker({ "return (...):pop()", name = "Ada" }, gate)
  local other = bridge.queue() -- a queue has one consumer
  local v <close> = bridge.worker("return (...):pop()", other)
  check.equal(w.name, "Ada")
  check.truthy(v.name:match("^worker%-%d+$"))
  check.equal(math.type(w.id), "integer")
  check.truthy(w.id > 0 and w.id ~= v.id)
  check.equal(w:phase(), "running")
  check.equal(w:alive(), true)
  check.equal(tostring(w), "bridge.Worker: Ada (running)")
  check.failed("ETIMEDOUT", w:join(0))
  check.failed("ETIMEDOUT", w:join(0.001))
  check.failed("EUNSUPPORTED", w:step())
  check.failed("EUNSUPPORTED", w:timeout())
  gate:push(1)
  other:push(1)
  check.eventually(function() return not (w:alive() or v:alive()) end)
  gate:close()
  w:join(30)
  check.equal(w:alive(), false)
  check.equal(w:phase(), "ended")
  check.equal(tostring(w), "bridge.Worker: Ada (ended)")
  check.failed("EDEAD", w:call("x"))
end

-- Libraries.
local function libraries(list)
  return run { "local names = '' for _, n in ipairs { 'io', 'os', 'math', " ..
               "'debug' } do if _G[n] then names = names .. n end end " ..
               "return names", libraries = list }
end
check.equal(libraries(nil), "ioosmathdebug")
check.equal(libraries { "base", "math" }, "math")
check.equal(libraries "base, os", "os")
check.row(table.pack(run { "return print", libraries = "" }), nil)
check.row(table.pack(run { "return print", libraries = {} }), nil)
text = check.failed("ENOTFOUND", bridge.worker { "", libraries = "base,nose" })
check.truthy(text:find("nose", 1, true))

-- A state without any library can still use what it is handed.
do
  local q = bridge.queue()
  local b = bridge.buffer "bytes"
  check.row(table.pack(run({
    "local q, b = ... q:push(b:string(2, 3), #b) return q, b", libraries = "",
  }, q, b)), q, b)
  check.row(table.pack(q:pop(0)), "yt", 5)
end

-- path and cpath.
check.row(table.pack(run { "return package.path, package.cpath", path = "p",
                           cpath = "c" }), "p", "c")
check.equal(run "return package.path ~= nil", true)

-- Memory.
do
  local w = bridge.worker { "local t = {} while true do t[#t + 1] = t ..'' end" }
  check.failed("ESCRIPT", w:join(30)) -- t is no string
  local limit = 4 << 20
  w = bridge.worker { "local s = 'x' while true do s = s .. s end",
                      memory_limit = limit }
  check.failed("ENOMEM", w:join(30))
  local used, peak, most = w:memory()
  check.equal(used, 0)
  check.truthy(peak > 0 and math.type(peak) == "integer")
  check.truthy(most >= limit and most < limit + (1 << 20))
end

-- A message that a worker has no memory for stays in the queue.
do
  local q = bridge.queue()
  q:push(("x"):rep(8 << 20))
  local w = bridge.worker({
    "local q = ... return select(3, q:pop(0)), select(3, q:pop_packed(0))",
    memory_limit = 4 << 20,
  }, q)
  check.row(table.pack(w:join(30)), "ENOMEM", "ENOMEM")
  check.equal(#q, 1)
  check.equal(#q:pop(0), 8 << 20)
end

-- The end: stop, cancel, close.
do
  local w = bridge.worker [[
    local bridge = require "bridge"
    local waker = bridge.waker "condition"
    return select(3, waker:wait())
  ]]
  check.equal(w:cancel(), true)
  w:join(30)
  check.equal(w:alive(), false)
  check.equal(w:cancel(), true)
  check.equal(w:stop(), true)
  check.equal(w:close(), true)
  check.equal(w:close(0), true)
end
do
  -- One that computes, at the cooperative level: close gives it up and says so.
  local stop = bridge.queue()
  local w = bridge.worker({ "local q = ... while #q == 0 do end return 'stopped'",
                            stop = "cooperative" }, stop)
  check.failed("ELOST", w:close(0.01))
  check.equal(w:phase(), "lost")
  check.failed("ELOST", w:join(30))
  stop:push(true)
  repeat until w:phase() ~= "lost"
  check.failed("ECANCELLED", w:join(30))
  check.equal(w:close(), true)
end
do
  -- At any other it is stopped.
  local w = bridge.worker "while true do end"
  check.equal(w:close(0.01), true)
  check.failed("ECANCELLED", w:join(0))
end
do
  local kept
  do
    local w <close> = bridge.worker [[
      local bridge = require "bridge"
      bridge.serve {}
      return "served"
    ]]
    kept = w
  end
  check.equal(kept:alive(), false)
  check.row(table.pack(kept:join(0)), "served")
end

-- Dropping the handle neither blocks nor stops it.
do
  local q = bridge.queue()
  bridge.worker("local q = ... q:push(q:pop() or 'nothing')", bridge.queue())
  local inbox, outbox = bridge.queue(), bridge.queue()
  bridge.worker("local i, o = ... o:push(i:pop() * 2)", inbox, outbox)
  collectgarbage()
  collectgarbage()
  inbox:push(21)
  check.row(table.pack(outbox:pop(30)), 42)
  check.equal(#q, 0)
end

-- Workers that create workers and queues, and pass handles on.
check.row(table.pack(run(function(depth)
  local bridge = require "bridge"
  local function grow(levels, answers)
    local bridge = require "bridge"
    if levels == 0 then
      answers:push("leaf", bridge.self().id)
      return 1
    end
    local w = bridge.worker(grow, levels - 1, answers)
    return 1 + w:join()
  end
  local answers = bridge.queue()
  local total = grow(depth, answers)
  local word, id = answers:pop(30)
  return total, word, math.type(id)
end, 5)), 6, "leaf", "integer")

-- bridge.self, in a worker.
check.row(table.pack(run { [[
  local bridge = require "bridge"
  local me = bridge.self()
  return me.name, me:phase(), me:alive(), select(3, me:join()), me == bridge.self()
]], name = "me" }), "me", "running", true, "EDEADLOCK", true)

-- Driven by the host.
do
  local w <close> = bridge.worker({ [[
    local bridge = require "bridge"
    bridge.sleep(0.01)
    bridge.serve { double = function(x) return 2 * x end }
    return "over"
  ]], drive = "host", waker = "pipe" })
  check.equal(w:waker():kind(), "pipe")
  check.equal(math.type(w:fileno()), "integer")
  check.equal(w:getfd(), w:fileno())
  check.failed("EUNSUPPORTED", w:join(1))
  check.equal(w:phase(), "running")
  check.eventually(function()
    w:step()
    local timeout = w:timeout()
    check.truthy(timeout == nil or timeout >= 0 and timeout <= 0.011)
    return w:phase() == "serving"
  end)
  check.equal(w:timeout(), nil)
  local answers = bridge.queue()
  check.equal(w:request(answers, 77, "double", 21), true)
  check.equal(w:waker():wait(30), true)
  check.eventually(function() w:step(1) return #answers == 1 end)
  check.row(table.pack(answers:pop_answer(0)), 77, true, 42)
  check.equal(w:step(), false)
  w:stop()
  check.eventually(function() return select(3, w:step()) == "ECLOSED" end)
  check.row(table.pack(w:join(0)), "over")
end

-- Wrong arguments.
check.raises("worker.lua:%d+: bridge.worker: a string, a function or options",
             function() bridge.worker() end)
check.raises("got number", bridge.worker, 5)
check.raises("got bridge.Queue", bridge.worker, bridge.queue())
check.raises("one of source, file and %[1%] expected, got 0", bridge.worker, {})
check.raises("expected, got 2", bridge.worker, { "x", source = "y" })
check.raises("expected, got 2", bridge.worker, { file = "x", source = "y" })
check.raises("unknown option 'memory'", bridge.worker, { "", memory = 1 })
check.raises("unknown option '2'", bridge.worker, { "", "" })
check.raises("'name': a string", bridge.worker, { "", name = 5 })
check.raises("'name': the string contains a NUL", bridge.worker,
             { "", name = "a\0b" })
check.raises("'file': the string contains a NUL", bridge.worker,
             { file = "a\0b" })
check.raises("'libraries': a string or a list", bridge.worker,
             { "", libraries = 1 })
check.raises("'libraries': a list", bridge.worker, { "", libraries = { 1 } })
check.raises("'drive': one of", bridge.worker, { "", drive = "pool" })
check.raises("'waker': one of", bridge.worker, { "", waker = "x" })
check.raises("'memory_limit': a whole number", bridge.worker,
             { "", memory_limit = -1 })
for _, name in ipairs { "inbox_items", "inbox_bytes", "stack_size" } do
  check.raises("worker.lua:%d+: bridge.worker: option '" .. name ..
               "': a whole number from 1 on expected, got 0",
               function() bridge.worker { "", [name] = 0 } end)
  check.raises("got %-1", bridge.worker, { "", [name] = -1 })
end
check.row(table.pack(run { "return 1", memory_limit = 0 }), 1) -- none
check.raises("'binary_chunks': true or false", bridge.worker,
             { "", binary_chunks = 1 })
check.raises("'%[?1%]?': a string or a function", bridge.worker, { 1 })
check.raises("'inbox_items': .* is more than", bridge.worker,
             { "", inbox_items = math.maxinteger })

-- What a worker requires is complete once somebody asks for more of it.
do
  local chunk = [[
    local bridge = require "bridge"
    local early, first = {}, 0
    local key, value = next(bridge)
    while key do
      early[key], first = value, first + 1
      key, value = next(bridge, key)
    end
    local names, all = {}, 0
    if ... == "pairs" then
      for name in pairs(bridge) do names[name] = true end
    else
      assert(bridge.no_such_thing == nil and bridge.version)
      for name in next, bridge do names[name] = true end
    end
    for name in pairs(names) do all = all + 1 end
    for name, one in pairs(early) do
      assert(names[name] and rawequal(bridge[name], one), name)
    end
    assert(require "bridge" == bridge and getmetatable(bridge) == nil)
    assert(bridge.self().name and bridge.queue():close())
    return first < all, names
  ]]
  for _, how in ipairs { "pairs", "index" } do
    local w <close> = bridge.worker(chunk, how)
    local lazy, names = w:join()
    check.equal(lazy, true)
    for name in pairs(bridge) do
      check.equal(names[name], true, name)
    end
  end
  -- Handles that came first, or come in between, are no other module's.
  local q <close> = bridge.queue()
  local w <close> = bridge.worker([[
    local q = ...
    local bridge = require "bridge"
    q:push(bridge.version)
    return bridge.queue ~= nil
  ]], q)
  check.equal(w:join(), true)
  local s <close> = bridge.worker [[
    local bridge = require "bridge"
    return bridge.serve { push = function(q) return q:push(rawget(bridge, "queue") ~= nil) end }
  ]]
  check.equal(s:call("push", q), true)
  check.equal(q:pop(0), bridge.version)
  check.equal(q:pop(0), true)
end

-- Whose own time is over takes those along that it closes.
for _, limit in ipairs { "cooperative", "prompt" } do
  local w = bridge.worker { [[
    local bridge = require "bridge"
    local child <close> = bridge.worker { "while true do end", name = "runaway" }
    bridge.sleep(60)
  ]], stop = limit, timeout = limit == "cooperative" and 0.1 or nil }
  local child
  check.eventually(function()
    child = bridge.find "runaway"
    return child
  end)
  if limit == "prompt" then w:cancel("cooperative") end
  check.failed(limit == "prompt" and "ECANCELLED" or "ETIMEDOUT", w:join(30))
  check.failed("ECANCELLED", child:join(30))
end

check.done()
