"""What can go wrong, one class for each thing that a program may want to catch.

Every class is below `Error`, and below the class of Python that fits, so that
``except TimeoutError`` and ``except queue.Full`` work as well.
"""

from __future__ import annotations

import queue as _queue
from typing import Any, ClassVar, NamedTuple

from . import core as _core

__all__ = [
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
    "Lost",
    "LuaError",
    "LuaMemoryError",
    "LuaSyntaxError",
    "NotFound",
    "NotShareableError",
    "OutOfMemory",
    "RangeError",
    "SystemFailure",
    "Timeout",
    "Unsupported",
    "WorkerDied",
]


class Frame(NamedTuple):
    """One level of a Lua call stack."""

    source: str
    """Where the function was defined: ``script.lua``, ``[string "..."]``,
    ``[C]``."""
    line: int
    """The line that was running; -1 if there is none."""
    name: str
    """The name by which it was called, or ``""``."""
    what: str
    """``"Lua"``, ``"C"`` or ``"main"``."""


class Error(Exception):
    """Anything that the bridge reports.

    What comes from a script shows the message and the call stack of Lua as
    ``str()``.  An error that came from another worker has that one as its
    ``__cause__``, and so on.
    """

    _code: ClassVar[int] = 0
    _status: ClassVar[str] = ""

    status: str
    """The name of the status, without ``BRIDGE_``: ``"EFULL"``."""
    code: int
    """The number of the status, as C has it."""
    message: str
    """What went wrong, without the call stack."""
    traceback: str
    """The call stack as Lua prints it; ``""`` if there is none."""
    frames: list[Frame]
    """The call stack; the first one is where the script failed or was stopped."""
    worker: str
    """The name of the worker; ``""`` if there is none, or it never came to live."""
    caller: str
    """Of a cause: where the call stood, in the worker that asked, as Lua prints a
    call stack; else ``""``."""

    def __init__(
        self,
        message: str = "",
        *,
        status: str | None = None,
        code: int | None = None,
        traceback: str = "",
        frames: list[Frame] | None = None,
        worker: str = "",
        caller: str = "",
    ) -> None:
        super().__init__(message)
        self.status = self._status if status is None else status
        self.code = self._code if code is None else code
        self.message = message
        self.traceback = traceback
        self.frames = [] if frames is None else frames
        self.worker = worker
        self.caller = caller

    def __str__(self) -> str:
        if self.traceback:
            return f"{self.message}\n{self.traceback}"
        return super().__str__()


class InvalidError(Error, ValueError):
    """An argument is out of range, or contradicts another."""

    _code = -1
    _status = "EINVAL"


class CycleError(InvalidError):
    """The message holds the queue that it would be pushed into."""

    _code = -25
    _status = "ECYCLE"


class LimitError(Error, ValueError):
    """Too deep or too large: it never fits, however long one waits."""

    _code = -17
    _status = "ELIMIT"


class RangeError(Error, OverflowError):
    """A number does not fit: integers that cross have 64 bits."""

    _code = -23
    _status = "EOVERFLOW"


class OutOfMemory(Error, MemoryError):
    """No memory."""

    _code = -2
    _status = "ENOMEM"


class Full(Error, _queue.Full):
    """The queue has no room for the message now."""

    _code = -3
    _status = "EFULL"


class Empty(Error, _queue.Empty):
    """Nothing is in the queue now."""

    _code = -4
    _status = "EEMPTY"


class Timeout(Error, TimeoutError):
    """The time that the caller gave is over, or a script ran longer than it may:
    then ``frames`` tell where it was stopped."""

    _code = -5
    _status = "ETIMEDOUT"


class Closed(Error):
    """The object was closed."""

    _code = -6
    _status = "ECLOSED"


class Cancelled(Error):
    """The worker, or the script, was cancelled; ``frames`` tell where a script was
    stopped.  Not to be confused with a cancelled task."""

    _code = -7
    _status = "ECANCELLED"


class Busy(Error):
    """Another thread is using what only one may use at a time."""

    _code = -8
    _status = "EBUSY"


class BufferBusy(Busy, BufferError):
    """The buffer cannot be frozen, and so cannot cross, while a view of it can
    write it: release the memoryview, or drop the array."""


class Deadlock(Error):
    """The call would wait for itself."""

    _code = -9
    _status = "EDEADLOCK"


