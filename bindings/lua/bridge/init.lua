--- The bridge for Lua: Lua states on threads of their own, queues between them,
-- and wakers that any event loop understands.
--
-- Calls that fail at run time return nil, a message and a code such as "EFULL";
-- wrong arguments raise, also values that cannot cross.  Times are seconds; nil is
-- for ever, and a time that is over, 0 or less, asks and does not wait.
--
-- What crosses: nil, booleans, integers and floats (kept apart), strings, tables of
-- these (nested, shared, cyclic), Lua functions with their upvalues, C functions
-- without, light userdata, the objects of the bridge, and objects of classes that
-- bridge.register has named; other metatables stay behind.  The table of globals
-- becomes the receiver's own.
--
-- This file uses no library of Lua: a worker's state may have been made without
-- any, and still be handed a queue.  What it needs stands in the core.

local _, _, core = ...
core = core or require "bridge.core"
core.mine()

local raise, type_of = core.raise, core.type_of
local Buffer = core.methods.Buffer
local Queue = core.methods.Queue
local Waker = core.methods.Waker
local Worker = core.methods.Worker
local Channel = core.methods.Channel
local Flag = core.methods.Flag
local Timer = core.methods.Timer

-- What is taken out of the methods below.  It is kept, since this file is run again
-- where there was no memory to come to its end.
local kept = core.kept
if not kept then
  kept = {
    used = Worker.memory_used, peak = Worker.memory_peak,
    limit = Worker.memory_limit,
    next_value = Queue.next_value, next_packed = Queue.next_packed,
    channel_value = Channel.next_value, channel_packed = Channel.next_packed,
    most_items = Channel.most_items, most_bytes = Channel.most_bytes,
    wait_for_flag = Flag.wait, close_channel = Channel.close,
    channel_closed = Channel.closed,
  }
  core.kept = kept
end

-- What only a worker has: a coroutine for each request, and its own name.
local inside = core.preloaded "bridge.inside"

-- Perhaps a worker has the module's table already, with a part of this in it.
local bridge = core.module or {}
core.module = nil

--- The version of libbridge that is running.
bridge.version = core.version()

--- The codes of failures, each as its own name: `code == bridge.status.EFULL`.
-- A name that does not exist raises.
bridge.status = core.statuses()

--- One line of English for a code.
function bridge.status_text(code)
  if type_of(code) ~= "string" then
    raise(2, "bridge.status_text: a code expected, got " .. type_of(code))
  end
  return core.status_text(core[bridge.status[code]])
end

--- How many processors this process may use.
function bridge.cores()
  return core.cores()
end

--- Give recycled memory back.
function bridge.trim()
  core.trim()
end

-- ---- Values -----------------------------------------------------------------

--- What stands for nothing within tables, where nil would mean that there is no
-- value: Python's None in lists and dicts.  It counts as true.  (It is the light
-- userdata NULL, as that of other libraries.)
bridge.null = core.null

--- Let a table cross as an array, also if it is empty or has holes: as long as its
-- field `n` says, or up to its last element.  Returns the table, marked by a
-- metatable; so it must not have another one.
function bridge.array(list)
  if type_of(list) ~= "table" then
    raise(2, "bridge.array: a table expected, got " .. type_of(list))
  end
  return core.mark(list, false)
    or raise(2, "bridge.array: the table has a metatable already")
end

--- Let a table cross as a map, also if its keys are 1 to n or if it is empty.
function bridge.map(pairs)
  if type_of(pairs) ~= "table" then
    raise(2, "bridge.map: a table expected, got " .. type_of(pairs))
  end
  return core.mark(pairs, true)
    or raise(2, "bridge.map: the table has a metatable already")
end

--- Let objects of a class cross under a name, in both directions.
--
-- The class is a metatable.  If it has `__bridge_pack(object) -> values...`, what
-- that gives crosses, and `__bridge_unpack(values...) -> object` of the class that
-- has the name where it arrives makes the object again; else the table itself
-- crosses, and gets that class as its metatable.  A class may name a module by
-- `__bridge_module`, which is required where the name is not known.
-- bridge.register(name) forgets the name.
function bridge.register(name, class)
  if type_of(name) ~= "string" or name == "" then
    raise(2, "bridge.register: a name expected, got " .. type_of(name))
  end
  if class ~= nil and type_of(class) ~= "table" then
    raise(2, "bridge.register: a class is a table, got " .. type_of(class))
  end
  core.register(name, class)
end

-- ---- Options ----------------------------------------------------------------

-- What an option may be: each gives the text of what is wrong, or nothing.
local rules = {}

local function whole_from(least, value)
  local wanted = "a whole number from " .. least .. " on expected, got "
  if type_of(value) ~= "number" then
    return wanted .. type_of(value)
  end
  local integer = core.whole(value)
  if integer and integer < least or not integer and value < least then
    return wanted .. value
  elseif not integer then
    return wanted .. value .. (value % 1 == 0 and ", which is too large" or "")
  end
end

