"""Bytes that Python and Lua share without a copy."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from . import core as _core

__all__ = ["Buffer"]

# By address.  An entry goes before its bytes do.
_live: WeakValueDictionary[int, Buffer] = WeakValueDictionary()


class Buffer(_core.Buffer):
    """Bytes that threads share and do not copy.

    ``memoryview(buffer)``, ``numpy.frombuffer(buffer)``, ``file.readinto`` and
    whatever else knows the buffer protocol use the bytes in place.  A buffer can
    be written until it is frozen; pushing it into a queue, or handing it to a
    worker, freezes it.  While a view that can write is open it cannot be frozen:
    release the memoryview, or drop the array, first.

    Thread safety: any thread.  Who writes the same bytes from two threads at the
    same time has to take turns.
    """

    __slots__ = ("__weakref__",)

    def __init__(self, source: Any) -> None:
        """Make a buffer.

        Parameters: ``source`` is a number of bytes, which will be zeros, or
        anything that has bytes, which are copied.

        Raises: `InvalidError` for a negative size, `LimitError`, `OutOfMemory`,
        `TypeError`.
        """
        super().__init__(source)
        _live[self.address()] = self

    @classmethod
    def _of(cls, core: _core.Buffer) -> Buffer:
        """The object for a handle: one that lives, or a new one."""
        known = _live.get(core.address())
        return cls(core) if known is None else known

    def freeze(self) -> None:
        """Make the bytes read-only for good.  Twice is harmless.

        Raises: `BufferBusy` while a view that can write is open.
        """
        self.freeze_now()

    @property
    def frozen(self) -> bool:
        """Whether the bytes are read-only."""
        return self.is_frozen()

    def __len__(self) -> int:
        return self.size()

    def __bool__(self) -> bool:
        return True

    def __reduce__(self) -> Any:
        raise TypeError("a Buffer belongs to its process and has no pickle")

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "writable"
        return f"<bridge.Buffer of {len(self)} bytes, {state}>"


_core.set_face(_core.HANDLE_BUFFER, Buffer, Buffer._of)
