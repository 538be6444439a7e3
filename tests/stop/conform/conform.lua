-- What the scripts of this folder check with: they say how Lua 5.4 behaves, whoever
-- runs it.  What they say goes to `say`, if the runner has one, so that two runs can
-- be compared.
local conform = { count = 0 }

local put = say or print

function conform.say(...)
  local texts = table.pack(...)
  for i = 1, texts.n do
    texts[i] = tostring(texts[i])
  end
  put(table.concat(texts, " "))
end

local function show(value)
  if type(value) == "string" then
    return ("%q"):format(value)
  end
  return tostring(value)
end

local function same(a, b)
  return math.type(a) == math.type(b) and (a == b or (a ~= a and b ~= b))
end

function conform.equal(got, wanted)
  conform.count = conform.count + 1
  if not same(got, wanted) then
    error(("got %s, wanted %s"):format(show(got), show(wanted)), 2)
  end
end

function conform.truthy(value)
  conform.count = conform.count + 1
  if not value then
    error("got " .. show(value), 2)
  end
  return value
end

-- conform.row(table.pack(f()), 1, nil, 3)
function conform.row(got, ...)
  local wanted = table.pack(...)
  conform.count = conform.count + 1
  local good = got.n == wanted.n
  for i = 1, wanted.n do
    good = good and same(got[i], wanted[i])
  end
  if not good then
    local texts = {}
    for i = 1, got.n do
      texts[i] = show(got[i])
    end
    error("got the row " .. table.concat(texts, ", "), 2)
  end
end

-- The error contains this text; gives the error.
function conform.fails(text, f, ...)
  conform.count = conform.count + 1
  local good, why = pcall(f, ...)
  if good or not tostring(why):find(text, 1, true) then
    error(good and "nothing was raised" or
          ("raised %s, wanted %s"):format(show(tostring(why)), show(text)), 2)
  end
  return why
end

-- The chunk does not parse, or fails, with this text.
function conform.bad(text, source, ...)
  local chunk, why = load(source, "=chunk")
  conform.count = conform.count + 1
  if not chunk then
    if not why:find(text, 1, true) then
      error(("said %s, wanted %s"):format(show(why), show(text)), 2)
    end
    return why
  end
  local good
  good, why = pcall(chunk, ...)
  if good or not tostring(why):find(text, 1, true) then
    error(good and "nothing was raised" or
          ("raised %s, wanted %s"):format(show(tostring(why)), show(text)), 2)
  end
  return why
end

function conform.done(name)
  conform.say(name, conform.count, "checks")
end

return conform