-- 0 means something: no limit, or no bytes.
function rules.count(value)
  return whole_from(0, value)
end

-- The default is what is left out, not 0.
function rules.size(value)
  return whole_from(1, value)
end

-- Of a queue, or an inbox.
function rules.items(value)
  return whole_from(1, value) or value > core.QUEUE_ITEMS_MAX and
    value .. " is more than " .. core.QUEUE_ITEMS_MAX or nil
end

function rules.queued_bytes(value)
  return whole_from(1, value) or value > 1 << 39 and
    value .. " is more than " .. (1 << 39) or nil
end

function rules.seconds(value)
  if type_of(value) ~= "number" or value ~= value then
    return "seconds expected"
  end
end

-- As in C, 0 is no limit.
function rules.limit(value)
  local wrong = rules.seconds(value)
  if wrong or value < 0 then
    return wrong or "seconds from 0 on expected, got " .. value
  end
end

function rules.boolean(value)
  if value ~= true and value ~= false then
    return "true or false expected"
  end
end

function rules.text(value)
  if type_of(value) ~= "string" then
    return "a string expected"
  elseif not core.is_text(value) then
    return "the string contains a NUL"
  end
end

function rules.bytes(value)
  if type_of(value) ~= "string" then
    return "a string expected"
  end
end

local function one_of(names)
  local allowed, text = {}, "one of"
  for i = 1, #names do
    allowed[names[i]] = true
    text = text .. (i == 1 and ' "' or ', "') .. names[i] .. '"'
  end
  return function(value)
    if not allowed[value] then
      return text .. " expected"
    end
  end
end

rules.full = one_of { "block", "fail", "drop_oldest" }
rules.priority = one_of { "idle", "low", "normal", "high" }
rules.level = one_of { "cooperative", "prompt", "strict" }
rules.ending = one_of { "sending", "receiving" }
rules.clock = one_of { "steady", "wall" }
rules.drive = one_of { "thread", "host" }
rules.waker = one_of { "default", "eventfd", "pipe", "udp", "condition" }

function rules.queue_waker(value)
  if type_of(value) ~= "bridge.Waker" then
    local wrong = rules.waker(value)
    return wrong and wrong .. ", or a bridge.Waker"
  end
end

function rules.queue(value)
  if type_of(value) ~= "bridge.Queue" then
    return "a bridge.Queue expected"
  end
end

-- Numbers of processors, from 0 on.
function rules.processors(value)
  if type_of(value) ~= "table" or #value == 0 then
    return "a list of processors' numbers expected"
  end
  for i = 1, #value do
    local number = type_of(value[i]) == "number" and core.whole(value[i])
    if not number or number < 0 or number > 63 then
      return "numbers from 0 to 63 expected"
    end
  end
end

function rules.libraries(value)
  if type_of(value) ~= "table" then
    return rules.text(value) and "a string or a list of strings expected"
  end
  for i = 1, #value do
    if rules.text(value[i]) then
      return "a list of strings expected"
    end
  end
end

function rules.chunk(value)
  local found = type_of(value)
  if found ~= "string" and found ~= "function" then
    return "a string or a function expected"
  end
end

local queue_options = {
  items = "items", bytes = "queued_bytes", full = "full", timeout = "seconds",
  waker = "queue_waker", name = "text",
}

local channel_options = {
  items = "size", bytes = "size", full = "full", timeout = "seconds",
  waker = "queue_waker", name = "text",
}

local timer_options = {
  after = "seconds", at = "seconds", every = "seconds", clock = "clock",
  name = "text",
}

local worker_options = {
  [1] = "chunk", source = "bytes", file = "text", name = "text",
  chunk_name = "text", libraries = "libraries", path = "text", cpath = "text",
  memory_limit = "count", binary_chunks = "boolean", tracebacks = "boolean",
  depth_limit = "count", value_limit = "count", message_limit = "count",
  stack_size = "size", drive = "drive", waker = "waker",
  inbox_items = "items", inbox_bytes = "queued_bytes", inbox_full = "full",
  log = "queue", priority = "priority", affinity = "processors",
  stop = "level", sandbox = "boolean", timeout = "limit", cpu = "limit",
  call_timeout = "limit", call_cpu = "limit",
}

local limit_options = {
  depth_limit = "count", value_limit = "count", message_limit = "count",
}

-- The options as they were when they were checked: read once, past metamethods,
-- and copied.  Misuse is reported where the public function was called: two levels
-- up.
local function checked(name, given, known)
  local options = core.copy(given)
  local key = core.unknown_key(options, known)
  if key then
    raise(3, name .. ": unknown option '" .. key .. "'")
  end
  local value
  key, value = core.next(options)
  while key ~= nil do
    if type_of(value) == "table" then
      value = core.copy(value)
      options[key] = value
    end
    local wrong = rules[known[key]](value)
    if wrong then
      raise(3, name .. ": option '" .. key .. "': " .. wrong)
    end
    key, value = core.next(options, key)
  end
  return options
end

