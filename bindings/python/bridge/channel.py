"""Messages that many receive, and waiting for several of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Literal

from . import core as _core
from .errors import Busy, Closed, InvalidError, Unsupported
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
from .options import SIZE_MAX, choice, number, size
from .queue import Queue
from .waker import Waker

__all__ = ["Channel", "End", "aselect", "select"]

End = Literal["sending", "receiving"]

_ENDS: dict[str, int] = {
    "sending": _core.CHANNEL_SENDING,
    "receiving": _core.CHANNEL_RECEIVING,
}


class Channel(Line[_core.Channel]):
    """Messages that any thread sends and any thread receives, each message by one
    of them, in Python, Lua or C.

    Where a `Queue` has one consumer and no lock, a channel has many and one, can be
    looked into, emptied, closed at either end, and given other limits while it is
    used.  A message of one value is that value; a message of any other number of
    values is a tuple.

    In asyncio: `areceive`, `asend`, `async for`, and `aselect` for several.  In another
    event loop: give the channel a waker that has a descriptor, register `fileno`, and
    when it is readable receive with a time-out of 0 until `Empty`.
    """

    __slots__ = ()
    _kind = _core.HANDLE_CHANNEL

    def __init__(
        self,
        items: int | None = None,
        bytes: int | str | None = None,
        full: str = "block",
        timeout: float | None = None,
        waker: str | Waker | None = None,
        *,
        name: str | None = None,
    ) -> None:
        """Make a channel.

        Parameters: ``items`` and ``bytes`` are the most at once; None is 65,536 and
        64 MiB.  ``full`` says what `send` does without room: ``"block"`` for at
        most ``timeout`` seconds, ``"fail"``, or ``"drop_oldest"``.  ``waker`` is
        a `Waker` of your own, for one channel only, the kind of one, or None;
        ``name`` is for `objects`.

        Raises: `InvalidError`, `Busy` if the waker serves another, `Unsupported`,
        `SystemFailure`, `OutOfMemory`, `TypeError`.
        """
        own = Waker(waker) if isinstance(waker, str) else waker
        if own is not None and not isinstance(own, Waker):
            raise TypeError(f"a waker is a Waker, a kind, or None, not {waker!r}")
        try:
            core = _core.Channel(
                number("items", items, SIZE_MAX),
                size("bytes", bytes, SIZE_MAX),
                choice("full", full, POLICIES),
                wait_milliseconds(timeout),
                None if own is None else own._core,
            )
        except Busy:
            raise Busy("the waker serves another channel or queue") from None
        self._hold(core)
        self._begin(name)

    def send(
        self,
        *values: object,
        timeout: float | None | Literal[Policy.POLICY] = POLICY,
    ) -> None:
        """Append a message of these values.

        Parameters: ``timeout`` in seconds is how long to wait for room, whatever
        the channel was made to do; None waits for ever, 0 fails at once.

        Raises: `Full`; `Timeout`; `Closed`, also when the channel is closed
        meanwhile; `NotShareableError`, `RangeError`, `LimitError` with the path
        to the value; `BufferBusy`; `CycleError`; `ForkedError`.

        Thread safety: any thread.
        """
        if timeout is POLICY:
            self._core.send_by_policy(values)
        else:
            self._core.send_values(values, timeout)

    def receive(self, timeout: float | None = None) -> Any:
        """Take the oldest message.

        Parameters: ``timeout`` in seconds; None waits for ever, 0 asks.

        Raises: `Empty` if nothing is there and ``timeout`` is 0, or if `wake` ended
        the wait; `Timeout`; `Closed` once it is closed and empty;
        `NotShareableError` for what Python cannot have (the message stays the
        oldest, until `discard` frees it); `InvalidError`; `ForkedError`.

        Thread safety: any thread.
        """
        return self._core.receive_values(timeout)

    def receive_batch(self, limit: int, timeout: float | None = None) -> list[Any]:
        """Take as many messages as there are, the oldest first, at most
        ``limit``.  Waits like `receive` until the first one, and raises like it.

        Thread safety: any thread.
        """
        return self._core.receive_list(limit, timeout)

    def __iter__(self) -> Iterator[Any]:
        """Receive until the channel is closed and empty."""
        while True:
            try:
                value = self.receive()
            except Closed:
                return
            yield value

    # ---- In an asyncio loop

    async def areceive(self, timeout: float | None = None) -> Any:
        """Like `receive`, for a task of asyncio; by any number of them.  The channel
        needs no waker.  Cancelling the task loses no message.

        Thread safety: any thread that runs a loop.
        """
        if timeout is None:
            value = self._core.receive_or(NOTHING)
            if value is not NOTHING:
                return value
        return await aio_module().receive(self, timeout)

    async def asend(
        self,
        *values: object,
        timeout: float | None | Literal[Policy.POLICY] = POLICY,
    ) -> None:
        """Like `send`, for a task of asyncio; one that is cancelled while it waits for
        room sends nothing.

        Thread safety: any thread that runs a loop.
        """
        if timeout is POLICY:
            wait = self._core.patience()
            timeout = None if wait < 0 else wait / 1000
        await aio_module().send(self, values, timeout)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Receive until the channel is closed and empty."""
        while True:
            try:
                value = await self.areceive()
            except Closed:
                return
            yield value

    # ---- The rest

    def clear(self) -> int:
        """Free all messages.

        Returns: how many those were.

        Raises: `ForkedError`.

        Thread safety: any thread.
        """
        return self._core.clear()

    def wake(self) -> None:
        """End the waits of all who wait to receive, or in `select`, now: they get
        `Empty`.

        Raises: `ForkedError`.

        Thread safety: any thread.
        """
        self._core.wake()

    def set_limit(
        self, items: int | None = None, bytes: int | str | None = None
    ) -> None:
        """Give the channel other limits; None leaves one as it is.  What is inside
        stays, also if it is more.

        Raises: `InvalidError`, `TypeError`, `ForkedError`.

        Thread safety: any thread.
        """
        self._core.set_limit(
            number("items", items, SIZE_MAX), size("bytes", bytes, SIZE_MAX)
        )

    @property
    def limit(self) -> tuple[int, int]:
        """Most messages, and most bytes, at once."""
        return self._core.most_items(), self._core.most_bytes()

    def close(self, end: End = "sending") -> None:
        """Close an end of the channel; who waits is woken.  Twice is harmless.

        Parameters: ``end`` is ``"sending"``, and what is inside can still be
        received; or ``"receiving"``, and what is inside is freed.

        Raises: `InvalidError`, `TypeError`, `ForkedError`.

        Thread safety: any thread.
        """
        self._core.close(choice("end", end, _ENDS))

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._core.closed(_core.CHANNEL_SENDING)

    @property
    def waker(self) -> Waker | None:
        """What is raised while there is something, and when it is closed."""
        core = self._core.waker()
        return None if core is None else Waker._of(core)

    def fileno(self) -> int:
        """The descriptor of the waker, readable as long as there is something.

        Raises: `Unsupported` if there is none.
        """
        waker = self.waker
        if waker is None:
            raise Unsupported(
                "a channel has no descriptor unless it is made with "
                'waker="eventfd", "pipe" or "udp"'
            )
        return waker.fileno()

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<bridge.Channel with {len(self)} messages{state}>"


