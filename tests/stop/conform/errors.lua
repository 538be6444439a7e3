-- Errors: their values, texts and places.
local c = require "conform"
local equal, row, fails, bad, truthy = c.equal, c.row, c.fails, c.bad, c.truthy

-- ---- Values and levels ----
for _, value in ipairs { 1, 2.5, true, false, "text", {}, print } do
  row(table.pack(pcall(error, value)), false, value)
end
row(table.pack(pcall(error)), false, nil)
row(table.pack(pcall(error, nil)), false, nil)
row(table.pack(pcall(error, "text", 0)), false, "text")
local function level(n) error("text", n) end
local function caller(n)
  level(n)
end
truthy(select(2, pcall(caller, 1)):find ":%d+: text$")
local line1 = select(2, pcall(caller, 1)):match ":(%d+):"
local line2 = select(2, pcall(caller, 2)):match ":(%d+):"
equal(line2 - line1, 2.0 // 1 | 0)
row(table.pack(pcall(pcall)), false, "bad argument #1 to 'pcall' (value expected)")
row(table.pack(pcall(pcall, error)), true, false, nil)
row(table.pack(pcall(pcall, error, 1)), true, false, 1)
row(table.pack(pcall(select, "#", 1, 2)), true, 2)
row(table.pack(pcall(assert, false)), false, "assertion failed!")
row(table.pack(pcall(assert, nil, "why")), false, "why")
row(table.pack(assert(1, 2, 3)), 1, 2, 3)
fails("bad argument #1 to 'assert' (value expected)", assert)
equal(select(2, pcall(assert, false, nil)), nil)

-- ---- Handlers ----
row(table.pack(xpcall(function(...) return ... end, print, 1, nil, 3)), true, 1, nil, 3)
row(table.pack(xpcall(error, function(why) return why, 2 end, "x")), false, "x")
row(table.pack(xpcall(error, function() return end, "x")), false, nil)
local seen = {}
row(table.pack(xpcall(function() error "first" end, function(why)
  seen[#seen + 1] = tostring(why):match "first" or "other"
  if #seen < 5 then error "again" end
  return #seen
end)), false, 5)
local good, why = xpcall(error, function() error() end)
equal(good, false)
truthy(xpcall(error, function(text)
  truthy(debug.traceback(text, 1):find "stack traceback")
end, "x") == false)
local depth = 0
local function deep(n) if n == 0 then error "bottom" end return (deep(n - 1)) end
good, why = xpcall(deep, debug.traceback, 50)
truthy(why:find "bottom\nstack traceback:\n")
truthy(why:find "%.%.%.\t%(skipping %d+ levels%)")
good, why = xpcall(deep, debug.traceback, 3)
equal(select(2, why:gsub("in upvalue 'deep'", "")) + select(2, why:gsub("in function <", "")) >= 3, true)

-- ---- What is said of variables ----
local names = {
  ["local x; x.y = 1"] = "attempt to index a nil value (local 'x')",
  ["local x; return x.y.z"] = "attempt to index a nil value (local 'x')",
  ["return nowhere.y"] = "attempt to index a nil value (global 'nowhere')",
  ["local x = {}; return x.y.z"] = "attempt to index a nil value (field 'y')",
  ["local x; return (function() return x.y end)()"] = "attempt to index a nil value (upvalue 'x')",
  ["return ('x').y.z"] = "attempt to index a nil value (field 'y')",
  ["nowhere()"] = "attempt to call a nil value (global 'nowhere')",
  ["local x = {}; x:go()"] = "attempt to call a nil value (method 'go')",
  ["local x = {}; x.go()"] = "attempt to call a nil value (field 'go')",
  ["local x = 5; x()"] = "attempt to call a number value (local 'x')",
  ["(1)()"] = "attempt to call a number value",
  ["local x = {}; return x + 1"] = "attempt to perform arithmetic on a table value (local 'x')",
  ["local x; return 1 - x"] = "attempt to perform arithmetic on a nil value (local 'x')",
  ["return 'a' * 2"] = "attempt to mul a 'string' with a 'number'",
  ["return 2 + {}"] = "attempt to perform arithmetic on a table value",
  ["return -{}"] = "attempt to perform arithmetic on a table value",
  ["local x = {}; return 'a' .. x"] = "attempt to concatenate a table value (local 'x')",
  ["return 'a' .. nil"] = "attempt to concatenate a nil value",
  ["return 'a' .. true .. 'b'"] = "attempt to concatenate a boolean value",
  ["return {} < {}"] = "attempt to compare two table values",
  ["return 1 < 'x'"] = "attempt to compare number with string",
  ["return nil <= 1"] = "attempt to compare nil with number",
  ["return {} >= 1"] = "attempt to compare number with table",
  ["return 1.5 | 1"] = "number has no integer representation",
  ["return 2^63 | 0"] = "number has no integer representation",
  ["return {} | 1"] = "attempt to perform bitwise operation on a table value",
  ["return 'x' | 1"] = "attempt to perform bitwise operation on a string value",
  ["return 1 // 0"] = "attempt to divide by zero",
  ["return 1 % 0"] = "attempt to perform 'n%0'",
  ["return #nil"] = "attempt to get length of a nil value",
  ["local x = 1; return #x"] = "attempt to get length of a number value (local 'x')",
  ["local t = {} t[nil] = 1"] = "index is nil",
  ["local t = {} t[0/0] = 1"] = "index is NaN",
  ["return math.sin()"] = "bad argument #1 to 'sin' (number expected, got no value)",
  ["return ('x'):rep({})"] = "bad argument #1 to 'rep' (number expected, got table)",
  ["return string.rep()"] = "bad argument #1 to 'rep' (string expected, got no value)",
  ["return ('x').rep('x', 1.5)"] = "bad argument #2 to 'rep' (number has no integer representation)",
  ["return setmetatable(1, {})"] = "bad argument #1 to 'setmetatable' (table expected, got number)",
  ["return setmetatable({}, 1)"] = "bad argument #2 to 'setmetatable' (nil or table expected, got number)",
  ["setmetatable(setmetatable({}, {__metatable = 1}), {})"] = "cannot change a protected metatable",
  ["return next({}, 'x')"] = "invalid key to 'next'",
  ["return ipairs()"] = "bad argument #1 to 'ipairs' (",
  ["return tonumber('10', 99)"] = "bad argument #2 to 'tonumber' (base out of range)",
  ["return tonumber(10, 10)"] = "bad argument #1 to 'tonumber' (string expected, got number)",
  ["return rawlen(1)"] = "table or string expected",
  ["return require 'no.such.module'"] = "module 'no.such.module' not found:",
  ["for i = 1, 10, 0 do end"] = "'for' step is zero",
  ["local a <close> = 1"] = "variable 'a' got a non-closable value",
  ["return load({})"] = "bad argument #1 to 'load' (function expected, got table)",
  ["collectgarbage 'nonsense'"] = "bad argument #1 to 'collectgarbage' (invalid option 'nonsense')",
}
for source, text in pairs(names) do
  local said = bad(text, source)
  truthy(said:find "^chunk:1: " or said:find "index is" or true)
end

-- ---- What does not parse ----
local syntax = {
  ["x ="] = "unexpected symbol near <eof>",
  ["x = }"] = "unexpected symbol near '}'",
  ["for"] = "<name> expected near <eof>",
  ["for i = 1 do end"] = "',' expected near 'do'",
  ["if x then"] = "'end' expected near <eof>",
  ["if x\nthen\n"] = "'end' expected (to close 'if' at line 1) near <eof>",
  ["x = 'abc"] = "unfinished string near <eof>",
  ["x = 'abc\n'"] = "unfinished string near ''abc'",
  ["x = [[abc"] = "unfinished long string (starting at line 1) near <eof>",
  ["--[[ abc"] = "unfinished long comment (starting at line 1) near <eof>",
  ["x = 3x"] = "malformed number near '3x'",
  ["x = '\\q'"] = "invalid escape sequence near ''\\q'",
  ["x = '\\300'"] = "decimal escape too large near ''\\300'",
  ["x = '\\xZZ'"] = "hexadecimal digit expected near",
  ["x = '\\u{110000000}'"] = "UTF-8 value too large near",
  ["return return"] = "unexpected symbol near 'return'",
  ["local function f() ... end"] = "unexpected symbol near '...'",
  ["function f() return ... end"] = "cannot use '...' outside a vararg function near '...'",
  ["x + 1"] = "syntax error near '+'",
  ["f() = 1"] = "syntax error near '='",
  ["local x <const> = 1; x = 2"] = "attempt to assign to const variable 'x'",
  ["goto continue"] = "no visible label 'continue' for <goto> at line 1",
  ["x = = 1"] = "unexpected symbol near '='",
  ["\1"] = "unexpected symbol near '<\\1>'",
  ["a.b:c = 1"] = "function arguments expected near '='",
}
for source, text in pairs(syntax) do
  local chunk, said = load(source, "=chunk")
  equal(chunk, nil)
  truthy(said:find(text, 1, true) or error(said .. " // " .. text))
end
row(table.pack(load("return 1", "=x", "b")), nil, "attempt to load a text chunk (mode is 'b')")
equal(select(2, load("x =", "@file.lua")):match "^(.-):%d", "file.lua")
equal(select(2, load("x =", "return x\nmore")):match "^(.-):%d", '[string "return x..."]')
equal(select(2, load("\n\nx =", "=name")), "name:3: unexpected symbol near <eof>")
truthy(select(2, load(("("):rep(300) .. "x" .. (")"):rep(300))):find "overflow")
truthy(select(2, load("return " .. ("{"):rep(250) .. ("}"):rep(250))):find "overflow")
local parts = {}
for i = 1, 210 do parts[i] = "local v" .. i end
truthy(select(2, load(table.concat(parts, "\n"))):find "too many local variables")

-- A reader that gives pieces; that fails; that gives something else.
local pieces = { "ret", "urn", " 4", "2", "" }
local i = 0
equal(load(function() i = i + 1 return pieces[i] end)(), 42)
row(table.pack(pcall(load, function() error("reader", 0) end)), true, nil, "reader")
row(table.pack(pcall(load, function() return {} end)), true, nil,
    "reader function must return a string")

-- ---- Stacks that overflow ----
local function endless(n) return n + endless(n + 1) end
good, why = pcall(endless, 1)
truthy(not good and why:find "stack overflow")
truthy(#why < 400)
local function loops() return pcall(loops) end
truthy(loops() ~= nil)
good, why = pcall(function()
  local t = setmetatable({}, {})
  getmetatable(t).__index = function(_, k) return t[k + 1] end
  return t[1]
end)
truthy(not good and tostring(why):find "overflow")
good, why = pcall(function() return ("x"):gsub(".", function(x)
  local function f() return (("x"):gsub(".", f)) end
  return f()
end) end)
truthy(not good and tostring(why):find "C stack overflow")
good, why = xpcall(endless, function(text)
  return "handled: " .. tostring(text):match "stack overflow"
end, 1)
equal(why, "handled: stack overflow")
equal(pcall(string.rep, "x", -1), true)

-- ---- tostring and error objects ----
local named = setmetatable({}, { __name = "My.Type" })
truthy(tostring(named):find "^My.Type: ")
fails("'__tostring' must return a string", tostring, setmetatable({}, { __tostring = function() return {} end }))
fails("bad argument #1 to 'rep' (string expected, got My.Type)", function() string.rep(named) end)
equal(tostring(setmetatable({}, { __tostring = function() return "shown" end })), "shown")
equal(select(2, pcall(error, named)), named)

-- ---- warn ----
warn "@off"
warn("not ", "seen")
c.done "errors"
