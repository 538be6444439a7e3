"""Bytes that Python and Lua share without a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

from . import core as _core
from .handles import Handle, register

__all__ = ["Buffer"]


class Buffer(Handle[_core.Buffer], _core.Exporter):
    """Bytes that threads share and do not copy.

    ``memoryview(buffer)``, ``numpy.frombuffer(buffer)``, ``file.readinto`` and
    whatever else knows the buffer protocol use the bytes in place.  A buffer can
    be written until it is frozen; pushing it into a queue, or handing it to a
    worker, freezes it.  While a view that can write is open it cannot be frozen:
    release the memoryview, or drop the array, first.

    Thread safety: any thread.  Who writes the same bytes from two threads at the
    same time has to take turns.

    A buffer equals whatever has the same bytes: other buffers, bytes, bytearray
    and memoryview.  Since its bytes can change it has no hash.
    """

    __slots__ = ()
    _kind = _core.HANDLE_BUFFER

    def __init__(self, source: Any) -> None:
        """Make a buffer.

        Parameters: ``source`` is a number of bytes, which will be zeros, or
        anything that has bytes, which are copied.

        Raises: `InvalidError` for a negative size, `RangeError`, `LimitError`,
        `OutOfMemory`, `TypeError`.
        """
        self._hold(_core.Buffer(source))

    def freeze(self) -> None:
        """Make the bytes read-only for good.  Twice is harmless.

        Raises: `BufferBusy` while a view that can write is open.
        """
        self._core.freeze_now()

    @property
    def frozen(self) -> bool:
        """Whether the bytes are read-only."""
        return self._core.is_frozen()

    def __len__(self) -> int:
        return self._core.size()

    def __bool__(self) -> bool:
        return True

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        """A byte as a number, or a copy of some bytes.  Write by a memoryview."""
        size = len(self)
        if not isinstance(key, slice):
            return self._core.part(range(size)[key], 1)[0]
        start, stop, step = key.indices(size)
        if step == 1:
            return self._core.part(start, max(stop - start, 0))
        return self._core.part(0, size)[key]

    def __iter__(self) -> Iterator[int]:
        """The bytes as numbers."""
        for index in range(len(self)):
            yield self[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Buffer, bytes, bytearray, memoryview)):
            return self._core.equals(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        state = "frozen" if self.frozen else "writable"
        return f"<bridge.Buffer of {len(self)} bytes, {state}>"


register(Buffer)
