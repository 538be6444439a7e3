-- bridge.buffer, at its limits.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local b = bridge.buffer "hello\0world"
check.equal(#b, 11)
check.equal(b:size(), 11)
check.equal(b:string(), "hello\0world")
check.equal(b:frozen(), false)

-- The same places as string.sub and string.byte.
local text = "hello\0world"
for i = -13, 13 do
  check.equal(b:string(i), text:sub(i))
  for j = -13, 13 do
    if b:string(i, j) ~= text:sub(i, j) then
      check.equal(b:string(i, j), text:sub(i, j))
    end
  end
  if i ~= 0 then
    check.equal(b:byte(i), (text:byte(i)))
  end
end
check.equal(b:byte(0), nil)
check.equal(b:byte(), 104)
check.equal(b:string(math.mininteger, math.maxinteger), text)
check.equal(b:string(math.maxinteger, math.mininteger), "")
check.equal(b:byte(math.mininteger), nil)
check.equal(b:byte(math.maxinteger), nil)

-- Writing.
check.equal(b:write(1, "J"), true)
check.equal(b:write(-1, "D"), true)
check.equal(b:write(12, ""), true)
check.equal(b:string(), "Jello\0worlD")
check.raises("do not fit", b.write, b, 11, "xx")
check.raises("do not fit", b.write, b, 13, "")
check.raises("do not fit", b.write, b, 0, "x")
check.raises("do not fit", b.write, b, -12, "x")
check.raises("do not fit", b.write, b, math.maxinteger, "x")
check.raises("do not fit", b.write, b, math.mininteger, "x")
check.raises("a whole number expected", b.write, b, 1.5, "x")
check.raises("a whole number expected", b.write, b, "1", "x")
check.raises("a string expected", b.write, b, 1, 5)

-- Numbers of all formats.
local n = bridge.buffer(64)
check.equal(n:string(), ("\0"):rep(64))
check.equal(n:pack("<i4 d", 5, -7, 0.5), true)
local i, d, after = n:unpack("<i4 d", 5)
check.equal(i, -7)
check.equal(d, 0.5)
check.equal(after, 17)
check.equal(n:pack("s1", 30, "text"), true)
check.row(table.pack(n:unpack("s1", 30)), "text", 35)
check.row(table.pack(n:unpack("B", -64)), 0, 2)
check.row(table.pack(n:unpack("i8", 57)), 0, 65)
check.raises("data string too short", n.unpack, n, "i8", 58)
check.raises("outside of the buffer", n.unpack, n, "B", 66)
check.raises("outside of the buffer", n.unpack, n, "B", 0)
check.raises("outside of the buffer", n.unpack, n, "B", -65)
check.raises("do not fit", n.pack, n, "i8", 58, 1)
check.raises("invalid format", n.unpack, n, "?", 1)

-- Aligned: from any place as string.unpack and string.pack do it with all bytes.
do
  local bytes = ""
  for byte = 1, 80 do
    bytes = bytes .. string.char(byte)
  end
  local a = bridge.buffer(bytes)
  for _, format in ipairs { "!4 i4", "!2 i1 i2", "!8 i1 d i2", "!16 i1 i16 i1",
                            "! j Xj", "<!4 >i1 i4", "!8 i2 Xi8 i1",
                            "!4 i1 s1 i4" } do
    for position = 1, 40 do
      local wanted = table.pack(pcall(string.unpack, format, bytes, position))
      local got = table.pack(pcall(a.unpack, a, format, position))
      if wanted[1] then
        check.row(got, table.unpack(wanted, 1, wanted.n))
      else -- 16 bytes that make no integer of Lua, or a string that is too long
        check.truthy(not got[1])
        check.equal(got[2]:match "%((.*)%)$", wanted[2]:match "%((.*)%)$")
      end
    end
  end
  for _, format in ipairs { "!4 i4", "!8 i1 d", "!2 i1 i2" } do
    for position = 1, 40 do
      a:write(1, bytes)
      check.equal(a:pack(format, position, 7, 9), true)
      local first, second = string.unpack(format, a:string(), position)
      check.row({ first, n = 1 }, 7)
      local size = #string.pack(format, 7, 9)
      check.equal(second == 9 or second == 9.0 or format == "!4 i4", true)
      check.equal(a:string(1, position - 1), bytes:sub(1, position - 1))
      check.equal(a:string(position + size + 16), bytes:sub(position + size + 16))
    end
  end
  check.raises("data string too short", a.unpack, a, "!8 i8", 74)
  check.raises("do not fit", a.pack, a, "!8 i8", 74, 1)
  check.raises("buffer.lua:%d+: pack: position 0 is outside", function()
    a:pack("!8 i8", 0, 1)
  end)
  check.raises("pack: position %-1 is outside", a.pack, a, "B", -82, 1)
  check.raises("buffer.lua:%d+: unpack: a position expected, got 1.5",
               function() return (a:unpack("B", 1.5)) end)
  check.raises("pack: a position expected, got nil", a.pack, a, "B")
  check.raises("string expected", a.unpack, a, nil, 3)
end

-- Frozen for good.
check.equal(b:freeze(), true)
check.equal(b:freeze(), true)
check.equal(b:frozen(), true)
check.failed("EFROZEN", b:write(1, "x"))
check.equal(b:string(1, 1), "J")

-- Crossing freezes, and shares the bytes.
local q = bridge.queue()
check.equal(n:frozen(), false)
q:push(n)
check.equal(n:frozen(), true)
check.truthy(q:pop() == n)
do
  local big = bridge.buffer(("abc"):rep(100000))
  local w <close> = bridge.worker(function(buffer)
    return #buffer, buffer:string(-3), buffer:frozen(), buffer:byte(2)
  end, big)
  check.row(table.pack(w:join()), 300000, "abc", true, 98)
end

-- Empty ones.
local e = bridge.buffer(0)
check.equal(#e, 0)
check.equal(e:string(), "")
check.equal(e:byte(1), nil)
check.equal(e:write(1, ""), true)
check.raises("do not fit", e.write, e, 1, "x")
check.equal(#bridge.buffer "", 0)
check.equal(bridge.buffer(""):string(1, 5), "")

-- <close> lets go of the bytes.
local kept
do
  local closed <close> = bridge.buffer "x"
  kept = closed
end
check.equal(tostring(kept), "bridge.Buffer: released")
check.raises("released", kept.string, kept)
check.raises("released", kept.size, kept)
check.raises("released", function() return #kept end)
check.raises("argument 1: a", q.push_timeout, q, 0, kept)
check.equal(#q, 0)

check.truthy(tostring(b):match("^bridge.Buffer: .*%(11 bytes, frozen%)$"))

-- Wrong contents.
check.raises("buffer.lua:%d+: bridge.buffer: a string or a size",
             function() bridge.buffer() end)
for _, case in ipairs {
  { -1, "from 0 on expected, got %-1$" }, { 1.5, "got 1.5$" },
  { 2^63, "got 9.2233720368548e%+18, which is too large$" },
  { -2^70, "from 0 on expected, got %-1.1805916207174e%+21$" },
  { 1 / 0, "got inf" }, { 0 / 0, "got %-?nan" },
} do
  check.raises("buffer.lua:%d+: bridge.buffer: the size: .*" .. case[2],
               function() return (bridge.buffer(case[1])) end)
end
check.raises("a string or a size", bridge.buffer, {})
check.failed("ELIMIT", bridge.buffer(math.maxinteger))

check.done()
