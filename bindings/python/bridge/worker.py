"""Lua that runs beside Python."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator
from threading import get_ident
from types import TracebackType
from typing import Any, Literal, NamedTuple

from . import core as _core
from .errors import (
    Closed,
    Deadlock,
    Error,
    Frame,
    InvalidError,
    Lost,
    NotShareableError,
    Timeout,
    Unsupported,
)
from .handles import Handle, register
from .options import (
    ITEMS_MAX,
    QUEUE_BYTES_MAX,
    SIZE_MAX,
    chunk,
    choice,
    flag,
    memory_size,
    milliseconds,
    names,
    number,
    processors,
    seconds,
    size,
    stop_level,
    text,
)
from .options import limit as _limit
from .records import Target, queue_of
from .state import Memory
from .waker import Waker, kind_number

__all__ = ["Info", "Phase", "Stack", "Worker", "find", "set_watchdog", "workers"]

Phase = Literal["running", "serving", "stopping", "ended", "lost"]

_PHASES: dict[int, Phase] = {
    _core.WORKER_RUNNING: "running",
    _core.WORKER_SERVING: "serving",
    _core.WORKER_STOPPING: "stopping",
    _core.WORKER_ENDED: "ended",
    _core.WORKER_LOST: "lost",
}
_DRIVES: dict[str, int] = {
    "thread": _core.DRIVE_THREAD,
    "host": _core.DRIVE_HOST,
}
_PRIORITIES: dict[str, int] = {
    "idle": _core.PRIORITY_IDLE,
    "low": _core.PRIORITY_LOW,
    "normal": _core.PRIORITY_NORMAL,
    "high": _core.PRIORITY_HIGH,
}
_FULL: dict[str, int] = {
    "block": _core.QUEUE_BLOCK,
    "fail": _core.QUEUE_FAIL,
    "drop_oldest": _core.QUEUE_DROP_OLDEST,
}


class Info(NamedTuple):
    """What can be seen of a worker while it works; each number is of some moment, not
    all of the same."""

    worker: Worker
    """The worker itself."""
    id: int
    """A number that no other worker of the process has had or will have."""
    name: str
    """Its name, or the first 63 bytes of it."""
    phase: Phase
    """Where it is in its life."""
    paused: bool
    """Whether `Worker.pause` holds it."""
    running: str
    """The handler that runs now, or the chunk; ``""`` while it waits."""
    running_time: float
    """For how many seconds that has run without a break."""
    cpu_time: float
    """Seconds of CPU time that it has had; of its thread, if it has one."""
    memory: Memory
    """How much memory its values take; also as ``memory_used``, ``memory_peak`` and
    ``memory_limit``."""
    inbox_items: int
    """Requests in its inbox."""
    inbox_bytes: int
    """Their bytes."""
    messages: int
    """Requests that it has begun."""
    errors: int
    """Requests, and chunks, that failed."""
    dropped: int
    """Requests that were refused or dropped, since the inbox was full."""

    @property
    def memory_used(self) -> int:
        """Bytes now; 0 once it ended."""
        return self.memory.used

    @property
    def memory_peak(self) -> int:
        """Most bytes ever."""
        return self.memory.peak

    @property
    def memory_limit(self) -> int:
        """The limit; 0 for none."""
        return self.memory.limit


class Stack(NamedTuple):
    """Where a worker is."""

    text: str
    """What runs, or that it waits."""
    traceback: str
    """The call stack as Lua prints it."""
    frames: list[Frame]
    """The call stack; the first one is where it is now."""
    resumed: Stack | None
    """If that is a coroutine of the script's own: where that was resumed."""

    def __str__(self) -> str:
        return f"{self.text}\n{self.traceback}" if self.traceback else self.text


def _stack_of(error: Error) -> Stack:
    cause = error.__cause__
    return Stack(
        error.message,
        error.traceback,
        error.frames,
        _stack_of(cause) if isinstance(cause, Error) else None,
    )


