"""Objects of classes that Lua has and Python does not."""

from __future__ import annotations

from collections.abc import Iterable

from . import core as _core

__all__: list[str] = ["Object"]


class Object:
    """What an object of Lua is made of, whose class packs its objects itself.

    ``name`` is that of the class, ``module`` that of the module of Lua that knows
    the class, or None, and ``values`` is a list.  Back in a state that knows the
    class it is such an object again.
    """

    __slots__ = ("module", "name", "values")

    def __init__(
        self, name: str, values: Iterable[object] = (), module: str | None = None
    ) -> None:
        self.name = name
        self.module = module
        self.values = values if isinstance(values, list) else list(values)

    def __repr__(self) -> str:
        where = "" if self.module is None else f", module={self.module!r}"
        return f"bridge.Object({self.name!r}, {self.values!r}{where})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Object):
            return NotImplemented
        return (self.name, self.module, self.values) == (
            other.name,
            other.module,
            other.values,
        )

    __hash__ = None  # type: ignore[assignment]


_core.set_object_class(Object)
