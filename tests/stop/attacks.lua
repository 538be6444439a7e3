-- Scripts that never end by themselves, or try to outlive being stopped.  They are
-- read by attack.c, for the tests of this folder and for ./dev bench stop; each is
-- a chunk of its own, behind a line
--
--   --- name: cooperative prompt strict
--
-- which says what becomes of it when a cancel of that level comes:
--
--   stopped   the run ends, as cancelled (the cooperative level: a wait ends)
--   runs      it goes on; the state's own level stops it
--   ends      it ends by an error of its own, cancelled or not
--   refused   it ends by an error before it has begun
--   lost      nothing stops it; a worker's thread is given up
--
-- `attack` is a table of C functions: attack.begin() says that the script is where it
-- wants to be.  `loop` is a function that never returns.

-- ---- Loops ------------------------------------------------------------------

--- plain_loop: runs stopped stopped
attack.begin()
while true do end

--- goto_loop: runs stopped stopped
attack.begin()
::again::
goto again

--- repeat_loop: runs stopped stopped
local i = 0
attack.begin()
repeat i = i + 1 until false

--- integer_for: runs stopped stopped
attack.begin()
for i = math.mininteger, math.maxinteger do end

--- float_for: runs stopped stopped
attack.begin()
for x = 0.0, math.huge do end

--- for_that_does_not_advance: runs stopped stopped
attack.begin()
for x = 1e300, 2e300, 1 do end

--- call_loop: runs stopped stopped
local function nothing(...) return select("#", ...) end
attack.begin()
while true do nothing(1, 2, nil) end

--- tail_calls: runs stopped stopped
local odd
local function even(n) return odd(n + 1) end
function odd(n) return even(n + 1) end
attack.begin()
even(0)

--- infinite_iterator: runs stopped stopped
attack.begin()
for _ in function() return 1 end do end

--- next_on_a_growing_table: runs stopped stopped
local t = { 1 }
attack.begin()
while true do for key in pairs(t) do t[key] = t[key] end end

--- text_that_loops: runs stopped stopped
attack.begin()
assert(load("while true do end"))()

-- ---- Coroutines -------------------------------------------------------------

--- coroutine: runs stopped stopped
coroutine.wrap(function() attack.begin() loop() end)()

--- coroutines_20_deep: runs stopped stopped
local function deeper(n)
  if n == 0 then attack.begin() loop() end
  local co = coroutine.create(deeper)
  local good, why = coroutine.resume(co, n - 1)
  loop()
end
deeper(20)

--- wrap_50_deep: runs stopped stopped
local function deeper(n)
  if n == 0 then attack.begin() loop() end
  coroutine.wrap(deeper)(n - 1)
end
deeper(50)

--- wrap_and_pcall_30_deep: runs stopped stopped
local function deeper(n)
  if n == 0 then attack.begin() loop() end
  pcall(coroutine.wrap(deeper), n - 1)
  loop()
end
deeper(30)

--- resumed_again_and_again: runs stopped stopped
local co = coroutine.create(function()
  while true do coroutine.yield() end
end)
attack.begin()
while true do coroutine.resume(co) end

--- a_new_coroutine_after_each: runs stopped stopped
attack.begin()
while true do
  coroutine.resume(coroutine.create(function() loop() end))
end

--- pcall_in_a_coroutine: runs stopped stopped
coroutine.wrap(function()
  attack.begin()
  while true do pcall(loop) end
end)()

--- generator: runs stopped stopped
attack.begin()
for _ in coroutine.wrap(function()
  while true do coroutine.yield(1) end
end) do end

--- yields_from_the_main_chunk: runs stopped stopped
attack.begin()
while true do pcall(coroutine.yield, 1) end

--- coroutine_close_with_looping_close: runs stopped stopped
local co = coroutine.create(function()
  local guard <close> = setmetatable({}, { __close = loop })
  coroutine.yield()
end)
coroutine.resume(co)
attack.begin()
coroutine.close(co)

