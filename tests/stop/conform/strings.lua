-- The string library.
local c = require "conform"
local equal, row, fails, truthy = c.equal, c.row, c.fails, c.truthy

-- ---- Pieces ----
local s = "hello"
row(table.pack(s:sub(2), s:sub(-3), s:sub(2, -2), s:sub(0), s:sub(10), s:sub(4, 2), s:sub(-100, 2)),
    "ello", "llo", "ell", "hello", "", "", "he")
row(table.pack(s:sub(math.mininteger, math.maxinteger), s:sub(math.maxinteger)), "hello", "")
row(table.pack(s:byte(), s:byte(-1), s:byte(10)), 104, 111)
row(table.pack(s:byte(1, 3)), 104, 101, 108)
row(table.pack(("").byte("")))
equal(string.char(), "")
equal(string.char(0, 255, 65), "\0\255A")
fails("value out of range", string.char, 256)
fails("value out of range", string.char, -1)
row(table.pack(s:upper(), ("ÄB"):lower():sub(-1), s:len(), ("a\0b"):len()), "HELLO", "b", 5, 3)
row(table.pack(s:reverse(), (""):reverse()), "olleh", "")
row(table.pack(s:rep(0), s:rep(-1), s:rep(2), s:rep(3, ", "), (""):rep(1000), ("x"):rep(1, "y")),
    "", "", "hellohello", "hello, hello, hello", "", "x")
