"""Lua on a thread of Python: states, and the functions that come out of them."""

import copy
import gc
import math
import os
import pickle
import signal
import sys
import threading
import time
import weakref

import pytest

import bridge

KEEPS = [pytest.param(True, id="released"), pytest.param(False, id="kept")]


@pytest.fixture
def state():
    with bridge.State() as state:
        yield state


@pytest.fixture(params=KEEPS)
def echo(request):
    with bridge.State(release_gil=request.param) as state:
        yield state.run("return function(...) return ... end")


# ---- Chunks


def test_a_chunk_has_arguments_and_results(state):
    assert state.run("return 6 * 7") == 42
    assert state.run("return ...", 1, "two") == (1, "two")
    assert state.run("") == ()
    assert state.run("return nil") is None
    assert state.run(b"return #...", "h\u00e4") == 3


def test_an_expression_is_evaluated(state):
    assert state.eval("1 + 1") == 2
    assert state.eval(b"1, 2") == (1, 2)
    assert state.eval("...", [1], "x") == ([1], "x")


def test_globals_stay(state):
    state.run("count = 0")
    state.run("count = count + ...", 5)
    assert state.eval("count") == 5


def test_states_share_nothing(state):
    state.run("x = 1")
    with bridge.State() as other:
        assert other.eval("x") is None


def test_nuls_in_the_source_are_kept(state):
    assert state.run("return '\0', #'\0'") == ("\0", 1)


@pytest.mark.parametrize("source", [None, 1, ["return"], bytearray(b"return")])
def test_a_source_is_text(state, source):
    with pytest.raises(TypeError):
        state.run(source)
    with pytest.raises(TypeError):
        state.eval(source)


def test_code_is_refused_unless_it_is_allowed(state):
    # As bytes it comes back as text, which stands for the same bytes.
    code = state.eval("string.dump(function() return 7 end)")
    with pytest.raises(bridge.LuaSyntaxError):
        state.run(code)
    with bridge.State(binary_chunks=True) as other:
        assert other.run(code) == 7


# ---- Options


def test_options_are_those_of_workers():
    with bridge.State(libraries="base,math") as state:
        assert state.eval("string == nil, math ~= nil") == (True, True)
    with bridge.State(libraries=[]) as state:
        assert state.eval("print") is None
    with bridge.State(path="a/?.lua", cpath="b/?.so") as state:
        assert state.eval("package.path, package.cpath") == ("a/?.lua", "b/?.so")
    with bridge.State(name="mine") as state, pytest.raises(bridge.LuaError) as caught:
        state.run("error('x')")
    assert "mine" in caught.value.traceback
    with bridge.State(tracebacks=False) as state, pytest.raises(
        bridge.LuaError
    ) as caught:
        state.run("error('x')")
    assert caught.value.traceback == ""


@pytest.mark.parametrize(
    "options, error",
    [
        ({"libraries": "nonsense"}, bridge.NotFound),
        ({"libraries": 1}, TypeError),
        ({"memory": 0}, bridge.InvalidError),
        ({"memory": "much"}, bridge.InvalidError),
        ({"name": "a\0b"}, bridge.InvalidError),
        ({"tracebacks": 1}, TypeError),
        ({"release_gil": None}, TypeError),
        ({"binary_chunks": "no"}, TypeError),
        ({"source": "return 1"}, TypeError),
    ],
)
def test_options_are_checked(options, error):
    with pytest.raises(error):
        bridge.State(**options)


# ---- Values

PLAIN = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    0.0,
    1.0,
    -1.5,
    1e308,
    math.inf,
    -math.inf,
    "",
    "text",
    "a\0b",
    "h\u00e4\u20ac\U0001f600",
    "\udc80\udcff",
    "\ud800",
    "x" * 100_000,
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_plain_values_come_back(echo, value):
    back = echo(value)
    assert back == value
    assert type(back) is type(value)


def test_no_number_comes_back(echo):
    assert math.isnan(echo(math.nan))


def test_bytes_come_back_as_text(echo):
    assert echo(b"a\0\xff") == "a\0\udcff"
    assert echo(bytearray(b"x"), memoryview(b"y")) == ("x", "y")


def test_containers_are_copied(echo):
    row = [1, [2.5, "x"], {"k": [None]}]
    back = echo(row)
    assert back == row
    assert back is not row


