"""What the classes of the face have in common.

An object of the face holds one handle of the library.  A handle that comes back
in a message becomes the very object that Python has of it, if it still has one.
"""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from . import core as _core


class Addressed(Protocol):
    """A handle as the generated module has it."""

    def address(self) -> int:
        """Tells handles apart, as long as one of them lives."""
        ...


C = TypeVar("C", bound=Addressed)
H = TypeVar("H", bound="Handle[Any]")

# By kind of handle and address.  An entry goes before its handle does.
_live: WeakValueDictionary[tuple[int, int], Handle[Any]] = WeakValueDictionary()


class Handle(Generic[C]):
    """Holds a handle of the library, and drops it when it goes."""

    __slots__ = ("_core", "__weakref__")

    _kind: int = 0

    def _hold(self, core: C) -> None:
        self._core = core
        _live[self._kind, core.address()] = self

    @classmethod
    def _of(cls: type[H], core: Any) -> H:
        """The object for a handle: one that lives, or a new one."""
        known = _live.get((cls._kind, core.address()))
        if isinstance(known, cls):
            return known
        face: H = object.__new__(cls)
        face._adopt(core)
        return face

    def _adopt(self, core: C) -> None:
        """What `__init__` does, for a handle that somebody else has made."""
        self._hold(core)

    def __reduce__(self) -> Any:
        name = type(self).__name__
        raise TypeError(f"a {name} belongs to its process and has no pickle")


def register(face: type[Handle[Any]]) -> None:
    """Let values that cross become, and be, objects of this class."""
    _core.set_face(face._kind, face, face._of)
