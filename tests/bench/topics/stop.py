"""Stopping: how long a script that fights it goes on, and what it costs before.

Each attack of tests/stop/attacks.lua runs in a state of its own until it says that it
is where it wants to be, and is then cancelled, at each level: shown is the time from
the cancel to the return of the run.  "not stopped" means that it was still running
after a second (at the cooperative level 0.2 s); in a worker, its thread is then given
up, and who waits for it is told so.
"""

import pathlib
import re

from rows import Aim, Line, Row, Run

BARE = "bare Lua"
FILE = pathlib.Path(__file__).resolve().parents[2] / "stop" / "attacks.lua"
ATTACKS = re.findall(r"^--- ([a-z0-9_]+):", FILE.read_text(encoding="utf-8"), re.M)
LEVELS = ("cooperative", "prompt", "strict")


def run(variant, name):
    return Run(["{programs}/stop_cost", variant, name], cores="0")


def unused(name, what, variant="prompt", aim=1.02, unit="ms", note=""):
    return Row(
        what=f"stop: never stopped, {variant}: {what}",
        unit=unit,
        better="less",
        ours=run(variant, name),
        baselines={BARE: run("bare", name)},
        aim=aim and Aim("<=", aim, BARE),
        note=note,
    )


def attack(name):
    return Line(
        what="attack: " + name.replace("_", " "),
        unit="ms",
        runs={
            level: Run(["{programs}/stop_attack", str(FILE), name, level])
            for level in LEVELS
        },
    )


ROWS = [
    unused("fib", "fib(26)"),
    unused("loops", "loops"),
    unused("stores", "stores into tables"),
    unused("sort", "a sort"),
    unused("compare", "a sort with a comparison in Lua"),
    unused("find", "patterns"),
    unused("gsub", "substitutions"),
    unused("resume", "a resume and a yield", aim=1.05, unit="ns"),
    unused("wrap", "a call of a wrapped coroutine and a yield", aim=1.05, unit="ns"),
    unused("find", "patterns", "strict", aim=None, note="its functions poll"),
    unused("gsub", "substitutions", "strict", aim=None),
    unused("sort", "a sort", "strict", aim=None),
    unused("compare", "a sort with a comparison in Lua", "strict", aim=None),
    unused("concat", "concat, insert, remove", "strict", aim=None),
    Row(
        what="stop: from the cancel of a loop to the return of its run",
        unit="us",
        better="less",
        ours=Run(["{programs}/stop_latency", "bridge"]),
        baselines={BARE: Run(["{programs}/stop_latency", "bare"])},
        note="bare: a signal that sets a hook that raises, which any pcall catches",
    ),
    *map(attack, ATTACKS),
]

SHORT = (
    "stop: never stopped, prompt: fib(26)",
    "stop: never stopped, prompt: a resume and a yield",
    "stop: from the cancel of a loop to the return of its run",
)