--- Limit what one message of this state may have, in and out: depth_limit (how
-- deep values are nested, at most 1000), value_limit (how many there are),
-- message_limit (bytes); 0 and what is left out for none.  In a
-- worker it cannot exceed what the worker was made with.  Returns the limits as
-- such a table; without options it changes nothing.
function bridge.limits(options)
  local depth, values, bytes
  if options == nil then
    depth, values, bytes = core.limits()
  elseif type_of(options) ~= "table" then
    raise(2, "bridge.limits: options expected, got " .. type_of(options))
  else
    options = checked("bridge.limits", options, limit_options)
    local good
    good, depth, values, bytes = core.try(core.limits, options.depth_limit or 0,
      options.value_limit or 0, options.message_limit or 0)
    if not good then
      raise(2, "bridge.limits: " .. depth)
    end
  end
  return { depth_limit = depth, value_limit = values, message_limit = bytes }
end

-- ---- Worker -----------------------------------------------------------------

local function joined(libraries)
  if type_of(libraries) ~= "table" then
    return libraries
  end
  local text = ""
  for i = 1, #libraries do
    text = text .. (i == 1 and "" or ",") .. libraries[i]
  end
  return text
end

local function mask(processors)
  local bits = 0
  for i = 1, processors and #processors or 0 do
    bits = bits | 1 << core.whole(processors[i])
  end
  return bits
end

local function worker_chunk(options)
  local source, file, chunk = options.source, options.file, options[1]
  local given = (source and 1 or 0) + (file and 1 or 0) + (chunk and 1 or 0)
  if given ~= 1 then
    raise(3, "bridge.worker: one of source, file and [1] expected, got " ..
             given)
  end
  if type_of(chunk) == "string" then
    source, chunk = chunk, nil
  end
  return source, file, chunk
end

-- The arguments as a message; a function that is the chunk comes first.
local function worker_arguments(chunk, ...)
  if chunk then
    return core.try(core.pack, chunk, ...)
  end
  return core.try(core.pack, ...)
end

--- Create a worker: a Lua state on a thread of its own.
--
-- bridge.worker(chunk, ...) takes source text or a Lua function, which crosses
-- with its upvalues; `...` are handed to it.  In place of the chunk there may be
-- a table of options: source, file or [1] (text or function); name, chunk_name,
-- libraries (of "base", "package", "coroutine", "table", "io", "os", "string",
-- "math", "utf8", "debug": a list of names, or one string; print, type, pairs and
-- their like are in "base"), path, cpath, memory_limit (bytes), depth_limit,
-- value_limit, message_limit (as for bridge.limits),
-- binary_chunks, tracebacks, stack_size, drive ("thread" or "host"), waker,
-- inbox_items, inbox_bytes, inbox_full (as full of a queue), log (a queue for its
-- records), priority ("idle", "low", "normal" or "high", of its thread), affinity (a
-- list of the processors that its thread may use, from 0 on); where the system
-- refuses these two, no worker is made.  What is left out has its default; memory_limit,
-- timeout, cpu, call_timeout and call_cpu of 0 are no limit, the other sizes are at least 1.
--
-- There is no option for C modules to preload: an opener is a C function, and only
-- C can hand one over (bridge_state_options).  A worker requires its C modules by
-- its own cpath.
--
-- Returns the worker; or nil, message, code, error.
function bridge.worker(chunk, ...)
  local found = type_of(chunk)
  local options = chunk
  if found == "string" or found == "function" then
    options = { chunk }
  elseif found ~= "table" then
    raise(2, "bridge.worker: a string, a function or options expected, got " ..
             found)
  end
  options = checked("bridge.worker", options, worker_options)
  local source, file, body = worker_chunk(options)
  local good, message = worker_arguments(body, ...)
  if not good then
    raise(2, message)
  end
  return core.Worker(
    options.name, source, options.chunk_name, file,
    options.drive or "thread", options.waker or "default",
    options.inbox_items or 0, options.inbox_bytes or 0, options.stack_size or 0,
    joined(options.libraries), options.path, options.cpath,
    options.memory_limit or 0, options.depth_limit or 0,
    options.value_limit or 0, options.message_limit or 0,
    options.binary_chunks or false,
    options.tracebacks ~= false, options.log, options.inbox_full or "block",
    options.priority or "normal", mask(options.affinity), options.stop,
    options.sandbox or false, options.timeout, options.cpu,
    options.call_timeout, options.call_cpu, message)
end

