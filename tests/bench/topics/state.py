"""States and threads: what one costs, what a script in it gains, what it keeps.

The bare C equivalent of a worker is a thread that makes a state of Lua's own,
compiles the chunk and runs it there, and is joined.  Ours has an inbox besides, can
be asked, stopped and cancelled, and says at once if the chunk does not compile.
"""

from rows import Aim, Row, Run

MALLOC = "luaL_newstate and malloc"
BARE = "bare C"


def cost(variant):
    return Run(["{programs}/state_cost", variant], cores="0")


def thread(variant):
    return Run(["{programs}/state_thread", variant])


def script(name, note=""):
    return Row(
        what=f"state: script, {name}",
        unit="ms",
        better="less",
        ours=Run(["{programs}/state_script", "bridge", name], cores="0"),
        baselines={MALLOC: Run(["{programs}/state_script", "malloc", name], cores="0")},
        aim=None if note else Aim("<=", 1.0, MALLOC),
        note=note,
    )


def many(variant, what, count):
    return Run(["{programs}/state_many", variant, what, str(count)])


ROWS = [
    Row(
        what="state: all libraries, made and closed",
        unit="us",
        better="less",
        ours=cost("bridge"),
        baselines={MALLOC: cost("malloc")},
        aim=Aim("<=", 0.75, MALLOC),
    ),
    Row(
        what="state: the base library, made and closed",
        unit="us",
        better="less",
        ours=cost("bridge-base"),
        baselines={MALLOC: cost("malloc-base")},
        note="ours is also prepared for modules, and for text alone",
    ),
    Row(
        what="worker: made, its chunk run, joined",
        unit="us",
        better="less",
        ours=thread("bridge"),
        baselines={BARE: thread("bare")},
        aim=Aim("<=", 1.1, BARE),
    ),
    Row(
        what="worker: started on a thread that was kept",
        unit="us",
        better="less",
        ours=thread("start"),
        baselines={"made, run, joined": thread("bridge")},
        aim=Aim("<=", 10),
        note="in it a state is made and the chunk compiled",
    ),
    Row(
        what="worker: the same, from Lua",
        unit="us",
        better="less",
        ours=Run(["{lua}", "{bench}/lua/spawn.lua", "{programs}"]),
        baselines={BARE: thread("bare")},
    ),
    Row(
        what="worker: a call that fails, with traceback: what it takes more",
        unit="us",
        better="less",
        ours=Run(["{programs}/state_error", "extra"]),
        baselines={
            "a plain call": Run(["{programs}/state_error", "plain"]),
            "one that fails": Run(["{programs}/state_error", "error"]),
        },
        aim=Aim("<=", 15),
    ),
    script("strings"),
    script("tables"),
    script("closures"),
    script("trees"),
    script("numbers", note="allocates nothing, so there is nothing to gain"),
    Row(
        what="state: memory after 300 rounds, by that after 10",
        unit="ratio",
        better="less",
        ours=Run(["{programs}/state_memory", "bridge"]),
        baselines={MALLOC: Run(["{programs}/state_memory", "malloc"])},
        aim=Aim("<=", 1.25),
    ),
    Row(
        what="10,000 workers alive: to make each",
        unit="us",
        better="less",
        ours=many("bridge", "time", 10000),
        baselines={
            "10 workers": many("bridge", "time", 10),
            "1,000 workers": many("bridge", "time", 1000),
            BARE: many("bare", "time", 10000),
        },
        aim=Aim("<=", 65),
        note="until each has answered",
    ),
    Row(
        what="10,000 workers alive: to make each, by that of 100",
        unit="us",
        better="less",
        ours=many("bridge", "time", 10000),
        baselines={"100 workers": many("bridge", "time", 100)},
        aim=Aim("<=", 1.25, "100 workers"),
    ),
    Row(
        what="10,000 workers alive: memory of each",
        unit="KiB",
        better="less",
        ours=many("bridge", "memory", 10000),
        baselines={BARE: many("bare", "memory", 10000)},
        aim=Aim("<=", 40),
    ),
    Row(
        what="10,000 workers alive: a call to one",
        unit="us",
        better="less",
        ours=many("bridge", "call", 10000),
        baselines={"10 workers": many("bridge", "call", 10)},
        aim=Aim("<=", 45),
    ),
]

SHORT = (
    "state: all libraries, made and closed",
    "worker: made, its chunk run, joined",
    "worker: started on a thread that was kept",
    "worker: a call that fails, with traceback: what it takes more",
    "10,000 workers alive: to make each",
    "10,000 workers alive: memory of each",
)
