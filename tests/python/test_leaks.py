"""What is dropped is gone: objects, memory, descriptors and threads."""

import asyncio
import gc
import os
import sys
import threading
import time
import tracemalloc
import weakref

import pytest

import bridge


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def threads():
    return len(os.listdir("/proc/self/task"))


def settle(measure, at_most):
    """Wait, within bounds, for threads that are on their way out."""
    deadline = time.monotonic() + 30
    while measure() > at_most and time.monotonic() < deadline:
        time.sleep(0.001)
    return measure()


# The smallest object has 16 bytes; tables that grow once have some thousands.
ROUNDS = 3000
LEFT = 30000


def grown(work, rounds=ROUNDS):
    """Bytes of Python's memory that pieces of work leave behind."""
    for _ in range(20):
        work()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(rounds):
            work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


def own(value):
    return 0 if value is None or value is True else sys.getrefcount(value)


SHARED = [1]
VALUES = {
    "nothing": (),
    "scalars": (None, True, 2**62, 1.5, "text", "h\udcff\ud800", b"bytes"),
    "containers": ([1, [2, (3, {"k": [4]})]], {"a": {1: [None]}}),
    "shared": (SHARED, SHARED, [SHARED]),
    "handles": (bridge.Buffer(b"x"), bridge.Queue(), bridge.Waker("condition")),
}


@pytest.mark.parametrize("name", VALUES)
def test_crossing_leaves_nothing(name):
    values = VALUES[name]
    queue = bridge.Queue()
    counts = [own(each) for each in values]

    def work():
        queue.push(*values)
        queue.pop(0)
        queue.push(*values)
        queue.pop_batch(5)

    assert grown(work) < LEFT
    # Others count references to None and True, too.
    assert [own(each) for each in values] == counts


FAILURES = {
    "a value": lambda queue: queue.push([{"k": [object()]}]),
    "a key": lambda queue: queue.push({(1, 2): {print: 1}}),
    "an integer": lambda queue: queue.push([1, {"k": 2**64}]),
    "depth": lambda queue: queue.push(DEEP),
    "a full queue": lambda queue: queue.push([1, {"k": "v"}], timeout=0),
    "an empty queue": lambda queue: bridge.Queue().pop(0),
    "a time-out": lambda queue: queue.push(1, timeout=-1),
    "a bad chunk": lambda queue: bridge.Worker("return +", {"k": [1]}),
    "bad options": lambda queue: bridge.Worker("", 1, name="a\0b"),
    "a bad limit": lambda queue: bridge.Worker("", {"k": [1]}, timeout=0),
    "a bad log": lambda queue: bridge.Worker("", {"k": [1]}, log=7),
    "a bad processor": lambda queue: bridge.Worker("", 1, affinity=[64]),
    "a bad logger": lambda queue: bridge.set_logger(1),
    "a bad source": lambda queue: bridge.Worker(1, {"k": [1]}),
    "a bad kind": lambda queue: bridge.Queue(waker="x"),
    "a bad buffer": lambda queue: bridge.Buffer("x"),
    "a view": lambda queue: memoryview(bridge.Buffer(3)).cast("d"),
}


def deep():
    value = []
    for _ in range(1001):
        value = [value]
    return value


DEEP = deep()


@pytest.mark.parametrize("name", FAILURES)
def test_failing_leaves_nothing(name):
    queue = bridge.Queue(items=1)
    queue.push("taken")

    def work():
        with pytest.raises(Exception):
            FAILURES[name](queue)

    assert grown(work) < LEFT


def test_a_value_that_python_cannot_have_leaves_nothing():
    queue = bridge.Queue()
    bridge.Worker("(...):push({a = {{}, print}})", queue).join(timeout=30)

    def work():
        with pytest.raises(bridge.NotShareableError):
            queue.pop(0)

    assert grown(work) < LEFT
    assert len(queue) == 1


def test_loops_leave_nothing():
    async def main():
        queue = bridge.Queue(waker="default")

        async def read():
            for i in range(10):
                queue.push([i, "text"])
            async for value in queue:
                if value[0] == 7:
                    break
            assert len(await queue.apop_batch(10)) == 2
            with pytest.raises(bridge.Empty):
                await queue.apop(timeout=0)

        for _ in range(20):
            await read()
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(1000):
                await read()
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()

    assert asyncio.run(main()) < LEFT


def test_calls_leave_nothing(service):
    def work():
        service.call("echo", {"k": [1, "text"]}, b"x")
        with pytest.raises(bridge.LuaError):
            service.call("fail", {"k": [1]})
        with pytest.raises(bridge.NotFound):
            service.call("unheard")

    assert grown(work) < LEFT


