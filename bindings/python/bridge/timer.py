"""Messages that come when their time does."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal

from . import core as _core
from .channel import Channel
from .errors import InvalidError
from .handles import register
from .listed import Listed
from .options import choice, seconds
from .queue import Queue

__all__ = ["Clock", "Timer", "now"]

Clock = Literal["steady", "wall"]

_CLOCKS: dict[str, int] = {
    "steady": _core.TIMER_STEADY,
    "wall": _core.TIMER_WALL,
}
_NS = 1_000_000_000
_NEVER = 2**63 - 1


def _nanoseconds(what: str, value: float | None) -> int:
    value = seconds(what, value)
    if value is None:
        return 0
    return min(ceil(value * _NS), _NEVER) if value < _NEVER / _NS else _NEVER


def now(clock: Clock = "steady") -> float:
    """Seconds by a clock: ``"steady"``, or the one on the ``"wall"``.

    Raises: `InvalidError`, `TypeError`.
    """
    return _core.clock_now(choice("a clock", clock, _CLOCKS)) / _NS


class Timer(Listed[_core.Timer]):
    """Posts values to a queue or a channel when its time comes: once, or again
    and again.

    All timers of a process share one thread, which never waits for room: a timer
    that goes off once tries again until there is some; of a periodic one a post
    that finds none, or comes too late, is counted as missed.

    A timer goes on without this object, and is found by `objects`.  It ends when it is cancelled, which the
    end of a ``with`` does, when it has gone off for the last time, and when its
    target is closed or nobody else has it any more.

    Thread safety: any thread.
    """

    __slots__ = ()
    _kind = _core.HANDLE_TIMER

    def __new__(
        cls,
        target: Queue | Channel,
        *values: object,
        after: float | None = None,
        at: float | None = None,
        every: float | None = None,
        clock: Clock = "wall",
        name: str | None = None,
    ) -> Timer:
        """Make a timer; it runs from now on.

        Parameters: ``values`` are what is posted.  The first time is ``after`` so
        many seconds, or ``at`` a moment of a ``clock``, which `now` tells and which
        is seconds since 1970 for the one on the wall; from then on it is ``every``
        so many seconds, 0.0001 at least.  With ``every`` alone the first comes
        after one period.  ``name`` is for `objects`.

        Raises: `InvalidError`, `TypeError`, `NotShareableError` and the like for
        values that cannot cross, `CycleError`, `SystemFailure`, `OutOfMemory`,
        `ForkedError`.
        """
        if after is not None and at is not None:
            raise InvalidError("one of after and at is expected, not both")
        if after is None and at is None and every is None:
            raise InvalidError("one of after, at and every is expected")
        number = choice("a clock", clock, _CLOCKS)
        if at is None:
            number = _core.TIMER_AFTER
        first = every if after is None and at is None else after if at is None else at
        named = "at" if at is not None else "every" if after is None else "after"
        period = _nanoseconds("every", every)
        if every is not None and period < 100_000:
            raise InvalidError(f"every is 0.0001 seconds or more, not {every!r}")
        timer: Timer = _core.make_timer(
            target, number, _nanoseconds(named, first), period, values
        )
        try:
            timer._begin(name)
        except BaseException:
            timer.cancel()  # it would go on
            raise
        return timer

    def __init__(self, *values: Any, **options: Any) -> None:
        """All is done by `__new__`."""

    def cancel(self) -> bool:
        """End the timer: from now on it posts nothing.  What it has posted stays.

        Returns: whether it had yet to end.

        Raises: `ForkedError`.
        """
        return self._core.cancel_now()

    def close(self) -> None:
        """End the timer, as `cancel`.

        Raises: `ForkedError`.
        """
        self._core.cancel_now()

    @property
    def closed(self) -> bool:
        """Whether the timer has ended."""
        return not self._core.active()

    @property
    def active(self) -> bool:
        """Whether the timer has yet to end."""
        return self._core.active()

    @property
    def posted(self) -> int:
        """How many messages it has posted."""
        return self._core.posted()

    @property
    def missed(self) -> int:
        """How many moments of a periodic timer passed without a message."""
        return self._core.missed()

    def __enter__(self) -> Timer:
        return self

    def __exit__(self, *details: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        state = "active" if self.active else "ended"
        return f"<bridge.Timer, {state}, {self.posted} posted>"


register(Timer)
