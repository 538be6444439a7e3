"""Stopping scripts, and how long they may run: states and workers."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import bridge

LONG = 30
SPIN = "local function spin() while true do end end spin()"
SWALLOW = "while true do pcall(function() while true do end end) end"
WAIT = "require 'bridge'.sleep(1e6)"


# ---- States


@pytest.mark.parametrize("script", [SPIN, SWALLOW])
@pytest.mark.parametrize("release_gil", [True, False])
def test_a_call_that_takes_too_long_is_stopped(script, release_gil):
    with bridge.State(timeout=0.02, release_gil=release_gil) as state:
        with pytest.raises(bridge.Timeout) as caught:
            state.run(script)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.status == "ETIMEDOUT"
        assert state.run("return 1, {2}") == (1, [2])


def test_where_a_script_was_stopped():
    with bridge.State(timeout=0.02) as state:
        with pytest.raises(bridge.Timeout) as caught:
            state.run(SPIN, chunk_name="=spin")
    assert [frame.name for frame in caught.value.frames][:1] == ["spin"]
    assert "20 ms" in caught.value.message
    assert "in local 'spin'" in caught.value.traceback
    assert caught.value.traceback in str(caught.value)


def test_functions_have_the_limits_of_their_state():
    with bridge.State(timeout=0.02) as state:
        spin = state.run("return function(...) while ... do end return ... end")
        for arguments in ((True,), ([1],), ("text",)):
            with pytest.raises(bridge.Timeout):
                spin(*arguments)
        assert spin(False) is False


def test_cpu_time_is_limited_and_waiting_is_not():
    with bridge.State(cpu=0.02) as state:
        state.run("require 'bridge'.sleep(0.05)")
        with pytest.raises(bridge.Timeout) as caught:
            state.run(SPIN)
        assert "CPU" in caught.value.message


def test_one_run_has_limits_of_its_own():
    with bridge.State(timeout=1e9) as state:
        with pytest.raises(bridge.Timeout):
            state.run(SPIN, timeout=0.01)
        with pytest.raises(bridge.Timeout):
            state.run(SPIN, cpu=0.01)
        assert state.eval("1") == 1
    with bridge.State(timeout=0.01) as state:
        state.run("for i = 1, 1e7 do end", timeout=None)
        with pytest.raises(bridge.Timeout):
            state.run(SPIN)


def test_packing_a_result_is_limited():
    source = """
    local bridge = require "bridge"
    local class = {}
    function class.__bridge_pack() while true do end end
    function class.__bridge_unpack() end
    bridge.register("hog", class)
    return setmetatable({}, class)
    """
    with bridge.State(timeout=0.02) as state:
        with pytest.raises(bridge.Timeout):
            state.run(source)
        assert state.run("return {1}") == [1]


def test_what_is_only_asked_stops_waiting():
    waits = """
    local bridge = require "bridge"
    local _, _, code = bridge.channel():receive()
    return code, bridge.cancelled()
    """
    with bridge.State(stop="cooperative", timeout=0.02) as state:
        assert state.run(waits) == ("ETIMEDOUT", True)
    worker = bridge.Worker(waits, stop="cooperative", timeout=0.02)
    assert worker.join(60) == ("ETIMEDOUT", True)


def test_making_objects_of_arguments_is_limited(tmp_path):
    (tmp_path / "slow_class.lua").write_text("while true do end")
    made = bridge.Object("slow", [1], module="slow_class")
    path = f"{tmp_path}/?.lua;;"
    worker = bridge.Worker("return 1", made, path=path, timeout=0.05)
    with pytest.raises(bridge.Timeout):
        worker.join(60)
    worker = bridge.Worker("return 1", made, path=path)
    worker.cancel()
    with pytest.raises(bridge.Cancelled):
        worker.join(60)


def test_compiling_is_limited():
    names = ",".join(f"l{i}" for i in range(190))
    source = f"function f() local {names} " * 185 + "x=y " * 1_000_000 + "end " * 185
    with bridge.State() as state:
        with pytest.raises(bridge.Timeout):
            state.run(source, timeout=0.02)
        assert state.run("return 1") == 1
    with bridge.State(sandbox=True, timeout=0.02) as state:
        with pytest.raises(bridge.Timeout):
            state.run(source)


def test_values_of_a_state_are_limited():
    long = 2 << 20
    with bridge.State(sandbox=True) as state:
        with pytest.raises(bridge.LimitError):
            state.run("return ('x'):rep(...)", long)
        with pytest.raises(bridge.LimitError):
            state.run("return #...", "x" * long)
        assert state.run("return ('x'):rep(...)", 5) == "xxxxx"
        assert state.run("local f, t = ... return f, t, nil", 1.5, None) == (1.5, None, None)
        double = state.run("return function(x) return 2 * x end")
        assert double(4) == 8
        assert state.run("local f, x = ... return f(x), f", double, 3)[0] == 6
    for limits in ({"message_limit": 1000}, {"value_limit": 3}):
        with bridge.State(**limits) as state:
            with pytest.raises(bridge.LimitError):
                state.run("return 1, 2, ('x'):rep(1000), 4, 5, 6")
            with pytest.raises(bridge.LimitError):
                state.run("return 1", 1, 2, "x" * 1000, 4, 5, 6)
            assert state.run("return 1, 2, 'x'") == (1, 2, "x")


@pytest.mark.parametrize("name", ["timeout", "cpu"])
def test_wrong_limits_name_themselves(name):
    for wrong in (0, -1, float("nan")):
        with pytest.raises(bridge.InvalidError, match=name):
            bridge.State(**{name: wrong})
        with pytest.raises(bridge.InvalidError, match=name):
            bridge.Worker("", **{name: wrong})
        with bridge.State() as state, pytest.raises(bridge.InvalidError, match=name):
            state.run("", **{name: wrong})
    for wrong in ("1", True, [], b""):
        with pytest.raises(TypeError, match=name):
            bridge.State(**{name: wrong})


WRONG = {
    "stop": ("never", 1),
    "sandbox": (1, "yes"),
    "priority": ("highest", 1),
    "affinity": ([], [64], [-1], "0", 3, [True]),
    "inbox_full": ("explode", 1),
    "call_timeout": (0, "1"),
    "call_cpu": (-1, True),
    "memory": (0, "64 gallons", 1.5),
    "log": (1, "stderr"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_name_themselves(name):
    for wrong in WRONG[name]:
        with pytest.raises((bridge.InvalidError, TypeError)) as caught:
            bridge.Worker("", **{name: wrong})
        assert name in str(caught.value)


def test_cancel_stops_what_runs_and_nothing_later():
    with bridge.State() as state:
        assert state.cancel() is False
        up = bridge.Queue()

        def cancel():
            up.pop(timeout=LONG)
            while not state.cancel():
                time.sleep(0)

        for script in (SWALLOW, WAIT):
            thread = threading.Thread(target=cancel)
            thread.start()
            with pytest.raises(bridge.Cancelled):
                state.run("local q = ... q:push(1) " + script, up)
            thread.join()
            assert state.run("return 1") == 1
    assert state.cancel() is False


def test_with_a_grace_a_script_may_clean_up():
    with bridge.State() as state:
        up = bridge.Queue()

        def cancel():
            up.pop(timeout=LONG)
            while not state.cancel(grace=LONG):
                time.sleep(0)

        thread = threading.Thread(target=cancel)
        thread.start()
        assert state.run(
            "local q = ... local ok, why = pcall(function() q:push(1) "
            "while true do end end) return ok, tostring(why):match('cancelled')",
            up,
        ) == (False, "cancelled")
        thread.join()
        for wrong in (-1, float("nan")):
            with pytest.raises(bridge.InvalidError):
                state.cancel(grace=wrong)
        with pytest.raises(bridge.InvalidError):
            state.cancel("now")


def test_a_sandbox_has_no_way_out():
    with bridge.State(sandbox=True, timeout=LONG) as state:
        assert state.run("return io, os and os.execute, debug, string.dump") == (
            None,
            None,
            None,
            None,
        )
        assert state.eval("1 + 1") == 2


# ---- Workers


def test_a_worker_lives_no_longer_than_it_may():
    for script in (SPIN, WAIT):
        worker = bridge.Worker(script, timeout=0.02)
        with pytest.raises((bridge.Timeout, bridge.Cancelled)):
            worker.join(timeout=LONG)
        assert worker.phase == "ended"


SERVICE = """
local bridge = require "bridge"
return bridge.serve {
  spin = function() while true do end end,
  echo = function(...) return ... end,
}
"""


def test_a_handler_that_takes_too_long_fails_alone():
    for limits in ({"call_timeout": 0.02}, {"call_cpu": 0.02}):
        with bridge.Worker(SERVICE, **limits) as worker:
            with pytest.raises(bridge.Timeout) as caught:
                worker.call("spin", timeout=LONG)
            assert "script" in str(caught.value)
            assert worker.call("echo", 1, timeout=LONG) == 1

            async def ask():
                with pytest.raises(bridge.Timeout):
                    await worker.acall("spin")
                return await worker.acall("echo", 2)

            assert asyncio.run(ask()) == 2


def test_a_handler_is_stopped_when_the_time_of_its_caller_is_over():
    with bridge.Worker(SERVICE) as worker:
        for _ in range(3):
            with pytest.raises(bridge.Timeout):
                worker.call("spin", timeout=0.02)
            assert worker.call("echo", 1, timeout=LONG) == 1

        async def ask():
            with pytest.raises(bridge.Timeout):
                await worker.acall("spin", timeout=0.02)
            return await worker.acall("echo", 2, timeout=LONG)

        assert asyncio.run(ask()) == 2


def test_a_computing_worker_is_cancelled(spinning):
    worker = spinning()
    worker.cancel()
    with pytest.raises(bridge.Cancelled) as caught:
        worker.join(timeout=LONG)
    assert caught.value.frames
    worker.cancel("strict", grace=1)
    for wrong in (-1, float("nan")):
        with pytest.raises(bridge.InvalidError):
            worker.cancel(grace=wrong)
    with pytest.raises(bridge.InvalidError):
        worker.cancel("hard")


def test_priority_and_processors():
    with bridge.Worker("return 1", priority="low", affinity=[0]) as worker:
        assert worker.join(timeout=LONG) == 1
    with bridge.Worker("return 1", priority="idle", affinity=range(64)) as worker:
        assert worker.join(timeout=LONG) == 1


# ---- Ctrl-C

PROGRAM = """
import os, signal, sys, threading
import bridge
pipe = int(sys.argv[1])
state = bridge.State({options})
ready = lambda: os.write(pipe, b"r")
{before}
try:
    {body}
