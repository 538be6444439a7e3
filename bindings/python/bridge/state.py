"""Lua on a thread of Python: a state that is called like a library."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, NamedTuple

from . import core as _core
from .core import LuaFunction
from .options import (
    SIZE_MAX,
    flag,
    limit,
    memory_size,
    names,
    number,
    program,
    seconds,
    size,
    stop_level,
    text,
)
from .line import POLICY, Policy

__all__ = ["LuaFunction", "Memory", "State"]

_OWN = -1  # the limit that the state was made with


class Memory(NamedTuple):
    """Bytes of the values of a state or a worker."""

    used: int
    """Now; 0 once a worker ended."""
    peak: int
    """Most ever."""
    limit: int
    """The limit; 0 for none."""


class State:
    """A Lua state without a thread of its own: whoever calls it runs it.

    >>> with State() as state:
    ...     add = state.run("return function(a, b) return a + b end")
    ...     add(1, 2)
    3

    What a chunk or a function takes and returns crosses as messages do: tables are
    copied.  But functions that it returns, as results themselves and not within
    tables, stay in the state, and come as `LuaFunction`: call it, or hand it back
    to the same state.  It keeps the state alive, but not open.

    Lua runs without the GIL, so that other threads of Python go on meanwhile.  One
    thread at a time is in the state; others wait in line, first come, first
    served.  Ctrl-C breaks that wait, and stops the script that the main thread runs,
    as `cancel` does; if Python's handler of it raises nothing, the call raises
    `Cancelled`.

    A state that several threads call at once changes hands with each call, which
    wakes a sleeping thread: some 10 to 30 microseconds a call, while one thread
    alone takes less than one.  Give each thread a state of its own, or make the
    calls longer; functions that are short take some 1 microsecond with
    ``release_gil=False``.

    Thread safety: any thread.
    """

    __slots__ = ("_core", "__weakref__")

    def __init__(
        self,
        *,
        name: str | None = None,
        libraries: str | Iterable[str] | None = None,
        path: str | None = None,
        cpath: str | None = None,
        sandbox: bool = False,
        stop: str | None = None,
        timeout: float | None = None,
        cpu: float | None = None,
        memory_limit: int | str | None = None,
        depth_limit: int | None = None,
        value_limit: int | None = None,
        message_limit: int | str | None = None,
        binary_chunks: bool = False,
        tracebacks: bool = True,
        release_gil: bool = True,
        memory: int | str | None = None,
    ) -> None:
        """Make a state.

        Parameters: as those of `Worker`, but ``timeout`` and ``cpu`` limit each
        call: how many seconds it may run, and compute.  And ``release_gil`` off
        makes each call some 15 ns faster.  Then no other thread of Python goes on
        while Lua runs: this is for functions that are short, and that never wait
        for anything.

        Raises: `NotFound` (no such library), `InvalidError`, `LuaMemoryError`,
        `TypeError`.
        """
        self._core = _core.State(
            {
                "name": text("name", name),
                "libraries": names("libraries", libraries),
                "path": text("path", path),
                "cpath": text("cpath", cpath),
                "sandbox": flag("sandbox", sandbox),
                "stop": stop_level("stop", stop),
                "run_timeout": limit("timeout", timeout),
                "run_cpu": limit("cpu", cpu),
                "memory_limit": memory_size(memory_limit, memory),
                "depth_limit": number("depth_limit", depth_limit, SIZE_MAX),
                "value_limit": number("value_limit", value_limit, SIZE_MAX),
                "message_limit": size("message_limit", message_limit, SIZE_MAX),
                "binary_chunks": flag("binary_chunks", binary_chunks),
                "tracebacks": flag("tracebacks", tracebacks),
                "release_gil": flag("release_gil", release_gil),
            }
        )

    def run(
        self,
        source: str | bytes,
        *args: object,
        chunk_name: str | None = None,
        timeout: float | None | Literal[Policy.POLICY] = POLICY,
        cpu: float | None | Literal[Policy.POLICY] = POLICY,
    ) -> Any:
        """Run a chunk to its end.

        Parameters: ``args`` are what ``...`` is in it.  ``chunk_name`` is what
        errors call it, as Lua wants it: ``"=name"`` or ``"@file"``; None for the
        source itself.  ``timeout`` and ``cpu`` take the place of those of the state;
        None for no limit.

        Returns: what the chunk returned: one value, or a tuple of any other
        number.

        Raises: `LuaSyntaxError`; `LuaError`; `LuaMemoryError`; `Timeout` if it runs
        longer than it may, and `Cancelled` if it is cancelled;
        `NotShareableError` if a value cannot cross; `RangeError`; `LimitError`;
        `Closed`; `Deadlock` from a finalizer that interrupts a call of this state;
        `ForkedError`; `TypeError`.

        A script that was stopped leaves the state usable: globals are as it left
        them, and what its variables had to close was not closed.
        """
        return self._core.run_chunk(
            program("source", source),
            text("chunk_name", chunk_name),
            args,
            _OWN if timeout is POLICY else limit("timeout", timeout),
            _OWN if cpu is POLICY else limit("cpu", cpu),
        )

    def eval(self, expression: str | bytes, *args: object) -> Any:
        """Run a chunk that returns the values of this expression.

        Raises: like `run`.
        """
        checked = program("expression", expression)
        if isinstance(checked, bytes):
            return self.run(b"return " + checked, *args)
        return self.run("return " + checked, *args)

    def cancel(self, level: str | None = None, grace: float = 0) -> bool:
        """Stop the call that runs in the state now, and no later one.  It raises
        `Cancelled`.  Returns at once.

        Parameters: ``level`` is how, as ``stop`` of the state, and at most that;
        None for that.  With a ``grace`` in seconds the script first gets an
        ordinary error, which it may catch to clean up, and is stopped so much later.

        Returns: whether a script was running.

        Raises: `InvalidError`; `ForkedError`; `OutOfMemory` and `SystemFailure` if
        nobody can see to it that it stops.

        Thread safety: any thread.
        """
        return self._core.cancel_run(stop_level("level", level), seconds("grace", grace))

    def close(self, timeout: float | None = None) -> None:
        """Close the state: its finalizers run now.  Twice is harmless.

        No call begins any more; one that another thread is in is waited for.

        Parameters: ``timeout`` in seconds is how long to wait for it; None waits
        for ever.

        Raises: `Timeout`: then the state closes when that call is over;
        `Deadlock` from a finalizer that interrupts a call of this state;
        `InvalidError` for a negative ``timeout``; `ForkedError`.
        """
        self._core.close_in(seconds("timeout", timeout))

    @property
    def closed(self) -> bool:
        """Whether no call begins any more."""
        return self._core.is_closed()

    @property
    def memory(self) -> Memory:
        """How much memory its values take.

        Raises: `Closed`.
        """
        return Memory(*self._core.memory())

    def __enter__(self) -> State:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("a State belongs to its process and has no pickle")

    def __repr__(self) -> str:
        return f"<bridge.State{', closed' if self.closed else ''}>"
