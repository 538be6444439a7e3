"""Workers and queues in a loop of asyncio: readers of descriptors, no threads."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from . import core as _core
from .errors import Busy, Closed, Empty, Full, Timeout
from .options import seconds

if TYPE_CHECKING:
    from .queue import Queue
    from .worker import Worker

__all__: list[str] = []

_SOONEST = 0.001
_LATEST = 0.05


def _late() -> Timeout:
    return Timeout(_core.status_text(_core.ETIMEDOUT))


_NOTHING: Any = object()  # stands for no message
_NO_MESSAGES: Iterator[Any] = iter(())


async def pop(queue: Queue, timeout: float | None) -> Any:
    """Pop a message as soon as there is one."""
    pop_or = queue._core.pop_or
    if timeout is None:
        value = pop_or(_NOTHING)
        while value is _NOTHING:
            await _readable(queue, None)
            value = pop_or(_NOTHING)
        return value
    seconds("timeout", timeout)
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        value = pop_or(_NOTHING)
        if value is not _NOTHING:
            return value
        await _readable_until(queue, timeout, deadline)


async def pop_batch(queue: Queue, limit: int, timeout: float | None) -> list[Any]:
    """Pop as many messages as there are as soon as there is one."""
    pop_list = queue._core.pop_list
    seconds("timeout", timeout)
    deadline = 0 if timeout is None else asyncio.get_running_loop().time() + timeout
    while True:
        try:
            return pop_list(limit, 0)
        except Empty:
            if timeout == 0:
                raise
        if timeout is None:
            await _readable(queue, None)
        else:
            await _readable_until(queue, timeout, deadline)


class Messages:
    """What comes through a queue until it is closed and empty.

    Takes what is there at once, and keeps what is not asked for yet; it goes back
    to the queue when this object goes, as at the end of a loop that breaks.
    """

    __slots__ = ("_queue", "_batch")

    def __init__(self, queue: Queue) -> None:
        queue.fileno()  # raises where it could not wait
        self._queue = queue
        self._batch = _NO_MESSAGES

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Any:
        for value in self._batch:
            return value
        return await self._refill()

    async def _refill(self) -> Any:
        queue = self._queue
        self._batch = _NO_MESSAGES
        await asyncio.sleep(0)  # others have a turn, however full the queue is
        while True:
            try:
                batch = queue._core.take()
            except Closed:
                raise StopAsyncIteration from None
            if batch is not None:
                self._batch = batch
                return next(batch)
            await _readable(queue, None)


async def _readable_until(queue: Queue, timeout: float, deadline: float) -> None:
    if timeout == 0:
        raise Empty(_core.status_text(_core.EEMPTY))
    left = deadline - asyncio.get_running_loop().time()
    if left <= 0:
        raise _late()
    await _readable(queue, left)


async def _readable(queue: Queue, timeout: float | None) -> None:
    # A loop has one reader for a descriptor: a second task would take it away.
    if queue._waiter is not None:
        raise Busy("another task waits for this queue")
    loop = asyncio.get_running_loop()
    descriptor = queue.fileno()
    ready: asyncio.Future[None] = loop.create_future()
    timer = None if timeout is None else loop.call_later(timeout, _finish, ready)
    queue._waiter = ready
    loop.add_reader(descriptor, _finish, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
        queue._waiter = None
        if timer is not None:
            timer.cancel()


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
        request = _core.request_of(name, values)
        await _ask(worker, request, answers, session, timeout)
        left = _left(deadline)
        await asyncio.wait([future], timeout=left)
        if not future.done():
            raise _late()
        return future.result()
    finally:
        answers.waiting.pop(session, None)
        if not future.done():
            worker._core.take_back(answers.queue, session)


async def _ask(
    worker: Worker,
    request: object,
    answers: Answers,
    session: int,
    timeout: float | None,
) -> None:
    """Put the request into the inbox; while that is full come again."""
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    pause = _SOONEST
    while not worker._core.ask(
        request, answers.queue, session, _left(deadline), not worker._waits
    ):
        if timeout == 0:
            raise Full(_core.status_text(_core.EFULL))
        worker._waits = True  # or it had refused at once
        pause = await _nap(pause, deadline)


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    return max(deadline - asyncio.get_running_loop().time(), 0)


async def _nap(pause: float, deadline: float | None) -> float:
    """Let others have a turn before the next look; how long to wait after that."""
    left = _left(deadline)
    if left == 0:
        raise _late()
    await asyncio.sleep(pause if left is None else min(pause, left))
    return min(pause * 2, _LATEST)


async def join(worker: Worker, timeout: float | None) -> Any:
    """What the chunk of a worker has returned.  There is no descriptor to watch, and a
    thread that waits could not be called back."""
    seconds("timeout", timeout)
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    pause = _SOONEST
    while worker.alive:
        pause = await _nap(pause, deadline)
    return worker.join(0)


async def next_values(
    worker: Worker, values: tuple[object, ...], timeout: float | None
) -> Any:
    """What the chunk of a worker yields next.  There is no descriptor to watch, so
    that a thread waits, for a short time at once: a task may be cancelled."""
    seconds("timeout", timeout)
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while True:
        left = _left(deadline)
        turn = loop.run_in_executor(None, _take, worker, values, left)
        try:
            row = await asyncio.shield(turn)
        except asyncio.CancelledError:
            # The next one who asks comes after it, and gets what came.
            turn.add_done_callback(partial(_keep, worker))
            await asyncio.wait([turn])
            raise
        if row:
            return row[0]
        if left is not None and left <= _LATEST:
            raise _late()
        values = ()


def _take(
    worker: Worker, values: tuple[object, ...], left: float | None
) -> tuple[Any, ...]:
    try:
        wait = _LATEST if left is None else min(left, _LATEST)
        return (worker.next(*values, timeout=wait),)
    except Timeout:
        return ()


def _keep(worker: Worker, turn: asyncio.Future[tuple[Any, ...]]) -> None:
    if not turn.cancelled() and turn.exception() is None:
        worker._kept.extend(turn.result())