fails("resulting string too large", string.rep, "x", math.maxinteger)
fails("resulting string too large", string.rep, "xy", 1 << 62, ",")
equal(#("ab"):rep(100000, "c"), 299999)
local big = ("0123456789"):rep(50000)
equal(big:sub(123457, 123460), "6789")

-- ---- Plain search ----
row(table.pack(s:find "l"), 3, 3)
row(table.pack(s:find("l", 4)), 4, 4)
row(table.pack(s:find("l", -1)), nil)
row(table.pack(s:find ""), 1, 0)
row(table.pack(s:find("", 6)), 6, 5)
row(table.pack(s:find("", 7)), nil)
row(table.pack(s:find("", -100)), 1, 0)
row(table.pack(("a.b"):find(".", 1, true)), 2, 2)
row(table.pack(("a+b"):find("+", 1, true)), 2, 2)
row(table.pack(("a\0b\0c"):find("\0c")), 4, 5)
row(table.pack(big:find("90123456789012", 1000, true)), 1000, 1013)

-- ---- Patterns ----
local cases = {
  { "abc", ".", 1, 1 }, { "abc", "b", 2, 2 }, { "abc", "^b" }, { "abc", "^a", 1, 1 }, { "abc", "c$", 3, 3 },
  { "abc", "a$" }, { "a$c", "a$c", 1, 3 }, { "abc", "^abc$", 1, 3 }, { "aaa", "a*", 1, 3 }, { "baa", "a*", 1, 0 },
  { "aaa", "a-", 1, 0 }, { "aaab", "a-b", 1, 4 }, { "aaa", "a+", 1, 3 }, { "b", "a+" }, { "ab", "a?b", 1, 2 },
  { "b", "a?b", 1, 1 }, { "x12y", "%d+", 2, 3 }, { "x12y", "%D", 1, 1 }, { "a b", "%s", 2, 2 }, { "a_b", "%w+", 1, 1 },
  { "a,b", "%p", 2, 2 }, { "ABc", "%l", 3, 3 }, { "abC", "%u", 3, 3 }, { "xFg", "%x+", 2, 2 }, { "a\1", "%c", 2, 2 },
  { "a!", "%g+", 1, 2 }, { "[x]", "[]]", 3, 3 }, { "a-z", "[a%-]+", 1, 2 }, { "a-z", "[a-]+", 1, 2 },
  { "a^b", "[b^]", 2, 2 }, { "abc", "[^ab]", 3, 3 }, { "x]y", "[^]]+", 1, 1 }, { "a%b", "%%", 2, 2 }, { "f(a(b)c)d", "%b()", 2, 8 },
  { "f(a(bc", "%b()" }, { "THE (quick) fox", "%((%a+)%)", 5, 11, "quick" }, { "key = v", "(%w+)%s*=%s*(%w+)", 1, 7, "key", "v" },
  { "abab", "(ab)%1", 1, 4, "ab" }, { "abba", "(a)(b)%2%1", 1, 4, "a", "b" }, { "hello", "()ll()", 3, 4, 3, 5 },
  { "THE (fox)", "%f[%a]%a+", 1, 3 }, { "  x", "%f[%S]", 3, 2 }, { "abc", "%f[%z]", 4, 3 }, { "a.b", "%.", 2, 2 },
  { "((a))", "(%((%((%a)%))%))", 1, 5, "((a))", "(a)", "a" }, { "", "^$", 1, 0 }, { "\0x", "%z", 1, 1 }, { "a\0b", "a%zb", 1, 3 },
  { "x=1,y=2", "y=(%d)", 5, 7, "2" }, { "aXb", "%u", 2, 2 }, { "12", "^%d*$", 1, 2 }, { "1a", "^%d*$" },
}
for _, case in ipairs(cases) do
  local got = table.pack(case[1]:find(case[2]))
  if case[3] then
    row(got, table.unpack(case, 3))
  else
    row(got, nil)
  end
end
row(table.pack(("key = value"):match "(%w+) = (%w+)"), "key", "value")
row(table.pack(("  trim  "):match "^%s*(.-)%s*$"), "trim")
row(table.pack(("2024-05-06"):match "^(%d+)-(%d+)-(%d+)$"), "2024", "05", "06")
row(table.pack(("abc"):match("b", 3)), nil)
row(table.pack(("abc"):match("()", 4)), 4)
fails("malformed pattern (ends with '%')", string.find, "a", "%")
fails("malformed pattern (missing ']')", string.find, "a", "[a")
fails("malformed pattern (missing arguments to '%b')", string.find, "a", "%b")
fails("missing '[' after '%f' in pattern", string.find, "a", "%f")
fails("unfinished capture", string.find, "a", "(a")
fails("invalid pattern capture", string.match, "a", "a)")
fails("invalid capture index %1", string.find, "a", "%1")
fails("invalid capture index", string.gsub, "a", "(a)", "%2")
fails("too many captures", string.find, ("a"):rep(40), ("(a)"):rep(33))
fails("pattern too complex", string.find, ("a"):rep(300000), ("a?"):rep(300000))
equal(#(("a"):rep(100000):match "^(.-)$"), 100000)
equal(("a"):rep(200):find(".-.-b"), nil)

-- ---- gmatch ----
local words = {}
for word in ("one two  three"):gmatch "%a+" do words[#words + 1] = word end
equal(table.concat(words, "|"), "one|two|three")
words = {}
for key, value in ("a=1, b=2"):gmatch "(%w+)=(%w+)" do words[#words + 1] = value .. key end
equal(table.concat(words), "1a2b")
local at = {}
for position in ("abc"):gmatch "()" do at[#at + 1] = position end
equal(table.concat(at), "1234")
words = {}
for word in ("xaxbx"):gmatch("x?", 3) do words[#words + 1] = word end
equal(table.concat(words, "|"), "x|x")
words = {}
for word in ("abc"):gmatch "^a" do words[#words + 1] = word end
equal(#words, 0) -- no anchor there

-- ---- gsub ----
row(table.pack(("hello"):gsub("l", "L")), "heLLo", 2)
row(table.pack(("hello"):gsub("l", "L", 1)), "heLlo", 1)
row(table.pack(("hello"):gsub("l", "L", 0)), "hello", 0)
row(table.pack(("hello"):gsub("", "-")), "-h-e-l-l-o-", 6)
row(table.pack(("abc"):gsub("%w", "%0%0")), "aabbcc", 3)
row(table.pack(("abc"):gsub("(%w)(%w)", "%2%1")), "bac", 1)
row(table.pack(("abc"):gsub("b", "%%")), "a%c", 1)
row(table.pack(("$x $y"):gsub("%$(%w)", { x = "1", y = false })), "1 $y", 2)
row(table.pack(("$x $y"):gsub("%$(%w)", function(n) if n == "x" then return 7 end end)), "7 $y", 2)
row(table.pack(("abc"):gsub("^a", "x")), "xbc", 1)
row(table.pack(("aaa"):gsub("^a", "x")), "xaa", 1)
row(table.pack(("a b"):gsub("()", "%1")), "1a2 3b4", 4)
row(table.pack(("abc"):gsub(".", { a = 1, b = 2.5, c = true and "z" })), "12.5z", 3)
fails("invalid replacement value (a table)", string.gsub, "a", "a", function() return {} end)
fails("invalid use of '%' in replacement string", string.gsub, "a", "a", "%x")
fails("bad argument #3 to 'string.gsub' (string/function/table expected, got no value)", string.gsub, "a", "a")
row(table.pack(big:gsub("%d%d%d%d%d", "")), "", 100000)
local n = 0
equal(#big:sub(1, 5000):gsub("%d", function(d) n = n + d return d .. d end), 10000)
equal(n, 22500)
row(table.pack(("nest"):gsub(".", function(x)
  return (x .. x):gsub(".", function(y) return y:upper() .. x end)
end)), "NnNnEeEeSsSsTtTt", 4)

-- ---- format ----
local formats = {
  { "%d", "42", 42 }, { "%d", "3", 3.0 }, { "%5d|", "   42|", 42 }, { "%-5d|", "42   |", 42 }, { "%05d", "00042", 42 },
  { "%+d", "+42", 42 }, { "% d", " 42", 42 }, { "%i", "7", 7 }, { "%x", "ff", 255 }, { "%X", "FF", 255 }, { "%#x", "0xff", 255 },
  { "%o", "17", 15 }, { "%c", "A", 65 }, { "%e", "1.500000e+00", 1.5 }, { "%.3f", "3.142", math.pi }, { "%10.2f|", "      3.14|", math.pi },
  { "%g", "0.1", 0.1 }, { "%g", "1e+20", 1e20 }, { "%a", "0x1p+0", 1 }, { "%s", "text", "text" }, { "%10s|", "      text|", "text" },
  { "%-10s|", "text      |", "text" }, { "%.2s", "te", "text" }, { "%s", "nil", nil }, { "%s", "true", true }, { "%%", "%" },
  { "%q", '"a\\\nb"', "a\nb" }, { "%q", '"\\0\\13\\"\\\\"', "\0\r\"\\" }, { "%q", "0x1p-1", 0.5 }, { "%q", "1", 1 }, { "%q", "1e9999", math.huge },
  { "%q", "0x8000000000000000", math.mininteger }, { "%q", "(0/0)", 0 / 0 }, { "%q", "nil", nil }, { "%q", "true", true },
  { "%d", "-9223372036854775808", math.mininteger }, { "%.0f", "9223372036854775808", 2^63 }, { "%5.1s|", "    t|", "text" },
  { "%.14g", "3.1415926535898", math.pi }, { "%s", "1e+100", 1e100 }, { "%s", "-0.0", -0.0 }, { "%s", "1.0", 1.0 }, { "%.20s", "short", "short" },
}
for _, case in ipairs(formats) do
  equal(case[1]:format(case[3]), case[2])
end
equal(("%s %s %d"):format("a", {1} and "b", 3), "a b 3")
equal(#("%99.99f"):format(1e300) > 300, true)
equal(("%s"):format(("x"):rep(1000)), ("x"):rep(1000))
equal(("%s"):format(setmetatable({}, { __tostring = function() return "shown" end })), "shown")
equal(("%-9s|"):format(setmetatable({}, { __tostring = function() return "shown" end })), "shown    |")
fails("bad argument #1 to 'format' (number expected, got string)", function() return ("%d"):format "x" end)
fails("number has no integer representation", function() return ("%d"):format(1.5) end)
fails("no value", string.format, "%d")
fails("invalid conversion '%y' to 'format'", string.format, "%y", 1)
fails("invalid conversion", string.format, "%123d", 1)
fails("value has no literal form", string.format, "%q", {})
fails("string contains zeros", string.format, "%10s", "a\0b")
truthy(("%p"):format({}):find "^0x")
equal(("%p"):format(1), "(null)")

-- ---- pack ----
for _, case in ipairs {
  { "<i4", "\1\2\3\4", 0x04030201 }, { ">i4", "\1\2\3\4", 0x01020304 }, { "b", "\255", -1 }, { "B", "\255", 255 }, { "<h", "\254\255", -2 },
  { "<i3", "\255\255\127", 0x7fffff }, { "<I8", "\255\255\255\255\255\255\255\255", -1 }, { "z", "text\0", "text" }, { "s1", "\3abc", "abc" },
  { "<d", "\0\0\0\0\0\0\248\63", 1.5 }, { ">f", "\63\192\0\0", 1.5 }, { "<j", "\5\0\0\0\0\0\0\0", 5 }, { "c5", "ab\0\0\0", "ab\0\0\0" }, { "<i16", "\1" .. ("\0"):rep(15), 1 },
} do
  equal(string.pack(case[1], case[3]), case[2])
  row(table.pack(string.unpack(case[1], case[2])), case[3], #case[2] + 1)
end
equal(string.pack("!4 b i4", 1, 2):len(), 8)
equal(string.packsize "!8 b d", 16)
row(table.pack(string.unpack("<i2 i2", "\1\0\2\0")), 1, 2, 5)
row(table.pack(string.unpack("z", "ab\0cd\0", 4)), "cd", 7)
fails("data string too short", string.unpack, "i4", "abc")
fails("integer overflow", string.pack, "b", 200)
fails("variable-length format", string.packsize, "s")
fails("invalid format option 'y'", string.pack, "y")
fails("contains zeros", string.pack, "z", "a\0")
fails("out of limits [1,16]", string.pack, "i17", 1)

-- ---- Conversions ----
row(table.pack(tonumber "10", tonumber "0x10", tonumber " 1.5 ", tonumber "1e2", tonumber "x", tonumber "", tonumber "1 2"),
    10, 16, 1.5, 100.0, nil, nil, nil)
row(table.pack(tonumber("ff", 16), tonumber("zz", 36), tonumber("8", 8), tonumber("-101", 2), tonumber("7fffffffffffffff", 16)),
    255, 1295, nil, -5, math.maxinteger)
row(table.pack(tonumber "0x1p4", tonumber "9223372036854775808", tonumber "0xffffffffffffffff"), 16.0, 2^63, -1)
row(table.pack("10" + 1, "0x10" * 2, "1.5" + 1, 10 .. 20, -"2"), 11, 32, 2.5, "1020", -2)
row(table.pack("a" < "b", "a" < "B", "" < "a", "a\0b" < "a\0c", "Z" < "a", "10" < "9"), true, false, true, true, true, true)
equal(tostring(-0.0), "-0.0")
equal(tostring(1e15), "1e+15")
equal(tostring(2^53), "9.007199254741e+15")
equal(tostring(1/0) .. tostring(-1/0), "inf-inf")

-- ---- dump ----
local function add(a, b) return a + b end
equal(load(string.dump(add), "dumped", "b")(2, 3), 5)
fails("unable to dump given function", string.dump, print)
equal(("x").rep, string.rep)

-- ---- utf8 ----
equal(utf8.char(72, 228, 8364, 128512), "Hä€😀")
equal(utf8.char(), "")
row(table.pack(utf8.codepoint("Hä€😀", 1, -1)), 72, 228, 8364, 128512)
row(table.pack(utf8.len "Hä€😀", utf8.len "", utf8.len("äö", 3)), 4, 0, 1)
row(table.pack(utf8.len "ab\xff"), nil, 3)
row(table.pack(utf8.len("äö", 2)), nil, 2)
row(table.pack(utf8.offset("äöü", 3), utf8.offset("äöü", -1), utf8.offset("äöü", 0, 4), utf8.offset("ä", 5)), 5, 5, 3, nil)
local points = {}
for position, point in utf8.codes "aé€" do points[#points + 1] = position .. ":" .. point end
equal(table.concat(points, " "), "1:97 2:233 4:8364")
fails("invalid UTF-8 code", function() for _ in utf8.codes "a\xff" do end end)
fails("initial position is a continuation byte", utf8.offset, "ä", 1, 2)
fails("out of bounds", utf8.codepoint, "abc", 1, 4)
fails("value out of range", utf8.char, -1)
equal(#utf8.char(0x7fffffff), 6)
row(table.pack(utf8.len(utf8.char(0x7fffffff))), nil, 1)
equal(utf8.len(utf8.char(0x7fffffff), 1, -1, true), 1)
local chars = 0
for _ in ("Hä€😀"):gmatch(utf8.charpattern) do chars = chars + 1 end
equal(chars, 4)

c.done "strings"
