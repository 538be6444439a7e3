-- What the Lua tests need: comparisons that say where they failed, and a count.
-- A test that checked nothing has failed.
local check = { count = 0, failures = 0 }

local function where()
  local level = 3
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return "?"
    end
    if info.what ~= "C" and not info.short_src:find("check.lua", 1, true) then
      return info.short_src .. ":" .. info.currentline
    end
    level = level + 1
  end
end

local function show(value)
  if type(value) == "string" then
    return string.format("%q", value)
  elseif math.type(value) then
    return math.type(value) .. " " .. tostring(value)
  end
  return tostring(value)
end

local function report(good, text)
  check.count = check.count + 1
  if not good then
    check.failures = check.failures + 1
    io.stderr:write(where(), ": ", text, "\n")
  end
  return good
end

local function equal(a, b, seen)
  if type(a) ~= "table" or type(b) ~= "table" then
    return (a == b or (a ~= a and b ~= b)) and math.type(a) == math.type(b)
  end
  if seen[a] then
    return seen[a] == b
  end
  seen[a] = b
  for key, value in pairs(a) do
    if not equal(value, b[key], seen) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

-- Deep, and 1 is not 1.0.
function check.equal(got, wanted)
  return report(equal(got, wanted, {}),
                "got " .. show(got) .. ", wanted " .. show(wanted))
end

function check.truthy(value)
  return report(value, "got " .. show(value) .. ", wanted something true")
end

-- A row of values: check.row(table.pack(f()), 1, nil, 3)
function check.row(got, ...)
  local wanted = table.pack(...)
  local good = got.n == wanted.n
  for i = 1, wanted.n do
    good = good and equal(got[i], wanted[i], {})
  end
  local texts = {}
  for i = 1, got.n do
    texts[i] = show(got[i])
  end
  return report(good, "got the row (" .. table.concat(texts, ", ") .. ")")
end

-- nil, text, code: a failure as the bridge returns it.  Gives the rest.
function check.failed(code, first, text, got, ...)
  report(first == nil and type(text) == "string" and got == code,
         "got " .. show(first) .. ", " .. show(text) .. ", " .. show(got) ..
         ", wanted a failure with " .. code)
  return text, ...
end

-- Misuse raises, and says what is wrong.
function check.raises(pattern, f, ...)
  local good, text = pcall(f, ...)
  report(not good and tostring(text):find(pattern) ~= nil,
         good and "nothing was raised" or
         "raised " .. show(tostring(text)) .. ", wanted " .. show(pattern))
  return text
end

-- Wait for something that another thread does, as long as a test may take.
function check.eventually(condition)
  local bridge = require "bridge"
  local limit = os.time() + 30
  while not condition() and os.time() < limit do
    bridge.sleep(0.001)
  end
  return report(condition(), "it did not come true")
end

function check.done()
  local name = arg[0]:match("[^/]*$")
  print(string.format("%s: %d checks, %d failed", name, check.count,
                      check.failures))
  os.exit(check.count > 0 and check.failures == 0, true)
end

return check