def test_what_is_shared_stays_shared(echo):
    row = [1]
    one, two, three = echo(row, row, [row])
    assert one is two is three[0]
    row.append(row)
    back = echo(row)
    assert back[1] is back


def test_handles_are_the_same(state, echo):
    queue = bridge.Queue()
    assert echo(queue, 1) == (queue, 1)
    state.run("local q, v = ... q:push(v)", queue, "hi")
    assert queue.pop(0) == "hi"


def test_handles_come_to_a_state_without_libraries():
    with bridge.State(libraries="") as state:
        queue = bridge.Queue()
        assert state.run("return ...", queue) is queue


def test_values_of_other_classes_cross_as_messages_do(echo):
    class Number(int):
        pass

    class Text(str):
        pass

    assert echo(Number(7), Text("x")) == (7, "x")
    numpy = pytest.importorskip("numpy")
    assert echo(numpy.int32(3), numpy.float64(0.5)) == (3, 0.5)


@pytest.mark.parametrize(
    "value, error, path",
    [
        (2**63, bridge.RangeError, "argument 2"),
        (-(2**63) - 1, bridge.RangeError, "argument 2"),
        ([2**64], bridge.RangeError, "argument 2[0]"),
        (object(), bridge.NotShareableError, "argument 2"),
        ({"k": print}, bridge.NotShareableError, "argument 2['k']"),
        (1j, bridge.NotShareableError, "argument 2"),
    ],
)
def test_arguments_that_cannot_cross_are_named(echo, value, error, path):
    with pytest.raises(error) as caught:
        echo(1, value, "x")
    assert str(caught.value).startswith(path + ":")
    assert echo(1) == 1


@pytest.mark.parametrize(
    "source",
    [
        "return 1, coroutine.create(print)",
        "return io.stdout",
        "return {print}",
        "return {{f = function() end}}",
        "return {[{}] = 1}",
    ],
)
def test_results_that_cannot_cross_are_refused(state, source):
    with pytest.raises(bridge.NotShareableError):
        state.run(source)
    assert state.run("return 1") == 1


def test_results_that_are_too_deep_are_refused(state):
    with pytest.raises(bridge.LimitError):
        state.run("local t = {} for _ = 1, 2000 do t = {t} end return t")


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 10, 11, 20, 255, 5000])
def test_any_number_of_values_crosses(echo, count):
    for make in (int, str, lambda i: [i], lambda i: f"{i}" if i % 2 else i):
        values = [make(i) for i in range(count)]
        back = echo(*values)
        assert back == (values[0] if count == 1 else tuple(values))


def test_more_values_than_a_stack_has_are_refused(echo):
    with pytest.raises((bridge.LimitError, MemoryError, bridge.LuaError)):
        echo(*[1] * 1_000_001)
    with pytest.raises((bridge.LimitError, MemoryError, bridge.LuaError)):
        echo(*[1] * 999_999)
    assert echo(*[1] * 100_000) == (1,) * 100_000


# ---- Functions


def test_functions_are_called(state):
    add = state.run("return function(a, b) return a + b end")
    assert isinstance(add, bridge.LuaFunction)
    assert add(1, 2) == 3
    assert add(1.5, 2) == 3.5
    assert add("1", "2") == 3


def test_functions_keep_their_upvalues(state):
    up, down = state.run(
        "local n = 0 "
        "return function() n = n + 1 return n end, function() n = n - 1 return n end"
    )
    assert [up(), up(), up(), down()] == [1, 2, 3, 2]


def test_functions_of_c_are_called(state):
    upper = state.eval("string.upper")
    assert upper("abc") == "ABC"


def test_functions_go_back_to_their_state(state):
    apply = state.run("return function(f, ...) return f(...) end")
    double = state.run("return function(n) return 2 * n end")
    assert apply(double, 21) == 42
    assert apply(double, 21, [1]) == 42  # as a message, because of the list
    same = state.run("return function(a, b) return rawequal(a, b) end")
    assert same(double, double) is True
    assert state.run("return ... == select(2, ...)", double, double, {}) is True


