-- What the benchmarks send, the same on every side.
--
-- Each entry: the value, and how many of them one run sends.

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

return {
  integer = { 1234567, 2000000 },
  string64 = { ("0123456789abcdef"):rep(4), 1000000 },
  table10 = {
    {
      id = 7, name = "worker", state = "running", kind = "task",
      path = "/usr/share/lua/5.4", ready = true, size = 123456, offset = 7.25,
      load = 0.5, age = 88,
    },
    200000,
  },
  nested100 = { nested(10), 50000 },
  string1m = { ("0123456789abcdef"):rep(65536), 600 },
}
