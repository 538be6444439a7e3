"""Workers and queues in a loop of asyncio: readers of descriptors, no threads."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from . import core as _core
from .channel import Channel
from .errors import Busy, Closed, Empty, Full, Timeout
from .options import seconds
from .queue import Queue
from .worker import Stack, Worker

__all__: list[str] = []

_SOONEST = 0.001
_LATEST = 0.05
_LOOK = 0.5


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
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    timer = None if timeout is None else loop.call_later(timeout, _finish, ready)
    try:
        with _watching(queue, ready):
            await ready
    finally:
        if timer is not None:
            timer.cancel()


class _watching:
    """While it lasts, the future is done once the queue is readable."""

    __slots__ = ("_queue", "_ready", "_descriptor")

    def __init__(self, queue: Queue, ready: asyncio.Future[None]) -> None:
        self._queue = queue
        self._ready = ready

    def __enter__(self) -> None:
        if self._queue._waiter is not None:
            raise Busy("another task waits for this queue")
        self._descriptor = self._queue.fileno()
        self._queue._waiter = self._ready
        self._ready.get_loop().add_reader(self._descriptor, _finish, self._ready)

    def __exit__(self, *details: object) -> None:
        self._ready.get_loop().remove_reader(self._descriptor)
        self._queue._waiter = None


def _finish(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


async def apart(work: Callable[..., None], *arguments: object) -> None:
    """Do something that waits in a thread, so that the loop goes on."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, work, *arguments)


