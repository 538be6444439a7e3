"""Lua workers for Python: states of Lua on threads of their own, that talk to
Python through queues and wake it inside whatever event loop it has.

>>> import bridge
>>> with bridge.Worker("return 6 * 7") as worker:
...     worker.join()
42

What crosses, what it is in Lua, and what comes back from there:

=======================  ==============================  =====================
Python                   Lua                             back in Python
=======================  ==============================  =====================
None                     nil                             None
bool                     boolean                         bool
int, of 64 bits          integer                         int
float                    float                           float, also 1.0
str                      string                          str
bytes, bytearray,        string                          str
memoryview
list, tuple              table from 1                    list
dict                     table                           dict
None in a list or dict   bridge.null                     None
dict with keys 1 to n    table marked as a map           dict
empty list               empty table                     []
empty dict               empty table, marked as a map    {}
NumPy's scalars          integer, float, boolean         int, float, bool
Buffer, Queue,           the same object                 the same object
Waker, Worker, Channel,
Counter, Flag, Mutex,
Timer
Object                   an object whose class has       Object
                         __bridge_pack, __bridge_unpack
                         metatable                       left behind
                         keys equal in Python, as        `NotShareableError`
                         1 and true; functions
=======================  ==============================  =====================

What Python pops as Python pushed it keeps bytes; tuples, bytearrays and memoryviews
come as list and bytes.  Lists, dicts and tables
may be shared and cyclic.  Strings of Lua that are no UTF-8 come as str with the
bytes as U+DC80 to U+DCFF, as ``os.fsdecode`` does it.  Arrays of NumPy cross within
a `Buffer`.

Where Lua is to run on a thread of Python, like a library, make a `State`:

>>> with bridge.State() as state:
...     add = state.run("return function(a, b) return a + b end")
...     add(1, 2)
3

Time-outs are seconds, and None waits for ever, 0 asks.  A negative one, which in C
waits for ever, raises `InvalidError`.  Every wait of Python ends on Ctrl-C, and so
does what a `State` runs for the main thread; handlers of other signals run when the
call of the `State` is over.  No native thread ever calls into Python.
"""

import os as _os
import threading as _threading

from . import core as _core
from .buffer import Buffer
from .channel import Channel, End, aselect, select
from .errors import (
    BufferBusy,
    Busy,
    Cancelled,
    Closed,
    CycleError,
    Deadlock,
    Empty,
    Error,
    ForkedError,
    Frame,
    Frozen,
    Full,
    InvalidError,
    LimitError,
    Lost,
    LuaError,
    LuaMemoryError,
    LuaSyntaxError,
    NotFound,
    NotShareableError,
    OutOfMemory,
    RangeError,
    SystemFailure,
    Timeout,
    Unsupported,
    WorkerDied,
)
from .line import POLICY, Policy
from .listed import ObjectInfo, ObjectKind, find_object, objects
from .object import Object
from .queue import Queue
from .records import LogLevel, Record, log, set_log_level, set_logger
from .state import LuaFunction, Memory, State
from .sync import Counter, Flag, Mutex, Relation
from .timer import Clock, Timer, now
from .waker import Waker, WakerKind
from .worker import Info, Phase, Stack, Worker, find, set_watchdog, workers

__version__: str = _core.version()

__all__ = [
    "POLICY",
    "Buffer",
    "BufferBusy",
    "Busy",
    "Cancelled",
    "Channel",
    "Clock",
    "Closed",
    "Counter",
    "CycleError",
    "Deadlock",
    "Empty",
    "End",
    "Error",
    "Flag",
    "ForkedError",
    "Frame",
    "Frozen",
    "Full",
    "Info",
    "InvalidError",
    "LimitError",
    "LogLevel",
    "Lost",
    "LuaError",
    "LuaFunction",
    "LuaMemoryError",
    "LuaSyntaxError",
    "Memory",
    "Mutex",
    "NotFound",
    "NotShareableError",
    "Object",
    "ObjectInfo",
    "ObjectKind",
    "OutOfMemory",
    "Phase",
    "Policy",
    "Queue",
    "RangeError",
    "Record",
    "Relation",
    "Stack",
    "State",
    "SystemFailure",
    "Timeout",
    "Timer",
    "Unsupported",
    "Waker",
    "WakerKind",
    "Worker",
    "WorkerDied",
    "__version__",
    "aselect",
    "cores",
    "find",
    "find_object",
    "log",
    "now",
    "objects",
    "select",
    "set_log_level",
    "set_logger",
    "set_watchdog",
    "workers",
]


# Waits look for Ctrl-C on the main thread, which after a fork is the one that
# forked.
_core.set_main_thread(_threading.main_thread().ident or 0)
_os.register_at_fork(
    after_in_child=lambda: _core.set_main_thread(_threading.get_ident())
)


def cores() -> int:
    """How many processors the process may use, at least 1."""
    return _core.cores()
