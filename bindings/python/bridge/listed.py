"""What lives: all objects of the process, to be looked at, found and closed."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from . import core as _core
from .handles import C, Handle
from .options import choice

__all__ = ["ObjectInfo", "ObjectKind", "find_object", "objects"]

ObjectKind = Literal[
    "queue", "channel", "timer", "counter", "flag", "mutex", "worker"
]

_KINDS: dict[str, int] = {
    "queue": _core.HANDLE_QUEUE,
    "channel": _core.HANDLE_CHANNEL,
    "timer": _core.HANDLE_TIMER,
    "counter": _core.HANDLE_COUNTER,
    "flag": _core.HANDLE_FLAG,
    "mutex": _core.HANDLE_MUTEX,
    "worker": _core.HANDLE_WORKER,
}
_NAMES: dict[int, Any] = {number: name for name, number in _KINDS.items()}
_CONTAINERS = ("queue", "channel", "worker")


class ObjectInfo(NamedTuple):
    """What can be seen of an object; each number is of some moment, not all of the
    same."""

    object: Any
    """The object itself."""
    kind: ObjectKind
    """What it is."""
    id: int
    """A number that no other object of the process has had or will have."""
    name: str
    """Its name, or the first 63 bytes of it; ``""`` for none."""
    references: int
    """How many there are, also in messages, beside the one that Python has here."""
    closed: bool
    """Whether it was closed; of a channel the end of the senders, and of a timer or a
    worker, whether it has ended."""
    items: int | None
    """Messages in a queue or channel, requests in the inbox of a worker."""
    bytes: int | None
    """Their bytes."""
    value: int | None
    """The number of a counter; True for a flag that is set, and for a mutex that
    somebody has; how often a timer has posted."""
    target: int | None
    """The ``id`` of what a timer posts to."""


def _look(face: Handle[Any]) -> ObjectInfo:
    number, id, name, references, closed, items, size, value, target = (
        _core.object_look(face)
    )
    kind = _NAMES[number]
    inside = kind in _CONTAINERS
    truth = kind in ("flag", "mutex")
    return ObjectInfo(
        face,
        kind,
        id,
        name,
        references,
        closed,
        items if inside else None,
        size if inside else None,
        None if inside else bool(value) if truth else value,
        target or None,
    )


class Listed(Handle[C]):
    """A handle that `objects` lists."""

    __slots__ = ()

    def info(self) -> ObjectInfo:
        """What can be seen of it.

        Raises: `ForkedError`.

        Thread safety: any thread.
        """
        return _look(self)

    @property
    def id(self) -> int:
        """A number that no other object of the process has had or will have."""
        return _look(self).id

    @property
    def name(self) -> str:
        """A name, for people and for `find_object`; ``""`` for none.  It may be
        changed."""
        return _look(self).name

    @name.setter
    def name(self, name: str | None) -> None:
        _core.object_set_name(self, name)

    def _begin(self, name: str | None) -> None:
        """With its first name."""
        if name is not None:
            _core.object_set_name(self, name)


def objects() -> list[ObjectInfo]:
    """All objects of the process, also those of Lua and C, and those of which nobody
    has a handle any more: queues, channels, timers, counters, flags, mutexes and
    workers; the oldest first.  What the library made for itself, such as inboxes, is
    not there.

    Thread safety: any thread.
    """
    return [_look(face) for face in _core.objects()]


def find_object(key: str | int, kind: ObjectKind | None = None) -> Any:
    """The object of this name, the latest if there are several, or of this number;
    None if there is none, or if it is not of the ``kind`` that is asked for.

    Raises: `InvalidError`, `TypeError`.

    Thread safety: any thread.
    """
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise TypeError(f"a name or a number is looked for, not {key!r}")
    wanted = 0 if kind is None else choice("a kind", kind, _KINDS)
    return _core.find_object(key, wanted)