def test_functions_stand_among_other_results(state):
    one, f, row, g, text = state.run(
        "local t = {1} return 1, function() return 'f' end, {t, t}, "
        "function() return 'g' end, 'x'"
    )
    assert (one, f(), row, g(), text) == (1, "f", [[1], [1]], "g", "x")
    assert row[0] is row[1]


def test_functions_stay_out_of_other_states(state):
    f = state.run("return function() end")
    with bridge.State() as other:
        with pytest.raises(bridge.NotShareableError):
            other.run("return ...", f)
    with pytest.raises(bridge.NotShareableError):
        state.run("return ...", [f])
    with pytest.raises(bridge.NotShareableError):
        bridge.Queue().push(f)


def test_a_function_within_a_table_is_refused_by_what_would_help(state):
    with pytest.raises(bridge.NotShareableError) as caught:
        state.run("return {f = function() end}")
    assert "['f']" in str(caught.value)
    assert "only as a result of a State itself" in str(caught.value)


def test_a_function_that_comes_back_is_another_object(state):
    f = state.run("return function(...) return ... end")
    assert f(f) != f
    assert state.run("local f, g = ... return f == g", f, f(f)) is True


def test_functions_take_no_keywords(state):
    f = state.run("return function() end")
    with pytest.raises(TypeError):
        f(a=1)
    assert f(*(), **{}) == ()


def test_functions_come_from_states_only():
    with pytest.raises(TypeError):
        bridge.LuaFunction()
    with pytest.raises(TypeError):
        type("Sub", (bridge.LuaFunction,), {})


@pytest.mark.parametrize("work", [pickle.dumps, copy.copy, copy.deepcopy])
def test_neither_is_copied(state, work):
    with pytest.raises(TypeError):
        work(state)
    with pytest.raises(TypeError):
        work(state.run("return print"))


def test_both_print_themselves(state):
    assert repr(state) == "<bridge.State>"
    assert "LuaFunction" in repr(state.eval("print"))
    state.close()
    assert repr(state) == "<bridge.State, closed>"


def test_a_hundred_thousand_functions_live_and_go(state):
    make = state.run("return function(n) return function() return n end end")
    functions = [make(i) for i in range(100_000)]
    assert all(functions[i]() == i for i in range(0, 100_000, 997))
    full = state.memory.used
    del functions
    state.run("collectgarbage() collectgarbage()")
    assert state.memory.used < full / 2
    again = [make(i) for i in range(1000)]
    assert again[999]() == 999


def test_a_function_that_is_not_wanted_any_more_is_collected(state):
    state.run("seen = setmetatable({}, {__mode = 'k'})")
    f = state.run("local f = function() return seen end seen[f] = true return f")
    state.run("collectgarbage()")
    assert state.eval("next(seen) ~= nil") is True
    del f
    state.run("collectgarbage()")
    assert state.eval("next(seen) == nil") is True


# ---- Errors


def test_errors_have_all_there_is_to_know(state):
    f = state.run(
        "local function inner(v) error(v, 0) end\n"
        "return function(v) inner(v) return 1 end",
        chunk_name="@lib.lua",
    )
    with pytest.raises(bridge.LuaError) as caught:
        f({"code": [7]})
    error = caught.value
    assert error.value == {"code": [7]}
    assert "lib.lua" in error.traceback
    assert [frame.line for frame in error.frames if frame.what == "Lua"] == [1, 2]
    assert error.status == "ESCRIPT"
    with pytest.raises(bridge.LuaError, match="^text"):
        f("text")
    with pytest.raises(bridge.LuaError) as caught:
        f(None)
    assert caught.value.value is None
    assert f is not None and state.run("return 5") == 5


def test_errors_of_syntax(state):
    with pytest.raises(bridge.LuaSyntaxError):
        state.run("return +")
    with pytest.raises(bridge.LuaSyntaxError, match="part.lua:2"):
        state.run("\nreturn +", chunk_name="@part.lua")


def test_a_failed_call_closes_its_variables(state):
    state.run(
        "closed = 0 "
        "function fail() local v <close> = setmetatable({}, "
        "{__close = function() closed = closed + 1 end}) error('x') end "
        "function wait() local v <close> = setmetatable({}, "
        "{__close = function() closed = closed + 1 end}) coroutine.yield() end"
    )
    for name in ("fail", "wait"):
        with pytest.raises(bridge.LuaError):
            state.eval(name)()
    assert state.eval("closed") == 2


