"""What threads share beside messages: a number, a flag and a lock."""

from __future__ import annotations

from typing import Literal

from . import core as _core
from .handles import register
from .listed import Listed
from .options import check_64_bits, choice, flag

__all__ = ["Counter", "Flag", "Mutex", "Relation"]

Relation = Literal[">=", "<=", "==", "!="]

_RELATIONS: dict[str, int] = {
    ">=": _core.RELATION_AT_LEAST,
    "<=": _core.RELATION_AT_MOST,
    "==": _core.RELATION_EQUAL,
    "!=": _core.RELATION_NOT_EQUAL,
}


class Counter(Listed[_core.Counter]):
    """A whole number of 64 bits that any thread may change in one step, and wait
    for.

    Thread safety: any thread.
    """

    __slots__ = ()
    _kind = _core.HANDLE_COUNTER

    def __init__(self, value: int = 0, *, name: str | None = None) -> None:
        """Make a counter that begins with ``value``; ``name`` is for `objects`.

        Raises: `OverflowError`, `TypeError`, `OutOfMemory`.
        """
        try:
            core = _core.Counter(value)
        except (TypeError, OverflowError):
            check_64_bits("value", value)
            raise
        self._hold(core)
        self._begin(name)

    @property
    def value(self) -> int:
        """The number."""
        return self._core.get()

    def set(self, value: int) -> int:
        """Set the number.

        Returns: what it was.

        Raises: `Closed`, `OverflowError`, `TypeError`, `ForkedError`.
        """
        try:
            return self._core.set(value)
        except (TypeError, OverflowError):
            check_64_bits("value", value)
            raise

    def add(self, change: int = 1) -> int:
        """Add to the number.

        Returns: what it is then.

        Raises: `RangeError` if the sum has more than 64 bits, and then it stays as
        it was; `Closed`, `OverflowError`, `TypeError`, `ForkedError`.
        """
        try:
            return self._core.add(change)
        except (TypeError, OverflowError):
            check_64_bits("change", change)
            raise

    def exchange(self, expected: int, value: int) -> tuple[bool, int]:
        """Set the number if it is what is expected.

        Returns: whether it was, and what it was.

        Raises: `Closed`, `OverflowError`, `TypeError`, `ForkedError`.
        """
        try:
            return self._core.exchange_value(expected, value)
        except (TypeError, OverflowError):
            check_64_bits("expected", expected)
            check_64_bits("value", value)
            raise

    def wait(
        self, relation: Relation, value: int, timeout: float | None = None
    ) -> int:
        """Wait until the number stands to ``value`` as asked.  One that does so
        only for a moment may be missed.

        Parameters: ``timeout`` in seconds; None waits for ever, 0 asks.

        Returns: the number that was found so.

        Raises: `Closed` if it is closed, also meanwhile, and does not stand so;
        `Timeout`, `InvalidError`, `OverflowError`, `TypeError`, `ForkedError`.
        """
        number = choice("a relation", relation, _RELATIONS)
        try:
            return self._core.wait_for(number, value, timeout)
        except (TypeError, OverflowError):
            check_64_bits("value", value)
            raise

    def close(self) -> None:
        """Close the counter: who waits for what it is not gets `Closed`, now and
        later, and so does who changes it.  Twice is harmless.

        Raises: `ForkedError`.
        """
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether nobody can change it any more."""
        return self._core.closed()

    def __repr__(self) -> str:
        return f"<bridge.Counter at {self.value}{', closed' * self.closed}>"


class Flag(Listed[_core.Flag]):
    """Something that is so, or not yet; any number of threads wait until it is.

    Thread safety: any thread.
    """

    __slots__ = ()
    _kind = _core.HANDLE_FLAG

    def __init__(self, set: bool = False, *, name: str | None = None) -> None:
        """Make a flag; ``name`` is for `objects`.

        Raises: `TypeError`, `OutOfMemory`.
        """
        self._hold(_core.Flag(flag("set", set)))
        self._begin(name)

    def set(self) -> None:
        """Set the flag, and wake all who wait for it.  Twice is harmless.

        Raises: `Closed`, `ForkedError`.
        """
        self._core.set()

    def clear(self) -> None:
        """Unset the flag.

        Raises: `Closed`, `ForkedError`.
        """
        self._core.clear()

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._core.is_set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the flag is set; it stays set.

        Parameters: ``timeout`` in seconds; None waits for ever, 0 asks.

        Raises: `Closed` if it is closed, also meanwhile, and not set; `Timeout`,
        `InvalidError`, `ForkedError`.
        """
        self._core.wait_for(timeout)

    def close(self) -> None:
        """Close the flag: it stays as it is, and who waits until it is set gets
        `Closed` if it is not.  Twice is harmless.

        Raises: `ForkedError`.
        """
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether nobody can set or clear it any more."""
        return self._core.closed()

    def __repr__(self) -> str:
        state = "set" if self.is_set() else "not set"
        return f"<bridge.Flag, {state}{', closed' * self.closed}>"


class Mutex(Listed[_core.Mutex]):
    """A lock that threads of Python share with workers.

    Its owner is the thread that locked it; or the worker, with all of its
    coroutines.  The owner cannot lock it again.  A worker that ends gives back
    what it still has, and the next owner is told.

    Thread safety: any thread.
    """

    __slots__ = ()
    _kind = _core.HANDLE_MUTEX

    def __init__(self, *, name: str | None = None) -> None:
        """Make a mutex that nobody has; ``name`` is for `objects`.

        Raises: `TypeError`, `OutOfMemory`.
        """
        self._hold(_core.Mutex())
        self._begin(name)

    def lock(self, timeout: float | None = None) -> bool:
        """Lock the mutex, waiting until nobody has it.

        Parameters: ``timeout`` in seconds; None waits for ever, 0 tries.

        Returns: whether the owner before ended, or gave up, without unlocking it:
        what it guards may be half done.

        Raises: `Busy` if somebody has it and ``timeout`` is 0; `Timeout`; `Closed`
        if it is closed, also meanwhile; `Deadlock` if this thread has it; `InvalidError`; `ForkedError`.
        """
        return self._core.lock_in(timeout)

    def unlock(self) -> None:
        """Unlock the mutex.

        Raises: `InvalidError` if this thread does not have it; `ForkedError`.
        """
        self._core.unlock_now(False)

    def abandon(self) -> None:
        """Unlock the mutex, and let the next owner know that what it guards may be
        half done.

        Raises: as `unlock`.
        """
        self._core.unlock_now(True)

    @property
    def locked(self) -> bool:
        """Whether anybody has the mutex."""
        return self._core.locked()

    def close(self) -> None:
        """Close the mutex: nobody gets it any more, but `Closed`; who has it can
        still unlock it.  Twice is harmless.

        Raises: `ForkedError`.
        """
        self._core.close()

    @property
    def closed(self) -> bool:
        """Whether nobody can lock it any more."""
        return self._core.closed()

    def __enter__(self) -> bool:
        return self.lock()

    def __exit__(self, *details: object) -> None:
        self.unlock()

    def __repr__(self) -> str:
        state = "locked" if self.locked else "unlocked"
        return f"<bridge.Mutex, {state}{', closed' * self.closed}>"


for _face in (Counter, Flag, Mutex):
    register(_face)
