"""Workers that yield: `next`, `values` and the same for asyncio."""

import asyncio
import signal
import threading

import pytest

import bridge

LONG = 30

COUNT = "local b = require 'bridge' for i = 1, (...) do b.yield(i) end return 'done'"


def test_it_goes_on_like_a_coroutine():
    source = """
    local bridge = require "bridge"
    local a, b = bridge.yield(1, "one")
    local c = bridge.yield(a, b)
    bridge.yield()
    return c
    """
    worker = bridge.Worker(source)
    assert worker.next("nobody takes this") == (1, "one")
    assert worker.next(None, "b") == (None, "b")
    assert worker.next([1]) == ()
    for _ in range(2):
        with pytest.raises(bridge.Closed):
            worker.next(timeout=LONG)
    assert worker.join(timeout=LONG) == [1]


def test_all_that_it_yields():
    worker = bridge.Worker(COUNT, 1000)
    assert list(worker.values()) == list(range(1, 1001))
    assert list(worker.values()) == []
    assert worker.join(timeout=LONG) == "done"


def test_a_loop_that_breaks_leaves_the_rest():
    with bridge.Worker(COUNT, 5) as worker:
        for value in worker.values():
            if value == 2:
                break
        assert list(worker.values(timeout=LONG)) == [3, 4, 5]


def test_an_error_ends_the_loop():
    worker = bridge.Worker("require 'bridge'.yield(1) error({code = 7})")
    values = worker.values()
    assert next(values) == 1
    with pytest.raises(bridge.LuaError) as caught:
        next(values)
    assert caught.value.value == {"code": 7}
    worker = bridge.Worker("require 'bridge'.yield(1) return io.stdout")
    assert list(worker.values()) == [1], "its results are for join"


def test_a_worker_that_you_drive_is_stepped():
    with bridge.Worker(COUNT, 3, drive="host") as worker:
        assert list(worker.values(timeout=LONG)) == [1, 2, 3]


def test_what_comes_too_late_stays():
    gate = bridge.Queue()
    source = """
    local bridge, gate = require "bridge", ...
    local x = bridge.yield(1)
    gate:pop()
    bridge.yield(2, x)
    """
    with bridge.Worker(source, gate) as worker:
        assert worker.next(timeout=LONG) == 1
        with pytest.raises(bridge.Timeout):
            worker.next("x", timeout=0.25)  # longer than one look for Ctrl-C
        with pytest.raises(bridge.Timeout):
            worker.next("y", timeout=0)
        gate.push(1)
        assert worker.next(timeout=LONG) == (2, "x")
        with pytest.raises(bridge.Closed):
            worker.next(timeout=LONG)


def test_the_main_thread_loses_no_values_while_the_worker_is_held():
    source = "local b = require 'bridge' local x = b.yield(1) b.yield(x)"
    with bridge.Worker(source) as worker:
        assert worker.next(timeout=LONG) == 1
        worker.pause()
        timer = threading.Timer(0.3, worker.resume)
        timer.start()
        assert worker.next("x", timeout=LONG) == "x"
        timer.join()


def test_wrong_arguments():
    worker = bridge.Worker(COUNT, 1)
    with pytest.raises(bridge.InvalidError):
        worker.next(timeout=-1)
    with pytest.raises(TypeError):
        worker.next(timeout="1")
    with pytest.raises(bridge.NotShareableError):
        worker.next(object())
    assert worker.next(timeout=LONG) == 1


def test_what_cannot_come_to_python_is_said():
    source = "local b = require 'bridge' b.yield(function() end) b.yield(2)"
    with bridge.Worker(source) as worker:
        with pytest.raises(bridge.NotShareableError):
            worker.next(timeout=LONG)
        assert worker.next(timeout=LONG) == 2


def test_several_threads_share_what_it_yields():
    seen = []
    worker = bridge.Worker(COUNT, 400)

    def take():
        seen.extend(worker.values())

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert sorted(seen) == list(range(1, 401))


INTERRUPTED = """
import bridge, os, signal, threading
main = os.getpid()
gate = bridge.Queue()
worker = bridge.Worker(
    "local b, gate = require 'bridge', ... for i = 1, 3 do gate:pop() b.yield(i) end", gate
)
threading.Timer(0.05, os.kill, (main, signal.SIGINT)).start()
try:
    worker.next()
except KeyboardInterrupt:
    print("interrupted")
for _ in range(3):
    gate.push(1)
print(list(worker.values()))
"""


def test_ctrl_c_loses_nothing(python):
    done = python(INTERRUPTED)
    assert done.stdout.split("\n")[:2] == ["interrupted", "[1, 2, 3]"], done.stderr


def test_signals_while_values_come_lose_nothing():
    class Heard(Exception):
        pass

    awaited = ended = False  # whether a signal may end what is done

    def hear(*_):
        nonlocal awaited
        if awaited:
            awaited = False
            raise Heard

    before = signal.signal(signal.SIGUSR1, hear)
    stop = threading.Event()
    main = threading.main_thread().ident
    seen = []

    def disturb():
        while not stop.wait(0.0005):
            signal.pthread_kill(main, signal.SIGUSR1)

    worker = bridge.Worker(COUNT, 2000)
    thread = threading.Thread(target=disturb)
    heard = 0
    try:
        thread.start()
        while not ended:
            value = None
            try:
                awaited = True
                try:
                    value = worker.next()
                    seen.append(value)
                except bridge.Closed:
                    ended = True
                awaited = False
            except Heard:
                heard += 1
                # It may come between the call and the list: then it was given to us.
                if value is not None and seen[-1:] != [value]:
                    seen.append(value)
    finally:
        stop.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert sorted(set(seen)) == seen
    assert len(seen) + heard >= 2000


# ---- asyncio


def test_in_a_task():
    async def main():
        async with bridge.Worker(COUNT, 50) as worker:
            assert await worker.anext(timeout=LONG) == 1
            assert [value async for value in worker.avalues()] == list(range(2, 51))
            with pytest.raises(bridge.Closed):
                await worker.anext()
        broken = bridge.Worker("require 'bridge'.yield(1) error 'broken'")
        with pytest.raises(bridge.LuaError, match="broken"):
            [value async for value in broken.avalues()]

    asyncio.run(main())


def test_a_task_that_is_cancelled_or_late_loses_nothing():
    async def main():
        gate = bridge.Queue()
        source = """
        local bridge, gate = require "bridge", ...
        local x = bridge.yield(1)
        gate:pop()
        local y = bridge.yield(x)
        bridge.yield(y)
        """
        async with bridge.Worker(source, gate) as worker:
            assert await worker.anext() == 1
            with pytest.raises(bridge.Timeout):
                await worker.anext("x", timeout=0.12)
            task = asyncio.ensure_future(worker.anext())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            gate.push(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await worker.anext(timeout=LONG) == "x"
            assert await worker.anext("y", timeout=LONG) == "y"
            with pytest.raises(bridge.InvalidError):
                await worker.anext(timeout=-1)

    asyncio.run(main())
