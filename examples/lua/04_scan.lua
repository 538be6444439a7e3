-- Scan folders of text with Lua workers on all cores: the twin of
-- ../python/scan.py, in plain Lua.
--
--     lua5.4 04_scan.lua [FOLDER...]
--
-- Every worker runs ../scan/scan.lua.  Here nothing is called and waited for:
-- work is sent, and what comes back stands in the queue of results.

local bridge = require "bridge"

local BATCH = 32     -- files that are sent at once
local IN_FLIGHT = 2  -- batches that a worker has: one waits behind the other
local TOP = 12

local here = arg[0]:match("^(.*/)") or "./"
local folders = #arg > 0 and arg or { "/usr/include", "/usr/share/doc" }

-- ---- Finding ----------------------------------------------------------------

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Three lists, divided by empty entries: files, no files, closed folders.
local FIND = [[
{
  find -H %s -type f -print0; printf '\0'
  find -H %s ! -type f ! -type d -print0; printf '\0'
  find -H %s -type d -exec sh -c '
    for folder do
      test -r "$folder" && test -x "$folder" || printf "%%s\0" "$folder"
    done' sh {} +
  printf '\0'
} 2>/dev/null]]

local function find()
  local names = {}
  for i, folder in ipairs(folders) do
    if folder:find("^-") then
      folder = "./" .. folder
    end
    names[i] = quoted(folder)
    if not os.execute("test -d " .. names[i]) then
      io.stderr:write(folder, " is not a folder\n")
      os.exit(2)
    end
  end
  local all = table.concat(names, " ")
  local pipe <close> = assert(io.popen(FIND:format(all, all, all)))
  local lists, list = { {}, {}, {} }, 1
  for name in pipe:read("a"):gmatch("([^\0]*)\0") do
    if name == "" then
      list = list + 1
    else
      table.insert(lists[list], name)
    end
  end
  return table.unpack(lists)
end

-- Lua has no clock but that of the day, in seconds.
local function now()
  local file <close> = io.open("/proc/uptime")
  return file and file:read("n") or os.time()
end

-- ---- Scanning ---------------------------------------------------------------

local paths, others, closed = find()
if #paths == 0 then
  io.stderr:write("there is no file to scan\n")
  os.exit(1)
end
local begun = now()

-- With a waker that has a descriptor any event loop could watch the queue, by
-- results:fileno(); here pop() waits for it.
local results = assert(bridge.queue { items = 4096, waker = "default" })

local workers, totals, in_hand = {}, {}, {}
local _ <close> = setmetatable({}, { __close = function()
  for _, worker in ipairs(workers) do
    worker:cancel()
  end
  for _, worker in ipairs(workers) do
    worker:close(0.2)
  end
end })

for number = 1, bridge.cores() do
  workers[number] = assert(bridge.worker({
    file = here .. "../scan/scan.lua", name = "scanner-" .. number,
  }, number, results))
  totals[number] = { files = 0, empty = 0, lines = 0, words = 0, bytes = 0 }
  in_hand[number] = 0
end

local given, done, told = 0, 0, 0
local binary, failed, counts = 0, {}, {}

-- Give a worker more, unless it has enough.
local function feed(number)
  while given < #paths and in_hand[number] <= BATCH * (IN_FLIGHT - 1) do
    local last = math.min(given + BATCH, #paths)
    local batch = table.move(paths, given + 1, last, 1, {})
    assert(workers[number]:send("scan", given + 1, batch))
    in_hand[number] = in_hand[number] + #batch
    given = last
  end
end

local take = {}

function take.text(number, _, lines, words, bytes)
  local total = totals[number]
  total.files = total.files + 1
  total.empty = total.empty + (bytes == 0 and 1 or 0)
  total.lines = total.lines + lines
  total.words = total.words + words
  total.bytes = total.bytes + bytes
end

function take.binary()
  binary = binary + 1
end

function take.failed(_, file, why)
  table.insert(failed, paths[file] .. ": " .. why)
end

function take.names(_, portion)
  for name, count in pairs(portion) do
    counts[name] = (counts[name] or 0) + count
  end
end

function take.told()
  told = told + 1
end

local function take_result(kind, number, ...)
  take[kind](number, ...)
  if kind ~= "names" and kind ~= "told" then
    done = done + 1
    in_hand[number] = in_hand[number] - 1
    feed(number)
  end
end

-- One result; while none comes, see whether the workers live.
local function take_next(kind, ...)
  if kind then
    take_result(kind, ...)
  elseif select(2, ...) == "ETIMEDOUT" then
    for _, worker in ipairs(workers) do
      assert(worker:alive(), "a worker has ended")
    end
  else
    error((...))
  end
end

for number in ipairs(workers) do
  feed(number)
end
while done < #paths do
  take_next(results:pop(0.2))
end
for _, worker in ipairs(workers) do
  assert(worker:send("names"))
end
while told < #workers do
  take_next(results:pop(0.2))
end
local seconds = math.max(now() - begun, 0.01)

-- ---- Telling ----------------------------------------------------------------

local function row(title, total)
  print(("%-10s %9d %12d %12d %9.2f"):format(
    title, total.files, total.lines, total.words, total.bytes / 1e6))
end

print(("\n%-10s %9s %12s %12s %9s"):format("", "files", "lines", "words", "MB"))
local all = { files = 0, empty = 0, lines = 0, words = 0, bytes = 0 }
for number, total in ipairs(totals) do
  row("worker " .. number, total)
  for key, value in pairs(total) do
    all[key] = all[key] + value
  end
end
row("all", all)

local names = {}
for name in pairs(counts) do
  table.insert(names, name)
end
table.sort(names, function(a, b)
  if counts[a] ~= counts[b] then
    return counts[a] > counts[b]
  end
  return a < b
end)
local function plural(count, noun)
  return ("%d %s%s"):format(count, noun, count == 1 and "" or "s")
end

print("\n" .. plural(#names, "different identifier")
  .. (#names > 0 and "; the most frequent:" or ""))
for i = 1, math.min(TOP, #names) do
  print(("  %-24s %9d"):format(names[i], counts[names[i]]))
end

if all.bytes < 1e6 or seconds < 0.2 then
  print("\ntoo little text to time")
else
  print(("\n%s %.2f s %.1f MB/s"):format(
    plural(#workers, "worker"), seconds, all.bytes / 1e6 / seconds))
end
print(("binary: %d\nempty: %d"):format(binary, all.empty))
for _, line in ipairs(failed) do
  print("  " .. line)
end
local found = #paths + #others + #closed
local skipped, lost = #others + binary, #closed + #failed
assert(found == all.files + skipped + lost, "files were lost")
print(("found %d = %d scanned + %d skipped + %d failed"):format(
  found, all.files, skipped, lost))