class Worker(Handle[_core.Worker]):
    """A Lua state with an inbox, driven by a thread of its own or by you.

    It runs one chunk.  What the chunk returns, or the error that it raises, is
    what `join` gives.  A chunk that calls ``bridge.serve{...}`` answers `call`,
    `send` and `acall` until it is asked to stop.

    Dropping the object never blocks and never stops the worker.  ``with`` closes
    it; ``async with`` closes it without holding up the loop.

    Thread safety: any thread, but `step` and `timeout` by one at a time.
    """

    __slots__ = ("_kept", "_stepper", "_waits")

    _kept: list[Any]  # what the chunk yielded while Ctrl-C came
    _stepper: int | None  # the thread that steps it, of a worker that you drive
    _waits: bool  # whether asking is known to wait for room
    _kind = _core.HANDLE_WORKER

    def __init__(
        self,
        source: str | bytes | None = None,
        *args: object,
        file: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
        name: str | None = None,
        libraries: str | Iterable[str] | None = None,
        path: str | None = None,
        cpath: str | None = None,
        sandbox: bool = False,
        stop: str | None = None,
        timeout: float | None = None,
        cpu: float | None = None,
        call_timeout: float | None = None,
        call_cpu: float | None = None,
        memory_limit: int | str | None = None,
        depth_limit: int | None = None,
        value_limit: int | None = None,
        message_limit: int | str | None = None,
        binary_chunks: bool = False,
        tracebacks: bool = True,
        log: Target = None,
        stack_size: int | str | None = None,
        priority: str = "normal",
        affinity: Iterable[int] | None = None,
        drive: str = "thread",
        waker: str = "default",
        inbox_items: int | None = None,
        inbox_bytes: int | str | None = None,
        inbox_full: str = "block",
        memory: int | str | None = None,
    ) -> None:
        """Make a worker and start it.

        Parameters: ``source`` is the chunk, or ``file`` names it; ``args`` are
        what ``...`` is in it.  ``name`` is for people.  ``libraries`` names the
        standard libraries (None for all, ``""`` or ``[]`` for none), ``path``
        and ``cpath`` are those of Lua's ``package``.

        A ``sandbox`` is for scripts that are not trusted: only what can do no
        harm of the libraries, and stopped strictly.  ``stop`` is how scripts are
        stopped: ``"prompt"``, the default, wherever they loop in Lua; ``"strict"``, also within
        long string and table functions, which then poll, and scripts have no
        ``debug`` and set no ``__gc``; ``"cooperative"``, where they wait or ask
        ``bridge.cancelled()``.

        Of time, in seconds: ``timeout`` limits how long the worker may live, and
        ``cpu`` how long it may compute; then it is cancelled.  ``call_timeout`` and
        ``call_cpu`` are for each request's handler, which fails alone.
        ``memory_limit`` limits its values: bytes or ``"64MiB"`` (``memory`` is its
        old name).  Of one message in or out,
        ``depth_limit`` limits how deep its values are nested (at most 1000),
        ``value_limit`` how many there are, ``message_limit`` its bytes.

        ``binary_chunks`` allows precompiled chunks, which can crash Lua.
        ``tracebacks`` off makes errors cheaper.  ``log`` is where its records go,
        see `set_logger`; None for where those of all go.

        ``priority`` of its thread is ``"idle"``, ``"low"``, ``"normal"`` or
        ``"high"``, for which systems want a privilege; ``affinity`` numbers the
        processors that it may run on, None for all.  ``drive`` is ``"thread"``, or
        ``"host"`` if you call `step`; then ``waker`` is the kind of descriptor that
        you watch.  ``inbox_items`` and ``inbox_bytes`` bound the requests that
        wait; None is 65,536 and 64 MiB.  ``inbox_full`` says what asking does
        without room: ``"block"`` waits as long as the call says, ``"fail"`` raises
        `Full`, ``"drop_oldest"`` lets the request fail so that has waited longest.

        Raises: `LuaSyntaxError`, `NotFound` (no such file or library),
        `NotShareableError`, `RangeError`, `LimitError` for an argument,
        `InvalidError`, `OutOfMemory`, `SystemFailure` (also if the system refuses
        the priority or the processors), `TypeError`.
        """
        if (source is None) == (file is None):
            raise InvalidError("a worker is made of either a source or a file")
        self._begin()
        options = {
            "name": text("name", name),
            "source": chunk("source", source),
            "file": text("file", None if file is None else os.fspath(file)),
            "libraries": names("libraries", libraries),
            "path": text("path", path),
            "cpath": text("cpath", cpath),
            "sandbox": flag("sandbox", sandbox),
            "stop": stop_level("stop", stop),
            "life_timeout": _limit("timeout", timeout),
            "life_cpu": _limit("cpu", cpu),
            "call_timeout": _limit("call_timeout", call_timeout),
            "call_cpu": _limit("call_cpu", call_cpu),
            "memory_limit": memory_size(memory_limit, memory),
            "depth_limit": number("depth_limit", depth_limit, SIZE_MAX),
            "value_limit": number("value_limit", value_limit, SIZE_MAX),
            "message_limit": size("message_limit", message_limit, SIZE_MAX),
            "binary_chunks": flag("binary_chunks", binary_chunks),
            "tracebacks": flag("tracebacks", tracebacks),
            "log": None if log is None else queue_of(log),
            "stack_size": size("stack_size", stack_size, SIZE_MAX),
            "priority": choice("priority", priority, _PRIORITIES),
            "affinity": processors("affinity", affinity),
            "drive": choice("drive", drive, _DRIVES),
            "waker": kind_number(waker),
            "inbox_items": number("inbox_items", inbox_items, ITEMS_MAX),
            "inbox_bytes": size("inbox_bytes", inbox_bytes, QUEUE_BYTES_MAX),
            "inbox_full": choice("inbox_full", inbox_full, _FULL),
        }
        self._hold(_core.Worker(options, args))

    def _adopt(self, core: _core.Worker) -> None:
        self._begin()
        self._hold(core)

    def _begin(self) -> None:
        self._kept = []
        self._stepper = None
        self._waits = False

    # ---- Asking

    def call(self, name: str, *args: object, timeout: float | None = None) -> Any:
        """Ask and wait for the answer.

        Parameters: ``name`` is the handler's, ``args`` are its arguments,
        ``timeout`` in seconds is for all of it; None waits for ever.  When it is over,
        or Ctrl-C ends the wait, the handler is stopped, alone.

        Returns: what the handler returned: one value, or a tuple of any other
        number.

        Raises: `Timeout`; `NotFound` if there is no such handler; `LuaError` if
        it raised; `NotShareableError` if something cannot cross; `WorkerDied` if
        the worker ended before it answered; `Closed` if it takes no more
        requests; `Full` with a ``timeout`` of 0; `InvalidError` for a negative
        one; `Deadlock` from the thread that steps the worker; `Cancelled`;
        `ForkedError`.
        """
        if self._stepper == get_ident() and timeout != 0:
            raise Deadlock("the thread that steps a worker cannot wait for it")
        return self._core.call_values(name, args, timeout)

    def send(self, name: str, *args: object, timeout: float | None = None) -> None:
        """Ask, and do not wait: nobody hears of the result.

        Parameters: ``timeout`` in seconds is how long to wait for room in the
        inbox; None waits for ever.

        Raises: `Timeout`, `Full`, `WorkerDied`, `Closed`, `NotShareableError`,
        `ForkedError`.
        """
        self._core.send_values(name, args, timeout)

    async def acall(
        self, name: str, *args: object, timeout: float | None = None
    ) -> Any:
        """Like `call`, for a task of asyncio; any number at the same time.

        When the ``timeout`` is over, or the task is cancelled, the handler is stopped,
        alone.
        """
        from . import aio  # here, since asyncio takes long to import

        return await aio.call(self, name, args, timeout)

    def next(self, *values: object, timeout: float | None = None) -> Any:
        """Let the chunk run on to its next ``bridge.yield``, and take what it yields.

        The chunk begins by itself, and waits in its first yield until it is asked; the
        ``values`` of each later call are what the yield that was taken last returns.
        What is yielded after the ``timeout``, in seconds, or after Ctrl-C, stays for
        the next call, whose values nobody takes.  A worker that you drive is stepped
        here.

        Returns: what was yielded: one value, or a tuple of any other number.

        Raises: `Closed` once the chunk has ended: its results, or error, are what
        `join` gives; `Timeout`; `Full` and `LimitError` as `send`;
        `NotShareableError` if something cannot cross; `InvalidError` for a negative
        ``timeout``; `ForkedError`.
        """
        if self._kept:
            return self._kept.pop(0)
        return self._core.next_values(values, timeout, self._kept)

    async def anext(self, *values: object, timeout: float | None = None) -> Any:
        """Like `next`, for a task of asyncio.  Cancelling the task loses nothing."""
        from . import aio

        return await aio.next_values(self, values, timeout)

    def values(self, timeout: float | None = None) -> Iterator[Any]:
        """Everything that the chunk yields, until it ends; each has ``timeout``
        seconds.  If the chunk fails the iterator raises that error, as `join` does.

        ``for value in worker.values(): ...`` may break: the rest stays.
        """
        while True:
            try:
                value = self.next(timeout=timeout)
            except Closed:
                break
            yield value
        self._end(timeout)

    async def avalues(self, timeout: float | None = None) -> AsyncIterator[Any]:
        """Like `values`, for ``async for`` in a task of asyncio."""
        from . import aio

        while True:
            try:
                value = await self.anext(timeout=timeout)
            except Closed:
                break
            yield value
        await aio.apart(self._end, timeout)

    def _end(self, timeout: float | None) -> None:
        """Raise what ended the chunk; its results are for `join`, even if Python
        cannot have them."""
        try:
            self.join(timeout)
        except NotShareableError:
            pass

    # ---- Looking, and holding

    def info(self) -> Info:
        """What it is doing.  It is not held up.

        Raises: `ForkedError`.
        """
        number, name, phase, *others = self._core.look_now()
        paused, running, running_time, cpu_time, memory, *counts = others
        return Info(
            self,
            number,
            name,
            _PHASES[phase],
            paused,
            running,
            running_time,
            cpu_time,
            Memory(*memory),
            *counts,
        )

    def traceback(self, timeout: float | None = 1.0) -> Stack:
        """Where it is: the call stack of what it runs, taken by itself at its next
        safe point; or of all its coroutines while it waits.

        Parameters: ``timeout`` in seconds; a C function that does not return has no
        safe point.  None waits for ever, 0 asks.

        Raises: `Timeout`; `WorkerDied` if it has ended; `InvalidError` for a negative
        ``timeout``; `SystemFailure`; `ForkedError`.
        """
        error = self._core.traceback_in(timeout)
        assert isinstance(error, Error)
        return _stack_of(error)

    async def atraceback(self, timeout: float | None = 1.0) -> Stack:
        """Like `traceback`, for a task of asyncio."""
        from . import aio

        return await aio.traceback(self, timeout)

    def pause(self) -> None:
        """Hold it: once what runs now has come to its next safe point, nothing of its
        Lua runs until `resume`.  Twice is harmless.  To cancel or to close it resumes
        it.  Returns at once.

        Raises: `ForkedError`; `OutOfMemory` and `SystemFailure` if a script that runs
        cannot be reached: then it is held when it waits next.
        """
        self._core.pause()

    def resume(self) -> None:
        """Let it go on, if it was paused.

        Raises: `ForkedError`.
        """
        self._core.resume()

    # ---- Ending

    def join(self, timeout: float | None = None) -> Any:
        """Wait until the worker has ended.

        Returns: what the chunk returned: one value, or a tuple of any other
        number.  Every caller gets it.

        Raises: `Timeout`; `LuaError` and those below it if the chunk raised;
        `NotShareableError` if a result cannot come to Python; `Cancelled`;
        `Unsupported` for a worker that you drive and that has not ended;
        `ForkedError`.
        """
        return self._core.join_values(timeout)

    async def ajoin(self, timeout: float | None = None) -> Any:
        """Like `join`, for a task of asyncio; the worker's end wakes the loop.  A worker
        that you drive has to be stepped meanwhile."""
        from . import aio

        return await aio.join(self, timeout)

    def stop(self) -> None:
        """Ask the worker to stop: requests that are in the inbox are still
        answered, later ones are refused.  Returns at once."""
        self._core.stop()

    def cancel(self, level: str | None = None, grace: float = 0) -> None:
        """Break every wait in the worker, now and later, and stop its scripts, also
        those that only compute.  Returns at once.

        Parameters: ``level`` is how, as ``stop`` of the worker, and at most that;
        None for that.  With a ``grace`` in seconds scripts first get an ordinary
        error, which they may catch to clean up, and are stopped so much later.

        Raises: `InvalidError`, `TypeError`, `ForkedError`.
        """
        self._core.cancel(
            stop_level("level", level), milliseconds(seconds("grace", grace))
        )

    def close(self, grace: float | None = 1.0) -> None:
        """End the worker: stop it; if it has not ended after ``grace`` seconds,
        cancel it, hard after half of that time; if it has not ended after the same
        time again, give up its thread.

        A worker that you drive is run here; if it has never been stepped, its chunk
        does not run.  Ctrl-C while this waits cancels it.

        Parameters: ``grace`` in seconds; None never cancels it.

        Raises: `Lost` if it refuses: some C function does not return, and the thread
        is left to it; `InvalidError` for a negative ``grace``.
        """
        self._core.close_in(seconds("grace", grace))

    async def aclose(self, grace: float | None = 1.0) -> None:
        """Like `close`, for a task of asyncio.  If the task is cancelled meanwhile, it
        goes on without it."""
        from . import aio

        await aio.close(self, grace)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the worker.  If it refuses, an error of the body goes first."""
        try:
            self.close()
        except (Lost, Timeout):
            if error is None:
                raise

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the worker, and let the loop go on meanwhile."""
        from . import aio

        await aio.apart(self.__exit__, kind, error, traceback)

    # ---- Driving

    def step(self, budget: int | None = None) -> bool:
        """Run a worker that you drive until it has to wait, or has handled
        ``budget`` messages; None is 64.  Step once to begin, and again whenever its
        descriptor is readable or the time of `timeout` is over.

        Returns: whether there is more to do; False if it waits.

        Raises: `Closed` when it has ended; `Unsupported` if it has a thread of
        its own; `Busy` if another thread steps it; `Deadlock`; `ForkedError`.
        """
        most = number("budget", budget, SIZE_MAX)
        before, self._stepper = self._stepper, get_ident()
        try:
            return self._core.step_once(most)
        except Unsupported:
            self._stepper = before  # nobody steps it
            raise

    def timeout(self) -> float | None:
        """How many seconds you may wait before you must step again; None if
        nothing in the worker waits for time.

        Raises: `Unsupported` if it has a thread of its own.
        """
        try:
            milliseconds = self._core.timeout()
        except Unsupported:
            raise Unsupported(
                "this worker has a thread of its own, which waits for it"
            ) from None
        return None if milliseconds < 0 else milliseconds / 1000

    @property
    def waker(self) -> Waker:
        """What is raised when a worker that you drive has something to do."""
        core = self._core.waker()
        if core is None:
            raise Unsupported(
                "this worker has a thread of its own: it has no waker and no descriptor"
            )
        return Waker._of(core)

    def fileno(self) -> int:
        """The descriptor of `waker`.

        Raises: `Unsupported` if there is none.
        """
        return self.waker.fileno()

    # ---- The rest

    @property
    def name(self) -> str:
        """The name that was given or made."""
        return self._core.name()

    @property
    def id(self) -> int:
        """A number that no other worker of the process has had or will have."""
        return self._core.id()

    @property
    def phase(self) -> Phase:
        """``"running"``, ``"serving"``, ``"stopping"``, ``"ended"`` or
        ``"lost"``."""
        return _PHASES[self._core.phase()]

    @property
    def alive(self) -> bool:
        """Whether it has yet to end."""
        return self._core.phase() != _core.WORKER_ENDED

    @property
    def memory(self) -> Memory:
        """How much memory its values take."""
        core = self._core
        return Memory(core.memory_used(), core.memory_peak(), core.memory_limit())

    def __repr__(self) -> str:
        return f"<bridge.Worker {self.name}, {self.phase}>"


register(Worker)


def workers() -> list[Info]:
    """All workers of the process that have not ended, also those of Lua and C, and
    those of which nobody has a handle; the oldest first.

    Thread safety: any thread.
    """
    return [worker.info() for worker in _core.workers()]


def find(key: str | int) -> Worker | None:
    """The worker of this name, the latest if there are several, or of this number;
    None if none has it that has not ended.

    Thread safety: any thread.
    """
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise TypeError(f"a name or a number is looked for, not {key!r}")
    found: Worker | None = _core.find(key)
    return found


def set_watchdog(limit: float | None) -> None:
    """Have a thread look at all workers, and warn, through the logger, of scripts that
    run without a break for longer than ``limit`` seconds, with where they are; None
    or 0 ends it.

    Raises: `InvalidError`, `TypeError`, `OutOfMemory`, `SystemFailure`.

    Thread safety: any thread.
    """
    off = isinstance(limit, (int, float)) and limit == 0 and limit is not False
    _core.set_watchdog(0 if off else _limit("limit", limit))
