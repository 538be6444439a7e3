-- What a thread finds in its state.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
local support = require "support"
local llthreads2 = require "llthreads2"

local function run(code, ...)
  return llthreads2.new(code, ...):start():join()
end

-- All standard libraries, as the interpreter has them, and nothing else.
local function globals()
  local names = {}
  for name, value in pairs(_G) do
    if type(value) == "table" and name ~= "_G" then
      for inner, what in pairs(value) do
        names[name .. "." .. tostring(inner)] = type(what)
      end
    end
    names[name] = type(value)
  end
  names.arg = nil -- the interpreter's
  for name in pairs(names) do
    if name:find "^arg%." then
      names[name] = nil
    end
  end
  return names
end
do
  local ok, found = run("return load(...)()", string.dump(globals))
  check.equal(ok, true)
  check.equal(found, globals())
end
for _, name in ipairs { "_G", "package", "coroutine", "table", "io", "os",
                        "string", "math", "utf8", "debug" } do
  check.row(support.row(run("return require(...) == _G[...]", name)), true, true)
end
check.row(support.row(run "return arg"), true, nil)

-- Its chunk is a main program to it.
check.row(support.row(run [[
  local _, is_main = coroutine.running()
  return is_main, coroutine.isyieldable(), select("#", ...)
]]), true, true, false, 0)
check.row(support.row(run [[
  local co = coroutine.wrap(function(a)
    local b = coroutine.yield(a + 1)
    return b * 2
  end)
  return co(1), co(21)
]]), true, 2, 42)
-- Bytecode of its own is loaded, and functions are dumped.
check.row(support.row(run [[
  return load(string.dump(function(x) return x + 1 end))(1)
]]), true, 2)
-- Below its chunk there is C, as below the interpreter's.
check.row(support.row(run "return debug.traceback('x')"), true,
          "x\nstack traceback:\n\t[string \"return debug.traceback('x')\"]:1: " ..
          "in main chunk\n\t[C]: in ?")

-- The paths are those of a new interpreter, not those of who made it.
do
  local before = { package.path, package.cpath }
  package.path = "/nowhere/?.lua"
  package.cpath = "/nowhere/?.so"
  local ok, path, cpath = run "return package.path, package.cpath"
  -- Neither is the module looked for.
  local found = support.row(run [[
    return type(require "llthreads2".new), type(require "llthreads".new),
      package.preload.llthreads ~= nil, package.preload.llthreads2 ~= nil
  ]])
  package.path, package.cpath = before[1], before[2]
  check.equal(ok, true)
  check.equal(path:find("nowhere", 1, true), nil)
  check.equal(cpath:find("nowhere", 1, true), nil)
  check.row(found, true, "function", "function", true, true)
end
do
  local output = support.program([[
    local llthreads2 = require "llthreads2"
    print(select(2, llthreads2.new("return package.path"):start():join()))
    print(select(2, llthreads2.new("return package.cpath"):start():join()))
  ]], "LUA_PATH=\"/some/?.lua;$LUA_PATH\" LUA_CPATH=\"/other/?.so;$LUA_CPATH\"")
  check.truthy(output:find("/some/?.lua", 1, true) == 1)
  check.truthy(output:find("\n/other/?.so", 1, true))
end

-- The modules of a thread are its own; their metatables, too.
check.row(support.row(run [[
  local llthreads2 = require "llthreads2"
  local t = llthreads2.new "return ..."
  assert(require "llthreads2" == llthreads2)
  return t:start() == t, t:join()
]]), true, true, true)
-- `new` may be handed to a thread, which calls it without any module.
check.row(support.row(run([[
  local new = ...
  local thread = new("return ...", 6):start()
  return thread:joinable(), thread:join()
]], llthreads2.new)), true, true, true, 6)
do
  local new = require "llthreads".new
  check.row(support.row(new([[
    local new = ...
    return new("return select('#', ...)", new, new):start():join()
  ]], new):start():join()), true, true, 2)
end
-- The same function comes back as itself.
check.row(support.row(run("return ...", llthreads2.new, print)), true,
          llthreads2.new, print)

-- Memory: a thread may have as much as there is, and frees it.
check.row(support.row(run [[
  local t = {}
  for i = 1, 1e5 do t[i] = {i} end
  return #t
]]), true, 100000)

-- C modules that others wrote.
if pcall(require, "socket") then
  check.row(support.row(run [[
    local socket = require "socket"
    local server = assert(socket.bind("127.0.0.1", 0))
    local _, port = server:getsockname()
    local client = assert(socket.connect("127.0.0.1", port))
    local peer = assert(server:accept())
    client:send "over TCP\n"
    return (peer:receive())
  ]]), true, "over TCP")
end

check.done()
