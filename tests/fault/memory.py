"""Python runs out of memory: at each allocation of the library, and at each one of
its own, while it uses the package.  Nothing is lost, nothing crashes, the exception
says what it was, and the same objects then work.

    memory.py liballocator.so
"""

import ctypes
import gc
import os
import signal
import sys
import time

faults = ctypes.CDLL(sys.argv[1])
faults.fault_live.restype = ctypes.c_long
faults.fault_arm.argtypes = [ctypes.c_long, ctypes.c_int]
assert faults.fault_install() == 0

import bridge  # noqa: E402  (the allocator comes first)

try:
    import _testcapi
except ImportError:
    _testcapi = None

SANITIZED = bool(os.environ.get("BRIDGE_SANITIZED"))
signal.alarm(100)

SERVICE = """
local bridge = require "bridge"
return bridge.serve {
  echo = function(...) return ... end,
  fail = function(value) error { value } end,
}
"""

failures = []


def complain(*words):
    failures.append(" ".join(map(str, words)))
    print(failures[-1], file=sys.stderr)


# ---- What is done ---------------------------------------------------------------


class Scene:
    """Prepared in peace, and closed."""

    def __init__(self):
        self.queue = bridge.Queue(waker="pipe")
        self.worker = bridge.Worker(SERVICE)
        self.worker.call("echo")
        self.buffer = bridge.Buffer(b"bytes")
        self.waker = bridge.Waker()
        cycle = []
        cycle.append(cycle)
        self.values = (
            None, True, 2**62, -1, 1.5, "text", b"bytes", ["x" * 300] * 3,
            {"key": [1, 2], 2: {}}, cycle, self.buffer, self.queue, self.worker,
        )

    def close(self):
        self.worker.close()
        self.queue.close()

    # Each returns nothing, and asserts.

    def cross(self):
        other = bridge.Queue()
        other.push(*self.values)
        got = other.pop(timeout=0)
        # (CPython 3.11 loses what list() cannot copy.)
        assert got[2] == 2**62 and got[5] == "text", got
        assert len(got) == len(self.values)
        other.push(1)
        other.push({"a": 2})
        assert other.pop_batch(5, timeout=0) == [1, {"a": 2}]

    def make(self):
        for kind in ("eventfd", "pipe", "udp", "condition"):
            waker = bridge.Waker(kind)
            waker.raise_()
            waker.wait(20)
            waker.clear()
            waker.close()
        assert bytes(bridge.Buffer(b"abc")) == b"abc"
        with bridge.Queue(items=4, full="drop_oldest") as queue:
            for i in range(6):
                queue.push(i)
            assert queue.pop(0) == 2

    def call(self):
        assert self.worker.call("echo", [1, {"a": "b"}]) == [1, {"a": "b"}]
        self.worker.send("echo", 1)

    def raised(self):
        try:
            self.worker.call("fail", "mine")
        except bridge.LuaError as error:
            if error.value is None or not error.traceback:
                raise MemoryError("details were lost") from None
            assert error.value == ["mine"], error.value
        else:
            assert False, "nothing was raised"

    def work(self):
        worker = bridge.Worker("return ..., { 'results' }", 5)
        five, results = worker.join(timeout=20)
        assert five == 5 and results == ["results"]

    def host(self):
        worker = bridge.Worker("return ...", "done", drive="host")
        try:
            while worker.step():
                pass
        except bridge.Closed:
            pass
        assert worker.join() == "done"


ACTS = [name for name in vars(Scene) if not name.startswith("_") and name != "close"]


# ---- How it is judged ------------------------------------------------------------


# What CPython says where its own loop finds no memory for a frame; of a function in
# C that forgets its exception it says something else.
CPYTHON = "error return without exception set"


def out_of_memory(error):
    """Also where a script, or the library's answer, tells of it in words."""
    if isinstance(error, SystemError):
        return str(error) == CPYTHON
    return isinstance(error, MemoryError) or "memory" in str(error)


def attempt(act, where):
    """Whether it worked; anything but the lack of memory is a complaint."""
    try:
        act()
        return True
    except Exception as error:  # noqa: BLE001
        if not out_of_memory(error):
            complain(where, "raised", repr(error))
        return False


def again(scene, name, where):
    try:
        getattr(scene, name)()
    except Exception as error:  # noqa: BLE001
        complain("afterwards", where, "raised", repr(error))


def sweep_library(name, ever):
    before = faults.fault_live()
    scene = Scene()
    act = getattr(scene, name)
    act()
    number, hit = 1, True
    stride = {"work": 5, "host": 5}.get(name, 1) * (5 if SANITIZED else 1)
    while hit and not failures:
        where = f"library: {name}, allocation {number}{' and on' if ever else ''}"
        faults.fault_arm(number, ever)
        good = attempt(act, where)
        hit = faults.fault_disarm()
        if not hit and not good:
            complain(where, "failed for nothing")
        if hit:
            again(scene, name, where)
        number += stride
    finish(scene, name, before)
    return number


def finish(scene, name, before):
    scene.close()
    vars(scene).clear()
    deadline = time.monotonic() + 20
    while faults.fault_live() > before and time.monotonic() < deadline:
        gc.collect()
    if faults.fault_live() > before:
        complain(name, "left", faults.fault_live() - before, "blocks")


def sweep_python(name):
    """CPython itself does not survive the lack of all memory, so each allocation
    fails alone; how many there are is not told."""
    before = faults.fault_live()
    scene = Scene()
    act = getattr(scene, name)
    act()
    good, number = 0, 0
    while good < 40 and number < 1500 and not failures:
        where = f"Python: {name}, allocation {number}"
        _testcapi.set_nomemory(number, number + 1)
        try:
            worked = attempt(act, where)
        finally:
            _testcapi.remove_mem_hooks()
        good = good + 1 if worked else 0
        again(scene, name, where)
        number += 7 if SANITIZED else 1
    finish(scene, name, before)
    return number


def main():
    # What the first use makes for good.
    warm = Scene()
    for name in ACTS:
        getattr(warm, name)()
    warm.close()
    del warm
    counts = {}
    for name in ACTS:
        for ever in (0, 1):
            counts[name, "library", ever] = sweep_library(name, ever)
    if _testcapi is None:
        print("without _testcapi Python's own memory does not run out here")
    else:
        for name in ACTS:
            counts[name, "python"] = sweep_python(name)
    if not failures and min(counts.values()) < 2:
        complain("a scene asks for no memory:", counts)
    print(sum(counts.values()), "allocations failed")
    # What leaves nothing behind ends as the interpreter does.
    return 1 if failures else 0


sys.exit(main())