--- wrap_that_dies_with_looping_close: runs stopped stopped
local dies = coroutine.wrap(function()
  local guard <close> = setmetatable({}, { __close = loop })
  attack.begin()
  error "no more tea"
end)
dies()

--- close_50_deep: runs stopped stopped
local function nest(n)
  local co = coroutine.create(function()
    local guard <close> = setmetatable({}, { __close = function()
      if n == 0 then attack.begin() loop() end
      nest(n - 1)
      loop()
    end })
    coroutine.yield()
  end)
  coroutine.resume(co)
  coroutine.close(co)
end
nest(50)

--- resumed_by_foreign_c: runs stopped stopped
while true do
  attack.resume(function() attack.begin() loop() end)
end

--- wrap_below_foreign_c: runs stopped stopped
while true do
  attack.resume(function()
    coroutine.wrap(function() attack.begin() loop() end)()
  end)
end

--- foreign_c_below_wrap: runs stopped stopped
coroutine.wrap(function()
  while true do
    attack.resume(function() attack.begin() loop() end)
  end
end)()

--- foreign_c_resumes_what_is_there: runs stopped stopped
while true do
  attack.resume(coroutine.create(function()
    attack.begin()
    while true do pcall(loop) end
  end))
end

--- foreign_c_below_foreign_c: runs stopped stopped
local function deeper(n)
  if n == 0 then attack.begin() loop() end
  while true do attack.resume(function() deeper(n - 1) end) end
end
deeper(20)

--- foreign_iterator: runs stopped stopped
for _ in attack.iterate(function()
  coroutine.yield(1)
  attack.begin()
  loop()
end) do end

--- foreign_iterator_in_a_coroutine: runs stopped stopped
coroutine.wrap(function()
  for _ in attack.iterate(function()
    coroutine.yield(1)
    attack.begin()
    loop()
  end) do end
end)()

--- foreign_c_among_100000_coroutines: runs stopped stopped
local others = {}
for i = 1, 100000 do others[i] = coroutine.create(loop) end
while true do
  attack.resume(function() attack.begin() loop() end)
end

--- foreign_c_while_coroutines_come_and_go: runs stopped stopped
local function nothing() end
while true do
  attack.resume(function()
    attack.begin()
    while true do
      coroutine.wrap(nothing)()
      attack.resume(nothing)
    end
  end)
end

-- ---- Errors that are caught ---------------------------------------------------

--- pcall_of_error: runs stopped stopped
attack.begin()
while true do pcall(error) end

--- pcall_of_a_loop: runs stopped stopped
attack.begin()
while true do pcall(loop) end

--- catches_cancelled_and_goes_on: runs stopped stopped
attack.begin()
while true do
  local good, why = pcall(loop)
  caught = why
  if tostring(why):find "cancelled" then loop() end
end

--- nested_pcall_recursion: runs stopped stopped
local function deeper() pcall(deeper) deeper() end
attack.begin()
while true do pcall(deeper) end

--- pcall_of_pcall: runs stopped stopped
attack.begin()
while true do pcall(pcall, pcall, pcall, pcall, pcall, loop) end

--- looping_handler: runs stopped stopped
attack.begin()
xpcall(error, loop)

--- loop_with_looping_handler: runs stopped stopped
attack.begin()
while true do xpcall(loop, loop) end

--- error_in_the_handler: runs stopped stopped
attack.begin()
while true do
  xpcall(error, function(why) error(why) end)
end

--- handler_that_makes_coroutines: runs stopped stopped
attack.begin()
xpcall(error, function()
  while true do pcall(coroutine.wrap(function() loop() end)) end
end)

--- looping_close: runs stopped stopped
do
  local guard <close> = setmetatable({}, { __close = loop })
  attack.begin()
end

--- looping_close_by_an_error: runs stopped stopped
pcall(function()
  local guard <close> = setmetatable({}, { __close = loop })
  attack.begin()
  error "no more tea"
end)
loop()

--- close_of_a_for: runs stopped stopped
attack.begin()
for _ in function() end, nil, nil, setmetatable({}, { __close = loop }) do end

