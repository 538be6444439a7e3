"""What wakes an event loop, or a thread that waits."""

from __future__ import annotations

from typing import Literal

from . import core as _core
from .errors import Unsupported
from .handles import Handle, register
from .options import choice

__all__ = ["Waker", "WakerKind"]

WakerKind = Literal["default", "eventfd", "pipe", "udp", "condition", "callback"]

KINDS: dict[str, int] = {
    "default": _core.WAKER_DEFAULT,
    "eventfd": _core.WAKER_EVENTFD,
    "pipe": _core.WAKER_PIPE,
    "udp": _core.WAKER_UDP,
    "condition": _core.WAKER_CONDITION,
}
NAMES: dict[int, WakerKind] = {
    _core.WAKER_DEFAULT: "default",
    _core.WAKER_EVENTFD: "eventfd",
    _core.WAKER_PIPE: "pipe",
    _core.WAKER_UDP: "udp",
    _core.WAKER_CONDITION: "condition",
    _core.WAKER_CALLBACK: "callback",
}


def kind_number(kind: str) -> int:
    """The number of a kind of waker that Python can make."""
    return choice("a waker", kind, KINDS)


class Waker(Handle[_core.Waker]):
    """Tells a sleeping consumer that there is something.

    It carries no data and does not count: any number of raises before the
    consumer looks are one.  What has a descriptor can be registered with
    `selectors` and with ``loop.add_reader``; clear it first, then look for work.

    Thread safety: any thread; `clear` by one thread at a time.
    """

    __slots__ = ()
    _kind = _core.HANDLE_WAKER

    def __init__(self, kind: str = "default") -> None:
        """Make a waker.

        Parameters: ``kind`` is ``"eventfd"``, ``"pipe"``, ``"udp"``,
        ``"condition"`` (no descriptor) or ``"default"``, the cheapest one that
        has a descriptor.

        Raises: `InvalidError`, `Unsupported`, `SystemFailure`, `OutOfMemory`,
        `TypeError`.
        """
        self._hold(_core.Waker(kind_number(kind)))

    @property
    def kind(self) -> WakerKind:
        """By what it wakes; never ``"default"``."""
        return NAMES[self._core.kind()]

    def raise_(self) -> None:
        """Wake the consumer.  Never blocks.

        Raises: `Closed`, `ForkedError`.
        """
        self._core.raise_()

    def clear(self) -> None:
        """Make the waker unraised, whether or not it was raised.

        Raises: `Closed`, `ForkedError`.
        """
        self._core.clear()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the waker is raised; it stays raised.

        Parameters: ``timeout`` in seconds; None waits for ever, 0 asks.

        Raises: `Timeout`; `Closed`, also when it is closed meanwhile;
        `InvalidError` for a negative ``timeout``; `ForkedError`.
        """
        self._core.wait_for(timeout)

    def fileno(self) -> int:
        """The descriptor that becomes readable when the waker is raised.

        It stays the waker's: do not read or close it, and take it out of your
        loop before you close the waker.

        Raises: `Unsupported` if the kind has none, `Closed`.
        """
        try:
            return self._core.fileno()
        except Unsupported:
            raise Unsupported(
                f"a waker by {self.kind} has no descriptor: "
                'make one by "eventfd", "pipe" or "udp"'
            ) from None

    def close(self) -> None:
        """Close the waker: who waits returns, who raises is refused.  Twice is
        harmless."""
        self._core.close()

    def __enter__(self) -> Waker:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<bridge.Waker by {self.kind}>"


register(Waker)