class Answers:
    """The answers to all calls of one loop, and what it wants to be told: one queue,
    one descriptor."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.queue = _core.Queue(
            0, 0, _core.QUEUE_BLOCK, -1, None, _core.WAKER_DEFAULT
        )
        self.queue.hide()
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.sessions = itertools.count(1)
        self.waker = self.queue.waker()
        loop.add_reader(self.waker.fileno(), self._ready)

    def expect(self, loop: asyncio.AbstractEventLoop) -> int:
        """The number of an answer that is to come."""
        session = next(self.sessions)
        self.waiting[session] = loop.create_future()
        return session

    def _ready(self) -> None:
        try:
            answers = self.queue.pop_answers()
        except Closed as closed:
            self._end(closed)
            return
        for session, good, value in answers:
            future = self.waiting.pop(session, None)
            if future is None or future.done():
                continue  # it was cancelled, or its time ran out
            if good:
                future.set_result(value)
            else:
                future.set_exception(value)


    def _end(self, closed: Closed) -> None:
        # By somebody who found the queue among all objects: the next one who asks
        # gets another.
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.waker.fileno())
        if _answers.get(loop) is self:
            del _answers[loop]
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Closed(str(closed)))


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
    session = answers.expect(loop)
    future = answers.waiting[session]
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


class _Change:
    """Something that the loop is told of, once, by this number in this queue."""

    __slots__ = ("queue", "session", "future", "_waiting")

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        answers = _answers_of(loop)
        self.queue = answers.queue
        self.session = answers.expect(loop)
        self.future = answers.waiting[self.session]
        self._waiting = answers.waiting

    async def wait(self, deadline: float | None) -> None:
        """Until then, or raise `Timeout`."""
        await asyncio.wait([self.future], timeout=_left(deadline))
        if not self.future.done():
            raise _late()
        self.future.result()  # raises if nobody will be told any more

    def forget(self) -> None:
        self._waiting.pop(self.session, None)


def _deadline(timeout: float | None) -> float | None:
    seconds("timeout", timeout)
    return None if timeout is None else asyncio.get_running_loop().time() + timeout


async def ended(worker: Worker, timeout: float | None) -> None:
    """Until the worker has ended, or was given up."""
    deadline = _deadline(timeout)
    if not worker.alive:
        return
    change = _Change()
    try:
        worker._core.notify(change.queue, change.session)
        await change.wait(deadline)
    finally:
        change.forget()
        if not change.future.done():
            worker._core.take_back(change.queue, change.session)


async def join(worker: Worker, timeout: float | None) -> Any:
    """What the chunk of a worker has returned."""
    if timeout != 0:
        await ended(worker, timeout)
    return worker.join(0)


async def close(worker: Worker, grace: float | None) -> None:
    """End a worker, in a thread if that may take time; without a limit there is none
    that could keep the process."""
    if grace is not None or worker._core.waker() is not None:
        await apart(worker.close, grace)
        return
    worker.stop()
    worker.resume()
    await ended(worker, None)


async def traceback(worker: Worker, timeout: float | None) -> Stack:
    """Where a worker is: a thread waits for its next safe point, for a short time at
    once, since a task may be cancelled."""
    deadline = _deadline(timeout)
    loop = asyncio.get_running_loop()
    while True:
        left = _left(deadline)
        slice = _LOOK if left is None else min(left, _LOOK)
        try:
            return await loop.run_in_executor(None, worker.traceback, slice)
        except Timeout:
            if left is not None and left <= _LOOK:
                raise


# ---- Channels


def _over(queue: Queue) -> bool:
    # Its descriptor stays readable, and nothing comes any more.
    return queue.closed and len(queue) == 0


async def _until(
    attempt: Callable[[], Any],
    ends: list[tuple[_core.Channel, int]],
    queues: list[Queue],
    deadline: float | None,
) -> Any:
    """What the attempt gives, as soon as it gives something; once more after each
    change at the ends of channels, and while a queue is readable.

    To be told and then to leave without an attempt would lose what others wait for:
    to withdraw passes it on.
    """
    while True:
        change = _Change()
        with ExitStack() as watches:
            watches.callback(change.forget)
            for queue in queues:
                if not _over(queue):
                    watches.enter_context(_watching(queue, change.future))
            for core, end in ends:
                watches.callback(core.withdraw, change.queue, change.session)
                core.notify_end(end, change.queue, change.session)
            value = attempt()  # now that nothing is missed
            if value is _NOTHING:
                await change.wait(deadline)
                value = attempt()
            if value is not _NOTHING:
                return value


def _empty(woken: bool) -> Empty:
    return Empty("the channel was woken" if woken else _core.status_text(_core.EEMPTY))


async def receive(channel: Channel, timeout: float | None) -> Any:
    """Receive a message as soon as there is one."""
    deadline = _deadline(timeout)
    core = channel._core
    wakes = core.wakes()

    def attempt() -> Any:
        value = core.receive_or(_NOTHING)
        if value is _NOTHING and core.wakes() != wakes:
            raise _empty(True)
        return value

    value = attempt()
    if value is not _NOTHING:
        return value
    if timeout == 0:
        raise _empty(False)
    return await _until(attempt, [(core, _core.CHANNEL_RECEIVING)], [], deadline)


async def send(
    channel: Channel, values: tuple[object, ...], timeout: float | None
) -> None:
    """Send a message as soon as there is room."""
    deadline = _deadline(timeout)
    core = channel._core

    def attempt() -> Any:
        try:
            core.send_values(values, 0)
        except Full:
            if timeout == 0:
                raise
            return _NOTHING
        return None

    if attempt() is _NOTHING:
        await _until(attempt, [(core, _core.CHANNEL_SENDING)], [], deadline)


async def select(
    sources: tuple[Queue | Channel, ...], timeout: float | None
) -> tuple[int, Any]:
    """Take of the first of several queues and channels that has something."""
    deadline = _deadline(timeout)
    ends = []
    queues = []
    for each in sources:
        if isinstance(each, Queue):
            queues.append(each)
        elif isinstance(each, Channel):
            ends.append((each._core, _core.CHANNEL_RECEIVING))
    wakes = sum(core.wakes() for core, _ in ends)

    def attempt() -> Any:
        try:
            return _core.select_values(sources, 0)
        except Empty:
            if wakes != sum(core.wakes() for core, _ in ends):
                raise _empty(True) from None
            if timeout == 0:
                raise
            return _NOTHING

    value = attempt()
    if value is _NOTHING:
        value = await _until(attempt, ends, queues, deadline)
    found: tuple[int, Any] = value
    return found


# ---- What chunks yield


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