def test_a_function_that_yields_says_so(state):
    f = state.eval("coroutine.yield")
    for _ in range(3):
        with pytest.raises(bridge.LuaError, match="yielded"):
            f(1)
    assert state.eval("coroutine.wrap(function() coroutine.yield(1) end)")() == 1


def test_endless_recursion_ends(state):
    f = state.run("local function f() return 1 + f() end return f")
    for _ in range(3):
        with pytest.raises(bridge.LuaError, match="stack overflow"):
            f()
    assert state.run("return 1") == 1


def test_no_memory_is_an_error():
    with bridge.State(memory_limit="1MiB") as state:
        assert state.memory.limit > 2**20
        with pytest.raises(bridge.LuaMemoryError):
            state.run("local t = {} for i = 1, 1e9 do t[i] = i end")
        length = state.run("return function(s) return #s end")
        with pytest.raises(bridge.LuaMemoryError):
            length("x" * 2**21)
        with pytest.raises(bridge.LuaMemoryError):
            length(["x" * 2**21])
        assert length("abc") == 3


@pytest.mark.parametrize("limit", range(64, 6000, 257))
def test_every_limit_is_survived(limit):
    try:
        state = bridge.State(memory_limit=limit)
    except bridge.LuaMemoryError:
        return
    with state:
        for work in (
            lambda: state.run("return 1"),
            lambda: state.run("return function() return {1} end")(),
            lambda: state.run("return ...", "x" * 100, [1, 2]),
            lambda: state.run("return print, print, {}"),
            lambda: state.run("error({})"),
        ):
            try:
                work()
            except bridge.LuaError:
                pass


HOSTILE = """
local mine
local function each() mine = mine or coroutine.running() end
local function meddle()
  setmetatable({}, {__gc = function()
    if mine then
      pcall(coroutine.resume, mine, 1)
      pcall(coroutine.close, mine)
    end
    meddle()
  end})
end
meddle()
collectgarbage('setpause', 1)
return function(...) each() return ... end
"""


def test_a_finalizer_that_meddles_with_the_call_harms_nothing(state):
    f = state.run(HOSTILE)
    right = 0
    for i in range(3000):
        try:
            first, row, last = f(f, [i, {"k": "x" * 100}], f)
            assert row == [i, {"k": "x" * 100}]
            assert isinstance(first, bridge.LuaFunction) and callable(last)
            right += 1
        except bridge.LuaError:
            pass
        try:
            assert f("y" * 50, i) == ("y" * 50, i)
        except bridge.LuaError:
            pass
    assert right > 0
    assert state.run("return nil == (nil), 1") == (True, 1)


@pytest.mark.parametrize(
    "source",
    [
        "coroutine.close(coroutine.running())",
        "local v <close> = setmetatable({}, {__close = function() error('c') end}) error('x')",
        "local v <close> = setmetatable({}, {__close = function() coroutine.yield() end}) error('x')",
        "local v <close> = setmetatable({}, {__close = function() coroutine.yield() end})"
        " coroutine.yield()",
        "local function f() return f() + 1 end "
        "local v <close> = setmetatable({}, {__close = f}) f()",
        "error(setmetatable({}, {__tostring = function() error('t') end}))",
        "error(coroutine.running())",
        "coroutine.wrap(function() error({}) end)()",
        "error()",
    ],
)
def test_whatever_ends_a_call_the_next_one_works(state, source):
    for _ in range(3):
        with pytest.raises(bridge.LuaError):
            state.run(source)
        assert state.run("return ...", 1, "x", [2]) == (1, "x", [2])


# ---- Closing


def test_a_closed_state_refuses_all():
    state = bridge.State()
    f = state.eval("print")
    assert not state.closed
    state.close()
    state.close()
    assert state.closed
    for use in (lambda: state.run(""), lambda: state.eval("1"), f):
        with pytest.raises(bridge.Closed):
            use()
    with pytest.raises(bridge.Closed):
        state.memory


def test_closing_runs_finalizers():
    queue = bridge.Queue()
    state = bridge.State()
    state.run(
        "local q = ... keep = setmetatable({}, {__gc = function() q:push('gone') end})",
        queue,
    )
    state.close()
    assert queue.pop(0) == "gone"


