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
check.raises("a string or a size", bridge.buffer, -1)
check.raises("a string or a size", bridge.buffer, 1.5)
check.raises("a string or a size", bridge.buffer, {})
check.failed("ELIMIT", bridge.buffer(math.maxinteger))

check.done()
