"""Nanoseconds of one call from Python, with the loop around it: the least of some
runs.  call.py PROGRAMS WHAT; PROGRAMS is where bench_hand was built."""

import sys
import time

CALLS = 20_000
RUNS = 8
#: CPython adapts each loop to what is called in it, so each has a loop of its own.
LOOP = """
def run(f, calls, clock):
    begin = clock()
    for i in range(calls):
        f({arguments})
    return clock() - begin
"""
SUM = "function(a, b) return a + b end"
ECHO = "function(a) return a end"
TEXT = "x" * 64
ROW = list(range(10))


def hand():
    import bench_hand

    return bench_hand


def core():
    from bridge import core

    return core


def lua(source, **options):
    import bridge

    state = bridge.State(**options)
    return state.eval(source)


def lupa(source):
    try:
        from lupa import LuaRuntime
    except ImportError:
        sys.exit(77)
    return LuaRuntime(unpack_returned_tuples=True).eval(source)


def of_ctypes():
    import ctypes
    import os

    import bridge.core

    # The library that the module has loaded is found by its path.
    with open("/proc/self/maps") as maps:
        path = next(line.split()[-1] for line in maps if "libbridge.so" in line)
    function = ctypes.CDLL(os.path.realpath(path)).bridge_status_name
    function.argtypes, function.restype = [ctypes.c_int], ctypes.c_char_p
    return function


def of_python():
    names = {0: "BRIDGE_OK"}

    def status_name(status):
        return names.get(status, "BRIDGE_E?")

    return status_name


def queue_of(module, *arguments):
    queue = module.Queue(*arguments)
    return queue.count


WHAT = {
    "function": (lambda: core().status_name, "0"),
    "function-hand": (lambda: hand().status_name, "0"),
    "function-ctypes": (of_ctypes, "0"),
    "function-python": (of_python, "0"),
    "method": (lambda: queue_of(core(), 0, 0, 0, -1, None, 3), ""),
    "method-hand": (lambda: queue_of(hand()), ""),
    "sum": (lambda: lua(SUM), "i, 2"),
    "sum-kept": (lambda: lua(SUM, release_gil=False), "i, 2"),
    "sum-lupa": (lambda: lupa(SUM), "i, 2"),
    "sum-hand": (lambda: hand().lua_released, "i, 2"),
    "sum-hand-kept": (lambda: hand().lua_kept, "i, 2"),
    "text": (lambda: lua(ECHO), "TEXT"),
    "text-lupa": (lambda: lupa(ECHO), "TEXT"),
    "table": (lambda: lua("function(t) return #t end"), "ROW"),
}


def main(programs, what):
    sys.path.insert(0, programs)
    make, arguments = WHAT[what]
    function = make()
    scope = {"TEXT": TEXT, "ROW": ROW}
    exec(LOOP.format(arguments=arguments), scope)
    run = scope["run"]
    run(function, 1000, time.perf_counter)
    least = min(run(function, CALLS, time.perf_counter) for _ in range(RUNS))
    print(least / CALLS * 1e9)


main(*sys.argv[1:])
