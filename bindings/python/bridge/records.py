"""What workers log, and where it goes: Python's logging, a queue, or a function.

Records are made on threads that never call into Python.  They come through a queue,
and a thread of Python takes them out, one for each logger that was named.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Union

from . import core as _core
from .errors import Error, NotShareableError, _of_record
from .options import choice
from .queue import Queue

__all__ = ["LogLevel", "Record", "log", "set_log_level", "set_logger"]

LogLevel = Literal["debug", "info", "warning", "error"]

_LEVELS: dict[str, int] = {
    "debug": _core.LOG_DEBUG,
    "info": _core.LOG_INFO,
    "warning": _core.LOG_WARNING,
    "error": _core.LOG_ERROR,
}
_LOGGING: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_EXIT_SECONDS = 1.0


class Record(NamedTuple):
    """Something that was logged."""

    level: LogLevel
    """How much it matters."""
    text: str
    """What happened."""
    worker: str
    """The name of the worker that it is about; ``""`` if none."""
    id: int
    """The number of that worker; 0 if none."""
    time: float
    """Seconds since 1970."""
    suppressed: int
    """How many records of the worker were left out before this one, because there
    were too many."""
    error: Error | None
    """More about a failure; of what a watchdog says, whose ``status`` is ``"OK"``,
    where the script is."""

    @classmethod
    def of(cls, message: dict[str, Any]) -> Record:
        """The record in a message, where you take them out of a queue yourself.

        Raises: `KeyError` if the message is no record.
        """
        error = message.get("error")
        return cls(
            message["level"],
            message["text"],
            message["worker"],
            message["id"],
            message["time"],
            message["suppressed"],
            None if error is None else _of_record(error, message["worker"]),
        )

    def emit(self, logger: logging.Logger, name: str | None = None) -> None:
        """Hand the record to a logger of Python's, under another name if one is
        given."""
        level = _LOGGING[self.level]
        if not logger.isEnabledFor(level):
            return
        error = self.error
        frame = error.frames[0] if error is not None and error.frames else None
        text = self.text
        failed = None
        if error is not None and error.status != "OK":
            failed = (type(error), error, None)
        elif error is not None:  # where it is: nothing went wrong
            text += "\n" + error.traceback
        if self.suppressed:
            text += f" ({self.suppressed} more left out before)"
        made = logger.makeRecord(
            logger.name if name is None else name,
            level,
            "(bridge)" if frame is None else frame.source,
            0 if frame is None else max(frame.line, 0),
            text,
            (),
            failed,
            extra={
                "worker": self.worker,
                "worker_id": self.id,
                "suppressed": self.suppressed,
            },
        )
        made.created = self.time
        made.msecs = self.time % 1 * 1000
        logger.handle(made)


Take = Callable[[Record], object]
Target = Union[logging.Logger, Queue, Take, None]


class _Pump:
    """Takes records out of a queue, on a thread of Python."""

    def __init__(self, take: Take) -> None:
        self.queue = Queue()
        self.queue._core.hide()
        self._take = take
        self.thread = threading.Thread(
            target=self._run, name="bridge log", daemon=True
        )
        self.thread.start()

    def _run(self) -> None:
        messages = iter(self.queue)
        while True:
            try:
                message = next(messages, None)
            except NotShareableError:  # whoever put that there
                self.queue.discard()
                messages = iter(self.queue)
                continue
            if message is None:
                return
            try:
                self._take(Record.of(message))
            except Exception:
                threading.excepthook(
                    threading.ExceptHookArgs((*sys.exc_info(), self.thread))
                )

    def end(self) -> None:
        self.queue.close()
        if self.thread is not threading.current_thread():
            self.thread.join(_EXIT_SECONDS)


def _to_logger(logger: logging.Logger) -> Take:
    return lambda record: record.emit(logger)


def _to_children(logger: logging.Logger) -> Take:
    """Under the names of the workers; loggers that nobody made are not made here,
    since they would stay for ever."""

    def take(record: Record) -> None:
        if not record.worker:
            record.emit(logger)
            return
        name = f"{logger.name}.{record.worker}"
        child = logger.manager.loggerDict.get(name)
        record.emit(child if isinstance(child, logging.Logger) else logger, name)

    return take


_lock = threading.Lock()
# By what was named, and whether for the process.  They stay: a worker may have it.
_pumps: dict[tuple[object, bool], _Pump] = {}


def _pump_of(target: logging.Logger | Take, whole: bool) -> _Pump:
    """With the lock."""
    known = _pumps.get((target, whole))
    if known is not None:
        return known
    if isinstance(target, logging.Logger):
        take = _to_children(target) if whole else _to_logger(target)
    elif not callable(target):
        raise TypeError(
            "a logger is a logging.Logger, a Queue, something to call, or None, "
            f"not {target!r}"
        )
    else:
        take = target
    if not _pumps:
        atexit.register(_end)
    pump = _pumps[target, whole] = _Pump(take)
    return pump


def queue_of(target: logging.Logger | Queue | Take, whole: bool = False) -> Queue:
    """Where records for it are to be put."""
    if isinstance(target, Queue):
        return target
    with _lock:
        return _pump_of(target, whole).queue


def _end() -> None:
    """What is logged from now on, while Python goes down, is for stderr."""
    _core.set_log_queue(None)
    with _lock:
        pumps = list(_pumps.values())
        _pumps.clear()
    for pump in pumps:
        pump.end()


def _after_fork() -> None:
    """The threads are the parent's."""
    global _lock
    _lock = threading.Lock()
    if _pumps:
        _pumps.clear()
        atexit.unregister(_end)
    _core.set_log_queue(None)


os.register_at_fork(after_in_child=_after_fork)


def set_logger(logger: Target) -> None:
    """Say where records go that have no other place: what workers log by
    ``bridge.log`` and ``warn``, errors that nobody else is told, and what a watchdog
    finds.

    >>> import logging
    >>> set_logger(logging.getLogger("bridge"))
    >>> set_logger(None)

    Parameters: ``logger`` is a `logging.Logger`, whose records have the names of
    its children, ``bridge.NAME`` for a worker of that name, and as ``exc_info`` the
    error that they are about; or something to call with each `Record`.  Both are
    called on a thread of Python that is made for them.  Or it is a `Queue`, out of
    which you take dicts for `Record.of`, in your own loop; or None, the default, for
    stderr.

    No worker ever waits for it: of one that logs too much, some are left out and
    counted.  A child of a fork begins with stderr again.

    Raises: `TypeError`, `OutOfMemory`, `ForkedError` for a queue of the parent's.

    Thread safety: any thread.
    """
    if logger is None:
        _core.set_log_queue(None)
    else:
        _core.set_log_queue(queue_of(logger, True)._core)


def set_log_level(level: str) -> None:
    """Leave out what matters less: ``"debug"``, ``"info"`` (the default),
    ``"warning"`` or ``"error"``.

    Raises: `InvalidError`, `TypeError`.

    Thread safety: any thread.
    """
    _core.set_log_level(choice("level", level, _LEVELS))


def log(level: str, text: str | bytes) -> None:
    """Log a text, to where the records of the process go.

    Raises: `InvalidError`, `TypeError`.

    Thread safety: any thread.
    """
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"a text is logged, not {text!r}")
    _core.log_text(choice("level", level, _LEVELS), text)
