"""Workers and queues in a loop of asyncio: readers of descriptors, no threads."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import core as _core
from .errors import Busy, Empty, Full, Timeout
from .options import seconds

if TYPE_CHECKING:
    from .queue import Queue
    from .worker import Worker

__all__: list[str] = []

_SOONEST = 0.001
_LATEST = 0.05


def _late() -> Timeout:
    return Timeout(_core.status_text(_core.ETIMEDOUT))


async def pop(queue: Queue, timeout: float | None) -> Any:
    """Pop a message as soon as there is one."""
    seconds("timeout", timeout)
    loop = asyncio.get_running_loop()
    descriptor = queue.fileno()
    deadline = None if timeout is None else loop.time() + timeout
    while True:
        try:
            return queue.pop(timeout=0)
        except Empty:
            if timeout == 0:
                raise
        left = None if deadline is None else deadline - loop.time()
        if left is not None and left <= 0:
            raise _late()
        await _readable(loop, queue, descriptor, left)


async def _readable(
    loop: asyncio.AbstractEventLoop,
    queue: Queue,
    descriptor: int,
    timeout: float | None,
) -> None:
    # A loop has one reader for a descriptor: a second task would take it away.
    if queue._waiter is not None:
        raise Busy("another task waits for this queue")
    ready: asyncio.Future[None] = loop.create_future()
    queue._waiter = ready
    loop.add_reader(descriptor, _finish, ready)
    try:
        await asyncio.wait([ready], timeout=timeout)
    finally:
        loop.remove_reader(descriptor)
        queue._waiter = None


def _finish(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def apart(work: Callable[..., None], *arguments: object) -> None:
    """Do something that waits in a thread, so that the loop goes on."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, work, *arguments)


class Answers:
    """The answers to all calls of one loop: one queue, one descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue = _core.Queue(
            0, 0, _core.QUEUE_BLOCK, -1, None, _core.WAKER_DEFAULT
        )
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.sessions = itertools.count(1)
        self.waker = self.queue.waker()
        loop.add_reader(self.waker.fileno(), self._ready)

    def _ready(self) -> None:
        for session, good, value in self.queue.pop_answers():
            future = self.waiting.pop(session, None)
            if future is None or future.done():
                continue  # it was cancelled, or its time ran out
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)


_answers: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, Answers
] = weakref.WeakKeyDictionary()


def _answers_of(loop: asyncio.AbstractEventLoop) -> Answers:
    answers = _answers.get(loop)
    if answers is None:
        answers = _answers[loop] = Answers(loop)
    return answers


async def call(
    worker: Worker, name: str, values: tuple[object, ...], timeout: float | None
) -> Any:
    """Ask a worker, and let the loop go on until the answer is here."""
    seconds("timeout", timeout)
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    answers = _answers_of(loop)
    session = next(answers.sessions)
    future: asyncio.Future[Any] = loop.create_future()
    answers.waiting[session] = future
    try:
        await _ask(worker, name, values, answers, session, deadline)
        left = None if deadline is None else max(deadline - loop.time(), 0)
        await asyncio.wait([future], timeout=left)
        if not future.done():
            raise _late()
        return future.result()
    finally:
        answers.waiting.pop(session, None)


async def _ask(
    worker: Worker,
    name: str,
    values: tuple[object, ...],
    answers: Answers,
    session: int,
    deadline: float | None,
) -> None:
    """Put the request into the inbox; while that is full come again."""
    loop = asyncio.get_running_loop()
    pause = _SOONEST
    while True:
        try:
            worker._core.request_values(name, values, answers.queue, session)
            return
        except Full:
            left = _LATEST if deadline is None else deadline - loop.time()
            if left <= 0:
                raise
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 2, _LATEST)