def test_with_closes_also_after_an_error():
    with pytest.raises(ZeroDivisionError):
        with bridge.State() as state:
            1 / 0
    assert state.closed


@pytest.mark.parametrize("timeout", ["x", -1, math.nan])
def test_the_time_to_close_is_checked(state, timeout):
    with pytest.raises((TypeError, bridge.InvalidError)):
        state.close(timeout)
    assert state.run("return 1") == 1


def test_a_state_lives_as_long_as_its_functions():
    queue = bridge.Queue()
    state = bridge.State()
    f = state.run(
        "local q = ... keep = setmetatable({}, {__gc = function() q:push('gone') end})"
        "return function() return 'here' end",
        queue,
    )
    weak = weakref.ref(state)
    del state
    assert weak() is None
    assert f() == "here"
    assert len(queue) == 0
    del f
    assert queue.pop(0) == "gone"


def test_cycles_are_collected():
    queue = bridge.Queue()
    state = bridge.State()

    class Node:
        pass

    node = Node()
    node.self = node
    node.f = state.run(
        "local q = ... keep = setmetatable({}, {__gc = function() q:push('gone') end})"
        "return print",
        queue,
    )
    node.state = state
    weak = weakref.ref(node.f)
    del node, state
    gc.collect()
    assert weak() is None
    assert queue.pop(0) == "gone"


def test_an_object_that_was_not_initialised_says_so():
    state = bridge.State.__new__(bridge.State)
    with pytest.raises(AttributeError):
        state.run("")
    core = type(bridge.State()._core)
    for use in (
        lambda c: c.run_chunk("", None, (), -1, -1),
        lambda c: c.cancel_run(0, 0),
        lambda c: c.close_in(None),
        lambda c: c.memory(),
    ):
        with pytest.raises(ValueError):
            use(core.__new__(core))


# ---- Threads


def run_in(count, work):
    """Run it in as many threads at once; what they raise is raised."""
    failures = []
    start = threading.Barrier(count)

    def main(i):
        try:
            start.wait()
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=main, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("release", KEEPS)
def test_one_thread_at_a_time_is_inside(release):
    with bridge.State(release_gil=release) as state:
        add = state.run(
            "local n, inside = 0, false "
            "return function(k) assert(not inside) inside = true "
            "for _ = 1, k do n = n + 1 end inside = false return n end"
        )
        run_in(4, lambda i: [add(50) for _ in range(500)])
        assert add(0) == 4 * 500 * 50


def test_other_threads_go_on_while_lua_waits(state):
    """It would wait for ever if the GIL were kept."""
    ask, answer = bridge.Queue(), bridge.Queue()
    f = state.run(
        "local ask, answer = ... return function() ask:push('?') return answer:pop() end",
        ask,
        answer,
    )
    thread = threading.Thread(target=lambda: answer.push(ask.pop() + "!"))
    thread.start()
    assert f() == "?!"
    thread.join()


def waiting_call(state):
    """A thread that is in the state until a queue says so, and what it gave."""
    up, go, results = bridge.Queue(), bridge.Queue(), []
    f = state.run(
        "local up, go = ... return function() up:push(1) return go:pop() end", up, go
    )
    thread = threading.Thread(target=lambda: results.append(f()))
    thread.start()
    up.pop(timeout=30)
    return thread, go, results


def test_closing_waits_no_longer_than_it_was_told():
    state = bridge.State()
    thread, go, results = waiting_call(state)
    with pytest.raises(bridge.Timeout):
        state.close(timeout=0)
    with pytest.raises(bridge.Timeout):
        state.close(timeout=0.01)
    with pytest.raises(bridge.Closed):
        state.run("")
    go.push("done")
    thread.join(30)
    assert results == ["done"]
    state.close()


def test_closing_waits_for_the_call_that_runs():
    state = bridge.State()
    thread, go, results = waiting_call(state)
    closing = threading.Thread(target=state.close)
    closing.start()
    while not state.closed:
        time.sleep(0)
    go.push("done")
    closing.join(30)
    thread.join(30)
    assert not closing.is_alive() and results == ["done"]


