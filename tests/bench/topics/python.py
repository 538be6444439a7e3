"""Python: what a call costs that SWIG has generated, a call of Lua, and messages
into a loop of asyncio.

Each figure of a call has the loop around it, some 6 ns where the others were
measured.  python3-lupa is Debian's, which is built on LuaJIT; it releases the GIL
in each call, as we do unless told not to.
"""

from rows import Aim, Row, Run

PEERS = {"Lupa": "python3-lupa"}

HAND = "hand-written C"
LUPA = "Lupa (LuaJIT)"


def call(what):
    return Run(["{python}", "{bench}/python/call.py", "{programs}", what], cores="0")


def loop(what):
    return Run(["{python}", "{bench}/python/loop.py", what])


BARE = {
    "bare C, GIL released": call("sum-hand"),
    "bare C, GIL kept": call("sum-hand-kept"),
    LUPA: call("sum-lupa"),
}
LOOPS = {
    "call_soon_threadsafe": loop("call-soon"),
    "asyncio.Queue": loop("asyncio-queue"),
    "run_in_executor": loop("futures"),
    "SimpleQueue, no loop": loop("simple-queue"),
}

ROWS = [
    Row(
        what="Python: call of a generated function",
        unit="ns",
        better="less",
        ours=call("function"),
        baselines={
            HAND: call("function-hand"),
            "ctypes": call("function-ctypes"),
            "function of Python": call("function-python"),
        },
        aim=Aim("<=", 1.25, HAND),
    ),
    Row(
        what="Python: call of a generated method",
        unit="ns",
        better="less",
        ours=call("method"),
        baselines={HAND: call("method-hand")},
        aim=Aim("<=", 1.25, HAND),
    ),
    Row(
        what="Python: call of a Lua function",
        unit="ns",
        better="less",
        ours=call("sum"),
        baselines=BARE,
        aim=(Aim("<=", 60), Aim("<=", 1.0, LUPA)),
        note="Any thread may call, and other threads of Python go on meanwhile.",
    ),
    Row(
        what="Python: call of a Lua function, GIL kept",
        unit="ns",
        better="less",
        ours=call("sum-kept"),
        baselines=BARE,
        aim=Aim("<=", 60),
        note="State(release_gil=False).",
    ),
    Row(
        what="Python: 64 bytes of text to Lua and back",
        unit="ns",
        better="less",
        ours=call("text"),
        baselines={LUPA: call("text-lupa")},
    ),
    Row(
        what="Python: integers into asyncio, async for",
        unit="M/s",
        better="more",
        ours=loop("for"),
        baselines=LOOPS,
        aim=Aim(">=", 1.0),
        note="A Lua worker pushes; for the peers a thread of Python does.",
    ),
    Row(
        what="Python: integers into asyncio, apop",
        unit="M/s",
        better="more",
        ours=loop("apop"),
        baselines=LOOPS,
        aim=Aim(">=", 1.0),
    ),
    Row(
        what="Python: integers into asyncio, apop_batch",
        unit="M/s",
        better="more",
        ours=loop("batch"),
        baselines=LOOPS,
        aim=Aim(">=", 1.0),
    ),
    Row(
        what="Python: 20-byte text into asyncio, async for",
        unit="M/s",
        better="more",
        ours=loop("for-text"),
        baselines=LOOPS,
        aim=Aim(">=", 1.0),
    ),
]

SHORT = (
    "Python: call of a Lua function",
    "Python: integers into asyncio, async for",
)