--- infinite_recursion: runs stopped stopped
local function deeper() return 1 + deeper() end
attack.begin()
while true do pcall(deeper) end

--- traceback_of_infinite_recursion: runs stopped refused
local traceback = debug.traceback
local function deeper() return 1 + deeper() end
attack.begin()
while true do xpcall(deeper, traceback) end

--- assert_with_a_hostile_message: runs stopped stopped
local hostile = setmetatable({}, { __tostring = loop })
attack.begin()
while true do pcall(assert, false, hostile) end

-- ---- Metamethods --------------------------------------------------------------

--- index: runs stopped stopped
attack.begin()
return setmetatable({}, { __index = loop }).x

--- newindex: runs stopped stopped
attack.begin()
setmetatable({}, { __newindex = loop }).x = 1

--- add: runs stopped stopped
attack.begin()
return setmetatable({}, { __add = loop }) + 1

--- concat: runs stopped stopped
attack.begin()
return "a" .. setmetatable({}, { __concat = loop }) .. "b"

--- equal: runs stopped stopped
local meta = { __eq = loop }
attack.begin()
return setmetatable({}, meta) == setmetatable({}, meta)

--- less_than: runs stopped stopped
local meta = { __lt = loop }
attack.begin()
return setmetatable({}, meta) < setmetatable({}, meta)

--- call: runs stopped stopped
attack.begin()
setmetatable({}, { __call = loop })()

--- length: runs stopped stopped
attack.begin()
return #setmetatable({}, { __len = loop })

--- pairs: runs stopped stopped
attack.begin()
for _ in pairs(setmetatable({}, { __pairs = loop })) do end

--- hostile_globals: runs stopped stopped
setmetatable(_G, { __index = function() loop() end })
attack.begin()
return unknown

--- hostile_string_methods: runs stopped stopped
getmetatable("").__index = function() loop() end
attack.begin()
return ("x").unknown

--- printed_with_hostile_tostring: runs stopped stopped
attack.begin()
print(setmetatable({}, { __tostring = loop }))

--- error_with_hostile_tostring: ends ends ends
error(setmetatable({}, { __tostring = loop, __name = "hostile" }))

--- functions_replaced: runs stopped stopped
for _, name in ipairs { "error", "pcall", "tostring", "select", "type" } do
  _G[name] = loop
end
coroutine.resume, coroutine.wrap, string.format = loop, loop, loop
attack.begin()
pcall()

-- ---- Within functions of the libraries -----------------------------------------

--- gsub_callback: runs stopped stopped
attack.begin()
string.gsub("x", ".", loop)

--- gsub_callback_with_looping_handler: runs stopped stopped
attack.begin()
string.gsub("x", ".", function() xpcall(loop, loop) end)

--- gsub_table_with_index: runs stopped stopped
attack.begin()
string.gsub("x", ".", setmetatable({}, { __index = loop }))

--- sort_comparator: runs stopped stopped
attack.begin()
table.sort({ 1, 2, 3 }, loop)

--- sort_comparator_with_pcall: runs stopped stopped
attack.begin()
table.sort({ 1, 2, 3 }, function()
  while true do pcall(loop) end
end)

--- sort_comparator_in_wrap: runs stopped stopped
attack.begin()
table.sort({ 1, 2, 3 }, coroutine.wrap(function() loop() end))

--- wrap_that_dies_in_sort_with_looping_close: runs stopped stopped
attack.begin()
table.sort({ 1, 2, 3 }, coroutine.wrap(function()
  local guard <close> = setmetatable({}, { __close = loop })
  error "no more tea"
end))

--- concat_with_index: runs stopped stopped
attack.begin()
table.concat(setmetatable({}, { __index = loop, __len = function() return 9 end }))

--- concat_without_end: runs stopped stopped
attack.begin()
table.concat(setmetatable({}, {
  __index = function() return "" end,
  __len = function() return 1 << 40 end,
}))

--- unpack_with_index: runs stopped stopped
attack.begin()
table.unpack(setmetatable({}, { __index = loop }), 1, 3)

