-- llthreads2.ex: functions, files, prelude, lua_init, arg.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local ex = require "llthreads2.ex"

local function run(...)
  return ex.new(...):start():join()
end

local function with_file(text, use)
  local path = os.tmpname()
  do
    local file <close> = assert(io.open(path, "w"))
    file:write(text)
  end
  use(path)
  os.remove(path)
end

-- ---- The object ----

do
  local thread = ex.new(function() return 1 end)
  check.equal(type(thread), "table")
  check.truthy(tostring(thread):find "^table: ")
  for _, name in ipairs { "start", "join", "alive", "started", "detached",
                          "joinable", "interrupt" } do
    check.equal(type(thread[name]), "function")
  end
  check.equal(thread:started(), false)
  check.equal(thread:detached(), false)
  check.equal(thread:joinable(), false)
  check.row(support.row(thread:alive()), nil,
            "Can't join a thread that hasn't be started.")
  check.row(support.row(thread:start(true, true)), thread)
  check.row(support.row(thread:start()), nil, "Thread already started.")
  check.equal(thread:detached(), true)
  check.equal(thread:joinable(), true)
  check.row(support.row(thread:interrupt(false)))
  check.row(support.row(thread:join()), true, 0.0)
  check.equal(thread:started(), true)
  check.row(support.row(thread:alive()), nil,
            "Can't join a thread that has already been joined.")
end
do
  local gate = support.gate()
  local thread = ex.new(support.gated, gate.here, gate.go, "x")
  check.equal(thread:start(), thread)
  gate.wait()
  check.equal(thread:alive(), true)
  check.row(support.row(thread:join(0)), nil, "timeout")
  check.row(support.row(thread:join(10)), nil, "timeout")
  gate.open()
  check.row(support.row(thread:join()), true, "x")
end

-- ---- The code ----

check.row(support.row(run(function(...) return select("#", ...), ... end, 1, nil,
                          "x", nil)), true, 4, 1, nil, "x", nil)
check.row(support.row(run("return ...", 1, nil)), true, 1, nil)
check.row(support.row(run({ source = "return ..." }, 1)), true, 1)
check.row(support.row(run({ "return ..." }, 2)), true, 2)
check.row(support.row(run({ function(x) return x end }, 3)), true, 3)
check.row(support.row(run({ source = "return 1", "return 2" })), true, 1)
check.row(support.row(run(string.dump(function() return 5 end))), true, 5)
with_file("return 'file', arg[0], ...", function(path)
  check.row(support.row(run("@" .. path, 7)), true, "file", path, 7)
  check.row(support.row(run({ "@" .. path })), true, "file", path)
end)
-- A name of the shell in its first line.
with_file("#!/usr/bin/lua\nreturn 1", function(path)
  check.row(support.row(run("@" .. path)), true, 1)
end)

-- Nothing to run.
check.raises("assertion failed!$", ex.new)
check.raises("assertion failed!$", ex.new, nil)
check.raises("assertion failed!$", ex.new, false)
check.raises("assertion failed!$", ex.new, {})
check.raises("unable to dump given function$", ex.new, print)
-- A syntax error is one of the thread.
do
  local thread = ex.new "x x"
  local ok, text = thread:start():join()
  check.equal(ok, false)
  check.truthy(text:find("^Error from child thread: .-" ..
                         "%[string \"x x\"%]:1: syntax error near 'x'\n"))
  ok, text = run "@/no/such/file.lua"
  check.equal(ok, false)
  check.truthy(text:find("cannot open /no/such/file.lua", 1, true))
end
-- What cannot cross: code, init and prelude are arguments before the others.
check.raises("bad argument #6 to '.-' " ..
             "%(function/userdata/thread types un%-supported%.%)$",
             ex.new, "", function() end)

