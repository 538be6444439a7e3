-- What every worker of the main job runs, whichever language its host speaks:
-- see python/scan.py, c/scan.c and lua/04_scan.lua.
--
-- The chunk is given the worker's number and the queue of results.  It serves
--
--   scan(first, paths)   scan files, of which the first one has number `first`
--   names()              tell which identifiers there were
--
-- and pushes, while it works:
--
--   "text",   worker, file, lines, words, bytes
--   "binary", worker, file
--   "failed", worker, file, why
--   "names",  worker, { [identifier] = how often, ... }    any number of them
--   "told",   worker, cpu       no more of them; the seconds of processor time
--                               that were used so far, or nil

local bridge = require "bridge"
local number, results = ...

local BLOCK = 64 * 1024  -- bytes that are read at once, however long a file is
local MAGIC = 8 * 1024   -- where a NUL says that a file is not text
local LONGEST = 64       -- longer runs of letters and digits do not count
local PORTION = 4096     -- identifiers in one message

local counts = {}        -- identifier -> how often

-- Letters are spelled out: what %a means depends on the locale of the host.
local function count_names(text)
  local byte = string.byte
  for name in text:gmatch("[A-Za-z0-9_]+") do
    if #name <= LONGEST and byte(name) > 57 then -- does not begin with a digit
      counts[name] = (counts[name] or 0) + 1
    end
  end
end

local function count_lines(text)
  local find, count, at = string.find, 0, 0
  while true do
    at = find(text, "\n", at + 1, true)
    if not at then
      return count
    end
    count = count + 1
  end
end

-- Words are what white space divides.  `before` is the byte before the text.
local function count_words(text, before)
  local _, count = text:gsub("[^ \t-\r]+", "")
  local goes_on = before:find("^[^ \t-\r]") and text:find("^[^ \t-\r]")
  return goes_on and count - 1 or count
end

-- Count a file from its first block on.
local function scan_text(file, block)
  local lines, words, bytes = 0, 0, 0
  local last, rest, why = "", "", nil
  while block do
    bytes = bytes + #block
    lines = lines + count_lines(block)
    words = words + count_words(block, last)
    last = block:sub(-1)

    -- An identifier that touches the end of the block may go on in the next.
    local text = rest .. block
    rest = text:sub(-LONGEST - 1):match("[A-Za-z0-9_]*$")
    if #rest > 0 and #rest <= LONGEST then
      text = text:sub(1, -#rest - 1)
    end
    count_names(text)

    if bridge.cancelled() then
      return "failed", "cancelled"
    end
    block, why = file:read(BLOCK)
  end
  if why then
    return "failed", why
  end
  count_names(rest)
  if bytes > 0 and last ~= "\n" then
    lines = lines + 1 -- the last one, which has no end
  end
  return "text", lines, words, bytes
end

local function scan_file(path)
  local file <close>, refused = io.open(path, "rb")
  if not file then
    return "failed", refused:sub(#path + 3) -- without "path: "
  end
  local block, why = file:read(BLOCK)
  if why then
    return "failed", why
  end
  local zero = block and block:find("\0", 1, true)
  if zero and zero <= MAGIC then
    return "binary"
  end
  return scan_text(file, block)
end

-- What is raised within a file (no memory, ...) is that file's failure.
local function report(index, ok, kind, ...)
  if ok then
    assert(results:push(kind, number, index, ...))
  else
    assert(results:push("failed", number, index, tostring(kind)))
  end
end

local function scan(first, paths)
  for i = 1, #paths do
    report(first + i - 1, pcall(scan_file, paths[i]))
  end
end

-- Linux keeps it for each thread, in nanoseconds; os.clock() is the process's.
local function processor_time()
  local file <close> = io.open("/proc/thread-self/schedstat")
  local used = file and file:read("n")
  return used and used / 1e9
end

local function names()
  local cpu = processor_time()
  local portion, size = {}, 0
  for name, count in pairs(counts) do
    portion[name], size = count, size + 1
    if size == PORTION then
      assert(results:push("names", number, portion))
      portion, size = {}, 0
    end
  end
  if size > 0 then
    assert(results:push("names", number, portion))
  end
  assert(results:push("told", number, cpu))
end

return bridge.serve { scan = scan, names = names }
