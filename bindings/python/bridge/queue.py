"""Messages on their way to another thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from . import core as _core
from .errors import Busy, Closed, Unsupported
from .handles import register
from .line import (
    NOTHING,
    POLICIES,
    POLICY,
    Line,
    Policy,
    aio_module,
    wait_milliseconds,
)
from .options import ITEMS_MAX, QUEUE_BYTES_MAX, choice, number
from .waker import Waker, kind_number

__all__ = ["Queue"]


class Queue(Line[_core.Queue]):
    """Messages on their way to another thread, in Python, Lua or C.

    Any thread pushes, one thread at a time pops; first in, first out for each
    producer.  A queue is bounded in messages and in bytes.  It can be closed;
    what is in it then can still be popped.

    A message of one value is that value; a message of any other number of values
    is a tuple: ``push(1, 2)`` comes out as ``(1, 2)``.

    In an event loop: give the queue a waker that has a descriptor, and use
    ``async for``, `apop`, `apop_batch`, or `fileno` with `selectors`; when it is
    readable pop with a time-out of 0 until `Empty`.
    """

    __slots__ = ("_waiter",)
    _kind = _core.HANDLE_QUEUE

    _waiter: object

    def __init__(
        self,
        items: int | None = None,
        bytes: int | None = None,
        full: str = "block",
        timeout: float | None = None,
        waker: str | Waker = "condition",
        *,
        name: str | None = None,
    ) -> None:
        """Make a queue.

        Parameters: ``items`` and ``bytes`` are the most at once; None is 65,536 and
        64 MiB.  ``full`` says what `push` does without room: ``"block"`` for at
        most ``timeout`` seconds, ``"fail"``, or ``"drop_oldest"``.  ``waker`` is
        a `Waker` of your own, for one queue only, or the kind of one; ``name`` is
        for `objects`.

        Raises: `InvalidError`, `Busy` if the waker serves another queue,
        `Unsupported`, `SystemFailure`, `OutOfMemory`, `TypeError`.
        """
        own = waker if isinstance(waker, Waker) else None
        kind = _core.WAKER_DEFAULT if isinstance(waker, Waker) else kind_number(waker)
        try:
            core = _core.Queue(
                number("items", items, ITEMS_MAX),
                number("bytes", bytes, QUEUE_BYTES_MAX),
                choice("full", full, POLICIES),
                wait_milliseconds(timeout),
                None if own is None else own._core,
                kind,
            )
        except Busy:
            raise Busy("the waker serves another queue") from None
        self._hold(core)
        self._waiter = None
        self._begin(name)

    def _adopt(self, core: _core.Queue) -> None:
        self._hold(core)
        self._waiter = None

    # ---- Pushing

    def push(
        self,
        *values: object,
        timeout: float | None | Literal[Policy.POLICY] = POLICY,
    ) -> None:
        """Append a message of these values.

        Parameters: ``timeout`` in seconds is how long to wait for room, whatever
        the queue was made to do; None waits for ever, 0 fails at once.

        Raises: `Full`; `Timeout`; `Closed`, also when the queue is closed
        meanwhile; `NotShareableError`, `RangeError`, `LimitError` with the path
        to the value; `BufferBusy`; `CycleError`; `ForkedError`.

        Thread safety: any thread.
        """
        if timeout is POLICY:
            self._core.push_by_policy(values)
        else:
            self._core.push_values(values, timeout)

    # ---- Popping

    def pop(self, timeout: float | None = None) -> Any:
        """Take the oldest message.

        Parameters: ``timeout`` in seconds; None waits for ever, 0 asks.

        Raises: `Empty` if nothing is there and ``timeout`` is 0; `Timeout`;
        `Closed` once it is closed and empty; `Busy` if another thread is
        popping; `NotShareableError` for what Python cannot have, such as a
        function of Lua (the message stays the oldest, until `discard` frees it);
        `InvalidError` for a negative ``timeout``; `ForkedError`.

        Thread safety: any thread; one caller at a time.
        """
        return self._core.pop_values(timeout)

    def pop_batch(self, limit: int, timeout: float | None = None) -> list[Any]:
        """Take as many messages as there are, the oldest first, at most
        ``limit``.  Waits like `pop` until the first one, and raises like it.

        Thread safety: any thread; one caller at a time.
        """
        return self._core.pop_list(limit, timeout)

    def __iter__(self) -> Iterator[Any]:
        """Pop until the queue is closed and empty."""
        while True:
            try:
                value = self.pop()
            except Closed:
                return
            yield value

    # ---- Popping in an asyncio loop

    async def apop(self, timeout: float | None = None) -> Any:
        """Like `pop`, for a task of asyncio.

        Raises: also, if it has to wait, `Unsupported` where the queue's waker has
        no descriptor, and `Busy` where another task waits for this queue.

        Thread safety: any thread that runs a loop; one caller at a time.
        """
        if timeout is None:
            value = self._core.pop_or(NOTHING)
            if value is not NOTHING:
                return value
        return await aio_module().pop(self, timeout)

    async def apop_batch(self, limit: int, timeout: float | None = None) -> list[Any]:
        """Like `pop_batch`, for a task of asyncio: the quickest way to receive.

        Raises: like `apop`.

        Thread safety: any thread that runs a loop; one caller at a time.
        """
        values: list[Any] = await aio_module().pop_batch(self, limit, timeout)
        return values

    def __aiter__(self) -> AsyncIterator[Any]:
        """Pop until the queue is closed and empty.

        Some messages at a time leave the queue before you get them, one by one.
        What you do not get goes back when the loop is left.
        """
        messages: AsyncIterator[Any] = aio_module().Messages(self)
        return messages

    # ---- The rest

    def close(self) -> None:
        """Close the queue: pushing is refused from now on, and who waits is
        woken.  Twice is harmless.

        Raises: `ForkedError`.

        Thread safety: any thread.
        """
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether the queue was closed."""
        return self._core.is_closed()

    @property
    def waker(self) -> Waker:
        """What is raised when the queue stops being empty, and when it is
        closed."""
        return Waker._of(self._core.waker())

    def fileno(self) -> int:
        """The descriptor of the waker, readable as long as there is something.

        Raises: `Unsupported` if the waker has none.
        """
        waker = self.waker
        try:
            return waker.fileno()
        except Unsupported:
            raise Unsupported(
                f"a {waker.kind} has no descriptor: make the queue with "
                'waker="eventfd", "pipe" or "udp"'
            ) from None

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<bridge.Queue with {len(self)} messages{state}>"


register(Queue)