-- Upvalues stay behind: the first one is the globals there.
do
  local x = 5
  local ok, value = run(function() return x._VERSION end)
  check.row({ n = 2, ok, value }, true, _VERSION)
  local y = 6
  ok, value = run(function() return type(print), y end)
  check.row({ n = 2, ok, value }, true, "function")
end

-- ---- prelude ----

-- What it returns are the arguments.
check.row(support.row(run({
  function(...) return select("#", ...), ... end,
  prelude = function(...) return 1, nil, "hello", ... end,
}, nil, 2, nil)), true, 6, 1, nil, "hello", nil, 2, nil)
check.row(support.row(run({ "return select('#', ...)", prelude = "local x = 1" },
                          1, 2)), true, 0)
check.row(support.row(run({ "return ...", prelude = "return ..., 'more'" }, 1)),
          true, 1, "more")
check.row(support.row(run({ "return ...", prelude = "" }, 1)), true, 1)
check.row(support.row(run({ "return word", prelude = "word = 'set'" })), true,
          "set")
with_file("return 'from the file', ...", function(path)
  check.row(support.row(run({ "return ...", prelude = "@" .. path }, 1)), true,
            "from the file", 1)
end)
do
  local ok, text = run { "return 1", prelude = "error('early', 0)" }
  check.equal(ok, false)
  check.truthy(text:find("Error from child thread: early\n", 1, true) == 1)
  ok, text = run { "return 1", prelude = "x x" }
  check.truthy(text:find("syntax error near 'x'", 1, true))
end

-- ---- arg ----

check.row(support.row(run(function(...)
  return arg.n, arg[1], arg[2], arg[3], arg[0], select("#", ...)
end, 1, nil, 3)), true, 3, 1, nil, 3, "=(loadstring)", 3)
check.row(support.row(run("return arg.n, arg[0]")), true, 0, "=(loadstring)")
check.row(support.row(run({ "return arg.n, arg[1]", prelude = "return 'new'" },
                          1, 2)), true, 1, "new")

-- ---- lua_init ----

-- It runs first; a text, a file or a function.
check.row(support.row(run({ "return order", lua_init = "order = 'init'",
                            prelude = "order = order .. ', prelude'" })), true,
          "init, prelude")
check.row(support.row(run({ "return set", lua_init = function() set = 1 end })),
          true, 1)
check.row(support.row(run({ "return set", lua_init = "" })), true, nil)
check.row(support.row(run({ "return set", lua_init = false })), true, nil)
with_file("set = 'by a file'", function(path)
  check.row(support.row(run({ "return set", lua_init = "@" .. path })), true,
            "by a file")
end)
do
  local ok, text = run { "return 1", lua_init = "error('no init', 0)" }
  check.equal(ok, false)
  check.truthy(text:find("Error from child thread: no init\n", 1, true) == 1)
end
-- By itself: what the interpreter would run, as it was when the module was loaded.
local program = [[
  local ex = require "llthreads2.ex"
  print(ex.new("return set"):start():join())
  print(ex.new({"return set"}):start():join())
  print(ex.new({"return set", lua_init = false}):start():join())
  print(ex.new({"return set", lua_init = "set = 'own'"}):start():join())
]]
check.equal((support.program(program, "LUA_INIT=\"set = 'plain'\"")),
            "true\tplain\ntrue\tplain\ntrue\tnil\ntrue\town\n")
check.equal((support.program(program, "LUA_INIT=\"set = 'plain'\" " ..
                             "LUA_INIT_5_4=\"set = 'of 5.4'\"")),
            "true\tof 5.4\ntrue\tof 5.4\ntrue\tnil\ntrue\town\n")
check.equal((support.program(program)),
            "true\tnil\ntrue\tnil\ntrue\tnil\ntrue\town\n")

-- Without "llthreads2", "llthreads" does.
check.equal((support.program [[
  package.preload.llthreads2 = function() error "is not there" end
  print(require "llthreads.ex".new("return 1"):start():join())
]]), "true\t1\n")

check.done()
