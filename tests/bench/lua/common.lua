-- What the benchmarks that are Lua scripts share: the values, a clock, and the end.

local common = {}

common.folder = arg[0]:match("^(.*)/[^/]*$") or "."

--- A value by its name: itself, how many, and what one counts.
function common.payload(name)
  local payload = assert(dofile(common.folder .. "/payloads.lua")[name], name)
  return payload[1], payload[2], payload[3]
end

--- Let `require "lua_clock"` find what was built, here and in workers.
function common.programs(path)
  package.cpath = path .. "/?.so;" .. package.cpath
  return require "lua_clock"
end

--- A module of somebody else; without it this program says that it is not here.
function common.peer(name)
  local found, module = pcall(require, name)
  if not found then
    io.stderr:write(module, "\n")
    os.exit(77)
  end
  return module
end

function common.print(figure)
  print(string.format("%.6g", figure))
end

return common