-- worker.name, worker.id: fields.
--
-- worker:join([timeout]): the results of the chunk; or nil, message, code, error.
--   Results may begin with nil: only a failure has a code of `bridge.status` as
--   its third value.  join_packed([timeout]) gives them as one table with `n`.
-- worker:call(name, ...), call_timeout(seconds, name, ...): what the handler
--   returned; or nil, message, code, error.
-- worker:send(name, ...), send_timeout(seconds, name, ...): true, and nobody hears
--   of the result; or nil, message, code.
-- worker:request(queue, number, name, ...): true; the answer comes into the queue,
--   for pop_answer.
-- worker:next(...), next_timeout(seconds, ...): what the chunk hands out by its next
--   bridge.yield, whose results these values become; nil, message, "ECLOSED" once it
--   has ended.  Like queue:pop, they block a worker that calls them.
-- worker:info(): what it is doing: see bridge.workers.
-- worker:traceback([timeout]): where it is, as text: the script that runs, at its
--   next safe point; or all its coroutines, while it waits.  A second, unless told.
-- worker:pause(), resume(): true; nothing of it runs in between.
-- worker:stop(): true.  worker:cancel([level [, grace]]): true; the level is that of
--   the worker if it is left out; after `grace` seconds, at once if it is left out,
--   its scripts are stopped whatever they do, before that it gets an error.
-- worker:phase(): "running", "serving", "stopping", "ended" or "lost".
-- worker:timeout(): seconds until a worker that the host drives must be stepped;
--   nil if it waits for nothing but its waker.
-- worker:waker(): what is raised when it must be stepped.
--
-- An error is a table { message, code, value, traceback, caller, frames, worker,
-- cause }: `value` as the script raised it, `traceback` of where it did, `caller` of
-- where it was asked here.  A handler that asks another worker, and raises what it
-- gets from there, has a `cause`: such a table, and so on.

local phase_of, waker_of_worker = Worker.phase, Worker.waker
local used, peak, limit = kept.used, kept.peak, kept.limit
local cancel_worker, close_worker, step = Worker.cancel, Worker.close, Worker.step
Worker.memory_used, Worker.memory_peak, Worker.memory_limit = nil, nil, nil
Worker.name, Worker.id = nil, nil -- fields, not methods

--- Whether the worker has yet to end, and was not given up.
function Worker.alive(self)
  local phase = phase_of(self)
  return phase ~= "ended" and phase ~= "lost"
end

--- Bytes of memory that the worker's values take: now, at most ever, the limit.
function Worker.memory(self)
  return used(self), peak(self), limit(self)
end

