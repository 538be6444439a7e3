"""Lua to Lua: values from one state into another, and requests to a worker.

The limit is a C program of two hundred lines that packs a value into bytes from
malloc, links them into a lock-free list, and unpacks them in the other state.  It
has no bounds, no handles, no shared or cyclic tables, no shared upvalues, no end, no
cancelling, and nothing that goes wrong; its list may grow as long as it likes.
"""

from rows import Aim, Row, Run

PEERS = {"lua-cqueues": "lua-cqueues", "lua-luv": "lua-luv"}

LIMIT = "bare C"
CQUEUES = "cqueues, text by a socket"
LUV = "luv work, there and back"


def limit(what, name, number, cores=None):
    payloads = "{bench}/lua/payloads.lua"
    command = ["{programs}/lua_limit", what, payloads, name, str(number)]
    return Run(command, cores=cores)


def script(file, *arguments, cores=None):
    command = ["{lua}", "{bench}/lua/" + file, "{programs}", *map(str, arguments)]
    return Run(command, cores=cores)


def sends(name, title, unit, least, peers=False):
    """One payload, from one worker and from four."""
    rows = []
    for producers in (1, 4):
        who = "1 producer" if producers == 1 else f"{producers} producers"
        baselines = {LIMIT: limit("send", name, producers)}
        if peers and producers == 1:
            baselines[CQUEUES] = script("cqueues.lua", name, "send")
            baselines[LUV] = script("luv.lua", name, "send")
        if name != "string1m":
            baselines["ours, pop_batch"] = script("send.lua", name, producers, "batch")
        rows.append(
            Row(
                what=f"Lua to Lua: {title}, {who}",
                unit=unit,
                better="more",
                ours=script("send.lua", name, producers),
                baselines=baselines,
                aim=(Aim(">=", least), Aim(">=", 0.8, LIMIT)),
            )
        )
    return rows


def call(title, name, outstanding, aim, cores=None, peers=False):
    baselines = {LIMIT: limit("call", name, outstanding, cores)}
    if peers:
        baselines[CQUEUES] = script("cqueues.lua", name, "call", cores=cores)
        baselines[LUV] = script("luv.lua", name, "call", cores=cores)
    return Row(
        what=f"Lua to Lua: {title}",
        unit="us",
        better="less",
        ours=script("call.lua", name, outstanding, cores=cores),
        baselines=baselines,
        aim=aim,
    )


def threads(at_once):
    """Threads as llthreads2 makes them, from Lua; the bare ones are made from C."""
    together = "one by one" if at_once == 1 else f"{at_once} at once"
    return Row(
        what=f"llthreads2: made, started, run and joined, {together}",
        unit="us",
        better="less",
        ours=script("llthreads2.lua", at_once),
        baselines={LIMIT: Run(["{programs}/thread_burst", str(at_once)])},
        aim=Aim("<=", 1.1, LIMIT),
    )


ROWS = [
    threads(1),
    threads(8),
    *sends("integer", "integers", "M/s", 6, peers=True),
    *sends("string64", "64-byte strings", "M/s", 4, peers=True),
    *sends("table10", "tables of 10 fields", "M/s", 0.85),
    *sends("nested100", "10 tables of 10 integers", "k/s", 200),
    *sends("closure3", "functions with 3 upvalues", "k/s", 300),
    *sends("string1m", "1 MiB strings", "GB/s", 4.5, peers=True),
    Row(
        what="Lua to Lua: buffers of 16 MiB",
        unit="M/s",
        better="more",
        ours=script("send.lua", 16 << 20, 1, "buffer"),
        baselines={"buffers of 16 bytes": script("send.lua", 16, 1, "buffer")},
        aim=Aim(">=", 0.9, "buffers of 16 bytes"),
        note="a buffer crosses as a handle, whatever is in it.",
    ),
    call("request and answer, both running", "integer", 1, None, peers=True),
    call("request and answer, on one core", "integer", 1, Aim("<=", 5), "0", True),
    call("request and answer, 64 at a time", "integer", 64, None),
]

SHORT = (
    "llthreads2: made, started, run and joined, one by one",
    "Lua to Lua: tables of 10 fields, 1 producer",
    "Lua to Lua: functions with 3 upvalues, 1 producer",
    "Lua to Lua: buffers of 16 MiB",
    "Lua to Lua: request and answer, both running",
    "Lua to Lua: request and answer, 64 at a time",
)
