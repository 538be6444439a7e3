-- The functions of the strict level against Lua's own, on random arguments: the
-- same results, the same errors, byte for byte.
--
-- The chunk is handed a table of Lua's libraries, one of the strict ones, how many
-- cases, and a seed.  It returns how many cases there were, how many of them raised,
-- and the first differences, as text.

local stock, strict, cases, seed = ...

local type, pcall, select, tostring = type, pcall, select, tostring
local format, concat, char = stock.string.format, stock.table.concat,
                             stock.string.char
local random = stock.math.random
stock.math.randomseed(seed)

local function one_of(list)
  return list[random(#list)]
end

-- ---- Making arguments --------------------------------------------------------

local letters = { "a", "b", "c", "A", "Z", "0", "9", "_", " ", "\t", "\n", ".",
                  ",", "-", "(", ")", "[", "]", "%", "^", "$", "\0", "\127",
                  "\200", "\255" }

local function text(most)
  local pieces = {}
  for i = 1, random(0, most) do
    pieces[i] = random(4) == 1 and one_of(letters) or one_of { "a", "b", "x" }
  end
  return concat(pieces)
end

local classes = { "%a", "%c", "%d", "%g", "%l", "%p", "%s", "%u", "%w", "%x",
                  "%A", "%C", "%D", "%G", "%L", "%P", "%S", "%U", "%W", "%X",
                  "%z", "%Z", "%.", "%%", "%]", "%[", "%-", "%(", "%q", "%\0" }

local function set()
  local pieces = { random(3) == 1 and "[^" or "[" }
  for _ = 1, random(0, 3) do
    local kind = random(6)
    if kind == 1 then
      pieces[#pieces + 1] = one_of(classes)
    elseif kind == 2 then
      pieces[#pieces + 1] = one_of(letters) .. "-" .. one_of(letters)
    else
      pieces[#pieces + 1] = one_of(letters)
    end
  end
  pieces[#pieces + 1] = random(30) > 1 and "]" or ""
  return concat(pieces)
end

local function item(depth)
  local kind = random(16)
  if kind <= 5 then
    return one_of { "a", "b", "x" }
  elseif kind == 6 then
    return "."
  elseif kind <= 8 then
    return one_of(classes)
  elseif kind <= 10 then
    return set()
  elseif kind == 11 and depth < 3 then
    local inner = ""
    for _ = 1, random(0, 3) do
      inner = inner .. item(depth + 1) .. one_of { "", "*", "+", "-", "?" }
    end
    return "(" .. inner .. (random(20) > 1 and ")" or "")
  elseif kind == 12 then
    return one_of { "()", "(.)", "%b()", "%bxy", "%bxx", "%baa", "%b", "%f" }
  elseif kind == 13 then
    return "%f" .. set()
  elseif kind == 14 then
    return one_of { "%1", "%2", "%3", "%0", "%9" }
  elseif kind == 15 then
    return one_of { "^", "$", ")", "(", "]", "%", "-", "*" }
  end
  return one_of(letters)
end

local function pattern()
  local pieces = { random(5) == 1 and "^" or "" }
  for _ = 1, random(0, 5) do
    pieces[#pieces + 1] = item(0) ..
      one_of { "", "", "", "", "*", "+", "-", "?" }
  end
  pieces[#pieces + 1] = random(6) == 1 and "$" or ""
  return concat(pieces)
end

local numbers = { 0, 1, 2, 3, 5, -1, -2, -5, 10, 100, -100, 1.0, 2.5, "2", "x",
                  math.maxinteger, math.mininteger, math.huge, 1e15 }

-- What nobody should hand over, now and then.
local function odd(value)
  if random(60) > 1 then
    return value
  end
  return one_of { 12, 1.5, true, {}, "" }
end

local function position()
  return one_of { nil, one_of(numbers), random(-8, 8), random(-8, 8) }
end

local replacements = {
  "%1", "%0", "<%1>", "%2", "%%", "%", "%x", "", "x%0y%1z", "%9", 7, 1.5,
  function(...) return ... end,
  function() return nil end,
  function(a) return a and #tostring(a) > 1 and false or "q" end,
  function() return {} end,
  function() error("mine") end,
  { a = "1", b = true, ab = false, x = 3 },
  {}, true,
}
replacements[#replacements + 1] = stock.base.setmetatable({},
  { __index = function(_, key) return "<" .. tostring(key) .. ">" end })

-- ---- Comparing ---------------------------------------------------------------

local function show(value)
  if type(value) == "string" then
    -- Which name a function has depends on how it is found; strict_test.cc looks.
    return (stock.string.gsub(format("%q", value),
                              "(bad argument #%d+ to) '[^']*'", "%1"))
  elseif type(value) == "table" then
    return "table"
  elseif type(value) == "function" then
    return "function"
  end
  return format("%s %s", stock.math.type(value) or "", tostring(value))
end

local function show_all(...)
  local pieces = {}
  for i = 1, select("#", ...) do
    pieces[i] = show((select(i, ...)))
  end
  return concat(pieces, ", ")
end

local differences, raised, count = {}, 0, 0

-- Call a function of each; the same name in the same line, for the errors' sake.
local function compare(library, name, ...)
  count = count + 1
  local results = {}
  for i, from in stock.base.ipairs { stock, strict } do
    local call = from[library][name]
    results[i] = show_all(pcall(call, ...))
  end
  if results[1]:find("^ false") then
    raised = raised + 1
  end
  if results[1] ~= results[2] and #differences < 10 then
    differences[#differences + 1] =
      format("%s(%s)\n  Lua's: %s\n  strict: %s", name, show_all(...),
             results[1], results[2])
  end
end

local function gather(gmatch, ...)
  local all = {}
  for a, b, c in gmatch(...) do
    all[#all + 1] = show_all(a, b, c)
    if #all > 50 then
      break
    end
  end
  return concat(all, "; ")
end

-- ---- Texts -------------------------------------------------------------------

local function texts()
  local subject, wanted = odd(text(12)), odd(pattern())
  local kind = random(6)
  if kind == 1 then
    compare("string", "find", subject, wanted, position(),
            one_of { nil, true, false })
  elseif kind == 2 then
    compare("string", "match", subject, wanted, position())
  elseif kind == 3 then
    local start = position()
    count = count + 1
    local good, mine = pcall(gather, strict.string.gmatch, subject, wanted,
                             start)
    local same, theirs = pcall(gather, stock.string.gmatch, subject, wanted,
                               start)
    if good ~= same or mine ~= theirs then
      differences[#differences + 1] =
        format("gmatch(%s)\n  Lua's: %s\n  strict: %s",
               show_all(subject, wanted, start), theirs, mine)
    end
  elseif kind == 4 or kind == 5 then
    compare("string", "gsub", subject, wanted, one_of(replacements),
            one_of { nil, nil, nil, one_of(numbers) })
  else
    local times = one_of { 0, 1, 2, 3, -1, 7, "2", 2.5, math.maxinteger,
                           math.mininteger, 1 << 31, (1 << 31) - 1 + (1 << 31) }
    if #tostring(subject) == 0 then
      times = 4 -- Lua's own counts to any number
    end
    compare("string", "rep", subject, times, one_of { nil, "", ",", "ab", 1 })
  end
end

-- Items whose number decides whether a pattern is too complex.
local function complex()
  -- Each matches at once, or not at all: else it takes for ever.
  local unit = one_of { "a?x", "a*x", "a+x", "a-x", "(a)x", "()ax", "b?", "b*",
                        "b-", "%f[a]ax", "[^b]?x" }
  local wanted = unit:rep(one_of { 30, 31, 32, 33, 98, 99, 100, 101, 198, 199,
                                   200, 201, 202 }) .. one_of { "", "$" }
  local subject = ("ax"):rep(one_of { 0, 30, 100, 198, 199, 200, 201, 250 })
  compare("string", one_of { "find", "match" }, subject,
          one_of { "", "^" } .. wanted)
end

-- ---- Lists -------------------------------------------------------------------

local function elements(most)
  local list = {}
  for i = 1, random(0, most) do
    list[i] = random(5) == 1 and one_of { "x", 1.5, -3, "y" } or random(20)
  end
  return list
end

-- A list that tells what was done with it, and what became of it.
local function observed(list)
  local log, behind = {}, {}
  for key, value in stock.base.next, list do
    behind[key] = value
  end
  return stock.base.setmetatable({}, {
    __index = function(_, key)
      log[#log + 1] = "get " .. tostring(key)
      return behind[key]
    end,
    __newindex = function(_, key, value)
      log[#log + 1] = "set " .. tostring(key) .. " " .. tostring(value)
      behind[key] = value
    end,
    __len = function()
      log[#log + 1] = "len"
      return #list
    end,
  }), log
end

local function spelled(list)
  local keys = {}
  for key, value in stock.base.next, list do
    keys[#keys + 1] = show(key) .. "=" .. show(value)
  end
  stock.table.sort(keys)
  return concat(keys, " ")
end

-- Both do the same to equal lists, in the same order.
local function both(name, list, ...)
  count = count + 1
  local results = {}
  for i, from in stock.base.ipairs { stock, strict } do
    local copy, log = {}, {}
    for key, value in stock.base.next, list do
      copy[key] = value
    end
    local handed = copy
    if #list % 2 == 0 then
      handed, log = observed(copy)
    end
    local call = from.table[name]
    local said = show_all(pcall(call, handed, ...))
    results[i] = said .. "\n  " .. spelled(copy) .. "\n  " .. concat(log, ", ")
  end
  if results[1] ~= results[2] and #differences < 10 then
    differences[#differences + 1] =
      format("%s(%s; %s)\n  Lua's: %s\n  strict: %s", name, spelled(list),
             show_all(...), results[1], results[2])
  end
end

local function with(metatable)
  return function()
    return stock.base.setmetatable({}, metatable)
  end
end

local function just(value)
  return function()
    return value
  end
end

local proxies = {
  with { __len = function() return 3 end },
  with { __len = function() return -3 end },
  with { __len = function() return "4" end },
  with { __len = function() return {} end },
  with { __index = function(_, i) return i end, __len = function() return 5 end },
  with {}, just "text", just(5), just(true), just(nil),
}

-- What is no list, or a strange one.
local function strange(name, make, ...)
  count = count + 1
  local results = {}
  for i, from in stock.base.ipairs { stock, strict } do
    local call = from.table[name]
    results[i] = show_all(pcall(call, make(), ...))
  end
  if results[1] ~= results[2] and #differences < 10 then
    differences[#differences + 1] =
      format("%s(%s)\n  Lua's: %s\n  strict: %s", name, show_all(make(), ...),
             results[1], results[2])
  end
end

local function place()
  return one_of { nil, random(-2, 12), random(1, 6), random(1, 6),
                  one_of(numbers) }
end

local function near()
  return one_of { random(-3, 9), random(1, 5), random(1, 5), "3", 2.5,
                  math.maxinteger - random(0, 3), math.mininteger, nil }
end

-- Far apart, it would take for ever.
local function apart(first, last)
  first, last = tonumber(first) or 0, tonumber(last) or 0
  return last > first and (last / 2 - first / 2) > 100
end

local function lists()
  local list = odd(elements(9))
  if type(list) ~= "table" or random(40) == 1 then
    local name = one_of { "insert", "remove", "concat", "unpack", "sort" }
    strange(name, one_of(proxies), one_of { nil, 1, 2, "x" })
    return
  end
  local kind = random(7)
  if kind == 1 then
    local at = place()
    if at == nil or random(5) == 1 then
      both("insert", list, one_of { 1, "new", nil })
    else
      both("insert", list, at, one_of { 1, "new" })
    end
  elseif kind == 2 then
    both("remove", list, place())
  elseif kind == 3 then
    local first, last, to = near(), near(), near()
    if not apart(first, last) then
      if random(3) == 1 then
        compare("table", "move", list, first, last, to, {})
      else
        both("move", list, first, last, to)
      end
    end
  elseif kind == 4 then
    local first, last = place(), place()
    if not apart(first or 1, last or #list) then
      both("concat", list, one_of { nil, "", ", ", 7, true }, first, last)
    end
  elseif kind == 5 then
    local first, last = place(), place()
    if not apart(first or 1, last or #list) or random(10) == 1 then
      both("unpack", list, first, last)
    end
  else
    both("insert", list, nil, nil, nil)
  end
end

-- ---- Sorting -----------------------------------------------------------------
-- Equal elements may come in any order, so that there are none.

local function shuffled(most)
  local list = {}
  for i = 1, random(0, most) do
    list[i] = i
  end
  for i = #list, 2, -1 do
    local j = random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

local comparators = {
  false,
  function(a, b) return a < b end,
  function(a, b) return a > b end,
  function(a, b) return a % 7 < b % 7 or a % 7 == b % 7 and a < b end,
}

local function sorting()
  local most = random(50) == 1 and 2000 or 20
  local list, by = shuffled(most), one_of(comparators) or nil
  local copy = {}
  for i = 1, #list do
    copy[i] = list[i]
  end
  count = count + 1
  stock.table.sort(list, by)
  strict.table.sort(copy, by)
  if concat(list, " ") ~= concat(copy, " ") then
    differences[#differences + 1] = "sort: " .. concat(copy, " ")
  end
end

-- ---- The play ----------------------------------------------------------------

while count < cases and #differences < 10 do
  local kind = random(400)
  if kind <= 300 then
    texts()
  elseif kind <= 390 then
    lists()
  elseif kind == 391 then
    complex()
  else
    sorting()
  end
end

return count, raised, concat(differences, "\n")