--- Cancel the worker, at a level (nil for its state's own), after `grace` seconds in
-- which its script may clean up.
function Worker.cancel(self, level, grace)
  local wrong = level ~= nil and rules.level(level)
  if wrong then
    raise(2, "worker:cancel: " .. wrong)
  end
  return cancel_worker(self, level, grace)
end

--- Stop the worker; after `grace` seconds cancel it; after as long again give up.
function Worker.close(self, grace)
  return close_worker(self, grace)
end

--- Run a worker that the host drives: true if there is more to do, false if it
-- waits; nil, message, "ECLOSED" once it has ended.
function Worker.step(self, budget)
  return step(self, budget or 0)
end

--- The descriptor to watch for a worker that the host drives.
function Worker.fileno(self)
  return waker_of_worker(self):fileno()
end

Worker.getfd = Worker.fileno

if inside then
  -- Within a worker a call lets the other requests go on.
  local call = inside.call

  local function check_name(name)
    if type_of(name) ~= "string" then
      raise(3, "the name of a handler expected, got " .. type_of(name))
    end
  end

  function Worker.call(self, name, ...)
    check_name(name)
    return call(self, nil, name, ...)
  end

  function Worker.call_timeout(self, seconds, name, ...)
    check_name(name)
    return call(self, seconds, name, ...)
  end
end

--- All workers of the process that have not ended, also those of which nobody has a
-- handle; the oldest first.  Each is a table as worker:info() gives it: name, id,
-- phase, paused, running (the handler or the chunk that runs now, "" while it waits),
-- running_time (seconds without a break), cpu_time, memory_used, memory_peak,
-- memory_limit, inbox_items, inbox_bytes, messages, errors, dropped; and the `worker`
-- itself.  None of them is held up.
bridge.workers = core.workers

--- The worker of this name, the latest if there are several, or of this number; nil
-- if there is none that has not ended.
function bridge.find(name)
  local found = type_of(name)
  if found ~= "string" and not (found == "number" and core.whole(name)) then
    raise(2, "bridge.find: a name or a number expected, got " .. found)
  end
  return core.find(name)
end

--- Warn, through the logger, of scripts that run for longer than so many seconds
-- without a break, with where they are; 0 or nil ends it.
function bridge.set_watchdog(seconds)
  local wrong = seconds ~= nil and rules.seconds(seconds)
  if wrong or seconds and (seconds < 0 or seconds > 1e6) then
    raise(2, "bridge.set_watchdog: " .. (wrong or "0 to 1e6 seconds expected"))
  end
  local ms = seconds and core.whole(seconds * 1000 // 1) or 0
  return core.set_watchdog(seconds and seconds > 0 and ms < 1 and 1 or ms)
end

-- ---- Objects ----------------------------------------------------------------

--- All objects of the process, also those of which nobody has a handle any more:
-- queues, channels, timers, counters, flags, mutexes and workers; the oldest first.
-- Each is a table: kind ("queue" and so on), id, name ("" for none), references (how
-- many there are beside the one that is here), closed; of queues, channels and
-- workers items and bytes (that wait in it); of counters, flags (whether it is set),
-- mutexes (whether it is locked) and timers (how often it has posted) value; of
-- timers target (the id of what it posts to); and the `object` itself.  What the
-- library made for itself, such as inboxes, is not there.
bridge.objects = core.objects

--- The object of this name, the latest if there are several, or of this number; nil
-- if there is none, or if it is not of the kind that is asked for.
function bridge.find_object(name, kind)
  local found = type_of(name)
  if found ~= "string" and not (found == "number" and core.whole(name)) then
    raise(2, "bridge.find_object: a name or a number expected, got " .. found)
  end
  local good, object = core.try(core.find_object, name, kind)
  if not good then
    raise(2, object)
  end
  return object
end

-- object:info(): a table as bridge.objects() gives it, without the object.
-- object:set_name(name): true; nil takes the name away.
local classes =
  { "Queue", "Channel", "Counter", "Flag", "Mutex", "Timer" }
local kinds =
  { "queue", "channel", "counter", "flag", "mutex", "timer" }

for i = 1, #classes do
  local class, kind = core.methods[classes[i]], kinds[i]

  function class.info(self)
    return core.object_info(self, kind)
  end

  function class.set_name(self, name)
    return core.set_name(self, name, kind)
  end
end

-- What was just made gets its name, or is dropped.
local function named(name, object, text, code)
  local good = object
  if object and name then
    good, text, code = object:set_name(name)
  end
  if good then
    return object -- and nothing else, as a constructor
  elseif not object then
    return nil, text, code
  end
  if object.cancel then
    object:cancel() -- a timer would go on
  end
  return nil, text, code
end

local function check_object_name(what, name)
  local wrong = name ~= nil and rules.text(name)
  if wrong then
    raise(3, what .. ": the name: " .. wrong)
  end
end

-- ---- Queue ------------------------------------------------------------------

-- queue:push(...): true; or nil, message, code.  push_timeout(seconds, ...) waits
--   for room as long as it says, whatever the queue does else.
-- queue:pop([timeout]): the values of the oldest message; or nil, message, code.
--   A timeout of 0 asks.  A message may begin with nil, or be empty: only a failure
--   has a code of `bridge.status` as its third value.  pop_packed([timeout]) gives
--   one table with `n`; pop_batch([limit [, timeout]]) a list of such tables.
--   A message that cannot be read in this state stays where it was, until
--   queue:discard() frees it: true, or false if there is none.
-- queue:peek(): the values of the oldest message, which stays; or nil, message,
--   code.  peek_packed() gives one table.
-- queue:pop_answer([timeout]): number, true, results...; or number, false, message,
--   code, error, if the request failed, or number, false, message, code, if its results
--   cannot be read here: those stay, until queue:discard(); or nil, message, code.
-- queue:close(), closed(), bytes(), dropped(), waker(); #queue.
--
-- Within a worker these block the whole worker.

local waker_of_queue, closed = Queue.waker, Queue.closed
local next_value, next_packed = kept.next_value, kept.next_packed
Queue.next_value, Queue.next_packed, Queue.unpop = nil, nil, nil

--- Create a queue.  Options: items, bytes (its bounds, at least 1), full ("block", "fail" or
-- "drop_oldest"), timeout (seconds that "block" waits), waker (a kind, or a
-- waker), name (for bridge.objects).  Returns the queue; or nil, message, code.
function bridge.queue(options)
  if options == nil then
    options = {}
  elseif type_of(options) ~= "table" then
    raise(2, "bridge.queue: options expected, got " .. type_of(options))
  end
  options = checked("bridge.queue", options, queue_options)
  local waker, kind = options.waker, "condition"
  if type_of(waker) == "string" then
    waker, kind = nil, waker
  end
  return named(options.name,
    core.Queue(options.items or 0, options.bytes or 0,
               options.full or "block", options.timeout, waker, kind))
end

--- Loop over the messages of a queue until it is closed and empty.  What a
-- message holds are the loop's variables; one that begins with nil would end the
-- loop, and raises: use messages() where that can be.
function Queue.values(self)
  closed(self) -- raises for what is no queue
  return next_value, self
end

--- The same with each message as a table: { n = 2, "first", "second" }.
function Queue.messages(self)
  closed(self)
  return next_packed, self
end

--- The descriptor that is readable while the queue has something.
function Queue.fileno(self)
  return waker_of_queue(self):fileno()
end

Queue.getfd = Queue.fileno

-- ---- Channel ----------------------------------------------------------------

-- channel:send(...), send_timeout(seconds, ...): as queue:push.
-- channel:receive([timeout]), receive_packed, receive_batch, peek, peek_packed,
--   discard: as queue:pop and the like, but any number of threads may.
-- channel:clear(): how many messages that were.
-- channel:wake(): who waits to receive, now, gets nil, message, "EEMPTY".
-- channel:bytes(), dropped(), waker(); #channel.
--
-- Within a worker these block the whole worker.

local channel_value, channel_packed = kept.channel_value, kept.channel_packed
local most_items, most_bytes = kept.most_items, kept.most_bytes
local set_limit, waker_of_channel = Channel.set_limit, Channel.waker
local close_channel, channel_closed = kept.close_channel, kept.channel_closed
Channel.next_value, Channel.next_packed = nil, nil
Channel.most_items, Channel.most_bytes = nil, nil

--- Create a channel: a queue that many may receive from.  Options: items, bytes,
-- full, timeout, name as for a queue; waker (a kind, or a waker) to wake an event loop.
-- Returns the channel; or nil, message, code.
function bridge.channel(options)
  if options == nil then
    options = {}
  elseif type_of(options) ~= "table" then
    raise(2, "bridge.channel: options expected, got " .. type_of(options))
  end
  options = checked("bridge.channel", options, channel_options)
  local waker = options.waker
  if type_of(waker) == "string" then
    local text, code
    waker, text, code = core.Waker(waker)
    if not waker then
      return nil, text, code
    end
  end
  return named(options.name,
    core.Channel(options.items or 0, options.bytes or 0,
                 options.full or "block", options.timeout, waker))
end

--- Close an end: "sending", the default, lets what is inside be received;
-- "receiving" frees it.  true.
function Channel.close(self, ending)
  local wrong = ending ~= nil and rules.ending(ending)
  if wrong then
    raise(2, "close: " .. wrong)
  end
  return close_channel(self, ending)
end

--- Whether an end was closed.
function Channel.closed(self, ending)
  local wrong = ending ~= nil and rules.ending(ending)
  if wrong then
    raise(2, "closed: " .. wrong)
  end
  return channel_closed(self, ending)
end

--- Change the bounds; nil leaves one as it is.  What is inside stays.
function Channel.set_limit(self, items, bytes)
  return set_limit(self, items or 0, bytes or 0)
end

--- The bounds: items, bytes.
function Channel.limit(self)
  return most_items(self), most_bytes(self)
end

--- Loop over the messages until the channel is closed and empty, as queue:values.
function Channel.values(self)
  channel_closed(self, nil) -- raises for what is no channel
  return channel_value, self
end

--- The same with each message as a table: { n = 2, "first", "second" }.
function Channel.messages(self)
  channel_closed(self, nil)
  return channel_packed, self
end

--- The descriptor that is readable while the channel has something.
function Channel.fileno(self)
  local waker = waker_of_channel(self)
  if not waker then
    raise(2, "fileno: the channel was made without a waker")
  end
  return waker:fileno()
end

Channel.getfd = Channel.fileno

--- Take a message of the first queue or channel of a list that has one, waiting
-- until one of them does.  Returns its place in the list and the values; or nil,
-- message, code.  What is closed and empty is passed over.  Within a worker this
-- blocks the whole worker.
function bridge.select(list, timeout)
  if type_of(list) ~= "table" then
    raise(2, "bridge.select: a list of queues and channels expected, got " ..
             type_of(list))
  end
  return core.select(list, timeout)
end

-- ---- Counter, flag, mutex ---------------------------------------------------

-- counter:get(); set(number): what it was; add(number): what it is then;
-- counter:exchange(expected, number): true; or false and what it is instead.
-- counter:wait(relation, number [, timeout]), with ">=", "<=", "==" or "~=": the
--   number that was found so; or nil, message, code.
-- counter:close(): true; who waits for what it is not gets ECLOSED, now and later,
--   and so does who changes it.  closed().

--- Create a counter that begins with a whole number, 0 if it is left out; it may
-- have a name.
function bridge.counter(value, name)
  check_object_name("bridge.counter", name)
  return named(name, core.Counter(value == nil and 0 or value))
end

-- flag:set(), clear(): true.  flag:is_set().
-- flag:close(): true; it stays as it is, and who waits until it is set gets ECLOSED
--   if it is not.  closed().
local wait_for_flag = kept.wait_for_flag

--- Create a flag, which is not set unless `set` is true; it may have a name.
function bridge.flag(set, name)
  check_object_name("bridge.flag", name)
  return named(name, core.Flag(set ~= nil and set))
end

--- Wait until the flag is set: true; or nil, message, code.
function Flag.wait(self, timeout)
  return wait_for_flag(self, timeout)
end

-- mutex:lock([timeout]): true; or true, "abandoned" if the owner before ended
--   without unlocking it; or nil, message, code.  mutex:unlock(): true.
-- mutex:guard([timeout]): what unlocks it at the end of its scope,
--   `local guard <close> = mutex:guard()`; and "abandoned", as above.  Without a
--   timeout it raises what `lock` returns: a scope whose guard is nil would run.
-- mutex:with(function, ...): what the function returns, or raises.
-- mutex:abandon(): unlock it, and tell the next one.  mutex:locked().
-- mutex:close(): true; nobody gets it any more, but ECLOSED; who has it can still
--   unlock it.  closed().
--
-- A worker is one owner, with all its coroutines: what one of them has locked is
-- EDEADLOCK for the others.  To wait blocks the whole worker.

--- Create a mutex, which may have a name.
function bridge.mutex(name)
  check_object_name("bridge.mutex", name)
  return named(name, core.Mutex())
end

-- ---- Timer ------------------------------------------------------------------

-- timer:cancel(): true; or nil, message, "EALREADY".  timer:close(): true, also if
--   it has ended.
-- timer:active(), posted(), missed().
--
-- A timer goes on without its object, and is found by bridge.objects(); one in a
-- `<close>` variable is cancelled.

local is_active = Timer.active

--- Whether the timer has ended.
function Timer.closed(self)
  return not is_active(self)
end

--- Post values to a queue or a channel: `after` so many seconds, or `at` a moment
-- of a `clock` ("wall", the default: seconds since 1970; or "steady", as
-- bridge.now() tells); and then `every` so many seconds.  With `every` alone the
-- first comes after one period.  It may have a `name`, for bridge.objects.  Returns
-- the timer; or nil, message, code.
function bridge.timer(target, options, ...)
  local found = type_of(target)
  if found ~= "bridge.Queue" and found ~= "bridge.Channel" then
    raise(2, "bridge.timer: a bridge.Queue or a bridge.Channel expected, got " ..
             found)
  end
  if type_of(options) ~= "table" then
    raise(2, "bridge.timer: options expected, got " .. type_of(options))
  end
  options = checked("bridge.timer", options, timer_options)
  local first, every = options.after, options.every
  if first and options.at or not (first or options.at or every) then
    raise(2, "bridge.timer: one of after and at expected, or every alone")
  end
  if options.clock and not options.at then
    raise(2, "bridge.timer: option 'clock' belongs to 'at'")
  end
  if every and every < 0.0001 then
    raise(2, "bridge.timer: option 'every': 0.0001 seconds or more expected")
  end
  local clock = options.at and (options.clock or "wall") or "after"
  local good, timer, text, code = core.try(core.timer, target, clock,
    options.at or first or every, every or 0, ...)
  if not good then
    raise(2, timer)
  end
  return named(options.name, timer, text, code)
end

--- Seconds by the "steady" clock, or by the one on the "wall".
function bridge.now(clock)
  clock = clock == nil and "steady" or clock
  local wrong = rules.clock(clock)
  if wrong then
    raise(2, "bridge.now: " .. wrong)
  end
  return core.now(clock)
end

-- ---- Buffer -----------------------------------------------------------------

--- Create a buffer with the bytes of a string, or with so many zeros.
function bridge.buffer(content)
  if type_of(content) == "string" then
    return core.copied(content)
  end
  if type_of(content) ~= "number" then
    raise(2, "bridge.buffer: a string or a size expected, got " ..
             type_of(content))
  end
  local wrong = rules.count(content)
  if wrong then
    raise(2, "bridge.buffer: the size: " .. wrong)
  end
  return core.Buffer(content)
end

-- buffer:string([i [, j]]), byte([i]): as in the string library.
-- buffer:write(i, string): true; or nil, message, "EFROZEN".
-- buffer:freeze(), frozen(), size(); #buffer.
--
-- A buffer that crosses is frozen, and shared instead of copied.

local size_of = Buffer.size

local function strings(name)
  local library = core.library "string"
  if not library then
    raise(3, name .. ": this state has no string library")
  end
  return library
end

-- A place of a buffer of so many bytes, from 1 on.
local function place(name, position, size)
  local integer = core.whole(position)
  if not integer then
    raise(3, name .. ": a position expected, got " ..
             (type_of(position) == "number" and position or type_of(position)))
  end
  return integer < 0 and size + integer + 1 or integer
end

-- Values that are aligned stand at multiples of up to 16 bytes from the beginning
-- of the buffer.
local ALIGNMENT = 16

local function aligned(library, format)
  return type_of(format) == "string" and library.find(format, "!", 1, true)
end

-- The bytes from `first` on that hold what the format reads behind so many others.
-- A few bytes are read without a copy of all, but how many a format takes is not
-- always known beforehand.
local function part(self, library, format, first, before)
  local fixed, size = core.try(library.packsize, format)
  if fixed and size <= size_of(self) then
    return self:string(first, first + before + size - 1)
  end
  return self:string(first)
end

--- Read values at a place, as string.unpack does; the last result is the place
-- behind them.
function Buffer.unpack(self, format, position)
  local library, size = strings "unpack", size_of(self)
  position = position == nil and 1 or place("unpack", position, size)
  if position < 1 or position > size + 1 then
    raise(2, "unpack: position " .. position .. " is outside of the buffer")
  end
  local before, slack = 0, 0
  if aligned(library, format) then
    before = (position - 1) % ALIGNMENT
    slack = ALIGNMENT -- what is skipped depends on where the reading begins
  end
  local first = position - before
  return core.shift(first - 1, library.unpack(format,
    part(self, library, format, first, before + slack), before + 1))
end

--- Write values at a place, as string.pack makes them; what is skipped for the
-- sake of alignment becomes zeros.
function Buffer.pack(self, format, position, ...)
  local library, size = strings "pack", size_of(self)
  position = place("pack", position, size)
  if position < 1 then
    raise(2, "pack: position " .. position .. " is outside of the buffer")
  end
  local before = aligned(library, format) and (position - 1) % ALIGNMENT or 0
  if before == 0 then
    return self:write(position, library.pack(format, ...))
  end
  local bytes = library.pack("c" .. before .. format, "", ...)
  return self:write(position, library.sub(bytes, before + 1))
end

-- ---- Waker ------------------------------------------------------------------

-- waker:raise(), clear(), close(): true; or nil, message, code.
-- waker:kind(); fileno(), the descriptor for an event loop.

local wait = Waker.wait

--- Create a waker: "default", "eventfd", "pipe", "udp" or "condition".
function bridge.waker(kind)
  kind = kind == nil and "default" or kind
  local wrong = rules.waker(kind)
  if wrong then
    raise(2, "bridge.waker: " .. wrong)
  end
  return core.Waker(kind)
end

--- Wait until the waker is raised.
function Waker.wait(self, timeout)
  return wait(self, timeout)
end

Waker.getfd = Waker.fileno -- LuaSocket, copas
Waker.pollfd = Waker.fileno -- cqueues

--- For LuaSocket: nothing was read ahead.
function Waker.dirty()
  return false
end

--- For cqueues: wait for reading.
function Waker.events()
  return "r"
end

-- ---- Log --------------------------------------------------------------------

local levels = { "debug", "info", "warning", "error" }
local is_level = one_of(levels)

local function log(level, ...)
  local wrong = is_level(level)
  if wrong then
    raise(3, "bridge.log: " .. wrong)
  end
  return core.log_text(level, core.joined(...))
end

--- Log the values, as texts with blanks between them: bridge.log("info", ...), or
-- bridge.log.info(...), and so on.  Of a worker that says too much some are left
-- out, and counted.
bridge.log = core.callable({}, function(_, level, ...)
  return log(level, ...)
end)

for i = 1, #levels do
  bridge.log[levels[i]] = function(...)
    return log(levels[i], ...)
  end
end

--- Say which queue gets the records of all workers; nil is stderr, a line for each.
-- A record is one table { level, text, worker, id, time, suppressed, error }, where
-- `error` is a table as a failed call gives it.  It comes through a queue, since
-- what is logged is logged on other threads than the one that your state is on:
-- read it with queue:pop or in a loop over queue:values(), here or in a worker.
-- Records that find the queue full are left out, and counted in `suppressed`.
function bridge.set_logger(queue)
  local wrong = queue ~= nil and rules.queue(queue)
  if wrong then
    raise(2, "bridge.set_logger: " .. wrong .. ", or nil")
  end
  return core.set_log_queue(queue)
end

--- Leave out what matters less than "debug", "info" (the default), "warning" or
-- "error".
function bridge.set_log_level(level)
  local wrong = is_level(level)
  if wrong then
    raise(2, "bridge.set_log_level: " .. wrong)
  end
  return core.set_log_level(level)
end

-- ---- Inside and outside of workers ------------------------------------------

if inside then
  bridge.serve = inside.serve
  bridge.sleep = inside.sleep
  bridge.self = inside.self
  bridge.yield = inside.yield
  bridge.on_exit = inside.on_exit
  bridge.stop = inside.stop
  bridge.stopping = inside.stopping
  bridge.cancelled = inside.cancelled
else
  --- Answer calls until the worker is asked to stop.
  function bridge.serve()
    raise(2, "bridge.serve works only inside a worker")
  end

  --- Do nothing for so many seconds; true.
  function bridge.sleep(seconds)
    local wrong = rules.seconds(seconds)
    if wrong then
      raise(2, "bridge.sleep: " .. wrong)
    end
    return core.sleep(seconds)
  end

  --- Hand values to who calls worker:next, wait for the next call of it, and
  -- return its values.  Only in a worker's main chunk.
  function bridge.yield()
    raise(2, "bridge.yield works only inside a worker")
  end

  --- Have a function called when the worker ends, the last one first, also when it
  -- is stopped: f(reason, error), with the reason "done", "error" or "cancelled".
  -- What it raises goes to the logger.
  function bridge.on_exit()
    raise(2, "bridge.on_exit works only inside a worker")
  end

  --- The worker that runs this; nil outside of workers.
  function bridge.self()
    return nil
  end

  --- Ask the worker that runs this to stop serving.
  function bridge.stop()
    raise(2, "bridge.stop works only inside a worker")
  end

  --- Whether the worker that runs this was asked to stop.
  function bridge.stopping()
    return false
  end

  --- Whether the state that runs this was cancelled, or its time is over.
  function bridge.cancelled()
    return core.cancelled()
  end
end

return bridge