def test_who_stands_in_line_hears_of_the_closing():
    state = bridge.State()
    thread, go, results = waiting_call(state)
    heard = []

    def stand():
        try:
            state.run("return 1")
        except bridge.Closed as error:
            heard.append(error)

    line = [threading.Thread(target=stand) for _ in range(3)]
    for each in line:
        each.start()
    with pytest.raises(bridge.Timeout):
        state.close(timeout=0)
    go.push("done")
    for each in (thread, *line):
        each.join(30)
        assert not each.is_alive()
    assert len(heard) == 3 and results == ["done"]


def test_functions_may_go_while_another_thread_is_inside():
    state = bridge.State()
    functions = [state.run("return function() end") for _ in range(100)]
    thread, go, results = waiting_call(state)
    functions.clear()
    go.push("done")
    thread.join(30)
    assert results == ["done"]
    state.close()


def test_a_finalizer_of_python_cannot_go_in_again(state):
    """Garbage is collected while a result is being made."""
    seen = []

    class Finalized:
        def __del__(self):
            try:
                seen.append(state.run("return 1"))
            except bridge.Error as error:
                seen.append(type(error))
            try:
                state.close()
            except bridge.Error as error:
                seen.append(type(error))

    f = state.run("return function() local t = {} for i = 1, 2000 do t[i] = {} end return t end")
    before = gc.get_threshold()
    gc.set_threshold(50)
    try:
        for _ in range(20):
            cycle = [Finalized()]
            cycle.append(cycle)
            del cycle
            assert len(f()) == 2000
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert bridge.Deadlock in seen or 1 in seen
    assert not state.closed or seen[-1] is not bridge.Deadlock


def test_the_main_thread_gets_its_turn_though_it_looks_for_signals(state):
    """Calls take longer than it waits without looking: it must not lose its place
    in line to those who wait in one go."""
    enough = 30
    call = state.run("local b = require 'bridge' return function() b.sleep(0.13) end")
    calls = []

    def crowd():
        while len(calls) < enough:
            call()
            calls.append(None)

    threads = [threading.Thread(target=crowd) for _ in range(3)]
    for each in threads:
        each.start()
    while not calls:
        threading.Event().wait(0.001)
    call()
    others = len(calls)
    calls.extend([None] * enough)
    for each in threads:
        each.join()
    assert others < enough


def test_ctrl_c_breaks_the_wait_for_the_state():
    state = bridge.State()
    thread, go, results = waiting_call(state)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        state.run("return 1")
    timer.join()
    go.push("done")
    thread.join(30)
    assert state.run("return 1") == 1 and results == ["done"]
    state.close()


# ---- Processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_cannot_use_the_states_of_its_parent(python):
    done = python(
        """
import os, bridge
state = bridge.State()
f = state.run("return function() return 1 end")
assert f() == 1
child = os.fork()
if child == 0:
    for use in (f, lambda: state.run(""), state.close):
        try:
            use()
        except bridge.ForkedError:
            continue
        os._exit(1)
    del f, state
    with bridge.State() as own:
        os._exit(0 if own.eval("2") == 2 else 2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert f() == 1
print("good")
"""
    )
    assert done.stdout == "good\n", done.stderr


@pytest.mark.parametrize(
    "end",
    ["", "sys.exit(0)", "raise SystemExit", "os._exit(0)"],
)
def test_python_ends_with_states_open(python, end):
    done = python(
        f"""
import os, sys, threading, bridge
state = bridge.State()
f = state.run("keep = setmetatable({{}}, {{__gc = function() end}}) return function(q) q:push(1) while true do end end")
g = state.eval("print")
up = bridge.Queue()
other = bridge.State()
threading.Thread(target=other.run, args=("local q = ... q:push(1) require('bridge').sleep(1000)", up), daemon=True).start()
up.pop(timeout=30)
print("ending", flush=True)
{end}
"""
    )
    assert (done.returncode, done.stdout) == (0, "ending\n"), done.stderr


def test_counts_of_references_are_kept(echo):
    text, row, number = "some text", [1, 2], 10**15
    values = (text, row, number)
    before = [sys.getrefcount(each) for each in values]
    for _ in range(1000):
        echo(text, number)
        echo(text, row, number)
        with pytest.raises(bridge.Error):
            echo(text, row, object())
    after = [sys.getrefcount(each) for each in values]
    assert [b - a for a, b in zip(before, after)] == [0, 0, 0]
