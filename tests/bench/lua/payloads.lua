-- What the benchmarks send, the same on every side.
--
-- Each entry: the value; how many of them one run sends; and what one of them
-- counts in the unit of its row (millions, thousands, or 1e9 bytes a second).

local function row(n)
  local t = {}
  for i = 1, n do
    t[i] = i * 1000 + n
  end
  return t
end

local function nested(n)
  local t = {}
  for i = 1, n do
    t[i] = row(n)
  end
  return t
end

local function closure(a, b, c)
  return function(d)
    a = a + d
    return a, b, c
  end
end

local sixteen = "0123456789abcdef"

return {
  integer = { 1234567, 2000000, 1e-6 },
  string64 = { sixteen:rep(4), 1000000, 1e-6 },
  table10 = {
    {
      id = 7, name = "worker", state = "running", kind = "task",
      path = "/usr/share/lua/5.4", ready = true, size = 123456, offset = 7.25,
      load = 0.5, age = 88,
    },
    200000, 1e-6,
  },
  nested100 = { nested(10), 40000, 1e-3 },
  closure3 = { closure(1, "b", 2.5), 40000, 1e-3 },
  string1m = { sixteen:rep(65536), 1200, 1048576e-9 },
}