def select(
    sources: Iterable[Queue | Channel], timeout: float | None = None
) -> tuple[int, Any]:
    """Take a message of the first queue or channel that has one; wait until one
    of them does.

    What stands earlier goes first, always: the order is one of priority.  What is
    closed and empty is passed over.

    Parameters: ``timeout`` in seconds; None waits for ever, 0 asks.

    Returns: which of them it was, from 0, and the message.

    Raises: `Empty` if nothing is there and ``timeout`` is 0, or if `Channel.wake`
    ended the wait; `Timeout`; `Closed` once all are closed and empty; `Busy` if
    another thread is popping one of the queues, or one is there twice;
    `NotShareableError` (the message stays); `InvalidError`, also for no source at
    all; `TypeError`; `ForkedError`.

    Thread safety: any thread.
    """
    return _core.select_values(_rows(sources), timeout)


async def aselect(
    sources: Iterable[Queue | Channel], timeout: float | None = None
) -> tuple[int, Any]:
    """Like `select`, for a task of asyncio.  Cancelling the task loses no message.

    Raises: also, if it has to wait, `Unsupported` where the waker of a queue has no
    descriptor, and `Busy` where another task waits for it.

    Thread safety: any thread that runs a loop.
    """
    found: tuple[int, Any] = await aio_module().select(_rows(sources), timeout)
    return found


def _rows(sources: Iterable[Queue | Channel]) -> tuple[Queue | Channel, ...]:
    if isinstance(sources, (Queue, Channel)):
        raise TypeError(f"a list of queues and channels is expected, not {sources!r}")
    rows = tuple(sources)
    if not rows:
        raise InvalidError("a queue or a channel is expected, not none at all")
    return rows


register(Channel)
