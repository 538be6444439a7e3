-- The logger, as a Lua host sees it.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

local records = bridge.queue()
check.equal(bridge.set_logger(records), true)

-- The host's own.
check.equal(bridge.log("warning", "one", 2, nil, true), true)
local record = records:pop(10)
check.equal(record.level, "warning")
check.equal(record.text, "one 2 nil true")
check.equal(record.worker, "")
check.equal(record.id, 0)
check.equal(record.suppressed, 0)
check.equal(math.type(record.time), "float")
check.equal(record.error, nil)
bridge.log.info()
check.equal(records:pop(10).text, "")

-- Levels.
check.equal(bridge.log.debug "not told", true)
check.equal(bridge.set_log_level "debug", true)
bridge.log.debug "told"
check.equal(records:pop(10).text, "told")
check.equal(bridge.set_log_level "info", true)

-- Misuse.
check.raises('bridge.log: one of "debug", "info", "warning", "error" expected',
             bridge.log, "loud", "x")
check.raises("bridge.set_log_level: one of", bridge.set_log_level, "loud")
check.raises("bridge.set_logger: a bridge.Queue expected, or nil",
             bridge.set_logger, print)
check.raises("option 'log': a bridge.Queue expected", bridge.worker,
             { "return 1", log = true })
check.raises("broken", bridge.log.info,
             setmetatable({}, { __tostring = function() error "broken" end }))

-- A worker's.
do
  local w <close> = bridge.worker({ [[
    local bridge = require "bridge"
    bridge.log.error("inside", ...)
    local function odd(queue)
      local shared, hidden, Point, Box = { 1 }, { 2 }, {}, {}
      function Point.__bridge_pack() return {}, 1 end
      bridge.register("log.point", Point)
      bridge.register("log.box", Box)
      local value = {
        shared, n = 1, f = function() return hidden end, queue = queue, print = print,
        point = setmetatable({}, Point), box = setmetatable({ shared }, Box),
        null = bridge.null,
      }
      value.itself, value.also = value, shared
      error(value)
    end
    bridge.serve { fail = function(t) error(t) end, odd = odd }
  ]], name = "talker" }, 7)
  record = records:pop(10)
  check.equal(record.text, "inside 7")
  check.equal(record.worker, "talker")
  check.equal(record.id, w.id)
  w:send("fail", { code = 5 })
  record = records:pop(10)
  check.equal(record.level, "error")
  check.equal(record.error.value, { code = 5 })
  check.equal(record.error.code, "ESCRIPT")
  check.truthy(record.error.traceback:find("in talker", 1, true))
  -- What is no data is named; the rest is there, and the same tables are the same.
  w:send("odd", records)
  local value = records:pop(10).error.value
  check.equal({ value.n, value[1][1], value.f, value.queue, value.print, value.point },
              { 1, 1, "function", "queue", "function", "log.point" })
  check.equal(value.itself == value, true)
  check.equal(value.also == value[1] and value.box[1] == value[1], true)
  check.equal(value.null, bridge.null)
end

-- One with a queue of its own.
do
  local own = bridge.queue()
  local w = bridge.worker { "error 'mine'", log = own, name = "own" }
  w:close()
  w = nil
  collectgarbage()
  check.truthy(own:pop(10).text:find("mine", 1, true))
end

-- Logs can be read by a worker.
do
  local out = bridge.queue()
  local reader <close> = bridge.worker(function(q, back)
    for r in q:values() do
      back:push(r.text)
    end
  end, records, out)
  bridge.log.info "to the reader"
  check.equal(out:pop(10), "to the reader")
  records:close()
  check.equal(bridge.set_logger(), true)
end

-- Priority and processors.
do
  local first = 0
  for i = 63, 0, -1 do
    local w = bridge.worker { "return 1", affinity = { i } }
    if w then
      first = i
      check.equal(w:join(), 1)
    end
  end
  local w = check.truthy(bridge.worker {
    "return 2", priority = "low", affinity = { first } })
  check.raises("one of", bridge.worker, { "", priority = "low!" })
  check.raises("numbers from 0 to 63", bridge.worker, { "", affinity = { 64 } })
  check.raises("a list of processors", bridge.worker, { "", affinity = {} })
  check.failed("EINVAL", bridge.worker { "return 1", priority = "low",
                                         drive = "host" })
end

-- A full inbox.
do
  local gate = bridge.queue()
  local w <close> = bridge.worker({ "(...):pop() require'bridge'.serve{}",
                                    inbox_items = 1, inbox_full = "fail" }, gate)
  check.equal(w:send("a"), true)
  check.failed("EFULL", w:send("b"))
  check.failed("EFULL", w:send_timeout(10, "b"))
  gate:push()

  -- Who has waited longest makes room, and hears of it.
  local ready = bridge.flag()
  gate = bridge.queue()
  local o <close> = bridge.worker({ [[
    local gate, ready = ...
    ready:set()
    gate:pop()
    return require "bridge".serve { echo = function(...) return ... end }
  ]], inbox_items = 1, inbox_full = "drop_oldest" }, gate, ready)
  check.equal(ready:wait(), true)
  local answers = bridge.queue()
  check.equal(o:request(answers, 1, "echo", "old"), true)
  check.equal(o:request(answers, 2, "echo", "new"), true)
  local number, good, _, code = answers:pop_answer(20)
  check.row({ n = 3, number, good, code }, 1, false, "EFULL")
  gate:push()
  check.row(table.pack(answers:pop_answer(20)), 2, true, "new")
end

-- An answer for a queue that nobody has any more.
do
  local records, go = bridge.queue(), bridge.queue()
  bridge.set_logger(records)
  local service <close> = bridge.worker [[
    require "bridge".serve { fail = function(go) go:pop() error "unheard" end }
  ]]
  local answers = bridge.queue()
  check.equal(service:request(answers, 1, "fail", go), true)
  answers = nil
  collectgarbage()
  collectgarbage()
  go:push(1)
  local record = records:pop(30)
  check.truthy(record.text:find("asker had given up", 1, true))
  check.truthy(record.error.message:find("unheard", 1, true))
  -- And one that had come, and that nobody has popped; also behind a close.
  for _, close in ipairs { false, true } do
    answers = bridge.queue()
    check.equal(service:request(answers, 1, "fail", go), true)
    go:push(1)
    repeat
    until #answers == 1
    if close then answers:close() end
    answers = nil
    collectgarbage()
    collectgarbage()
    record = records:pop(30)
    check.truthy(record.text:find("asker had given up", 1, true))
    check.truthy(record.error.message:find("unheard", 1, true))
  end
  check.failed("EEMPTY", records:pop(0))
  bridge.set_logger()
end

check.done()