@pytest.mark.parametrize("release", [True, False])
def test_calls_of_lua_leave_nothing(release):
    with bridge.State(release_gil=release) as state:
        echo = state.run("return function(...) return ... end")
        fail = state.run("return function(v) error(v) end")

        def work():
            echo(1, 2.5, "text", "h\udcff", b"x", None, True)
            echo({"k": [1, "text"]}, echo, "x")
            echo(echo, echo)
            state.run("return function() end, {1}, 'x'", 1, [2])
            for failing in (
                lambda: fail({"k": [1]}),
                lambda: echo(2**64),
                lambda: echo(echo, [object()]),
                lambda: state.run("return print, {print}"),
                lambda: state.run("return +"),
                lambda: echo(a=1),
            ):
                with pytest.raises(Exception):
                    failing()

        assert grown(work) < LEFT
        state.run("collectgarbage()")
        used = state.memory.used
        for _ in range(1000):
            work()
        state.run("collectgarbage()")
        assert state.memory.used < used + 4096


def test_a_thousand_states_are_gone():
    def work():
        state = bridge.State()
        f, g = state.run("return function() end, print")
        del state
        f()
        bridge.State().close()

    assert grown(work, 1000) < LEFT


def test_ten_thousand_of_each_are_gone():
    before = descriptors()
    for _ in range(10000):
        bridge.Buffer(16)
        bridge.Queue()
        bridge.Waker("condition")
        bridge.Waker("eventfd")
        bridge.Queue(waker="pipe")
    gc.collect()
    assert descriptors() == before


def test_a_thousand_workers_are_gone():
    before = threads(), descriptors()
    for i in range(1000):
        assert bridge.Worker("return ...", i).join(timeout=30) == i
    for _ in range(200):
        bridge.Worker("")
    gc.collect()
    assert settle(threads, before[0]) <= before[0]
    assert settle(descriptors, before[1]) <= before[1]


def test_objects_go_when_the_last_reference_goes():
    for make in (
        lambda: bridge.Buffer(3),
        bridge.Queue,
        bridge.Waker,
        lambda: bridge.Worker(""),
        bridge.State,
        lambda: bridge.State().eval("print"),
    ):
        handle = make()
        weak = weakref.ref(handle)
        del handle
        assert weak() is None


def test_handles_in_a_cycle_are_collected():
    class Node:
        pass

    node = Node()
    node.self = node
    node.queue = bridge.Queue()
    weak = weakref.ref(node.queue)
    node.queue.push(bridge.Buffer(1000))
    del node
    gc.collect()
    assert weak() is None


def test_messages_that_nobody_pops_go_with_the_queue():
    import resource

    def work():
        queue = bridge.Queue()
        for _ in range(16):
            queue.push(bytes(2**20))

    work()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(40):
        work()
    # 640 MiB went through; 16 at a time.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_dropping_handles_from_many_threads():
    queue = bridge.Queue()
    queue.push(bridge.Buffer(10), bridge.Queue())

    def work():
        for _ in range(500):
            local = bridge.Queue()
            local.push(bridge.Buffer(8), local2 := bridge.Queue())
            local2.push([1, 2, 3])
            local.pop(0)

    running = [threading.Thread(target=work) for _ in range(4)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(queue) == 1


def test_stopped_runs_leave_nothing():
    with bridge.State(timeout=0.001) as state:

        def work():
            with pytest.raises(bridge.Timeout):
                state.run("while true do end", [1], {"k": "v"})

        assert grown(work, 60) < LEFT


def test_looking_at_workers_leaves_nothing():
    with bridge.Worker("require 'bridge'.sleep(1e6)", name="seen") as worker:

        def work():
            assert bridge.workers()
            assert bridge.find("seen") is worker
            assert bridge.find("not") is None
            worker.info()

        assert grown(work, 300) < LEFT
        assert sys.getrefcount(worker) < 10


def test_asking_without_room_leaves_nothing():
    hold = bridge.Queue()
    with bridge.Worker("(...):pop()", hold, inbox_items=1, inbox_full="fail") as worker:
        worker.send("a")

        async def ask():
            for _ in range(10):
                with pytest.raises(bridge.Full):
                    await worker.acall("a", {"k": [1, "text" * 100]})

        def work():
            with pytest.raises(bridge.Full):
                worker.call("a", {"k": [1, "text" * 100]}, timeout=0)
            asyncio.run(ask())

        assert grown(work, 100) < LEFT
        hold.push(1)


def test_what_is_yielded_leaves_nothing():
    source = "local b = require 'bridge' local x while true do x = b.yield(x) end"
    with bridge.Worker(source) as worker:
        worker.next()

        def work():
            assert worker.next({"k": [1]}) == {"k": [1]}
            with pytest.raises(bridge.NotShareableError):
                worker.next(object())

        assert grown(work, 1000) < LEFT