--- unpack_of_very_many: runs stopped stopped
attack.begin()
while true do pcall(table.unpack, {}, 1, 500000) end

--- require_of_a_looping_loader: runs stopped stopped
package.preload.endless = loop
attack.begin()
require "endless"

--- searcher: runs stopped stopped
table.insert(package.searchers, 1, loop)
attack.begin()
require "unknown"

--- load_reader: runs stopped stopped
attack.begin()
load(loop)

--- load_reader_without_end: runs stopped stopped
attack.begin()
while true do
  local n = 0
  load(function() n = n + 1 return n < 5000 and "x = 1 " or nil end)
end

--- load_recursion: runs stopped stopped
local text = [[
  local load, text = ...
  pcall(load(text), load, text)
  return load(text)(load, text)
]]
attack.begin()
while true do pcall(load(text), load, text) end

--- utf8_codes: runs stopped stopped
local text = ("\u{20AC}x"):rep(1000)
attack.begin()
while true do for _ in utf8.codes(text) do end end

--- gmatch: runs stopped stopped
local text = ("word "):rep(1000)
attack.begin()
while true do for _ in text:gmatch "%a+" do end end

--- format: runs stopped stopped
local format = ("%99.99f "):rep(50)
local numbers = {}
for i = 1, 50 do numbers[i] = 1e300 end
attack.begin()
while true do format:format(table.unpack(numbers)) end

--- rep_of_a_million: runs stopped stopped
attack.begin()
while true do ("x"):rep(1000000) end

--- rep_of_hundred_million: runs stopped stopped
attack.begin()
while true do ("x"):rep(100000000) end

--- rep_beyond_the_memory: runs stopped stopped
attack.begin()
while true do pcall(string.rep, "x", 10000000000) end

--- doubling: runs stopped stopped
attack.begin()
while true do
  pcall(function()
    local text = "x"
    while true do text = text .. text end
  end)
end

--- table_concat_of_much: runs stopped stopped
local parts = {}
for i = 1, 100000 do parts[i] = "part" end
attack.begin()
while true do table.concat(parts, ", ") end

--- sort_of_much: runs stopped stopped
local numbers = {}
for i = 1, 20000 do numbers[i] = i * 7919 % 20011 end
attack.begin()
while true do table.sort(numbers) end

--- dump_and_load: runs stopped stopped
attack.begin()
while true do pcall(load, pcall(string.dump, loop)) end

-- ---- Memory and finalizers ------------------------------------------------------

