"""How a program ends while workers run: at once, without a crash or a hang."""

import os
import signal
import time

import pytest

SETUP = """
import asyncio, atexit, os, sys, threading
import bridge
up = bridge.Queue()
forever = [bridge.Worker("local up = ... up:push(1) while true do end", up)
           for _ in range(2)]
waiting = [bridge.Worker("local up, q = ... up:push(1) q:pop()", up, bridge.Queue())
           for _ in range(3)]
serving = [bridge.Worker("local up = ... up:push(1) return require('bridge').serve{}", up)
           for _ in range(3)]
pushing = bridge.Worker(
    "local up, q = ... up:push(1) while true do q:push('x') end",
    up, bridge.Queue(full="drop_oldest"))
for _ in range(9):
    up.pop(timeout=30)
"""

ENDS = {
    "normally": ("", 0),
    "with an exception": ("raise RuntimeError('mine')", 1),
    "by sys.exit": ("sys.exit(3)", 3),
    "by os._exit": ("os._exit(4)", 4),
    "by a signal": ("os.kill(os.getpid(), 15)", -signal.SIGTERM),
    "in a thread that waits": (
        "threading.Thread(target=up.pop, daemon=True).start()",
        0,
    ),
    "in a thread that calls": (
        "threading.Thread(target=serving[0].join, daemon=True).start()",
        0,
    ),
    "with a global that closes": (
        "class C:\n  def __del__(self): serving[0].close()\nc = C()",
        0,
    ),
    "with atexit": ("atexit.register(lambda: [w.close() for w in serving + waiting])", 0),
    "with a cycle": ("l = [up, forever, serving]; l.append(l); del up, forever", 0),
    "with a view": ("v = memoryview(bridge.Buffer(10))", 0),
    "within a loop": (
        "async def main():\n"
        "  asyncio.ensure_future(forever[0].acall('x'))\n"
        "  await asyncio.sleep(0)\n"
        "asyncio.run(main())",
        0,
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_program_ends(python, end):
    text, status = ENDS[end]
    before = time.monotonic()
    run = python(SETUP + text + "\n")
    assert run.returncode == status, run.stderr
    assert "Fatal" not in run.stderr
    if status == 0:
        assert run.stderr == ""
    assert time.monotonic() - before < 20


def test_it_ends_every_time(python):
    for _ in range(2 if os.environ.get("BRIDGE_SANITIZED") else 10):
        assert python(SETUP).returncode == 0


# ---- fork


def test_a_child_of_a_fork_is_told_and_does_not_wake_the_parent(python):
    run = python(
        """
import os, sys
import bridge

queue = bridge.Queue(waker="eventfd")
waker = bridge.Waker()
worker = bridge.Worker("return require('bridge').serve{ echo = function(x) return x end }")
assert worker.call("echo", 1) == 1
queue.push("mine")
child = os.fork()
if child == 0:
    told = 0
    for use in (
        lambda: queue.push(1), lambda: queue.pop(0), lambda: queue.pop(1),
        lambda: queue.pop_batch(2), queue.close,
        waker.raise_, waker.clear, lambda: waker.wait(1),
        lambda: worker.call("echo", 2), lambda: worker.send("echo"),
        lambda: worker.join(1), worker.stop, worker.cancel, lambda: worker.close(0.1),
    ):
        try:
            use()
        except bridge.ForkedError:
            told += 1
        except BaseException as error:
            print("not told:", use.__code__ if hasattr(use, "__code__") else use, repr(error))
    with bridge.Worker("return require('bridge').serve{ echo = function(x) return x end }") as own:
        assert own.call("echo", "child") == "child"
    del queue, waker, worker
    print("told", told)
    sys.stdout.flush()
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert queue.pop(0) == "mine"
try:
    waker.wait(0)
    print("woken")
except bridge.Timeout:
    print("not woken")
assert worker.call("echo", 3) == 3
worker.close()
"""
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["told 14", "not woken"], run.stdout


def test_a_child_that_returns_normally_ends(python):
    run = python(
        SETUP
        + """
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""
    )
    assert run.returncode == 0, run.stderr


def test_multiprocessing_by_fork_works(python):
    run = python(
        """
import multiprocessing
import bridge

def job(n):
    with bridge.Worker("return (...) * 2", n) as worker:
        return worker.join(timeout=30)

if __name__ == "__main__":
    keep = bridge.Worker("return require('bridge').serve{}")
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(job, range(5)))
    keep.close()
"""
    )
    assert run.stdout.strip() == "[0, 2, 4, 6, 8]", run.stderr


def test_descriptors_are_not_left_to_programs_that_are_started(python):
    run = python(
        """
import os, subprocess, sys
import bridge
held = [bridge.Waker(kind) for kind in ("eventfd", "pipe", "udp")]
worker = bridge.Worker("return require('bridge').serve{}")
code = "import os; print(sorted(os.listdir('/proc/self/fd')))"
print(subprocess.run([sys.executable, "-c", code], close_fds=False,
                     capture_output=True, text=True).stdout)
worker.close()
"""
    )
    assert run.returncode == 0, run.stderr
    # 0, 1, 2, and the folder that is being listed.
    assert len(eval(run.stdout)) == 4
