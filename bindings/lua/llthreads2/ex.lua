-- Threads whose code may be a function, with something to run before it.  This file
-- is the module "llthreads.ex" and the module "llthreads2.ex".

-- What a thread begins with.  It stands before all locals, for in the state of the
-- thread no upvalue is there but the globals.
local begin = string.dump(function(lua_init, prelude, source, ...)
  -- A text or a precompiled function; or the name of a file behind an @.
  local function load_source(code)
    if code:sub(1, 1) == "@" then
      local name = code:sub(2)
      return assert(loadfile(name)), name
    end
    return assert(load(code)), "=(loadstring)"
  end

  local function is_given(code)
    return code and #code > 0
  end

  if is_given(lua_init) then
    load_source(lua_init)()
  end
  local arguments
  if is_given(prelude) then
    arguments = table.pack(load_source(prelude)(...))
  else
    arguments = table.pack(...)
  end
  local main, name = load_source(source)
  arguments[0] = name
  arg = arguments
  return main(table.unpack(arguments, 1, arguments.n))
end)

local found, llthreads = pcall(require, "llthreads2")
if not found then
  llthreads = require "llthreads"
end

-- What the interpreter runs before a program.
local version = _VERSION:match("%d+%.%d+$"):gsub("%.", "_")
local default_init = os.getenv("LUA_INIT_" .. version)
  or os.getenv("LUA_INIT") or ""

local thread = {}
thread.__index = thread

function thread:start(...)
  local started, why = self.thread:start(...)
  if not started then
    return nil, why
  end
  return self
end

for _, name in ipairs {
  "join", "alive", "started", "detached", "joinable", "interrupt",
} do
  thread[name] = function(self, ...)
    return self.thread[name](self.thread, ...)
  end
end

local function portable(code)
  return type(code) == "function" and string.dump(code) or code
end

local function create(lua_init, prelude, source, ...)
  local made = llthreads.new(begin, portable(lua_init), portable(prelude),
    portable(source), ...)
  return setmetatable({thread = made}, thread)
end

local function new(code, ...)
  assert(code)
  if type(code) ~= "table" then
    return create(default_init, nil, code, ...)
  end
  local source = assert(code.source or code[1])
  local lua_init = code.lua_init
  if lua_init == nil then
    lua_init = default_init
  end
  return create(lua_init, code.prelude, source, ...)
end

return {new = new}
