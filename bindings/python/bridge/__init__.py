"""Lua workers for Python: states of Lua on threads of their own, that talk to
Python through queues and wake it inside whatever event loop it has.

>>> import bridge
>>> with bridge.Worker("return 6 * 7") as worker:
...     worker.join()
42

Values that cross: None, bool, int (64 bits), float, str, bytes, bytearray,
memoryview, list, tuple, dict, NumPy's scalars, `Buffer`, `Queue`, `Waker` and
`Worker`; lists and dicts may be shared and cyclic.  Back come None, bool, int,
float, str, bytes, list, dict and the handles.  Strings of Lua that are no UTF-8
come as str with the bytes as U+DC80 to U+DCFF, as ``os.fsdecode`` does it.

Every wait ends on Ctrl-C.  No native thread ever calls into Python.
"""

import os as _os
import threading as _threading

from . import core as _core
from .buffer import Buffer
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
from .queue import POLICY, Policy, Queue
from .waker import Waker, WakerKind
from .worker import Memory, Phase, Worker

__version__: str = _core.version()

__all__ = [
    "POLICY",
    "Buffer",
    "BufferBusy",
    "Busy",
    "Cancelled",
    "Closed",
    "CycleError",
    "Deadlock",
    "Empty",
    "Error",
    "ForkedError",
    "Frame",
    "Frozen",
    "Full",
    "InvalidError",
    "LimitError",
    "LuaError",
    "LuaMemoryError",
    "LuaSyntaxError",
    "Memory",
    "NotFound",
    "NotShareableError",
    "OutOfMemory",
    "Phase",
    "Policy",
    "Queue",
    "RangeError",
    "SystemFailure",
    "Timeout",
    "Unsupported",
    "Waker",
    "WakerKind",
    "Worker",
    "WorkerDied",
    "__version__",
    "cores",
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