class NotShareableError(Error, TypeError):
    """A value cannot cross; the text names the path to it.

    Arrays of NumPy and whatever else has bytes cross within a `Buffer`.  A message
    that Python cannot have stays the oldest of its queue, where Lua and C can pop
    it; `Queue.discard` frees it.
    """

    _code = -15
    _status = "ETYPE"


class NotFound(Error, LookupError):
    """No such handler, library or file."""

    _code = -18
    _status = "ENOTFOUND"


class WorkerDied(Error):
    """The worker ended before it answered."""

    _code = -19
    _status = "EDEAD"


class ForkedError(Error):
    """The object belongs to the parent of this process."""

    _code = -20
    _status = "EFORKED"


class SystemFailure(Error):
    """The operating system refused."""

    _code = -21
    _status = "ESYSTEM"


class Unsupported(Error):
    """This platform, or this kind of object, does not have the feature."""

    _code = -22
    _status = "EUNSUPPORTED"


class Frozen(Error, BufferError):
    """The buffer is frozen, so that nobody may write it any more."""

    _code = -24
    _status = "EFROZEN"


class Lost(Error):
    """The script did not come back in time, and its thread was given up."""

    _code = -26
    _status = "ELOST"


class LuaError(Error):
    """A script raised an error that nobody caught."""

    _code = -14
    _status = "ESCRIPT"

    value: Any
    """The error as the script raised it; the message if it could not cross."""

    def __init__(
        self,
        message: str = "",
        *,
        value: Any = None,
        status: str | None = None,
        code: int | None = None,
        traceback: str = "",
        frames: list[Frame] | None = None,
        worker: str = "",
        caller: str = "",
    ) -> None:
        super().__init__(
            message,
            status=status,
            code=code,
            traceback=traceback,
            frames=frames,
            worker=worker,
            caller=caller,
        )
        self.value = value


class LuaSyntaxError(LuaError):
    """A chunk does not parse."""

    _code = -13
    _status = "ESYNTAX"


class LuaMemoryError(LuaError, MemoryError):
    """A script used more memory than its worker may have."""

    _code = -2
    _status = "ENOMEM"


_classes: dict[int, type[Error]] = {
    each._code: each
    for each in (
        InvalidError,
        CycleError,
        LimitError,
        RangeError,
        OutOfMemory,
        Full,
        Empty,
        Timeout,
        Closed,
        Cancelled,
        Busy,
        Deadlock,
        NotShareableError,
        NotFound,
        WorkerDied,
        ForkedError,
        SystemFailure,
        Unsupported,
        Frozen,
        Lost,
    )
}

_scripts: dict[int, type[LuaError]] = {
    each._code: each for each in (LuaError, LuaSyntaxError, LuaMemoryError)
}


# These three are called from C.


def _make(code: int, status: str, message: str) -> Error:
    return _classes.get(code, Error)(message, status=status, code=code)


def _make_buffer(code: int, status: str, message: str) -> Error:
    kind = _classes.get(code, Error)
    if kind is Busy:
        kind = BufferBusy
        message = "a view that can write the buffer is open"
    return kind(message, status=status, code=code)


def _make_script(
    code: int,
    status: str,
    message: str,
    value: Any,
    traceback: str,
    frames: list[tuple[str, int, str, str]],
    worker: str,
    caller: str = "",
    cause: Error | None = None,
) -> Error:
    script = _scripts.get(code)
    details: dict[str, Any] = {
        "status": status,
        "code": code,
        "traceback": traceback,
        "frames": [Frame(*frame) for frame in frames],
        "worker": worker,
        "caller": caller,
    }
    error: Error
    if script is None:
        error = _classes.get(code, Error)(message, **details)
    else:
        error = script(message, value=value, **details)
    error.__cause__ = cause
    return error


_core.set_makers(_make, _make_buffer, _make_script)


_codes: dict[str, int] = {
    each._status: each._code for each in (*_classes.values(), *_scripts.values())
}


def _of_record(told: dict[str, Any], worker: str = "") -> Error:
    """The error that a logger is told of, with its causes."""
    status = told["code"]
    cause = told.get("cause")
    return _make_script(
        _codes.get(status, 0),
        status,
        told["message"],
        told.get("value", told["message"]),
        told["traceback"],
        [
            (each["source"], each.get("line", -1), each["name"], each["what"])
            for each in told["frames"]
        ],
        worker,
        told.get("caller", ""),
        None if cause is None else _of_record(cause),
    )
