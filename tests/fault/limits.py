"""What a machine does to a Python program: a hail of signals during each wait, no
descriptor left, and ends that tests/python/test_exit.py has not.  Each is a process
of its own."""

import os
import subprocess
import sys
import textwrap

SIGNALS = """
import signal, time
import bridge

hits = 0

def handler(*details):
    global hits
    hits += 1

signal.signal(signal.SIGALRM, handler)
service = bridge.Worker("return require('bridge').serve {"
                        " never = function() require('bridge').sleep(1e6) end }")
full = bridge.Queue(items=1)
full.push(1)
waits = {
    "pop": lambda t: bridge.Queue().pop(timeout=t),
    "batch": lambda t: bridge.Queue(waker="pipe").pop_batch(3, timeout=t),
    "push": lambda t: full.push(2, timeout=t),
    "call": lambda t: service.call("never", timeout=t),
    "join": lambda t: service.join(timeout=t),
}
for kind in ("eventfd", "pipe", "udp", "condition"):
    waits[kind] = lambda t, kind=kind: bridge.Waker(kind).wait(timeout=t)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for name, wait in waits.items():
    hits, began = 0, time.monotonic()
    try:
        wait(0.1)
    except TimeoutError:
        pass
    else:
        raise AssertionError(name)
    assert time.monotonic() - began >= 0.099, name
    assert hits > 0, name
service.cancel()
service.close()
signal.setitimer(signal.ITIMER_REAL, 0)
"""

DESCRIPTORS = """
import resource
import bridge

first = bridge.Waker("eventfd")
usual = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (first.fileno() + 1, usual[1]))

def refused(make):
    try:
        make()
    except bridge.SystemFailure as error:
        assert error.status == "ESYSTEM", error
    else:
        raise AssertionError("not refused")

for kind in ("default", "eventfd", "pipe", "udp"):
    refused(lambda: bridge.Waker(kind))
    refused(lambda: bridge.Queue(waker=kind))
    refused(lambda: bridge.Worker("return 1", drive="host", waker=kind))
assert bridge.Worker("return 'works'").join(timeout=30) == "works"
bridge.Queue().push(1)
resource.setrlimit(resource.RLIMIT_NOFILE, usual)
for kind in ("default", "eventfd", "pipe", "udp"):
    bridge.Waker(kind)
"""

# Workers that compute, wait and serve, and threads of Python that wait for them.
BUSY = """
import os, signal, sys, threading
import bridge
up = bridge.Queue()
computing = bridge.Worker("local up = ... up:push(1) while true do end", up)
waiting = bridge.Worker("local up, q = ... up:push(1) q:pop()", up, bridge.Queue())
serving = bridge.Worker(
    "local up = ... up:push(1) return require('bridge').serve {}", up)
for _ in range(3):
    up.pop(timeout=30)
for work in (bridge.Queue().pop, bridge.Waker("pipe").wait, serving.join, computing.join):
    threading.Thread(target=work, daemon=True).start()
"""

# What is run, how it ends, and what it says.
PROGRAMS = {
    "signals": (SIGNALS, 0, ""),
    "descriptors": (DESCRIPTORS, 0, ""),
    "the end": (BUSY, 0, ""),
    "sys.exit": (BUSY + "sys.exit(5)", 5, ""),
    "an exception": (BUSY + "raise ValueError('mine')", 1, "ValueError: mine"),
    "Ctrl-C": (
        BUSY + "os.kill(os.getpid(), signal.SIGINT)\nbridge.Queue().pop()",
        -2,
        "KeyboardInterrupt",
    ),
    "os._exit in a thread": (
        BUSY + "threading.Timer(0, os._exit, (6,)).start()\nbridge.Queue().pop()",
        6,
        "",
    ),
    "os.exit in a worker": (
        BUSY + "bridge.Worker('os.exit(7)').join(timeout=30)",
        7,
        "",
    ),
}


def run(text):
    # They end while their threads hold memory, which is no leak.
    before = os.environ.get("ASAN_OPTIONS")
    leaks = "detect_leaks=0" if before is None else f"{before}:detect_leaks=0"
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env=dict(os.environ, ASAN_OPTIONS=leaks),
        capture_output=True,
        text=True,
        timeout=60,
    )


def main():
    failures = 0
    for name, (text, status, said) in PROGRAMS.items():
        done = run(text)
        good = done.returncode == status and "Fatal" not in done.stderr
        good = good and (said in done.stderr if said else not done.stderr)
        if not good:
            failures += 1
            print(f"{name}: {done.returncode}, {done.stderr}", file=sys.stderr)
    print(len(PROGRAMS), "programs,", failures, "failed")
    return 1 if failures else 0


sys.exit(main())