--- tables: runs stopped stopped
local kept = {}
attack.begin()
while true do kept[#kept % 1000 + 1] = { {}, {} } end

--- ephemerons: runs stopped stopped
attack.begin()
while true do
  local weak = setmetatable({}, { __mode = "k" })
  for i = 1, 1000 do local key = {} weak[key] = { key } end
end

--- until_there_is_no_memory: runs stopped stopped
attack.begin()
while true do
  pcall(function()
    local all = {}
    while true do all[#all + 1] = { all } end
  end)
end

--- full_collections: runs stopped stopped
local kept = {}
for i = 1, 20000 do kept[i] = { i } end
attack.begin()
while true do collectgarbage() end

--- finalizers_that_revive: runs stopped refused
local function again() setmetatable({}, { __gc = again }) end
again()
attack.begin()
while true do collectgarbage "step" end

--- finalizers_that_fail: runs stopped refused
setmetatable({}, { __gc = error })
attack.begin()
while true do setmetatable({}, { __gc = error }) end

--- looping_finalizer: lost lost refused
setmetatable({}, { __gc = function() attack.begin() loop() end })
collectgarbage()

--- finalizer_changed_later: lost lost refused
local meta = { __gc = function() end }
setmetatable({}, meta)
meta.__gc = function() attack.begin() loop() end
collectgarbage()

--- finalizer_added_later: runs stopped stopped
local meta = {}
for i = 1, 10 do setmetatable({}, meta) end
meta.__gc = loop
collectgarbage()
attack.begin()
loop()

-- ---- Hooks ----------------------------------------------------------------------

--- hook_taken_away: runs stopped refused
debug.sethook()
attack.begin()
while true do debug.sethook() end

--- own_line_hook: runs stopped refused
debug.sethook(function() end, "l")
attack.begin()
while true do
end

--- own_count_hook_that_fails: runs stopped refused
debug.sethook(error, "", 1000)
attack.begin()
while true do pcall(loop) end

--- hook_in_each_coroutine: runs stopped stopped
attack.begin()
while true do
  pcall(coroutine.wrap(function()
    debug.sethook(function() end, "crl", 1)
    loop()
  end))
end

--- looping_hook: lost lost refused
debug.sethook(function() attack.begin() loop() end, "l")
while true do
end

-- ---- One call of C --------------------------------------------------------------

--- find_that_backtracks: lost lost stopped
local text = ("a"):rep(200000)
attack.begin()
text:find(".-.-.-.-b")

--- match_that_backtracks: lost lost stopped
local text = ("a"):rep(200000)
attack.begin()
text:match(".-.-.-.-b")

--- gmatch_that_backtracks: lost lost stopped
local text = ("a"):rep(200000)
attack.begin()
for _ in text:gmatch ".-.-.-.-b" do end

--- gsub_that_backtracks: lost lost stopped
local text = ("a"):rep(200000)
attack.begin()
text:gsub(".-.-.-.-b", "")

--- optional_items_that_backtrack: lost lost stopped
local text, wanted = ("a"):rep(40), ("a?"):rep(40) .. ("a"):rep(40) .. "b"
attack.begin()
text:find(wanted)

--- balanced_that_backtracks: lost lost stopped
local text = ("("):rep(4000000)
attack.begin()
text:find "%b()"

--- plain_find_of_much: lost lost stopped
local text, wanted = ("a"):rep(8000000), ("a"):rep(4000000) .. "b"
attack.begin()
text:find(wanted, 1, true)

--- table_move: lost lost stopped
attack.begin()
table.move({}, 1, 1 << 52, 2)

--- table_insert: lost lost stopped
attack.begin()
table.insert(setmetatable({}, { __len = function() return 1 << 52 end }), 1, 0)

--- table_remove: lost lost stopped
attack.begin()
table.remove(setmetatable({}, { __len = function() return 1 << 52 end }), 1)

--- c_that_never_returns: lost lost lost
attack.begin()
attack.stuck()

--- c_that_catches_all: lost lost lost
attack.begin()
attack.protect(loop)

--- read_of_a_pipe: lost lost lost
local pipe = assert(io.open(attack.silence))
attack.begin()
pipe:read()

--- command_that_never_ends: lost lost lost
attack.begin()
os.execute("exec cat < " .. attack.silence)

-- ---- Waits of the bridge ----------------------------------------------------------

--- queue_pop: stopped stopped stopped
local queue = require "bridge".queue()
attack.begin()
queue:pop()

--- queue_pop_again_and_again: runs stopped stopped
local queue = require "bridge".queue()
attack.begin()
while true do queue:pop() end

--- queue_push_into_a_full_one: stopped stopped stopped
local queue = require "bridge".queue { items = 1 }
queue:push(1)
attack.begin()
queue:push(2)

--- queue_pop_in_a_coroutine: runs stopped stopped
local queue = require "bridge".queue()
coroutine.wrap(function()
  attack.begin()
  while true do pcall(queue.pop, queue) end
end)()

--- waker_wait: stopped stopped stopped
local waker = require "bridge".waker()
attack.begin()
waker:wait()

--- call_without_an_answer: stopped stopped stopped
local worker = require "bridge".worker { "", drive = "host" }
attack.begin()
worker:call "nobody"

--- calls_without_an_answer: runs stopped stopped
local worker = require "bridge".worker { "", drive = "host" }
attack.begin()
while true do pcall(worker.call, worker, "nobody") end

--- short_waits: runs stopped stopped
local queue = require "bridge".queue()
attack.begin()
while true do queue:pop(0.001) end
