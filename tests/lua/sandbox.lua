-- Sandboxes and the strict level, as a Lua host makes them.
package.path = arg[0]:gsub("[^/]*$", "?.lua") .. ";" .. package.path
local check = require "check"
local bridge = require "bridge"

-- A chunk runs in it, and finds what is allowed.
do
  local w <close> = assert(bridge.worker {
    "return io, debug, package, string.dump, ('x'):rep(3), ...", sandbox = true,
  })
  local all = w:join_packed(20)
  check.equal(all, { n = 5, [5] = "xxx" })
end
do
  local w <close> = assert(bridge.worker({ "return (...).n * 2", sandbox = true },
                                         { n = 21 }))
  check.equal(w:join(20), 42)
end

-- A function is no text.
do
  local w, text, code = bridge.worker {
    function() return 1 end, sandbox = true,
  }
  check.equal(w, nil)
  check.equal(code, "ETYPE")
  check.truthy(text:find("a function cannot enter a sandbox", 1, true))
end

-- A service: its handlers take data, and no functions.
do
  local w <close> = assert(bridge.worker {
    [[require "bridge".serve {
        add = function(a, b) return a + b end,
        run = function(f) return f() end,
        hog = function() return #("x"):rep(1 << 30) end,
        forever = function() return ("a"):rep(200):find(("a*"):rep(60) .. "b") end,
      }]],
    sandbox = true, call_cpu = 0.05,
  })
  check.equal(w:call("add", 2, 3), 5)
  local none, text, code = w:call("run", print)
  check.equal(none, nil)
  check.equal(code, "ETYPE")
  none, text, code = w:call("run", function() return 1 end)
  check.equal(code, "ETYPE")
  none, text = w:call("hog")
  check.truthy(text:find("resulting string too large", 1, true))
  none, text, code = w:call("forever")
  check.equal(none, nil)
  check.equal(code, "ETIMEDOUT")
  check.equal(w:call("add", 2, 3), 5) -- the others go on
  local used, peak, limit = w:memory()
  check.equal(used <= peak and peak <= limit and limit < 65 << 20, true)
end

-- Options that contradict it.
for _, options in ipairs {
  { binary_chunks = true }, { path = "?.lua" }, { cpath = "?.so" },
  { libraries = { "base", "io" } }, { stop = "prompt" },
} do
  options[1], options.sandbox = "return 1", true
  local w, text, code = bridge.worker(options)
  check.equal(w, nil)
  check.equal(code, "EINVAL")
  check.truthy(text:find("sandbox", 1, true))
end
check.raises("true or false expected", bridge.worker,
             { "return 1", sandbox = 1 })

-- The strict level alone has files, but no finalizers.
do
  local w <close> = assert(bridge.worker {
    [[local good, text = pcall(setmetatable, {}, { __gc = print })
      return io ~= nil, debug, good, text]],
    stop = "strict",
  })
  check.equal(w:join_packed(20), {
    n = 4, true, nil, false, "__gc is not allowed in this state",
  })
end

check.done()