except KeyboardInterrupt:
    print("interrupted")
except bridge.Cancelled:
    print("cancelled")
print(state.run("return 1"))
"""

BODIES = {
    "a loop": "ready(); state.run('while true do end')",
    "what swallows errors": "ready(); state.run('" + SWALLOW + "')",
    "a wait": "ready(); state.run('" + WAIT.replace("'", "[[", 1).replace("'", "]]") + "')",
    "a function": "f = state.run('return function() while true do end end');"
    " ready(); f()",
    "a coroutine": "ready(); state.run('coroutine.wrap(function() while true do end"
    " end)()')",
}


def interrupt(body, options="", before=""):
    read, write = os.pipe()
    text = PROGRAM.format(body=body, options=options, before=before)
    with subprocess.Popen(
        [sys.executable, "-c", text, str(write)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[write],
    ) as child:
        os.close(write)
        assert os.read(read, 1) == b"r"
        os.close(read)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return out.split()


@pytest.mark.parametrize("body", BODIES)
def test_ctrl_c_stops_a_script(body):
    assert interrupt(BODIES[body]) == ["interrupted", "1"]


def test_ctrl_c_stops_a_script_that_keeps_the_gil():
    out = interrupt(BODIES["a loop"], options="release_gil=False")
    assert out == ["interrupted", "1"]


def test_a_handler_that_raises_nothing_cancels():
    out = interrupt(
        "state.run('local f = io.open((...), [[w]]) f:write([[r]]) f:close() '"
        " 'while true do end', '/dev/fd/' + str(pipe))",
        before="state.run('')\nsignal.signal(signal.SIGINT, lambda *a: print('heard'))",
    )
    assert out == ["heard", "cancelled", "1"]


def test_who_has_another_handler_within_asyncio_is_heard():
    before = "import asyncio\nstate.run('')\nasyncio.run(asyncio.sleep(0))"
    assert interrupt(BODIES["a loop"], before=before) == ["interrupted", "1"]


def test_ctrl_c_is_heard_in_the_child_of_a_fork():
    read, write = os.pipe()
    state = bridge.State()
    state.run("")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            own = bridge.State()
            own.run("")
            os.write(write, b"r")
            own.run("while true do end")
        except KeyboardInterrupt:
            code = 7
        finally:
            os._exit(code)
    assert os.read(read, 1) == b"r"
    os.kill(child, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    os.close(read)
    os.close(write)
