-- The modules themselves: what is in them, and what a handle is.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" ..
  arg[0]:gsub("[^/]*$", "../lua/?.lua") .. ";" .. package.path
local check = require "check"
require "bridge"

for _, name in ipairs { "llthreads2", "llthreads" } do
  local module = require(name)
  local names = {}
  for key in pairs(module) do
    names[#names + 1] = key
  end
  table.sort(names)
  check.equal(names, { "_VERSION", "interrupted_error", "new", "set_logger",
                       "version" })
  check.row(table.pack(module.version()), 0, 1, 7, "dev")
  check.equal(module._VERSION, "0.1.7-dev")
  check.equal(module.interrupted_error, name .. ": thread was interrupted")
  -- A pattern that finds itself.
  check.equal(module.interrupted_error:find "[%^%$%(%)%%%.%[%]%*%+%-%?]", nil)
  check.equal(getmetatable(module), nil)

  -- A handle.
  local thread = module.new ""
  check.equal(type(thread), "userdata")
  local methods = getmetatable(thread)
  check.equal(methods.__index, methods)
  check.equal(methods.__tostring, nil)
  check.equal(methods.__name, nil)
  check.truthy(tostring(thread):find "^userdata: ")
  names = {}
  for key in pairs(methods) do
    names[#names + 1] = key
  end
  table.sort(names)
  check.equal(names, { "__gc", "__index", "alive", "detached", "interrupt",
                       "join", "joinable", "start", "started" })

  -- Wrong self: by the name of the method where Lua knows it, and '?' else.
  for _, method in ipairs { "start", "join", "alive", "started", "detached",
                            "joinable", "interrupt", "__gc" } do
    local f = thread[method]
    check.row(table.pack(pcall(f, {})), false,
              "bad argument #1 to '?' (LLThread expected, got table)")
    check.row(table.pack(pcall(f)), false,
              "bad argument #1 to '?' (LLThread expected, got no value)")
    check.row(table.pack(pcall(f, io.stdout)), false,
              "bad argument #1 to '?' (LLThread expected, got userdata)")
    check.row(table.pack(pcall(f, 1)), false,
              "bad argument #1 to '?' (LLThread expected, got number)")
  end
  local text = check.raises("", function() return thread.join {} end)
  check.truthy(text:find("bad argument #1 to 'join' " ..
                         "(LLThread expected, got table)", 1, true))

  -- Its end, by hand: there is no thread any more.
  thread:__gc()
  check.row(table.pack(pcall(thread.start, thread)), false,
            "bad argument #1 to '?' (thread expected)")
  check.row(table.pack(pcall(thread.__gc, thread)), false,
            "bad argument #1 to '?' (thread expected)")

  -- The logger has to be a function.
  for _, wrong in ipairs { 1, "print", {}, setmetatable({}, {
    __call = print,
  }) } do
    check.row(table.pack(pcall(module.set_logger, wrong)), false,
              "bad argument #1 to '" .. name ..
              ".set_logger' (function expected)")
  end
  check.row(table.pack(pcall(module.set_logger)), false,
            "bad argument #1 to '" .. name .. ".set_logger' (function expected)")
  check.row(table.pack(module.set_logger(print)))
end

check.truthy(require "llthreads" ~= require "llthreads2")

-- `ex` is a table with one function, under both names.
for _, name in ipairs { "llthreads2.ex", "llthreads.ex" } do
  local ex = require(name)
  check.equal(next(ex), "new")
  check.equal(next(ex, "new"), nil)
end

check.done()
