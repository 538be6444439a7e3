"""What queues and channels have in common: messages that stand in a line."""

from __future__ import annotations

import enum
from math import ceil
from typing import Any, Literal, Protocol, TypeVar

from . import core as _core
from .handles import Addressed
from .listed import Listed
from .options import seconds

__all__ = ["POLICY", "Policy"]


class Policy(enum.Enum):
    """Stands for a time-out: what the queue was made to do."""

    POLICY = "as the queue was made to"


POLICY: Literal[Policy.POLICY] = Policy.POLICY

POLICIES: dict[str, int] = {
    "block": _core.QUEUE_BLOCK,
    "fail": _core.QUEUE_FAIL,
    "drop_oldest": _core.QUEUE_DROP_OLDEST,
}
_FOR_EVER = -1


def aio_module() -> Any:
    """The module, once it is needed: asyncio takes long to import."""
    global _module
    if _module is None:
        from . import aio as loaded

        _module = loaded
    return _module


_module: Any = None
NOTHING: Any = object()  # stands for no message


def wait_milliseconds(timeout: float | None) -> int:
    """For the library, which keeps the time-out for other languages."""
    timeout = seconds("timeout", timeout)
    if timeout is None:
        return _FOR_EVER
    if timeout >= 2**31 / 1000:
        return _FOR_EVER  # 24 days
    return ceil(timeout * 1000)  # never sooner than asked


class Core(Addressed, Protocol):
    """One of the two as the generated module has it."""

    def peek_values(self) -> Any: ...

    def discard(self) -> bool: ...

    def count(self) -> int: ...

    def bytes(self) -> int: ...

    def dropped(self) -> int: ...


C = TypeVar("C", bound=Core)
L = TypeVar("L", bound="Line[Any]")


class Line(Listed[C]):
    """Messages that stand in a line."""

    __slots__ = ()

    def peek(self) -> Any:
        """A copy of the oldest message, which stays.

        Raises: `Empty`; `Closed` once it is closed and empty; of a queue `Busy` if
        another thread is popping; `NotShareableError`; `ForkedError`.

        Thread safety: any thread; of a queue one caller at a time.
        """
        return self._core.peek_values()

    def discard(self) -> bool:
        """Free the oldest message, also one that Python cannot have.

        Returns: whether there was one; it does not wait.

        Raises: `Closed` once it is closed and empty; of a queue `Busy` if another
        thread is popping; `ForkedError`.

        Thread safety: any thread; of a queue one caller at a time.
        """
        return self._core.discard()

    def close(self) -> None:
        """Take no more messages."""
        raise NotImplementedError

    def __len__(self) -> int:
        """How many messages are in it."""
        return self._core.count()

    def __bool__(self) -> bool:
        """True, also when it is empty."""
        return True

    @property
    def bytes(self) -> int:
        """How many bytes of messages are in it."""
        return self._core.bytes()

    @property
    def dropped(self) -> int:
        """How many messages ``"drop_oldest"`` has freed."""
        return self._core.dropped()

    def __enter__(self: L) -> L:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()
